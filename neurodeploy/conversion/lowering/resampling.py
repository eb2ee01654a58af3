"""What makes tensors larger: windows over cells that stand apart, where they are such."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from neurodeploy.conversion.lowering.affine import Affine
from neurodeploy.conversion.lowering.context import Blocks, Lowering, merged, refuse
from neurodeploy.conversion.lowering.separation import multiplied, summed_products
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.connectivity import Conv, Sparse, SumPool
from neurodeploy.ir.geometry import Window
from neurodeploy.source.analog import AnalogNode


def conv_transpose(lowering: Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    """A transposed convolution: one over cells that stand its stride apart, flipped."""
    op: Any = node.op
    blocks = taken[0] if op.groups == 1 else (merged(taken[0], node.name),)
    pads = [
        (d * (k - 1) - p, d * (k - 1) - p + extra)
        for k, d, p, extra in zip(
            op.kernel, op.dilation, op.padding, op.output_padding, strict=True
        )
    ]
    if min(map(min, pads)) < 0:
        # It cuts more than the kernel reaches.
        total = multiplied(lowering, _listed(node, taken), merged(taken[0], node.name), node)
        return (total if op.bias is None else total.shifted(op.bias),)

    def product(part: AnyArray, block: Affine) -> Affine:
        ones = (1,) * len(pads)
        window = Window(block.shape[1:], op.kernel, ones, tuple(pads), op.dilation, op.stride)
        return multiplied(lowering, Conv(part, block.shape[0], window, op.groups), block, node)

    return summed_products(node, blocks, _flipped(op.weight, op.groups), product)


def _flipped(weight: AnyArray, groups: int) -> AnyArray:
    """``[C_in, C_out / groups, *kernel]`` as ``[C_out, C_in / groups, *kernel]`` of the other."""
    c_in, c_out, *kernel = weight.shape
    by_group = weight.reshape(groups, c_in // groups, c_out, *kernel).swapaxes(1, 2)
    turned = by_group.reshape(groups * c_out, c_in // groups, *kernel)
    return np.flip(turned, axis=tuple(range(2, turned.ndim)))


def _listed(node: AnalogNode, taken: list[Blocks]) -> Sparse:
    """Where every weight of the kernel leads, from a map whose synapses carry their own number."""
    op: Any = node.op
    shape = (sum(block.shape[0] for block in taken[0]), *taken[0][0].shape[1:])
    pads = tuple((p, p) for p in op.padding)
    window = Window(node.shape[1:], op.kernel, op.stride, pads, op.dilation)
    numbered = np.arange(1, op.weight.size + 1, dtype=np.float64).reshape(op.weight.shape)
    forward = Conv(numbered, node.shape[0], window, op.groups)
    if forward.post_shape[1:] != shape[1:]:
        # Output padding: the last cells of the result see no window of the convolution.
        raise refuse(node, f"an output padding of {op.output_padding}; use one below the stride")
    cell, value, number = forward.to_coo()
    weight = op.weight.astype(np.float64).reshape(-1)[number.astype(np.int64) - 1]
    return Sparse(weight, value, cell, shape, node.shape)


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
