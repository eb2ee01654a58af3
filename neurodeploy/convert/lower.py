"""From the analog graph to the activation graph, operation by operation."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from neurodeploy.convert.affine import Affine, population_term
from neurodeploy.convert.layers import (
    ActivationGraph,
    InputLayer,
    Layer,
    OutputLayer,
    PoolLayer,
    ReluLayer,
    sources,
)
from neurodeploy.errors import UnknownNameError, UnsupportedLayerError
from neurodeploy.ir import analog, neurons
from neurodeploy.ir.analog import AnalogGraph, AnalogNode
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, Sparse, SumPool
from neurodeploy.ir.geometry import Window

MaxPooling = Literal["exact", "identity"]
AveragePooling = Literal["auto", "spiking", "fold"]

# A tensor is a row of channel blocks: concatenation needs no synapses, and the layers that take
# it pick their columns. Most tensors are a single block.
Blocks = tuple[Affine, ...]


@dataclass(frozen=True, slots=True)
class LoweringOptions:
    """Choices that change which populations exist.

    Parameters
    ----------
    max_pooling : {"exact", "identity"}
        The accumulated maximum as a population kind of its own, or ``max(a, b) = b + relu(a - b)``
        out of plain neurons.
    average_pooling : {"auto", "spiking", "fold"}
        A population of its own, or folded into the next linear layer; ``auto`` folds global
        pooling, where the fold costs few synapses and saves a layer of rate coding.
    """

    max_pooling: MaxPooling = "exact"
    average_pooling: AveragePooling = "auto"

    def __post_init__(self) -> None:
        if self.max_pooling not in get_args(MaxPooling):
            raise UnknownNameError("max pooling", self.max_pooling, get_args(MaxPooling))
        if self.average_pooling not in get_args(AveragePooling):
            raise UnknownNameError(
                "average pooling", self.average_pooling, get_args(AveragePooling)
            )


def lower(graph: AnalogGraph, options: LoweringOptions) -> ActivationGraph:
    """Turn an analog graph into the layers that will become populations.

    Raises
    ------
    UnsupportedLayerError
        Naming the node, for what rate coding cannot express.
    """
    return _Lowering(graph, options).run()


class _Lowering:
    def __init__(self, graph: AnalogGraph, options: LoweringOptions) -> None:
        self.graph = graph
        self.options = options
        self.layers: list[Layer] = []
        self.names: set[str] = set()
        self.non_negative: set[str] = set()
        self.tensors: dict[str, Blocks] = {}

    def run(self) -> ActivationGraph:
        for node in self.graph.nodes:
            taken = [self.tensors[name] for name in node.inputs]
            self.tensors[node.name] = _OPERATIONS[type(node.op)](self, node, taken)
        for name in self.graph.outputs:
            affine = merged(self.tensors[name])
            # Softmax keeps the order of the classes: the node before it is the answer.
            node = self.graph.node(name)
            source = node.inputs[0] if isinstance(node.op, analog.Softmax) else name
            label = self.unique("output" if len(self.graph.outputs) == 1 else f"output_{name}")
            self.layers.append(OutputLayer(label, affine, source))
        return ActivationGraph(self.graph.name, _reachable(self.layers))

    def unique(self, name: str) -> str:
        """A population name that is legal and free."""
        base = re.sub(r"[^A-Za-z0-9_.\-]", "_", name)
        candidate, i = base, 2
        while candidate in self.names:
            candidate, i = f"{base}_{i}", i + 1
        self.names.add(candidate)
        return candidate

    def populate(
        self, affine: Affine, name: str, source: str | None, maximum: float | None = None
    ) -> Affine:
        """A rectifying population of ``affine``; none where it would change nothing."""
        if maximum is None and self.is_non_negative_population(affine):
            return affine
        layer = ReluLayer(self.unique(name), affine, source, maximum)
        self.layers.append(layer)
        self.non_negative.add(layer.name)
        return population_term(layer.name, layer.shape)

    def is_non_negative_population(self, affine: Affine) -> bool:
        """Whether the expression is one non-negative population as it is."""
        return (
            len(affine.terms) == 1
            and affine.terms[0].is_identity
            and not affine.bias.any()
            and affine.terms[0].source in self.non_negative
        )

    def is_non_negative(self, affine: Affine) -> bool:
        """Whether no input can make the expression negative."""
        for term in affine.terms:
            weights = term.scale if term.connectivity is None else term.connectivity.weight
            if term.source not in self.non_negative or (weights < 0).any():
                return False
        return not (affine.bias < 0).any()


def _reachable(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    needed = {layer.name for layer in layers if isinstance(layer, OutputLayer | InputLayer)}
    for layer in reversed(layers):
        if layer.name in needed:
            needed |= sources(layer)
    return tuple(layer for layer in layers if layer.name in needed)


def refuse(node: AnalogNode, why: str) -> UnsupportedLayerError:
    """The error for a node that rate coding cannot express."""
    where = f" ({node.source})" if node.source else ""
    return UnsupportedLayerError(f"{node.name}{where}: {node.op.kind}: {why}")


def merged(blocks: Blocks) -> Affine:
    """A row of channel blocks as one expression."""
    if len(blocks) == 1:
        return blocks[0]
    channels = sum(b.shape[0] for b in blocks)
    shape = (channels, *blocks[0].shape[1:])
    total = Affine(shape, (), np.zeros(shape))
    first = 0
    for block in blocks:
        size = math.prod(block.shape)
        at = first * math.prod(shape[1:])
        index = np.arange(size)
        embed = Sparse(np.ones(size), index + at, index, block.shape, shape)
        total = total.plus(block.mapped(embed, "concatenation"))
        first += block.shape[0]
    return total


def _input(lowering: _Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    name = lowering.unique(node.name)
    lowering.layers.append(InputLayer(name, node.shape, node.name))
    return (population_term(name, node.shape),)


def _normalize(lowering: _Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    op: Any = node.op
    std = op.std.astype(np.float64)
    mean = op.mean.astype(np.float64)
    return (merged(taken[0]).scaled(1.0 / std).shifted(-mean / std),)


def _by_block(values: AnyArray, blocks: Blocks) -> list[AnyArray]:
    """A scalar, per-channel or per-element constant, cut like the blocks."""
    if values.ndim == 0 or len(blocks) == 1:
        return [values] * len(blocks)
    bounds = np.cumsum([b.shape[0] for b in blocks])[:-1]
    return np.split(values, bounds)


def _linear(lowering: _Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    op: Any = node.op
    weight = op.weight.astype(np.float64)
    bounds = np.cumsum([math.prod(b.shape) for b in taken[0]])[:-1]
    total = Affine(node.shape, (), np.zeros(node.shape))
    for block, columns in zip(taken[0], np.split(weight, bounds, axis=1), strict=True):
        total = total.plus(block.mapped(Dense(columns, block.shape), node.name))
    return (total if op.bias is None else total.shifted(op.bias),)


def _convolution(lowering: _Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    op: Any = node.op
    blocks = taken[0] if op.groups == 1 else (merged(taken[0]),)
    weight = op.weight.astype(np.float64)
    total = Affine(node.shape, (), np.zeros(node.shape))
    first = 0
    for block in blocks:
        channels = block.shape[0]
        part = weight if op.groups > 1 else weight[:, first : first + channels]
        window = Window(block.shape[1:], op.kernel, op.stride, op.padding_pairs, op.dilation)
        layer = Conv(part, channels, window, op.groups)
        total = total.plus(_spiking_if_pooled(lowering, block, node).mapped(layer, node.name))
        first += channels
    return (total if op.bias is None else total.shifted(op.bias),)


def _spiking_if_pooled(lowering: _Lowering, block: Affine, node: AnalogNode) -> Affine:
    """A convolution after folded pooling would lose its shared weights: let the pool spike."""
    folded = any(isinstance(t.connectivity, SumPool) for t in block.terms)
    if folded and lowering.options.average_pooling != "fold" and lowering.is_non_negative(block):
        return lowering.populate(block, f"{node.name}_in", None)
    return block


def _batch_norm(lowering: _Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    op: Any = node.op
    scale, shift = op.scale_shift()
    parts = zip(taken[0], _by_block(scale, taken[0]), _by_block(shift, taken[0]), strict=True)
    return tuple(block.scaled(a).shifted(b) for block, a, b in parts)


def _scale(lowering: _Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    op: Any = node.op
    values = _by_block(op.value.astype(np.float64), taken[0])
    return tuple(block.scaled(v) for block, v in zip(taken[0], values, strict=True))


def _add_constant(lowering: _Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    op: Any = node.op
    values = _by_block(op.value.astype(np.float64), taken[0])
    return tuple(block.shifted(v) for block, v in zip(taken[0], values, strict=True))


def _rectify(lowering: _Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    maximum = node.op.maximum if isinstance(node.op, analog.Clip) else None
    source = node.name if len(taken[0]) == 1 else None
    return tuple(lowering.populate(b, node.name, source, maximum) for b in taken[0])


def _average(lowering: _Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    op: Any = node.op
    divisors = op.divisors(lowering.graph.input_shapes(node.name)[0])
    pooled = []
    for block in taken[0]:
        window = _pool_window(op, block.shape, (1,) * len(op.kernel))
        layer: Connectivity = SumPool(np.ones(block.shape[0]), window)
        if (divisors == divisors.flat[0]).all():
            affine = block.mapped(layer.with_weight(layer.weight / divisors.flat[0]), node.name)
        else:
            post, pre, weight = layer.to_coo()
            per_synapse = np.broadcast_to(1.0 / divisors, layer.post_shape).reshape(-1)[post]
            shares = Sparse(weight * per_synapse, post, pre, layer.pre_shape, layer.post_shape)
            affine = block.mapped(shares, node.name)
        pooled.append(affine)
    choice = lowering.options.average_pooling
    is_global = math.prod(node.shape[1:]) == 1
    if choice == "fold" or (choice == "auto" and is_global):
        return tuple(pooled)
    source = node.name if len(pooled) == 1 else None
    # What may be negative cannot spike; it folds into the next layer, which is always exact.
    return tuple(
        lowering.populate(a, node.name, source) if lowering.is_non_negative(a) else a
        for a in pooled
    )


def _pool_window(op: Any, shape: tuple[int, ...], dilation: tuple[int, ...]) -> Window:
    """The window, with ``ceil_mode`` as padding after the end."""
    out = op.output_shape((shape,))[1:]
    pads = []
    for n, o, k, s, p, d in zip(
        shape[1:], out, op.kernel, op.stride, op.padding, dilation, strict=True
    ):
        pads.append((p, max(0, (o - 1) * s + d * (k - 1) + 1 - n - p)))
    return Window(shape[1:], op.kernel, op.stride, tuple(pads), dilation)


def _maximum(lowering: _Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    op: Any = node.op
    pooled = []
    for block in taken[0]:
        population = _maximum_operand(lowering, block, node)
        window = _pool_window(op, block.shape, op.dilation)
        if lowering.options.max_pooling == "identity":
            pooled.append(_maximum_by_identity(lowering, population, window, node))
            continue
        model = neurons.MaxPool(block.shape[0], window)
        source = node.name if len(taken[0]) == 1 else None
        layer = PoolLayer(lowering.unique(node.name), population.terms[0].source, model, source)
        lowering.layers.append(layer)
        lowering.non_negative.add(layer.name)
        pooled.append(population_term(layer.name, layer.shape))
    return tuple(pooled)


def _maximum_operand(lowering: _Lowering, block: Affine, node: AnalogNode) -> Affine:
    term = block.terms[0] if len(block.terms) == 1 else None
    if (
        lowering.is_non_negative_population(block)
        and term is not None
        and term.source_shape == block.shape
    ):
        return block
    consumers = lowering.graph.consumers(node.name)
    rectified = bool(consumers) and all(
        isinstance(c.op, analog.ReLU | analog.Clip) for c in consumers
    )
    if rectified or lowering.is_non_negative(block):
        # max and ReLU commute, so rectifying first changes nothing that is used.
        return lowering.populate(block, f"{node.name}_in", None)
    raise refuse(
        node, "its input may be negative and a spike cannot; put the activation before the pooling"
    )


def _maximum_by_identity(
    lowering: _Lowering, population: Affine, window: Window, node: AnalogNode
) -> Affine:
    """``max(a, b) = b + relu(a - b)``, as a balanced tree over the taps of the window."""
    channels = population.shape[0]
    cells = window.pad(np.arange(math.prod(window.input_size)).reshape(window.input_size), -1)
    area = math.prod(window.input_size)
    out_shape = (channels, *window.output_size)
    candidates = []
    for _, where in window.taps():
        cell = cells[where].reshape(-1)
        real = np.flatnonzero(cell >= 0)
        offset = np.arange(channels)[:, None]
        post = (offset * cell.size + real).reshape(-1)
        pre = (offset * area + cell[real]).reshape(-1)
        pick = Sparse(np.ones(post.size), post, pre, population.shape, out_shape)
        candidates.append(population.mapped(pick, node.name))
    while len(candidates) > 1:
        paired = []
        for a, b in zip(candidates[::2], candidates[1::2], strict=False):
            difference = a.plus(b.scaled(np.array(-1.0)))
            excess = lowering.populate(difference, f"{node.name}_max", None)
            paired.append(b.plus(excess))
        candidates = paired + candidates[len(paired) * 2 :]
    return candidates[0]


def _reshape(lowering: _Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    blocks = taken[0]
    if len(blocks) == 1:
        return (blocks[0].reshaped(node.shape),)
    if len(node.shape) == 1:
        return tuple(b.reshaped((math.prod(b.shape),)) for b in blocks)
    return (merged(blocks).reshaped(node.shape),)


def _add(lowering: _Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    a, b = taken
    if [x.shape for x in a] == [x.shape for x in b]:
        return tuple(x.plus(y) for x, y in zip(a, b, strict=True))
    return (merged(a).plus(merged(b)),)


def _concat(lowering: _Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    return tuple(block for blocks in taken for block in blocks)


def _slice(lowering: _Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    op: Any = node.op
    block = merged(taken[0])
    kept = np.arange(math.prod(block.shape)).reshape(block.shape)[op.slices()]
    index = np.arange(kept.size)
    pick = Sparse(np.ones(kept.size), index, kept.reshape(-1), block.shape, node.shape)
    return (block.mapped(pick, node.name),)


def _pad(lowering: _Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    op: Any = node.op
    block = merged(taken[0])
    inner = tuple(slice(a, a + n) for (a, _), n in zip(op.amounts, block.shape, strict=True))
    where = np.arange(math.prod(node.shape)).reshape(node.shape)[inner].reshape(-1)
    embed = Sparse(np.ones(where.size), where, np.arange(where.size), block.shape, node.shape)
    return (block.mapped(embed, node.name),)


def _softmax(lowering: _Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    return taken[0]


_Operation = Callable[[_Lowering, AnalogNode, list[Blocks]], Blocks]

_OPERATIONS: dict[type, _Operation] = {
    analog.Input: _input,
    analog.Normalize: _normalize,
    analog.Linear: _linear,
    analog.Conv1d: _convolution,
    analog.Conv2d: _convolution,
    analog.BatchNorm: _batch_norm,
    analog.Scale: _scale,
    analog.AddConstant: _add_constant,
    analog.ReLU: _rectify,
    analog.Clip: _rectify,
    analog.AvgPool: _average,
    analog.MaxPool: _maximum,
    analog.Reshape: _reshape,
    analog.Add: _add,
    analog.Concat: _concat,
    analog.Slice: _slice,
    analog.Pad: _pad,
    analog.Softmax: _softmax,
}
