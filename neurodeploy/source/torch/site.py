"""One call of an operator in an exported program of torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

from neurodeploy.source.analog import Op, Shape
from neurodeploy.source.lowering import LOWERINGS, REFUSED, Place, unsupported


@dataclass(frozen=True, slots=True, kw_only=True)
class Site(Place):
    """One call of an operator in an exported program of torch.

    ``module`` is the path of the module that made the call, empty for the root, ``layer`` its class
    if it is one of torch's own; ``shape`` that of the (first) result with the batch dimension, ()
    if it is not a tensor.
    """

    module: str
    layer: str | None
    shape: Shape
    dtype: Any

    def named(self, op: Op) -> str:
        """The layer's path, or that of the module with the kind of operation."""
        if self.layer is None:
            return f"{self.module}.{op.kind}" if self.module else op.kind
        if self.module.replace(".", "").isdigit() or not self.module:
            return f"{op.kind}_{self.module}".rstrip("_")
        return self.module

    def described(self) -> Iterable[str]:
        """Operator, module and source line."""
        module = f"module {self.module!r}" if self.module else None
        return filter(None, (self.operator, module, self.source))

    def refuse(self, reason: str) -> NoReturn:
        """As the base does; whole layers that are not converted have a reason of their own."""
        if self.layer in REFUSED:
            reason = unsupported(self.layer, ())
        # Slots make a new class, which the short form of super() does not know.
        super(Site, self).refuse(reason)

    def refuse_operator(self) -> NoReturn:
        """Refuse the call for its operator, whatever its operands."""
        self.refuse(unsupported(self.operator, LOWERINGS))
