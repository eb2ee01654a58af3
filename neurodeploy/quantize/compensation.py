"""Rounding against data: what rounding one weight changes, the weights after it take back.

With x what arrives at a neuron over a sample, w its real weights on the grid's scale and q whole
ones, the squared change of its input is ``(w - q)^T H (w - q)``, ``H = E[x x^T]`` over calibration
samples and positions. Where a bias takes back what the mean m changes, little of it counts,
``H = E[x x^T] - (1 - c) m m^T``: not nothing, because rounding moves the means of later layers too.
Weights are rounded in turn, those with the most variance first; each leaves an error that the
weights not yet rounded take over as far as what they hear goes along with it::

    w_j <- w_j - (w_i - q_i) U_ij / U_ii    for all j after i,    U^T U = (H + d I)^-1, U upper

The damping d is a twentieth of the mean variance, or more where few samples tell little of many
inputs: the shrinkage that brings H nearest to what it estimates.

References
----------
Frantar & Alistarh 2022, "Optimal brain compression", arXiv 2208.11580; Frantar et al. 2022,
"GPTQ", arXiv 2210.17323, with the damping and one order for all rows. Ledoit & Wolf 2004, "A
well-conditioned estimator for large-dimensional covariance matrices", doi
10.1016/S0047-259X(03)00096-4: the shrinkage.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np

from neurodeploy.ir.arrays import AnyArray, FloatArray, IntArray
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense

SAMPLES = 16_384
"""Positions of all samples together that a covariance is taken from."""

BLOCK = 2048
"""Weights of a neuron that take over each other's errors."""

DAMPING = 0.05
"""Least d, in mean variances."""

MEAN_SHARE = 0.1
"""c. With 0, 0.1, 0.3 and 1 of it, ResNet-20 (graded, T = 4, 4 bits) agrees with its source on
94.9, 95.5, 95.3 and 94.5 % of 3000 training images that calibration did not see."""

_PANEL = 64


def has_rows(connectivity: Connectivity) -> bool:
    """Whether a neuron's weights are a row whose errors can take each other back."""
    return isinstance(connectivity, Conv | Dense)


def compensated_weights(
    connectivity: Connectivity, step: FloatArray, bits: int, emitted: AnyArray, centered: bool
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
    emitted : array ``[B, *pre_shape]``
        What the source emits over a sample.
    centered : bool
        Whether a bias takes back the mean change.
    """
    assert isinstance(connectivity, Conv | Dense)
    weight = connectivity.weight
    rows = weight.reshape(len(weight), -1)
    exact = rows / np.repeat(step, len(rows) // len(step))[:, None]
    whole: IntArray = np.empty(rows.shape, dtype=np.int64)
    groups = connectivity.groups if isinstance(connectivity, Conv) else 1
    per_group = len(rows) // groups
    for g in range(groups):
        own = slice(g * per_group, (g + 1) * per_group)
        heard = _heard(connectivity, emitted, g)
        for columns in _blocks(rows.shape[1]):
            moment = _second_moment(heard[:, columns], centered)
            whole[own, columns] = _compensated(exact[own, columns], moment, bits)
    return whole.reshape(weight.shape)


def _blocks(n: int) -> Iterator[slice]:
    """Nearly equal parts of at most ``BLOCK`` columns."""
    parts = -(-n // BLOCK)
    edges = [n * i // parts for i in range(parts + 1)]
    return (slice(a, b) for a, b in itertools.pairwise(edges))


def _heard(connectivity: Conv | Dense, emitted: AnyArray, group: int) -> FloatArray:
    """What the weights of one neuron meet: ``[n, K]``, at positions drawn evenly over samples."""
    if isinstance(connectivity, Dense):
        return emitted.reshape(len(emitted), -1)[:SAMPLES].astype(np.float64)
    window, per_group = connectivity.window, connectivity.weight.shape[1]
    n_places = math.prod(window.output_size)
    per_sample = min(n_places, max(1, -(-SAMPLES // len(emitted))))
    generator = np.random.default_rng(n_places)
    own = emitted[:SAMPLES, group * per_group : (group + 1) * per_group]
    padded = window.pad(own)
    places = np.stack(
        [generator.choice(n_places, per_sample, replace=False) for _ in range(len(own))]
    )
    sample = np.arange(len(own))[:, None]
    taps = [
        padded[where].reshape(len(own), per_group, n_places)[sample, :, places]
        for _, where in window.taps()
    ]
    # [samples, places, channels, taps], the order of a row of weights.
    return np.stack(taps, axis=3).reshape(-1, per_group * window.n_taps).astype(np.float64)


def _second_moment(heard: FloatArray, centered: bool) -> FloatArray:
    """H, damped: ``[K, K]``."""
    if centered:
        heard = heard - (1 - math.sqrt(MEAN_SHARE)) * heard.mean(axis=0)
    moment = heard.T @ heard / len(heard)
    variance = np.diag(moment)
    damping = max(DAMPING, _shrinkage(heard, moment)) * float(variance.mean())
    # An input that never spoke constrains nothing: its weights are rounded to the nearest.
    moment[np.diag_indices_from(moment)] += np.where(variance > 0, damping, damping or 1.0)
    return moment


def _shrinkage(heard: FloatArray, moment: FloatArray) -> float:
    """What to add to H, in mean variances, so that it errs least in squares (Ledoit & Wolf)."""
    n, k = heard.shape
    level = float(np.diag(moment).mean())
    apart = float(np.square(moment).sum()) - k * level**2
    if apart <= 0:
        return 0.0
    fourth = float(np.square(np.square(heard).sum(axis=1)).sum())
    error = (fourth / n - float(np.square(moment).sum())) / n
    share = min(max(error / apart, 0.0), 0.99)
    return share / (1 - share)


def _compensated(exact: FloatArray, moment: FloatArray, bits: int) -> IntArray:
    """Round ``[rows, K]`` in turn, in units of the grid."""
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    order = np.argsort(-np.diag(moment), kind="stable")
    left = exact[:, order]
    inverse = np.linalg.inv(moment[np.ix_(order, order)])
    upper = np.linalg.cholesky(inverse).T
    whole: IntArray = np.empty(exact.shape, dtype=np.int64)
    for first in range(0, exact.shape[1], _PANEL):
        last = min(first + _PANEL, exact.shape[1])
        errors: FloatArray = np.empty((len(exact), last - first))
        for i in range(first, last):
            rounded = np.clip(np.rint(left[:, i]), low, high)
            # A weight of 0 is no synapse: pruned ones do not come back.
            rounded[exact[:, order[i]] == 0] = 0
            whole[:, order[i]] = rounded.astype(np.int64)
            error = (left[:, i] - rounded) / upper[i, i]
            errors[:, i - first] = error
            left[:, i + 1 : last] -= error[:, None] * upper[i, i + 1 : last]
        left[:, last:] -= errors @ upper[first:last, last:]
    return whole
