"""Synapses as a product of one factor per source axis: dense, convolutional and pooling maps.

The synapses from source neuron (c, y, x) into a box of target neurons are a product of one factor
per axis. Counting events is then a few small matrix products, however many synapses there are.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neurodeploy.hardware.boards.records import SynapseFormat
from neurodeploy.hardware.cut.assignment import Cut
from neurodeploy.hardware.cut.axons import AxonSharing, Flow, Reach
from neurodeploy.hardware.cut.intervals import outputs_met
from neurodeploy.hardware.cut.listed_reach import ListedReach
from neurodeploy.hardware.cut.tiling import Intervals, Tiling, lengths, outer
from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, SumPool, exact_matmul
from neurodeploy.ir.geometry import Window

Histogram = tuple[tuple[int, int], ...]
"""Pairs (synapses along one axis, how many stored axons have that many), ascending."""


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


def plain_axis(counts: IntArray) -> AxisReach:
    """A factor whose source coordinates share no kernel."""
    stored = tuple(_histogram(row) for row in counts)
    return AxisReach(counts, stored, stored)


def channel_axis(channels_in: int, channels_out: int, groups: int, cut: Intervals) -> AxisReach:
    """Factor of the channels of a grouped convolution."""
    per_group = channels_out // groups
    group = np.arange(channels_in) // (channels_in // groups)
    first = group * per_group
    rows = [np.minimum(b, first + per_group) - np.maximum(a, first) for a, b in cut]
    return plain_axis(np.maximum(np.array(rows, dtype=np.int64), 0))


def window_axis(window: Window, i: int, cut: Intervals) -> AxisReach:
    """Factor of spatial axis ``i`` of a window."""
    size, n_out = window.input_size[i], window.output_size[i]
    shape = (window.kernel[i], window.stride[i], window.dilation[i], window.padding[i][0])
    return _window_axis(size, n_out, *shape, window.spacing[i], cut)


# Layers of one network, and both axes of square images, ask for the same few.
@functools.lru_cache(maxsize=2048)
def _window_axis(
    size: int,
    n_out: int,
    kernel: int,
    stride: int,
    dilation: int,
    before: int,
    apart: int,
    cut: Intervals,
) -> AxisReach:
    output = outputs_met(size, n_out, kernel, stride, dilation, before, apart)
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

    def flow(self, spikes: IntArray | None, source: Cut) -> Flow:
        """Packets from box to box: only pairs of intervals that meet enter the product."""
        if not isinstance(source, Tiling):
            return self._listed().flow(spikes, source)
        pairs: list[tuple[IntArray, IntArray]] = []
        factors: list[IntArray] = []
        for i, axis in enumerate(self.axes):
            reached = _reached(axis)
            starts = np.arange(0, reached.shape[1], source.tile[i])
            met = np.add.reduceat(reached, starts, axis=1)
            target, held = np.nonzero(met)
            pairs.append((held, target))
            if spikes is None:
                factors.append(met[target, held])
            else:
                owner = np.arange(reached.shape[1]) // source.tile[i]
                factors.append(reached[target] * (owner[None, :] == held[:, None]))
        if any(held.size == 0 for held, _ in pairs):
            none = np.zeros(0, dtype=np.int64)
            return Flow(none, none, none)
        packets = outer(factors) if spikes is None else _contract(factors, spikes)
        source_box = _flat_index([held for held, _ in pairs], source.grid)
        target_box = _flat_index([target for _, target in pairs], self._grid)
        sent = packets > 0
        return Flow(source_box[sent], target_box[sent], packets[sent])

    @property
    def _grid(self) -> tuple[int, ...]:
        return tuple(axis.counts.shape[0] for axis in self.axes)

    def input_axons(self, sharing: AxonSharing) -> IntArray:
        """Axons that enter each box."""
        return outer(self._met(sharing))

    def most_input_axons(self, sharing: AxonSharing) -> int:
        """Input axons of the largest box, where the axes have their most in the same box."""
        return math.prod(int(met.max()) for met in self._met(sharing))

    def _met(self, sharing: AxonSharing) -> list[IntArray]:
        channels, *others = (_reached(axis) for axis in self.axes)
        axons = np.maximum.reduceat(channels, sharing.starts(channels), axis=1)
        return [axons.sum(axis=1), *(reached.sum(axis=1) for reached in others)]

    def output_axons(self, source: Cut, sharing: AxonSharing) -> IntArray:
        """Output axons that each box of the source takes."""
        if not isinstance(source, Tiling):
            return self._listed().output_axons(source, sharing)
        channels, *others = (_reached(axis) for axis in self.axes)
        starts = sharing.starts(channels)
        leaving = np.maximum.reduceat(channels, starts, axis=1).sum(axis=0)
        block = starts // source.tile[0]
        found = [np.bincount(block, weights=leaving, minlength=source.grid[0]).astype(np.int64)]
        for reached, n, tile in zip(others, source.shape[1:], source.tile[1:], strict=True):
            found.append(np.add.reduceat(reached.sum(axis=0), np.arange(0, n, tile)))
        slots = sharing.slots if starts.size < channels.shape[1] else 1
        return slots * outer(found)

    def destinations(self) -> IntArray:
        """Boxes that each source neuron reaches."""
        return outer([_reached(axis).sum(axis=0) for axis in self.axes]).reshape(self.pre_shape)

    def memory_bits(self, storage: SynapseFormat, weight_bits: int) -> IntArray:
        """Synapse memory of each box."""
        share = storage.shared_convolution
        kinds: list[list[Histogram]] = []
        which: list[IntArray] = []
        for axis in self.axes:
            histograms = axis.shared if share else axis.stored
            # Inner boxes are alike: only borders differ.
            number = {h: k for k, h in enumerate(dict.fromkeys(histograms))}
            kinds.append(list(number))
            which.append(np.array([number[h] for h in histograms], dtype=np.int64))
        bits = [_box_bits(box, storage, weight_bits) for box in itertools.product(*kinds)]
        of_kind = np.array(bits, dtype=np.int64).reshape([len(k) for k in kinds])
        return of_kind[np.ix_(*which)].reshape(-1)

    def pairs(self) -> tuple[IntArray, IntArray]:
        """All pairs (source neuron, box) with a synapse."""
        reached: IntArray = np.ones((1, 1), dtype=np.int64)
        for axis in self.axes:
            reached = np.kron(reached, _reached(axis))
        tile, pre = np.nonzero(reached)
        return pre, tile

    def _listed(self) -> ListedReach:
        """The same routes, with one synapse each."""
        pre, tile = self.pairs()
        return ListedReach(self.pre_shape, self.n_tiles, pre, tile, np.ones_like(pre))


def _flat_index(coordinates: Sequence[IntArray], grid: tuple[int, ...]) -> IntArray:
    """Flat box numbers of all combinations of one coordinate list per axis."""
    flat: IntArray = np.zeros(1, dtype=np.int64)
    for values, n in zip(coordinates, grid, strict=True):
        flat = (flat[:, None] * n + values[None, :]).reshape(-1)
    return flat


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


def product_axes(connectivity: Connectivity, cuts: Sequence[Intervals]) -> tuple[AxisReach, ...]:
    """Factors of a dense, convolutional or pooling map."""
    axes = (product_axis(connectivity, i, cut) for i, cut in enumerate(cuts))
    return (*axes, *further_axes(connectivity))


def product_axis(connectivity: Connectivity, i: int, cut: Intervals) -> AxisReach:
    """Factor of the axis ``i`` along which the target is cut."""
    if isinstance(connectivity, Dense):
        # Everything reaches every box, with its number of neurons.
        return plain_axis(np.repeat(lengths(cut)[:, None], connectivity.pre_shape[0], axis=1))
    if isinstance(connectivity, SumPool):
        channels = len(connectivity.weight)
        if i == 0:
            return channel_axis(channels, channels, channels, cut)
        return window_axis(connectivity.window, i - 1, cut)
    if not isinstance(connectivity, Conv):
        raise TypeError(f"no closed form for {type(connectivity).__name__}")
    if i == 0:
        channels = connectivity.post_shape[0]
        return channel_axis(connectivity.channels_in, channels, connectivity.groups, cut)
    return window_axis(connectivity.window, i - 1, cut)


def further_axes(connectivity: Connectivity) -> tuple[AxisReach, ...]:
    """Factors of source axes that the target does not have: of dense maps alone."""
    if not isinstance(connectivity, Dense):
        return ()
    others = connectivity.pre_shape[1:]
    return tuple(plain_axis(np.ones((1, n), dtype=np.int64)) for n in others)
