"""Operators of the analog graph without weights: activations, arithmetic and rearrangement."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from neurodeploy.ir.arrays import AnyArray, frozen
from neurodeploy.source.op import Elementwise, Op, Shape, set_array, set_ints, set_pairs


class OfShape(Op):
    """An operation whose result has a given shape."""

    __slots__ = ()
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        set_ints(self, "shape", len(self.shape), 1)
        if not self.shape:
            self.refuse("the shape needs at least one dimension")


@dataclass(frozen=True, slots=True, eq=False)
class Input(OfShape):
    """A tensor given from outside, of the given shape."""

    kind: ClassVar[str] = "input"
    arity: ClassVar[int | None] = 0
    shape: tuple[int, ...]

    def _infer(self, inputs: Sequence[Shape]) -> Shape:
        return self.shape


@dataclass(frozen=True, slots=True, eq=False)
class ReLU(Elementwise):
    """``max(x, 0)``."""

    kind: ClassVar[str] = "relu"


@dataclass(frozen=True, slots=True, eq=False)
class Clip(Elementwise):
    """``min(max(x, 0), maximum)``; ReLU6 is ``Clip(6)``."""

    kind: ClassVar[str] = "clip"
    maximum: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "maximum", float(self.maximum))
        if not (math.isfinite(self.maximum) and self.maximum > 0):
            self.refuse(f"maximum is {self.maximum}, expected a number above 0")


@dataclass(frozen=True, slots=True, eq=False)
class Softmax(Elementwise):
    """Softmax over the first dimension, or its logarithm; only as an output of the network."""

    kind: ClassVar[str] = "softmax"
    log: bool = False

    def __post_init__(self) -> None:
        if type(self.log) is not bool:
            self.refuse(f"log is {self.log!r}, expected a bool")


class _WithConstant(Op):
    """An element-wise operation with a constant: scalar, per channel, or per element."""

    __slots__ = ()
    value: AnyArray

    def __post_init__(self) -> None:
        set_array(self, "value")

    def _infer(self, inputs: Sequence[Shape]) -> Shape:
        shape, own = inputs[0], self.value.shape
        if own not in ((), shape[:1], shape):
            self.refuse(f"constant has shape {own}, expected (), {shape[:1]} or {shape}")
        return shape


@dataclass(frozen=True, slots=True, eq=False)
class Scale(_WithConstant):
    """``x * value``, ``value`` of shape () or (C,) or the shape of ``x``."""

    kind: ClassVar[str] = "scale"
    value: AnyArray


@dataclass(frozen=True, slots=True, eq=False)
class AddConstant(_WithConstant):
    """``x + value``, ``value`` of shape () or (C,) or the shape of ``x``."""

    kind: ClassVar[str] = "add_constant"
    value: AnyArray


@dataclass(frozen=True, slots=True, eq=False)
class Add(Op):
    """Sum of two tensors of the same shape."""

    kind: ClassVar[str] = "add"
    arity: ClassVar[int | None] = 2

    def _infer(self, inputs: Sequence[Shape]) -> Shape:
        if inputs[0] != inputs[1]:
            self.refuse(f"shapes {inputs[0]} and {inputs[1]} differ")
        return inputs[0]


@dataclass(frozen=True, slots=True, eq=False)
class Concat(Op):
    """Two or more tensors one after the other along the first dimension (the channels)."""

    kind: ClassVar[str] = "concat"
    arity: ClassVar[int | None] = None

    def _infer(self, inputs: Sequence[Shape]) -> Shape:
        if any(shape[1:] != inputs[0][1:] for shape in inputs):
            self.refuse(f"shapes {list(inputs)} differ beyond the channels")
        return (sum(shape[0] for shape in inputs), *inputs[0][1:])


@dataclass(frozen=True, slots=True, eq=False)
class Reshape(OfShape):
    """Another shape for the same elements in the same (C) order; flatten is ``Reshape((n,))``."""

    kind: ClassVar[str] = "reshape"
    shape: tuple[int, ...]

    def _infer(self, inputs: Sequence[Shape]) -> Shape:
        if math.prod(inputs[0]) != math.prod(self.shape):
            self.refuse(f"{inputs[0]} does not have the elements of {self.shape}")
        return self.shape


@dataclass(frozen=True, slots=True, eq=False)
class Slice(Op):
    """The elements ``start, start + step, ... < stop`` of every dimension.

    Parameters
    ----------
    ranges : tuple of (start, stop, step)
        One per dimension, ``0 <= start < stop <= length``, ``step >= 1``.
    """

    kind: ClassVar[str] = "slice"
    ranges: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        set_pairs(self, "ranges", len(self.ranges), 3)
        if any(start >= stop or step < 1 for start, stop, step in self.ranges):
            self.refuse(f"{self.ranges} selects nothing in some dimension")

    def _infer(self, inputs: Sequence[Shape]) -> Shape:
        shape = inputs[0]
        if len(shape) != len(self.ranges) or any(
            stop > n for n, (_, stop, _) in zip(shape, self.ranges, strict=True)
        ):
            self.refuse(f"{self.ranges} does not fit an input of shape {shape}")
        return tuple(len(range(*bounds)) for bounds in self.ranges)

    def slices(self) -> tuple[slice, ...]:
        """Return the ranges as Python slices."""
        return tuple(slice(*bounds) for bounds in self.ranges)


@dataclass(frozen=True, slots=True, eq=False)
class Upsample(Op):
    """Nearest-neighbour upsampling: every element repeats ``factors`` times per dimension.

    Parameters
    ----------
    factors : tuple of int
    """

    kind: ClassVar[str] = "upsample"
    factors: tuple[int, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.factors, (tuple, list)) or len(self.factors) not in (1, 2):
            self.refuse(f"factors {self.factors!r}, expected 1 or 2 integers")
        set_ints(self, "factors", len(self.factors), 1)

    def _infer(self, inputs: Sequence[Shape]) -> Shape:
        shape = inputs[0]
        if len(shape) != 1 + len(self.factors):
            expected = f"{len(self.factors)} spatial dimensions after the channels"
            self.refuse(f"input has shape {shape}, expected {expected}")
        return (shape[0], *(n * f for n, f in zip(shape[1:], self.factors, strict=True)))


@dataclass(frozen=True, slots=True, eq=False)
class Pad(Op):
    """Zeros around a tensor: ``(before, after)`` for every dimension, channels included."""

    kind: ClassVar[str] = "pad"
    amounts: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        set_pairs(self, "amounts", len(self.amounts), 2)

    def _infer(self, inputs: Sequence[Shape]) -> Shape:
        shape = inputs[0]
        if len(shape) != len(self.amounts):
            self.refuse(f"{self.amounts} does not fit an input of shape {shape}")
        return tuple(n + sum(pair) for n, pair in zip(shape, self.amounts, strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class Gather(Op):
    """Elements in another order, some of them several times, some not at all, zeros between them.

    Parameters
    ----------
    index : int array
        Of the result's shape: which element (in C order) stands there; -1: a zero.
    """

    kind: ClassVar[str] = "gather"
    index: AnyArray

    def __post_init__(self) -> None:
        whole = np.asarray(self.index).dtype.kind in "iu"
        index = frozen(self.index, np.int32)
        if not whole or not index.size or not index.ndim or index.min() < -1:
            self.refuse("expected indices from -1 on, of one dimension or more")
        object.__setattr__(self, "index", index)

    def _infer(self, inputs: Sequence[Shape]) -> Shape:
        if self.index.max() >= math.prod(inputs[0]):
            self.refuse(f"{inputs[0]} has no element {self.index.max()}")
        return self.index.shape


@dataclass(frozen=True, slots=True, eq=False)
class AlongAxis(Op):
    """A linear map of one axis, the same for all positions on the others.

    Parameters
    ----------
    matrix : array, shape (after, before)
    axis : int
        Of a sample; 0: the channels.
    """

    kind: ClassVar[str] = "along_axis"
    matrix: AnyArray
    axis: int

    def __post_init__(self) -> None:
        set_array(self, "matrix", 2)
        if type(self.axis) is not int or self.axis < 0:
            self.refuse(f"axis {self.axis!r}, expected 0 or more")

    def _infer(self, inputs: Sequence[Shape]) -> Shape:
        shape = list(inputs[0])
        if self.axis >= len(shape) or shape[self.axis] != self.matrix.shape[1]:
            self.refuse(f"{self.matrix.shape} along axis {self.axis} of an input of {shape}")
        shape[self.axis] = len(self.matrix)
        return tuple(shape)
