"""Moments of pairs of counts and activations, by the native library where it is there."""

from __future__ import annotations

import numpy as np

from neurodeploy.execution.native import library
from neurodeploy.ir.arrays import AnyArray, FloatArray


def moments(a: AnyArray, b: AnyArray, unit: FloatArray, start: FloatArray) -> FloatArray | None:
    """Sums of p, q, p p, q q and p q over all pairs ``p = a unit - start[0], q = b - start[1]``.

    Parameters
    ----------
    a : int32 array ``[B, n]``
    b : float32 array ``[B, n]``
    unit : float64 array ``[n]``
    start : float64 array ``[2]``
        Near the means, so that nothing is lost in the squares.

    Returns
    -------
    float64 array ``[5]``, or None where the arrays are others, or without the library.
    """
    fits = a.dtype == np.int32 and b.dtype == np.float32
    if not (fits and a.flags.c_contiguous and b.flags.c_contiguous and library.available()):
        return None
    sums = np.empty(5)
    rows, width = a.shape
    in_order = [np.ascontiguousarray(values, dtype=np.float64) for values in (unit, start)]
    pointers = [array.ctypes.data for array in (a, b, *in_order, sums)]
    library.load().functions.nd_moments(*pointers[:3], rows, width, *pointers[3:])
    return sums
