from __future__ import annotations

import dataclasses
import functools
import json
import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurodeploy.errors import BoardError, CapacityError, UsageError
from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.boards.loading import load_board
from neurodeploy.hardware.cut.graph.graph_partition import available
from neurodeploy.hardware.cut.partition import partition
from neurodeploy.ir.connectivity import Conv, Dense, Sparse, identity
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Output, Population
from neurodeploy.ir.neurons import Input, IntegerNeuron, MaxPool
from neurodeploy.testing import NetlistBuilder
from tests.conformance.random_netlists import random_netlist
from tests.hardware.mapping.boards import board
from tests.hardware.mapping.expanded import Expanded, held_cells, small_board

ZERO = np.int64(0)


def neuron(threshold: int = 10) -> IntegerNeuron:
    return IntegerNeuron(np.int64(threshold), ZERO, ZERO)


def dense_net(sizes: list[int], bits: int = 8, delay: int | None = None) -> IntegerNetlist:
    populations = [Population("in", (sizes[0],), Input("spikes", 0, 1))]
    projections = []
    for i, n in enumerate(sizes[1:]):
        pre = populations[-1]
        populations.append(Population(f"l{i}", (n,), neuron()))
        weight = np.ones((n, pre.size), dtype=np.int64)
        projections.append(
            IntegerProjection(pre.name, f"l{i}", Dense(weight, pre.shape), delay, weight_bits=bits)
        )
    outputs = (Output(populations[-1].name, "counts"),)
    return IntegerNetlist("dense", tuple(populations), tuple(projections), outputs, 4)


def unshared(board: Board) -> Board:
    assert board.synapses is not None
    return dataclasses.replace(
        board, synapses=dataclasses.replace(board.synapses, shared_convolution=False)
    )


@functools.cache
def drawn(seed: int) -> IntegerNetlist:
    """One of a few random netlists, every other one recurrent: drawing takes its time."""
    return random_netlist(seed % 2 == 1, np.random.default_rng(seed))[0]


@settings(max_examples=60)
@given(
    seed=st.integers(0, 7),
    neurons=st.integers(3, 60),
    axons_in=st.integers(20, 200),
    axons_out=st.integers(3, 120),
    memory=st.integers(2_000, 40_000),
)
def test_every_neuron_once_and_no_limit_exceeded(
    seed: int, neurons: int, axons_in: int, axons_out: int, memory: int
) -> None:
    netlist = drawn(seed)
    board = unshared(
        small_board(
            neurons=neurons,
            input_axons=axons_in,
            output_axons=axons_out,
            synapse_memory_bits=memory,
        )
    )
    try:
        mapping = partition(netlist, board)
    except CapacityError as error:
        # One neuron alone is too much, and the message says for which of the limits.
        if "a single neuron needs" not in str(error):
            raise
        return
    expanded = Expanded(netlist, mapping)
    for population in netlist.populations:
        parts = expanded.neurons.get(population.name, [])
        if isinstance(population.model, Input):
            assert not parts
            continue
        assert sorted(np.concatenate([part for _, part in parts])) == list(range(population.size))
    for core, used in zip(mapping.cores, expanded.usage(board), strict=True):
        assert core.neurons == used["neurons"] <= neurons
        assert core.axons_in == used["input"] <= axons_in
        assert core.axons_out == used["output"] <= axons_out
        assert core.synapse_memory_bits == used["memory"] <= memory


def test_each_limit_alone_forces_more_cores() -> None:
    net = dense_net([20, 30, 30])
    free = {
        "neurons": 1000,
        "input_axons": 1000,
        "output_axons": 1000,
        "synapse_memory_bits": 10**6,
    }
    assert partition(net, small_board(**free)).n_cores == 2
    for name, value, cores in (
        ("neurons", 10, 6),
        ("output_axons", 15, 3),
        # 30 axons of 15 synapses: 15 x 18 + 10 bits are 320; 30 synapses take 576.
        ("synapse_memory_bits", 30 * 320, 4),
    ):
        assert partition(net, small_board(**{**free, name: value})).n_cores == cores, name


def test_input_axons_cut_a_feature_map_into_patches() -> None:
    window = Window((16,), (3,), (1,), ((1, 1),), (1,))
    conv = Conv(np.ones((2, 1, 3), dtype=np.int64), 1, window)
    net = IntegerNetlist(
        "conv",
        (
            Population("in", (1, 16), Input("spikes", 0, 1)),
            Population("a", (2, 16), neuron()),
        ),
        (IntegerProjection("in", "a", conv),),
        (Output("a", "counts"),),
        4,
    )
    mapping = partition(net, small_board(input_axons=10))
    # Patches of 8 see 9 inputs each, both channels on the same core.
    assert mapping.tilings["a"].tile == (2, 8)
    assert [core.axons_in for core in mapping.cores] == [9, 9]


def test_channels_of_a_position_share_axons_where_the_board_says_so() -> None:
    window = Window((8,), (3,), (1,), ((1, 1),), (1,))
    first = Conv(np.ones((6, 2, 3), dtype=np.int64), 2, window)
    net = IntegerNetlist(
        "conv",
        (
            Population("in", (2, 8), Input("spikes", 0, 1)),
            Population("a", (6, 8), neuron()),
            Population("b", (4, 8), neuron()),
        ),
        (
            IntegerProjection("in", "a", first),
            IntegerProjection("a", "b", Conv(np.ones((4, 6, 3), dtype=np.int64), 6, window)),
        ),
        (Output("b", "counts"),),
        4,
    )
    data = small_board(neurons=24).to_dict()
    data["synapses"] |= {"channels_per_axon": 4, "shared_axon_slots": 2}
    mapping = partition(net, Board.from_dict(data))
    # Both channels of the input's 5 positions beside each core take one axon. Six channels of a
    # position take two, of two entries each, to one core or, at the border, to both.
    assert mapping.tilings["a"].tile == (6, 4)
    assert [core.axons_in for core in mapping.cores][:2] == [5, 5]
    assert mapping.tilings["b"].tile == (4, 4)
    assert [core.axons_out for core in mapping.cores][:2] == [2 * 2 * 5, 2 * 2 * 5]
    assert any("up to 4 channels of a position" in note for note in mapping.assumptions)


@pytest.mark.parametrize("kind", ["spikes", "current"])
@pytest.mark.parametrize("channels", [2, 4])
def test_channels_that_have_to_share_axons_lie_together(kind: Any, channels: int) -> None:
    """Of what the host writes no cut has input axons: any was taken, and the next layer refused."""
    shape = (channels, 64, 64)
    b = NetlistBuilder(T=2).input("x", (1, 64, 64), kind=kind)
    b.conv(channels, padding=1, threshold=9, reset="zero", name="c")
    b.layer(Dense(np.ones((2, math.prod(shape)), int), shape), threshold=9, reset="zero")
    # Apart there are twice and four times as many axons as a core takes.
    assert partition(b.output(), load_board("loihi1")).n_cores == {2: 9, 4: 17}[channels]


def test_the_memory_of_large_cores_is_no_overflow() -> None:
    b = NetlistBuilder().input("x", (1, 4, 4)).conv(2, threshold=9, reset="zero")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        partition(b.output(), board(synapse_memory_bits=2**31 - 1))


def test_cores_are_placed_in_row_column_order() -> None:
    mapping = partition(dense_net([4, 40]), small_board(neurons=2))
    assert [(c.chip, c.x, c.y) for c in mapping.cores[:6]] == [(0, 0, 0)] * 4 + [(0, 0, 1)] * 2
    assert mapping.cores[19].y == 0
    assert mapping.cores[19].x == 1


def test_several_chips_are_used_where_the_board_has_them() -> None:
    mapping = partition(dense_net([4, 300]), small_board(chips=3, neurons=1))
    assert (mapping.n_cores, mapping.n_chips) == (300, 3)
    assert mapping.positions()[128].tolist() == [8, 0]


def test_a_pool_holds_its_accumulators() -> None:
    window = Window((6, 6), (2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1))
    pooled = Population("p", (2, 3, 3), MaxPool(2, window))
    net = IntegerNetlist(
        "pool",
        (Population("in", (2, 6, 6), Input("spikes", 0, 1)), pooled),
        (IntegerProjection("in", "p", identity((2, 6, 6)), weight_bits=2),),
        (Output("p", "counts"),),
        4,
    )
    mapping = partition(net, small_board(neurons=45))
    assert [core.neurons for core in mapping.cores] == [45, 45]
    assert [core.axons_in for core in mapping.cores] == [36, 36]
    assert any("p: max-pooling costed" in note for note in mapping.assumptions)
    assert held_cells(pooled, np.array([0])).tolist() == [0, 1, 6, 7]


def test_current_input_takes_no_axons_and_the_mapping_says_so() -> None:
    net = dense_net([4, 3])
    current = Population("in", (4,), Input("current", 0, 255))
    net = dataclasses.replace(net, populations=(current, *net.populations[1:]))
    mapping = partition(net, load_board("loihi1"))
    assert mapping.cores[0].axons_in == mapping.cores[0].synapse_memory_bits == 0
    assert any(note.startswith("in: current input") for note in mapping.assumptions)


REFUSED: list[tuple[dict[str, int], str]] = [
    ({"input_axons": 19}, r"l0: a single neuron needs 20 input axons, a core of board loihi1 has"),
    ({"synapse_memory_bits": 1279}, r"l0: a single neuron needs 1280 bits of synapse memory"),
    ({"output_axons": 4, "neurons": 1}, r"l0: a single neuron needs 5 output axons"),
]


@pytest.mark.parametrize(("limits", "message"), REFUSED)
def test_a_neuron_that_does_not_fit_is_refused(limits: dict[str, int], message: str) -> None:
    with pytest.raises(CapacityError, match=message) as caught:
        partition(dense_net([20, 3, 5]), small_board(**limits))
    assert "; " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_too_few_cores_names_the_layer() -> None:
    with pytest.raises(
        CapacityError,
        match=r"dense: 310 cores exceed 256 of board loihi1 \(most by l1: 300\)",
    ):
        partition(dense_net([4, 10, 300]), small_board(chips=2, neurons=1))


def test_widths_and_delays_of_the_board() -> None:
    with pytest.raises(CapacityError, match=r"in->l0: weight bits 12 exceeds 9 of board loihi1"):
        partition(dense_net([4, 3], bits=12), load_board("loihi1"))
    with pytest.raises(CapacityError, match=r"in->l0: delay 63 exceeds 62 of board loihi1"):
        partition(dense_net([4, 3], delay=63), load_board("loihi1"))


def test_crossbar_boards_are_not_partitioned() -> None:
    with pytest.raises(UsageError, match="board truenorth: crossbar cores"):
        partition(dense_net([4, 3]), load_board("truenorth"))


def test_unknown_limits_are_named_not_checked() -> None:
    mapping = partition(dense_net([4, 3]), load_board("loihi2"))
    assert "input axons not checked: unknown for this board" in mapping.assumptions
    assert mapping.cores[0].utilization(mapping.board)["input_axons"] is None


def test_a_cycle_of_populations_is_cut_until_its_output_axons_fit() -> None:
    shape = (12,)
    full = Dense(np.ones((12, 12), dtype=np.int64), shape)
    net = IntegerNetlist(
        "loop",
        (
            Population("in", shape, Input("spikes", 0, 1)),
            Population("a", shape, neuron()),
            Population("b", shape, neuron()),
        ),
        (
            IntegerProjection("in", "a", full),
            IntegerProjection("a", "b", full),
            IntegerProjection("b", "a", full, 1),
            IntegerProjection("a", "a", full, 1),
        ),
        (Output("a", "counts"),),
        4,
    )
    board = unshared(small_board(neurons=6, output_axons=20))
    mapping = partition(net, board)
    for core, used in zip(mapping.cores, Expanded(net, mapping).usage(board), strict=True):
        assert core.axons_out == used["output"] <= 20


def test_mapping_as_json() -> None:
    mapping = partition(dense_net([4, 20, 3]), small_board(neurons=10))
    data: dict[str, Any] = json.loads(json.dumps(mapping.to_dict()))
    assert data["chips"] == 1
    assert [core["slices"] for core in data["cores"]] == [
        [{"population": "l0", "ranges": [[0, 10]]}],
        [{"population": "l0", "ranges": [[10, 20]]}],
        [{"population": "l1", "ranges": [[0, 3]]}],
    ]
    assert data["cores"][0]["utilization"]["neurons"] == 1.0
    assert data["lower_bound"] == 3
    assert data["layers"][0] | {"utilization": None} == {
        "population": "l0",
        "cores": 2,
        "lower_bound": 2,
        "bounds": {"neurons": 2, "synapse_memory_bits": 1, "input_axons": 1, "output_axons": 1},
        "binding": "neurons",
        "utilization": None,
        "advice": "at its lower bound; more neurons a core would help",
    }
    assert data["layers"][1]["advice"] == "nothing: it takes one core"


def test_partition_is_deterministic() -> None:
    netlist, _ = drawn(2), None
    board = small_board(neurons=7)
    assert partition(netlist, board).to_dict() == partition(netlist, board).to_dict()


def test_a_board_without_neuron_limit_cannot_be_built() -> None:
    data = load_board("loihi1").to_dict()
    del data["limits"]["neurons"]
    with pytest.raises(BoardError, match=r"limits\.neurons: missing"):
        Board.from_dict(data)


def test_sparse_projection_counts_its_own_synapses() -> None:
    pairs = Sparse(np.array([1, 2, 3]), np.array([0, 5, 5]), np.array([0, 0, 1]), (2,), (6,))
    net = IntegerNetlist(
        "sparse",
        (Population("in", (2,), Input("spikes", 0, 1)), Population("a", (6,), neuron())),
        (IntegerProjection("in", "a", pairs),),
        (Output("a", "counts"),),
        4,
    )
    mapping = partition(net, small_board(neurons=3))
    # The two neurons with synapses share an axon, and so a core where a partitioner is installed.
    assert [core.axons_in for core in mapping.cores] == ([2, 0] if available() else [1, 2])
