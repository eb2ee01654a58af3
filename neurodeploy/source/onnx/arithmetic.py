"""Lowering of ONNX sums of activations and of arithmetic with constants."""

from __future__ import annotations

import numpy as np

from neurodeploy.ir.arrays import AnyArray
from neurodeploy.source import curves
from neurodeploy.source.analog import Add, AddConstant, Scale
from neurodeploy.source.lowering import Deferred, Ref
from neurodeploy.source.onnx.lowering import OnnxSite, lowers_onnx


def fitted(site: OnnxSite, x: Ref, constant: AnyArray) -> AnyArray:
    """Reduce a broadcast constant to a scalar, one value per channel, or one per element."""
    if constant.ndim > len(x.shape):
        if constant.ndim > len(x.shape) + 1 or (constant != constant[:1]).any():
            site.refuse(f"a constant of shape {constant.shape} for an activation of {x.shape}")
        constant = constant[0]
    try:
        full = np.broadcast_to(constant.astype(np.float32), x.shape)
    except ValueError:
        site.refuse(f"a constant of shape {constant.shape} spreads an activation of {x.shape}")
    per_channel = full.reshape(x.shape[0], -1)[:, 0]
    if (full == per_channel[0]).all():
        return np.asarray(per_channel[0])
    spread = per_channel.reshape(-1, *(1,) * (len(x.shape) - 1))
    return per_channel if (full == spread).all() else full


def scaled(site: OnnxSite, x: Ref, constant: AnyArray) -> Ref:
    """Multiply an activation with a constant, if need be by nothing at all."""
    value = fitted(site, x, constant)
    if value.ndim > 1:
        site.refuse("multiplication with a constant that differs within a channel")
    if value.ndim == 0 and value == 1:
        return x
    return curves.cancelled(site, x, value) or site.emit(Scale(value), x)


def shifted(site: OnnxSite, x: Ref, constant: AnyArray) -> Ref:
    """Add a constant to an activation."""
    value = fitted(site, x, constant)
    return x if value.ndim == 0 and value == 0 else site.emit(AddConstant(value), x)


def _sum(site: OnnxSite, sign: float) -> Ref:
    """Lower ``a + sign b``."""
    a, b = site.values[:2]
    factor = np.asarray(sign, np.float32)
    if isinstance(a, Ref) and isinstance(b, Ref):
        if a.shape != b.shape:
            site.refuse(f"sum of shapes {a.shape} and {b.shape}, expected equal shapes")
        if a == b:
            return scaled(site, a, np.asarray(1 + sign, np.float32))
        return site.emit(Add(), a, scaled(site, b, factor))
    if isinstance(a, Ref):
        return shifted(site, a, site.array(1) * factor)
    return shifted(site, scaled(site, site.data(1), factor), site.array(0))


@lowers_onnx("Add", deferred=True)
def _lower_add(site: OnnxSite) -> Ref | Deferred:
    a, b = site.values[:2]
    varying = [value for value in (a, b) if isinstance(value, Ref | Deferred)]
    unsettled = [value for value in varying if isinstance(value, Deferred)]
    if unsettled and len(varying) == 2:
        return curves.total(site, *varying)
    if unsettled:
        return curves.shifted(site, unsettled[0], site.array(0 if varying[0] is b else 1))
    return _sum(site, 1.0)


@lowers_onnx("Sum")
def _lower_sum(site: OnnxSite) -> Ref:
    total = site.data(0)
    for i in range(1, len(site.values)):
        total = site.emit(Add(), total, site.data(i))
    return total


@lowers_onnx("Sub")
def _lower_sub(site: OnnxSite) -> Ref:
    return _sum(site, -1.0)


@lowers_onnx("Neg")
def _lower_neg(site: OnnxSite) -> Ref:
    return scaled(site, site.data(), np.asarray(-1, np.float32))


@lowers_onnx("Mul", deferred=True)
def _lower_mul(site: OnnxSite) -> Ref | Deferred:
    a, b = site.values[:2]
    if isinstance(a, Ref | Deferred) and isinstance(b, Ref | Deferred):
        return curves.product(site, a, b)
    first = int(not isinstance(a, Ref | Deferred))
    return _multiplied(site, site.varying(first), site.array(1 - first))


def _multiplied(site: OnnxSite, x: Ref | Deferred, constant: AnyArray) -> Ref | Deferred:
    if isinstance(x, Deferred):
        return curves.scaled(site, x, constant)
    return scaled(site, x, constant)


@lowers_onnx("Div", deferred=True)
def _lower_div(site: OnnxSite) -> Ref | Deferred:
    if isinstance(site.values[1], Ref | Deferred):
        site.refuse("division by an activation")
    divisor = site.array(1).astype(np.float64)
    if (divisor == 0).any():
        site.refuse("division by 0")
    return _multiplied(site, site.varying(), (1 / divisor).astype(np.float32))


@lowers_onnx("Pow", deferred=True)
def _lower_pow(site: OnnxSite) -> Ref | Deferred:
    return curves.power(site, site.varying(), site.array(1))
