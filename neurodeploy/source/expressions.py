"""Functions of one value as programs: words in reverse Polish notation over ``x``.

``"x 0.0 max"`` is ReLU, ``"x x sigmoid mul"`` SiLU. One machine runs them over NumPy arrays, torch
tensors, or straight pieces (:mod:`neurodeploy.source.pieces`); a file holds them as text.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from neurodeploy.errors import NetlistError
from neurodeploy.ir.arrays import AnyArray

MAX_WORDS = 400

ARITY: dict[str, int] = {
    **dict.fromkeys(("neg", "abs", "sign", "exp", "expm1", "log", "log1p", "sqrt", "erf"), 1),
    **dict.fromkeys(("sigmoid", "tanh", "softplus", "sin", "cos", "atan"), 1),
    **dict.fromkeys(("add", "sub", "mul", "div", "pow", "max", "min"), 2),
    **dict.fromkeys(("gt", "ge", "lt", "le", "eq", "ne"), 2),
    "where": 3,
}
"""Words and the values that each takes; comparisons give 1 or 0."""


def run(program: str, x: Any, words: Mapping[str, Callable[..., Any]], number: Any) -> Any:
    """The value of a program for ``x``, with the meaning of its words and of its numbers."""
    stack: list[Any] = []
    for word in program.split():
        if word == "x":
            stack.append(x)
        elif word in ARITY:
            taken = stack[-ARITY[word] :]
            del stack[-ARITY[word] :]
            stack.append(words[word](*taken))
        else:
            stack.append(number(float(word)))
    return stack[0]


def check(program: str) -> None:
    """Raise NetlistError for what is no program."""
    depth = 0
    words = program.split()
    for word in words:
        taken = ARITY.get(word, 0)
        depth = depth - taken + 1 if depth >= taken else -len(words)
        if not taken and word != "x":
            try:
                good = math.isfinite(float(word))
            except ValueError:
                good = False
            if not good:
                raise NetlistError(f"function: {word!r} is no word; known: {', '.join(ARITY)}")
    if depth != 1 or "x" not in words:
        raise NetlistError(f"function: {program[:80]!r} is not one value of x")
    if len(words) > MAX_WORDS:
        raise NetlistError(f"function: a program of {len(words)} words, at most {MAX_WORDS}")


def composed(outer: str, inner: str) -> str:
    """The program of ``outer(inner(x))``."""
    return " ".join(inner if word == "x" else word for word in outer.split())


def joined(word: str, *programs: str) -> str:
    """The program that applies a word to the values of others."""
    return " ".join((*programs, word))


def evaluated(program: str, x: AnyArray) -> AnyArray:
    """The program's values in double precision."""
    with np.errstate(all="ignore"):
        values = run(program, np.asarray(x, np.float64), _NUMPY, np.float64)
    return np.broadcast_to(values, np.shape(x)).astype(np.float64)


def _sigmoid(x: AnyArray) -> AnyArray:
    # Of the two equal forms, the one that cannot overflow.
    small = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1 / (1 + small), small / (1 + small)))


def _as_number(test: Callable[..., Any]) -> Callable[..., Any]:
    return lambda a, b: np.asarray(test(a, b), np.float64)


_NUMPY: dict[str, Callable[..., Any]] = {
    **{"neg": np.negative, "abs": np.abs, "sign": np.sign, "exp": np.exp, "expm1": np.expm1},
    **{"log": np.log, "log1p": np.log1p, "sqrt": np.sqrt, "tanh": np.tanh, "sigmoid": _sigmoid},
    **{"erf": np.vectorize(math.erf, otypes=[np.float64]), "sin": np.sin, "cos": np.cos},
    "atan": np.arctan,
    **{"softplus": lambda x: np.logaddexp(0, x), "add": np.add, "sub": np.subtract},
    **{"mul": np.multiply, "div": np.divide, "pow": np.power, "max": np.maximum},
    **{"min": np.minimum, "gt": _as_number(np.greater), "ge": _as_number(np.greater_equal)},
    **{"lt": _as_number(np.less), "le": _as_number(np.less_equal)},
    **{"eq": _as_number(np.equal), "ne": _as_number(np.not_equal)},
    "where": lambda test, a, b: np.where(test != 0, a, b),
}
