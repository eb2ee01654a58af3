"""Functions of one value that consist of straight pieces, found exactly from their programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from neurodeploy.ir.arrays import AnyArray, FloatArray
from neurodeploy.source.expressions import evaluated, run

_SAME = 1e-9
_CURVED = ("exp", "expm1", "log", "log1p", "sqrt", "erf", "sigmoid", "tanh", "softplus", "sin")


class _Curved(Exception):
    """The function has a piece that is not straight."""


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """``slope[i] x + offset[i]`` between ``breaks[i - 1]`` and ``breaks[i]``; may jump there."""

    breaks: FloatArray
    slope: FloatArray
    offset: FloatArray

    def at(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Slope and offset of the pieces on which the points lie."""
        i = np.searchsorted(self.breaks, points)
        return self.slope[i], self.offset[i]

    def jumps(self) -> FloatArray:
        """By how much the function rises at every break, 0 where it is continuous."""
        step = np.diff(self.slope) * self.breaks + np.diff(self.offset)
        near = np.abs(self.slope[1:] * self.breaks) + np.abs(self.offset[1:]) + 1e-30
        return np.where(np.abs(step) <= 1e-6 * near, 0.0, step)

    def __call__(self, x: FloatArray) -> FloatArray:
        """Values, those of the left piece at a break."""
        slope, offset = self.at(x)
        return slope * x + offset


@cache
def straight_pieces(program: str) -> Pieces | None:
    """The pieces of a program's function, None if it is curved somewhere."""
    line = Pieces(np.zeros(0), np.ones(1), np.zeros(1))
    try:
        return _simplified(run(program, line, _WORDS, _number))
    except _Curved:
        return None


def _between(breaks: FloatArray) -> FloatArray:
    """One point inside of every piece."""
    if not breaks.size:
        return np.zeros(1)
    return np.concatenate(([breaks[0] - 1], (breaks[1:] + breaks[:-1]) / 2, [breaks[-1] + 1]))


def _cut(pieces: Pieces, breaks: FloatArray) -> Pieces:
    return Pieces(breaks, *pieces.at(_between(breaks)))


def _common(*parts: Pieces) -> list[Pieces]:
    breaks = np.unique(np.concatenate([p.breaks for p in parts]))
    return [_cut(p, breaks) for p in parts]


def _crossing(a: Pieces, b: Pieces) -> list[Pieces]:
    """Both with breaks where they cross as well."""
    a, b = _common(a, b)
    slope, offset = a.slope - b.slope, a.offset - b.offset
    at = -offset[slope != 0] / slope[slope != 0]
    ends = np.concatenate(([-np.inf], a.breaks, [np.inf]))
    low, high = ends[:-1][slope != 0], ends[1:][slope != 0]
    breaks = np.unique(np.concatenate((a.breaks, at[(at > low) & (at < high)])))
    return [_cut(a, breaks), _cut(b, breaks)]


def _chosen(test: AnyArray, a: Pieces, b: Pieces) -> Pieces:
    return Pieces(a.breaks, np.where(test, a.slope, b.slope), np.where(test, a.offset, b.offset))


def _extreme(sign: float) -> Callable[[Pieces, Pieces], Pieces]:
    def extreme(a: Pieces, b: Pieces) -> Pieces:
        a, b = _crossing(a, b)
        middle = _between(a.breaks)
        return _chosen(sign * a(middle) >= sign * b(middle), a, b)

    return extreme


def _comparison(test: Callable[..., FloatArray]) -> Callable[[Pieces, Pieces], Pieces]:
    def compared(a: Pieces, b: Pieces) -> Pieces:
        a, b = _crossing(a, b)
        middle = _between(a.breaks)
        return Pieces(a.breaks, np.zeros(middle.size), test(a(middle), b(middle)).astype(float))

    return compared


def _sum(sign: float) -> Callable[[Pieces, Pieces], Pieces]:
    def total(a: Pieces, b: Pieces) -> Pieces:
        a, b = _common(a, b)
        return Pieces(a.breaks, a.slope + sign * b.slope, a.offset + sign * b.offset)

    return total


def _product(a: Pieces, b: Pieces) -> Pieces:
    a, b = _common(a, b)
    if (a.slope * b.slope).any():
        raise _Curved
    slope = a.slope * b.offset + b.slope * a.offset
    return Pieces(a.breaks, slope, a.offset * b.offset)


def _quotient(a: Pieces, b: Pieces) -> Pieces:
    if b.slope.any() or not b.offset.all():
        raise _Curved
    return _product(a, Pieces(b.breaks, b.slope, 1 / b.offset))


def _power(a: Pieces, b: Pieces) -> Pieces:
    if b.breaks.size or b.slope.any() or b.offset[0] != 1:
        raise _Curved
    return a


def _where(test: Pieces, a: Pieces, b: Pieces) -> Pieces:
    test, a, b = _common(test, a, b)
    if test.slope.any():
        raise _Curved
    return _chosen(test.offset != 0, a, b)


def _curved(word: str) -> Callable[[Pieces], Pieces]:
    def of_constants(a: Pieces) -> Pieces:
        if a.slope.any():
            raise _Curved
        return Pieces(a.breaks, a.slope, evaluated(f"x {word}", a.offset))

    return of_constants


def _number(value: float) -> Pieces:
    return Pieces(np.zeros(0), np.zeros(1), np.full(1, value))


def _spelled(program: str) -> Callable[[Pieces], Pieces]:
    return lambda a: run(program, a, _WORDS, _number)


_WORDS: dict[str, Callable[..., Pieces]] = {
    **{word: _curved(word) for word in (*_CURVED, "cos", "atan")},
    **{"neg": _spelled("0 x sub"), "abs": _spelled("x x neg max")},
    **{"sign": _spelled("x 0 gt x 0 lt sub"), "add": _sum(1), "sub": _sum(-1)},
    **{"mul": _product, "div": _quotient, "pow": _power, "where": _where},
    **{"max": _extreme(1), "min": _extreme(-1)},
    **{"gt": _comparison(np.greater), "ge": _comparison(np.greater_equal)},
    **{"lt": _comparison(np.less), "le": _comparison(np.less_equal)},
    **{"eq": _comparison(np.equal), "ne": _comparison(np.not_equal)},
}


def _simplified(pieces: Pieces) -> Pieces:
    """Without breaks at which nothing changes."""
    size = 1 + np.abs(pieces.offset[1:])
    kept = (np.abs(np.diff(pieces.slope)) > _SAME * (1 + np.abs(pieces.slope[1:]))) | (
        np.abs(np.diff(pieces.offset)) > _SAME * size
    )
    ends = np.concatenate(([True], kept))
    return Pieces(pieces.breaks[kept], pieces.slope[ends], pieces.offset[ends])
