"""Checks of samples and labels, and the grid of 8-bit images that samples lie on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from neurodeploy.datasets.normalization import Normalization
from neurodeploy.errors import DataError, UsageError
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.encoding import MAX_LEVELS
from neurodeploy.loading.files import free_memory

Floats = npt.NDArray[np.float32]

UNIT_RANGE = (0.0, 1.0)
LABELS = ("y", "Y", "labels", "label", "targets", "target", "classes")
"""What labels are called in files and in mappings."""
GRIDS = (255, 16)
"""Levels of 8-bit images and of scikit-learn's digits."""
PART_BYTES = 2**24
"""Samples that are checked at a time: temporary arrays stay this small."""
ROUNDING = 2.0**-23
"""Relative error of a few roundings to float32, at most 2^-24 each."""


def parts(x: AnyArray) -> Iterator[slice]:
    """Slices of samples that cover ``x``."""
    width = max(1, PART_BYTES // max(1, x[:1].size * 8))
    for first in range(0, len(x), width):
        yield slice(first, first + width)


def check_shape(where: str, x: AnyArray) -> None:
    """Refuse what is no ``(N, channels, ...)``.

    Raises
    ------
    DataError
    """
    if x.ndim < 2 or not x.size:
        raise DataError(f"{where} has shape {x.shape}, (N, channels, ...) with N >= 1 is needed")


def check_values(where: str, x: AnyArray, value_range: tuple[float, float], remedy: str) -> None:
    """Refuse values that are not finite or lie outside the declared range.

    Raises
    ------
    DataError
    """
    low, high = value_range
    lowest, highest = np.inf, -np.inf
    for part in parts(x):
        values = x[part]
        finite = np.isfinite(values)
        if not finite.all():
            sample = part.start + int(np.argmin(finite.reshape(len(values), -1).all(axis=1)))
            raise DataError(
                f"{where} holds NaN or infinite values, first in sample {sample}; "
                "remove them from the data"
            )
        lowest, highest = min(lowest, float(values.min())), max(highest, float(values.max()))
    if lowest < low or highest > high:
        raise DataError(
            f"{where} lies in [{lowest:g}, {highest:g}], outside [{low:g}, {high:g}]; {remedy}"
        )


def from_one_hot(y: AnyArray) -> AnyArray:
    """Labels of rows that hold a single 1 among zeros, two columns or more; others as they are."""
    if y.ndim != 2 or y.shape[1] < 2 or not len(y):
        return y
    zeros_and_ones = ((y == 0) | (y == 1)).all()
    return y.argmax(axis=1) if zeros_and_ones and (y.sum(axis=1) == 1).all() else y


def checked_labels(where: str, y: AnyArray, n_samples: int) -> npt.NDArray[np.int64]:
    """Labels as int64 ``[N]``, of a column as well.

    Raises
    ------
    DataError
        For values that are no integers, negative or beyond 64 bits, or a number of them that
        differs.
    """
    if y.dtype.kind not in "ui":
        raise DataError(
            f"{where} is {y.dtype}; pass integer labels, or floats as targets of a regression"
        )
    if y.shape == (n_samples, 1):
        y = y[:, 0]
    if y.shape != (n_samples,):
        remedy = "; pass y.argmax(axis=1)" if y.ndim == 2 and len(y) == n_samples else ""
        raise DataError(f"{where} has shape {y.shape}, x asks for ({n_samples},){remedy}")
    if y.size and y.min() < 0:
        raise DataError(f"{where} holds label {y.min()}, labels start at 0")
    if y.size and y.max() > np.iinfo(np.int64).max:
        raise DataError(f"{where} holds label {y.max()}, no network has so many classes")
    return y.astype(np.int64)


def checked_targets(where: str, y: AnyArray, n_samples: int) -> Floats:
    """Targets of a regression as float32 ``[N, *shape]``.

    Raises
    ------
    DataError
        For values that are not finite, or a number of samples that differs.
    """
    if y.shape[:1] != (n_samples,):
        raise DataError(f"{where} has shape {y.shape}, x asks for ({n_samples}, ...)")
    limit = float(np.finfo(np.float32).max)
    check_values(where, y, (-limit, limit), "remove such values")
    return np.asarray(y, np.float32)


def from_bytes(x: AnyArray) -> Floats:
    """Values 0 ... 255 as float32 multiples of 1 / 255."""
    expect_room("samples of bytes", x.size)
    # NumPy 1 would divide bytes by a float32 scalar in half precision.
    return np.divide(x, 255, dtype=np.float32)


def on_grid(inputs: Mapping[str, AnyArray]) -> tuple[dict[str, Floats], int | None]:
    """Values in [0, 1] as the nearest float32 multiples of 1 / levels, if all are such multiples.

    A value may be off by the rounding of a division, or of a product with 1 / levels, in float32.
    """
    for levels in GRIDS:
        found = {name: _snapped(x, levels, None) for name, x in inputs.items()}
        if all(isinstance(x, np.ndarray) for x in found.values()):
            return {name: x for name, x in found.items() if isinstance(x, np.ndarray)}, levels
    return {name: np.asarray(x, np.float32) for name, x in inputs.items()}, None


def without_normalization(
    where: str, x: AnyArray, norm: Normalization, levels: int | None
) -> tuple[Floats, int]:
    """Values from which a normalization was computed in float32: multiples of 1 / levels in [0, 1].

    Raises
    ------
    DataError
        For values that do not lie on such a grid, which another normalization was applied to.
    """
    first = 0.0
    for grid in reversed(GRIDS) if levels is None else (levels,):
        found = _snapped(x, grid, norm)
        if isinstance(found, np.ndarray):
            return found, grid
        first = found
    raise DataError(
        f"{where}: a value of {first:g} before the normalization is no k / {grid} with k = 0 ... "
        f"{grid}; pass the mean and std of the Normalize that was applied, or images before it"
    )


def _snapped(x: AnyArray, levels: int, norm: Normalization | None) -> Floats | float:
    """Values on the grid, or the first that lies beside it; ``x`` itself where it is all exact."""
    if norm is None and x.dtype == np.float32 and all(_exact(x[p], levels) for p in parts(x)):
        return x
    expect_room("samples", x.size)
    found = np.empty(x.shape, np.float32)
    for part in parts(x):
        near = _nearest(x[part], levels, norm)
        if isinstance(near, float):
            return near
        found[part] = near
    return found


def _exact(x: Floats, levels: int) -> bool:
    """Whether float32 values are those nearest to multiples of 1 / levels in [0, 1]."""
    k = np.rint(x * np.float32(levels))
    # A quotient of whole numbers that float32 holds is the nearest to it.
    return bool((k >= 0).all() and (k <= levels).all() and (k / np.float32(levels) == x).all())


def _nearest(x: AnyArray, levels: int, norm: Normalization | None) -> Floats | float:
    """The multiples of 1 / levels at which values lie, or the first that lies beside them."""
    values = np.asarray(x, np.float64)
    size = np.abs(values)
    if norm is not None:
        column = (-1, *(1,) * (x.ndim - 2))
        mean, std = (np.reshape(v, column) for v in (norm.mean, norm.std))
        size = 4 * np.abs(values * std) + 2 * np.abs(mean)
        values = values * std + mean
    k = np.rint(values * levels)
    wrong = (np.abs(values - k / levels) > ROUNDING * size) | (k < 0) | (k > levels)
    return float(values[wrong][0]) if wrong.any() else (k / levels).astype(np.float32)


def expect_room(where: str, n_values: int) -> None:
    """Refuse what memory does not hold in single precision, before any of it is taken.

    Raises
    ------
    DataError
    """
    needed, free = 4 * n_values, free_memory()
    if needed > free:
        raise DataError(
            f"{where}: {needed / 1e9:.1f} GB in single precision, memory has room for "
            f"{free / 1e9:.1f}; take a part, or a memory map of float32 that is read-only"
        )


def first_positions(name: str, n: int, length: int) -> range:
    """Positions of the first ``n`` of ``length`` samples.

    Raises
    ------
    DataError
        If there are fewer, or ``n`` is below 1.
    UsageError
        For what is no whole number.
    """
    if not isinstance(n, int | np.integer) or isinstance(n, bool):
        raise UsageError(f"{name}: the first {n!r} samples; pass a whole number")
    if not 1 <= n <= length:
        raise DataError(f"{name}: the first {n} of {length} samples were asked for")
    return range(n)


def checked_positions(
    name: str, indices: Sequence[int] | npt.NDArray[np.int64], length: int
) -> npt.NDArray[np.int64]:
    """Positions of samples as int64 ``[n]``.

    Raises
    ------
    DataError
        For a position outside 0 ... length - 1.
    UsageError
        For what are no whole numbers, as a mask.
    """
    chosen = whole_numbers(f"{name}: positions", indices)
    if chosen.ndim != 1 or (chosen.size and not 0 <= chosen.min() <= chosen.max() < length):
        raise DataError(f"{name}: positions must lie in 0 ... {length - 1}")
    return chosen


def whole_numbers(where: str, values: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Whole numbers of 64 bits, from 0 on.

    Raises
    ------
    UsageError
        For anything else: what is no whole number is not cut to one.
    """
    found = np.asarray(values)
    if found.size and found.dtype.kind not in "ui":
        mask = ", of a mask np.flatnonzero(mask)" if found.dtype.kind == "b" else ""
        raise UsageError(f"{where} are {found.dtype}; pass whole numbers{mask}")
    if found.size and not 0 <= found.min() <= found.max() <= np.iinfo(np.int64).max:
        raise DataError(f"{where} in {found.min()} ... {found.max()}; they count from 0")
    return found.astype(np.int64)


def checked_indices(
    name: str, indices: npt.ArrayLike | None, n_samples: int
) -> npt.NDArray[np.int64]:
    """Places of samples in their split, 0, 1, ... by default; errors of :func:`whole_numbers`."""
    return np.arange(n_samples) if indices is None else whole_numbers(f"{name}: indices", indices)


def expect_slice(name: str, samples: object) -> None:
    """UsageError for anything but a slice of whole numbers."""
    try:
        if isinstance(samples, slice):
            samples.indices(1)
            return
    except (TypeError, ValueError):  # bounds of text or floats, a step of 0
        pass
    raise UsageError(
        f"{name}: [{samples!r}] is no slice of samples; write samples[3:4], or "
        "samples.subset([3, 7])"
    )


def checked_levels(name: str, levels: int | None) -> int | None:
    """Levels of an input that are given; UsageError for what an encoding does not take."""
    whole = isinstance(levels, int | np.integer) and not isinstance(levels, bool)
    if levels is not None and not (whole and 1 <= levels <= MAX_LEVELS):
        raise UsageError(f"{name}: levels={levels!r}; pass a whole number from 1 to {MAX_LEVELS}")
    return levels
