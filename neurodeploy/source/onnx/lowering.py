"""What entries of the table of ONNX operators work with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurodeploy.ir.arrays import AnyArray
from neurodeploy.source.analog import Op
from neurodeploy.source.lowering import Deferred, Place, Ref

Value = Ref | Deferred | np.ndarray[Any, Any] | None
"""An activation, what may become one, a constant, or an input that is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxSite(Place):
    """One node of an ONNX graph."""

    opset: int

    def named(self, op: Op) -> str:
        """The node's name."""
        return readable(self.node, self.operator)

    def array(self, value: Value) -> AnyArray:
        """Return a constant as it is, refuse the node if ``value`` is none."""
        return value if isinstance(value, np.ndarray) else self.constant(value)

    def ints(self, value: Any) -> list[int]:
        """Integers that are an attribute in earlier opsets and an input in later ones."""
        found: AnyArray = np.ravel(self.array(value) if isinstance(value, Ref) else value)
        if not np.isfinite(found).all():
            self.refuse(f"{found.tolist()}, expected integers")
        return [int(n) for n in found]


def readable(name: str, operator: str) -> str:
    """Turn ``/features/conv1/Conv`` into ``features.conv1``; without a path the name stays."""
    parts = [part for part in re.split(r"[/.]+", name) if part]
    if len(parts) > 1 and re.fullmatch(rf"{operator}(_\d+)?", parts[-1]):
        parts.pop()
    return re.sub(r"[^A-Za-z0-9_.]+", "_", ".".join(parts)) or operator.lower()
