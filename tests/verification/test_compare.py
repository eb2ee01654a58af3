"""Comparison of two runs, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from neurodeploy.errors import ExecutionError
from neurodeploy.ir.connectivity import identity
from neurodeploy.ir.netlist import IntegerNetlist, Output, Population
from neurodeploy.ir.neurons import Input
from neurodeploy.ir.record import RunRecord
from neurodeploy.verification.compare import (
    compared_populations,
    first_divergence,
    integrators,
    mismatches,
)
from tests.verification.networks import neuron, project

T, B = 5, 3
DEPTH = {"x": 0, "a": 1, "b": 1, "c": 2, "out": 3}


def diamond() -> IntegerNetlist:
    """x to a and b, both to c, c to the integrator out. Listed out of order on purpose."""
    shape = (2, 2)
    populations = (
        Population("out", shape, neuron(None)),
        Population("c", shape, neuron(3)),
        Population("x", shape, Input("spikes", 0, 1)),
        Population("a", shape, neuron(1)),
        Population("b", shape, neuron(1)),
    )
    pairs = (("x", "a"), ("x", "b"), ("a", "c"), ("b", "c"), ("c", "out"))
    projections = tuple(project(pre, post, identity(shape)) for pre, post in pairs)
    return IntegerNetlist("diamond", populations, projections, (Output("out", "membrane"),), T)


NET = diamond()


def silent() -> RunRecord:
    spikes = {n: np.zeros((B, T, 2, 2), dtype=np.int64) for n in DEPTH if n != "out"}
    membranes = {n: np.zeros((B, T, 2, 2), dtype=np.int64) for n in DEPTH}
    return RunRecord(T, spikes, membranes)


def located(deployed: RunRecord, other: RunRecord):
    asked: list[list[str]] = []

    def rerun(run: RunRecord):
        def again(membranes):
            asked.append(list(membranes))
            return RunRecord(T, run.spikes, {n: run.membranes[n] for n in membranes})

        return again

    found = first_divergence(NET, "other", deployed, other, rerun(deployed), rerun(other))
    return found, asked


def test_the_netlist_is_scheduled_as_the_tests_assume() -> None:
    assert dict(NET.schedule.depth) == DEPTH
    assert compared_populations(NET) == ["a", "b", "c", "out"]
    assert integrators(NET) == ["out"]


def test_mismatches_are_neuron_steps_that_differ() -> None:
    deployed, other = silent(), silent()
    assert mismatches(NET, deployed, other) == {"a": 0, "b": 0, "c": 0, "out": 0}
    other.spikes["a"][0, 1, 0, 0] = 1
    other.spikes["a"][2, 4, 1, :] = -2
    deployed.spikes["c"][1] = 1
    assert mismatches(NET, deployed, other) == {"a": 3, "b": 0, "c": T * 4, "out": 0}
    assert mismatches(NET, other, deployed) == {"a": 3, "b": 0, "c": T * 4, "out": 0}


def test_integrators_are_compared_by_their_membranes_and_others_are_not() -> None:
    deployed, other = silent(), silent()
    other.membranes["a"][:] = 7
    assert not any(mismatches(NET, deployed, other).values())
    other.membranes["out"][1, 3, 0, 1] = 1
    assert mismatches(NET, deployed, other)["out"] == 1
    found, _ = located(deployed, other)
    assert found is not None
    assert (found.sample, found.step, found.population) == (1, 3 + DEPTH["out"], "out")
    assert (found.deployment_membrane, found.executor_membrane) == (0, 1)
    assert (found.deployment_spike, found.executor_spike) == (0, 0)


def test_spikes_of_another_width_are_the_same_spikes() -> None:
    deployed, other = silent(), silent()
    narrow = {n: s.astype(np.int8) for n, s in other.spikes.items()}
    other = RunRecord(T, narrow, other.membranes)
    assert not any(mismatches(NET, deployed, other).values())


@pytest.mark.parametrize(
    ("places", "first"),
    [
        # An earlier sample comes before an earlier step.
        ([("a", 1, 0, (0, 0)), ("c", 0, 4, (1, 1))], 1),
        # Steps of the sample, not of the window: t = 0 of c is step 2, t = 2 of a is step 3.
        ([("a", 0, 2, (0, 0)), ("c", 0, 0, (1, 1))], 1),
        ([("c", 0, 0, (0, 0)), ("a", 0, 0, (1, 1))], 1),
        # The same step: the order of the schedule, whatever the order in the netlist.
        ([("c", 0, 0, (0, 0)), ("b", 0, 1, (1, 1))], 1),
        ([("b", 0, 3, (0, 0)), ("a", 0, 3, (1, 1))], 1),
        # The same population and step: the lowest neuron.
        ([("b", 2, 3, (1, 0)), ("b", 2, 3, (0, 1))], 1),
        # A later neuron at an earlier step.
        ([("b", 2, 3, (0, 0)), ("b", 2, 1, (1, 1))], 1),
    ],
)
def test_first_divergence_by_sample_step_schedule_and_neuron(places, first) -> None:
    deployed, other = silent(), silent()
    for name, sample, t, neuron_ in places:
        other.spikes[name][(sample, t, *neuron_)] = 1
    found, _ = located(deployed, other)
    assert found is not None
    name, sample, t, neuron_ = places[first]
    assert (found.sample, found.step) == (sample, t + DEPTH[name])
    assert (found.population, found.neuron) == (name, neuron_)


def test_both_sides_are_told_apart() -> None:
    deployed, other = silent(), silent()
    deployed.spikes["c"][0, 1, 1, 0] = 2
    other.spikes["c"][0, 1, 1, 0] = -1
    deployed.membranes["c"][0, 1, 1, 0] = 40
    other.membranes["c"][0, 1, 1, 0] = -50
    found, asked = located(deployed, other)
    assert found is not None
    assert asked == [["c"], ["c"]]
    assert found.to_dict() == {
        "executor": "other",
        "sample": 0,
        "step": 3,
        "population": "c",
        "neuron": [1, 0],
        "spike": {"deployment": 2, "executor": -1},
        "membrane": {"deployment": 40, "executor": -50},
    }
    assert str(found) == (
        "other: first divergence at step 3 of sample 0, c[1, 0]: the deployment emits 2 "
        "(membrane 40), other -1 (membrane -50)"
    )


def test_a_membrane_that_an_executor_cannot_tell() -> None:
    deployed, other = silent(), silent()
    other.spikes["a"][0, 0, 0, 0] = 1
    nothing = RunRecord(T, {}, {})
    found = first_divergence(NET, "o", deployed, other, lambda _: nothing, lambda _: other)
    assert found is not None
    assert (found.deployment_membrane, found.executor_membrane) == (None, 0)


def test_equal_runs_do_not_diverge() -> None:
    assert located(silent(), silent()) == (None, [])


@pytest.mark.parametrize("name", ["a", "out"])
def test_a_missing_population_is_an_error(name: str) -> None:
    whole, part = silent(), silent()
    part.spikes.pop(name, None)  # type: ignore[attr-defined]
    part.membranes.pop(name)  # type: ignore[attr-defined]
    for pair in ((whole, part), (part, whole)):
        with pytest.raises(ExecutionError, match=f"{name}: the run returned nothing to compare"):
            mismatches(NET, *pair)


def test_runs_of_different_length_are_an_error() -> None:
    whole, part = silent(), silent()
    part.spikes["b"] = part.spikes["b"][:, :-1]  # type: ignore[index]
    with pytest.raises(ExecutionError, match=r"b: runs of different shapes \(3, 5, 2, 2\)"):
        mismatches(NET, whole, part)
