"""Modules of torch.ao: quantized networks whose layers compute in float, and those in the making.

Reference modules hold tensors of quantized types, which torch.export does not follow; the same
steps on plain integers, it does. Prepared networks hold observers, which pass on what they are
given, and fake quantization, which rounds it as the quantized network will.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Iterator
from typing import Any

import torch
from torch import fx, nn

from neurodeploy.errors import ConversionError

_SPANS = {torch.quint8: (0, 255, torch.uint8), torch.qint8: (-128, 127, torch.int8)}


class _Rounding(nn.Module):
    """Fake quantization with the scale that it has."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        scale, zero = layer.scale.detach().float(), layer.zero_point.detach()
        self.axis = int(layer.ch_axis) if "per_channel" in str(layer.qscheme) else None
        one = self.axis is None
        self.scale: Any = float(scale) if one else scale.clone()
        self.zero_point: Any = round(float(zero)) if one else zero.to(torch.int32)
        observer = layer.activation_post_process
        self.span = (int(observer.quant_min), int(observer.quant_max))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale, zero, axis, (low, high) = self.scale, self.zero_point, self.axis, self.span
        if axis is None:
            return torch.fake_quantize_per_tensor_affine(x, scale, zero, low, high)
        return torch.fake_quantize_per_channel_affine(x, scale, zero, axis, low, high)


def without_observers(module: nn.Module) -> nn.Module:
    """A module whose observers are left out, and whose fake quantization keeps its scales.

    Raises
    ------
    ConversionError
        If the scales of fake quantization change in every call.
    """
    prepared = {name for name, layer in _named(module) if _bases(layer)}
    if not prepared:
        return module
    found = copy.deepcopy(module)
    for name in sorted(prepared):
        parent, _, own = name.rpartition(".")
        if not any(name.startswith(f"{other}.") for other in prepared):
            setattr(found.get_submodule(parent), own, _settled(name, found.get_submodule(name)))
    return found


def _named(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """All names of all submodules: observers are often shared."""
    yield from module.named_modules(remove_duplicate=False)


def _bases(layer: nn.Module) -> set[str]:
    """Those of torch that a layer computes as: what calls itself otherwise is no such layer."""
    computes = next((c for c in type(layer).__mro__ if "forward" in vars(c)), nn.Module)
    if ".quantization." not in computes.__module__:
        return set()
    own = (c for c in type(layer).__mro__ if ".quantization." in c.__module__)
    return {c.__name__ for c in own} & {"ObserverBase", "FakeQuantizeBase"}


def _settled(name: str, layer: Any) -> nn.Module:
    if "FakeQuantizeBase" not in _bases(layer) or not _on(layer, "fake_quant_enabled"):
        return nn.Identity()
    fixed = "FixedQParams" in type(layer.activation_post_process).__name__
    # Where steps are learned, another switch says whether they are observed.
    learned = hasattr(layer, "static_enabled")
    if _on(layer, "static_enabled" if learned else "observer_enabled") and not fixed:
        ao = type(layer).__module__.startswith("torchao.")
        package = "torchao.quantization.pt2e" if ao else "torch.ao.quantization"
        raise ConversionError(
            f"{name}: fake quantization still observes, so that its scale changes in every call; "
            f"call module.apply({package}.disable_observer)"
        )
    return _Rounding(layer)


def _on(layer: Any, switch: str) -> bool:
    return bool(getattr(layer, switch, torch.ones(1)).any())


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
