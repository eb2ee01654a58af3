"""Maxima of weighted input: what goes before such a pool, by hand."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from neurodeploy.ir.connectivity import Conv, Dense, Sparse, identity
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import Output, Population, RealNetlist, RealProjection
from neurodeploy.ir.neurons import Input, MaxPool, RealNeuron
from neurodeploy.quantization.input_statistics import Heard
from neurodeploy.quantization.pooled_currents import in_levels
from tests.quantization.netlists import neuron

CELLS = Window((4,), (1,), (1,), ((0, 0),), (1,))
PAIRS = Window((4,), (2,), (2,), ((0, 0),), (1,))
WEIGHT = np.array([[[2.0], [-0.7]], [[0.7], [0.0]], [[0.0], [0.0]]])


def network(connectivity: Any, rule: Any = "now", low: int = -3, high: int = 1) -> RealNetlist:
    """An input of 2 x 4, a pool of 3 x 4 in pairs, and what hears it."""
    hears = Dense(np.arange(12.0).reshape(2, 6), (3, 2))
    populations = (
        Population("x", (2, 4), Input("spikes", low, high)),
        Population("pool", (3, 2), MaxPool(3, PAIRS, rule, signed=low < 0)),
        Population("out", (2,), neuron(1.0)),
    )
    into = (RealProjection("x", "pool", connectivity), RealProjection("pool", "out", hears))
    return RealNetlist("net", populations, into, (Output("out", "counts"),), 8)


def made(netlist: RealNetlist, bits: int = 3, **emitted: Any) -> tuple[RealNetlist, Heard, Any]:
    found, heard = in_levels(netlist, Heard(emitted), lambda name: bits if name == "pool" else 99)
    before = found.by_name["pool.current"].model
    assert isinstance(before, RealNeuron)
    return found, heard, before


def test_levels_are_halves_of_the_steps_of_the_grid() -> None:
    netlist = network(Conv(WEIGHT, 2, CELLS))
    _, _, before = made(netlist)
    # Three steps, six levels up to the largest weight; a channel without weights has any.
    np.testing.assert_allclose(before.threshold, np.array([2.0, 0.7, 1.0]) / 6)
    np.testing.assert_allclose(before.negative_threshold, before.threshold)
    np.testing.assert_allclose(before.bias, before.threshold / 2)
    assert (before.reset, before.membrane_decay, before.initial_membrane) == ("zero", 1.0, 0.0)
    # 3 2.0 + 3 0.7 at most, 8.1 in levels of a third: 25 of them, and one more.
    assert before.payload_max == 26


def test_a_list_has_the_same_levels() -> None:
    conv = Conv(WEIGHT, 2, CELLS)
    post, pre, weight = conv.to_coo()
    listed = Sparse(weight, post, pre, conv.pre_shape, conv.post_shape)
    first, second = made(network(conv))[2], made(network(listed))[2]
    np.testing.assert_allclose(first.threshold, second.threshold)
    assert first.payload_max == second.payload_max


def test_cells_of_a_list_share_the_level_of_their_channel() -> None:
    post, pre = np.array([1, 7, 8]), np.array([2, 0, 3])
    listed = Sparse(np.array([-0.3, 1.5, 0.9]), post, pre, (2, 4), (3, 4))
    np.testing.assert_allclose(made(network(listed))[2].threshold, np.array([0.3, 1.5, 0.9]) / 6)


def test_two_branches_have_the_level_of_the_larger_one() -> None:
    netlist = network(Conv(WEIGHT, 2, CELLS))
    other = RealProjection("x", "pool", Conv(WEIGHT[::-1] * 0.6, 2, CELLS))
    two = dataclasses.replace(netlist, projections=(*netlist.projections, other))
    _, _, before = made(two)
    np.testing.assert_allclose(before.threshold, np.array([2.0, 0.7, 1.2]) / 6)
    # The second has most: 3 (0.7 + 0.42) = 3.36, in levels of 0.7 / 6 it is 28.8.
    assert before.payload_max == 30


def test_what_hears_the_pool_counts_levels_and_so_do_its_emissions() -> None:
    netlist = network(Conv(WEIGHT, 2, CELLS))
    emissions = np.arange(6.0).reshape(1, 3, 2)
    found, heard, before = made(netlist, pool=emissions, x=np.ones((1, 2, 4)))
    level = before.threshold[:, None]
    np.testing.assert_allclose(heard.emissions["pool"], emissions / level)
    assert heard.emissions["x"].sum() == 8
    into, out, between = found.projections
    assert [(q.pre, q.post) for q in found.projections] == [
        ("x", "pool.current"),
        ("pool", "out"),
        ("pool.current", "pool"),
    ]
    np.testing.assert_array_equal(into.connectivity.weight, WEIGHT)
    expected = np.arange(12.0).reshape(2, 3, 2) * level
    np.testing.assert_allclose(out.connectivity.weight, expected.reshape(2, 6))
    assert between.connectivity == identity((3, 4), 1.0)
    pool = found.by_name["pool"].model
    assert isinstance(pool, MaxPool)
    assert pool.signed
    assert [p.name for p in found.populations] == ["x", "pool.current", "pool", "out"]


def test_the_name_is_one_that_nobody_has() -> None:
    netlist = network(Conv(WEIGHT, 2, CELLS))
    taken = Population("pool.current", (2, 4), Input("spikes", 0, 1))
    more = dataclasses.replace(netlist, populations=(taken, *netlist.populations))
    found, _ = in_levels(more, Heard(), lambda name: 4)
    names = [p.name for p in found.populations]
    assert names == ["pool.current", "x", "pool.current_", "pool", "out"]


def test_pools_that_need_no_levels_stay() -> None:
    ones = Conv(np.array([[[2.0], [-1.0]]] * 3), 2, CELLS)
    for netlist in (network(ones), network(Conv(np.abs(WEIGHT), 2, CELLS), "maximum", low=0)):
        heard = Heard()
        found = in_levels(netlist, heard, lambda name: 4)
        assert found == (netlist, heard)


def test_neurons_send_as_much_as_their_payload() -> None:
    netlist = network(Conv(WEIGHT, 2, CELLS))
    for model, payload in ((neuron(1.0, payload_max=2), 17), (neuron(1.0), 10)):
        between = Population("h", (2, 4), model)
        into = RealProjection("x", "h", identity((2, 4), 1.0))
        first, second = netlist.projections
        more = dataclasses.replace(
            netlist,
            populations=(*netlist.populations, between),
            projections=(into, dataclasses.replace(first, pre="h"), second),
        )
        # 2.7 a spike, in levels of a third: 8.1, and of two 16.2.
        assert made(more)[2].payload_max == payload + (payload == 17)
