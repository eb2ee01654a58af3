"""What the reference takes and refuses around a run; its semantics are in tests/conformance."""

from __future__ import annotations

import numpy as np
import pytest

from neurodeploy.errors import NetlistError, UnknownNameError
from neurodeploy.ir.bounds import prove_bounds
from neurodeploy.ir.record import checked_stimulus
from neurodeploy.ir.reference import run_reference
from tests.conformance.cases import CASES, case


@pytest.mark.parametrize("name", CASES)
def test_a_batch_of_no_samples(name: str) -> None:
    c = case(name)
    if not c.stimulus:
        return
    empty = {n: values[:0] for n, values in c.stimulus.items()}
    run = run_reference(c.netlist, empty)
    for p in c.netlist.populations:
        assert run.spikes[p.name].shape == (0, c.netlist.timesteps, *p.shape)


@pytest.mark.parametrize("timesteps", [0, -1])
def test_no_time_steps(timesteps: int) -> None:
    c = case("dense_spikes")
    with pytest.raises(NetlistError, match=f"timesteps {timesteps}; expected at least 1"):
        run_reference(c.netlist, c.stimulus, timesteps=timesteps)
    with pytest.raises(NetlistError, match="expected at least 1"):
        prove_bounds(c.netlist, timesteps)


def test_unknown_populations_are_named() -> None:
    c = case("dense_spikes")
    with pytest.raises(UnknownNameError, match="unknown population 'nobody'"):
        run_reference(c.netlist, c.stimulus, record=["nobody"])
    with pytest.raises(UnknownNameError, match="unknown population 'nobody'"):
        run_reference(c.netlist, c.stimulus, membranes=["nobody"])


def test_a_stimulus_is_neither_copied_nor_changed() -> None:
    c = case("dense_spikes")
    before = {n: values.copy() for n, values in c.stimulus.items()}
    checked, _ = checked_stimulus(c.netlist, c.stimulus, c.netlist.timesteps)
    for name, values in c.stimulus.items():
        if values.dtype == np.int64:
            assert np.shares_memory(checked[name], values)
    run_reference(c.netlist, c.stimulus)
    for name, values in c.stimulus.items():
        np.testing.assert_array_equal(values, before[name])
