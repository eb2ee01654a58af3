"""Read-only arrays: an array inside a frozen dataclass is a private copy nobody can edit."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
AnyArray = npt.NDArray[Any]


def frozen(values: npt.ArrayLike, dtype: npt.DTypeLike | None = None) -> AnyArray:
    """Return a C-ordered, read-only copy of ``values``."""
    array = np.array(values, dtype=dtype, order="C", copy=True)
    array.setflags(write=False)
    return array


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
