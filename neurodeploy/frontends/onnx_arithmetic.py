"""Lowering of ONNX sums of activations and of arithmetic with constants."""

from __future__ import annotations

import numpy as np

from neurodeploy.frontends.lowering import Ref
from neurodeploy.frontends.onnx_lowering import OnnxSite, lowers_onnx
from neurodeploy.ir.analog import Add, AddConstant, Scale
from neurodeploy.ir.arrays import AnyArray


def _fitted(site: OnnxSite, x: Ref, constant: AnyArray) -> AnyArray:
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
    value = _fitted(site, x, constant)
    if value.ndim > 1:
        site.refuse("multiplication with a constant that differs within a channel")
    return x if value.ndim == 0 and value == 1 else site.emit(Scale(value), x)


def _shifted(site: OnnxSite, x: Ref, constant: AnyArray) -> Ref:
    value = _fitted(site, x, constant)
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
        return _shifted(site, a, site.array(1) * factor)
    return _shifted(site, scaled(site, site.data(1), factor), site.array(0))


@lowers_onnx("Add")
def _lower_add(site: OnnxSite) -> Ref:
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


@lowers_onnx("Div")
def _lower_div(site: OnnxSite) -> Ref:
    divisor = site.array(1).astype(np.float64)
    if (divisor == 0).any():
        site.refuse("division by 0")
    return scaled(site, site.data(), (1 / divisor).astype(np.float32))
