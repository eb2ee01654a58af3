"""From the analog graph to the activation graph, operation by operation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from neurodeploy.conversion.lowering.activation_graph import ActivationGraph, InputLayer, ReluLayer
from neurodeploy.conversion.lowering.affine import Affine, population_term
from neurodeploy.conversion.lowering.context import (
    Blocks,
    Lowering,
    LoweringOptions,
    Operation,
    merged,
    refuse,
)
from neurodeploy.conversion.lowering.pooling import average, maximum
from neurodeploy.conversion.lowering.resampling import conv_transpose, upsample
from neurodeploy.conversion.lowering.separation import multiplied
from neurodeploy.conversion.lowering.units import Units, units_of
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.composition import padding, picking
from neurodeploy.ir.connectivity import Conv, Dense, Sparse, SumPool
from neurodeploy.ir.geometry import Window
from neurodeploy.source import analog
from neurodeploy.source.analog import AnalogGraph, AnalogNode


def lower(graph: AnalogGraph, options: LoweringOptions) -> ActivationGraph:
    """Turn an analog graph into the layers that will become populations.

    Raises
    ------
    UnsupportedLayerError
        Naming the node, for what rate coding cannot express.
    """
    return Lowering(graph, options).run(OPERATIONS)


def _input(lowering: Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    name = lowering.unique(node.name)
    lowering.layers.append(InputLayer(name, node.shape, node.name))
    return (population_term(name, node.shape),)


def _normalize(lowering: Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    op: Any = node.op
    std = op.std.astype(np.float64)
    mean = op.mean.astype(np.float64)
    return (merged(taken[0], node.name).scaled(1.0 / std).shifted(-mean / std),)


def _by_block(values: AnyArray, blocks: Blocks) -> list[AnyArray]:
    """A scalar, per-channel or per-element constant, cut like the blocks."""
    if values.ndim == 0 or len(blocks) == 1:
        return [values] * len(blocks)
    bounds = np.cumsum([b.shape[0] for b in blocks])[:-1]
    return np.split(values, bounds)


def _linear(lowering: Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    op: Any = node.op
    weight = op.weight.astype(np.float64)
    bounds = np.cumsum([math.prod(b.shape) for b in taken[0]])[:-1]
    total = Affine(node.shape, (), np.zeros(node.shape))
    for block, columns in zip(taken[0], np.split(weight, bounds, axis=1), strict=True):
        layer = Dense(columns, block.shape)
        total = total.plus(multiplied(lowering, layer, block, node))
    return (total if op.bias is None else total.shifted(op.bias),)


def _convolution(lowering: Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    op: Any = node.op
    blocks = taken[0] if op.groups == 1 else (merged(taken[0], node.name),)
    weight = op.weight.astype(np.float64)
    total = Affine(node.shape, (), np.zeros(node.shape))
    first = 0
    for block in blocks:
        channels = block.shape[0]
        part = weight if op.groups > 1 else weight[:, first : first + channels]
        window = Window(block.shape[1:], op.kernel, op.stride, op.padding_pairs, op.dilation)
        layer = Conv(part, channels, window, op.groups)
        spiking = _spiking_if_pooled(lowering, block, node)
        total = total.plus(multiplied(lowering, layer, spiking, node))
        first += channels
    return (total if op.bias is None else total.shifted(op.bias),)


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


def _batch_norm(lowering: Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    op: Any = node.op
    scale, shift = op.scale_shift()
    parts = zip(taken[0], _by_block(scale, taken[0]), _by_block(shift, taken[0]), strict=True)
    return tuple(block.scaled(a).shifted(b) for block, a, b in parts)


def _scale(lowering: Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    op: Any = node.op
    values = _by_block(op.value.astype(np.float64), taken[0])
    return tuple(block.scaled(v) for block, v in zip(taken[0], values, strict=True))


def _add_constant(lowering: Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    op: Any = node.op
    values = _by_block(op.value.astype(np.float64), taken[0])
    return tuple(block.shifted(v) for block, v in zip(taken[0], values, strict=True))


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
            source = node.name if len(taken[0]) == 1 else None
            layer = ReluLayer(lowering.unique(node.name), block, source, slope=spread)
            if not (spread > 0).all():
                raise refuse(node, "a slope of 0 or less in some channels; use --leaky units")
            lowering.layers.append(layer)
            result.append(population_term(layer.name, layer.shape))
            continue
        whole = f"{node.name}#{i}"
        mirrored = block.scaled(np.array(-1.0))
        positive = lowering.rectify(block, node.name, None, part_of=whole)
        negative = lowering.rectify(mirrored, f"{node.name}_negative", None, part_of=whole)
        result.append(positive.plus(negative.scaled(-spread)))
    return tuple(result)


def _function(lowering: Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    op: Any = node.op
    units = units_of(op, lowering.options.activation_units, _where(node))
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
        shifted = block.shifted(np.array(-start))
        unit = _unit(lowering, f"{node.name}_unit{k}", shifted, width, share, whole)
        total = total.plus(unit.scaled(np.array(slope)))
    if units.below:
        mirrored = block.scaled(np.array(-1.0)).shifted(np.array(units.lowest))
        unit = _unit(lowering, f"{node.name}_below", mirrored, math.inf, 1, whole)
        total = total.plus(unit.scaled(np.array(-units.below)))
    for k, (at, height) in enumerate(units.steps):
        size = abs(height)
        name = lowering.unique(f"{node.name}_step{k}")
        # Rounded to levels of its height, clipped to the first of them: 1 from x = at on.
        shifted = block.shifted(np.array(size / 2 - at))
        layer = ReluLayer(name, shifted, None, size, levels=1, part_of=whole)
        lowering.layers.append(layer)
        lowering.ceiling[name] = size
        step = population_term(name, layer.shape)
        total = total.plus(step if height > 0 else step.scaled(np.array(-1.0)))
    return total


def _unit(
    lowering: Lowering, name: str, affine: Affine, width: float, units: int, whole: str
) -> Affine:
    name = lowering.unique(name)
    limit = None if math.isinf(width) else width
    layer = ReluLayer(name, affine, None, limit, units=units, part_of=whole)
    lowering.layers.append(layer)
    lowering.ceiling[name] = width
    return population_term(name, layer.shape)


def _where(node: AnalogNode) -> str:
    return f"{node.name} ({node.source})" if node.source else node.name


def _quantized(lowering: Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    op: Any = node.op
    source = node.name if len(taken[0]) == 1 else None
    result = []
    for block in taken[0]:
        name = lowering.unique(node.name)
        layer = ReluLayer(name, block, source, op.maximum, levels=op.levels, shift=op.shift)
        lowering.layers.append(layer)
        lowering.ceiling[name] = op.maximum
        result.append(population_term(name, layer.shape))
    return tuple(result)


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


def _slice(lowering: Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    op: Any = node.op
    block = merged(taken[0], node.name)
    kept = np.arange(math.prod(block.shape)).reshape(block.shape)[op.slices()]
    return (multiplied(lowering, picking(kept, block.shape), block, node),)


def _gather(lowering: Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    op: Any = node.op
    block = merged(taken[0], node.name)
    return (multiplied(lowering, picking(op.index, block.shape), block, node),)


def _along_axis(lowering: Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    op: Any = node.op
    block = merged(taken[0], node.name)
    # Every weight of the matrix stands at all positions on the other axes.
    pre = np.moveaxis(np.arange(math.prod(block.shape)).reshape(block.shape), op.axis, 0)
    post = np.moveaxis(np.arange(math.prod(node.shape)).reshape(node.shape), op.axis, 0)
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
    block = merged(taken[0], node.name)
    inner = tuple(slice(a, a + n) for (a, _), n in zip(op.amounts, block.shape, strict=True))
    where = np.arange(math.prod(node.shape)).reshape(node.shape)[inner].reshape(-1)
    embed = Sparse(np.ones(where.size), where, np.arange(where.size), block.shape, node.shape)
    return (block.mapped(embed, node.name),)


def _softmax(lowering: Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    return taken[0]


OPERATIONS: dict[type, Operation] = {
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
    analog.Slice: _slice,
    analog.Pad: _pad,
    analog.Gather: _gather,
    analog.AlongAxis: _along_axis,
    analog.Softmax: _softmax,
}
"""Operation of the analog graph -> how it is lowered."""
