"""Activation functions of the analog graph, and the two that keep a line below zero or in steps.

References
----------
Elfwing et al. 2018, doi 10.1016/j.neunet.2017.12.012 (SiLU); Hendrycks & Gimpel 2016,
arXiv 1606.08415 (GELU); Howard et al. 2019, arXiv 1905.02244 (hard-swish); Bu et al. 2022,
arXiv 2303.04347 (clip-floor-shift activation, QCFS).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from neurodeploy.ir.arrays import AnyArray
from neurodeploy.source import expressions
from neurodeploy.source.op import Elementwise, Op, Shape, set_array
from neurodeploy.source.pieces import Pieces, straight_pieces

FUNCTIONS: dict[str, str] = {
    "silu": "x x sigmoid mul",
    "gelu": f"0.5 x mul 1 x {math.sqrt(2)!r} div erf add mul",
    "gelu_tanh": f"0.5 x mul 1 x x x mul x mul 0.044715 mul add {math.sqrt(2 / math.pi)!r} mul"
    " tanh add mul",
    "hardswish": "x x 3 add 0 max 6 min mul 6 div",
    "softplus": "x softplus",
    "elu": "x 0 max x 0 min expm1 add",
    "sigmoid": "x sigmoid",
    "tanh": "x tanh",
    "hardsigmoid": "x 3 add 0 max 6 min 6 div",
}
"""Activation functions by name, as programs."""


SELU = (1.6732632423543772, 1.0507009873554805)
"""alpha and scale."""

PROGRAMS = {
    **{name: FUNCTIONS[name] for name in ("silu", "sigmoid", "tanh", "hardswish", "hardsigmoid")},
    **{
        word: f"x {word}" for word in ("abs", "sign", "exp", "expm1", "log", "log1p", "sqrt", "erf")
    },
    **{"sin": "x sin", "cos": "x cos", "square": "x x mul", "reciprocal": "1 x div"},
    **{"rsqrt": "1 x sqrt div", "mish": "x x softplus tanh mul", "exp2": "2 x pow"},
    **dict.fromkeys(("log_sigmoid", "log_sigmoid_forward"), "x neg softplus neg"),
    "logical_not": "x 0 eq",
    **{"bitwise_not": "x 0 eq", "sinh": "x exp x neg exp sub 0.5 mul", "tan": "x sin x cos div"},
    **{"cosh": "x exp x neg exp add 0.5 mul", "atan": "x atan", "erfc": "1 x erf sub"},
    **{"asinh": "x x x mul 1 add sqrt add log", "atanh": "1 x add 1 x sub div log 0.5 mul"},
    **{"log2": f"x log {math.log2(math.e)!r} mul", "log10": f"x log {math.log10(math.e)!r} mul"},
}
"""Further functions without parameters, by torch's names for them, as programs."""


def elu(alpha: float = 1, scale: float = 1, input_scale: float = 1) -> str:
    """``scale (max(x, 0) + alpha (exp(input_scale min(x, 0)) - 1))``."""
    alpha, scale, input_scale = map(float, (alpha, scale, input_scale))
    return f"x 0 max x 0 min {input_scale!r} mul expm1 {alpha!r} mul add {scale!r} mul"


def shrink(lambd: float = 0.5, bias: float = 0.0) -> str:
    """0 within ``lambd`` of 0, ``x - sign(x) bias`` elsewhere."""
    return f"x x sign {bias!r} mul sub x abs {lambd!r} gt mul"


def softplus(beta: float = 1, threshold: float = 20) -> str:
    """``log(1 + exp(beta x)) / beta``, and ``x`` where ``beta x`` is above the threshold."""
    curve = FUNCTIONS["softplus"] if beta == 1 else f"x {beta!r} mul softplus {beta!r} div"
    # Single precision does not tell them apart from 16 on.
    return curve if threshold >= 16 else f"x {beta!r} mul {threshold!r} gt x {curve} where"


FAMILIES: dict[str, Callable[..., str]] = {
    **{"elu": elu, "softplus": softplus, "shrink": shrink, "hardshrink": shrink},
    "celu": lambda alpha=1: elu(alpha, 1, 1 / alpha),
    "selu": lambda alpha=SELU[0], gamma=SELU[1]: elu(alpha, gamma),
    "softshrink": lambda lambd: shrink(lambd, lambd),
    "thresholdedrelu": lambda alpha=1.0: f"x {alpha!r} gt x 0 where",
    "swish": lambda alpha=1.0: f"x x {alpha!r} mul sigmoid mul",
}
"""Functions with parameters, by their names in lower case, as what makes the program."""


@dataclass(frozen=True, slots=True, eq=False)
class Function(Elementwise):
    """A function of one value, element by element.

    Parameters
    ----------
    name : str
        One of :data:`FUNCTIONS`, or a program (:mod:`neurodeploy.source.expressions`).
    seen : array, shape (Q,), or None
        Quantiles of its input on the calibration data, from the least to the largest.
    """

    kind: ClassVar[str] = "function"
    name: str
    seen: AnyArray | None = None

    def __post_init__(self) -> None:
        if self.name not in FUNCTIONS:
            expressions.check(self.name)
        if self.seen is not None:
            seen = set_array(self, "seen", 1)
            if len(seen) < 2 or (np.diff(seen) < 0).any():
                self.refuse("quantiles must ascend, from two on")

    @property
    def program(self) -> str:
        """The function as a program."""
        return FUNCTIONS.get(self.name, self.name)

    @property
    def pieces(self) -> Pieces | None:
        """Its straight pieces; None where it is curved."""
        return straight_pieces(self.program)

    def value(self, x: AnyArray) -> AnyArray:
        """The function's values, in double precision."""
        return expressions.evaluated(self.program, x)


@dataclass(frozen=True, slots=True, eq=False)
class LeakyReLU(Op):
    """``x`` above 0, ``slope * x`` below.

    Parameters
    ----------
    slope : float or array, shape () or (C,)
        Per channel as in PReLU; any number.
    """

    kind: ClassVar[str] = "leaky_relu"
    slope: AnyArray

    def __post_init__(self) -> None:
        slope = set_array(self, "slope")
        if slope.ndim > 1 or slope.size == 0:
            self.refuse(f"slope of shape {slope.shape}, expected () or (C,)")

    def _infer(self, inputs: Sequence[Shape]) -> Shape:
        if self.slope.ndim and self.slope.shape != inputs[0][:1]:
            self.refuse(f"{len(self.slope)} slopes for {inputs[0][0]} channels")
        return inputs[0]


@dataclass(frozen=True, slots=True, eq=False)
class QuantizedReLU(Elementwise):
    """``maximum / levels * clip(floor(x * levels / maximum + shift), 0, levels)``.

    Parameters
    ----------
    maximum : float
    levels : int
    shift : float
        1/2 rounds to the nearest level.
    """

    kind: ClassVar[str] = "quantized_relu"
    maximum: float
    levels: int
    shift: float = 0.5

    def __post_init__(self) -> None:
        for name in ("maximum", "shift"):
            object.__setattr__(self, name, float(getattr(self, name)))
        if not (math.isfinite(self.maximum) and self.maximum > 0):
            self.refuse(f"maximum {self.maximum}, expected above 0")
        if type(self.levels) is not int or self.levels < 1:
            self.refuse(f"{self.levels!r} levels, expected 1 or more")
        if not 0 <= self.shift < 1:
            self.refuse(f"shift {self.shift}, expected [0, 1)")

    def quantized(self, x: AnyArray) -> AnyArray:
        """The activation of ``x``, float32 like its input."""
        step = np.float32(self.maximum / self.levels)
        level = np.floor(x / step + np.float32(self.shift))
        return np.asarray(np.clip(level, 0, self.levels) * step)
