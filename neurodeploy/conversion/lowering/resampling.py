"""What makes tensors larger: windows over cells that stand apart, where they are such."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from neurodeploy.conversion.lowering.affine import Affine
from neurodeploy.conversion.lowering.context import Blocks, Lowering, merged
from neurodeploy.conversion.lowering.separation import multiplied, summed_products
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.composition import compose, picking
from neurodeploy.ir.connectivity import Connectivity, Conv, SumPool
from neurodeploy.ir.geometry import Window
from neurodeploy.source.analog import AnalogNode
from neurodeploy.source.index_maps import numbers


def conv_transpose(lowering: Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    """A transposed convolution: one over cells that stand its stride apart, flipped."""
    op: Any = node.op
    blocks = taken[0] if op.groups == 1 else (merged(taken[0], node.name),)
    sizes = zip(op.kernel, op.dilation, op.padding, op.output_padding, strict=True)
    ends = [(d * (k - 1) - p, d * (k - 1) - p + extra) for k, d, p, extra in sizes]
    # What is cut beyond the reach of the kernel is cut afterwards.
    pads = tuple((max(before, 0), max(after, 0)) for before, after in ends)

    def product(part: AnyArray, block: Affine) -> Affine:
        ones = (1,) * len(pads)
        window = Window(block.shape[1:], op.kernel, ones, pads, op.dilation, op.stride)
        layer: Connectivity = Conv(part, block.shape[0], window, op.groups)
        if window.output_size != node.shape[1:]:
            starts = (0, *(max(-before, 0) for before, _ in ends))
            inner = tuple(slice(a, a + n) for a, n in zip(starts, node.shape, strict=True))
            cells = numbers(layer.post_shape)[inner]
            layer = compose(picking(cells, layer.post_shape), layer, node.name)
        return multiplied(lowering, layer, block, node)

    return summed_products(node, blocks, _flipped(op.weight, op.groups), product)


def _flipped(weight: AnyArray, groups: int) -> AnyArray:
    """``[C_in, C_out / groups, *kernel]`` as ``[C_out, C_in / groups, *kernel]`` of the other."""
    c_in, c_out, *kernel = weight.shape
    by_group = weight.reshape(groups, c_in // groups, c_out, *kernel).swapaxes(1, 2)
    turned = by_group.reshape(groups * c_out, c_in // groups, *kernel)
    return np.flip(turned, axis=tuple(range(2, turned.ndim)))


def upsample(lowering: Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    """Nearest upsampling: sums over windows of as many cells as each is repeated."""
    op: Any = node.op
    around, ones = tuple((f - 1, f - 1) for f in op.factors), (1,) * len(op.factors)
    result = []
    for block in taken[0]:
        window = Window(block.shape[1:], op.factors, ones, around, ones, op.factors)
        repeated = SumPool(np.ones(block.shape[0]), window)
        same = math.prod(op.factors) == 1
        result.append(block if same else multiplied(lowering, repeated, block, node))
    return tuple(result)
