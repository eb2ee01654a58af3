"""Weight grids: one step per output channel, shared by all projections into a population.

The membrane of a channel counts in one unit ``u``; a projection's weights lie on the grid
``q * u * 2^e``. Branches of very different scale get different exponents, so that none loses its
bits to another.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neurodeploy.ir.arrays import AnyArray, FloatArray, IntArray
from neurodeploy.ir.connectivity import Connectivity, Sparse

# Shares of the exact full-range step that are tried: smaller steps clip the largest weights, which
# at few bits costs less than it saves.
SHARES = np.linspace(1.0, 0.5, 41)
# A branch this many bits below another one of its neuron drowns in the rounding of that one: it
# gets no finer unit, which would cost the state its width.
MAX_SPREAD = 12
BLOCK = 2**15
"""Weights that are rounded at a time: with what is made of them they stay in the processor."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Weights of one projection, a row per output channel, for choosing its grid.

    ``values`` is float64 ``[C, n]``, padded with zeros; ``multiplicity`` ``[C]`` says how often a
    row's weights are used in one neuron (above 1 where they repeat, below where the row spans
    several neurons).
    """

    values: FloatArray
    multiplicity: FloatArray

    @property
    def largest(self) -> FloatArray:
        """Largest magnitude per channel."""
        return np.asarray(np.abs(self.values).max(axis=1))


def rows_of(connectivity: Connectivity) -> Rows:
    """The weights of a projection by output channel."""
    channels = connectivity.post_shape[0]
    area = math.prod(connectivity.post_shape[1:])
    if not isinstance(connectivity, Sparse):
        values = connectivity.weight.reshape(channels, -1)
        fan_in = connectivity.fan_in().reshape(channels, -1).max(axis=1)
        return Rows(values, fan_in / values.shape[1])
    row, column = rows_and_columns(connectivity)
    values = np.zeros((channels, 1 + int(column.max(initial=0))))
    values[row, column] = connectivity.weight
    return Rows(values, np.full(channels, 1.0 / area))


def rows_and_columns(connectivity: Sparse) -> tuple[IntArray, IntArray]:
    """Rows and columns to which :func:`rows_of` sends each weight of a list: int64 ``[n]``."""
    channels = connectivity.post_shape[0]
    row = connectivity.post // math.prod(connectivity.post_shape[1:])
    order = np.argsort(row, kind="stable")
    counts = np.bincount(row, minlength=channels)
    column = np.empty_like(order)
    column[order] = np.arange(order.size) - np.repeat(np.cumsum(counts) - counts, counts)
    return row, column


@dataclass(frozen=True, slots=True)
class WeightGrid:
    """The grid of one population.

    ``unit`` ``[C]`` is the real value of one membrane unit before fractional bits;
    ``exponents[p]`` ``[C]`` the exponent of projection p on top of them.
    """

    unit: FloatArray
    exponents: tuple[IntArray, ...]


def choose_grid(
    projections: Sequence[Rows],
    bits: Sequence[int],
    fallback: FloatArray,
    least: FloatArray,
    symmetric: bool = False,
) -> WeightGrid:
    """Units and exponents of minimum squared weight error, per channel.

    Parameters
    ----------
    projections : sequence of Rows
        Everything that arrives at the population.
    bits : sequence of int
        Width per projection.
    fallback : array ``[C]``
        Unit of channels without any non-zero weight.
    least : array ``[C]``
        Smallest unit, whatever the weights.
    symmetric : bool
        Whether the weights are to be negated too.
    """
    top = [2 ** (b - 1) - 1 for b in bits]
    full = np.stack([rows.largest / q for rows, q in zip(projections, top, strict=True)])
    least = np.maximum(least, full.max(axis=0) / 2.0**MAX_SPREAD)
    smallest = np.where(full > 0, full, np.inf).min(axis=0)
    base = np.maximum(np.where(np.isfinite(smallest), smallest, fallback), least)
    best_error = np.full(base.shape, np.inf)
    best_unit = base.copy()
    best_exponents = [np.zeros(base.shape, dtype=np.int64) for _ in projections]
    for share in SHARES:
        unit = np.maximum(base * share, least)
        total = np.zeros(base.shape)
        chosen = []
        for rows, width, step in zip(projections, bits, full, strict=True):
            exponent, error = _best_exponent(rows, width, step, unit, symmetric)
            chosen.append(exponent)
            total += error
        better = total < best_error * (1 - 1e-9)
        best_error = np.where(better, total, best_error)
        best_unit = np.where(better, unit, best_unit)
        best_exponents = [
            np.where(better, new, old) for new, old in zip(chosen, best_exponents, strict=True)
        ]
    # What all branches of a channel share belongs to its unit.
    used = [np.where(step > 0, e, 64) for step, e in zip(full, best_exponents, strict=True)]
    shared = np.minimum.reduce(used)
    shared = np.where(shared == 64, 0, shared)
    exponents = tuple(np.maximum(e - shared, 0) for e in best_exponents)
    return WeightGrid(best_unit * np.exp2(shared), exponents)


def _best_exponent(
    rows: Rows, bits: int, step: FloatArray, unit: FloatArray, symmetric: bool
) -> tuple[IntArray, FloatArray]:
    """The exponent of least error among those next to the full range, and that error."""
    ratio = np.maximum(np.where(step > 0, step, unit) / unit, 1.0)
    highest = np.ceil(np.log2(ratio) - 1e-9).astype(np.int64)
    best, least = highest, np.full(unit.shape, np.inf)
    for exponent in (highest, np.maximum(highest - 1, 0)):
        grid = unit * np.exp2(exponent)
        error = _squared_error(rows.values, grid, bits, symmetric) * rows.multiplicity
        better = error < least
        best, least = np.where(better, exponent, best), np.where(better, error, least)
    return best, least


def _squared_error(values: AnyArray, grid: FloatArray, bits: int, symmetric: bool) -> FloatArray:
    """Squared error of every row on its grid; as many rows at a time as a cache holds."""
    error = np.empty(len(values))
    n = max(BLOCK // max(values.shape[1], 1), 1)
    for first in range(0, len(values), n):
        part, step = values[first : first + n], grid[first : first + n, None]
        whole = _rounded(part, step, bits, symmetric)
        whole *= step
        whole -= part
        error[first : first + n] = np.square(whole, out=whole).sum(axis=1)
    return error


def weight_range(bits: int, symmetric: bool = False) -> tuple[int, int]:
    """Least and largest integer of a two's complement width; ``symmetric``: of both signs."""
    top: int = 2 ** (bits - 1) - 1
    return (-top if symmetric else -top - 1), top


def round_to_grid(values: AnyArray, step: AnyArray, bits: int, symmetric: bool = False) -> IntArray:
    """``rint(values / step)``, clipped to :func:`weight_range`."""
    return _rounded(values, step, bits, symmetric).astype(np.int64)


def _rounded(values: AnyArray, step: AnyArray, bits: int, symmetric: bool) -> FloatArray:
    whole: FloatArray = np.asarray(np.rint(values / step))
    return np.clip(whole, *weight_range(bits, symmetric), out=whole)
