"""Functions of one value, and sums, come before what only moves elements about.

A layer and its activation then stand together, whatever axes the source network has its channels
on, and two permutations with functions between them are one, or none: weights stay shared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.source import analog
from neurodeploy.source.analog import Op, Shape
from neurodeploy.source.index_maps import index_of

_FUNCTIONS = (
    analog.Add,
    analog.AddConstant,
    analog.Clip,
    analog.Function,
    analog.LeakyReLU,
    analog.QuantizedReLU,
    analog.ReLU,
    analog.Scale,
)


def before(op: Op, moves: Sequence[Op], shapes: Sequence[Shape]) -> Op | None:
    """The operation that does the same before its inputs are moved; None where there is none.

    Parameters
    ----------
    op : Op
    moves : sequence of Op
        What made each input.
    shapes : sequence of tuple of int
        Shapes of what those were made from, in the same order.
    """
    if not isinstance(op, _FUNCTIONS):
        return None
    moved = moves[0]
    flattens = isinstance(moved, analog.Reshape) and len(moved.shape) == 1 < len(shapes[0])
    if not (isinstance(moved, analog.Gather) or flattens):
        return None
    index = index_of(moved, shapes[0])
    zeros = bool((index < 0).any())
    if np.unique(index).size - zeros != math.prod(shapes[0]):
        return None
    if isinstance(op, analog.Add):
        return op if {*moves} == {moved} and {*shapes} == {shapes[0]} else None
    if isinstance(op, analog.Function):
        return None if zeros and op.value(np.zeros(1))[0] else op
    if isinstance(op, analog.LeakyReLU):
        slope = _constant(op.slope, index, shapes[0])
        return None if slope is None or slope.ndim > 1 else replace(op, slope=slope)
    if isinstance(op, analog.Scale | analog.AddConstant):
        value = _constant(op.value, index, shapes[0])
        fills = zeros and isinstance(op, analog.AddConstant)
        return None if value is None or fills else replace(op, value=value)
    return op


def _constant(value: AnyArray, index: IntArray, shape: Shape) -> AnyArray | None:
    """A scalar, a constant for each channel or for each element, where elements come from."""
    if not value.ndim:
        return value
    if (index < 0).any():
        return None
    if value.ndim == 1:
        value = value.reshape(-1, *(1,) * (index.ndim - 1))
    found = np.empty(math.prod(shape), value.dtype)
    found[index.reshape(-1)] = np.broadcast_to(value, index.shape).reshape(-1)
    rows = found.reshape(shape[0], -1)
    return rows[:, 0] if (rows == rows[:, :1]).all() else found.reshape(shape)
