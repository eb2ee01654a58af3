"""Operators that PyTorch and ONNX share: functions of one value, arithmetic, and products."""

from __future__ import annotations

import math
from collections.abc import Sequence
from string import ascii_letters
from typing import Any

import numpy as np

from neurodeploy.source import arithmetic, moving, rounding
from neurodeploy.source.analog import BatchNorm, Function, LeakyReLU, ReLU
from neurodeploy.source.functions import FAMILIES, FUNCTIONS, PROGRAMS
from neurodeploy.source.lowering import PRODUCT, Deferred, Place, Ref, lowers

_OF_ONNX = (
    *("Sigmoid", "Tanh", "HardSwish", "Mish", "Erf", "Abs", "Sign", "Exp", "Log", "Sqrt", "Sin"),
    *("Cos", "Sinh", "Cosh", "Tan", "Atan", "Asinh", "Atanh", "Reciprocal", "Softsign", "Not"),
    *("Elu", "Celu", "Selu", "Softplus", "Shrink", "Swish", "ThresholdedRelu"),
)
_COMPARISONS = {
    **{"Greater": "gt", "GreaterOrEqual": "ge", "Less": "lt", "LessOrEqual": "le", "Equal": "eq"},
}
"""Names of ONNX and of PyTorch."""
_LOGIC = {"logical_or": "max", "bitwise_or": "max", "logical_xor": "ne", "bitwise_xor": "ne"}
_PROGRAMS: dict[str, Any] = {
    **{**PROGRAMS, **FAMILIES, "softsign": "x 1 x abs add div"},
    "not": PROGRAMS["logical_not"],
}
"""By names in lower case."""
_OF_TORCH = (
    *PROGRAMS,
    *("elu", "celu", "selu", "softplus", "hardshrink", "softshrink"),
)


def _name(site: Place) -> str:
    return site.operator.removeprefix("aten.")


def _program(site: Place, x: Any, program: str) -> Ref:
    return arithmetic.function(site, site.data(x), program)


@lowers(*_OF_TORCH, onnx=_OF_ONNX)
def _lower_program(site: Place, x: Any, **parameters: Any) -> Any:
    program = _PROGRAMS[_name(site).lower()]
    y = _program(site, x, program if isinstance(program, str) else program(**parameters))
    return site.first(y, "the buffer of a log-sigmoid")


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


@lowers("maximum", "minimum", "fmax", "fmin", onnx=("Max", "Min"))
def _lower_extreme(site: Place, x: Any, *others: Any, other: Any = None) -> Ref:
    value, word = site.value(x), "max" if "max" in _name(site).lower() else "min"
    for v in others if other is None else (other,):
        value = arithmetic.extreme(site, word, value, site.value(v))
    return site.data(value)


@lowers("prelu", "_prelu_kernel", onnx=("PRelu",))
def _lower_prelu(site: Place, x: Any, weight: Any) -> Ref:
    slope, ref = site.constant(weight, "slope"), site.data(x)
    # PyTorch's slopes belong to the channels whatever follows these.
    if _name(site) != "PRelu" and slope.size == ref.shape[0] > 1:
        return site.emit(LeakyReLU(slope.reshape(-1)) if slope.any() else ReLU(), ref)
    return arithmetic.leaky(site, ref, slope)


@lowers("leaky_relu", onnx=("LeakyRelu",))
def _lower_leaky_relu(site: Place, x: Any, **slope: float) -> Ref:
    """``negative_slope`` of PyTorch, ``alpha`` of ONNX."""
    return arithmetic.leaky(site, site.data(x), site.constant(next(iter(slope.values()), 0.01)))


@lowers("gelu", onnx=("Gelu",))
def _lower_gelu(site: Place, x: Any, approximate: str = "none") -> Ref:
    if approximate not in ("none", "tanh"):
        site.refuse(f"the form {approximate!r}, expected 'none' or 'tanh'")
    return site.emit(Function("gelu" if approximate == "none" else "gelu_tanh"), site.data(x))


@lowers("floor", onnx=("Floor",))
def _lower_floor(site: Place, x: Any) -> Ref | Deferred:
    return rounding.floor(site, site.data(x))


@lowers("round", onnx=("Round",))
def _lower_round(site: Place, x: Any, decimals: int = 0) -> Ref | Deferred:
    if decimals:
        site.refuse(f"rounding to {decimals} decimals; scale, and round to whole numbers")
    return rounding.nearest(site, site.data(x))


@lowers("gt", "ge", "lt", "le", "eq", "ne", *_LOGIC, onnx=_COMPARISONS)
def _lower_comparison(site: Place, x: Any, other: Any) -> Ref:
    word = {**_COMPARISONS, **_LOGIC}.get(_name(site), _name(site))
    return arithmetic.compared(site, word, site.value(x), site.value(other))


@lowers("heaviside")
def _lower_heaviside(site: Place, x: Any, values: Any) -> Ref:
    middle = site.constant(values, "value at 0")
    if middle.size > 1:
        site.refuse("values at 0 that differ between elements")
    return _program(site, x, f"x 0 eq {float(middle.reshape(()))!r} x 0 gt where")


@lowers("where", onnx=("Where",))
def _lower_where(site: Place, *given: Any, **named: Any) -> Ref:
    return arithmetic.chosen(site, *(site.value(v) for v in (*given, *named.values())))


@lowers("add", "sub", "rsub", onnx=("Add", "Sub"), deferred=True)
def _lower_total(site: Place, x: Any, other: Any, alpha: float = 1) -> Ref:
    factors = {"add": (1, alpha), "sub": (1, -alpha), "rsub": (-alpha, 1)}
    return arithmetic.total(site, site.value(x), site.value(other), *factors[_name(site).lower()])


@lowers(onnx=("Sum", "Mean"))
def _lower_sum(site: Place, x: Any, *others: Any) -> Ref:
    total = site.value(x)
    for other in others:
        total = arithmetic.total(site, total, site.value(other))
    share = 1 / (1 + len(others)) if site.operator == "Mean" else 1.0
    return arithmetic.scaled(site, site.data(total), np.float32(share))


@lowers("logaddexp")
def _lower_logaddexp(site: Place, x: Any, other: Any) -> Ref:
    """``other + softplus(x - other)``."""
    base = site.value(other)
    above = arithmetic.total(site, site.value(x), base, 1, -1)
    return arithmetic.total(site, _program(site, above, FUNCTIONS["softplus"]), base)


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


@lowers("mean", "sum", "amax", "amin", deferred=True)
def _lower_reduction(site: Place, x: Any, dim: Any = None, keepdim: bool = False, **_: Any) -> Ref:
    return _reduced(site, x, _name(site).removeprefix("a"), dim, keepdim)


def _reduced(site: Place, x: Any, word: str, dim: Any, keep: bool) -> Ref:
    """The sum, mean, max or min over axes, the batch counted."""
    if isinstance(x, arithmetic.Stacked):
        return x.reduced(site, word, dim, keep)
    ref = site.data(x)
    sign, word = (-1, "max") if word == "min" else (1, word)
    y = moving.reduced(site, arithmetic.scaled(site, ref, sign), word, site.axes(ref, dim), keep)
    return y if sign == 1 else arithmetic.scaled(site, y, sign)


@lowers("linalg_vector_norm", "norm")
def _lower_norm(site: Place, x: Any, dim: Any = None, keepdim: bool = False, **given: Any) -> Ref:
    order = float(2 if (p := given.get("ord", given.get("p"))) is None else p)
    if order not in (1.0, 2.0, math.inf):
        site.refuse(f"a norm of order {order:g}, expected 1, 2 or inf")
    ref = _program(site, x, "x x mul" if order == 2 else "x abs")
    total = _reduced(site, ref, "max" if order == math.inf else "sum", dim, keepdim)
    return _program(site, total, "x sqrt") if order == 2 else total


_REDUCED = {"ReduceMean": "mean", "ReduceMax": "max", "ReduceMin": "min", "ReduceSum": "sum"}
_INSIDE = {"ReduceL1": "x abs", "ReduceL2": "x x mul", "ReduceSumSquare": "x x mul"}


@lowers(onnx=(*_REDUCED, *_INSIDE))
def _lower_onnx_reduction(
    site: Place, x: Any, axes: Any = None, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> Ref:
    ref, inside = site.data(x), _INSIDE.get(site.operator)
    ref = ref if inside is None else _program(site, ref, inside)
    if not noop_with_empty_axes or np.size(() if axes is None else axes):
        ref = _reduced(site, ref, _REDUCED.get(site.operator, "sum"), axes, bool(keepdims))
    return _program(site, ref, "x sqrt") if site.operator == "ReduceL2" else ref


@lowers("max", "min", deferred=True)
def _lower_max(
    site: Place, x: Any, dim: Any = None, keepdim: bool = False, other: Any = None
) -> Any:
    if other is not None:
        return _lower_extreme(site, x, other)
    y = _reduced(site, x, _name(site), dim, keepdim)
    return site.first(y, "the indices of a maximum")


@lowers("matmul", "mm", "bmm", onnx=("MatMul",))
def _lower_matmul(site: Place, x: Any, *given: Any, **named: Any) -> Ref:
    (other,) = (*given, *named.values())
    return moving.product(site, site.value(x), site.value(other))


@lowers("einsum", onnx=("Einsum",))
def _lower_einsum(site: Place, *inputs: Any, equation: str, **given: Any) -> Ref:
    return _contracted(site, equation, given.get("tensors", inputs))


@lowers("tensordot", "inner")
def _lower_tensordot(
    site: Place, x: Any, other: Any, dims_self: Any = (-1,), dims_other: Any = (-1,)
) -> Ref:
    """An einsum whose axes are given by number: the last ones of an inner product."""
    tensors = (x, other)
    ranks = [len(v.shape) + isinstance(v, Ref) for v in tensors]
    if not all(ranks):
        site.refuse("an inner product with a single number; multiply with it")
    ours, theirs = list(ascii_letters[: ranks[0]]), list(ascii_letters[-ranks[1] :])
    for i, k in zip(dims_self, dims_other, strict=True):
        theirs[k] = ours[i]
    left = [c for c in (*ours, *theirs) if (c in ours) != (c in theirs)]
    return _contracted(site, f"{''.join(ours)},{''.join(theirs)}->{''.join(left)}", tensors)


def _contracted(site: Place, equation: str, tensors: Sequence[Any]) -> Ref:
    at = [i for i, value in enumerate(tensors) if isinstance(value, Ref)]
    if len(at) == len(tensors) == 1:
        return moving.sums(site, equation, tensors[0])
    if len(at) != 1 or len(tensors) != 2:
        site.refuse(PRODUCT if len(at) > 1 else f"{len(tensors)} operands; take two at a time")
    constant = site.constant(tensors[1 - at[0]])
    return moving.contraction(site, equation, at[0], tensors[at[0]], constant)


@lowers("cumsum", onnx=("CumSum",))
def _lower_cumsum(
    site: Place, x: Any, dim: Any, *, reverse: int = 0, exclusive: int = 0, **_: Any
) -> Ref:
    ref = site.data(x)
    axis = int(site.constant(dim, "axis").reshape(())) % (len(ref.shape) + 1) - 1
    if axis < 0:
        site.refuse("a cumulative sum over the samples of the batch")
    matrix = np.tril(np.ones((ref.shape[axis],) * 2), -1 if exclusive else 0)
    return moving.along(site, ref, axis, matrix[::-1, ::-1] if reverse else matrix)


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
