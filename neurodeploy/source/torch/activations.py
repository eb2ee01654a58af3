"""Lowering of activation functions that are more than a clip."""

from __future__ import annotations

from typing import Any

from neurodeploy.source import curves, rounding
from neurodeploy.source.analog import Function, LeakyReLU, ReLU
from neurodeploy.source.lowering import Deferred, Ref, Site, lowers


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


@lowers("sigmoid", label="sigmoid", deferred=True)
def _lower_sigmoid(site: Site, x: Any) -> Ref | Deferred:
    return curves.function(site, x if isinstance(x, Deferred) else site.data(x), "sigmoid")


@lowers("tanh", label="tanh", deferred=True)
def _lower_tanh(site: Site, x: Any) -> Ref | Deferred:
    return curves.function(site, x if isinstance(x, Deferred) else site.data(x), "tanh")


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
def _lower_floor(site: Site, x: Any) -> Ref | Deferred:
    return rounding.floor(site, site.data(x))
