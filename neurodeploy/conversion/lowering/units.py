"""Smooth activations out of saturating units.

    f(x) ~ f(b_0) + sum_k slope_k clip(x - b_k, 0, b_(k+1) - b_k)

the last unit unbounded where f grows on. A unit is a rectified population whose range ends at its
width: a rate that saturates at one spike a step does so by itself. The segments do not overlap, so
no two units ever cancel. Breakpoints and values minimise the squared error for x ~ N(0, 2^2) with a
floor of 2 % of the peak weight on [-10, 10].

References
----------
The construction is Stoeckl & Maass 2021, doi 10.1038/s42256-021-00311-4 (units fitted to an
activation function), with saturating units in place of one-spike ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from neurodeploy.ir.arrays import AnyArray, FloatArray
from neurodeploy.source.functions import FUNCTIONS

MAX_UNITS = 12
REACH = 10.0
_GRID = np.linspace(-REACH, REACH, 801)
_WEIGHT = np.maximum(np.exp(-0.5 * np.square(_GRID / 2.0)), 0.02)
_SWEEPS = (0.8, 0.4, 0.2, 0.1, 0.05)


@dataclass(frozen=True, slots=True)
class Units:
    """A fitted activation.

    ``offset`` is the value left of the first unit; ``start``, ``width`` (inf: unbounded) and
    ``slope`` are per unit.
    """

    offset: float
    start: tuple[float, ...]
    width: tuple[float, ...]
    slope: tuple[float, ...]

    def __call__(self, x: AnyArray) -> FloatArray:
        """What the units add up to."""
        total = np.full(np.shape(x), self.offset)
        for start, width, slope in zip(self.start, self.width, self.slope, strict=True):
            total = total + slope * np.clip(x - start, 0.0, width)
        return total


@cache
def fitted_units(function: str, n_units: int) -> Units:
    """Units for a function of :data:`neurodeploy.source.functions.FUNCTIONS`."""
    smooth = FUNCTIONS[function]
    target = smooth.value(_GRID)
    n_points = n_units + 1 - smooth.slope
    curved = np.abs(np.gradient(np.gradient(target))) * _WEIGHT
    mass = np.cumsum(np.sqrt(curved))
    if smooth.kinks:
        points = _around(smooth.kinks, n_points)
    else:
        points = np.interp(np.linspace(0.02, 0.98, n_points) * mass[-1], mass, _GRID)
        points = np.sort(points + 1e-3 * np.arange(n_points))
    best, least = points, _fit(points, target, smooth.left, smooth.slope)[1]
    for step in _SWEEPS:
        improved = True
        while improved:
            improved = False
            for i in range(n_points):
                for change in (-step, step):
                    trial = best.copy()
                    trial[i] += change
                    if (np.diff(trial) < 0.05).any() or np.abs(trial).max() > REACH - 0.5:
                        continue
                    error = _fit(trial, target, smooth.left, smooth.slope)[1]
                    if error < least * (1 - 1e-6):
                        best, least, improved = trial, error, True
    values = _fit(best, target, smooth.left, smooth.slope)[0]
    slopes = list(np.diff(values) / np.diff(best)) + [1.0] * smooth.slope
    widths = list(np.diff(best)) + [np.inf] * smooth.slope
    return Units(
        float(values[0]),
        tuple(map(float, best[:n_units])),
        tuple(map(float, widths)),
        tuple(map(float, slopes)),
    )


def _around(kinks: tuple[float, ...], n_points: int) -> FloatArray:
    """The kinks, and further points in the middle of the widest gaps."""
    points = list(kinks[:n_points])
    while len(points) < n_points:
        ends = sorted((1 - REACH, *points, REACH - 1))
        gap = int(np.argmax(np.diff(ends)))
        points.append((ends[gap] + ends[gap + 1]) / 2)
    return np.array(sorted(points))


def _fit(points: AnyArray, target: AnyArray, left: float, slope: int) -> tuple[FloatArray, float]:
    """Best values at the breakpoints, the left one given, and the weighted squared error."""
    rise = slope * np.maximum(_GRID - points[-1], 0.0)
    hats = np.stack([np.interp(_GRID, points, row) for row in np.eye(len(points))], axis=1)
    rest = target - rise - left * hats[:, 0]
    root = np.sqrt(_WEIGHT)
    free, *_ = np.linalg.lstsq(hats[:, 1:] * root[:, None], rest * root, rcond=None)
    values = np.concatenate(([left], free))
    error = float((_WEIGHT * np.square(hats @ values + rise - target)).sum())
    return values, error
