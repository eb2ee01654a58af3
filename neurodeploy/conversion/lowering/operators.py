"""From the analog graph to the activation graph, operation by operation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from neurodeploy.conversion.lowering.activation_graph import (
    ActivationGraph,
    InputLayer,
    Layer,
    OutputLayer,
)
from neurodeploy.conversion.lowering.affine import Affine, population_term
from neurodeploy.conversion.lowering.context import (
    Blocks,
    Lowering,
    LoweringOptions,
    Operation,
    located,
    merged,
    refuse,
)
from neurodeploy.conversion.lowering.pooling import average, maximum
from neurodeploy.conversion.lowering.resampling import conv_transpose, upsample
from neurodeploy.conversion.lowering.separation import multiplied, summed_products
from neurodeploy.conversion.lowering.units import Units, units_of
from neurodeploy.errors import UnsupportedLayerError
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.composition import padding, picking
from neurodeploy.ir.connectivity import Conv, Dense, Sparse, SumPool
from neurodeploy.source import analog
from neurodeploy.source.analog import AnalogGraph, AnalogNode
from neurodeploy.source.index_maps import index_of, numbers

MAX_AXES = 3
"""Of a population: channels and two of space."""


def lower(graph: AnalogGraph, options: LoweringOptions) -> ActivationGraph:
    """Turn an analog graph into the layers that will become populations.

    Raises
    ------
    UnsupportedLayerError
        Naming the node, for what rate coding cannot express.
    """
    layers = Lowering(graph, options).run(OPERATIONS)
    for layer in layers.layers:
        if len(layer.shape) > MAX_AXES:
            raise _of_many_axes(layer, graph)
    return layers


def _of_many_axes(layer: Layer, graph: AnalogGraph) -> UnsupportedLayerError:
    """The error for a layer of more axes than a population has."""
    first, *rest = layer.shape
    joined = (first * math.prod(rest[: 1 - MAX_AXES]), *rest[1 - MAX_AXES :])
    place, remedy = f"activations {layer.name!r}", f"flatten their first axes: {joined}"
    if isinstance(layer, InputLayer):
        place = f"input {layer.source!r}"
        remedy = f"give samples of {joined}, which the module unflattens"
    elif isinstance(layer, OutputLayer):
        place, remedy = f"output {layer.source!r}", f"flatten its first axes: {joined}"
    axes = f"{len(layer.shape)} axes per sample {layer.shape}, at most {MAX_AXES} are possible"
    return UnsupportedLayerError(f"{place}: {axes}; {remedy}")


def _input(lowering: Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    name = lowering.unique(node.name)
    lowering.layers.append(InputLayer(name, node.shape, node.name))
    return (population_term(name, node.shape),)


def _by_block(values: AnyArray, blocks: Blocks) -> list[AnyArray]:
    """A scalar, per-channel or per-element constant, cut like the blocks."""
    if values.ndim == 0 or len(blocks) == 1:
        return [values] * len(blocks)
    bounds = np.cumsum([b.shape[0] for b in blocks])[:-1]
    return np.split(values, bounds)


def _linear(lowering: Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    op: Any = node.op

    def product(columns: AnyArray, block: Affine) -> Affine:
        return multiplied(lowering, Dense(columns, block.shape), block, node)

    return summed_products(node, taken[0], op.weight, product)


def _convolution(lowering: Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    op: Any = node.op

    def product(part: AnyArray, block: Affine) -> Affine:
        layer = Conv(part, block.shape[0], op.window(block.shape), op.groups)
        return multiplied(lowering, layer, _spiking_if_pooled(lowering, block, node), node)

    blocks = taken[0] if op.groups == 1 else (merged(taken[0], node.name),)
    return summed_products(node, blocks, op.weight, product)


def _spiking_if_pooled(lowering: Lowering, block: Affine, node: AnalogNode) -> Affine:
    """A convolution after folded pooling would lose its shared weights: let the pool spike."""
    folded = any(
        isinstance(t.connectivity, SumPool)
        and t.connectivity.window.n_taps > 1
        and not t.connectivity.window.is_spaced
        for t in block.terms
    )
    if folded and lowering.options.average_pooling != "fold" and lowering.is_non_negative(block):
        return lowering.populate(block, f"{node.name}_in", None)
    return block


_LINES: dict[type, Callable[[Any], tuple[AnyArray | None, AnyArray | None]]] = {
    analog.Normalize: lambda op: (
        1 / op.std.astype(np.float64),
        -op.mean.astype(np.float64) / op.std,
    ),
    analog.BatchNorm: lambda op: op.scale_shift(),
    analog.Scale: lambda op: (op.value, None),
    analog.AddConstant: lambda op: (None, op.value),
}
"""Factor and constant of operations that have one of each, per channel or element, or one."""


def _line(lowering: Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    factor, constant = _LINES[type(node.op)](node.op)
    blocks = taken[0]
    if factor is not None:
        factors = _by_block(factor, blocks)
        blocks = tuple(block.scaled(v) for block, v in zip(blocks, factors, strict=True))
    if constant is not None:
        constants = _by_block(constant, blocks)
        blocks = tuple(block.shifted(v) for block, v in zip(blocks, constants, strict=True))
    return blocks


def _rectify(lowering: Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    maximum = node.op.maximum if isinstance(node.op, analog.Clip) else None
    source = node.name if len(taken[0]) == 1 else None
    return tuple(lowering.populate(b, node.name, source, maximum) for b in taken[0])


def _leaky(lowering: Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    op: Any = node.op
    result = []
    slopes = _by_block(op.slope.astype(np.float64), taken[0])
    for i, (block, slope) in enumerate(zip(taken[0], slopes, strict=True)):
        spread = np.broadcast_to(slope, block.shape[:1]) if slope.ndim < 2 else slope
        if lowering.options.leaky == "imbalanced":
            if not (spread > 0).all():
                raise refuse(node, "a slope of 0 or less in some channels; use --leaky units")
            source = node.name if len(taken[0]) == 1 else None
            result.append(lowering.rectify(block, node.name, source, slope=spread))
            continue
        whole = f"{node.name}#{i}"
        mirrored = block.scaled(np.array(-1.0))
        positive = lowering.rectify(block, node.name, None, part_of=whole)
        negative = lowering.rectify(mirrored, f"{node.name}_negative", None, part_of=whole)
        result.append(positive.plus(negative.scaled(-spread)))
    return tuple(result)


def _function(lowering: Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    op: Any = node.op
    units = units_of(op, lowering.options.activation_units, located(node))
    return tuple(
        _of_units(lowering, node, block, units, f"{node.name}#{i}")
        for i, block in enumerate(taken[0])
    )


def _of_units(
    lowering: Lowering, node: AnalogNode, block: Affine, units: Units, whole: str
) -> Affine:
    """A function of one value as a sum of rectified populations and of steps."""
    total = Affine(block.shape, (), np.full(block.shape, units.offset))
    segments = zip(units.start, units.width, units.slope, units.shares(), strict=True)
    for k, (start, width, slope, share) in enumerate(segments):
        shifted, limit = block.shifted(np.array(-start)), None if math.isinf(width) else width
        name = f"{node.name}_unit{k}"
        unit = lowering.rectify(shifted, name, None, limit, units=share, part_of=whole)
        total = total.plus(unit.scaled(np.array(slope)))
    if units.below:
        mirrored = block.scaled(np.array(-1.0)).shifted(np.array(units.lowest))
        unit = lowering.rectify(mirrored, f"{node.name}_below", None, part_of=whole)
        total = total.plus(unit.scaled(np.array(-units.below)))
    for k, (at, height) in enumerate(units.steps):
        size = abs(height)
        # Rounded to levels of its height, clipped to the first of them: 1 from x = at on.
        shifted, name = block.shifted(np.array(size / 2 - at)), f"{node.name}_step{k}"
        step = lowering.rectify(shifted, name, None, size, levels=1, part_of=whole)
        total = total.plus(step if height > 0 else step.scaled(np.array(-1.0)))
    return total


def _quantized(lowering: Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    op: Any = node.op
    source = node.name if len(taken[0]) == 1 else None
    levels = {"levels": op.levels, "shift": op.shift}
    return tuple(lowering.rectify(b, node.name, source, op.maximum, **levels) for b in taken[0])


def _reshape(lowering: Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    blocks = taken[0]
    if len(blocks) == 1:
        return (blocks[0].reshaped(node.shape),)
    if len(node.shape) == 1:
        return tuple(b.reshaped((math.prod(b.shape),)) for b in blocks)
    return (merged(blocks, node.name).reshaped(node.shape),)


def _add(lowering: Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    a, b = taken
    if [x.shape for x in a] == [x.shape for x in b]:
        return tuple(x.plus(y) for x, y in zip(a, b, strict=True))
    return (merged(a, node.name).plus(merged(b, node.name)),)


def _concat(lowering: Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    return tuple(block for blocks in taken for block in blocks)


def _pick(lowering: Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    block = merged(taken[0], node.name)
    picked = picking(index_of(node.op, block.shape), block.shape)
    return (multiplied(lowering, picked, block, node),)


def _along_axis(lowering: Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    op: Any = node.op
    block = merged(taken[0], node.name)
    # Every weight of the matrix stands at all positions on the other axes.
    pre = np.moveaxis(numbers(block.shape), op.axis, 0)
    post = np.moveaxis(numbers(node.shape), op.axis, 0)
    row, column = np.nonzero(op.matrix)
    each = pre[0].size
    weight = np.repeat(op.matrix[row, column].astype(np.float64), each)
    to, come = (index.reshape(len(index), -1) for index in (post, pre))
    layer = Sparse(weight, to[row].reshape(-1), come[column].reshape(-1), block.shape, node.shape)
    return (multiplied(lowering, layer, block, node),)


def _pad(lowering: Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    op: Any = node.op
    if not any(op.amounts[0]) and len(op.amounts) > 1:
        amounts = op.amounts[1:]
        return tuple(b.mapped(padding(b.shape, amounts), node.name) for b in taken[0])
    return _pick(lowering, node, taken)


def _softmax(lowering: Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    return taken[0]


OPERATIONS: dict[type, Operation] = {
    **dict.fromkeys(_LINES, _line),
    analog.Input: _input,
    analog.Linear: _linear,
    analog.Conv1d: _convolution,
    analog.Conv2d: _convolution,
    analog.ReLU: _rectify,
    analog.Clip: _rectify,
    analog.LeakyReLU: _leaky,
    analog.Function: _function,
    analog.QuantizedReLU: _quantized,
    analog.ConvTranspose1d: conv_transpose,
    analog.ConvTranspose2d: conv_transpose,
    analog.Upsample: upsample,
    analog.AvgPool: average,
    analog.MaxPool: maximum,
    analog.Reshape: _reshape,
    analog.Add: _add,
    analog.Concat: _concat,
    analog.Slice: _pick,
    analog.Pad: _pad,
    analog.Gather: _pick,
    analog.AlongAxis: _along_axis,
    analog.Softmax: _softmax,
}
"""Operation of the analog graph -> how it is lowered."""
