"""Functions of one value, maxima and arithmetic of ONNX."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from neurodeploy.ir.arrays import AnyArray
from neurodeploy.source import arithmetic, moving, rounding
from neurodeploy.source.analog import Function, QuantizedReLU, ReLU
from neurodeploy.source.functions import FUNCTIONS, PROGRAMS, SELU, elu, shrink
from neurodeploy.source.lowering import Deferred, Ref
from neurodeploy.source.onnx.lowering import OnnxSite, lowers_onnx

_PROGRAMS = {
    **{name: PROGRAMS[name.lower()] for name in ("Sigmoid", "Tanh", "HardSwish", "Mish", "Erf")},
    **{
        name: PROGRAMS[name.lower()] for name in ("Abs", "Sign", "Exp", "Log", "Sqrt", "Reciprocal")
    },
    **{name: PROGRAMS[name.lower()] for name in ("Sin", "Cos")},
    **{"Softplus": FUNCTIONS["softplus"], "Softsign": "x 1 x abs add div", "Not": "x 0 eq"},
}
_RANGES = {"uint8": (0, 255), "int8": (-128, 127), "uint16": (0, 65535), "int16": (-32768, 32767)}
_COMPARISONS = {
    **{"Greater": "gt", "GreaterOrEqual": "ge", "Less": "lt", "LessOrEqual": "le", "Equal": "eq"},
}


@lowers_onnx(*_PROGRAMS)
def _lower_program(site: OnnxSite) -> Ref:
    return arithmetic.function(site, site.data(), _PROGRAMS[site.operator])


@lowers_onnx("Relu")
def _lower_relu(site: OnnxSite) -> Ref:
    return site.emit(ReLU(), site.data())


@lowers_onnx("Clip", deferred=True)
def _lower_clip(site: OnnxSite) -> Ref:
    low, high = (_bound(site, i, name) for i, name in ((1, "min"), (2, "max")))
    return arithmetic.clamped(site, site.varying(), low, high)


def _bound(site: OnnxSite, i: int, attribute: str) -> float | None:
    given = site.optional(i)
    value = site.get(attribute, None) if given is None else given.reshape(())
    return None if value is None else float(value)


@lowers_onnx("Max", "Min")
def _lower_extreme(site: OnnxSite) -> Ref:
    value = site.operand(0)
    for i in range(1, len(site.values)):
        value = arithmetic.extreme(site, site.operator.lower(), value, site.operand(i))
    assert isinstance(value, Ref)
    return value


@lowers_onnx("LeakyRelu")
def _lower_leaky_relu(site: OnnxSite) -> Ref:
    return arithmetic.leaky(site, site.data(), np.float32(site.get("alpha", 0.01)))


@lowers_onnx("PRelu")
def _lower_prelu(site: OnnxSite) -> Ref:
    return arithmetic.leaky(site, site.data(), site.array(1))


@lowers_onnx("ThresholdedRelu")
def _lower_thresholded(site: OnnxSite) -> Ref:
    program = f"x {float(site.get('alpha', 1.0))!r} gt x 0 where"
    return arithmetic.function(site, site.data(), program)


@lowers_onnx("Shrink")
def _lower_shrink(site: OnnxSite) -> Ref:
    program = shrink(float(site.get("lambd", 0.5)), float(site.get("bias", 0.0)))
    return arithmetic.function(site, site.data(), program)


@lowers_onnx("HardSigmoid")
def _lower_hard_sigmoid(site: OnnxSite) -> Ref:
    """``clip(alpha x + beta, 0, 1)``, which for 1/6 and 1/2 has a name."""
    alpha, beta = site.get("alpha", 0.2), site.get("beta", 0.5)
    x = site.data()
    if math.isclose(alpha, 1 / 6, rel_tol=1e-6) and beta == 0.5:
        return site.emit(Function("hardsigmoid"), x)
    x = arithmetic.scaled(site, x, np.float32(alpha))
    y = arithmetic.shifted(site, x, np.float32(beta))
    return arithmetic.clamped(site, y, 0.0, 1.0)


@lowers_onnx("Elu", "Celu", "Selu")
def _lower_elu(site: OnnxSite) -> Ref:
    alpha, scale, inner = float(site.get("alpha", 1.0)), 1.0, 1.0
    if site.operator == "Celu":
        inner = 1 / alpha
    if site.operator == "Selu":
        alpha, scale = (
            float(site.get(n, d)) for n, d in zip(("alpha", "gamma"), SELU, strict=True)
        )
    return arithmetic.function(site, site.data(), elu(alpha, scale, inner))


@lowers_onnx("Gelu")
def _lower_gelu(site: OnnxSite) -> Ref:
    form = site.get("approximate", "none")
    if form not in ("none", "tanh"):
        site.refuse(f"the form {form!r}, expected 'none' or 'tanh'")
    return site.emit(Function("gelu" if form == "none" else "gelu_tanh"), site.data())


@lowers_onnx("Swish")
def _lower_swish(site: OnnxSite) -> Ref:
    alpha = float(site.get("alpha", 1.0))
    return arithmetic.function(site, site.data(), f"x x {alpha!r} mul sigmoid mul")


@lowers_onnx("Floor")
def _lower_floor(site: OnnxSite) -> Ref | Deferred:
    return rounding.floor(site, site.data())


@lowers_onnx("QuantizeLinear")
def _lower_quantize(site: OnnxSite) -> Ref:
    """Levels in the units of the activation: ``scale (q - zero)``, a rail for either sign."""
    x, scale, zero = site.data(), site.array(1), site.optional(2)
    kind = "uint8" if zero is None else str(zero.dtype)
    if scale.size != 1 or kind not in _RANGES:
        site.refuse(f"{scale.size} scales of {kind}, expected one scale of {', '.join(_RANGES)}")
    step, offset = float(scale.reshape(())), 0 if zero is None else int(zero.reshape(()))
    low, high = (n - offset for n in _RANGES[kind])
    node = site.builder.node(x)
    if isinstance(node.op, ReLU):
        # Below zero nothing rounds to a level above zero.
        x, low = site.builder.result(node.inputs[0]), 0
    rails = [
        arithmetic.scaled(site, site.emit(QuantizedReLU(levels * step, levels), rail), sign)
        for sign, levels in ((1.0, high), (-1.0, -low))
        if levels > 0
        for rail in [arithmetic.scaled(site, x, sign)]
    ]
    return rails[0] if len(rails) == 1 else arithmetic.total(site, rails[0], rails[1])


@lowers_onnx("DequantizeLinear")
def _lower_dequantize(site: OnnxSite) -> Ref:
    """Nothing: levels are in the units of the activation already."""
    x, scale = site.data(), site.array(1)
    made = site.builder.node(x).op
    if isinstance(made, QuantizedReLU):
        step = made.maximum / made.levels
        if scale.size != 1 or not math.isclose(step, float(scale.reshape(())), rel_tol=1e-6):
            site.refuse(f"a scale of {scale.ravel()[0]:g} for levels of {step:g}")
    return x


@lowers_onnx(*_COMPARISONS)
def _lower_comparison(site: OnnxSite) -> Ref:
    word = _COMPARISONS[site.operator]
    return arithmetic.compared(site, word, site.operand(0), site.operand(1))


@lowers_onnx("Where")
def _lower_where(site: OnnxSite) -> Ref:
    return arithmetic.chosen(site, *(site.operand(i) for i in range(3)))


@lowers_onnx("Add", "Sub", "Sum", deferred=True)
def _lower_sum(site: OnnxSite) -> Ref:
    sign = -1.0 if site.operator == "Sub" else 1.0
    total = site.operand(0)
    for i in range(1, len(site.values)):
        total = arithmetic.total(site, total, site.operand(i), 1, sign)
    assert isinstance(total, Ref)
    return total


@lowers_onnx("Mean")
def _lower_mean(site: OnnxSite) -> Ref:
    return arithmetic.scaled(site, _lower_sum(site), np.float32(1 / len(site.values)))


@lowers_onnx("Neg")
def _lower_neg(site: OnnxSite) -> Ref:
    return arithmetic.scaled(site, site.data(), np.float32(-1))


@lowers_onnx("Mul", "And", deferred=True)
def _lower_mul(site: OnnxSite) -> Ref | Deferred:
    return arithmetic.multiplied(site, site.operand(0), site.operand(1))


@lowers_onnx("Div", deferred=True)
def _lower_div(site: OnnxSite) -> Ref | Deferred:
    return arithmetic.divided(site, site.operand(0), site.operand(1))


@lowers_onnx("Pow")
def _lower_pow(site: OnnxSite) -> Ref:
    return arithmetic.power(site, site.operand(0), site.operand(1))


def _axes(site: OnnxSite, x: Ref) -> set[int]:
    rank = len(x.shape) + 1
    given = site.ints(1, "axes")
    if not given and site.get("noop_with_empty_axes", 0):
        return set()
    axes = {n % rank - 1 for n in given or range(rank)}
    if -1 in axes:
        site.refuse("a reduction over the samples of the batch")
    return axes


@lowers_onnx("ReduceMean", "ReduceSum", "ReduceSumSquare", "ReduceL1", "ReduceL2")
def _lower_reduction(site: OnnxSite) -> Ref:
    x = site.data()
    axes, keep = _axes(site, x), bool(site.get("keepdims", 1))
    kind = site.operator.removeprefix("Reduce")
    if kind in ("SumSquare", "L2"):
        x = arithmetic.function(site, x, "x x mul")
    elif kind == "L1":
        x = arithmetic.function(site, x, "x abs")
    y = moving.reduced(site, x, axes, keep, kind == "Mean")
    return arithmetic.function(site, y, "x sqrt") if kind == "L2" else y


@lowers_onnx("ReduceMax", "ReduceMin")
def _lower_reduced_extreme(site: OnnxSite) -> Ref:
    x = site.data()
    sign = np.float32(1 if site.operator == "ReduceMax" else -1)
    y = arithmetic.scaled(site, x, sign)
    y = moving.largest(site, y, _axes(site, x), bool(site.get("keepdims", 1)))
    return arithmetic.scaled(site, y, sign)


@lowers_onnx("CumSum")
def _lower_cumsum(site: OnnxSite) -> Ref:
    x = site.data()
    axis = int(site.array(1).reshape(())) % (len(x.shape) + 1) - 1
    if axis < 0:
        site.refuse("a cumulative sum over the samples of the batch")
    n = x.shape[axis]
    matrix: AnyArray = np.tril(np.ones((n, n)), -1 if site.get("exclusive", 0) else 0)
    return moving.along(site, x, axis, matrix[::-1, ::-1] if site.get("reverse", 0) else matrix)


@lowers_onnx("Identity", "Dropout", "Cast", "CastLike")
def _lower_identity(site: OnnxSite) -> Any:
    if site.operator == "Dropout" and site.optional(2) is not None and bool(site.optional(2)):
        site.refuse("dropout is active; export in evaluation mode")
    if site.operator == "Cast" and site.get("to", 1) not in (1, 9):
        site.refuse("conversion to another type than float32")
    return site.data()
