"""Cuts that are chosen for something else than the fewest cores."""

from __future__ import annotations

import numpy as np

from neurodeploy.hardware.cut.partition import Preference, partition
from neurodeploy.ir.connectivity import Conv
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Output, Population
from neurodeploy.ir.neurons import Input, IntegerNeuron
from tests.hardware.mapping.boards import board, grid, with_storage

NEURON = IntegerNeuron(np.array(10), np.array(0), np.array(0))
MANY = grid(tiles=(30, 30))


def test_more_cores_where_they_save_packets() -> None:
    window = Window((7, 7), (1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1))
    pointwise = Conv(np.ones((16, 16, 1, 1), dtype=np.int64), 16, window)
    net = IntegerNetlist(
        "pointwise",
        (
            Population("in", (16, 7, 7), Input("spikes", 0, 1)),
            Population("a", (16, 7, 7), NEURON),
        ),
        (IntegerProjection("in", "a", pointwise),),
        (Output("a", "counts"),),
        4,
    )
    on = board(MANY, neurons=49 * 4 + 3)
    spikes = {"in": np.ones((16, 7, 7), dtype=np.int64)}
    fewest = partition(net, on)
    assert fewest.n_cores == 4
    spread = partition(net, on, Preference(slack=2.0, spikes=spikes))
    # Every spike is needed on one core alone where that core has all channels of its position.
    assert spread.tilings["a"].tile[0] == 16
    assert 4 < spread.n_cores <= 8
    assert partition(net, on, Preference(spikes=spikes)).n_cores == 4
    assert partition(net, on, Preference({"a": 6})).n_cores >= 6


def test_the_cut_with_the_fewest_packets_follows_the_spikes() -> None:
    full = Conv(
        np.ones((4, 1, 3, 3), dtype=np.int64),
        1,
        Window((8, 8), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)),
    )
    net = IntegerNetlist(
        "stripes",
        (
            Population("in", (1, 8, 8), Input("spikes", 0, 1)),
            Population("a", (4, 8, 8), NEURON),
        ),
        (IntegerProjection("in", "a", full),),
        (Output("a", "counts"),),
        4,
    )
    on = board(MANY, neurons=128)
    rows, columns = (np.zeros((1, 8, 8), dtype=np.int64) for _ in range(2))
    rows[:, 3:5] = 9
    columns[:, :, 3:5] = 9
    # A cut through the busy stripe doubles its packets; one across it does not.
    assert partition(net, on, Preference(spikes={"in": rows})).tilings["a"].tile == (4, 8, 4)
    assert partition(net, on, Preference(spikes={"in": columns})).tilings["a"].tile == (4, 4, 8)
    by_channels = partition(net, on, Preference(spikes={"in": rows}, by_channels=True))
    assert by_channels.tilings["a"].tile == (2, 8, 8)


def test_a_core_more_can_save_many_of_its_sources() -> None:
    def pointwise(channels_in: int, channels: int) -> Conv:
        window = Window((3, 3), (1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1))
        return Conv(np.ones((channels, channels_in, 1, 1), dtype=np.int64), channels_in, window)

    net = IntegerNetlist(
        "pair",
        (
            Population("in", (1, 3, 3), Input("spikes", 0, 1)),
            Population("a", (60, 3, 3), NEURON),
            Population("b", (50, 3, 3), NEURON),
        ),
        (
            IntegerProjection("in", "a", pointwise(1, 60)),
            IntegerProjection("a", "b", pointwise(60, 50)),
        ),
        (Output("b", "counts"),),
        4,
    )
    on = with_storage(board(MANY, neurons=64, output_axons=30), shared=True, channels=1)
    plain = partition(net, on, Preference())
    best = partition(net, on)
    # 450 neurons of b fill 8 cores of 6 or 7 channels, to all of which every neuron of a sends; on
    # 9 cores of one position each, it sends to one.
    assert plain.tilings["b"].grid[0] > 1
    assert best.tilings["b"].tile == (50, 1, 1)
    assert (plain.n_cores, best.n_cores) == (188, 27)
    for core in best.cores:
        assert core.axons_out <= 30
