"""Rounding against data: what rounding one weight changes, the weights after it take back.

With x what arrives at a neuron over a sample, w its real weights on the grid's scale and q whole
ones, the squared change of its input is ``(w - q)^T H (w - q)`` with the moment H of x
(:mod:`neurodeploy.quantization.input_statistics`). Weights are rounded in turn, those with the most
variance first; each leaves an error that the weights not yet rounded take over as far as what they
hear goes along with it::

    w_j <- w_j - (w_i - q_i) U_ij / U_ii    for all j after i,    U^T U = H^-1, U upper

After that single weights move, each to the integer that is best beside all others, for a few rounds
or until none does.

References
----------
Frantar & Alistarh 2022, "Optimal brain compression", arXiv 2208.11580; Frantar et al. 2022,
"GPTQ", arXiv 2210.17323.
"""

from __future__ import annotations

import numpy as np

from neurodeploy.ir.arrays import FloatArray, IntArray
from neurodeploy.ir.connectivity import Connectivity
from neurodeploy.ir.patches import has_rows
from neurodeploy.quantization.grids import weight_range
from neurodeploy.quantization.input_statistics import Factor, Heard

_PANEL = 64
_SWEEPS = 4


def compensated_weights(
    connectivity: Connectivity,
    step: FloatArray,
    bits: int,
    heard: Heard,
    source: str,
    centered: bool,
    symmetric: bool = False,
) -> IntArray:
    """Whole weights of a projection with rows of weights, of the shape of its own.

    Parameters
    ----------
    connectivity : Connectivity
        Real-valued.
    step : array ``[C]``
        Of every output channel.
    bits : int
        Two's complement width.
    heard : Heard
        What weights are rounded against.
    source : str
        Population that the projection comes from.
    centered : bool
        Whether a bias takes back the mean change.
    symmetric : bool
        Whether the result is to be negated too.
    """
    assert has_rows(connectivity)
    weight = connectivity.weight
    rows = weight.reshape(len(weight), -1)
    exact = rows / np.repeat(step, len(rows) // len(step))[:, None]
    whole: IntArray = np.empty(rows.shape, dtype=np.int64)
    for own, columns, factor in heard.factors(source, connectivity, centered):
        whole[own, columns] = _compensated(exact[own, columns], factor, bits, symmetric)
    return whole.reshape(weight.shape)


def _compensated(exact: FloatArray, factor: Factor, bits: int, symmetric: bool) -> IntArray:
    """Round ``[rows, K]`` in turn, in units of the grid, then improve weight by weight."""
    low, high = weight_range(bits, symmetric)
    order, upper = factor.order, factor.upper
    wanted = exact[:, order]
    left = wanted.copy()
    whole = np.empty_like(left)
    for first in range(0, exact.shape[1], _PANEL):
        last = min(first + _PANEL, exact.shape[1])
        errors: FloatArray = np.empty((len(exact), last - first))
        for i in range(first, last):
            whole[:, i] = np.clip(np.rint(left[:, i]), low, high)
            # A weight of 0 is no synapse: pruned ones do not come back.
            whole[wanted[:, i] == 0, i] = 0
            error = (left[:, i] - whole[:, i]) / upper[i, i]
            errors[:, i - first] = error
            left[:, i + 1 : last] -= error[:, None] * upper[i, i + 1 : last]
        left[:, last:] -= errors @ upper[first:last, last:]
    _descend(whole, wanted, factor.moment, low, high)
    result: IntArray = np.empty(exact.shape, dtype=np.int64)
    result[:, order] = whole.astype(np.int64)
    return result


def _descend(
    whole: FloatArray, wanted: FloatArray, moment: FloatArray, low: int, high: int
) -> None:
    """Move each weight in turn, in place, to the integer of least error beside all others."""
    slope = (wanted - whole) @ moment
    for _ in range(_SWEEPS):
        moved = False
        for i, variance in enumerate(np.diag(moment)):
            to = np.clip(np.rint(whole[:, i] + slope[:, i] / variance), low, high)
            change = np.where(wanted[:, i] == 0, 0.0, to - whole[:, i])
            rows = np.flatnonzero(change)
            if rows.size:
                moved = True
                whole[rows, i] += change[rows]
                slope[rows] -= change[rows, None] * moment[i]
        if not moved:
            return
