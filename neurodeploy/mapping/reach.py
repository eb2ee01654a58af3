"""Which cores a spike reaches, and with how many synapses: closed forms per projection.

For dense, convolutional and pooling maps the synapses from source neuron (c, y, x) into a box of
target neurons are a product of one factor per source axis. Counting events is then a few small
matrix products, however many synapses there are. Listed synapses are counted one by one.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neurodeploy.boards.board import SynapseFormat
from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, Sparse, SumPool, exact_matmul
from neurodeploy.ir.geometry import Window
from neurodeploy.mapping.tiling import Intervals, Tiling, lengths, outer

Histogram = tuple[tuple[int, int], ...]
"""Pairs (synapses along one axis, how many stored axons have that many), ascending."""


class Reach(ABC):
    """Synapses from every neuron of a source population into every box of a target."""

    pre_shape: tuple[int, ...]
    n_tiles: int

    @abstractmethod
    def synops(self, spikes: IntArray) -> IntArray:
        """Synaptic operations of ``spikes`` ``[..., *pre_shape]``: ``[..., n_tiles]``."""

    @abstractmethod
    def packets(self, spikes: IntArray) -> IntArray:
        """Packets that reach each box: ``[..., *pre_shape]`` to ``[..., n_tiles]``."""

    @abstractmethod
    def packets_between(self, spikes: IntArray, source: Tiling) -> IntArray:
        """Packets from box to box of ``spikes`` ``pre_shape``: ``[source.n_tiles, n_tiles]``."""

    @abstractmethod
    def sources(self) -> IntArray:
        """Source neurons with a synapse into each box (input axons): ``[n_tiles]``."""

    @abstractmethod
    def destinations(self) -> IntArray:
        """Boxes that each source neuron reaches (output axons): ``pre_shape``."""

    @abstractmethod
    def memory_bits(self, storage: SynapseFormat, weight_bits: int) -> IntArray:
        """Synapse memory of each box: ``[n_tiles]``."""

    @abstractmethod
    def pairs(self) -> tuple[IntArray, IntArray]:
        """All pairs (source neuron, box) with a synapse, flat indices."""


@dataclass(frozen=True, slots=True)
class AxisReach:
    """One factor of a product: synapses from each source coordinate into each interval.

    Parameters
    ----------
    counts : int64 ``[n_intervals, size]``
    stored : tuple of Histogram, one per interval
        Fan-outs of source coordinates, every one on its own.
    shared : tuple of Histogram, one per interval
        The same with coordinates that meet the same kernel cells taken once.
    """

    counts: IntArray
    stored: tuple[Histogram, ...]
    shared: tuple[Histogram, ...]


def _histogram(values: IntArray) -> Histogram:
    sizes, times = np.unique(values[values > 0], return_counts=True)
    return tuple(zip(sizes.tolist(), times.tolist(), strict=True))


def _plain_axis(counts: IntArray) -> AxisReach:
    stored = tuple(_histogram(row) for row in counts)
    return AxisReach(counts, stored, stored)


def channel_axis(channels_in: int, channels_out: int, groups: int, cut: Intervals) -> AxisReach:
    """Factor of the channels of a grouped convolution."""
    per_group = channels_out // groups
    group = np.arange(channels_in) // (channels_in // groups)
    first = group * per_group
    rows = [np.minimum(b, first + per_group) - np.maximum(a, first) for a, b in cut]
    return _plain_axis(np.maximum(np.array(rows, dtype=np.int64), 0))


def window_axis(window: Window, i: int, cut: Intervals) -> AxisReach:
    """Factor of spatial axis ``i`` of a window."""
    size, n_out = window.input_size[i], window.output_size[i]
    tap = np.arange(window.kernel[i]) * window.dilation[i]
    position = np.arange(size)[:, None] + window.padding[i][0] - tap[None, :]
    output, rest = np.divmod(position, window.stride[i])
    output = np.where((rest == 0) & (output >= 0) & (output < n_out), output, -1)
    counts = np.zeros((len(cut), size), dtype=np.int64)
    stored: list[Histogram] = []
    shared: list[Histogram] = []
    for row, (a, b) in enumerate(cut):
        met = (output >= a) & (output < b)
        counts[row] = met.sum(axis=1)
        stored.append(_histogram(counts[row]))
        # Kernel cells met fix the offsets too, so equal rows are one stored kernel, shifted.
        shared.append(_histogram(np.unique(met, axis=0).sum(axis=1)))
    return AxisReach(counts, tuple(stored), tuple(shared))


def dense_axes(connectivity: Dense, cut: Intervals) -> tuple[AxisReach, ...]:
    """Factors of a dense map: everything reaches every box with its number of neurons."""
    first, *others = connectivity.pre_shape
    sizes = np.repeat(lengths(cut)[:, None], first, axis=1)
    return (
        _plain_axis(sizes),
        *(_plain_axis(np.ones((1, n), dtype=np.int64)) for n in others),
    )


@dataclass(frozen=True, slots=True)
class ProductReach(Reach):
    """Synapses as a product of one factor per source axis."""

    axes: tuple[AxisReach, ...]

    @property
    def pre_shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """Shape of the source population."""
        return tuple(axis.counts.shape[1] for axis in self.axes)

    @property
    def n_tiles(self) -> int:  # type: ignore[override]
        """Boxes of the target."""
        return int(np.prod([axis.counts.shape[0] for axis in self.axes]))

    def synops(self, spikes: IntArray) -> IntArray:
        """Synaptic operations into each box."""
        return _contract([axis.counts for axis in self.axes], spikes)

    def packets(self, spikes: IntArray) -> IntArray:
        """Packets that reach each box."""
        return _contract([_reached(axis) for axis in self.axes], spikes)

    def packets_between(self, spikes: IntArray, source: Tiling) -> IntArray:
        """Packets from box to box."""
        grids: list[tuple[int, int]] = []
        factors: list[IntArray] = []
        for i, axis in enumerate(self.axes):
            reached = _reached(axis)
            member = np.zeros((source.grid[i], reached.shape[1]), dtype=np.int64)
            for row, (a, b) in enumerate(source.intervals(i)):
                member[row, a:b] = 1
            grids.append((member.shape[0], reached.shape[0]))
            factors.append((member[:, None] * reached[None]).reshape(-1, reached.shape[1]))
        mixed = _contract(factors, spikes).reshape([n for pair in grids for n in pair])
        n = len(grids)
        order = [*range(0, 2 * n, 2), *range(1, 2 * n, 2)]
        return mixed.transpose(order).reshape(source.n_tiles, self.n_tiles)

    def sources(self) -> IntArray:
        """Source neurons with a synapse into each box."""
        return outer([_reached(axis).sum(axis=1) for axis in self.axes])

    def destinations(self) -> IntArray:
        """Boxes that each source neuron reaches."""
        return outer([_reached(axis).sum(axis=0) for axis in self.axes]).reshape(self.pre_shape)

    def memory_bits(self, storage: SynapseFormat, weight_bits: int) -> IntArray:
        """Synapse memory of each box."""
        share = storage.shared_convolution
        histograms = [axis.shared if share else axis.stored for axis in self.axes]
        known: dict[tuple[Histogram, ...], int] = {}
        bits = np.empty(self.n_tiles, dtype=np.int64)
        for tile, box in enumerate(itertools.product(*histograms)):
            if box not in known:
                known[box] = _box_bits(box, storage, weight_bits)
            bits[tile] = known[box]
        return bits

    def pairs(self) -> tuple[IntArray, IntArray]:
        """All pairs (source neuron, box) with a synapse."""
        reached: IntArray = np.ones((1, 1), dtype=np.int64)
        for axis in self.axes:
            reached = np.kron(reached, _reached(axis))
        tile, pre = np.nonzero(reached)
        return pre, tile


def _reached(axis: AxisReach) -> IntArray:
    return (axis.counts > 0).astype(np.int64)


def _contract(factors: Sequence[IntArray], values: IntArray) -> IntArray:
    """Multiply the trailing axes of ``values`` by one matrix each; flatten what they become."""
    lead = values.ndim - len(factors)
    for i, factor in enumerate(factors):
        moved = np.moveaxis(values, lead + i, 0)
        product = exact_matmul(factor, moved.reshape(moved.shape[0], -1))
        values = np.moveaxis(product.reshape(-1, *moved.shape[1:]), 0, lead + i)
    return values.reshape(*values.shape[:lead], -1)


def _box_bits(box: tuple[Histogram, ...], storage: SynapseFormat, weight_bits: int) -> int:
    total = 0
    for entries in itertools.product(*box):
        synapses, axons = 1, 1
        for size, times in entries:
            synapses *= size
            axons *= times
        total += axons * storage.bits_per_axon(synapses, weight_bits)
    return total


@dataclass(frozen=True, slots=True, eq=False)
class ListedReach(Reach):
    """Synapses listed by (source neuron, box), every pair once.

    Parameters
    ----------
    pre_shape : tuple of int
    n_tiles : int
    pre, tile, count : int64 ``[n_pairs]``
    """

    pre_shape: tuple[int, ...]
    n_tiles: int
    pre: IntArray
    tile: IntArray
    count: IntArray

    def synops(self, spikes: IntArray) -> IntArray:
        """Synaptic operations into each box."""
        return self._spread(spikes, self.count)

    def packets(self, spikes: IntArray) -> IntArray:
        """Packets that reach each box."""
        return self._spread(spikes, np.ones_like(self.count))

    def _spread(self, spikes: IntArray, weight: IntArray) -> IntArray:
        lead = spikes.shape[: spikes.ndim - len(self.pre_shape)]
        flat = spikes.reshape(-1, int(np.prod(self.pre_shape)))
        order = np.argsort(self.tile, kind="stable")
        found, starts = np.unique(self.tile[order], return_index=True)
        total = np.zeros((flat.shape[0], self.n_tiles), dtype=np.int64)
        if found.size:
            values = flat[:, self.pre[order]] * weight[order]
            total[:, found] = np.add.reduceat(values, starts, axis=1)
        return total.reshape(*lead, self.n_tiles)

    def packets_between(self, spikes: IntArray, source: Tiling) -> IntArray:
        """Packets from box to box."""
        total = np.zeros((source.n_tiles, self.n_tiles), dtype=np.int64)
        np.add.at(total, (source.tile_of()[self.pre], self.tile), spikes.reshape(-1)[self.pre])
        return total

    def sources(self) -> IntArray:
        """Source neurons with a synapse into each box."""
        return np.bincount(self.tile, minlength=self.n_tiles).astype(np.int64)

    def destinations(self) -> IntArray:
        """Boxes that each source neuron reaches."""
        counts = np.bincount(self.pre, minlength=int(np.prod(self.pre_shape)))
        return counts.reshape(self.pre_shape).astype(np.int64)

    def memory_bits(self, storage: SynapseFormat, weight_bits: int) -> IntArray:
        """Synapse memory of each box."""
        sizes, which = np.unique(self.count, return_inverse=True)
        bits = np.array([storage.bits_per_axon(int(n), weight_bits) for n in sizes], dtype=np.int64)
        total = np.zeros(self.n_tiles, dtype=np.int64)
        np.add.at(total, self.tile, bits[which])
        return total

    def pairs(self) -> tuple[IntArray, IntArray]:
        """All pairs (source neuron, box) with a synapse."""
        return self.pre, self.tile


def sparse_reach(connectivity: Sparse, cuts: Sequence[Intervals]) -> ListedReach:
    """Reach of listed synapses into the boxes ``cuts`` (one tuple of intervals per axis)."""
    grid = tuple(len(cut) for cut in cuts)
    coordinates = np.unravel_index(connectivity.post, connectivity.post_shape)
    n_tiles = int(np.prod(grid))
    keys: list[IntArray] = []
    families = [_disjoint(cut, n) for cut, n in zip(cuts, connectivity.post_shape, strict=True)]
    for maps in itertools.product(*families):
        where = [m[c] for m, c in zip(maps, coordinates, strict=True)]
        inside = np.all([w >= 0 for w in where], axis=0)
        tile = np.ravel_multi_index([w[inside] for w in where], grid)
        keys.append(connectivity.pre[inside] * n_tiles + tile)
    key, count = np.unique(np.concatenate(keys), return_counts=True)
    return ListedReach(
        connectivity.pre_shape, n_tiles, key // n_tiles, key % n_tiles, count.astype(np.int64)
    )


def _disjoint(cut: Intervals, size: int) -> list[IntArray]:
    """Maps from coordinate to interval (-1: none); overlapping intervals stand in several maps."""
    maps: list[IntArray] = []
    ends: list[int] = []
    for index, (a, b) in enumerate(cut):
        free = [family for family, end in enumerate(ends) if end <= a]
        if not free:
            maps.append(np.full(size, -1, dtype=np.int64))
            ends.append(0)
        family = free[0] if free else len(maps) - 1
        maps[family][a:b] = index
        ends[family] = b
    return maps


def reach(connectivity: Connectivity, cuts: Sequence[Intervals]) -> Reach:
    """Reach of any connectivity into boxes that are cut along each axis of its post shape."""
    if isinstance(connectivity, Sparse):
        return sparse_reach(connectivity, cuts)
    return ProductReach(product_axes(connectivity, cuts))


def product_axes(connectivity: Connectivity, cuts: Sequence[Intervals]) -> tuple[AxisReach, ...]:
    """Factors of a dense, convolutional or pooling map."""
    if isinstance(connectivity, Dense):
        return dense_axes(connectivity, cuts[0])
    if isinstance(connectivity, SumPool):
        connectivity = connectivity.as_depthwise()
    if not isinstance(connectivity, Conv):
        raise TypeError(f"no closed form for {type(connectivity).__name__}")
    channels = channel_axis(
        connectivity.channels_in, connectivity.post_shape[0], connectivity.groups, cuts[0]
    )
    spatial = (window_axis(connectivity.window, i, cut) for i, cut in enumerate(cuts[1:]))
    return (channels, *spatial)


def merge(parts: Sequence[Reach]) -> Reach:
    """Union of reaches between the same two populations: a spike that takes two is one packet."""
    if len(parts) == 1:
        return parts[0]
    found = [part.pairs() for part in parts]
    n_tiles = parts[0].n_tiles
    key = np.unique(np.concatenate([pre * n_tiles + tile for pre, tile in found]))
    return ListedReach(
        parts[0].pre_shape, n_tiles, key // n_tiles, key % n_tiles, np.ones_like(key)
    )
