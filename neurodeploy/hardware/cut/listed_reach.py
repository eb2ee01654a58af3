"""Synapses counted one by one: listed ones, and any onto a listed cut."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neurodeploy.hardware.boards.records import SynapseFormat
from neurodeploy.hardware.cut.assignment import Cut
from neurodeploy.hardware.cut.axons import AxonSharing, Flow, Reach
from neurodeploy.hardware.cut.tiling import Intervals
from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.connectivity import Sparse

DENSE_KEYS = 4
"""Times as many counters as keys with which counting is faster than sorting."""


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

    def flow(self, spikes: IntArray | None, source: Cut) -> Flow:
        """Packets from box to box."""
        sent = np.ones_like(self.pre) if spikes is None else spikes.reshape(-1)[self.pre]
        key = source.tile_of()[self.pre] * self.n_tiles + self.tile
        found, place = np.unique(key, return_inverse=True)
        packets = np.zeros(found.size, dtype=np.int64)
        np.add.at(packets, place, sent)
        kept = packets > 0
        found = found[kept]
        return Flow(found // self.n_tiles, found % self.n_tiles, packets[kept])

    def input_axons(self, sharing: AxonSharing) -> IntArray:
        """Axons that enter each box; listed synapses share none."""
        return np.bincount(self.tile, minlength=self.n_tiles).astype(np.int64)

    def output_axons(self, source: Cut, sharing: AxonSharing) -> IntArray:
        """Output axons that each box of the source takes; listed synapses share none."""
        return np.bincount(source.tile_of()[self.pre], minlength=source.n_tiles).astype(np.int64)

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
    n_tiles = int(np.prod(grid))
    keys: list[IntArray] = []
    families = [_disjoint(cut, n) for cut, n in zip(cuts, connectivity.post_shape, strict=True)]
    for maps in itertools.product(*families):
        # Where each neuron lies, before its synapses, of which there are many more.
        where = np.meshgrid(*maps, indexing="ij")
        held = np.all([w >= 0 for w in where], axis=0)
        tile_of = np.full(connectivity.post_shape, -1, dtype=np.int64)
        tile_of[held] = np.ravel_multi_index([w[held] for w in where], grid)
        tile = tile_of.reshape(-1)[connectivity.post]
        if held.all():
            keys.append(connectivity.pre * n_tiles + tile)
        else:
            inside = tile >= 0
            keys.append(connectivity.pre[inside] * n_tiles + tile[inside])
    key, count = _counted(np.concatenate(keys), math.prod(connectivity.pre_shape) * n_tiles)
    return ListedReach(
        connectivity.pre_shape, n_tiles, key // n_tiles, key % n_tiles, count.astype(np.int64)
    )


def _counted(keys: IntArray, n: int) -> tuple[IntArray, IntArray]:
    """Keys below ``n`` that occur, ascending, and how often each does."""
    if n > DENSE_KEYS * keys.size:
        return np.unique(keys, return_counts=True)
    counts = np.bincount(keys, minlength=n)
    found = np.flatnonzero(counts)
    return found, counts[found]


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
