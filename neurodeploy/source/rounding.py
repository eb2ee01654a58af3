"""Activations in levels (QCFS): a clip and a floor, in either order.

References
----------
Bu et al. 2022, arXiv 2303.04347 (clip-floor-shift activation).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from neurodeploy.ir.arrays import AnyArray
from neurodeploy.source.analog import AddConstant, Clip, QuantizedReLU, ReLU, Scale
from neurodeploy.source.lowering import Deferred, Place, Ref

_OUTSIDE = (
    "rounding outside of floor(clamp(x, 0, m) * levels + 1/2) and"
    " clamp(floor(x * levels / m + 1/2), 0, levels)"
)


@dataclass(frozen=True, slots=True)
class Floored(Deferred):
    """``factor * floor(base * scale + shift)``, a quantized activation once it is clipped."""

    scale: float
    shift: float
    factor: float = 1.0

    def scaled(self, constant: AnyArray) -> Floored:
        """Multiply with a constant above 0."""
        # One number, which adds no dimensions.
        spreads = constant.size != 1 or constant.ndim > len(self.base.shape) + 1
        if spreads or float(constant.reshape(())) <= 0:
            self.refuse()
        return replace(self, factor=self.factor * float(constant.reshape(())))


def floor(site: Place, x: Ref) -> Ref | Deferred:
    """Lower ``floor(x)``; of a clipped activation at once, otherwise when it is clipped."""
    scale, shift = 1.0, 0.0
    while isinstance(op := site.made(x), Scale | AddConstant) and not op.value.ndim:
        factor, constant = scale, shift
        if isinstance(op, Scale):
            factor *= float(op.value)
        else:
            constant += scale * float(op.value)
        if factor <= 0 or not 0 <= constant < 1:
            break
        (x,), scale, shift = site.taken(x), factor, constant
    if isinstance(op, Clip):
        (inner,) = site.taken(x)
        return _quantized(site, inner, op.maximum, scale, shift)
    if isinstance(op, ReLU):
        # Below zero nothing rounds to a level above zero.
        (x,) = site.taken(x)
    return Floored(x, site, _OUTSIDE, scale, shift)


def clip(site: Place, x: Ref | Floored, maximum: float) -> Ref:
    """Lower ``clip(x, 0, maximum)``."""
    if isinstance(x, Floored):
        return _clipped(site, x, maximum)
    top = _largest(site, x)
    return x if top is not None and top <= maximum else site.emit(Clip(maximum), x)


def minimum(site: Place, x: Ref, maximum: float) -> Ref | None:
    """Lower ``min(x, maximum)`` of an activation that is not negative; None for others."""
    op = site.made(x)
    if not isinstance(op, ReLU | Clip):
        return None
    if isinstance(op, Clip) and op.maximum <= maximum:
        return x
    return site.emit(Clip(maximum), *site.taken(x))


def _largest(site: Place, x: Ref) -> float | None:
    """The highest level of a quantized activation, None for other values."""
    factor = 1.0
    while isinstance(op := site.made(x), Scale) and op.value.ndim == 0 and op.value > 0:
        factor *= float(op.value)
        (x,) = site.taken(x)
    # The factors are float32: 8 levels of 1/8 can be a little more than 1.
    return factor * op.maximum * (1 - 1e-6) if isinstance(op, QuantizedReLU) else None


def _clipped(site: Place, value: Floored, maximum: float) -> Ref:
    largest = maximum / value.factor / value.scale
    y = _quantized(site, value.base, largest, value.scale, value.shift)
    if abs(value.factor - 1) < 1e-6:
        return y
    return site.emit(Scale(np.asarray(value.factor, np.float32)), y)


def _quantized(site: Place, x: Ref, maximum: float, scale: float, shift: float) -> Ref:
    """``clip(floor(x * scale + shift), 0, maximum * scale)``."""
    levels = round(maximum * scale)
    if levels < 1 or abs(maximum * scale - levels) > 1e-4 * levels:
        site.refuse(f"rounding to {maximum * scale:g} levels, expected a whole number")
    y = site.emit(QuantizedReLU(maximum, levels, shift), x)
    return site.emit(Scale(np.asarray(levels / maximum, np.float32)), y)
