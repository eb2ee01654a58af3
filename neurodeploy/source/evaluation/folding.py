"""Batch norms of an analog graph folded into the layers before them, to evaluate it faster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import replace

import numpy as np

from neurodeploy.source.analog import AnalogGraph, AnalogNode, BatchNorm, Linear
from neurodeploy.source.layers import Convolution


def fold_batch_norms(graph: AnalogGraph, keep: Collection[str]) -> AnalogGraph:
    """The same graph with fewer nodes: a layer and its batch norm are one, by the latter's name.

    Weights are multiplied in double precision and rounded once. A layer that is one of those to
    ``keep``, is an output or has other readers stays, and so does one whose weights would leave
    single precision.
    """
    uses = Counter(name for node in graph.nodes for name in node.inputs)
    wanted = {*keep, *graph.outputs}
    nodes: dict[str, AnalogNode] = {}
    for node in graph.nodes:
        layer = nodes.get(node.inputs[0]) if isinstance(node.op, BatchNorm) else None
        if layer is not None and uses[layer.name] == 1 and layer.name not in wanted:
            op = _folded(layer, node)
            if op is not None:
                del nodes[layer.name]
                node = replace(node, op=op, inputs=layer.inputs)
        nodes[node.name] = node
    if len(nodes) == len(graph.nodes):
        return graph
    return replace(graph, nodes=tuple(nodes.values()))


def _folded(layer: AnalogNode, norm: AnalogNode) -> Convolution | Linear | None:
    op = layer.op
    if not isinstance(op, Convolution | Linear):
        return None
    assert isinstance(norm.op, BatchNorm)
    scale, shift = norm.op.scale_shift()
    with np.errstate(over="ignore"):
        by_row = scale.reshape(-1, *(1,) * (op.weight.ndim - 1))
        weight = (op.weight * by_row).astype(np.float32)
        bias = (shift if op.bias is None else scale * op.bias + shift).astype(np.float32)
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        return None
    return replace(op, weight=weight, bias=bias)
