"""Patches: what the rows of weights of a projection meet, sampled from values of its source."""

from __future__ import annotations

import itertools
import math
from functools import lru_cache
from typing import TypeGuard

import numpy as np

from neurodeploy.ir.arrays import AnyArray, FloatArray, IntArray
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense

SAMPLES = 16_384
"""Positions of all samples together."""


def has_rows(connectivity: Connectivity) -> TypeGuard[Conv | Dense]:
    """Whether a neuron's weights are a row that meets patches of the source."""
    return isinstance(connectivity, Conv | Dense)


def row_groups(connectivity: Conv | Dense) -> list[slice]:
    """The rows of each group of channels, which meet patches of their own."""
    groups = connectivity.groups if isinstance(connectivity, Conv) else 1
    size = len(connectivity.weight) // groups
    return [slice(first, first + size) for first in range(0, groups * size, size)]


def patches(connectivity: Conv | Dense, values: AnyArray, group: int) -> FloatArray:
    """Inputs of the rows of a group, at positions drawn evenly over samples: ``[n, K]``.

    Sample by sample, at the same positions for all values of one shape.

    Parameters
    ----------
    connectivity : Conv or Dense
    values : array ``[B, *pre_shape]``
    group : int
    """
    if isinstance(connectivity, Dense):
        return values.reshape(len(values), -1)[:SAMPLES].astype(np.float64)
    window, per_group = connectivity.window, connectivity.weight.shape[1]
    n_places = math.prod(window.output_size)
    own = values[:SAMPLES, group * per_group : (group + 1) * per_group]
    padded = window.pad(own)
    places = _places(n_places, len(values))
    sample = np.arange(len(own))[:, None]
    taps = [
        padded[where].reshape(len(own), per_group, n_places)[sample, :, places]
        for _, where in window.taps()
    ]
    # [samples, places, channels, taps], the order of a row of weights.
    return np.stack(taps, axis=3).reshape(-1, per_group * window.n_taps).astype(np.float64)


def outputs(connectivity: Conv | Dense, values: AnyArray) -> FloatArray:
    """Values of the neurons whose rows meet the :func:`patches`: ``[n, C]``, of all groups.

    Parameters
    ----------
    connectivity : Conv or Dense
    values : array ``[B, *post_shape]``
    """
    flat = values[:SAMPLES].reshape(len(values[:SAMPLES]), values.shape[1], -1)
    if isinstance(connectivity, Dense):
        return flat.reshape(len(flat), -1).astype(np.float64)
    places = _places(flat.shape[2], len(values))
    chosen = flat[np.arange(len(flat))[:, None], :, places]
    return chosen.reshape(-1, flat.shape[1]).astype(np.float64)


@lru_cache(maxsize=64)
def _places(n_places: int, n_samples: int) -> IntArray:
    """Positions that are looked at of each sample: ``[samples, places]``."""
    per_sample = min(n_places, max(1, -(-SAMPLES // n_samples)))
    generator = np.random.default_rng(n_places)
    drawn = (generator.choice(n_places, per_sample, replace=False) for _ in range(n_samples))
    places: IntArray = np.stack(list(itertools.islice(drawn, SAMPLES)))
    places.setflags(write=False)
    return places


def least_squares(met: FloatArray, gain: FloatArray, damping: float) -> FloatArray:
    """Rows ``[N, K]`` that read from ``met`` what goes along with it.

    Parameters
    ----------
    met : array ``[n, K]``
        Without its mean.
    gain : array ``[K, N]``
        ``E[met y^T]`` of what is to be read.
    damping : float
        Least damping of the moment's diagonal, in mean variances.
    """
    moment = met.T @ met / len(met)
    variance = float(np.diag(moment).mean())
    if variance == 0:
        return np.zeros(gain.shape[::-1])
    moment[np.diag_indices_from(moment)] += max(damping, shrinkage(met, moment)) * variance
    return np.asarray(np.linalg.solve(moment, gain).T)


def shrinkage(met: FloatArray, moment: FloatArray) -> float:
    """Shrinkage of a moment's diagonal, in mean variances, with the least expected squared error.

    Parameters
    ----------
    met : array ``[n, K]``
    moment : array ``[K, K]``
        ``E[x x^T]`` of them.

    References
    ----------
    Ledoit & Wolf 2004, "A well-conditioned estimator for large-dimensional covariance matrices",
    doi 10.1016/S0047-259X(03)00096-4.
    """
    n, k = met.shape
    level = float(np.diag(moment).mean())
    apart = float(np.square(moment).sum()) - k * level**2
    if apart <= 0:
        return 0.0
    fourth = float(np.square(np.square(met).sum(axis=1)).sum())
    error = (fourth / n - float(np.square(moment).sum())) / n
    share = min(max(error / apart, 0.0), 0.99)
    return share / (1 - share)
