"""Functions of one value that ONNX alone has, and quantization."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from neurodeploy.source import arithmetic
from neurodeploy.source.analog import Function, QuantizedReLU, ReLU
from neurodeploy.source.lowering import Ref, lowers
from neurodeploy.source.onnx.lowering import OnnxSite

_RANGES = {"uint8": (0, 255), "int8": (-128, 127), "uint16": (0, 65535), "int16": (-32768, 32767)}


@lowers(onnx=("ThresholdedRelu",))
def _lower_thresholded(site: OnnxSite, x: Any, alpha: float = 1.0) -> Ref:
    return arithmetic.function(site, site.data(x), f"x {alpha!r} gt x 0 where")


@lowers(onnx=("Swish",))
def _lower_swish(site: OnnxSite, x: Any, alpha: float = 1.0) -> Ref:
    return arithmetic.function(site, site.data(x), f"x x {alpha!r} mul sigmoid mul")


@lowers(onnx=("HardSigmoid",))
def _lower_hard_sigmoid(site: OnnxSite, x: Any, alpha: float = 0.2, beta: float = 0.5) -> Ref:
    """``clip(alpha x + beta, 0, 1)``, which for 1/6 and 1/2 has a name."""
    if math.isclose(alpha, 1 / 6, rel_tol=1e-6) and beta == 0.5:
        return site.emit(Function("hardsigmoid"), site.data(x))
    y = arithmetic.scaled(site, site.data(x), np.float32(alpha))
    return arithmetic.clamped(site, arithmetic.shifted(site, y, np.float32(beta)), 0.0, 1.0)


@lowers(onnx=("Identity", "Dropout"))
def _lower_identity(site: OnnxSite, x: Any, _ratio: Any = None, training: Any = None) -> Ref:
    if training is not None and site.array(training).any():
        site.refuse("dropout is active; export in evaluation mode")
    return site.data(x)


@lowers(onnx=("Cast", "CastLike"))
def _lower_cast(site: OnnxSite, x: Any, like: Any = None, *, to: int = 1) -> Ref:
    if to not in (1, 9) or (isinstance(like, np.ndarray) and like.dtype != np.float32):
        site.refuse("conversion to another type than float32")
    return site.data(x)


@lowers(onnx=("QuantizeLinear",))
def _lower_quantize(site: OnnxSite, x: Any, scale: Any, zero: Any = None, **_: Any) -> Ref:
    """Levels in the units of the activation: ``scale (q - zero)``, a rail for either sign."""
    ref, scale = site.data(x), site.array(scale)
    kind = "uint8" if zero is None else str(site.array(zero).dtype)
    if scale.size != 1 or kind not in _RANGES:
        site.refuse(f"{scale.size} scales of {kind}, expected one scale of {', '.join(_RANGES)}")
    step, offset = float(scale.reshape(())), 0 if zero is None else int(zero.reshape(()))
    low, high = (n - offset for n in _RANGES[kind])
    node = site.builder.node(ref)
    if isinstance(node.op, ReLU):
        # Below zero nothing rounds to a level above zero.
        ref, low = site.builder.result(node.inputs[0]), 0
    rails = [
        arithmetic.scaled(site, site.emit(QuantizedReLU(levels * step, levels), rail), sign)
        for sign, levels in ((1.0, high), (-1.0, -low))
        if levels > 0
        for rail in [arithmetic.scaled(site, ref, sign)]
    ]
    return rails[0] if len(rails) == 1 else arithmetic.total(site, rails[0], rails[1])


@lowers(onnx=("DequantizeLinear",))
def _lower_dequantize(site: OnnxSite, x: Any, scale: Any, zero: Any = None, **_: Any) -> Ref:
    """Nothing: levels are in the units of the activation already."""
    ref, scale = site.data(x), site.array(scale)
    made = site.builder.node(ref).op
    if isinstance(made, QuantizedReLU):
        step = made.maximum / made.levels
        if scale.size != 1 or not math.isclose(step, float(scale.reshape(())), rel_tol=1e-6):
            site.refuse(f"a scale of {scale.ravel()[0]:g} for levels of {step:g}")
    return ref
