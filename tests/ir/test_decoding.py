"""From membranes and counts to the answer, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from neurodeploy.ir.connectivity import identity
from neurodeploy.ir.decoding import classify, decode, decode_prefix, decoded_values, output_trace
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Output, Population
from neurodeploy.ir.record import RunRecord
from neurodeploy.testing.parts import integrator, neuron, spikes

ROWS = np.array([[[1, 0], [0, -2], [3, 1], [0, 1]], [[0, 0], [1, 1], [0, 0], [0, 5]]])


def netlist(population: Population, decode: Any = "counts", offset: float = 0.0) -> IntegerNetlist:
    into = IntegerProjection("x", population.name, identity((2,), 1))
    output = Output(population.name, decode, offset)
    return IntegerNetlist("net", (spikes("x", (2,)), population), (into,), (output,), 4)


def answer(population: Population, decode_as: Any, offset: float = 0.0, **given: Any) -> Any:
    net = netlist(population, decode_as, offset)
    rows = {population.name: ROWS}
    run = RunRecord(4, {} if decode_as != "counts" else rows, rows)
    return decode(net, net.outputs[0], run, **given)


def test_counts_are_rates_in_units() -> None:
    counted = neuron("f", (2,), 5, unit=np.array([2.0, 8.0]))
    totals = np.array([[4, 0], [1, 6]])
    assert answer(counted, "counts").tolist() == (totals / 4 * [2, 8]).tolist()
    assert answer(counted, "counts", 0.5).tolist() == (totals / 4 * [2, 8] - 0.5).tolist()
    assert answer(neuron("f", (2,), 5), "counts").tolist() == (totals / 4).tolist()


def test_every_sample_is_read_after_its_own_steps() -> None:
    counted = neuron("f", (2,), 5, unit=np.array(2.0))
    found = answer(counted, "counts", steps=np.array([2, 3]))
    assert found.tolist() == [[1.0, -2.0], [2 / 3, 2 / 3]]


def test_changes_are_not_divided_but_by_their_first_gain() -> None:
    added = neuron("f", (2,), 5, coding="sum")
    assert answer(added, "counts").tolist() == [[4, 0], [1, 6]]
    gained = neuron("f", (2,), 5, coding="sum", firing_gain=(0, 4, 2, 1))
    assert answer(gained, "counts").tolist() == [[1, 0], [0.25, 1.5]]


def test_membranes_are_read_less_their_origin() -> None:
    start = integrator("f", (2,), initial_membrane=np.array([1, -1]))
    assert answer(start, "membrane").tolist() == [[-1 / 4, 2 / 4], [-1 / 4, 6 / 4]]
    # The bias of one that adds up changes is in its first membrane.
    changes = integrator("f", (2,), initial_membrane=np.array([1, -1]), coding="sum")
    assert answer(changes, "membrane").tolist() == [[0, 1], [0, 5]]


def test_traces_add_up_spikes_and_not_membranes() -> None:
    fires = netlist(neuron("f", (2,), 5))
    trace = output_trace(fires, fires.outputs[0], RunRecord(4, {"f": ROWS}, {}))
    assert trace.tolist() == np.cumsum(ROWS, axis=1).tolist()
    assert decode_prefix(fires, fires.outputs[0], trace, 1).tolist() == [[1, 0], [0, 0]]
    assert decode_prefix(fires, fires.outputs[0], trace[:0], np.array([], int)).shape == (0, 2)


def test_values_of_one_step() -> None:
    population = neuron("f", (2,), 5, unit=np.array(3.0))
    found = decoded_values(population, Output("f", "counts", 1.0), np.array([[4, 8]]), 2)
    assert found.tolist() == [[5.0, 11.0]]


def drawn(first: int = 0, steps: int = 4, unit: Any = None) -> Any:
    population = integrator("f", (2,), unit=unit)
    net = netlist(population, "softmax")
    trace = np.tile([0.0, np.log(3.0)], (3, 400, 1))
    return decode_prefix(net, net.outputs[0], trace, steps, first)


def test_a_softmax_draws_a_class_a_step() -> None:
    shares = drawn(steps=400)
    np.testing.assert_array_equal(shares.sum(axis=1), 1.0)
    assert np.abs(shares[:, 1] - 0.75).max() < 0.08
    assert np.abs(drawn(steps=400, unit=np.array(2.0))[:, 1] - 0.9).max() < 0.06
    # What a sample draws is of its place alone, whatever comes before and after.
    np.testing.assert_array_equal(drawn(first=1, steps=400)[:2], shares[1:])
    first, second = drawn(steps=7), drawn(steps=8)
    assert (np.abs(8 * second - 7 * first).sum(axis=1) == 1).all()
    assert len({tuple(row) for row in shares.tolist()}) > 1


def test_a_softmax_of_large_membranes_is_sure() -> None:
    population = integrator("f", (2,))
    net = netlist(population, "softmax")
    trace = np.array([[[0, 100_000], [100_000, 0]]])
    assert decode_prefix(net, net.outputs[0], trace, 2).tolist() == [[0.5, 0.5]]


@pytest.mark.parametrize(
    ("scores", "label", "tied"),
    [
        ([1.0, 3.0, 2.0], 1, False),
        ([3.0, 1.0, 3.0], 0, True),
        ([-1.0, -1.0, -2.0], 0, True),
        ([0.0, 0.0, 1.0], 2, False),
    ],
)
def test_ties_go_to_the_lowest_index(scores: list[float], label: int, tied: bool) -> None:
    found = classify(np.array([scores]))
    assert (found.labels.tolist(), found.tied.tolist()) == ([label], [tied])
    spread = classify(np.array(scores).reshape(1, 3, 1))
    assert spread.labels.tolist() == [label]
