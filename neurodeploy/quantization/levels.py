"""Levels fitted to the weights: few values per channel, and all sums of their copies.

On a crossbar a weight costs axon copies of its input, not bits. With m_g copies of type g and a
value v_g per neuron, a weight can be any ``sum_g k_g v_g`` with ``0 <= k_g <= m_g``. Powers of two
as values make the uniform grid of a width; fitted to the weights of each channel, the same copies
come closer to them. Values and digits are found in turn, as in LQ-Nets (Zhang et al. 2018, ECCV,
doi 10.1007/978-3-030-01237-3_23, section 3.2), here with whole values.
"""

from __future__ import annotations

import itertools
from functools import lru_cache

import numpy as np

from neurodeploy.ir.arrays import FloatArray, IntArray

UNIFORM = {
    2: ((1, 1), (1, -2)),
    3: ((1, 1, 1), (1, 2, -4)),
    4: ((1, 1, 1, 1), (1, 2, 4, -8)),
    5: ((1, 1, 2, 2), (1, 14, -2, -6)),
}
"""Axon copies per type that a width's uniform grid takes on four axon types, and their values."""

SHARES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
"""Shares of the step that reaches the largest weight, at which fitting starts."""

ROUNDS = 12
"""Turns of values and digits for every start."""


@lru_cache(maxsize=16)
def _codes(copies: tuple[int, ...]) -> FloatArray:
    """All digits: float64 ``[levels, types]``."""
    codes = itertools.product(*(range(m + 1) for m in copies))
    found = np.array(sorted(codes, key=sum), dtype=np.float64)
    found.setflags(write=False)
    return found


def fit_levels(
    weights: FloatArray, used: FloatArray, bits: int, largest: int
) -> tuple[IntArray, IntArray]:
    """Values of least squared error per channel, and the weights on their sums.

    Parameters
    ----------
    weights : float64 ``[C, n]``
        In units of the integers.
    used : float64 ``[C, n]``
        0 for padding, which is kept at 0; else 1.
    bits : int
        2 to 5; see :data:`UNIFORM`.
    largest : int
        Magnitude that neither values nor weights exceed.

    Returns
    -------
    values : int64 ``[C, types]``
    levels : int64 ``[C, n]``
    """
    copies, powers = UNIFORM[bits]
    codes = _codes(copies)
    whole = np.abs(weights).max(axis=1, initial=0) / (2 ** (bits - 1) - 1)
    starts = [s * whole[:, None] * np.array(powers) for share in SHARES for s in (share, -share)]
    best_error: FloatArray = np.full(weights.shape[0], np.inf)
    best_values: IntArray = np.zeros((weights.shape[0], len(copies)), dtype=np.int64)
    for start in starts:
        values: FloatArray = np.rint(np.clip(start, -largest, largest))
        for _ in range(ROUNDS):
            sums: FloatArray = values @ codes.T
            chosen = codes[_nearest(weights, sums, largest)]
            error = (np.square((chosen * values[:, None]).sum(-1) - weights) * used).sum(1)
            better = error < best_error - 1e-9
            best_error = np.where(better, error, best_error)
            best_values[better] = values[better].astype(np.int64)
            values = _least_squares(weights, chosen, used, values, largest)
    levels: IntArray = best_values @ codes.T.astype(np.int64)
    index = _nearest(weights, levels, largest)
    fitted = np.take_along_axis(levels, index, axis=1)
    return best_values, np.where(used > 0, fitted, 0)


def _nearest(weights: FloatArray, levels: FloatArray | IntArray, largest: int) -> IntArray:
    """Index of the nearest level of at most ``largest`` for every weight: ``[C, n]``."""
    index: IntArray = np.zeros(weights.shape, dtype=np.int64)
    for c, row in enumerate(levels):
        legal = np.flatnonzero(np.abs(row) <= largest)
        order = legal[np.argsort(row[legal], kind="stable")]
        borders = (row[order][1:] + row[order][:-1]) / 2
        index[c] = order[np.searchsorted(borders, weights[c])]
    return index


def _least_squares(
    weights: FloatArray, chosen: FloatArray, used: FloatArray, before: FloatArray, largest: int
) -> FloatArray:
    """Values for fixed digits; a type that no weight uses keeps its value."""
    digits = chosen * used[..., None]
    gram = np.einsum("cng,cnh->cgh", digits, chosen)
    target = np.einsum("cng,cn->cg", digits, weights)
    # A small pull towards the values before makes unused types regular.
    pull = 1e-6 * np.eye(gram.shape[1])
    solved = np.linalg.solve(gram + pull, (target + 1e-6 * before)[..., None])[..., 0]
    return np.clip(np.rint(solved), -largest, largest)
