"""Functions of one value that a network spells out in several operations.

Whatever the order of factors and terms, ``0.5 * x * (1 + erf(x / sqrt(2)))`` is GELU: operations on
an activation and on functions of it are joined into one program over the activation that they
share, and known functions are recognized by their values.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from neurodeploy.ir.arrays import AnyArray
from neurodeploy.source.analog import Add, AddConstant, Clip, Function, LeakyReLU, Op, ReLU, Scale
from neurodeploy.source.expressions import composed, evaluated, joined
from neurodeploy.source.functions import FUNCTIONS
from neurodeploy.source.lowering import Place, Ref
from neurodeploy.source.pieces import straight_pieces

_TOLERANCE = 1e-6
"""Relative: the constants of a file are float32."""


def applied(place: Place, x: Ref, program: str) -> Ref:
    """A function of an activation, and of what that is a function of itself."""
    base, inner, bends = x, "x", False
    for origin, so_far in _origins(place, x).items():
        if bends:
            base, inner = origin, so_far
        # What only scales and shifts belongs to the layer before.
        bends = not isinstance(place.made(origin), Scale | AddConstant)
    return _emitted(place, base, composed(program, inner))


def combined(place: Place, word: str, *operands: Ref | float, reason: str) -> Ref:
    """A word of two or more operands, refused unless they are functions of one activation."""
    origins = [_origins(place, o, sums=True) if isinstance(o, Ref) else None for o in operands]
    known = [found for found in origins if found is not None]
    shared = next((x for x in known[0] if all(x in found for found in known)), None)
    if shared is None:
        place.refuse(reason)
    parts = [
        repr(float(o)) if isinstance(o, int | float) else found[shared]  # type: ignore[index]
        for o, found in zip(operands, origins, strict=True)
    ]
    return _emitted(place, shared, joined(word, *parts))


def unfinished(place: Place, x: Ref) -> bool:
    """Whether an activation is a curved function without a name: more may come of it."""
    while isinstance(op := place.made(x), Scale | AddConstant) and not op.value.ndim:
        (x,) = place.taken(x)
    return isinstance(op, Function) and op.name not in FUNCTIONS and op.pieces is None


def related(place: Place, a: Ref, b: Ref) -> bool:
    """Whether both are functions of one activation."""
    return not _origins(place, a).keys().isdisjoint(_origins(place, b))


def alike(place: Place, a: Ref, b: Ref) -> bool:
    """Whether both are the same function of one activation."""
    return bool(_origins(place, a).items() & _origins(place, b).items())


def cancelled(place: Place, x: Ref, factor: AnyArray) -> Ref | None:
    """Return the activation that ``factor * x`` is, if ``x`` is that divided by ``factor``.

    The division by 6 at the end of a hard-swish leaves no trace.
    """
    op = place.made(x)
    if not isinstance(op, Scale) or op.value.ndim or factor.ndim:
        return None
    (inner,) = place.taken(x)
    known = isinstance(place.made(inner), Function)
    return inner if known and abs(float(op.value) * float(factor) - 1) < _TOLERANCE else None


def _origins(place: Place, x: Ref, sums: bool = False) -> dict[Ref, str]:
    """Activations that ``x`` is a function of, nearest first, and those functions.

    With ``sums``, the sum of two functions of one activation is one as well.
    """
    program = "x"
    found = {x: program}
    while True:
        op = place.made(x)
        if sums and isinstance(op, Add):
            a, b = (_origins(place, part, sums) for part in place.taken(x))
            total = {key: joined("add", a[key], b[key]) for key in a if key in b}
            return found | {key: composed(program, inner) for key, inner in total.items()}
        step = _program(op)
        if step is None:
            return found
        (x,) = place.taken(x)
        program = composed(program, step)
        found[x] = program


def _program(op: Op) -> str | None:
    """The function of one value that an operation computes, None if it is not one."""
    if isinstance(op, Scale | AddConstant | LeakyReLU):
        constant = op.slope if isinstance(op, LeakyReLU) else op.value
        if constant.ndim:
            return None
        number = repr(float(constant))
        if isinstance(op, LeakyReLU):
            return f"x 0 max x 0 min {number} mul add"
        return f"x {number} {'mul' if isinstance(op, Scale) else 'add'}"
    if isinstance(op, Clip):
        return f"x 0 max {op.maximum!r} min"
    if isinstance(op, ReLU):
        return "x 0 max"
    return op.program if isinstance(op, Function) else None


def _emitted(place: Place, base: Ref, program: str) -> Ref:
    """The operation that a function is."""
    pieces = straight_pieces(program)
    if pieces is not None:
        breaks, slope, offset = (v.tolist() for v in (pieces.breaks, pieces.slope, pieces.offset))
        if not breaks:
            y = base if slope[0] == 1 else place.emit(Scale(np.asarray(slope[0])), base)
            return place.emit(AddConstant(np.asarray(offset[0])), y) if offset[0] else y
        if breaks == [0] and offset == [0, 0] and slope[1] == 1:
            return place.emit(LeakyReLU(slope[0]) if slope[0] else ReLU(), base)
        if slope == [0, 1, 0] and breaks[0] == 0 and offset == [0, 0, breaks[1]]:
            return place.emit(Clip(breaks[1]), base)
    known = _recognized(program)
    if known is None:
        return place.emit(Function(program), base)
    name, factor = known
    y = place.emit(Function(name), base)
    return y if factor == 1 else place.emit(Scale(np.asarray(factor, np.float32)), y)


@cache
def _points() -> AnyArray:
    # Far out as well, or a function that is cut off there would pass.
    far = np.geomspace(8, 1e6, 200)
    return np.concatenate([-far[::-1], np.linspace(-8, 8, 1601), far])


@cache
def _known() -> dict[str, AnyArray]:
    return {name: evaluated(program, _points()) for name, program in FUNCTIONS.items()}


@cache
def _recognized(program: str) -> tuple[str, float] | None:
    """Name and factor of the activation function that a program is, if any."""
    x = _points()
    values = evaluated(program, x)
    near = np.abs(x) <= 8
    if not np.isfinite(values[near]).all():
        return None
    for name, known in _known().items():
        factor = float(values[near] @ known[near] / (known[near] @ known[near]))
        allowed = _TOLERANCE * abs(factor) * (1 + np.abs(known))
        if factor and (np.abs(values - factor * known) <= allowed).all():
            return name, 1.0 if abs(factor - 1) < _TOLERANCE else factor
    return None
