"""Ramps: split populations whose gates would take too many axons compare once all the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from neurodeploy.errors import ExecutionError
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.reference import run_reference
from neurodeploy.targets.loading import load_deployment
from neurodeploy.targets.truenorth.cores import ARRAY_FILE
from neurodeploy.targets.truenorth.deployment import TrueNorthDeployment
from neurodeploy.targets.truenorth.units import REPAY, SUM
from tests.targets.truenorth.crossbar_nets import chain, raster
from tests.targets.truenorth.splits import SMALL, assert_exact, compiled, layer_of


def ramped(bias: Any = 0, timesteps: int = 16) -> IntegerNetlist:
    """A layer that can stand far above its threshold: gates for that have too many axons."""
    weight = np.random.default_rng(2).integers(-3, 4, (6, 100)) * 7 + np.arange(6)[:, None] % 2
    return chain(
        weight, timesteps=timesteps, threshold=60, bias=bias, initial_membrane=[0, 59, 9, 4, 1, -8]
    )


@pytest.mark.parametrize("bias", [0, [5, -7, 13, 0, 100, -300], -31], ids=str)
def test_a_ramp_compares_where_gates_do_not_fit(bias: Any) -> None:
    net = ramped(bias)
    deployment = assert_exact(net, SMALL, raster(net, 3, rate=0.5))
    layer = layer_of(deployment, "a")
    assert layer["ramp"] > 1
    assert layer["gate_axons"] < 40
    period = deployment.utilization()["ticks_per_step"]
    assert period >= layer["burst"] + 2 * layer["ramp"]


@pytest.mark.parametrize("scale", [21, 30])
def test_a_high_ramp_is_repaid_by_several_neurons(scale: int) -> None:
    weight = np.random.default_rng(2).integers(-3, 4, (6, 100)) * scale
    net = chain(weight, timesteps=8, threshold=200, bias=[3, -4, 0, 9, 1, -2])
    deployment = assert_exact(net, SMALL, raster(net, 3, rate=0.5))
    owner = deployment.readout.neuron[deployment.readout.mark == REPAY]
    assert np.bincount(owner).min() > 2


def test_a_ramp_repays_every_spike() -> None:
    net = ramped()
    deployment, stimulus = compiled(net), raster(net, 3, rate=0.5)
    expected = run_reference(net, stimulus)
    deployment.run(stimulus)
    spikes = {
        holds: sum(core.spikes for core in deployment.traffic().cores if core.holds == holds)
        for holds in ("a", "sums of a", "repayments of a")
    }
    fired = int(expected.spikes["a"].sum())
    assert fired > 50
    # A copy of each sum for its latch, and one for what repays it.
    assert spikes["sums of a"] == 2 * fired
    assert spikes["a"] == fired
    # A repay neuron sends as many spikes as one spike of the sum weighs.
    per_spike = deployment.cores.weight[deployment.readout.mark == REPAY].max(axis=1).sum() / 6
    # The sample ends before the last step is repaid.
    before = int(expected.spikes["a"][:, :-1].sum())
    assert per_spike * before <= spikes["repayments of a"] <= per_spike * fired


def test_membranes_behind_a_ramp_cannot_be_read() -> None:
    net = ramped()
    with pytest.raises(ExecutionError, match="a: the membrane of a split population with a ramp"):
        compiled(net).run(raster(net, 1), membranes=["a"])


@pytest.mark.parametrize(
    ("mark", "array", "value"),
    [(SUM, "threshold", 9), (SUM, "weight", 1), (REPAY, "weight", 1), (0, "initial", 1)],
)
def test_a_changed_ramp_is_found(tmp_path: Path, mark: int, array: str, value: int) -> None:
    net = ramped()
    stimulus = raster(net, 4, rate=0.5)
    expected, folder = run_reference(net, stimulus), tmp_path / "net"
    compiled(net).save(folder)
    deployment = load_deployment(folder)
    assert isinstance(deployment, TrueNorthDeployment)
    arrays = load_file(folder / ARRAY_FILE)
    edited = arrays[array].copy()
    busiest = int(expected.spikes["a"].sum(axis=(0, 1)).argmax())
    readout = deployment.readout
    where = (readout.mark == mark) & (readout.neuron == busiest) & (readout.population == 0)
    edited[where] += np.asarray(value, dtype=edited.dtype)
    save_file({**arrays, array: edited}, folder / ARRAY_FILE)
    found = load_deployment(folder, check=False).run(stimulus)
    differs = (found.spikes["a"] != expected.spikes["a"]).any(axis=(0, 1))
    assert np.flatnonzero(differs).tolist() == [busiest]
