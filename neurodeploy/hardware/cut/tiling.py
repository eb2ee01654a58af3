"""Cutting a population into a grid of boxes, one per core."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.netlist import Population
from neurodeploy.ir.neurons import MaxPool

Interval = tuple[int, int]
Intervals = tuple[Interval, ...]


@dataclass(frozen=True, slots=True)
class Tiling:
    """A population of ``shape`` cut into boxes of at most ``tile`` neurons along each axis.

    Boxes are numbered in C order. For feature maps a box is a patch times a block of channels.
    """

    shape: tuple[int, ...]
    tile: tuple[int, ...]

    @property
    def grid(self) -> tuple[int, ...]:
        """Boxes along each axis."""
        return tuple(-(-n // t) for n, t in zip(self.shape, self.tile, strict=True))

    @property
    def n_tiles(self) -> int:
        """Number of boxes."""
        return math.prod(self.grid)

    def intervals(self, axis: int) -> Intervals:
        """``[start, stop)`` of every box along ``axis``."""
        n, t = self.shape[axis], self.tile[axis]
        return tuple((a, min(a + t, n)) for a in range(0, n, t))

    def boxes(self) -> list[Intervals]:
        """The ranges of every box along all axes."""
        return list(itertools.product(*(self.intervals(i) for i in range(len(self.shape)))))

    def sum_by_tile(self, values: AnyArray) -> AnyArray:
        """Sum ``values`` ``[..., *shape]`` over every box: ``[..., n_tiles]``."""
        lead = values.ndim - len(self.shape)
        for axis, t in enumerate(self.tile):
            values = np.add.reduceat(values, np.arange(0, self.shape[axis], t), axis=lead + axis)
        return values.reshape(*values.shape[:lead], self.n_tiles)

    def tile_of(self) -> IntArray:
        """Box of every neuron, in C order of the neurons."""
        index = np.arange(self.n_tiles, dtype=np.int64).reshape(self.grid)
        for axis, t in enumerate(self.tile):
            index = np.repeat(index, t, axis=axis).take(range(self.shape[axis]), axis=axis)
        return index.reshape(-1)


def held_intervals(population: Population, axis: int, intervals: Intervals) -> Intervals:
    """Ranges of ``input_shape`` that boxes with these ``intervals`` of ``shape`` hold.

    The same for all populations but max-pooling, whose boxes hold the accumulators from the first
    to the last that their windows meet; where windows of two boxes overlap, both hold the shared
    ones.
    """
    model = population.model
    if not isinstance(model, MaxPool) or axis == 0:
        return intervals
    window, i = model.window, axis - 1
    taps = np.arange(window.kernel[i]) * window.dilation[i] - window.padding[i][0]
    held = []
    for a, b in intervals:
        cells = (np.arange(a, b) * window.stride[i])[:, None] + taps
        cells = cells[(cells >= 0) & (cells < window.input_size[i])]
        held.append((int(cells.min()), int(cells.max()) + 1) if cells.size else (0, 0))
    return tuple(held)


def lengths(intervals: Intervals) -> IntArray:
    """Length of every interval."""
    return np.array([b - a for a, b in intervals], dtype=np.int64)


def outer(factors: list[IntArray]) -> IntArray:
    """Products of one entry per axis, in C order."""
    result = np.ones(1, dtype=np.int64)
    for factor in factors:
        result = (result[:, None] * factor[None, :]).reshape(-1)
    return result


def tile_sizes(n: int) -> list[int]:
    """All sizes that cut ``n`` into equal parts but for the last, largest first."""
    return sorted({-(-n // parts) for parts in range(1, n + 1)}, reverse=True)
