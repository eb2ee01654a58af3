"""Every executor over every case: exact to the spike, or refused as the table says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neurodeploy.targets.registry import TARGETS
from tests.conformance.cases import CASES, case
from tests.conformance.executors import EXECUTORS, Executor

BY_NAME = {e.name: e for e in EXECUTORS}


def available(name: str) -> Executor:
    reason = BY_NAME[name].unavailable()
    if reason is not None:
        pytest.skip(f"{name}: {reason}")
    return BY_NAME[name]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("executor", BY_NAME)
def test_exact_or_refused(executor: str, name: str) -> None:
    assert available(executor).faults(case(name)) == []


@pytest.mark.parametrize("executor", BY_NAME)
def test_computes_at_least_two_cases_with_spikes(executor: str) -> None:
    e = available(executor)
    assert sum(not c.silent for c in e.accepted()) >= 2


@pytest.mark.parametrize("name", ["recurrent_cycle_delay_5", "delays_misaligned"])
@pytest.mark.parametrize("executor", ["engine", "brian2", "truenorth"])
def test_three_samples_equal_three_runs(executor: str, name: str) -> None:
    e, c = available(executor), case(name)
    if not e.accepts(c):
        return  # asserted above
    together = e.record(c)
    for b in range(3):
        alone = e.record(
            type(c)(c.name, c.netlist, {n: x[b : b + 1] for n, x in c.stimulus.items()})
        )
        for population, emitted in alone.spikes.items():
            np.testing.assert_array_equal(emitted, together.spikes[population][b : b + 1])


def test_every_registered_target_is_compared() -> None:
    stock = {e.name for e in EXECUTORS if e.options.get("models") == "stock"}
    assert {e.target for e in EXECUTORS} - {None} | stock == set(TARGETS.entries())


def test_nothing_is_skipped_where_both_environments_are_set_up(repository: Path) -> None:
    if not (repository / ".venv-lava" / "bin" / "python").exists():
        pytest.skip("there is no Lava environment (see make setup)")
    assert {e.name: e.unavailable() for e in EXECUTORS} == dict.fromkeys(BY_NAME)
