"""Index maps, of which each element of a result is one of what it is made from, as operations."""

from __future__ import annotations

import math

import numpy as np

from neurodeploy.ir.arrays import IntArray
from neurodeploy.source.analog import Gather, Op, Pad, Reshape, Shape, Slice, Upsample


def numbers(shape: Shape) -> IntArray:
    """The index map that changes nothing."""
    return np.arange(math.prod(shape)).reshape(shape)


def index_of(op: Op, shape: Shape) -> IntArray:
    """The index map that an operation is."""
    whole = numbers(shape)
    if isinstance(op, Gather):
        return op.index.astype(np.int64)
    if isinstance(op, Reshape):
        return whole.reshape(op.shape)
    if isinstance(op, Slice):
        return whole[op.slices()]
    if isinstance(op, Pad):
        return np.pad(whole, op.amounts, constant_values=-1)
    assert isinstance(op, Upsample)
    for axis, factor in enumerate(op.factors, 1):
        whole = np.repeat(whole, factor, axis)
    return whole


def recognized(shape: Shape, index: IntArray) -> Op:
    """The simplest operation that is an index map."""
    found: list[Op] = []
    if index.size == math.prod(shape):
        found.append(Reshape(index.shape))
    if index.ndim == len(shape):
        found += [op for op in (_slice(shape, index), _pad(shape, index)) if op is not None]
        factors = [a // b for a, b in zip(index.shape, shape, strict=True)]
        if len(shape) in (2, 3) and factors[0] == 1 and min(factors) >= 1:
            found.append(Upsample(tuple(factors[1:])))
    for op in found:
        as_index = index_of(op, shape)
        if as_index.shape == index.shape and (as_index == index).all():
            return op
    return Gather(index)


def _slice(shape: Shape, index: IntArray) -> Slice | None:
    if index.min() < 0:
        return None
    first, last = (np.unravel_index(index.flat[i], shape) for i in (0, -1))
    ranges = []
    for n, start, end in zip(index.shape, map(int, first), map(int, last), strict=True):
        step = (end - start) // (n - 1) if n > 1 else 1
        if step < 1:
            return None
        ranges.append((start, start + (n - 1) * step + 1, step))
    return Slice(tuple(ranges))


def _pad(shape: Shape, index: IntArray) -> Pad | None:
    inside = np.argwhere(index >= 0)
    if not len(inside):
        return None
    low = inside.min(axis=0)
    amounts = [(int(a), m - n - int(a)) for a, n, m in zip(low, shape, index.shape, strict=True)]
    return Pad(tuple(amounts)) if min(map(min, amounts)) >= 0 else None
