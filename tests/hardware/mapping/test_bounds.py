"""Lower bounds against every box there is."""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurodeploy.errors import CapacityError
from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.cut import intervals
from neurodeploy.hardware.cut.axons import AxonSharing
from neurodeploy.hardware.cut.bounds import layer_bounds
from neurodeploy.hardware.cut.demand import Demand
from neurodeploy.hardware.cut.partition import partition
from neurodeploy.hardware.cut.reach import reach
from neurodeploy.hardware.cut.tiling import Tiling
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, Sparse, SumPool
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Output, Population
from neurodeploy.ir.neurons import Input, IntegerNeuron
from tests.conformance.random_netlists import random_netlist
from tests.hardware.mapping.boards import board, grid, with_storage

ZERO = np.int64(0)
MANY = grid(tiles=(300, 300))


def one_layer(connectivity: Connectivity) -> IntegerNetlist:
    post = Population("a", connectivity.post_shape, IntegerNeuron(np.int64(5), ZERO, ZERO))
    pre = Population("in", connectivity.pre_shape, Input("spikes", 0, 1))
    return IntegerNetlist(
        "one",
        (pre, post),
        (IntegerProjection("in", "a", connectivity),),
        (Output("a", "counts"),),
        4,
    )


def largest_box(connectivity: Connectivity, on: Board) -> int:
    """Neurons of the largest box that fits a core, of all boxes."""
    assert on.synapses is not None
    shape = connectivity.post_shape
    axes = [[(a, b) for a in range(n) for b in range(a + 1, n + 1)] for n in shape]
    most = 0
    for box in itertools.product(*axes):
        size = math.prod(b - a for a, b in box)
        if size <= most or size > on.require_limit("neurons"):
            continue
        found = reach(connectivity, [(interval,) for interval in box])
        axons = found.input_axons(AxonSharing(on.synapses.channels_per_axon, None))
        bits = found.memory_bits(on.synapses, 8)
        if axons.max() <= on.require_limit("input_axons") and bits.max() <= on.require_limit(
            "synapse_memory_bits"
        ):
            most = size
    return most


@st.composite
def connectivities(draw: st.DrawFn) -> Connectivity:
    kind = draw(st.sampled_from(["conv", "grouped", "pool", "dense"]))
    if kind == "dense":
        n = draw(st.integers(1, 30))
        return Dense(np.ones((n, 12), dtype=np.int64), (3, 2, 2))
    sizes = st.integers(2, 6)
    size = (draw(sizes), draw(sizes))
    kernel = tuple(draw(st.integers(1, min(3, s))) for s in size)
    stride = (draw(st.integers(1, 3)), draw(st.integers(1, 2)))
    padding = tuple((draw(st.integers(0, 1)), draw(st.integers(0, 1))) for _ in size)
    spacing = draw(st.sampled_from([(1, 1), (1, 1), (2, 2), (1, 3)])) if max(size) < 5 else ()
    window = Window(size, kernel, stride, padding, (1, 1), spacing)
    if kind == "pool":
        return SumPool(np.ones(draw(st.integers(1, 5)), dtype=np.int64), window)
    groups = 2 if kind == "grouped" else 1
    channels_in, channels_out = groups * draw(st.integers(1, 3)), groups * draw(st.integers(1, 3))
    weight = np.ones((channels_out, channels_in // groups, *kernel), dtype=np.int64)
    return Conv(weight, channels_in, window, groups)


@settings(max_examples=80)
@given(
    connectivity=connectivities(),
    neurons=st.integers(2, 40),
    memory=st.sampled_from([500, 1500, 4000, 10**6]),
    axons=st.sampled_from([12, 30, 4096]),
    shared=st.booleans(),
    channels=st.sampled_from([1, 2, 1024]),
)
def test_no_box_is_larger_than_the_bound_says(
    connectivity: Connectivity, neurons: int, memory: int, axons: int, shared: bool, channels: int
) -> None:
    on = with_storage(
        board(MANY, neurons=neurons, synapse_memory_bits=memory, input_axons=axons),
        shared=shared,
        channels=channels,
    )
    netlist = one_layer(connectivity)
    bound = layer_bounds(netlist, on)["a"]
    largest = largest_box(connectivity, on)
    size = math.prod(connectivity.post_shape)
    if largest:
        assert bound.cores <= -(-size // largest)
    try:
        cores = partition(netlist, on).n_cores
    except CapacityError as error:
        # Elsewhere on the map a single neuron can need more than the largest box.
        if "a single neuron needs" not in str(error):
            raise
        return
    assert largest
    assert cores >= bound.cores


@functools.cache
def drawn(seed: int) -> IntegerNetlist:
    return random_netlist(seed % 2 == 1, np.random.default_rng(seed))[0]


@settings(max_examples=40)
@given(
    seed=st.integers(0, 7),
    neurons=st.integers(3, 60),
    axons_out=st.integers(3, 120),
    memory=st.integers(2_000, 40_000),
    channels=st.sampled_from([1, 4]),
)
def test_no_partition_takes_fewer_cores(
    seed: int, neurons: int, axons_out: int, memory: int, channels: int
) -> None:
    on = with_storage(
        board(MANY, neurons=neurons, output_axons=axons_out, synapse_memory_bits=memory),
        shared=True,
        channels=channels,
    )
    try:
        mapping = partition(drawn(seed), on)
    except CapacityError:
        return
    for layer in mapping.layers():
        assert 1 <= layer.lower_bound <= layer.cores
        assert layer.lower_bound >= max(b for b in layer.bounds.values() if b is not None)
    assert mapping.lower_bound == sum(layer.lower_bound for layer in mapping.layers())


def test_a_long_axis_is_bounded_as_a_short_one() -> None:
    def bound(length: int) -> int:
        window = Window((length,), (5,), (1,), ((2, 2),), (1,))
        conv = Conv(np.ones((4, 2, 5), dtype=np.int64), 2, window)
        on = board(MANY, neurons=40, synapse_memory_bits=2000)
        return layer_bounds(one_layer(conv), on)["a"].cores

    per_position = bound(600) / 600
    assert bound(6000) == pytest.approx(6000 * per_position, rel=0.01)


def test_each_limit_has_its_own_bound() -> None:
    on = board(MANY, neurons=16, synapse_memory_bits=20 * 320, input_axons=30)
    bound = layer_bounds(one_layer(Dense(np.ones((64, 20), dtype=np.int64), (20,))), on)["a"]
    # 20 axons of 15 synapses: 15 x 18 + 10 bits are 320 with rounding; 17 take 384.
    assert bound.by_resource["neurons"] == 4
    assert bound.by_resource["synapse_memory_bits"] == 4
    assert bound.by_resource["input_axons"] == 1
    assert bound.cores == 4
    tight = layer_bounds(
        one_layer(Dense(np.ones((64, 20), dtype=np.int64), (20,))),
        board(MANY, neurons=16, synapse_memory_bits=20 * 192),
    )["a"]
    # 10 synapses are 190 bits: 192.
    assert tight.cores == tight.by_resource["synapse_memory_bits"] == 7


def test_listed_synapses_are_not_bounded_by_boxes() -> None:
    shape, n = (4, 4, 4), 64
    pre = np.repeat(np.arange(n), 2)
    post = (pre + np.tile([1, 2], n)) % n
    ring = Sparse(np.ones(2 * n, dtype=np.int64), post, pre, shape, shape)
    on = board(MANY, neurons=13)
    mapping = partition(one_layer(ring), on)
    # The largest box within 13 neurons has 12, but any 13 neurons may share a core.
    assert mapping.bounds["a"].cores == 5 <= mapping.n_cores


def test_output_axons_bound_a_layer_that_feeds_many_cores() -> None:
    window = Window((8, 8), (1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1))
    identity = SumPool(np.ones(1, dtype=np.int64), window)
    full = Dense(np.ones((40, 64), dtype=np.int64), (1, 8, 8))
    neuron = IntegerNeuron(np.int64(5), ZERO, ZERO)
    net = IntegerNetlist(
        "fan",
        (
            Population("in", (1, 8, 8), Input("spikes", 0, 1)),
            Population("a", (1, 8, 8), neuron),
            Population("b", (40,), neuron),
        ),
        (IntegerProjection("in", "a", identity), IntegerProjection("a", "b", full)),
        (Output("b", "counts"),),
        4,
    )
    on = board(MANY, neurons=10, output_axons=16)
    mapping = partition(net, on)
    # b takes 4 cores of 10 neurons, so 16 output axons serve 4 neurons of a.
    assert mapping.bounds["a"].by_resource["output_axons"] == 16
    assert mapping.bounds["a"].cores == 16 == len(mapping.cores_of("a"))
    layer = mapping.layers()[0]
    assert layer.binding == "output_axons"
    assert "fewer cores in the layers that it feeds" in layer.advice


@settings(max_examples=60)
@given(
    size=st.integers(1, 14) | st.integers(40, 60),
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    apart=st.sampled_from([1, 1, 2, 3]),
    longest=st.sampled_from([3, 100]),
)
def test_intervals_need_the_least_of_all_their_places(
    size: int,
    kernel: int,
    stride: int,
    dilation: int,
    padding: tuple[int, int],
    apart: int,
    longest: int,
) -> None:
    if (size - 1) * apart + 1 + sum(padding) < dilation * (kernel - 1) + 1:
        return
    window = Window((size,), (kernel,), (stride,), (padding,), (dilation,), (apart,))
    n = min(longest, window.output_size[0])
    expected: dict[str, list[int]] = {"shared": [], "synapses": [], "sources": [], "span": []}
    for length in range(1, n + 1):
        found: dict[str, list[int]] = {name: [] for name in expected}
        for start in range(window.output_size[0] - length + 1):
            met: dict[int, set[int]] = {}
            for output in range(start, start + length):
                for cell in range(kernel):
                    source, between = divmod(output * stride + cell * dilation - padding[0], apart)
                    if 0 <= source < size and not between:
                        met.setdefault(source, set()).add(cell)
            patterns = {frozenset(cells) for cells in met.values()}
            found["shared"].append(sum(len(cells) for cells in patterns))
            found["synapses"].append(sum(len(cells) for cells in met.values()))
            found["sources"].append(len(met))
            found["span"].append(max(met) - min(met) + 1 if met else 0)
        for name, values in found.items():
            expected[name].append(min(values))
    assert intervals.stored_synapses(window, 0, n, True).tolist() == expected["shared"]
    assert intervals.stored_synapses(window, 0, n, False).tolist() == expected["synapses"]
    assert intervals.sources_met(window, 0, n).tolist() == expected["sources"]
    assert intervals.sources_spanned(window, 0, n).tolist() == expected["span"]
    silent = Conv(np.ones((1, 1, kernel)), 1, window).fan_out() == 0
    assert intervals.meets_nothing(window, 0) is bool(silent.any())


def test_a_source_behind_the_last_window_of_a_long_axis_is_seen() -> None:
    window = Window((33,), (3,), (2,), ((3, 0),), (1,))
    assert intervals.meets_nothing(window, 0)
    assert not intervals.meets_nothing(Window((32,), (3,), (2,), ((3, 0),), (1,)), 0)


def test_axons_of_groups_are_those_of_all_groups_reached() -> None:
    window = Window((6, 6), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1))
    on = with_storage(board(MANY, input_axons=72), shared=True, channels=1)
    depthwise = SumPool(np.ones(8, dtype=np.int64), window)
    bound = layer_bounds(one_layer(depthwise), on)["a"]
    # 36 source positions of each channel: boxes of the whole map have two channels.
    assert bound.by_resource["input_axons"] == 4
    pairs = Conv(np.ones((8, 2, 3, 3), dtype=np.int64), 8, window, 4)
    bound = layer_bounds(one_layer(pairs), on)["a"]
    # Two sources for every two channels: again one group, or two channels.
    assert bound.by_resource["input_axons"] == 4


def test_a_cut_of_listed_synapses_that_is_passed_over_does_not_fit() -> None:
    rng = np.random.default_rng(4)
    post, pre = np.nonzero(rng.random((48, 40)) < 0.5)
    listed = Sparse(np.ones(post.size, dtype=np.int64), post, pre, (4, 10), (3, 4, 4))
    netlist = one_layer(listed)
    on = board(MANY, neurons=64, synapse_memory_bits=12_000)
    demand = Demand(netlist, netlist.by_name["a"], on)
    tilings = [Tiling((3, 4, 4), t) for t in itertools.product((1, 2, 3), (1, 2, 4), (1, 2, 4))]
    fits = {t: demand.usage(t).excess(on) is None for t in tilings}
    passed_over = {t for t in tilings if not demand.may_fit(t)}
    assert passed_over
    assert not any(fits[t] for t in passed_over)
    assert any(fits.values())
