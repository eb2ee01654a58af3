"""The analog graph: the source network, independent of framework and hardware.

Nodes are in topological order; shapes leave out the batch dimension and put channels first. Every
element-wise detail that changes a number (paddings, divisors, epsilon) is explicit, so that two
evaluators and a converter have nothing to guess.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from neurodeploy.errors import NetlistError
from neurodeploy.source.functions import Function, LeakyReLU, QuantizedReLU
from neurodeploy.source.layers import (
    AvgPool,
    BatchNorm,
    Conv1d,
    Conv2d,
    ConvTranspose1d,
    ConvTranspose2d,
    Linear,
    MaxPool,
    Normalize,
)
from neurodeploy.source.op import OPS, Op, Shape
from neurodeploy.source.shaping import (
    Add,
    AddConstant,
    AlongAxis,
    Clip,
    Concat,
    Gather,
    Input,
    Pad,
    ReLU,
    Reshape,
    Scale,
    Slice,
    Softmax,
    Upsample,
)

__all__ = [
    "OPS",
    "Add",
    "AddConstant",
    "AlongAxis",
    "AnalogGraph",
    "AnalogNode",
    "AvgPool",
    "BatchNorm",
    "Clip",
    "Concat",
    "Conv1d",
    "Conv2d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "Function",
    "Gather",
    "Input",
    "LeakyReLU",
    "Linear",
    "MaxPool",
    "Normalize",
    "Op",
    "Pad",
    "QuantizedReLU",
    "ReLU",
    "Reshape",
    "Scale",
    "Shape",
    "Slice",
    "Softmax",
    "Upsample",
    "interpret",
    "macs",
]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class AnalogNode:
    """One operation of an analog graph.

    Parameters
    ----------
    name : str
        Unique in the graph.
    op : Op
    inputs : tuple of str
        Names of the nodes whose results it takes.
    shape : tuple of int
        Shape of its result, without the batch dimension.
    source : str or None
        ``file.py:line`` of the source network, where known.
    """

    name: str
    op: Op
    inputs: tuple[str, ...]
    shape: Shape
    source: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", tuple(self.inputs))
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))


@dataclass(frozen=True, slots=True)
class AnalogGraph:
    """A source network as nodes in topological order, verified on construction.

    Parameters
    ----------
    name : str
    nodes : tuple of AnalogNode
    inputs, outputs : tuple of str
        Names of the nodes that are given from outside and that are the result.

    Raises
    ------
    NetlistError
        If names repeat, a node takes an input that is not defined before it, a shape contradicts
        its operation, a result is not used, or a softmax is used by another node.
    """

    name: str
    nodes: tuple[AnalogNode, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def __repr__(self) -> str:
        return f"AnalogGraph({self.name}: {len(self.nodes)} operations)"

    def __post_init__(self) -> None:
        for field in ("nodes", "inputs", "outputs"):
            object.__setattr__(self, field, tuple(getattr(self, field)))
        if not isinstance(self.name, str):
            raise NetlistError(f"analog graph: name is {self.name!r}, expected a string")
        shapes: dict[str, Shape] = {}
        for node in self.nodes:
            _verify_node(node, shapes)
            shapes[node.name] = node.shape
        self._verify_ends(shapes)

    def _verify_ends(self, shapes: Mapping[str, Shape]) -> None:
        given = tuple(node.name for node in self.nodes if isinstance(node.op, Input))
        if not given or self.inputs != given:
            raise NetlistError(f"{self.name}: inputs {self.inputs} are not its input nodes {given}")
        missing = [name for name in self.outputs if name not in shapes]
        if missing or not self.outputs or len(set(self.outputs)) != len(self.outputs):
            raise NetlistError(
                f"{self.name}: outputs {self.outputs} must be one or more different nodes"
            )
        used = {name for node in self.nodes for name in node.inputs}
        for node in self.nodes:
            if node.name not in used and node.name not in self.outputs:
                raise NetlistError(f"{node.name}: the result is not used and is not an output")
            if isinstance(node.op, Softmax) and node.name in used:
                raise NetlistError(f"{node.name}: softmax is possible only as an output")

    def node(self, name: str) -> AnalogNode:
        """Return the node called ``name``; NetlistError if there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise NetlistError(f"{self.name}: no node is called {name!r}")

    def input_shapes(self, name: str) -> tuple[Shape, ...]:
        """Shapes of the inputs of the node called ``name``."""
        return tuple(self.node(source).shape for source in self.node(name).inputs)

    def consumers(self, name: str) -> tuple[AnalogNode, ...]:
        """Nodes that take the result of the node called ``name``."""
        return tuple(node for node in self.nodes if name in node.inputs)


def _verify_node(node: AnalogNode, shapes: Mapping[str, Shape]) -> None:
    if not isinstance(node.name, str) or not node.name or node.name in shapes:
        raise NetlistError(f"node name {node.name!r} is empty or used twice")
    if not isinstance(node.source, (str, type(None))):
        raise NetlistError(f"{node.name}: source is {node.source!r}, expected file.py:line")
    if type(node.op) not in OPS.values():
        raise NetlistError(f"{node.name}: {type(node.op).__name__} is not an analog operation")
    undefined = [name for name in node.inputs if name not in shapes]
    if undefined:
        raise NetlistError(f"{node.name}: input {undefined[0]!r} is not defined before it")
    try:
        shape = node.op.output_shape([shapes[name] for name in node.inputs])
    except NetlistError as error:
        raise NetlistError(f"{node.name}: {error}") from error
    if shape != node.shape:
        raise NetlistError(f"{node.name}: got shape {node.shape}, {node.op.kind} gives {shape}")


def macs(graph: AnalogGraph) -> dict[str, int]:
    """Multiply-accumulates per inference of every node.

    Convolutions (multiplications with padded zeros included) and linear layers count; what
    is folded into them or only adds does not.
    """
    shapes = {node.name: node.shape for node in graph.nodes}
    return {node.name: node.op.macs([shapes[i] for i in node.inputs]) for node in graph.nodes}


def interpret(
    graph: AnalogGraph,
    inputs: Mapping[str, _T],
    apply: Callable[[AnalogNode, Sequence[_T]], _T],
    keep: Iterable[str] | None = None,
) -> dict[str, _T]:
    """Evaluate a graph node by node, letting go of a value after its last use.

    Parameters
    ----------
    graph : AnalogGraph
    inputs : mapping of str to value
        One value per input node.
    apply : callable
        Computes a node's value from those of its inputs.
    keep : iterable of str, optional
        Nodes whose values are returned; the outputs by default.

    Raises
    ------
    NetlistError
        If an input is missing or a node to keep does not exist.
    """
    wanted = tuple(graph.outputs if keep is None else keep)
    for name in wanted:
        graph.node(name)
    if set(inputs) != set(graph.inputs):
        raise NetlistError(f"{graph.name}: got inputs {sorted(inputs)}, expected {graph.inputs}")
    last_use = {name: node.name for node in graph.nodes for name in node.inputs}
    values: dict[str, _T] = {}
    result: dict[str, _T] = {}
    for node in graph.nodes:
        if isinstance(node.op, Input):
            value = inputs[node.name]
        else:
            value = apply(node, [values[name] for name in node.inputs])
        values[node.name] = value
        if node.name in wanted:
            result[node.name] = value
        for name in set(node.inputs):
            if last_use[name] == node.name:
                del values[name]
    return {name: result[name] for name in wanted}
