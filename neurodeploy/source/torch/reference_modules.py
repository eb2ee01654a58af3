"""Reference modules of torch.ao: quantized networks whose layers compute in float.

They hold tensors of quantized types, which torch.export does not follow; the same steps on plain
integers, it does.
"""

from __future__ import annotations

import copy
import operator
from typing import Any

import torch
from torch import fx, nn

_SPANS = {torch.quint8: (0, 255, torch.uint8), torch.qint8: (-128, 127, torch.int8)}


def on_integers(module: nn.Module) -> nn.Module:
    """A module with its quantization as operators of ``quantized_decomposed``."""
    quantizing = [
        node
        for node in (module.graph.nodes if isinstance(module, fx.GraphModule) else ())
        if node.op == "call_function" and node.target is torch.quantize_per_tensor
    ]
    reference = any(hasattr(layer, "is_decomposed") for layer in module.modules())
    if not quantizing and not reference:
        return module
    from torch.ao.quantization.fx import _decomposed  # noqa: F401  (registers the operators)

    module = copy.deepcopy(module)
    for layer in module.modules():
        if hasattr(layer, "is_decomposed"):
            layer.__dict__["is_decomposed"] = True
    if isinstance(module, fx.GraphModule) and quantizing:
        _rewrite(module)
    return module


def _rewrite(module: fx.GraphModule) -> None:
    ops: Any = torch.ops.quantized_decomposed
    for node in list(module.graph.nodes):
        if node.op != "call_function" or node.target is not torch.quantize_per_tensor:
            continue
        x, scale, zero, kind = (_held(module, value) for value in node.args)
        if kind not in _SPANS:
            continue
        how = (float(scale), int(zero), *_SPANS[kind])
        node.target, node.args = ops.quantize_per_tensor.default, (x, *how)
        for user in list(node.users):
            if user.op == "call_method" and user.target == "dequantize":
                user.op, user.target = "call_function", ops.dequantize_per_tensor.default
                user.args = (node, *how)
    module.recompile()


def _held(module: fx.GraphModule, value: Any) -> Any:
    """What an argument stands for, if it is an attribute of the module."""
    if isinstance(value, fx.Node) and value.op == "get_attr":
        return operator.attrgetter(str(value.target))(module)
    return value


def quantizes(module: nn.Module) -> bool:
    """Whether a module rounds activations to levels."""
    calls = (
        str(node.target)
        for layer in module.modules()
        if isinstance(layer, fx.GraphModule)
        for node in layer.graph.nodes
    )
    return any("quantize_per" in call for call in calls)
