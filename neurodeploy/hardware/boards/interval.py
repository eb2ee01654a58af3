"""Intervals of constants and of computed values: likely, low and high."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

End = Literal["likely", "low", "high"]
ENDS: tuple[End, ...] = get_args(End)


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its error bar; the bars of a sum add up, as they are systematic.

    Parameters
    ----------
    likely, low, high : float
        In one unit, 0 <= low <= likely <= high. ``high`` is infinite where a term has no upper end:
        ``likely`` and ``low`` are then those of the other terms.
    """

    likely: float
    low: float
    high: float

    @classmethod
    def of(cls, figure: Callable[[End], float]) -> Interval:
        """The interval of a figure that grows with every constant, computed at each end."""
        return cls(*(figure(end) for end in ENDS))

    @classmethod
    def exactly(cls, value: float) -> Interval:
        """A figure without an error bar."""
        return cls(value, value, value)

    @classmethod
    def from_dict(cls, told: Mapping[str, float | None]) -> Interval:
        """Read what :meth:`to_dict` gives."""
        likely, low, high = (told[end] for end in ENDS)
        return cls(likely or 0.0, low or 0.0, math.inf if high is None else high)

    @property
    def is_open(self) -> bool:
        """Whether there is no upper end."""
        return math.isinf(self.high)

    @property
    def known(self) -> float | None:
        """The likely figure; None where no term of it is known, which is not 0."""
        return None if self.is_open and self.likely == 0.0 else self.likely

    @property
    def width(self) -> float:
        """From the low end to the high one."""
        return self.high - self.low

    def opened(self) -> Interval:
        """The same without an upper end."""
        return Interval(self.likely, self.low, math.inf)

    def widened(self, error: float) -> Interval:
        """The same with a relative error on top, towards both sides."""
        return Interval(self.likely, self.low * max(0.0, 1 - error), self.high * (1 + error))

    def covers(self, value: float) -> bool:
        """Whether a value lies within."""
        return self.low <= value <= self.high

    def __add__(self, other: Interval) -> Interval:
        return Interval(self.likely + other.likely, self.low + other.low, self.high + other.high)

    def __mul__(self, factor: float) -> Interval:
        return Interval(self.likely * factor, self.low * factor, self.high * factor)

    def __truediv__(self, divisor: float) -> Interval:
        return Interval(self.likely / divisor, self.low / divisor, self.high / divisor)

    def to_dict(self) -> dict[str, float | None]:
        """JSON values: ``high`` is None without an upper end, ``likely`` if nothing is known."""
        return {
            "likely": self.known,
            "low": self.low,
            "high": None if self.is_open else self.high,
        }


NOTHING = Interval(0.0, 0.0, 0.0)


def widest(terms: dict[str, Interval]) -> str | None:
    """The term with the widest bar, an open one before all others; None if none has a bar."""
    name = max(terms, key=lambda n: terms[n].width, default=None)
    return None if name is None or not terms[name].width else name
