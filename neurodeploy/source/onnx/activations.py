"""Lowering of ONNX activation functions."""

from __future__ import annotations

import math

import numpy as np

from neurodeploy.ir.arrays import AnyArray
from neurodeploy.source import curves, rounding
from neurodeploy.source.analog import Clip, Function, LeakyReLU, ReLU, Softmax
from neurodeploy.source.lowering import Deferred, Ref
from neurodeploy.source.onnx.arithmetic import fitted, scaled, shifted
from neurodeploy.source.onnx.lowering import OnnxSite, lowers_onnx


@lowers_onnx("Relu")
def _lower_relu(site: OnnxSite) -> Ref:
    return site.emit(ReLU(), site.data())


@lowers_onnx("Clip", deferred=True)
def _lower_clip(site: OnnxSite) -> Ref:
    low = _bound(site, site.optional(1), "min")
    high = _bound(site, site.optional(2), "max")
    if low is None and high is not None:
        return rounding.minimum(site, site.data(), high)
    if low != 0 or (high is not None and high <= 0):
        site.refuse(f"clipping to [{low}, {high}], expected a lower bound of 0")
    if high is None or high > 1e30:
        return site.emit(ReLU(), site.data())
    return rounding.clip(site, site.varying(), high)


def _bound(site: OnnxSite, given: AnyArray | None, attribute: str) -> float | None:
    if given is not None:
        return float(given.reshape(()))
    value = site.get(attribute, None)
    return None if value is None else float(value)


@lowers_onnx("Max", "Min")
def _lower_extreme(site: OnnxSite) -> Ref:
    """``max(x, 0)`` and ``min(relu(x), m)``."""
    first = int(not isinstance(site.values[0], Ref))
    if len(site.values) != 2 or isinstance(site.values[1 - first], Ref):
        site.refuse("expected one activation and one constant")
    x = site.data(first)
    constant = fitted(site, x, site.array(1 - first))
    if constant.ndim:
        site.refuse("a constant that differs between elements")
    if site.operator == "Min":
        return rounding.minimum(site, x, float(constant))
    if constant != 0:
        site.refuse(f"a maximum with {float(constant):g}, expected 0")
    return site.emit(ReLU(), x)


@lowers_onnx("LeakyRelu")
def _lower_leaky_relu(site: OnnxSite) -> Ref:
    return _leaky(site, site.data(), np.asarray(site.get("alpha", 0.01), np.float32))


@lowers_onnx("PRelu")
def _lower_prelu(site: OnnxSite) -> Ref:
    x = site.data()
    slope = fitted(site, x, site.array(1))
    if slope.ndim > 1:
        site.refuse("slopes that differ within a channel")
    return _leaky(site, x, slope)


def _leaky(site: OnnxSite, x: Ref, slope: AnyArray) -> Ref:
    if not ((slope >= 0) & (slope < 1)).all():
        site.refuse(f"a negative slope of {slope.min():g} to {slope.max():g}, expected [0, 1)")
    return site.emit(LeakyReLU(slope) if slope.any() else ReLU(), x)


@lowers_onnx("Sigmoid", "Tanh", deferred=True)
def _lower_saturating(site: OnnxSite) -> Ref | Deferred:
    return curves.function(site, site.varying(), site.operator.lower())


@lowers_onnx("HardSwish", "Softplus")
def _lower_function(site: OnnxSite) -> Ref:
    return site.emit(Function(site.operator.lower()), site.data())


@lowers_onnx("HardSigmoid")
def _lower_hard_sigmoid(site: OnnxSite) -> Ref:
    """``clip(alpha x + beta, 0, 1)``, which for 1/6 and 1/2 has a name."""
    alpha, beta = site.get("alpha", 0.2), site.get("beta", 0.5)
    x = site.data()
    if math.isclose(alpha, 1 / 6, rel_tol=1e-6) and beta == 0.5:
        return site.emit(Function("hardsigmoid"), x)
    x = scaled(site, x, np.asarray(alpha, np.float32))
    return site.emit(Clip(1.0), shifted(site, x, np.asarray(beta, np.float32)))


@lowers_onnx("Elu")
def _lower_elu(site: OnnxSite) -> Ref:
    if site.get("alpha", 1.0) != 1:
        site.refuse(f"ELU with alpha {site.get('alpha', 1.0):g}, expected 1")
    return site.emit(Function("elu"), site.data())


@lowers_onnx("Gelu")
def _lower_gelu(site: OnnxSite) -> Ref:
    form = site.get("approximate", "none")
    if form not in ("none", "tanh"):
        site.refuse(f"the approximation {form!r}, expected 'none' or 'tanh'")
    return site.emit(Function("gelu" if form == "none" else "gelu_tanh"), site.data())


@lowers_onnx("Erf")
def _lower_erf(site: OnnxSite) -> Ref | Deferred:
    return curves.erf(site, site.data())


@lowers_onnx("Floor")
def _lower_floor(site: OnnxSite) -> Ref | Deferred:
    return rounding.floor(site, site.data())


@lowers_onnx("Softmax", "LogSoftmax")
def _lower_softmax(site: OnnxSite) -> Ref:
    x = site.data()
    axis = site.get("axis", -1 if site.opset >= 13 else 1) % (len(x.shape) + 1)
    # Before opset 13 everything from the axis on is one dimension.
    if axis != 1 or (site.opset < 13 and len(x.shape) > 1):
        site.refuse(f"softmax over axis {axis} of {len(x.shape) + 1}, expected the channels (1)")
    return site.emit(Softmax(site.operator == "LogSoftmax"), x)
