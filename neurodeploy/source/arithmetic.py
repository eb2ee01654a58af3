"""Arithmetic of activations with constants and with each other, of both front ends.

Constants are float32 arrays that broadcast with an activation, its batch included.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurodeploy.ir.arrays import AnyArray
from neurodeploy.source import curves
from neurodeploy.source.analog import Add, AddConstant, Function, LeakyReLU, Op, ReLU, Scale
from neurodeploy.source.functions import FUNCTIONS
from neurodeploy.source.lowering import PRODUCT, Deferred, Place, Ref
from neurodeploy.source.moving import spread
from neurodeploy.source.rounding import Floored, between, clip, minimum

_ORDERS = ("gt", "ge", "lt", "le")
_POSITIVE = (["0.0", "gt"], ["0", "gt"], ["0.0", "ge"], ["0", "ge"])

Value = Ref | Deferred | AnyArray
Constant = AnyArray | np.floating[Any] | float


@dataclass(frozen=True, slots=True)
class Stacked(Deferred):
    """Activations of one shape on an axis in front of the batch, which the next operation sums."""

    parts: tuple[Ref, ...] = ()

    def reduced(self, place: Place, word: str, dim: Any, keepdim: bool) -> Ref:
        """Their sum, mean, max or min over that axis; refused over any other."""
        if keepdim or dim is None or [n % (len(self.base.shape) + 2) for n in np.ravel(dim)] != [0]:
            self.refuse()
        if word in ("max", "min"):
            return functools.reduce(lambda a, b: extreme(place, word, a, b), self.parts)
        y = functools.reduce(lambda a, b: total(place, a, b), self.parts)
        return y if word == "sum" else scaled(place, y, np.float32(1 / len(self.parts)))


QUOTIENT = "division by an activation: neurons add, they do not divide; divide by a constant"


def fitted(place: Place, x: Ref, value: Constant) -> tuple[Ref, AnyArray]:
    """Both of one shape; the constant a scalar, one value per channel, or one per element."""
    constant: AnyArray = np.asarray(value)
    rank = len(x.shape)
    if constant.ndim > rank:
        if constant.ndim > rank + 1:
            place.refuse(f"a constant of shape {constant.shape} for an activation of {x.shape}")
        if (constant != constant[:1]).any():
            place.refuse("a constant that differs between the samples of a batch")
        constant = constant[0]
    try:
        shape = np.broadcast_shapes(constant.shape, x.shape)
    except ValueError:
        place.refuse(f"a constant of shape {constant.shape} for an activation of {x.shape}")
    x = spread(place, x, shape)
    full = np.broadcast_to(constant.astype(np.float32), shape)
    per_channel = full.reshape(shape[0], -1)[:, 0]
    if (full == per_channel[0]).all():
        return x, np.asarray(per_channel[0])
    as_spread = per_channel.reshape(-1, *(1,) * (rank - 1))
    return x, per_channel if (full == as_spread).all() else full


def scaled(place: Place, x: Ref, constant: Constant) -> Ref:
    """Multiply an activation with a constant."""
    x, value = fitted(place, x, constant)
    if value.ndim == 0 and value == 1:
        return x
    return curves.cancelled(place, x, value) or place.emit(Scale(value), x)


def shifted(place: Place, x: Ref, constant: Constant) -> Ref:
    """Add a constant to an activation."""
    x, value = fitted(place, x, constant)
    return x if value.ndim == 0 and value == 0 else place.emit(AddConstant(value), x)


def total(place: Place, a: Value, b: Value, factor: float = 1, other: float = 1) -> Ref:
    """``factor * a + other * b``."""
    for value in (a, b):
        if isinstance(value, Deferred):
            value.refuse()
    if isinstance(a, np.ndarray):
        a, b, factor, other = b, a, other, factor
    assert isinstance(a, Ref)
    if isinstance(b, np.ndarray):
        return shifted(place, _times(place, a, factor), b * np.float32(other))
    assert isinstance(b, Ref)
    if a == b:
        return scaled(place, a, factor + other)
    a, b = _alike(place, a, b)
    if factor == other == 1 and (left := _cancelled(place, a, b) or _cancelled(place, b, a)):
        return left
    unfinished = any(curves.unfinished(place, v) for v in (a, b))
    a, b, related = _times(place, a, factor), _times(place, b, other), curves.related(place, a, b)
    if unfinished and related:
        return curves.combined(place, "add", a, b, reason="")
    return place.emit(Add(), a, b)


def _cancelled(place: Place, a: Ref, b: Ref) -> Ref | None:
    """``y`` of ``(y - b) + b``, as gradients are passed straight through a rounding."""
    if not isinstance(place.made(a), Add):
        return None
    for left, taken in (place.taken(a), place.taken(a)[::-1]):
        op = place.made(taken)
        minus = isinstance(op, Scale) and op.value.ndim == 0 and op.value == -1
        if minus and place.taken(taken) == (b,):
            return left
    return None


def multiplied(place: Place, a: Value, b: Value) -> Ref | Deferred:
    """``a * b``, of two activations only where both are functions of one."""
    if isinstance(a, Ref) and isinstance(b, Ref):
        return curves.combined(place, "mul", *_alike(place, a, b), reason=PRODUCT)
    varies, constant = (b, a) if isinstance(a, np.ndarray) else (a, b)
    if isinstance(varies, Floored) and isinstance(constant, np.ndarray):
        return varies.scaled(constant)
    if isinstance(varies, Deferred):
        varies.refuse()
    assert isinstance(varies, Ref)
    assert isinstance(constant, np.ndarray)
    return scaled(place, varies, constant)


def divided(place: Place, a: Value, b: Value) -> Ref | Deferred:
    """``a / b``, by an activation only where both are functions of one."""
    if isinstance(b, np.ndarray):
        if (b == 0).any():
            place.refuse("division by 0")
        return multiplied(place, a, np.asarray(1 / b.astype(np.float64), np.float32))
    return _of_one(place, "div", a, b, reason=QUOTIENT)


def power(place: Place, x: Value, exponent: Value) -> Ref:
    """``x`` to the power of a number."""
    return _of_one(place, "pow", x, exponent, reason="an activation as an exponent; use a number")


def compared(place: Place, word: str, a: Value, b: Value) -> Ref:
    """1 where a comparison holds, 0 elsewhere: of two activations by the sign of the difference."""
    alone = isinstance(a, Ref) and isinstance(b, Ref) and not curves.related(place, a, b)
    if word in _ORDERS and (alone or any(isinstance(v, np.ndarray) and v.size > 1 for v in (a, b))):
        a, b = total(place, a, b, 1, -1), np.zeros((), np.float32)
    reason = "a comparison of two activations for equality; greater and less are converted"
    return _of_one(place, word, a, b, reason=reason)


def chosen(place: Place, test: Value, a: Any, b: Any) -> Ref:
    """``a`` where the test holds, else ``b``: all functions of one activation."""
    reason = (
        "a choice between activations by the sign of another, or by a number per element between"
        " more than the activation and constants; use a maximum of two"
    )
    if isinstance(test, np.ndarray):
        mask = test.astype(np.float32)
        parts = [
            multiplied(place, v, share) if isinstance(v, Ref) else np.asarray(v * share)
            for v, share in ((a, mask), (b, np.asarray(1 - mask)))
        ]
        return total(place, parts[0], parts[1])
    slopes = _leaky(place, test, a, b)
    if slopes is not None:
        return leaky(place, a, slopes)
    apart = _by_element(place, test, a, b)
    return apart if apart is not None else _of_one(place, "where", test, a, b, reason=reason)


def _by_element(place: Place, test: Value, a: Any, b: Any) -> Ref | None:
    """A choice by a number ``c`` per element between the activation ``x`` itself and constants.

    As a function of ``x - c``, a step of another height per element, and a constant.
    """
    tested = place.made(test) if isinstance(test, Ref) else None
    if not isinstance(test, Ref) or not isinstance(tested, Function):
        return None
    (distance,) = place.taken(test)
    if not isinstance(shift := place.made(distance), AddConstant) or not shift.value.ndim:
        return None
    (x,) = place.taken(distance)
    varies = [v for v in (a, b) if not isinstance(v, np.ndarray)]
    if not all(isinstance(v, Ref) and curves.alike(place, v, x) for v in varies):
        return None
    level = -_whole(shift.value, x)
    above, below = (v if isinstance(v, np.ndarray) else level for v in (a, b))
    words = " ".join("x" if isinstance(v, Ref) else "0" for v in (a, b))
    step = np.asarray(above - below)
    y = shifted(place, scaled(place, test, step), below) if step.any() else None
    if not varies:
        return y
    bent = function(place, distance, f"{tested.program} {words} where")
    return shifted(place, bent, below) if y is None else total(place, bent, y)


def _leaky(place: Place, test: Value, a: Any, b: Any) -> AnyArray | None:
    """The slopes of ``where(a > 0, a, slope * a)`` with one for every channel or element."""
    if not (isinstance(test, Ref) and isinstance(a, Ref) and isinstance(b, Ref)):
        return None
    tested, below = place.made(test), place.made(b)
    if not isinstance(tested, Function) or tested.program.split()[1:] not in _POSITIVE:
        return None
    if not isinstance(below, Scale) or not below.value.ndim:
        return None
    return _whole(below.value, a) if place.taken(test) == place.taken(b) == (a,) else None


def extreme(place: Place, word: str, a: Value, b: Value) -> Ref:
    """``max`` or ``min``: with a number a function, of two activations ``b + relu(a - b)``."""
    a, b = (b, a) if isinstance(a, np.ndarray) else (a, b)
    if isinstance(a, Ref) and isinstance(b, Ref):
        a, b = _alike(place, a, b)
    elif isinstance(a, Ref) and isinstance(b, np.ndarray):
        a, constant = fitted(place, a, b)
        b = _whole(constant, a)
    if isinstance(b, Ref | Deferred) or b.size > 1:
        # By channel or element where that is a constant.
        sign = 1 if word == "max" else -1
        above = place.emit(ReLU(), total(place, a, b, sign, -sign))
        return total(place, b, above, 1, sign)
    number = float(b.reshape(()))
    return clamped(place, a, *((number, None) if word == "max" else (None, number)))


def clamped(place: Place, x: Value, low: float | None, high: float | None) -> Ref:
    """``min(max(x, low), high)``."""
    low = None if low is None or low < -1e30 else low
    high = None if high is None or high > 1e30 else high
    if isinstance(x, Floored) and x.rectified and (low is None or low < 0):
        low = 0
    if low == 0 and high is not None and high > 0 and isinstance(x, Ref | Floored):
        return clip(place, x, high)
    if isinstance(x, Floored) and low is not None and high is not None and low < 0 < high:
        return between(place, x, low, high)
    if isinstance(x, Deferred):
        x.refuse()
    assert isinstance(x, Ref)
    if low == 0 and high is None:
        return place.emit(ReLU(), x)
    if low is None and high is not None and high > 0:
        known = minimum(place, x, high)
        if known is not None:
            return known
    words = "x" + (f" {low!r} max" if low is not None else "")
    words += f" {high!r} min" if high is not None else ""
    return x if words == "x" else curves.applied(place, x, words)


def leaky(place: Place, x: Ref, slope: Constant) -> Ref:
    """``x`` above 0, times a slope below: one number, or one per channel."""
    x, slopes = fitted(place, x, slope)
    if slopes.ndim > 1:
        # x + (1 - slope) relu(-x), element by element.
        negative = place.emit(ReLU(), _times(place, x, -1))
        return total(place, x, scaled(place, negative, 1 - slopes))
    op: Op = LeakyReLU(slopes) if slopes.any() else ReLU()
    return x if (slopes == 1).all() else place.emit(op, x)


def function(place: Place, x: Ref, name: str) -> Ref:
    """One of the known functions, or a program."""
    return curves.applied(place, x, FUNCTIONS.get(name, name))


def _times(place: Place, x: Ref, factor: float) -> Ref:
    return scaled(place, x, np.asarray(factor, np.float32))


def _whole(constant: AnyArray, x: Ref) -> AnyArray:
    """One value per channel shaped to broadcast."""
    if constant.ndim == 1:
        return constant.reshape(-1, *(1,) * (len(x.shape) - 1))
    return constant


def _alike(place: Place, a: Ref, b: Ref) -> tuple[Ref, Ref]:
    """Two activations broadcast to one shape, batch included."""
    if a.shape == b.shape:
        return a, b
    if len(a.shape) != len(b.shape):
        place.refuse(f"activations of shapes {a.shape} and {b.shape}, expected equal ranks")
    try:
        shape = np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        place.refuse(f"activations of shapes {a.shape} and {b.shape}")
    return spread(place, a, shape), spread(place, b, shape)


def _of_one(place: Place, word: str, *operands: Value, reason: str) -> Ref:
    """A word whose operands are numbers and functions of one activation."""
    rank, shape = next((len(o.shape), math.prod(o.shape)) for o in operands if isinstance(o, Ref))
    parts: list[Ref | float] = []
    for operand in operands:
        if isinstance(operand, Deferred):
            operand.refuse()
        if isinstance(operand, Ref):
            if math.prod(operand.shape) != shape:
                place.refuse(reason)
            parts.append(operand)
        elif operand.ndim <= rank + 1 and (operand == operand.flat[0]).all():
            parts.append(float(operand.flat[0]))
        else:
            place.refuse(f"{reason}; or constants that differ between elements")
    return curves.combined(place, word, *parts, reason=reason)
