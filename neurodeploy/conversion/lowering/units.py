"""Functions of one value out of rectified units.

    f(x) ~ f(b_0) - below relu(b_0 - x) + sum_k slope_k clip(x - b_k, 0, b_(k+1) - b_k)

the last unit unbounded where f grows on. A unit is a rectified population whose range ends at its
width: a rate that saturates at one spike a step does so by itself. The segments do not overlap, so
no two units ever cancel.

Functions of straight pieces are exact, with a unit a piece and a step of one level where they jump.
Curved ones are fitted: breakpoints and values minimise the squared error over the inputs that
calibration saw in that layer, with a floor of 5 % of their mean density; without calibration for
x ~ N(0, 2^2) with a floor of 2 % of the peak on [-10, 10].

References
----------
The construction is Stoeckl & Maass 2021, doi 10.1038/s42256-021-00311-4 (units fitted to an
activation function), with saturating units in place of one-spike ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from neurodeploy.errors import ConversionError
from neurodeploy.ir.arrays import AnyArray, FloatArray
from neurodeploy.source.expressions import evaluated
from neurodeploy.source.functions import FUNCTIONS, Function
from neurodeploy.source.pieces import Pieces

MAX_UNITS = 12
REACH = 10.0
GOOD_FIT = 0.002
"""Error over spread at which fewer units than allowed are enough."""
_POINTS = 801
_FLOOR = 0.05
_MARGIN = 0.05
_FAR = 1e4
_SWEEPS = (0.04, 0.02, 0.01, 0.005, 0.0025)


@dataclass(frozen=True, slots=True)
class Units:
    """A function of one value as units.

    ``offset`` is the value at the first breakpoint ``lowest``; ``start``, ``width`` (inf:
    unbounded) and ``slope`` are per unit; ``below`` is the slope left of all; ``steps`` are
    ``(where, height)``. A fit reaches to ``end``. ``error`` is the root of the mean squared error
    over the spread of the function's values, on the inputs that calibration saw.
    """

    offset: float
    start: tuple[float, ...]
    width: tuple[float, ...]
    slope: tuple[float, ...]
    below: float = 0.0
    lowest: float = 0.0
    steps: tuple[tuple[float, float], ...] = ()
    end: float = math.inf
    error: float = 0.0

    def shares(self) -> tuple[int, ...]:
        """How many units of its size would make up half of what a function rises and falls.

        By this number the levels of one activation are shared: a step is the same in all units.
        """
        if math.isinf(self.end):
            return (1,) * len(self.start)
        ends = np.minimum(np.add(self.start, self.width), self.end)
        rise = np.abs(self.slope) * np.maximum(ends - self.start, 0)
        return tuple(max(1, round(float(0.5 * rise.sum() / max(r, 1e-30)))) for r in rise)

    def __call__(self, x: AnyArray) -> FloatArray:
        """Sum of the units."""
        total = self.offset - self.below * np.maximum(self.lowest - np.asarray(x), 0.0)
        for start, width, slope in zip(self.start, self.width, self.slope, strict=True):
            total = total + slope * np.clip(x - start, 0.0, width)
        for at, height in self.steps:
            total = total + height * (x >= at)
        return np.asarray(total)


def units_of(op: Function, n_units: int, where: str) -> Units:
    """Units of a function, exact or fitted to what calibration saw.

    Raises
    ------
    ConversionError
        If it is not finite there.
    """
    if op.pieces is not None:
        return _exact(op.pieces)
    if op.seen is None:
        return fitted_units(op.name, n_units)
    seen = tuple(map(float, op.seen))
    if not np.isfinite(op.value(np.array(seen))).all():
        raise ConversionError(
            f"{where}: {op.name} is not finite for inputs of {seen[0]:g} to {seen[-1]:g}, which it "
            "has on the calibration data; clamp them first"
        )
    best = None
    for n in range(2, n_units + 1):
        units = fitted_units(op.name, n, seen)
        if best is None or units.error < best.error:
            best = units
        if best.error <= GOOD_FIT:
            break
    assert best is not None
    return best


def _exact(pieces: Pieces) -> Units:
    breaks = pieces.breaks if pieces.breaks.size else np.zeros(1)
    slope = pieces.slope if pieces.breaks.size else np.repeat(pieces.slope, 2)
    used = np.flatnonzero(slope[1:])
    width = np.append(np.diff(breaks), np.inf)
    jumps = pieces.jumps()
    return Units(
        float(pieces.slope[0] * breaks[0] + pieces.offset[0]),
        tuple(breaks[used].tolist()),
        tuple(width[used].tolist()),
        tuple(slope[1:][used].tolist()),
        float(slope[0]),
        float(breaks[0]),
        tuple((float(breaks[i]), float(jumps[i])) for i in np.flatnonzero(jumps)),
    )


@lru_cache(maxsize=4096)
def fitted_units(function: str, n_units: int, seen: tuple[float, ...] | None = None) -> Units:
    """Units fitted to a function, by name or as a program, over the quantiles of its input."""
    return _Fit(FUNCTIONS.get(function, function), seen).units(n_units)


class _Fit:
    """The squared error of breakpoints, and the best values at them."""

    def __init__(self, program: str, seen: tuple[float, ...] | None) -> None:
        low, high = _defined(program) if seen is None else _reach(program, seen)
        self.low, self.span = low, high - low
        self.grid = np.linspace(low, high, _POINTS).astype(np.float64)
        self.target = evaluated(program, self.grid)
        if seen is None:
            self.weight = np.maximum(np.exp(-0.5 * np.square(self.grid / 2.0)), 0.02)
            self.density = self.weight
        else:
            self.density = _density(self.grid, seen)
            self.weight = self.density + _FLOOR * self.density.mean()
        self.root = np.sqrt(self.weight)
        self.size = max(float(np.ptp(self.target)), 1e-30)
        ends = evaluated(program, np.array([-_FAR, -_FAR / 2, _FAR / 2, _FAR]))
        left = np.array([ends[1], ends[0], self.target[0]])
        # Far out a function may be infinite, or not defined.
        flat = np.isfinite(left).all() and np.abs(np.diff(left)).sum() < 1e-3 * self.size
        self.left = float(ends[0]) if flat else None
        rise = (self.target[-1] - self.target[-4]) / (self.grid[-1] - self.grid[-4])
        self.grows = bool(abs(rise) * self.span > 1e-2 * self.size)
        final = (ends[3] - ends[2]) / (_FAR / 2) if np.isfinite(ends[2:]).all() else math.inf
        self.slope = float(final) if abs(final - rise) < 1e-3 else None

    def units(self, n_units: int) -> Units:
        """The best breakpoints that coordinate descent finds."""
        n_points = n_units + 1 - self.grows
        best = self.first(n_points)
        least = self.solved(best)[2]
        for share in _SWEEPS:
            improved = True
            while improved:
                improved = False
                for i in range(n_points):
                    for change in (-share * self.span, share * self.span):
                        trial = best.copy()
                        trial[i] += change
                        if (np.diff(trial) < 0.0025 * self.span).any():
                            continue
                        if trial[0] < self.low or trial[-1] > self.low + 0.99 * self.span:
                            continue
                        error = self.solved(trial)[2]
                        if error < least * (1 - 1e-6):
                            best, least, improved = trial, error, True
        values, slope, _ = self.solved(best)
        slopes = np.append(np.diff(values) / np.diff(best), [slope] * self.grows)
        widths = np.append(np.diff(best), [np.inf] * self.grows)
        units = Units(
            float(values[0]),
            tuple(best[:n_units].tolist()),
            tuple(widths.tolist()),
            tuple(slopes.tolist()),
            end=float(self.grid[-1]),
        )
        share = self.density / self.density.sum()
        spread = math.sqrt(share @ np.square(self.target - share @ self.target))
        error = math.sqrt(share @ np.square(units(self.grid) - self.target))
        return replace(units, error=error / max(spread, 1e-30))

    def first(self, n_points: int) -> FloatArray:
        """Breakpoints where the function bends, the first at the left end if it falls on there."""
        curved = np.abs(np.gradient(np.gradient(self.target))) * self.weight
        mass = np.cumsum(np.sqrt(curved) + 1e-9 * self.size)
        points = np.interp(np.linspace(0.02, 0.98, n_points) * mass[-1], mass, self.grid)
        points = np.sort(points + 5e-5 * self.span * np.arange(n_points))
        if self.left is None:
            points[0] = self.low
        # Far enough apart, and inside.
        least = 0.0025 * self.span
        for i in range(1, n_points):
            points[i] = max(points[i], points[i - 1] + least)
        over = points[-1] - (self.low + 0.99 * self.span)
        return points - max(over, 0.0) if points[0] - max(over, 0.0) >= self.low else points

    def solved(self, points: FloatArray) -> tuple[FloatArray, float, float]:
        """Best values at the breakpoints, slope after the last, and weighted squared error."""
        n = len(points)
        columns = [np.interp(self.grid, points, row) for row in np.eye(n)]
        beyond = np.maximum(self.grid - points[-1], 0.0)
        rest = self.target
        if self.left is not None:
            rest = rest - self.left * columns.pop(0)
        if self.grows and self.slope is None:
            columns.append(beyond)
        elif self.grows:
            rest = rest - self.slope * beyond
        hats = np.stack(columns, axis=1)
        free, *_ = np.linalg.lstsq(hats * self.root[:, None], rest * self.root, rcond=None)
        error = float(self.weight @ np.square(hats @ free - rest))
        slope = float(free[-1]) if self.slope is None and self.grows else self.slope or 0.0
        values = free[: len(free) - (self.grows and self.slope is None)]
        if self.left is not None:
            values = np.concatenate(([self.left], values))
        return values, slope, error


def _defined(program: str) -> tuple[float, float]:
    """The widest part of [-10, 10] on which a function is finite.

    Raises
    ------
    ConversionError
        If there is none.
    """
    grid = np.linspace(-REACH, REACH, _POINTS)
    gaps = np.flatnonzero(~np.isfinite(evaluated(program, grid)))
    ends = np.concatenate(([-1], gaps, [_POINTS]))
    widest = int(np.diff(ends).argmax())
    first, last = int(ends[widest]) + 1, int(ends[widest + 1]) - 1
    if last <= first:
        raise ConversionError(
            f"{program} is not finite for inputs of {-REACH:g} to {REACH:g}, where it is fitted"
            " without calibration; convert with data"
        )
    return float(grid[first]), float(grid[last])


def _reach(program: str, seen: tuple[float, ...]) -> tuple[float, float]:
    """The range that calibration saw and a little more, as far as the function is finite."""
    low, high = seen[0], seen[-1]
    margin = _MARGIN * (high - low) or max(1e-3, 0.01 * abs(low))
    wider = (low - margin, high + margin)
    if np.isfinite(evaluated(program, np.linspace(*wider, _POINTS))).all():
        return wider
    return (low, high) if high > low else (low, low + margin)


def _density(grid: FloatArray, seen: tuple[float, ...]) -> FloatArray:
    """How often calibration saw the neighbourhood of every point."""
    middle = (grid[1:] + grid[:-1]) / 2
    edges = np.concatenate(([-np.inf], middle, [np.inf]))
    share = np.linspace(0, 1, len(seen))
    return np.diff(np.interp(edges, np.asarray(seen), share)) + 1e-12
