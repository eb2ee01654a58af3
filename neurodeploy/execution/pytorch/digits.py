"""Exact products of integer matrices by ``torch._int_mm``: int8 times int8 into int32.

That product is exact where its widths are proved, and only there. Processors without VNNI
instructions multiply one operand as unsigned bytes, shifted up by 128, and add *pairs* of products
in 16 bits that saturate (``vpmaddubsw``). Which operand is shifted and which rows of a column make
a pair is the library's affair. So numbers ``x`` may meet a column ``w`` as they are if, for any
two entries of one sign,

    (|w_1| + |w_2|) (max x + 128) < 2^15   and   2 max|x| (127 + 128) < 2^15,

which spikes and nearly all columns of 8-bit weights do. Otherwise they meet it lowered by their
highest value, ``x w = (x - h) w + h sum(w)``: numbers in [-64, 0] may meet every int8, since
-256 (0 + 128) = -2^15. Numbers over a wider range are written in balanced digits of base 64,
``x = sum_i 64^i x_i`` with -32 <= x_i < 32, weights beyond 8 bits in balanced digits of base 256;
every pair of digits is one product. The 32-bit sums hold while no more than ``MAX_ROW`` products
are added; longer rows are added in parts.
"""

from __future__ import annotations

import numpy as np
import torch

from neurodeploy.ir.arrays import IntArray

X_BASE, W_BASE = 64, 256
MAX_ROW = 2**31 // (255 * 128)
"""Products of a shifted and of a signed byte that 32 bits can add up."""
WIDEST = 64
"""Largest magnitude of what meets a column."""


class DigitMatrix:
    """``x @ weight`` for integers ``x`` ``[M, K]`` of a declared range.

    Parameters
    ----------
    weight : int64 array ``[K, n]``
    payload : (int, int)
        Inclusive range of x; contains 0.
    """

    def __init__(self, weight: IntArray, payload: tuple[int, int]) -> None:
        self.n_in, self.n_out = weight.shape
        low, high = payload
        digits = _weight_digits(weight)
        self.weights = [_columns(digit) for digit in digits]
        direct = len(digits) == 1 and may_meet(weight, low, high)
        one = direct or high - low <= WIDEST
        self.n_digits = 1 if one else n_digits(low, high)
        self.lowered = 0 if direct else high if one else X_BASE // 2 - 1
        """Offset subtracted from every digit of x before the product."""
        factors = X_BASE ** np.arange(self.n_digits, dtype=object)
        rows = sum(int(np.abs(d).sum(0).max()) * W_BASE**j for j, d in enumerate(digits))
        largest = rows * int((WIDEST + self.lowered) * factors.sum())
        self.dtype = torch.int32 if largest < 2**31 else torch.int64
        """Type that holds every partial sum."""
        owed = int(self.lowered * factors.sum()) * weight.sum(0)
        self.owed = torch.tensor(owed, dtype=self.dtype) if owed.any() else None

    def carry(self, bias: IntArray) -> bool:
        """Add a bias ``[n]`` to every product with what is owed, if that is added anyway."""
        if self.owed is None:
            return False
        total = self.owed.numpy() + bias
        if np.abs(total).max() >= torch.iinfo(self.dtype).max:
            return False
        self.owed = torch.tensor(total, dtype=self.dtype)
        return True

    def digits(self, x: torch.Tensor) -> list[torch.Tensor]:
        """The digits of ``x`` that :meth:`multiply` takes, lowered: int8."""
        if self.n_digits == 1:
            narrow = x.to(torch.int8)
            return [narrow - self.lowered if self.lowered else narrow]
        parts = []
        for _ in range(self.n_digits):
            digit = ((x & (X_BASE - 1)) ^ (X_BASE // 2)) - X_BASE // 2
            parts.append((digit - self.lowered).to(torch.int8))
            # A digit below 0 borrows from the next one.
            x = (x >> 6) + ((x >> 5) & 1)
        return parts

    def multiply_into(self, result: torch.Tensor, digits: list[torch.Tensor]) -> None:
        """Write the product of ``[M, K]``, given by its digits, to ``result`` ``[M, n]``."""
        if result.dtype == self.dtype == torch.int32 and result.is_contiguous():
            self._sum(digits, result)
        else:
            result.copy_(self.multiply(digits))

    def multiply(self, digits: list[torch.Tensor]) -> torch.Tensor:
        """The product of ``[M, K]``, given by its digits: ``[M, n]`` of ``dtype``."""
        total = torch.empty(len(digits[0]), self.n_out, dtype=self.dtype)
        self._sum(digits, total)
        return total

    def _sum(self, digits: list[torch.Tensor], total: torch.Tensor) -> None:
        fresh = True
        for i, digit in enumerate(digits):
            x = _rows(digit)
            for j, weight in enumerate(self.weights):
                for start in range(0, self.n_in, MAX_ROW):
                    rows = slice(start, start + MAX_ROW)
                    if fresh and total.dtype == torch.int32:
                        torch._int_mm(x[:, rows], weight[rows], out=total)
                    else:
                        part = torch._int_mm(x[:, rows], weight[rows]).to(total.dtype)
                        if fresh:
                            total.copy_(part)
                        else:
                            total.add_(part, alpha=X_BASE**i * W_BASE**j)
                    fresh = False
        if self.owed is not None:
            total.add_(self.owed)


def may_meet(weight: IntArray, low: int, high: int) -> bool:
    """Whether numbers in [low, high] may meet the columns of int8 weights as they are."""
    widest = max(-low, high)
    return widest <= WIDEST and int(pair_sums(weight).max()) * (high + 128) < 2**15


def pair_sums(weight: IntArray) -> IntArray:
    """Largest ``|w_1| + |w_2|`` of two entries of one sign in each column of ``[K, n]``."""
    padded = np.concatenate([weight, np.zeros((2, weight.shape[1]), dtype=np.int64)])
    ordered = np.partition(padded, (1, len(padded) - 2), axis=0)
    return np.asarray(np.maximum(ordered[-2:].sum(0), -ordered[:2].sum(0)))


def n_digits(low: int, high: int, base: int = X_BASE) -> int:
    """Balanced digits that hold [low, high]."""
    n, ones = 1, 1
    while low < -ones * base // 2 or high > ones * (base // 2 - 1):
        n, ones = n + 1, ones * base + 1
    return n


def _weight_digits(weight: IntArray) -> list[IntArray]:
    low, high = int(weight.min()), int(weight.max())
    digits = []
    for _ in range(n_digits(low, high, W_BASE)):
        digit = ((weight & 255) ^ 128) - 128
        digits.append(digit)
        weight = (weight - digit) >> 8
    return digits


def _rows(x: torch.Tensor) -> torch.Tensor:
    """``[M, K]`` row by row: of rows that share memory the library takes other numbers."""
    return x.contiguous().as_strided(x.shape, (x.shape[1], 1))


def _columns(weight: IntArray) -> torch.Tensor:
    """Columns of one output lie together, which is what the product reads fastest."""
    return torch.tensor(np.ascontiguousarray(weight.T), dtype=torch.int8).t()
