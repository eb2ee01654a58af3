"""Operators that PyTorch and ONNX share: functions of one value, arithmetic, and products."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from neurodeploy.source import arithmetic, moving, rounding
from neurodeploy.source.analog import BatchNorm, Function, LeakyReLU, ReLU
from neurodeploy.source.functions import FUNCTIONS, PROGRAMS, SELU, elu, shrink
from neurodeploy.source.lowering import PRODUCT, Deferred, Place, Ref, Unconverted, lowers

_NAMES = {
    **{name: name.lower() for name in ("Sigmoid", "Tanh", "HardSwish", "Mish", "Erf", "Abs")},
    **{name: name.lower() for name in ("Sign", "Exp", "Log", "Sqrt", "Reciprocal", "Sin", "Cos")},
    **{name: name.lower() for name in ("Sinh", "Cosh", "Tan", "Atan", "Asinh", "Atanh")},
    **{"Softsign": "softsign", "Not": "logical_not"},
}
_COMPARISONS = {
    **{"Greater": "gt", "GreaterOrEqual": "ge", "Less": "lt", "LessOrEqual": "le", "Equal": "eq"},
}
"""Names of ONNX and of PyTorch."""
_PROGRAMS = {**PROGRAMS, "softsign": "x 1 x abs add div"}


def _name(site: Place) -> str:
    return site.operator.removeprefix("aten.")


def _program(site: Place, x: Any, program: str) -> Ref:
    return arithmetic.function(site, site.data(x), program)


@lowers(*PROGRAMS, onnx=_NAMES)
def _lower_program(site: Place, x: Any) -> Ref:
    return _program(site, x, _PROGRAMS[_NAMES.get(site.operator, _name(site))])


@lowers("relu", onnx=("Relu",))
def _lower_relu(site: Place, x: Any) -> Ref:
    return site.emit(ReLU(), site.data(x))


@lowers("clamp", "clamp_min", "clamp_max", onnx=("Clip",), deferred=True)
def _lower_clamp(site: Place, x: Any, min: Any = None, max: Any = None) -> Ref:
    bounds = [None if v is None else site.value(v) for v in (min, max)]
    if all(v is None or (isinstance(v, np.ndarray) and v.size == 1) for v in bounds):
        low, high = (None if v is None else float(v.reshape(())) for v in bounds)
        return arithmetic.clamped(site, x, low, high)
    for word, bound in zip(("max", "min"), bounds, strict=True):
        x = x if bound is None else arithmetic.extreme(site, word, x, bound)
    return site.data(x)


@lowers("maximum", "minimum", onnx=("Max", "Min"))
def _lower_extreme(site: Place, x: Any, *others: Any, other: Any = None) -> Ref:
    value = site.value(x)
    for v in others if other is None else (other,):
        value = arithmetic.extreme(site, _name(site)[:3].lower(), value, site.value(v))
    return site.data(value)


@lowers("prelu", "_prelu_kernel", onnx=("PRelu",))
def _lower_prelu(site: Place, x: Any, weight: Any) -> Ref:
    slope, ref = site.constant(weight, "slope"), site.data(x)
    # PyTorch's slopes belong to the channels whatever follows these.
    if _name(site) != "PRelu" and slope.size == ref.shape[0] > 1:
        return site.emit(LeakyReLU(slope.reshape(-1)) if slope.any() else ReLU(), ref)
    return arithmetic.leaky(site, ref, slope)


@lowers("leaky_relu")
def _lower_leaky_relu(site: Place, x: Any, negative_slope: float = 0.01) -> Ref:
    return arithmetic.leaky(site, site.data(x), site.constant(negative_slope))


@lowers(onnx=("LeakyRelu",))
def _lower_onnx_leaky_relu(site: Place, x: Any, alpha: float = 0.01) -> Ref:
    return _lower_leaky_relu(site, x, alpha)


@lowers("gelu", onnx=("Gelu",))
def _lower_gelu(site: Place, x: Any, approximate: str = "none") -> Ref:
    if approximate not in ("none", "tanh"):
        site.refuse(f"the form {approximate!r}, expected 'none' or 'tanh'")
    return site.emit(Function("gelu" if approximate == "none" else "gelu_tanh"), site.data(x))


@lowers("softplus", onnx=("Softplus",))
def _lower_softplus(site: Place, x: Any, beta: float = 1, threshold: float = 20) -> Ref:
    program = FUNCTIONS["softplus"] if beta == 1 else f"x {beta!r} mul softplus {beta!r} div"
    return _program(site, x, program)


@lowers("elu", onnx=("Elu",))
def _lower_elu(
    site: Place, x: Any, alpha: float = 1, scale: float = 1, input_scale: float = 1
) -> Ref:
    return _program(site, x, elu(alpha, scale, input_scale))


@lowers("celu", onnx=("Celu",))
def _lower_celu(site: Place, x: Any, alpha: float = 1) -> Ref:
    return _program(site, x, elu(alpha, 1, 1 / alpha))


@lowers("selu", onnx=("Selu",))
def _lower_selu(site: Place, x: Any, alpha: float = SELU[0], gamma: float = SELU[1]) -> Ref:
    return _program(site, x, elu(alpha, gamma))


@lowers("hardshrink", "softshrink")
def _lower_shrink(site: Place, x: Any, lambd: Any = 0.5) -> Ref:
    return _program(site, x, shrink(lambd, 0.0 if _name(site) == "hardshrink" else lambd))


@lowers(onnx=("Shrink",))
def _lower_onnx_shrink(site: Place, x: Any, lambd: float = 0.5, bias: float = 0.0) -> Ref:
    return _program(site, x, shrink(lambd, bias))


@lowers("floor", onnx=("Floor",))
def _lower_floor(site: Place, x: Any) -> Ref | Deferred:
    return rounding.floor(site, site.data(x))


@lowers("gt", "ge", "lt", "le", "eq", "ne", onnx=_COMPARISONS)
def _lower_comparison(site: Place, x: Any, other: Any) -> Ref:
    word = _COMPARISONS.get(site.operator, _name(site))
    return arithmetic.compared(site, word, site.value(x), site.value(other))


@lowers("logical_or", "bitwise_or")
def _lower_or(site: Place, x: Any, other: Any) -> Ref:
    return arithmetic.compared(site, "max", site.value(x), site.value(other))


@lowers("logical_xor", "bitwise_xor")
def _lower_xor(site: Place, x: Any, other: Any) -> Ref:
    return arithmetic.compared(site, "ne", site.value(x), site.value(other))


@lowers("heaviside")
def _lower_heaviside(site: Place, x: Any, values: Any) -> Ref:
    middle = site.constant(values, "value at 0")
    if middle.size > 1:
        site.refuse("values at 0 that differ between elements")
    return _program(site, x, f"x 0 eq {float(middle.reshape(()))!r} x 0 gt where")


@lowers("where", onnx=("Where",))
def _lower_where(site: Place, *given: Any, **named: Any) -> Ref:
    return arithmetic.chosen(site, *(site.value(v) for v in (*given, *named.values())))


@lowers("add", onnx=("Add",), deferred=True)
def _lower_add(site: Place, x: Any, other: Any, alpha: float = 1) -> Ref:
    return arithmetic.total(site, site.value(x), site.value(other), 1, alpha)


@lowers("sub", onnx=("Sub",), deferred=True)
def _lower_sub(site: Place, x: Any, other: Any, alpha: float = 1) -> Ref:
    return _lower_add(site, x, other, -alpha)


@lowers(onnx=("Sum", "Mean"))
def _lower_sum(site: Place, x: Any, *others: Any) -> Ref:
    for other in others:
        x = _lower_add(site, x, other)
    share = 1 / (1 + len(others)) if site.operator == "Mean" else 1.0
    return arithmetic.scaled(site, site.data(x), np.float32(share))


@lowers("logaddexp")
def _lower_logaddexp(site: Place, x: Any, other: Any) -> Ref:
    """``other + softplus(x - other)``."""
    above = site.data(_lower_sub(site, x, other))
    return _lower_add(site, _program(site, above, FUNCTIONS["softplus"]), other)


@lowers("neg", onnx=("Neg",))
def _lower_neg(site: Place, x: Any) -> Ref:
    return arithmetic.scaled(site, site.data(x), np.float32(-1))


@lowers("mul", "logical_and", "bitwise_and", onnx=("Mul", "And"), deferred=True)
def _lower_mul(site: Place, x: Any, other: Any) -> Ref | Deferred:
    return arithmetic.multiplied(site, site.value(x), site.value(other))


@lowers("div", onnx=("Div",), deferred=True)
def _lower_div(site: Place, x: Any, other: Any, rounding_mode: str | None = None) -> Ref | Deferred:
    if rounding_mode is not None:
        site.refuse(f"division with rounding mode {rounding_mode!r}")
    return arithmetic.divided(site, site.value(x), site.value(other))


@lowers("pow", onnx=("Pow",))
def _lower_pow(site: Place, x: Any, exponent: Any) -> Ref:
    return arithmetic.power(site, site.value(x), site.value(exponent))


@lowers("mean", "sum", deferred=True)
def _lower_reduction(site: Place, x: Any, dim: Any = None, keepdim: bool = False, **_: Any) -> Ref:
    if isinstance(x, arithmetic.Stacked):
        return x.reduced(site, _name(site), dim, keepdim)
    ref = site.data(x)
    return moving.reduced(site, ref, site.axes(ref, dim), keepdim, _name(site) == "mean")


@lowers("amax", "amin", deferred=True)
def _lower_amax(site: Place, x: Any, dim: Any = (), keepdim: bool = False) -> Ref:
    if isinstance(x, arithmetic.Stacked):
        return x.reduced(site, _name(site)[-3:], dim, keepdim)
    ref = site.data(x)
    sign = np.float32(-1 if "min" in site.operator.lower() else 1)
    y = moving.largest(site, arithmetic.scaled(site, ref, sign), site.axes(ref, dim), keepdim)
    return arithmetic.scaled(site, y, sign)


@lowers("linalg_vector_norm", "norm")
def _lower_norm(site: Place, x: Any, dim: Any = None, keepdim: bool = False, **given: Any) -> Ref:
    order = float(2 if (p := given.get("ord", given.get("p"))) is None else p)
    if order not in (1.0, 2.0, math.inf):
        site.refuse(f"a norm of order {order:g}, expected 1, 2 or inf")
    ref = _program(site, x, "x x mul" if order == 2 else "x abs")
    if order == math.inf:
        return moving.largest(site, ref, site.axes(ref, dim), keepdim)
    total = moving.reduced(site, ref, site.axes(ref, dim), keepdim, mean=False)
    return _program(site, total, "x sqrt") if order == 2 else total


_REDUCED = ("ReduceMax", "ReduceMin")
_SQUARED, _ABSOLUTE = ("ReduceSumSquare", "ReduceL2"), ("ReduceL1",)


@lowers(onnx=("ReduceMean", "ReduceSum", *_SQUARED, *_ABSOLUTE, *_REDUCED))
def _lower_onnx_reduction(
    site: Place, x: Any, axes: Any = None, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> Ref:
    ref, keep = site.data(x), bool(keepdims)
    none = bool(noop_with_empty_axes) and not np.size(() if axes is None else axes)
    if site.operator in _REDUCED:
        return ref if none else _lower_amax(site, ref, axes, keep)
    if site.operator in (*_SQUARED, *_ABSOLUTE):
        ref = _program(site, ref, "x abs" if site.operator in _ABSOLUTE else "x x mul")
    if not none:
        ref = moving.reduced(site, ref, site.axes(ref, axes), keep, site.operator == "ReduceMean")
    return _program(site, ref, "x sqrt") if site.operator == "ReduceL2" else ref


@lowers("max", "min", deferred=True)
def _lower_max(
    site: Place, x: Any, dim: Any = None, keepdim: bool = False, other: Any = None
) -> Any:
    if other is not None:
        return _lower_extreme(site, x, other)
    y = _lower_amax(site, x, dim, keepdim)
    return y if dim is None else (y, Unconverted("the indices of a maximum"))


@lowers("matmul", "mm", "bmm", onnx=("MatMul",))
def _lower_matmul(site: Place, x: Any, *given: Any, **named: Any) -> Ref:
    (other,) = (*given, *named.values())
    return moving.product(site, site.value(x), site.value(other))


@lowers("einsum")
def _lower_einsum(site: Place, equation: str, tensors: Any, **_: Any) -> Ref:
    at = [i for i, value in enumerate(tensors) if isinstance(value, Ref)]
    if len(at) != 1 or len(tensors) != 2:
        site.refuse(PRODUCT if len(at) > 1 else f"{len(tensors)} operands; take two at a time")
    constant = site.constant(tensors[1 - at[0]])
    return moving.contraction(site, equation, at[0], tensors[at[0]], constant)


@lowers(onnx=("Einsum",))
def _lower_onnx_einsum(site: Place, *tensors: Any, equation: str) -> Ref:
    return _lower_einsum(site, equation, tensors)


@lowers("cumsum")
def _lower_cumsum(
    site: Place, x: Any, dim: int, *, reverse: int = 0, exclusive: int = 0, **_: Any
) -> Ref:
    ref = site.data(x)
    axis = int(dim) % (len(ref.shape) + 1) - 1
    if axis < 0:
        site.refuse("a cumulative sum over the samples of the batch")
    matrix = np.tril(np.ones((ref.shape[axis],) * 2), -1 if exclusive else 0)
    return moving.along(site, ref, axis, matrix[::-1, ::-1] if reverse else matrix)


@lowers(onnx=("CumSum",))
def _lower_onnx_cumsum(site: Place, x: Any, axis: Any, **how: Any) -> Ref:
    return _lower_cumsum(site, x, int(site.constant(axis, "axis").reshape(())), **how)


def batch_norm(site: Place, x: Any, mean: Any, var: Any, weight: Any, bias: Any, eps: float) -> Ref:
    """Batch normalization with stored statistics."""
    op = BatchNorm(
        site.constant(mean, "mean"),
        site.constant(var, "variance"),
        site.optional_constant(weight, "weight"),
        site.optional_constant(bias, "bias"),
        eps,
    )
    return site.emit(op, site.data(x))
