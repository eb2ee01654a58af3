"""Exact products of integer matrices by ``torch._int_mm``: int8 times int8 into int32.

That product is exact where its widths are proved, and only there. Processors without VNNI
instructions multiply one operand as unsigned bytes, shifted up by 128, and add *pairs* of products
in 16 bits that saturate (``vpmaddubsw``). Which operand is shifted and which rows of a column make
a pair is the library's affair, so a column ``w`` may meet numbers ``x`` only if, for any two
entries of one sign,

    (|w_1| + |w_2|) (max x + 128) < 2^15   and   2 max|x| (127 + 128) < 2^15.

The second holds up to 64: numbers beyond are written in balanced digits of base 128,
``x = sum_i 128^i x_i`` with -64 <= x_i < 64. The first holds for spikes and nearly all columns
of 8-bit weights; what is too much of the others is a product of its own, of these columns only.
Weights beyond 8 bits are written in digits too. The 32-bit sums hold while no more than ``MAX_ROW``
products are added; longer rows are added in parts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from neurodeploy.ir.arrays import IntArray

BASE = 128
MAX_ROW = 2**31 // (255 * 128)
"""Products of a shifted and of a signed byte that 32 bits can add up."""
MAX_FACTOR = 64


@dataclass(frozen=True, slots=True)
class _Term:
    """One product: its int8 weights ``[K, n]`` count ``factor``, in some columns or (None) all."""

    weight: torch.Tensor
    factor: int
    columns: torch.Tensor | None = None


def n_digits(low: int, high: int) -> int:
    """Balanced digits of base 128 that hold [low, high]."""
    n = 1
    while low < -64 * (BASE**n - 1) // (BASE - 1) or high > 63 * (BASE**n - 1) // (BASE - 1):
        n += 1
    return n


def pair_sums(weight: IntArray) -> IntArray:
    """Largest ``|w_1| + |w_2|`` of two entries of one sign in each column of ``[K, n]``."""
    signed = np.concatenate([weight, np.zeros((2, weight.shape[1]), dtype=np.int64)])
    ordered = np.partition(signed, (1, len(signed) - 2), axis=0)
    return np.asarray(np.maximum(ordered[-2:].sum(0), -ordered[:2].sum(0)))


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
        largest = max(-payload[0], payload[1])
        self.n_digits = 1 if largest <= MAX_FACTOR else n_digits(*payload)
        highest = payload[1] if self.n_digits == 1 else 63
        self.terms = _terms(weight, (2**15 - 1) // (highest + 128))
        met = largest if self.n_digits == 1 else MAX_FACTOR * (BASE**self.n_digits - 1)
        sums = (int(term.weight.to(torch.int64).abs().sum(0).max()) for term in self.terms)
        total = sum(row * t.factor * met for row, t in zip(sums, self.terms, strict=True))
        self.dtype = torch.int32 if total < 2**31 else torch.int64
        """Type that holds every partial sum of digits."""

    def digits(self, x: torch.Tensor) -> list[torch.Tensor]:
        """The digits of ``x`` that :meth:`multiply` takes, int8."""
        if self.n_digits == 1:
            return [x.to(torch.int8)]
        parts = []
        for _ in range(self.n_digits):
            parts.append((((x & 127) ^ 64) - 64).to(torch.int8))
            # A digit below 0 borrows from the next one.
            x = (x >> 7) + ((x >> 6) & 1)
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
        fresh = total.dtype != torch.int32
        if fresh:
            total.zero_()
        for i, digit in enumerate(digits):
            x = _rows(digit)
            for term in self.terms:
                for start in range(0, self.n_in, MAX_ROW):
                    rows = slice(start, start + MAX_ROW)
                    factor = term.factor * BASE**i
                    if not fresh and start == i == 0 and term is self.terms[0]:
                        # The first term is of all columns and counts once.
                        torch._int_mm(x[:, rows], term.weight[rows], out=total)
                        continue
                    part = torch._int_mm(x[:, rows], term.weight[rows]).to(total.dtype)
                    if term.columns is None:
                        total.add_(part, alpha=factor)
                    else:
                        total.index_add_(1, term.columns, part, alpha=factor)


def _terms(weight: IntArray, limit: int) -> list[_Term]:
    """Products that add up to one of ``weight``, every one within the limit of pairs."""
    low, high = int(weight.min()), int(weight.max())
    if low < -128 or high > 127:
        terms, factor = [], 1
        for _ in range(n_digits(low, high)):
            # Two digits are at most 128, below the limit of every x.
            digit = ((weight & 127) ^ 64) - 64
            terms.append(_Term(_columns(digit), factor))
            weight, factor = (weight - digit) >> 7, factor * BASE
        return terms
    wide = pair_sums(weight) > limit
    kept = np.where(wide, np.clip(weight, -(limit // 2), limit // 2), weight)
    terms = [_Term(_columns(kept), 1)]
    if wide.any():
        which = np.flatnonzero(wide)
        terms.append(_Term(_columns((weight - kept)[:, which]), 1, torch.tensor(which)))
    return terms


def _rows(x: torch.Tensor) -> torch.Tensor:
    """``[M, K]`` row by row: of rows that share memory the library takes other numbers."""
    return x.contiguous().as_strided(x.shape, (x.shape[1], 1))


def _columns(weight: IntArray) -> torch.Tensor:
    """Columns of one output lie together, which is what the product reads fastest."""
    return torch.tensor(np.ascontiguousarray(weight.T), dtype=torch.int8).t()
