"""Rounding whose errors cancel: within every kernel, then within every output channel.

Activations are not negative and alike in neighbouring places, so what rounding changes is mostly
the sum of its errors times a mean. Weights are rounded to the nearest step; then those with the
largest errors go to the other side, until the errors of a kernel sum to at most half a step, and
after that those of a channel. No error becomes larger than one step.

References
----------
Guo et al. 2022, "SQuant: on-the-fly data-free quantization via diagonal Hessian approximation",
arXiv 2202.07471, whose kernel-wise and channel-wise flips these are.
"""

from __future__ import annotations

import math

import numpy as np

from neurodeploy.ir.arrays import AnyArray, FloatArray, IntArray
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, Sparse
from neurodeploy.quantization.grids import round_to_grid, rows_and_columns, rows_of, weight_range
from neurodeploy.quantization.levels import fit_levels


def round_weights(
    connectivity: Connectivity, step: FloatArray, bits: int, symmetric: bool = False
) -> IntArray:
    """Whole weights of a projection, of the shape of its own.

    Parameters
    ----------
    connectivity : Connectivity
        Real-valued.
    step : array ``[C]``
        Of every output channel.
    bits : int
        Two's complement width.
    symmetric : bool
        Whether the result is to be negated too.
    """
    weight = connectivity.weight
    if isinstance(connectivity, Sparse):
        area = math.prod(connectivity.shape_out[1:])
        return round_to_grid(weight, step[connectivity.post // area], bits, symmetric)
    if isinstance(connectivity, Conv):
        kernels = weight.reshape(*weight.shape[:2], -1)
        return balanced(kernels, step, bits, symmetric).reshape(weight.shape)
    if isinstance(connectivity, Dense):
        kernels = weight.reshape(len(weight), connectivity.pre_shape[0], -1)
        per_neuron = np.repeat(step, len(weight) // len(step))
        return balanced(kernels, per_neuron, bits, symmetric).reshape(weight.shape)
    spread = step.reshape(-1, *(1,) * (weight.ndim - 1))
    return round_to_grid(weight, spread, bits, symmetric)


def round_to_levels(
    connectivity: Connectivity, step: FloatArray, copies: int, bits: int
) -> IntArray:
    """Whole weights on the levels fitted to each channel (:mod:`neurodeploy.quantization.levels`).

    Parameters
    ----------
    connectivity : Connectivity
        Real-valued.
    step : array ``[C]``
        Of every output channel.
    copies : int
        Width whose axon copies the levels take.
    bits : int
        Two's complement width of the result.
    """
    rows = rows_of(connectivity)
    real, largest = rows.values / step[:, None], 2 ** (bits - 1) - 1
    if not isinstance(connectivity, Sparse):
        used = np.ones_like(real)
        return fit_levels(real, used, copies, largest)[1].reshape(connectivity.weight.shape)
    row, column = rows_and_columns(connectivity)
    used = np.zeros_like(real)
    used[row, column] = 1.0
    return fit_levels(real, used, copies, largest)[1][row, column]


def balanced(values: FloatArray, step: FloatArray, bits: int, symmetric: bool = False) -> IntArray:
    """Round ``values`` so that the errors of kernels and of rows nearly cancel.

    Parameters
    ----------
    values : array ``[rows, kernels, n]``
    step : array ``[rows]``
    bits : int
    symmetric : bool
        Whether the result is to be negated too.

    Returns
    -------
    int64 array ``[rows, kernels, n]``
    """
    low, high = weight_range(bits, symmetric)
    exact = values / step[:, None, None]
    whole = np.clip(np.rint(exact), low, high)
    if values.shape[2] > 1:
        error = exact - whole
        sums = error.sum(axis=2)
        sign = np.where(sums >= 0, 1.0, -1.0)[:, :, None]
        gain = _gain(error, whole, sign, low, high)
        chosen = (_rank(gain) < np.rint(np.abs(sums))[:, :, None]) & (gain > 0)
        whole += np.where(chosen, sign, 0.0)
    error = exact - whole
    sums = error.sum(axis=2)
    total = sums.sum(axis=1)
    sign = np.where(total >= 0, 1.0, -1.0)
    gain = _gain(error, whole, sign[:, None, None], low, high)
    # At most one weight of a kernel: those of the kernels that err most in that direction.
    best = gain.argmax(axis=2)[:, :, None]
    possible = np.take_along_axis(gain, best, axis=2)[:, :, 0] > 0
    need = np.where(possible, sums * sign[:, None], -np.inf)
    chosen_kernel = (_rank(need) < np.rint(np.abs(total))[:, None]) & possible
    change = np.where(chosen_kernel, sign[:, None], 0.0)[:, :, None]
    np.put_along_axis(whole, best, np.take_along_axis(whole, best, axis=2) + change, axis=2)
    return whole.astype(np.int64)


def _gain(error: FloatArray, whole: FloatArray, sign: AnyArray, low: int, high: int) -> FloatArray:
    """How far each weight errs in the direction of ``sign``; -inf where it cannot move there."""
    moved = whole + sign
    gain = error * sign
    return np.asarray(np.where((gain > 0) & (moved >= low) & (moved <= high), gain, -np.inf))


def _rank(values: FloatArray) -> IntArray:
    """Place of every value along the last axis, 0 the largest; of equal ones the first."""
    order = np.argsort(-values, axis=-1, kind="stable")
    place: IntArray = np.empty_like(order)
    np.put_along_axis(place, order, np.broadcast_to(np.arange(values.shape[-1]), order.shape), -1)
    return place
