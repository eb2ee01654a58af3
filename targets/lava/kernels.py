"""Synaptic sums of the own Lava models: exact, and written apart from the reference.

Every kernel maps int64 ``[lanes, *pre_shape]`` to int64 ``[lanes, *post_shape]``. Products run in
floating point where that is proved to be exact, and each one is confirmed in integers.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, Sparse, SumPool
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.projection import IntegerProjection
from neurodeploy.numerics.products import Product


class SynapticSum:
    """``(W . s) << exponent`` of one projection; repeated input costs a comparison only."""

    def __init__(self, projection: IntegerProjection) -> None:
        self._post_shape = projection.connectivity.post_shape
        self._map = _MAPS[type(projection.connectivity)](projection.connectivity)
        self._shift = projection.shift()
        self._last: IntArray | None = None
        self._result: IntArray | None = None

    def __call__(self, spikes: IntArray) -> IntArray:
        """Input to every target of the projection; not to be written to."""
        if self._last is not None and np.array_equal(spikes, self._last):
            assert self._result is not None
            return self._result
        self._last = spikes
        if spikes.any():
            total = self._map.apply(spikes).reshape(-1, *self._post_shape)
            self._result = np.left_shift(total, self._shift)
        else:
            self._result = np.zeros((spikes.shape[0], *self._post_shape), dtype=np.int64)
        return self._result


class _Dense:
    def __init__(self, dense: Dense) -> None:
        self._product = Product(dense.weight)

    def apply(self, x: IntArray) -> IntArray:
        return self._product(x.reshape(x.shape[0], -1).T).T


class _Conv:
    def __init__(self, conv: Conv) -> None:
        self._window = conv.window
        self._groups = conv.groups
        c_out = conv.weight.shape[0]
        self._product = Product(conv.weight.reshape(self._groups, c_out // self._groups, -1))

    def apply(self, x: IntArray) -> IntArray:
        lanes, channels = x.shape[:2]
        n = len(self._window.kernel)
        patches = patches_of(x, self._window)
        # [lanes, C, *out, *kernel] -> [lanes, groups, C / groups * taps, cells]
        order = (0, 1, *range(2 + n, 2 + 2 * n), *range(2, 2 + n))
        columns = patches.transpose(order).reshape(
            lanes, self._groups, channels // self._groups * math.prod(self._window.kernel), -1
        )
        return self._product(columns, max(int(x.max()), -int(x.min())))


class _SumPool:
    def __init__(self, pool: SumPool) -> None:
        self._window = pool.window
        self._weight = pool.weight.reshape(-1, *(1,) * len(self._window.kernel))

    def apply(self, x: IntArray) -> IntArray:
        n = len(self._window.kernel)
        total: IntArray = patches_of(x, self._window).sum(axis=tuple(range(-n, 0)), dtype=np.int64)
        return total * self._weight


class _Sparse:
    def __init__(self, synapses: Sparse) -> None:
        from scipy.sparse import csr_matrix  # type: ignore[import-untyped,unused-ignore]

        shape = (math.prod(synapses.shape_out), math.prod(synapses.shape_in))
        where = (synapses.post, synapses.pre)
        self._matrix = csr_matrix((synapses.weight, where), shape=shape, dtype=np.int64)

    def apply(self, x: IntArray) -> IntArray:
        columns = np.ascontiguousarray(x.reshape(x.shape[0], -1).T)
        return np.asarray(self._matrix @ columns, dtype=np.int64).T


_MAPS: dict[type[Connectivity], Any] = {
    Dense: _Dense,
    Conv: _Conv,
    SumPool: _SumPool,
    Sparse: _Sparse,
}


def patches_of(x: AnyArray, window: Window, fill: int = 0) -> AnyArray:
    """Padded windows of ``[lanes, C, *spatial]`` as a view ``[lanes, C, *out, *kernel]``."""
    n = len(window.kernel)
    padded = x
    for axis, apart in enumerate(window.spacing, start=2):
        if apart > 1:
            # Each cell with what follows it up to the next one; nothing follows the last.
            gap = np.full((*padded.shape[: axis + 1], apart - 1, *padded.shape[axis + 1 :]), fill)
            wide = np.concatenate([np.expand_dims(padded, axis + 1), gap], axis=axis + 1)
            wide = wide.reshape(*padded.shape[:axis], -1, *padded.shape[axis + 1 :])
            padded = wide[(slice(None),) * axis + (slice(None, 1 - apart),)]
    if np.any(window.padding):
        padded = np.pad(padded, [(0, 0), (0, 0), *window.padding], constant_values=fill)
    extent = tuple(d * (k - 1) + 1 for k, d in zip(window.kernel, window.dilation, strict=True))
    axes: Any = tuple(range(2, 2 + n))
    view: AnyArray = sliding_window_view(padded, extent, axis=axes)
    cells = [slice(None, None, step) for step in (*window.stride, *window.dilation)]
    index = (slice(None), slice(None), *cells)
    chosen: AnyArray = view[index]
    return chosen


# Below everything that can be accumulated: what a padded cell counts as among signed ones.
_NEVER = -(2**50)


def window_maximum(accumulated: IntArray, window: Window, signed: bool) -> IntArray:
    """Maximum over each window of ``[lanes, C, *spatial]``; padding never wins."""
    n = len(window.kernel)
    patches = patches_of(accumulated, window, _NEVER if signed else 0)
    maximum: IntArray = patches.max(axis=tuple(range(-n, 0)))
    return maximum


def window_winner(accumulated: IntArray, a: IntArray, window: Window, signed: bool) -> IntArray:
    """Entry of ``a`` where ``accumulated`` is largest in each window, the first of equal ones."""
    n = len(window.kernel)
    patches = patches_of(accumulated, window, _NEVER if signed else 0)
    flat = patches.reshape(*patches.shape[:-n], -1)
    first = flat.argmax(axis=-1)[..., None]
    present = patches_of(a, window).reshape(flat.shape)
    chosen: IntArray = np.take_along_axis(present, first, axis=-1)[..., 0]
    return chosen
