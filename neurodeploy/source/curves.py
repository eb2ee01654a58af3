"""Activation functions that a network spells out in arithmetic: GELU, SiLU, hard-swish.

A product of activations, a power or an error function is no operation of the analog graph, but
what becomes of it often is. Such values are kept as functions of the activation that they come
from, and compared with the known ones after every step: whatever the order of factors and terms,
``0.5 * x * (1 + erf(x / sqrt(2)))`` is GELU.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from neurodeploy.ir.arrays import AnyArray
from neurodeploy.source.analog import AddConstant, Clip, Function, LeakyReLU, Op, ReLU, Scale
from neurodeploy.source.functions import FUNCTIONS
from neurodeploy.source.lowering import Deferred, Place, Ref
from neurodeploy.source.rounding import Floored

Scalar = Callable[[AnyArray], AnyArray]

_TOLERANCE = 1e-6
"""Relative: the constants of a file are float32."""


@dataclass(frozen=True, slots=True)
class Curve(Deferred):
    """A function of an activation, element by element, that no operation computes.

    Parameters
    ----------
    value : callable
        Of the base's values, in double precision.
    """

    value: Scalar


def product(site: Place, a: Ref | Deferred, b: Ref | Deferred) -> Ref | Deferred:
    """Multiply two activations; refused unless both are functions of one and the same."""
    return _joined(site, a, b, np.multiply, "product of two activations")


def total(site: Place, a: Ref | Deferred, b: Ref | Deferred) -> Ref | Deferred:
    """Add two activations of which at least one is a :class:`Curve`."""
    return _joined(site, a, b, np.add, "sum of activations that are not converted")


def scaled(site: Place, value: Deferred, constant: AnyArray) -> Ref | Deferred:
    """Multiply a value that is no operation yet with a constant."""
    if isinstance(value, Floored):
        return value.scaled(constant)
    return applied(site, value, _constant(value, constant, np.multiply), value.reason)


def shifted(site: Place, value: Deferred, constant: AnyArray) -> Ref | Deferred:
    """Add a constant to a value that is no operation yet."""
    return applied(site, value, _constant(value, constant, np.add), value.reason)


def function(site: Place, value: Ref | Deferred, name: str) -> Ref | Deferred:
    """Apply one of the known activation functions."""
    if isinstance(value, Ref):
        return site.emit(Function(name), value)
    return applied(site, value, FUNCTIONS[name].value, value.reason)


def erf(site: Place, value: Ref | Deferred) -> Ref | Deferred:
    """Apply the error function, which is only known as a part of GELU."""
    function = np.vectorize(math.erf, otypes=[np.float64])
    return applied(site, value, function, "erf outside of a GELU")


def power(site: Place, value: Ref | Deferred, exponent: AnyArray) -> Ref | Deferred:
    """Raise to a constant power, which is only known as a part of GELU's tanh form."""
    base = value if isinstance(value, Ref) else value.base
    if exponent.size != 1 or exponent.ndim > len(base.shape) + 1:
        site.refuse("powers that differ between elements")
    n = float(exponent.reshape(()))
    if n == 1 and isinstance(value, Ref):
        return value
    return applied(site, value, lambda x: x**n, f"an activation to the power of {n:g}")


def applied(site: Place, value: Ref | Deferred, function: Scalar, reason: str) -> Ref | Deferred:
    """Apply a function; ``reason`` is what the site is refused for if nothing comes of it."""
    if isinstance(value, Ref):
        return _settled(site, value, function, reason)
    if not isinstance(value, Curve):
        value.refuse()
    inner = value.value
    return _settled(site, value.base, lambda x: function(inner(x)), reason)


def cancelled(site: Place, x: Ref, factor: AnyArray) -> Ref | None:
    """Return the activation that ``factor * x`` is, if ``x`` is that divided by ``factor``.

    The division by 6 at the end of a hard-swish leaves no trace.
    """
    node = site.builder.node(x)
    if not isinstance(node.op, Scale) or node.op.value.ndim or factor.ndim:
        return None
    inner = site.builder.result(node.inputs[0])
    known = isinstance(site.builder.node(inner).op, Function)
    return inner if known and abs(float(node.op.value) * float(factor) - 1) < _TOLERANCE else None


def _constant(value: Deferred, constant: AnyArray, function: np.ufunc) -> Scalar:
    if not value.takes(constant):
        value.refuse()
    number = float(constant.reshape(()))
    return lambda x: np.asarray(function(x, number))


def _joined(
    site: Place, a: Ref | Deferred, b: Ref | Deferred, function: np.ufunc, reason: str
) -> Ref | Deferred:
    first, second = _origins(site, a), _origins(site, b)
    shared = next((name for name in second if name in first), None)
    if shared is None:
        site.refuse(reason)
    f, g = first[shared], second[shared]
    base = site.builder.result(shared)
    return _settled(site, base, lambda x: np.asarray(function(f(x), g(x))), reason)


def _origins(site: Place, value: Ref | Deferred) -> dict[str, Scalar]:
    """Activations that a value is a function of, nearest first, and those functions."""
    name: str = value.name if isinstance(value, Ref) else value.base.name
    if not isinstance(value, Ref | Curve):
        value.refuse()
    function: Scalar = value.value if isinstance(value, Curve) else np.asarray
    found = {name: function}
    while True:
        node = site.builder.node(site.builder.result(name))
        step = _elementwise(node.op)
        if step is None:
            return found
        (name,) = node.inputs
        function = _composed(function, step)
        found[name] = function


def _composed(outer: Scalar, inner: Scalar) -> Scalar:
    return lambda x: outer(inner(x))


def _elementwise(op: Op) -> Scalar | None:
    """The function of one number that an operation computes, None if it is not one."""
    if isinstance(op, Scale | AddConstant | LeakyReLU):
        constant = op.slope if isinstance(op, LeakyReLU) else op.value
        if constant.ndim:
            return None
        number = float(constant)
        if isinstance(op, LeakyReLU):
            return lambda x: np.where(x > 0, x, number * x)
        return (lambda x: x * number) if isinstance(op, Scale) else (lambda x: x + number)
    if isinstance(op, Clip):
        maximum = op.maximum
        return lambda x: np.clip(x, 0, maximum)
    if isinstance(op, ReLU):
        return lambda x: np.maximum(x, 0)
    return FUNCTIONS[op.name].value if isinstance(op, Function) else None


def _settled(site: Place, base: Ref, function: Scalar, reason: str) -> Ref | Deferred:
    """Emit the operation that a function is, or put that off."""
    known = _recognized(function)
    if known is None:
        return Curve(base, site, reason, function)
    name, factor = known
    y = site.emit(Function(name), base)
    return y if factor == 1 else site.emit(Scale(np.asarray(factor, np.float32)), y)


@cache
def _points() -> AnyArray:
    # Far out as well, or a function that is cut off there would pass.
    far = np.geomspace(8, 1e6, 200)
    return np.concatenate([-far[::-1], np.linspace(-8, 8, 1601), far])


@cache
def _known() -> dict[str, AnyArray]:
    return {name: known.value(_points()) for name, known in FUNCTIONS.items()}


def _recognized(function: Scalar) -> tuple[str, float] | None:
    """Name and factor of the activation function that a function is, if any."""
    x = _points()
    with np.errstate(all="ignore"):
        values = np.asarray(function(x), np.float64)
    near = np.abs(x) <= 8
    for name, known in _known().items():
        factor = float(values[near] @ known[near] / (known[near] @ known[near]))
        allowed = _TOLERANCE * abs(factor) * (1 + np.abs(known))
        if factor and (np.abs(values - factor * known) <= allowed).all():
            return name, 1.0 if abs(factor - 1) < _TOLERANCE else factor
    return None
