"""Values inside frozen dataclasses: private read-only arrays, and whole numbers."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import numpy.typing as npt

from neurodeploy.errors import NetlistError

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
AnyArray = npt.NDArray[Any]


def frozen(values: npt.ArrayLike, dtype: npt.DTypeLike | None = None) -> AnyArray:
    """Return a C-ordered, read-only copy of ``values``."""
    array = np.array(values, dtype=dtype, order="C", copy=True)
    array.setflags(write=False)
    return array


def narrowed(array: AnyArray) -> AnyArray:
    """Whole numbers in the narrowest signed type that holds them; an empty array as it is."""
    if not array.size:
        return array
    low, high = array.min(), array.max()
    for dtype in (np.int8, np.int16, np.int32):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return array.astype(dtype)
    return array


def whole(value: Any, what: str) -> int:
    """``value`` as an int.

    Raises
    ------
    NetlistError
        If it is not a whole number: 3.0 and True are none.
    """
    if isinstance(value, bool | np.bool_):
        raise NetlistError(f"{what} {value}; expected a whole number")
    try:
        return operator.index(value)
    except TypeError:
        shown = repr(value) if isinstance(value, float | str) else type(value).__name__
        raise NetlistError(f"{what} {shown}; expected a whole number") from None


def number(value: Any, what: str, expected: str = "a number") -> float:
    """``value`` as a float; NetlistError for what is none: text is never read as a number."""
    if isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool):
        return float(value)
    shown = repr(value) if isinstance(value, str | bool) else type(value).__name__
    raise NetlistError(f"{what} {shown}; expected {expected}")


def whole_sizes(values: Any, what: str) -> tuple[int, ...]:
    """A tuple of whole numbers; NetlistError for anything else."""
    if not isinstance(values, tuple | list):
        kind = type(values).__name__
        raise NetlistError(f"{what} of type {kind}; expected a tuple of whole numbers")
    return tuple(whole(v, what) for v in values)


def per_neuron(values: AnyArray, shape: tuple[int, ...]) -> AnyArray:
    """Spread a scalar, per-channel ``(C,)`` or per-neuron value over a population's ``shape``.

    The first axis of ``shape`` is the channel. Raises ValueError for any other form.
    """
    if values.shape == shape:
        return values
    if values.ndim == 0:
        return np.broadcast_to(values, shape)
    if values.shape == shape[:1]:
        return np.broadcast_to(values.reshape(-1, *(1,) * (len(shape) - 1)), shape)
    raise ValueError(f"got shape {values.shape}, expected (), {shape[:1]} or {shape}")


def arrays_equal(a: Any, b: Any) -> bool:
    """Equality of two optional arrays, dtype and shape included."""
    if a is None or b is None:
        return a is b
    return bool(a.dtype == b.dtype and a.shape == b.shape and np.array_equal(a, b))
