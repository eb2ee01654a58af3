"""Lowering of activation functions that are more than a clip."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurodeploy.frontends.lowering import Ref, Site, lowers
from neurodeploy.ir.analog import (
    AddConstant,
    Clip,
    Function,
    LeakyReLU,
    QuantizedReLU,
    ReLU,
    Scale,
)


@lowers("leaky_relu", label="LeakyReLU")
def _lower_leaky_relu(site: Site, x: Any, negative_slope: float = 0.01) -> Ref:
    return _leaky(site, site.data(x), site.constant(negative_slope))


@lowers("prelu", "_prelu_kernel", label="PReLU")
def _lower_prelu(site: Site, x: Any, weight: Any) -> Ref:
    slope = site.constant(weight, "slope")
    return _leaky(site, site.data(x), slope.reshape(()) if slope.size == 1 else slope.reshape(-1))


def _leaky(site: Site, x: Ref, slope: Any) -> Ref:
    if not ((slope >= 0) & (slope < 1)).all():
        site.refuse(f"a negative slope of {slope.min():g} to {slope.max():g}, expected [0, 1)")
    return site.emit(LeakyReLU(slope) if slope.any() else ReLU(), x)


@lowers("silu", label="SiLU")
def _lower_silu(site: Site, x: Any) -> Ref:
    return site.emit(Function("silu"), site.data(x))


@lowers("gelu", label="GELU")
def _lower_gelu(site: Site, x: Any, approximate: str = "none") -> Ref:
    name = "gelu" if approximate == "none" else "gelu_tanh"
    return site.emit(Function(name), site.data(x))


@lowers("sigmoid", label="sigmoid")
def _lower_sigmoid(site: Site, x: Any) -> Ref:
    return site.emit(Function("sigmoid"), site.data(x))


@lowers("tanh", label="tanh")
def _lower_tanh(site: Site, x: Any) -> Ref:
    return site.emit(Function("tanh"), site.data(x))


@lowers("hardswish", label="hard-swish")
def _lower_hardswish(site: Site, x: Any) -> Ref:
    return site.emit(Function("hardswish"), site.data(x))


@lowers("hardsigmoid", label="hard-sigmoid")
def _lower_hardsigmoid(site: Site, x: Any) -> Ref:
    return site.emit(Function("hardsigmoid"), site.data(x))


@lowers("softplus", label="softplus")
def _lower_softplus(site: Site, x: Any, beta: float = 1, threshold: float = 20) -> Ref:
    if beta != 1:
        site.refuse(f"softplus with beta {beta}, expected 1")
    return site.emit(Function("softplus"), site.data(x))


@lowers("elu", label="ELU")
def _lower_elu(
    site: Site, x: Any, alpha: float = 1, scale: float = 1, input_scale: float = 1
) -> Ref:
    if (alpha, scale, input_scale) != (1, 1, 1):
        site.refuse(f"ELU with alpha {alpha}, scale {scale}, expected 1")
    return site.emit(Function("elu"), site.data(x))


@lowers("floor", label="clip-floor (QCFS)")
def _lower_floor(site: Site, x: Any) -> Ref:
    """``floor(clip(y, 0, M) a + shift)`` is a quantized activation of y, in whole levels."""
    node = site.builder.node(site.data(x))
    shift, scale = 0.0, 1.0
    if isinstance(node.op, AddConstant) and node.op.value.ndim == 0:
        shift = float(node.op.value)
        node = site.builder.node(site.builder.result(node.inputs[0]))
    if isinstance(node.op, Scale) and node.op.value.ndim == 0:
        scale = float(node.op.value)
        node = site.builder.node(site.builder.result(node.inputs[0]))
    if not isinstance(node.op, Clip) or scale <= 0 or not 0 <= shift < 1:
        site.refuse("rounding outside of floor(clamp(x, 0, m) * levels + 1/2)")
    levels = round(node.op.maximum * scale)
    if levels < 1 or abs(node.op.maximum * scale - levels) > 1e-4 * levels:
        site.refuse(f"rounding to {node.op.maximum * scale:g} levels, expected a whole number")
    quantized = QuantizedReLU(node.op.maximum, levels, shift)
    value = site.emit(quantized, site.builder.result(node.inputs[0]))
    return site.emit(Scale(np.asarray(levels / node.op.maximum, np.float32)), value)
