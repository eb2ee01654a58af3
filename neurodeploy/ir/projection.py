"""Projections: synapses between two populations, real-valued or integer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurodeploy.errors import NetlistError
from neurodeploy.ir.arrays import AnyArray, IntArray, arrays_equal, frozen, whole
from neurodeploy.ir.linear_map import Connectivity

MAX_EXPONENT = 22
MAX_DELAY = 2**20
"""A sample lasts as long as its paths; executors count its steps in 31 bits."""


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """Synapses from population ``pre`` to population ``post``.

    ``delay``, 1 to 2^20 steps, is the user's and never changed; None lets the schedule align it.
    """

    pre: str
    post: str
    connectivity: Connectivity
    delay: int | None = None

    def __post_init__(self) -> None:
        link: object = self.connectivity
        if not isinstance(link, Connectivity):
            kind = type(link).__name__
            raise NetlistError(f"{self.label}: got {kind}; expected a Connectivity")
        if self.delay is not None:
            object.__setattr__(self, "delay", whole(self.delay, f"{self.label}: delay"))
            if self.delay < 1:
                raise NetlistError(f"{self.label}: delay {self.delay}; the smallest is 1")
            if self.delay > MAX_DELAY:
                raise NetlistError(f"{self.label}: delay {self.delay}; the largest is {MAX_DELAY}")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.label}: {self.connectivity!r})"

    @property
    def label(self) -> str:
        """``pre->post``, for messages."""
        return f"{self.pre}->{self.post}"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        for name in self.__dataclass_fields__:
            a, b = getattr(self, name), getattr(other, name)
            if not (arrays_equal(a, b) if isinstance(a, np.ndarray) else a == b):
                return False
        return True

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RealProjection(Projection):
    """A projection with float64 weights."""

    def __post_init__(self) -> None:
        Projection.__post_init__(self)
        if self.connectivity.is_integer:
            raise NetlistError(f"{self.label}: a real-valued projection needs float weights")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class IntegerProjection(Projection):
    """A projection with integer weights of a declared width: ``a += (W . s) << exponent``.

    Parameters
    ----------
    exponent : array, scalar or per output channel
        ``e`` >= 0.
    weight_bits : int
        Two's complement width, 1 to 16: every weight lies in [-2^(n-1), 2^(n-1) - 1].
    """

    exponent: IntArray = 0  # type: ignore[assignment]  # an array from the constructor on
    weight_bits: int = 8

    def __post_init__(self) -> None:
        Projection.__post_init__(self)
        if not self.connectivity.is_integer:
            raise NetlistError(f"{self.label}: an integer projection needs integer weights")
        bits = whole(self.weight_bits, f"{self.label}: weight_bits")
        object.__setattr__(self, "weight_bits", bits)
        if not 1 <= self.weight_bits <= 16:
            raise NetlistError(f"{self.label}: weight_bits {self.weight_bits}; expected 1 to 16")
        low, high = -(2 ** (self.weight_bits - 1)), 2 ** (self.weight_bits - 1) - 1
        weight = self.connectivity.weight
        if weight.size and (weight.min() < low or weight.max() > high):
            raise NetlistError(
                f"{self.label}: weights in [{weight.min()}, {weight.max()}] exceed "
                f"{self.weight_bits} bits [{low}, {high}]"
            )
        exponent = np.asarray(self.exponent)
        if exponent.dtype.kind not in "iu" or exponent.shape not in (
            (),
            self.connectivity.post_shape[:1],
        ):
            raise NetlistError(
                f"{self.label}: exponent of shape {exponent.shape}; expected an integer or one "
                f"per output channel {self.connectivity.post_shape[:1]}"
            )
        if exponent.size and (exponent.min() < 0 or exponent.max() > MAX_EXPONENT):
            raise NetlistError(f"{self.label}: exponent outside 0..{MAX_EXPONENT}")
        object.__setattr__(self, "exponent", frozen(exponent, np.int64))

    def shift(self) -> IntArray:
        """``e``, broadcastable over ``[B, *post_shape]``."""
        if self.exponent.ndim == 0:
            return self.exponent
        return self.exponent.reshape(-1, *(1,) * (len(self.connectivity.post_shape) - 1))

    def synaptic_input(self, spikes: AnyArray) -> AnyArray:
        """``(W . s) << e`` for spikes ``[B, *pre_shape]``: int64 ``[B, *post_shape]``."""
        return np.left_shift(self.connectivity.apply(spikes), self.shift())
