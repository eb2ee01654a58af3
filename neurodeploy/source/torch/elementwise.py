"""Functions of one value, maxima and arithmetic of torch."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurodeploy.source import arithmetic, moving, rounding
from neurodeploy.source.analog import Function, LeakyReLU, ReLU
from neurodeploy.source.functions import FUNCTIONS, PROGRAMS, SELU, elu, shrink
from neurodeploy.source.lowering import Deferred, Ref, Site, Unconverted, lowers


def _value(site: Site, value: Any) -> Any:
    """An operand: an activation, what may become one, or a constant array."""
    return value if isinstance(value, Ref | Deferred) else site.constant(value)


@lowers("relu")
def _lower_relu(site: Site, x: Any) -> Ref:
    return site.emit(ReLU(), site.data(x))


@lowers("relu6", deferred=True)
def _lower_relu6(site: Site, x: Any) -> Ref:
    return arithmetic.clamped(site, x, 0.0, 6.0)


@lowers("hardtanh", deferred=True)
def _lower_hardtanh(site: Site, x: Any, min_val: float, max_val: float) -> Ref:
    return arithmetic.clamped(site, x, min_val, max_val)


@lowers("clamp", "clamp_min", "clamp_max", deferred=True)
def _lower_clamp(site: Site, x: Any, min: Any = None, max: Any = None) -> Ref:
    bounds = [None if v is None else _value(site, v) for v in (min, max)]
    if all(v is None or (isinstance(v, np.ndarray) and v.size == 1) for v in bounds):
        low, high = (None if v is None else float(v.reshape(())) for v in bounds)
        return arithmetic.clamped(site, x, low, high)
    for word, bound in zip(("max", "min"), bounds, strict=True):
        x = x if bound is None else arithmetic.extreme(site, word, x, bound)
    return site.data(x)


@lowers("maximum", "minimum")
def _lower_extreme(site: Site, x: Any, other: Any) -> Ref:
    word = site.operator.removeprefix("aten.")[:3]
    return arithmetic.extreme(site, word, _value(site, x), _value(site, other))


@lowers("threshold")
def _lower_threshold(site: Site, x: Any, threshold: float, value: float) -> Ref:
    if threshold == value == 0:
        return site.emit(ReLU(), site.data(x))
    program = f"x {threshold!r} gt x {value!r} where"
    return arithmetic.function(site, site.data(x), program)


@lowers("leaky_relu")
def _lower_leaky_relu(site: Site, x: Any, negative_slope: float = 0.01) -> Ref:
    return arithmetic.leaky(site, site.data(x), site.constant(negative_slope))


@lowers("prelu", "_prelu_kernel")
def _lower_prelu(site: Site, x: Any, weight: Any) -> Ref:
    slope, ref = site.constant(weight, "slope"), site.data(x)
    if slope.size == ref.shape[0] > 1:
        return site.emit(LeakyReLU(slope.reshape(-1)) if slope.any() else ReLU(), ref)
    return arithmetic.leaky(site, ref, slope)


@lowers("rrelu", "rrelu_with_noise")
def _lower_rrelu(site: Site, x: Any, lower: Any, upper: Any, training: bool, **_: Any) -> Ref:
    if training:
        site.refuse("slopes drawn at random in every call; call .eval()")
    return arithmetic.leaky(site, site.data(x), np.float32((lower + upper) / 2))


@lowers("gelu")
def _lower_gelu(site: Site, x: Any, approximate: str = "none") -> Ref:
    name = "gelu" if approximate == "none" else "gelu_tanh"
    return site.emit(Function(name), site.data(x))


@lowers("softplus")
def _lower_softplus(site: Site, x: Any, beta: float = 1, threshold: float = 20) -> Ref:
    program = FUNCTIONS["softplus"] if beta == 1 else f"x {beta!r} mul softplus {beta!r} div"
    return arithmetic.function(site, site.data(x), program)


@lowers("elu", "celu", "selu")
def _lower_elu(
    site: Site, x: Any, alpha: float = 1, scale: float = 1, input_scale: float = 1
) -> Ref:
    if site.operator == "aten.celu":
        input_scale = 1 / alpha
    if site.operator == "aten.selu":
        alpha, scale = SELU
    return arithmetic.function(site, site.data(x), elu(alpha, scale, input_scale))


@lowers(*PROGRAMS)
def _lower_program(site: Site, x: Any) -> Ref:
    return arithmetic.function(site, site.data(x), PROGRAMS[site.operator.removeprefix("aten.")])


@lowers("log_sigmoid_forward")
def _lower_log_sigmoid(site: Site, x: Any) -> Any:
    rest = Unconverted("the buffer of a log-sigmoid")
    return arithmetic.function(site, site.data(x), PROGRAMS["log_sigmoid"]), rest


@lowers("hardshrink", "softshrink")
def _lower_shrink(site: Site, x: Any, lambd: Any = 0.5) -> Ref:
    bias = 0.0 if site.operator == "aten.hardshrink" else lambd
    return arithmetic.function(site, site.data(x), shrink(lambd, bias))


@lowers("floor")
def _lower_floor(site: Site, x: Any) -> Ref | Deferred:
    return rounding.floor(site, site.data(x))


@lowers("gt", "ge", "lt", "le", "eq", "ne")
def _lower_comparison(site: Site, x: Any, other: Any) -> Ref:
    word = site.operator.removeprefix("aten.")
    return arithmetic.compared(site, word, _value(site, x), _value(site, other))


@lowers("where")
def _lower_where(site: Site, **operands: Any) -> Ref:
    return arithmetic.chosen(site, *(_value(site, value) for value in operands.values()))


@lowers("masked_fill")
def _lower_masked_fill(site: Site, x: Any, mask: Any, value: Any) -> Ref:
    return arithmetic.chosen(site, *(_value(site, v) for v in (mask, value, x)))


@lowers("add", deferred=True)
def _lower_add(site: Site, x: Any, other: Any, alpha: float = 1) -> Ref:
    return arithmetic.total(site, _value(site, x), _value(site, other), 1, alpha)


@lowers("sub")
def _lower_sub(site: Site, x: Any, other: Any, alpha: float = 1) -> Ref:
    return arithmetic.total(site, _value(site, x), _value(site, other), 1, -alpha)


@lowers("rsub")
def _lower_rsub(site: Site, x: Any, other: Any, alpha: float = 1) -> Ref:
    return arithmetic.total(site, _value(site, x), _value(site, other), -alpha, 1)


@lowers("neg")
def _lower_neg(site: Site, x: Any) -> Ref:
    return arithmetic.scaled(site, site.data(x), np.asarray(-1, np.float32))


@lowers("mul", "logical_and", deferred=True)
def _lower_mul(site: Site, x: Any, other: Any) -> Ref | Deferred:
    return arithmetic.multiplied(site, _value(site, x), _value(site, other))


@lowers("div", deferred=True)
def _lower_div(site: Site, x: Any, other: Any, rounding_mode: str | None = None) -> Ref | Deferred:
    if rounding_mode is not None:
        site.refuse(f"division with rounding mode {rounding_mode!r}")
    return arithmetic.divided(site, _value(site, x), _value(site, other))


@lowers("pow")
def _lower_pow(site: Site, x: Any, exponent: Any) -> Ref:
    return arithmetic.power(site, _value(site, x), _value(site, exponent))


def _axes(x: Ref, site: Site, dim: Any) -> set[int]:
    """Axes of a sample that a reduction takes."""
    rank = len(x.shape) + 1
    given = [dim] if isinstance(dim, int) else dim
    axes = {d % rank - 1 for d in given or range(rank)}
    if -1 in axes:
        site.refuse("a reduction over the samples of the batch")
    return axes


@lowers("mean", "sum")
def _lower_reduction(site: Site, x: Any, dim: Any = None, keepdim: bool = False, **_: Any) -> Ref:
    ref = site.data(x)
    mean = site.operator == "aten.mean"
    return moving.reduced(site, ref, _axes(ref, site, dim), keepdim, mean)


@lowers("amax", "amin")
def _lower_amax(site: Site, x: Any, dim: Any = (), keepdim: bool = False) -> Ref:
    ref = site.data(x)
    sign = np.asarray(1 if site.operator in ("aten.amax", "aten.max") else -1, np.float32)
    y = moving.largest(site, arithmetic.scaled(site, ref, sign), _axes(ref, site, dim), keepdim)
    return arithmetic.scaled(site, y, sign)


@lowers("max", "min")
def _lower_max(
    site: Site, x: Any, dim: Any = None, keepdim: bool = False, other: Any = None
) -> Any:
    if other is not None:
        return arithmetic.extreme(site, site.operator[5:], _value(site, x), _value(site, other))
    y = _lower_amax(site, x, dim, keepdim)
    return y if dim is None else (y, Unconverted("the indices of a maximum"))


@lowers("var")
def _lower_var(
    site: Site, x: Any, dim: Any = None, correction: Any = 1, keepdim: bool = False, **given: Any
) -> Ref:
    """``(mean(x^2) - mean(x)^2) n / (n - correction)``: squares are functions of one value."""
    ref = site.data(x)
    axes = _axes(ref, site, dim)
    n = int(np.prod([ref.shape[a] for a in axes]))
    correction = int(given.get("unbiased", 1 if correction is None else correction))
    square = "x x mul"
    squares = moving.reduced(site, arithmetic.function(site, ref, square), axes, keepdim, True)
    means = moving.reduced(site, ref, axes, keepdim, True)
    y = arithmetic.total(site, squares, arithmetic.function(site, means, square), 1, -1)
    return arithmetic.scaled(site, y, np.asarray(n / (n - correction), np.float32))
