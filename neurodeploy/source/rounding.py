"""Activations in levels (QCFS, LSQ): a clip and a floor or rounding, in either order.

References
----------
Bu et al. 2022, arXiv 2303.04347 (clip-floor-shift activation); Esser et al. 2020, arXiv 1902.08153
(learned step size: a clip of either sign, rounded).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np

from neurodeploy.ir.arrays import AnyArray
from neurodeploy.source.analog import Add, AddConstant, Clip, Function, QuantizedReLU, ReLU, Scale
from neurodeploy.source.lowering import Deferred, Place, Ref

_OUTSIDE = (
    "rounding outside of floor(clamp(x, 0, m) * levels + 1/2), round(clamp(x, -m, m) * levels) and"
    " clamp(floor(x * levels / m + 1/2), 0, levels)"
)
_NEAREST = 0.5
_NUMBER = r"(-?[\d.]+(?:e[-+]?\d+)?)"
_BETWEEN = re.compile(f"x {_NUMBER} (max|min) {_NUMBER} (?:max|min)")


@dataclass(frozen=True, slots=True)
class Floored(Deferred):
    """``factor * floor(base * scale + shift)``, a quantized activation once it is clipped.

    ``rectified``: its levels below 0 are left out already.
    """

    scale: float
    shift: float
    factor: float = 1.0
    rectified: bool = False

    def scaled(self, constant: AnyArray) -> Floored:
        """Multiply with a constant above 0."""
        # One number, which adds no dimensions.
        spreads = constant.size != 1 or constant.ndim > len(self.base.shape) + 1
        if spreads or float(constant.reshape(())) <= 0:
            self.refuse()
        return replace(self, factor=self.factor * float(constant.reshape(())))


def nearest(site: Place, x: Ref) -> Ref | Deferred:
    """Lower ``round(x)`` as ``floor(x + 1/2)``: what lies halfway goes up, not to the even one."""
    return floor(site, x, _NEAREST)


def floor(site: Place, x: Ref, shift: float = 0.0) -> Ref | Deferred:
    """Lower ``floor(x + shift)``; of a clipped activation at once, otherwise when it is clipped."""
    scale = 1.0
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
    found = _BETWEEN.fullmatch(op.program) if isinstance(op, Function) else None
    if found and (found[2] == "max" or float(found[1]) > float(found[3])):
        low, high = sorted((float(found[1]), float(found[3])))
        if low < 0 < high and shift == _NEAREST:
            (inner,) = site.taken(x)
            return _rails(site, inner, low, high, scale)
    if isinstance(op, ReLU):
        # Below zero nothing rounds to a level above zero.
        (x,) = site.taken(x)
    return Floored(x, site, _OUTSIDE, scale, shift, rectified=isinstance(op, ReLU))


def clip(site: Place, x: Ref | Floored, maximum: float) -> Ref:
    """Lower ``clip(x, 0, maximum)``."""
    if isinstance(x, Floored):
        return _clipped(site, x, maximum)
    top = _largest(site, x)
    return x if top is not None and top <= maximum else site.emit(Clip(maximum), x)


def between(site: Place, x: Floored, low: float, high: float) -> Ref:
    """Lower ``clip(x, low, high)`` with levels on both sides of 0."""
    if x.shift != _NEAREST:
        x.refuse()
    per = x.factor * x.scale
    y = _rails(site, x.base, low / per, high / per, x.scale)
    return y if abs(x.factor - 1) < 1e-6 else site.emit(Scale(np.asarray(x.factor, np.float32)), y)


def _rails(site: Place, x: Ref, low: float, high: float, scale: float) -> Ref:
    """``clip(round(x * scale), low * scale, high * scale)``, a rail for either sign."""
    above = _quantized(site, x, high, scale, _NEAREST)
    below = _quantized(site, site.emit(Scale(np.asarray(-1, np.float32)), x), -low, scale, _NEAREST)
    return site.emit(Add(), above, site.emit(Scale(np.asarray(-1, np.float32)), below))


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
