"""The table of ONNX operators that become analog operations, and what its entries work with.

Adding an operator is one function decorated with :func:`lowers_onnx` in one of the ``onnx_*``
modules.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import numpy as np

from neurodeploy.errors import UnsupportedLayerError
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.source.analog import Op
from neurodeploy.source.lowering import PAGE, Deferred, GraphBuilder, Ref

_Lower = TypeVar("_Lower", bound=Callable[..., Any])

ONNX_LOWERINGS: dict[str, Callable[..., Any]] = {}
ONNX_TAKES_DEFERRED: set[str] = set()
"""Operators whose lowering knows what to do with a Deferred input."""
Value = Ref | Deferred | np.ndarray[Any, Any] | None
"""An activation, what may become one, a constant, or an input that is left out."""


def lowers_onnx(*operators: str, deferred: bool = False) -> Callable[[_Lower], _Lower]:
    """Enter a function into the table for the given operators.

    It is called with an :class:`OnnxSite`, from which it takes inputs and attributes, and returns
    a Ref or a tuple of them. Only with ``deferred`` its inputs, and its result, can be Deferred.
    """

    def enter(function: _Lower) -> _Lower:
        ONNX_LOWERINGS.update(dict.fromkeys(operators, function))
        if deferred:
            ONNX_TAKES_DEFERRED.update(operators)
        return function

    return enter


@dataclass(frozen=True, slots=True)
class OnnxSite:
    """One node of an ONNX graph.

    Parameters
    ----------
    name, operator : str
        The node's name, or that of its first result, and its op_type.
    values : tuple
        Its inputs: activations, constants, None where left out.
    attributes : dict
        Plain Python values and arrays.
    builder : GraphBuilder
    batch : int
        Samples of a batch.
    opset : int
    n_outputs : int
    """

    name: str
    operator: str
    values: tuple[Value, ...]
    attributes: dict[str, Any]
    builder: GraphBuilder
    batch: int
    opset: int
    n_outputs: int = 1

    def emit(self, op: Op, *inputs: Ref) -> Ref:
        """Append an analog node that takes ``inputs``."""
        return self.builder.add(readable(self.name, self.operator), op, inputs, None)

    def refuse(self, reason: str) -> NoReturn:
        """Raise UnsupportedLayerError with the node and its operator."""
        raise UnsupportedLayerError(
            f"node {self.name!r} ({self.operator}): {reason}; supported: {PAGE}"
        )

    def get(self, name: str, default: Any) -> Any:
        """Return an attribute, or its default."""
        return self.attributes.get(name, default)

    def given(self, i: int) -> bool:
        """Whether the optional input ``i`` is there."""
        return i < len(self.values) and self.values[i] is not None

    def data(self, i: int = 0) -> Ref:
        """Return input ``i`` if it is an activation, refuse the node otherwise."""
        value = self.values[i] if self.given(i) else None
        if isinstance(value, Ref):
            return value
        if isinstance(value, Deferred):
            value.refuse()
        return self.refuse(f"its input {i} does not depend on the network's input")

    def varying(self, i: int = 0) -> Ref | Deferred:
        """Like :meth:`data`, for operators that are entered with ``deferred``."""
        value = self.values[i] if self.given(i) else None
        return value if isinstance(value, Deferred) else self.data(i)

    def operand(self, i: int) -> Ref | Deferred | AnyArray:
        """Input ``i``, a constant as float32."""
        value = self.values[i] if self.given(i) else None
        if isinstance(value, Ref | Deferred):
            return value
        constant = self.array(i)
        return constant.astype(np.float32) if constant.dtype != bool else constant

    def array(self, i: int) -> AnyArray:
        """Return input ``i`` if it is a constant, refuse the node otherwise."""
        value = self.values[i] if self.given(i) else None
        if isinstance(value, np.ndarray):
            return value
        return self.refuse(f"its input {i} is computed from the network's input, not a constant")

    def optional(self, i: int) -> AnyArray | None:
        """Like :meth:`array`; None where the input is left out."""
        return self.array(i) if self.given(i) else None

    def ints(self, i: int, attribute: str) -> list[int] | None:
        """Integers that are an attribute in earlier opsets and an input in later ones."""
        if attribute in self.attributes:
            return [int(n) for n in np.atleast_1d(self.attributes[attribute])]
        return [int(n) for n in self.array(i).ravel()] if self.given(i) else None


def readable(name: str, operator: str) -> str:
    """Turn ``/features/conv1/Conv`` into ``features.conv1``; without a path the name stays."""
    parts = [part for part in re.split(r"[/.]+", name) if part]
    if len(parts) > 1 and re.fullmatch(rf"{operator}(_\d+)?", parts[-1]):
        parts.pop()
    return re.sub(r"[^A-Za-z0-9_.]+", "_", ".".join(parts)) or operator.lower()
