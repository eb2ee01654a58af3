"""Lowering of sums of activations and of arithmetic with constants."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurodeploy.ir.arrays import AnyArray
from neurodeploy.source import curves
from neurodeploy.source.analog import Add, AddConstant, Scale
from neurodeploy.source.lowering import Deferred, Ref, Site, lowers


def _fitted(site: Site, x: Ref, constant: AnyArray) -> AnyArray:
    """Reduce a broadcast constant to a scalar, one value per channel, or one per element."""
    if constant.ndim > len(x.shape):
        if (constant != constant[:1]).any():
            site.refuse("a constant that differs between the samples of a batch")
        constant = constant[0]
    if site.shape[1:] != x.shape:
        site.refuse(f"a constant spreads shape {x.shape} to {site.shape[1:]}")
    full = np.broadcast_to(constant, x.shape)
    per_channel = full.reshape(x.shape[0], -1)[:, 0]
    if (full == per_channel[0]).all():
        return np.asarray(per_channel[0])
    spread = per_channel.reshape(-1, *(1,) * (len(x.shape) - 1))
    return per_channel if (full == spread).all() else full


def _scaled(site: Site, x: Ref, constant: AnyArray) -> Ref:
    value = _fitted(site, x, constant)
    if value.ndim > 1:
        site.refuse("multiplication with a constant that differs within a channel")
    if value.ndim == 0 and value == 1:
        return x
    return curves.cancelled(site, x, value) or site.emit(Scale(value), x)


def _shifted(site: Site, x: Ref, constant: AnyArray) -> Ref:
    value = _fitted(site, x, constant)
    return x if value.ndim == 0 and value == 0 else site.emit(AddConstant(value), x)


def _sum(site: Site, x: Any, other: Any, x_factor: float, other_factor: float) -> Ref:
    """Lower ``x_factor * x + other_factor * other``."""
    if isinstance(x, Ref) and isinstance(other, Ref):
        if x.shape != other.shape:
            site.refuse(f"sum of shapes {x.shape} and {other.shape}, expected equal shapes")
        if x == other:
            return _scaled(site, x, np.asarray(x_factor + other_factor, np.float32))
        terms = [
            _scaled(site, term, np.asarray(factor, np.float32))
            for term, factor in ((x, x_factor), (other, other_factor))
        ]
        return site.emit(Add(), *terms)
    if isinstance(x, Ref):
        data, factor, constant = x, x_factor, site.constant(other) * np.float32(other_factor)
    else:
        constant = site.constant(x) * np.float32(x_factor)
        data, factor = site.data(other), other_factor
    return _shifted(site, _scaled(site, data, np.asarray(factor, np.float32)), constant)


@lowers("add", label="add", deferred=True)
def _lower_add(site: Site, x: Any, other: Any, alpha: float = 1) -> Ref | Deferred:
    for value, constant in ((x, other), (other, x)):
        if isinstance(value, Deferred):
            if alpha != 1:
                value.refuse()
            if isinstance(constant, Ref | Deferred):
                return curves.total(site, x, other)
            return curves.shifted(site, value, site.constant(constant))
    return _sum(site, x, other, 1, alpha)


@lowers("sub")
def _lower_sub(site: Site, x: Any, other: Any, alpha: float = 1) -> Ref:
    return _sum(site, x, other, 1, -alpha)


@lowers("rsub")
def _lower_rsub(site: Site, x: Any, other: Any, alpha: float = 1) -> Ref:
    return _sum(site, x, other, -alpha, 1)


@lowers("neg")
def _lower_neg(site: Site, x: Any) -> Ref:
    return _scaled(site, site.data(x), np.asarray(-1, np.float32))


@lowers("mul", label="constant arithmetic", deferred=True)
def _lower_mul(site: Site, x: Any, other: Any) -> Ref | Deferred:
    data, factor = (x, other) if isinstance(x, Ref | Deferred) else (other, x)
    if isinstance(factor, Ref | Deferred):
        return curves.product(site, data, factor)
    return _multiplied(site, data, site.constant(factor))


def _multiplied(site: Site, x: Any, constant: AnyArray) -> Ref | Deferred:
    if isinstance(x, Deferred):
        return curves.scaled(site, x, constant)
    return _scaled(site, site.data(x), constant)


@lowers("pow", deferred=True)
def _lower_pow(site: Site, x: Any, exponent: Any) -> Ref | Deferred:
    data = x if isinstance(x, Deferred) else site.data(x)
    return curves.power(site, data, site.constant(exponent, "exponent"))


@lowers("erf")
def _lower_erf(site: Site, x: Any) -> Ref | Deferred:
    return curves.erf(site, site.data(x))


@lowers("div", deferred=True)
def _lower_div(site: Site, x: Any, other: Any, rounding_mode: str | None = None) -> Ref | Deferred:
    if rounding_mode is not None:
        site.refuse(f"division with rounding mode {rounding_mode!r}")
    if isinstance(other, Ref | Deferred):
        site.refuse("division by an activation")
    divisor = site.constant(other).astype(np.float64)
    if (divisor == 0).any():
        site.refuse("division by 0")
    return _multiplied(site, x, (1 / divisor).astype(np.float32))
