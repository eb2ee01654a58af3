"""Quantization in ONNX files: QuantizeLinear and DequantizeLinear, and the operators of QONNX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from neurodeploy.ir.arrays import AnyArray
from neurodeploy.source import arithmetic, quantized
from neurodeploy.source.lowering import Ref, lowers
from neurodeploy.source.onnx.lowering import OnnxSite

QONNX = "qonnx.custom_op.general"
OTHER_NAMES = {"onnx.brevitas": QONNX, "IntQuant": "Quant"}
"""What earlier and later versions call the domain and an operator of it."""
_ROUNDED: dict[str, Callable[[AnyArray], AnyArray]] = {
    **{"ROUND": np.rint, "HALF_EVEN": np.rint, "CEIL": np.ceil, "FLOOR": np.floor},
    **{
        "UP": lambda x: np.sign(x) * np.ceil(np.abs(x)),
        "DOWN": np.trunc,
        "ROUND_TO_ZERO": np.trunc,
    },
    "HALF_UP": lambda x: np.sign(x) * np.floor(np.abs(x) + 0.5),
    "HALF_DOWN": lambda x: np.sign(x) * np.ceil(np.abs(x) - 0.5),
}
_NEAREST = ("ROUND", "HALF_EVEN", "HALF_UP", "HALF_DOWN")
_DOWN = ("DOWN", "ROUND_TO_ZERO")

Levels = tuple[AnyArray, AnyArray]
"""Scale and zero point of integers that stand for an activation, which the graph has in units."""

_KEEP_LEVELS = frozenset(
    {
        *("Concat", "DepthToSpace", "Expand", "Flatten", "Gather", "Identity", "MaxPool", "Pad"),
        *("ReduceMax", "Relu", "Reshape", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile"),
        *("GlobalMaxPool", "Transpose", "Unsqueeze"),
    }
)
"""Operators of which integers give what the activations give that they stand for."""


def levels_of(site: OnnxSite, taken: list[Any], before: list[Levels | None]) -> Levels | None:
    """What the results of an operator count, where they are integers of an activation.

    ``before``: what its inputs count. Refused is what integers do not share with their activation.
    """
    if site.operator == "QuantizeLinear" and isinstance(taken[0], Ref):
        zero = taken[2] if len(taken) > 2 and taken[2] is not None else np.zeros(())
        return site.constant(taken[1], "scale"), site.array(zero)
    known = [levels for levels in before if levels is not None]
    if not known:
        return None
    scale, zero = known[0]
    if site.operator == "DequantizeLinear":
        own = taken[2] if len(taken) > 2 and taken[2] is not None else np.zeros(())
        if not _equal(site.array(own), zero):
            site.refuse(f"a zero point of {_shown(own)} for levels around {_shown(zero)}")
        if not _equal(site.constant(taken[1], "scale"), scale, 1e-6):
            site.refuse(f"a scale of {_shown(taken[1])} for levels of {_shown(scale)}")
        return None
    alike = all(_equal(s, scale) and _equal(z, zero) for s, z in known)
    moved = site.operator in ("Pad", "Relu") and bool(zero.any())
    joined = {"Pad": taken[2:3], "Concat": taken}.get(site.operator, [])
    constants = [value for value in joined if isinstance(value, np.ndarray)]
    fills = any(value.any() or zero.any() for value in constants)
    if site.operator not in _KEEP_LEVELS or not alike or moved or fills:
        site.refuse("arithmetic on levels, not on what they stand for; put DequantizeLinear first")
    return known[0]


def _equal(a: AnyArray, b: AnyArray, rtol: float = 0.0) -> bool:
    same = a.size == b.size or 1 in (a.size, b.size)
    return same and np.allclose(a.ravel().astype(float), b.ravel().astype(float), rtol=rtol, atol=0)


def _shown(value: AnyArray) -> str:
    return f"{float(np.ravel(value)[0]):g}"


@lowers(onnx=("QuantizeLinear",))
def _lower_quantize(
    site: OnnxSite, x: Any, scale: Any, zero: Any = None, *, output_dtype: int = 0, **_: Any
) -> Ref:
    kind = _named(output_dtype) if zero is None else site.array(zero).dtype
    if kind.kind not in "iu" or kind.itemsize > 2:
        site.refuse(f"levels of type {kind}, expected integers of 8 or 16 bits")
    span = np.iinfo(kind)
    ref, offset = site.data(x), np.zeros(1) if zero is None else site.array(zero)
    return quantized.levels(site, ref, scale, offset, int(span.min), int(span.max))


def _named(kind: int) -> np.dtype[Any]:
    """The type of levels without a zero point, which an attribute may name."""
    from onnx import helper

    return np.dtype(helper.tensor_dtype_to_np_dtype(kind) if kind else np.uint8)


@lowers(onnx=("DequantizeLinear",))
def _lower_dequantize(site: OnnxSite, x: Any, scale: Any, zero: Any = None, **_: Any) -> Ref:
    return quantized.in_units(site, site.data(x), scale)


@lowers(onnx=("Quant",))
def _lower_quant(site: OnnxSite, x: Any, scale: Any, zero: Any, bits: Any, **how: Any) -> Ref:
    """QONNX: ``scale (clip(round(x / scale + zero), low, high) - zero)`` of any number of bits."""
    span = _span(site.array(bits), **how)
    if span is None:
        signs = arithmetic.scaled(site, _signs(site, x, scale, zero), site.constant(scale))
        return arithmetic.shifted(site, signs, -site.constant(zero) * site.constant(scale))
    (low, high), mode = span, str(how.get("rounding_mode", "ROUND")).upper()
    # Below 0 floor is not what a rail of the other sign computes.
    down = mode in _DOWN or (mode == "FLOOR" and (low >= 0 and not site.constant(zero).any()))
    if mode not in _NEAREST and not down:
        expected = ", ".join((*_NEAREST, *_DOWN, "FLOOR of what is not negative"))
        site.refuse(f"rounding {mode!r}, expected one of {expected}")
    shift = 0.0 if down else 0.5
    return quantized.levels(site, site.data(x), scale, zero, low, high, shift)


def _signs(site: OnnxSite, x: Any, scale: Any, zero: Any) -> Ref:
    ref = arithmetic.shifted(site, site.data(x), site.constant(zero) * site.constant(scale))
    return arithmetic.function(site, ref, "x 0 ge 2 mul 1 sub")


@lowers(onnx=("BipolarQuant",))
def _lower_bipolar(site: OnnxSite, x: Any, scale: Any) -> Ref:
    """QONNX: the scale with the sign of ``x``."""
    signs = arithmetic.function(site, site.data(x), "x 0 ge 2 mul 1 sub")
    return arithmetic.scaled(site, signs, site.constant(scale))


def _span(bits: AnyArray, signed: int = 1, narrow: int = 0, **_: Any) -> tuple[int, int] | None:
    """The lowest and the highest integer; None where there are but -1 and 1."""
    n = float(np.reshape(bits, ()))
    if signed and n == 1:
        return None
    if signed:
        return int(-(2 ** (n - 1))) + narrow, int(2 ** (n - 1)) - 1
    return 0, int(2**n) - 1 - narrow


def folded(operator: str, values: list[AnyArray], **how: Any) -> AnyArray:
    """What an operator of QONNX makes of constants.

    Raises
    ------
    ValueError
        For a way of rounding that is not known.
    """
    if operator == "BipolarQuant":
        return np.asarray(np.where(values[0] >= 0, 1, -1) * values[1], np.float32)
    x, scale, zero, bits = values
    mode = how.get("rounding_mode", "ROUND")
    mode = (mode.decode() if isinstance(mode, bytes) else str(mode)).upper()
    if mode not in _ROUNDED:
        raise ValueError(f"rounding {mode!r}, expected one of {', '.join(_ROUNDED)}")
    how = {name: int(how[name]) for name in ("signed", "narrow") if name in how}
    q, span = x / scale + zero, _span(bits, **how)
    whole = np.where(q >= 0, 1, -1) if span is None else np.clip(_ROUNDED[mode](q), *span)
    return np.asarray((whole - zero) * scale, np.float32)
