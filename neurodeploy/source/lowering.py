"""The table of exported operators that become analog operations, and what its entries work with.

Adding an operator is one function decorated with :func:`lowers` in one of the ``lower_*`` modules.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol, TypeVar

import numpy as np
import torch

from neurodeploy.errors import UnsupportedLayerError
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.source.analog import AnalogNode, Op, Shape

Lower = Callable[..., Any]
_Lower = TypeVar("_Lower", bound=Lower)

LOWERINGS: dict[str, Lower] = {}
TAKES_DEFERRED: set[str] = set()
"""Operators whose lowering knows what to do with :class:`Deferred` operands."""
_LABELS: set[str] = set()
_NEAREST: dict[str, str] = {
    **dict.fromkeys(
        (*("celu", "erf", "exp", "mish", "rrelu", "rrelu_with_noise", "selu"),),
        "ReLU",
    ),
    **dict.fromkeys(("group_norm", "instance_norm", "layer_norm"), "batch norm"),
    **dict.fromkeys(("conv3d", "conv_transpose3d"), "conv1d/2d"),
    **dict.fromkeys(("avg_pool3d", "lp_pool2d"), "average pooling"),
    "max_pool3d": "max-pooling",
    "round": "clip-floor (QCFS)",
}
"""Operators that networks often use, and what to use instead."""


def lowers(
    *operators: str, label: str | None = None, deferred: bool = False
) -> Callable[[_Lower], _Lower]:
    """Enter a function into the table for the given operators (``aten.`` is left out).

    The function is called with a :class:`Site` and the operator's arguments by their schema
    names (``x`` for the first one where the schema says ``self`` or ``input``), defaults filled
    in. Activations are :class:`Ref`, constants torch tensors or Python numbers. It returns a Ref,
    or a tuple of Refs where the operator has several results.

    Parameters
    ----------
    *operators : str
        Operator names without namespace and overload.
    label : str, optional
        What users read in the list of supported operations.
    deferred : bool
        Whether operands can be :class:`Deferred`; elsewhere those are refused.
    """

    def enter(function: _Lower) -> _Lower:
        for operator in operators:
            LOWERINGS[f"aten.{operator}"] = function
            if deferred:
                TAKES_DEFERRED.add(f"aten.{operator}")
        if label is not None:
            _LABELS.add(label)
        return function

    return enter


def supported() -> str:
    """List, for messages, what is converted."""
    return ", ".join(sorted(_LABELS))


def nearest(operator: str) -> str | None:
    """What is converted and comes closest to an operator (``aten.gelu``) that is not."""
    name = operator.removeprefix("aten.").removesuffix("_")
    if name in _NEAREST:
        return _NEAREST[name]
    known = [entry.removeprefix("aten.") for entry in LOWERINGS]
    close = [] if name in known else difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    return close[0] if close else None


@dataclass(frozen=True, slots=True)
class Ref:
    """A result in the analog graph: the node's name and its shape without the batch."""

    name: str
    shape: Shape


@dataclass(frozen=True, slots=True)
class Mutated:
    """A buffer that the module changes in every call: not a constant."""

    buffer: str


@dataclass(frozen=True, slots=True)
class Unconverted:
    """A result that exists but cannot be used, such as the indices of max-pooling."""

    what: str


class Place(Protocol):
    """What the lowerings of torch and of ONNX share of their call sites."""

    @property
    def builder(self) -> GraphBuilder:
        """The graph that is being built."""

    def emit(self, op: Op, *inputs: Ref) -> Ref:
        """Append an analog node that takes ``inputs``."""

    def refuse(self, reason: str) -> NoReturn:
        """Raise UnsupportedLayerError that names the site."""


@dataclass(frozen=True, slots=True)
class Deferred:
    """A function of an activation that is no operation before more is known of its use.

    Parameters
    ----------
    base : Ref
        The activation that it is computed from, of the same shape.
    site : Place
        Where it came up.
    reason : str
        What the site is refused for if the value is needed as it is.
    """

    base: Ref
    site: Place
    reason: str

    def refuse(self) -> NoReturn:
        """Refuse the site where the value came up."""
        self.site.refuse(self.reason)

    def takes(self, constant: AnyArray) -> bool:
        """Whether a constant is one number that does not add dimensions."""
        return constant.size == 1 and constant.ndim <= len(self.base.shape) + 1


class GraphBuilder:
    """Collects analog nodes and gives them unique names."""

    def __init__(self) -> None:
        self.nodes: list[AnalogNode] = []
        self._by_name: dict[str, AnalogNode] = {}

    def node(self, ref: Ref) -> AnalogNode:
        """Return the node that made a result."""
        return self._by_name[ref.name]

    def result(self, name: str) -> Ref:
        """Return the result of the node called ``name``."""
        return Ref(name, self._by_name[name].shape)

    def add(self, name: str, op: Op, inputs: tuple[Ref, ...], source: str | None) -> Ref:
        """Append a node named ``name``, or ``name_2``, ... where that is taken."""
        unique, n = name, 1
        while unique in self._by_name:
            n += 1
            unique = f"{name}_{n}"
        shape = op.output_shape([ref.shape for ref in inputs])
        node = AnalogNode(unique, op, tuple(ref.name for ref in inputs), shape, source)
        self.nodes.append(node)
        self._by_name[unique] = node
        return Ref(unique, shape)


@dataclass(frozen=True, slots=True)
class Site:
    """One call of an operator in the exported program.

    Parameters
    ----------
    node : str
        Name of the node in the exported program.
    operator : str
        For example ``aten.conv2d``.
    module : str
        Path of the module that made the call; empty for the root.
    is_leaf : bool
        Whether that module is one of torch's own layers.
    source : str or None
        ``file.py:line``.
    shape : tuple of int
        Shape of the (first) result with the batch dimension, () if it is not a tensor.
    dtype : torch.dtype or None
    """

    node: str
    operator: str
    module: str
    is_leaf: bool
    source: str | None
    shape: Shape
    dtype: torch.dtype | None
    builder: GraphBuilder

    def emit(self, op: Op, *inputs: Ref) -> Ref:
        """Append an analog node that takes ``inputs``."""
        if not self.is_leaf:
            name = f"{self.module}.{op.kind}" if self.module else op.kind
        elif self.module.replace(".", "").isdigit() or not self.module:
            name = f"{op.kind}_{self.module}".rstrip("_")
        else:
            name = self.module
        return self.builder.add(name, op, inputs, self.source)

    def refuse(self, reason: str) -> NoReturn:
        """Raise UnsupportedLayerError with the node, its operator and its source line."""
        where = [self.operator]
        if self.module:
            where.append(f"module {self.module!r}")
        if self.source:
            where.append(self.source)
        instead = nearest(self.operator)
        remedy = "" if instead is None else f"; nearest: {instead}"
        raise UnsupportedLayerError(
            f"node {self.node!r} ({', '.join(where)}): {reason}{remedy}; supported: {supported()}"
        )

    def data(self, value: Any, what: str = "input") -> Ref:
        """Return ``value`` if it is an activation, refuse the call otherwise."""
        if isinstance(value, Ref):
            return value
        if isinstance(value, Deferred):
            value.refuse()
        return self.refuse(f"its {what} does not depend on the network's input")

    def constant(self, value: Any, what: str = "operand") -> AnyArray:
        """Return a constant as float32, refuse the call if ``value`` is none."""
        if isinstance(value, Mutated):
            self.refuse(f"buffer {value.buffer!r} changes in every call")
        if isinstance(value, torch.Tensor):
            return np.asarray(value.detach().to("cpu", torch.float32).numpy())
        if isinstance(value, (bool, int, float)):
            return np.asarray(value, np.float32)
        return self.refuse(f"its {what} is computed from the network's input, expected a constant")

    def optional_constant(self, value: Any, what: str) -> AnyArray | None:
        """Like :meth:`constant`; None stays None."""
        return None if value is None else self.constant(value, what)
