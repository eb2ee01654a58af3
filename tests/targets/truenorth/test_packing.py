"""Layers, their axon copies, and how they are packed and cut: by hand and against plain sums."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.connectivity import Sparse
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.targets.truenorth.fanout import Destinations, _fill
from neurodeploy.targets.truenorth.layers import (
    AxonSource,
    Decomposition,
    Layer,
    _blocks,
    decompose,
    extract,
    least_fan_in,
)
from neurodeploy.targets.truenorth.packing import PackedCore, cores_and_feeds, pack
from neurodeploy.targets.truenorth.split.bursts import cut_layer, in_units, units
from neurodeploy.targets.truenorth.split.cutting import chunkings, segmentations, size_violation
from neurodeploy.targets.truenorth.units import compact, sites
from tests.targets.truenorth.crossbar_nets import (
    LIMITS,
    dense,
    netlist,
    neurons,
    project,
    spike_input,
)


def two_sources(weight: Any, other: Any, delay: int | None = None) -> IntegerNetlist:
    """Two projections of one input, and one of another population."""
    first, second = dense(weight), dense(other)
    cells = [
        spike_input("x", first.pre_shape[0]),
        neurons("h", first.pre_shape[0]),
        neurons("a", first.post_shape[0], threshold=99),
    ]
    links = [
        project("x", "h", dense(np.eye(first.pre_shape[0], dtype=int))),
        project("x", "a", first, 2),
        project("x", "a", second, 2, exponent=1),
        project("h", "a", second, delay),
    ]
    return netlist(cells, links)


WEIGHT, OTHER = [[1, 0, 3], [0, -2, 2]], [[-1, 0, 1], [2, 0, -1]]


def test_weights_of_one_source_and_delay_add_up() -> None:
    net = two_sources(WEIGHT, OTHER)
    layer = extract(net, "a")
    assert layer.sources == (AxonSource("x", 2), AxonSource("h", 1))
    dense_sums = np.zeros((2, 2, 3), int)
    source, neuron = layer.key_source[layer.key], layer.key_neuron[layer.key]
    dense_sums[source, layer.post, neuron] = layer.weight
    assert dense_sums[0].tolist() == (np.array(WEIGHT) + 2 * np.array(OTHER)).tolist()
    assert dense_sums[1].tolist() == OTHER
    # What adds up to nothing is no synapse, and an input without one is none.
    assert (layer.weight != 0).all()
    assert layer.fan_in().tolist() == [[2, 2], [2, 2]]
    assert layer.key_neuron.tolist() == [0, 1, 2, 0, 2]
    nothing = extract(net, "x")
    assert (nothing.n_neurons, nothing.post.size, nothing.sources) == (3, 0, ())


def test_the_least_fan_in_counts_what_projections_share_once() -> None:
    net = two_sources(WEIGHT, OTHER)
    assert least_fan_in(net.incoming["a"]) == 2 + 2
    assert least_fan_in(net.incoming["h"]) == 1
    assert least_fan_in([]) == 0
    apart = [replace(q, delay=2 + i) for i, q in enumerate(net.incoming["a"])]
    assert least_fan_in(apart) == 6


def sums(parts: Decomposition, n_keys: int) -> IntArray:
    """Weights that the crossbar gives: ``[neurons, inputs]``."""
    found = np.zeros((len(parts.values), n_keys), int)
    worth = parts.values[parts.neuron, parts.slot_type[parts.slot]]
    np.add.at(found, (parts.neuron, parts.slot_key[parts.slot]), worth)
    return found


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("most", [1, 3, 6])
def test_axon_copies_add_up_to_every_weight(seed: int, most: int) -> None:
    random = np.random.default_rng(seed)
    weight, other = random.integers(-most, most + 1, (2, 5, 6))
    layer = extract(two_sources(weight, other), "a")
    parts = decompose(layer, LIMITS)
    assert isinstance(parts, Decomposition)
    expected = np.zeros((5, layer.key_source.size), int)
    expected[layer.post, layer.key] = layer.weight
    np.testing.assert_array_equal(sums(parts, layer.key_source.size), expected)
    assert parts.values.shape[1] <= LIMITS.axon_types
    assert (np.diff(parts.neuron) >= 0).all()
    for s, levels in enumerate(parts.levels):
        own = layer.weight[layer.key_source[layer.key] == s]
        assert levels == tuple(np.unique(own).tolist())
        used = np.bincount(parts.slot_key, minlength=layer.key_source.size)
        assert used[layer.key_source == s].max(initial=0) <= parts.copies[s]


@pytest.mark.parametrize(("n", "ways"), [(0, 1), (1, 1), (2, 2), (3, 5)])
def test_sources_share_axon_types_in_every_way(n: int, ways: int) -> None:
    found = list(_blocks(n))
    assert len(found) == len({tuple(sorted(way)) for way in found}) == ways
    assert all(sorted(s for block in way for s in block) == list(range(n)) for way in found)


def packed(
    inputs: list[list[int]],
    copies: list[int] | None = None,
    *,
    axons: int = 4,
    most: int = 3,
    cut: bool = False,
    site: list[int] | None = None,
) -> list[tuple[list[int], list[int]]]:
    """Neurons that each listen to some slots, one for each input."""
    n_slots = 1 + max((s for own in inputs for s in own), default=0)
    neuron = np.repeat(np.arange(len(inputs)), [len(own) for own in inputs])
    slot = np.array([s for own in inputs for s in own], int)
    wanted = np.ones(len(inputs), int) if copies is None else np.array(copies)
    given = None if site is None else np.array(site)
    keys = np.arange(n_slots)
    found = pack(neuron, slot, keys, wanted, n_slots, axons, most, cut, given)
    return [(core.neurons.tolist(), core.slots.tolist()) for core in found]


def test_neurons_with_the_same_inputs_share_a_core() -> None:
    found = packed([[0, 1, 2], [3, 4, 5], [0, 1, 2], [3, 4, 5]])
    assert found == [([0, 2], [0, 1, 2]), ([1, 3], [3, 4, 5])]


def test_a_core_takes_the_group_that_needs_the_fewest_further_axons() -> None:
    found = packed([[0, 1], [4, 5], [1, 2]], axons=3)
    assert found == [([0, 2], [0, 1, 2]), ([1], [4, 5])]
    # As many axons and neurons as there are, and no more.
    assert packed([[0, 1], [2, 3]], axons=4) == [([0, 1], [0, 1, 2, 3])]
    assert packed([[0, 1], [2, 3]], axons=3) == [([0], [0, 1]), ([1], [2, 3])]


def test_copies_fill_cores() -> None:
    assert packed([[0]], [7]) == [([0, 0, 0], [0])] * 2 + [([0], [0])]
    # A group is cut where a core of its own would not hold it, or where that costs nothing.
    whole = packed([[0], [1]], [2, 2])
    assert whole == [([0, 0], [0]), ([1, 1], [1])]
    cut = packed([[0], [1]], [2, 2], cut=True)
    assert [len(own) for own, _ in cut] == [3, 1]


def test_sites_are_grouped_as_far_as_they_fit() -> None:
    inputs = [[0, 1], [1, 2], [5], [2, 3], [4]]
    found = packed(inputs, site=[0, 0, 1, 0, 1], axons=3, most=9)
    assert sorted(j for own, _ in found for j in own) == list(range(5))
    assert ([0, 1], [0, 1, 2]) in found
    assert all(len(slots) <= 3 for _, slots in found)


def test_cores_and_what_feeds_them() -> None:
    cores = [PackedCore(np.array([0]), np.array([0, 1])), PackedCore(np.array([1]), np.array([2]))]
    key = np.array([0, 1, -1])
    assert cores_and_feeds(cores, key, np.array([True, False]), 4) == 2 + 1 / 4
    assert cores_and_feeds(cores, key, np.array([True, True]), 4) == 2 + 2 / 4


def test_neighbours_are_ranked_along_a_curve() -> None:
    assert compact((2, 2)).tolist() == [0, 1, 2, 3]
    assert compact((4, 4)).reshape(4, 4).tolist() == [
        [0, 1, 4, 5],
        [2, 3, 6, 7],
        [8, 9, 12, 13],
        [10, 11, 14, 15],
    ]
    assert compact((5,)).tolist() == [0, 1, 2, 3, 4]
    assert compact((3, 2)).tolist() == [0, 1, 2, 3, 4, 5]
    assert compact(()).tolist() == [0]
    assert sites((4,)) is None
    assert sites((4, 1, 1)) is None
    found = sites((2, 2, 1))
    assert found is not None
    assert found.tolist() == [0, 1, 0, 1]


def simple(weight: Any) -> Layer:
    values = np.array(weight)
    post, key = np.nonzero(values)
    n = values.shape[1]
    keys = (np.zeros(n, int), np.arange(n))
    return Layer("a", len(values), (AxonSource("x", 1),), post, key, values[post, key], *keys)


def test_units_are_common_factors_that_an_axon_can_have() -> None:
    found = units(simple([[4, -6], [0, 0], [255, 510], [510, 1020], [257, 0]]), LIMITS)
    assert found.tolist() == [2, 1, 255, 255, 1]
    layer = simple([[4, -6], [9, 3]])
    assert in_units(layer, np.array([2, 3])).weight.tolist() == [2, -3, 3, 1]


def test_sums_of_a_cut_by_hand() -> None:
    layer = simple([[2, -1, 3], [-1, -2, 0]])
    cut = cut_layer(layer, np.array([0, 0, 1]), np.array([5, 1]))
    assert cut.sums.tolist() == [[[2, 1], [0, 3]], [[3, 0], [0, 0]]]
    assert (cut.burst, cut.signs, cut.rails.tolist()) == (3, 2, [3, 1])
    assert (cut.rise.tolist(), cut.fall.tolist()) == ([25, 0], [5, 3])
    assert cut_layer(simple([[2, 1]]), np.array([0, 0]), np.array([1])).signs == 1


def test_inputs_are_cut_into_balanced_chunks() -> None:
    layer = simple(np.ones((2, 10), int))
    parts = decompose(layer, LIMITS)
    assert isinstance(parts, Decomposition)
    each, whole = np.arange(10), np.arange(10) // 5

    def cut(axons: int, segment: IntArray, *shares: float) -> list[list[int]]:
        limits = replace(LIMITS, axons=axons)
        found = chunkings(layer, parts, [segment], limits, shares or (1.0,))
        return [np.bincount(chunk).tolist() for chunk in found]

    assert cut(10, each) == [[10]]
    assert cut(9, each) == [[5, 5]]
    assert cut(5, each) == [[5, 5]]
    assert cut(4, each) == [[4, 4, 2]]
    assert cut(10, each, 1.0, 0.5, 0.45) == [[10], [5, 5], [4, 4, 2]]
    assert cut(9, whole) == [[5, 5]]
    # A segment is never cut.
    assert cut(4, whole) == []


def test_channels_are_segments_counted_over_sources() -> None:
    cells = [spike_input("x", 2, 3), spike_input("y", 4), neurons("a", 1, threshold=9)]
    links = [
        project("x", "a", Sparse(np.ones(6, int), np.zeros(6, int), np.arange(6), (2, 3), (1,))),
        project("y", "a", dense(np.ones((1, 4), int))),
    ]
    net = netlist(cells, links)
    channels, single = segmentations(net, extract(net, "a"))
    assert channels.tolist() == [0, 0, 0, 1, 1, 1, 2, 3, 4, 5]
    assert single.tolist() == list(range(10))


def test_synapses_beyond_the_board_are_refused() -> None:
    layer = simple(np.ones((4, 6), int))
    small = replace(LIMITS, axons=2, neurons=3)
    assert size_violation(layer, replace(small, n_cores=4)) is None
    violation = size_violation(layer, replace(small, n_cores=3))
    assert violation is not None
    assert (violation.used, violation.limit) == (4, 3)


def test_destinations_fill_splitters() -> None:
    def filled(counts: list[int], axons: int, most: int) -> list[tuple[list[int], list[int]]]:
        neuron = np.repeat(np.arange(len(counts)), counts)
        zero = np.zeros_like(neuron)
        wanted = Destinations(neuron, ("b",), zero, zero, zero, zero)
        limits = replace(LIMITS, axons=axons, neurons=most)
        found = _fill(wanted, np.arange(neuron.size), limits)
        assert sorted(e for *_, taken in found for e in taken.tolist()) == list(range(neuron.size))
        return [(own.tolist(), relays.tolist()) for own, relays, _ in found]

    assert filled([2, 1], axons=4, most=3) == [([0, 1], [0, 0, 1])]
    assert filled([2, 2], axons=4, most=3) == [([0], [0, 0]), ([1], [0, 0])]
    assert filled([1, 1, 1], axons=2, most=3) == [([0, 1], [0, 1]), ([2], [0])]
    # One that no core can serve fills some.
    assert filled([7], axons=4, most=3) == [([0], [0] * 3)] * 2 + [([0], [0])]
    assert filled([], axons=4, most=3) == []
