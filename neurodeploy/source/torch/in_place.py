"""Operations in place as ordinary ones, where nothing else sees the tensor that they write.

PyTorch's own rules trace the whole program again for it, which takes as long as the export. Most
networks write only what a layer has just made, as in ``relu(bn(conv(x)), inplace=True)``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

_FRESH = (
    *("conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d", "linear", "batch_norm"),
    *("add", "sub", "mul", "div", "cat", "max_pool2d", "avg_pool2d", "mean"),
    *("relu", "hardtanh", "relu6", "leaky_relu", "elu", "silu", "hardswish", "hardsigmoid"),
    *("sigmoid", "tanh", "mish", "gelu", "upsample_nearest2d", "upsample_bilinear2d"),
)
"""Operators whose result is a tensor of its own in every mode (dropout's is its input)."""


def taken_out(program: torch.export.ExportedProgram) -> bool:
    """Write operations in place as ordinary ones; False if one is left, because it is not simple.

    Simple is what writes the result of an operator of :data:`_FRESH` that none but such operators
    have read before: later readers read the new result.
    """
    nodes = {node: i for i, node in enumerate(program.graph.nodes)}
    returned = set(program.graph_signature.user_outputs)
    for node, at in nodes.items():
        if not getattr(_schema(node), "is_mutable", False):
            continue
        target, written = _ordinary(node), node.args[0] if node.args else None
        if target is None or not isinstance(written, fx.Node):
            return False
        before = [user for user in written.users if nodes[user] < at]
        if not all(map(_is_fresh, (written, *before))) or {node.name, written.name} & returned:
            return False
        node.target = target
        for user in [user for user in written.users if nodes[user] > at]:
            user.replace_input_with(written, node)
        node._rename(target._schema.name.rpartition(":")[2])
    program.graph_module.recompile()
    return True


def _schema(node: fx.Node) -> Any:
    return getattr(node.target, "_schema", None)


def _is_fresh(node: fx.Node) -> bool:
    name = getattr(_schema(node), "name", "").removeprefix("aten::")
    return node.op == "call_function" and name in _FRESH


def _ordinary(node: fx.Node) -> Any:
    """The same operator that writes nothing, if the one in place writes its first argument only."""
    schema = _schema(node)
    written = [argument.alias_info is not None for argument in schema.arguments]
    namespace, _, name = schema.name.partition("::")
    if namespace != "aten" or not name.endswith("_") or written != [True, *written[1:]]:
        return None
    packet = getattr(torch.ops.aten, name.removesuffix("_"), None)
    if packet is None or any(written[1:]) or schema.overload_name not in _overloads(packet):
        return None
    return getattr(packet, schema.overload_name or "default")


def _overloads(packet: Any) -> set[str]:
    return {"" if name == "default" else name for name in packet.overloads()}
