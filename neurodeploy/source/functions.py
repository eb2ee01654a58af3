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

from neurodeploy.errors import NetlistError
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.source.op import Op, Shape, set_array


def _sigmoid(x: AnyArray) -> AnyArray:
    # Of the two equal forms, the one that cannot overflow.
    small = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1 / (1 + small), small / (1 + small)))


def _gelu(x: AnyArray) -> AnyArray:
    erf = np.vectorize(math.erf, otypes=[np.float64])
    return np.asarray(0.5 * x * (1 + erf(x / math.sqrt(2))))


def _gelu_tanh(x: AnyArray) -> AnyArray:
    return np.asarray(0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))))


@dataclass(frozen=True, slots=True)
class Smooth:
    """A smooth activation: constant far to the left, of slope 0 or 1 far to the right.

    ``kinks``: of one that consists of straight pieces, where they meet.
    """

    value: Callable[[AnyArray], AnyArray]
    left: float
    slope: int
    kinks: tuple[float, ...] = ()


FUNCTIONS: dict[str, Smooth] = {
    "silu": Smooth(lambda x: x * _sigmoid(x), 0.0, 1),
    "gelu": Smooth(_gelu, 0.0, 1),
    "gelu_tanh": Smooth(_gelu_tanh, 0.0, 1),
    "hardswish": Smooth(lambda x: x * np.clip(x + 3, 0, 6) / 6, 0.0, 1),
    "softplus": Smooth(lambda x: np.logaddexp(0, x), 0.0, 1),
    "elu": Smooth(lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))), -1.0, 1),
    "sigmoid": Smooth(_sigmoid, 0.0, 0),
    "tanh": Smooth(np.tanh, -1.0, 0),
    "hardsigmoid": Smooth(lambda x: np.clip(x + 3, 0, 6) / 6, 0.0, 0, (-3.0, 3.0)),
}
"""By name; values in double precision."""


class _SameShape(Op):
    __slots__ = ()

    def _infer(self, inputs: Sequence[Shape]) -> Shape:
        return inputs[0]


@dataclass(frozen=True, slots=True, eq=False)
class Function(_SameShape):
    """A smooth activation function of :data:`FUNCTIONS`, element by element.

    Parameters
    ----------
    name : str
    """

    kind: ClassVar[str] = "function"
    name: str

    def __post_init__(self) -> None:
        if self.name not in FUNCTIONS:
            raise NetlistError(f"function: {self.name!r}; expected one of {', '.join(FUNCTIONS)}")


@dataclass(frozen=True, slots=True, eq=False)
class LeakyReLU(Op):
    """``x`` above 0, ``slope * x`` below.

    Parameters
    ----------
    slope : float or array, shape () or (C,)
        Above 0; per channel as in PReLU.
    """

    kind: ClassVar[str] = "leaky_relu"
    slope: AnyArray

    def __post_init__(self) -> None:
        slope = set_array(self, "slope")
        if slope.ndim > 1 or slope.size == 0:
            raise NetlistError(f"leaky_relu: slope of shape {slope.shape}, expected () or (C,)")
        if not ((slope >= 0) & (slope < 1)).all():
            raise NetlistError(
                f"leaky_relu: slope {float(slope.min()):g} to {float(slope.max()):g}, expected "
                "0 <= slope < 1"
            )

    def _infer(self, inputs: Sequence[Shape]) -> Shape:
        if self.slope.ndim and self.slope.shape != inputs[0][:1]:
            raise NetlistError(f"leaky_relu: {len(self.slope)} slopes for {inputs[0][0]} channels")
        return inputs[0]


@dataclass(frozen=True, slots=True, eq=False)
class QuantizedReLU(_SameShape):
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
            raise NetlistError(f"quantized_relu: maximum {self.maximum}, expected above 0")
        if type(self.levels) is not int or self.levels < 1:
            raise NetlistError(f"quantized_relu: {self.levels!r} levels, expected 1 or more")
        if not 0 <= self.shift < 1:
            raise NetlistError(f"quantized_relu: shift {self.shift}, expected [0, 1)")

    def quantized(self, x: AnyArray) -> AnyArray:
        """The activation of ``x``, float32 like its input."""
        step = np.float32(self.maximum / self.levels)
        level = np.floor(x / step + np.float32(self.shift))
        return np.asarray(np.clip(level, 0, self.levels) * step)
