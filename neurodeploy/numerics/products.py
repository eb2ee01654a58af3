"""Integer matrix products at the speed of floating point, without trust in its library.

Where the sums of magnitudes stay below 2^24 (float32) or 2^53 (float64), every intermediate result
of a floating-point product is an integer that the format holds: the product is exact in any order
of summation. That is a fact of the arithmetic, not of every library that claims to do it. So each
product is confirmed by one integer equation modulo 2^64 with random r (Freivalds, "Probabilistic
machines can use less running time", 1977): ``r . (W x) = (r W) . x`` for every column of x. A wrong
column passes with a probability of 2^(k - 64) where 2^k divides all of its errors.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.errors import NeurodeployWarning

Integers = NDArray[np.integer[Any]]


class Product:
    """Exact ``W @ x`` of integers.

    Parameters
    ----------
    weight : integers ``[..., m, k]``
        Leading axes are products of their own (groups).
    """

    def __init__(self, weight: Integers) -> None:
        self._weight: NDArray[np.int64] = weight.astype(np.int64)
        self._row = int(np.abs(self._weight).sum(axis=-1).max()) if weight.size else 0
        self._as: dict[Any, NDArray[Any]] = {}
        # Not seeded: no library can be right by luck on this draw alone.
        self._r = np.random.default_rng().integers(-(2**63), 2**63, weight.shape[-2], np.int64)
        self._rw = np.einsum("m,...mk->...k", self._r, self._weight)

    def __call__(self, x: Integers, largest: int | None = None) -> NDArray[np.int64]:
        """Product with every column.

        Parameters
        ----------
        x : integers ``[..., k, n]``
        largest : int, optional
            Bound of the magnitudes in ``x``, where the caller knows it.

        Returns
        -------
        int64 ``[..., m, n]``
        """
        if largest is None:
            largest = max(int(x.max()), -int(x.min())) if x.size else 0
        bound = self._row * largest
        x = x.astype(np.int64, copy=False)
        if bound < 2**53:
            dtype = np.float32 if bound < 2**24 else np.float64
            if dtype not in self._as:
                self._as[dtype] = self._weight.astype(dtype)
            product = _floating(self._as[dtype], x.astype(dtype)).astype(np.int64)
            sent = np.einsum("...k,...kn->...n", self._rw, x)
            if np.array_equal(np.einsum("m,...mn->...n", self._r, product), sent):
                return product
            warnings.warn(
                "the floating-point library of NumPy multiplies integers wrongly on this machine; "
                "integer products are used, which are right and slow",
                NeurodeployWarning,
                stacklevel=2,
            )
        exact: NDArray[np.int64] = np.matmul(self._weight, x)
        return exact


def _floating(weight: NDArray[Any], x: NDArray[Any]) -> NDArray[Any]:
    product: NDArray[Any] = np.matmul(weight, x)
    return product
