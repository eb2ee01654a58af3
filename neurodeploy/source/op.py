"""The base of the analog graph's operators and the arithmetic of sliding windows."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar, NoReturn

import numpy as np

from neurodeploy.errors import NetlistError
from neurodeploy.ir.arrays import AnyArray, arrays_equal, frozen

Shape = tuple[int, ...]


OPS: dict[str, type[Op]] = {}
"""All operators by kind."""


class Op:
    """One operation of the source network; the batch dimension is not part of any shape.

    Subclasses are frozen dataclasses whose fields are the operation's parameters. Arrays are
    read-only float32 copies, and NaN or infinite values are refused on construction.

    Attributes
    ----------
    kind : str
        The operation's name in files and messages.
    arity : int or None
        The number of inputs; None where any number from two on is accepted.
    """

    __slots__ = ()
    kind: ClassVar[str]
    arity: ClassVar[int | None] = 1

    def __init_subclass__(cls) -> None:
        # A dataclass with slots is a second class of its name, and the one that counts.
        if "kind" in vars(cls):
            OPS[cls.kind] = cls

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        """Shape of the result for inputs of the given shapes.

        Raises
        ------
        NetlistError
            If the operation cannot take inputs of these shapes, or not that many.
        """
        n = len(inputs)
        if n != self.arity and (self.arity is not None or n < 2):
            expected = "two or more" if self.arity is None else self.arity
            self.refuse(f"got {n} inputs, expected {expected}")
        return self._infer(inputs)

    def macs(self, inputs: Sequence[Shape]) -> int:
        """Multiply-accumulates of weights with activations in one inference."""
        return 0

    def refuse(self, reason: str) -> NoReturn:
        """Raise NetlistError with the operation's kind and a reason."""
        raise NetlistError(f"{self.kind}: {reason}")

    def _infer(self, inputs: Sequence[Shape]) -> Shape:
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        names = (field.name for field in dataclasses.fields(self))  # type: ignore[arg-type]
        return all(_same(getattr(self, name), getattr(other, name)) for name in names)

    def __hash__(self) -> int:
        return hash(self.kind)


class Elementwise(Op):
    """An operation whose result has the shape of its first input."""

    __slots__ = ()

    def _infer(self, inputs: Sequence[Shape]) -> Shape:
        return inputs[0]


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return arrays_equal(a, b)
    return bool(a == b)


def set_array(op: Op, name: str, n_dims: int | None = None) -> AnyArray:
    """Replace the field ``name`` of ``op`` by its frozen float32 form and return that."""
    try:
        with np.errstate(over="ignore"):
            array = frozen(getattr(op, name), np.float32)
    except (TypeError, ValueError) as error:
        raise NetlistError(f"{op.kind}: {name} is not an array of numbers") from error
    if not np.isfinite(array).all():
        op.refuse(f"{name} holds NaN or infinite values")
    if n_dims is not None and array.ndim != n_dims:
        op.refuse(f"{name} has {array.ndim} dimensions, expected {n_dims}")
    object.__setattr__(op, name, array)
    return array


def set_vector(op: Op, name: str, length: int, *, optional: bool = False) -> None:
    """Freeze the field ``name``, a vector of ``length`` values or, if ``optional``, None."""
    if optional and getattr(op, name) is None:
        return
    array = set_array(op, name)
    if array.shape != (length,):
        op.refuse(f"{name} has shape {array.shape}, expected ({length},)")


def set_ints(op: Op, name: str, rank: int, minimum: int) -> None:
    """Replace the field ``name``, an int or a sequence of ints, by a tuple of ``rank`` ints."""
    value = getattr(op, name)
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,) * rank
    is_int = all(isinstance(v, (int, np.integer)) and not isinstance(v, bool) for v in values)
    if not is_int or len(values) != rank or any(v < minimum for v in values):
        op.refuse(f"{name} is {value!r}, expected {rank} integers >= {minimum}")
    object.__setattr__(op, name, tuple(int(v) for v in values))


def set_pairs(op: Op, name: str, rank: int, length: int) -> None:
    """Replace the field ``name`` by ``rank`` tuples of ``length`` ints >= 0."""
    value = getattr(op, name)
    try:
        rows = tuple(tuple(int(v) for v in row) for row in value)
    except (TypeError, ValueError):
        rows = ()
    if len(rows) != rank or not all(len(r) == length and min(r) >= 0 for r in rows):
        op.refuse(f"{name} is {value!r}, expected {rank} rows of {length} integers >= 0")
    object.__setattr__(op, name, rows)


def n_windows(
    n: int, kernel: int, stride: int, padding: tuple[int, int], dilation: int, ceil: bool = False
) -> int:
    """Windows along one dimension of ``n`` elements and ``padding`` before and after them.

    In ceil mode a last window that would start in the padding after them is dropped.
    """
    room = n + sum(padding) - dilation * (kernel - 1) - 1
    out = (room + (stride - 1 if ceil else 0)) // stride + 1
    return out - 1 if ceil and (out - 1) * stride >= n + padding[0] else out
