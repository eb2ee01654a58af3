"""Closed forms against counting every synapse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurodeploy.hardware.boards.records import SynapseFormat
from neurodeploy.hardware.cut.axons import AxonSharing
from neurodeploy.hardware.cut.reach import merge, reach
from neurodeploy.hardware.cut.tiling import Tiling
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, Sparse, SumPool
from neurodeploy.ir.geometry import Window

WORDS = SynapseFormat(10, 0, 4, 10, 64, False, "assumed", "a test")
SHARED = SynapseFormat(10, 0, 4, 10, 64, True, "assumed", "a test")


@st.composite
def connectivities(draw: Any) -> Connectivity:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["dense", "conv", "sumpool", "sparse"]))
    n_axes = draw(st.integers(1, 2))
    size = tuple(draw(st.integers(2, 7)) for _ in range(n_axes))
    channels = draw(st.integers(1, 4))
    if kind == "dense":
        shape = (channels, *size)
        return Dense(rng.integers(-3, 4, (draw(st.integers(1, 9)), int(np.prod(shape)))), shape)
    if kind == "sparse":
        pre, post = (channels, *size), (draw(st.integers(1, 4)), *size)
        n = int(np.prod(pre)) * int(np.prod(post))
        chosen = rng.choice(n, size=draw(st.integers(0, min(n, 60))), replace=False)
        return Sparse(
            rng.integers(-3, 4, chosen.size),
            chosen // int(np.prod(pre)),
            chosen % int(np.prod(pre)),
            pre,
            post,
        )
    kernel = tuple(draw(st.integers(1, min(3, n))) for n in size)
    dilation = tuple(
        draw(st.integers(1, 2)) if 2 * (k - 1) + 1 <= n else 1
        for k, n in zip(kernel, size, strict=True)
    )
    stride = tuple(draw(st.integers(1, 3)) for _ in size)
    padding = tuple((draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in size)
    spacing = tuple(draw(st.sampled_from([1, 1, 2, 3])) for _ in size)
    window = Window(size, kernel, stride, padding, dilation, spacing)
    if kind == "sumpool":
        return SumPool(rng.integers(1, 4, channels), window)
    groups = draw(st.sampled_from([g for g in (1, 2, 4) if channels % g == 0]))
    out = groups * draw(st.integers(1, 3))
    return Conv(rng.integers(-3, 4, (out, channels // groups, *kernel)), channels, window, groups)


def _tiling(draw: Any, shape: tuple[int, ...]) -> Tiling:
    return Tiling(shape, tuple(draw.draw(st.integers(1, n)) for n in shape))


def shared_axons(
    connectivity: Connectivity, fan_out: Any, source: Tiling, channels: int
) -> tuple[Any, Any]:
    """Axons into every target box and out of every source box, neuron by neuron."""
    owner, reached = source.tile_of(), fan_out > 0
    entering, leaving = np.zeros(reached.shape[1], int), np.zeros(source.n_tiles, int)
    n_channels = connectivity.pre_shape[0]
    positions = reached.shape[0] // n_channels
    for position in range(positions):
        run, last = 0, None
        for channel in range(n_channels):
            i = channel * positions + position
            # A new axon where the core or the destinations change, or where one is full.
            shared = (
                last is not None and owner[last] == owner[i] and (reached[last] == reached[i]).all()
            )
            run, last = (run + 1 if shared else 0), i
            if run % channels == 0 or isinstance(connectivity, Sparse):
                entering += reached[i]
                leaving[owner[i]] += reached[i].sum()
    return entering, leaving


@settings(max_examples=120)
@given(st.data())
def test_reach_counts_every_synapse(data: Any) -> None:
    connectivity = data.draw(connectivities())
    tiling = _tiling(data, connectivity.post_shape)
    source = _tiling(data, connectivity.pre_shape)
    found = reach(connectivity, [tiling.intervals(i) for i in range(len(tiling.shape))])
    post, pre, _ = connectivity.to_coo()
    n_pre = int(np.prod(connectivity.pre_shape))
    fan_out = np.zeros((n_pre, tiling.n_tiles), dtype=np.int64)
    np.add.at(fan_out, (pre, tiling.tile_of()[post]), 1)
    spikes = np.random.default_rng(0).integers(0, 5, (2, 3, *connectivity.pre_shape))
    flat = spikes.reshape(2, 3, n_pre)
    assert found.n_tiles == tiling.n_tiles
    np.testing.assert_array_equal(found.synops(spikes), flat @ fan_out)
    np.testing.assert_array_equal(found.packets(spikes), flat @ (fan_out > 0))
    np.testing.assert_array_equal(
        found.destinations(), (fan_out > 0).sum(axis=1).reshape(connectivity.pre_shape)
    )
    between = np.zeros((source.n_tiles, tiling.n_tiles), dtype=np.int64)
    np.add.at(between, source.tile_of(), flat[0, 0][:, None] * (fan_out > 0))
    for given_spikes, expected in ((spikes[0, 0], between), (None, None)):
        if expected is None:
            expected = np.zeros_like(between)
            np.add.at(expected, source.tile_of(), (fan_out > 0).astype(np.int64))
        flow = found.flow(given_spikes, source)
        dense = np.zeros_like(between)
        dense[flow.source, flow.target] = flow.packets
        np.testing.assert_array_equal(dense, expected)
        assert np.unique(flow.source * tiling.n_tiles + flow.target).size == flow.source.size
    for channels, slots in ((1, 1), (2, 3)):
        sharing = AxonSharing(channels, source.tile[0], slots)
        entering, leaving = shared_axons(connectivity, fan_out, source, channels)
        _, alone = shared_axons(connectivity, fan_out, source, 1)
        if (leaving < alone).any():
            leaving = leaving * slots
        np.testing.assert_array_equal(found.input_axons(sharing), entering)
        np.testing.assert_array_equal(found.output_axons(source, sharing), leaving)
    stored = [[WORDS.bits_per_axon(int(n), 5) for n in column] for column in fan_out.T]
    np.testing.assert_array_equal(found.memory_bits(WORDS, 5), np.sum(stored, axis=1))
    # A shared kernel never takes more than the expanded one, nor less than one axon.
    shared = found.memory_bits(SHARED, 5)
    assert (shared <= found.memory_bits(WORDS, 5)).all()
    assert ((shared > 0) == (fan_out.sum(axis=0) > 0)).all()


def test_shared_kernel_is_stored_once_per_border_pattern() -> None:
    window = Window((8,), (3,), (1,), ((1, 1),), (1,))
    conv = Conv(np.ones((2, 1, 3), dtype=np.int64), 1, window)
    found = reach(conv, [((0, 2),), ((0, 8),)])
    # Inner cells meet three kernel cells (6 synapses), the two borders two each (4 synapses).
    expected = SHARED.bits_per_axon(6, 8) + 2 * SHARED.bits_per_axon(4, 8)
    assert found.memory_bits(SHARED, 8).tolist() == [expected]
    expanded = 6 * WORDS.bits_per_axon(6, 8) + 2 * WORDS.bits_per_axon(4, 8)
    assert found.memory_bits(WORDS, 8).tolist() == [expanded]


def test_a_cell_held_by_two_cores_is_reached_twice() -> None:
    identity = Sparse(np.ones(4, dtype=np.int64), np.arange(4), np.arange(4), (1, 4), (1, 4))
    found = reach(identity, [((0, 1),), ((0, 3), (2, 4))])
    assert found.input_axons(AxonSharing()).tolist() == [3, 2]
    assert found.destinations().tolist() == [[1, 1, 2, 1]]
    assert found.synops(np.array([[0, 0, 7, 1]])).tolist() == [7, 8]


def test_two_projections_between_the_same_cores_share_their_packets() -> None:
    shape = (3,)
    one = Sparse(np.array([1]), np.array([0]), np.array([0]), shape, shape)
    two = Dense(np.ones((3, 3), dtype=np.int64), shape)
    cut = [((0, 2), (2, 3))]
    spikes = np.array([5, 0, 1])
    merged = merge([reach(one, cut), reach(two, cut)])
    assert merged.packets(spikes).tolist() == [6, 6]
    assert merge([reach(one, cut)]).packets(spikes).tolist() == [5, 0]


@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 5, 3)])
def test_tiling_covers_every_neuron_once(shape: tuple[int, ...]) -> None:
    tiling = Tiling(shape, tuple(min(2, n) for n in shape))
    tile_of = tiling.tile_of().reshape(shape)
    for tile, box in enumerate(tiling.boxes()):
        inside = np.zeros(shape, dtype=bool)
        inside[tuple(slice(a, b) for a, b in box)] = True
        np.testing.assert_array_equal(inside, tile_of == tile)
    values = np.arange(2 * np.prod(shape)).reshape(2, *shape)
    sums = [values.reshape(2, -1)[:, tiling.tile_of() == t].sum(1) for t in range(tiling.n_tiles)]
    np.testing.assert_array_equal(tiling.sum_by_tile(values), np.transpose(sums))
