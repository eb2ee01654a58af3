"""Quantized activations: levels of one step, in the units of the activation."""

from __future__ import annotations

import math
from typing import Any

from neurodeploy.source import arithmetic
from neurodeploy.source.analog import Gather, MaxPool, QuantizedReLU, ReLU, Reshape, Slice, Upsample
from neurodeploy.source.lowering import Place, Ref, lowers

_KEEPS = (Gather, MaxPool, Reshape, Slice, Upsample)
"""Operations whose results are among what they take, or 0."""
_MOST_LEVELS = 2**16


def levels(
    place: Place, x: Ref, scale: Any, zero: Any, low: int, high: int, shift: float = 0.5
) -> Ref:
    """``step clip(round(x / step), low - zero, high - zero)``, a rail for either sign.

    With a ``shift`` of 0 rounded towards 0.
    """
    step, offset = place.constant(scale, "scale"), place.constant(zero, "zero point")
    if step.size != 1 or offset.size != 1:
        place.refuse(f"activations with {max(step.size, offset.size)} scales, expected one")
    size, origin = float(step.reshape(())), int(offset.reshape(()))
    if origin != float(offset.reshape(())):
        place.refuse(f"a zero point of {float(offset.reshape(())):g}, expected a whole number")
    below, above = low - origin, high - origin
    if not size > 0 or max(-below, above) > _MOST_LEVELS:
        place.refuse(f"levels {below} .. {above} of {size:g}, expected at most {_MOST_LEVELS}")
    before, highest = _levels_before(place, x)
    if before and math.isclose(before, size, rel_tol=1e-6) and highest <= above:
        return x
    if isinstance(place.made(x), ReLU):
        # Below zero nothing rounds to a level above zero.
        (x,), below = place.taken(x), 0
    rails = [
        arithmetic.scaled(place, place.emit(QuantizedReLU(n * size, n, shift), rail), sign)
        for sign, n in ((1.0, above), (-1.0, -below))
        if n > 0
        for rail in [arithmetic.scaled(place, x, sign)]
    ]
    return rails[0] if len(rails) == 1 else arithmetic.total(place, rails[0], rails[1])


def in_units(place: Place, x: Ref, scale: Any) -> Ref:
    """Nothing: levels are in the units of the activation already, if the scales are the same."""
    step = place.constant(scale, "scale")
    before, _ = _levels_before(place, x)
    if before and (step.size != 1 or not math.isclose(before, step.flat[0], rel_tol=1e-6)):
        place.refuse(f"a scale of {step.flat[0]:g} for levels of {before:g}")
    return x


def _levels_before(place: Place, x: Ref) -> tuple[float, int]:
    """Step and number of the levels that an activation consists of; 0 where it has none."""
    while isinstance(op := place.made(x), _KEEPS):
        (x,) = place.taken(x)
    return (op.maximum / op.levels, op.levels) if isinstance(op, QuantizedReLU) else (0.0, 0)


@lowers(
    "fake_quantize_per_tensor_affine",
    "quantized_decomposed.quantize_per_tensor",
    "quantized_decomposed.quantize_per_channel",
)
def _lower_quantize(site: Place, x: Any, quant_min: int, quant_max: int, **given: Any) -> Ref:
    scale = given["scale"] if "scale" in given else given["scales"]
    zero = given["zero_point"] if "zero_point" in given else given["zero_points"]
    return levels(site, site.data(x), scale, zero, quant_min, quant_max)


@lowers("quantize_per_tensor")
def _lower_quantized_type(site: Place, x: Any, scale: Any, zero_point: Any, dtype: Any) -> Ref:
    spans = {"torch.quint8": (0, 255), "torch.qint8": (-128, 127)}
    if str(dtype) not in spans:
        site.refuse(f"levels of {dtype}, expected torch.quint8 or torch.qint8")
    return levels(site, site.data(x), scale, zero_point, *spans[str(dtype)])


@lowers("dequantize")
def _lower_real(site: Place, x: Any) -> Ref:
    """Nothing: levels are in the units of the activation already."""
    return site.data(x)


@lowers("quantized_decomposed.dequantize_per_tensor", "quantized_decomposed.dequantize_per_channel")
def _lower_dequantize(site: Place, x: Any, **given: Any) -> Ref:
    return in_units(site, site.data(x), given["scale"] if "scale" in given else given["scales"])
