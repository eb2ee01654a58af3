"""Confidence intervals and exact tests of counts of right or of differing answers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from neurodeploy.json_values import Result

Z95 = 1.959963984540054
"""Two-sided 95 % quantile of the normal distribution."""


def wilson(count: int, n: int) -> tuple[float, float]:
    """95 % interval of a share of which ``count`` of ``n`` were seen.

    References
    ----------
    Wilson 1927, doi 10.1080/01621459.1927.10502953.
    """
    share, z2 = count / n, Z95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(0.0, middle - half), min(1.0, middle + half)


SURE = 0.01
"""Probability below which a difference is no chance."""


def at_least(count: int, n: int, share: float) -> float:
    """Exact probability of ``count`` or more of ``n`` where each happens with ``share``."""
    if count <= 0 or share >= 1:
        return 1.0
    if share <= 0:
        return 0.0
    logs = (
        math.lgamma(n + 1)
        - math.lgamma(k + 1)
        - math.lgamma(n - k + 1)
        + k * math.log(share)
        + (n - k) * math.log1p(-share)
        for k in range(count, n + 1)
    )
    return min(1.0, math.fsum(map(math.exp, logs)))


def can_tell(n: int, chance: float) -> bool:
    """Whether so many samples, if all were right, would be more than chance."""
    return at_least(n, n, chance) <= SURE


def is_chance(correct: int, n: int, chance: float) -> bool:
    """Whether so many of ``n`` are not above chance, though as many could tell."""
    return can_tell(n, chance) and at_least(correct, n, chance) > SURE


@dataclass(frozen=True, slots=True)
class Paired(Result):
    """Two networks on the same samples: only those on which one alone is right tell them apart.

    Parameters
    ----------
    samples : int
    lost : int
        Right by the first alone.
    won : int
        Right by the second alone.

    References
    ----------
    McNemar 1947, doi 10.1007/BF02295996 (here the exact sign test); Tango 1998,
    doi 10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B (the score interval, which
    is no point where no sample tells them apart).
    """

    samples: int
    lost: int
    won: int

    @property
    def loss(self) -> float:
        """Points of accuracy that the second one loses."""
        return 100 * (self.lost - self.won) / self.samples

    @property
    def p(self) -> float:
        """Exact two-sided probability of a split as uneven as this or more where none is better."""
        return min(1.0, 2 * at_least(max(self.lost, self.won), self.lost + self.won, 0.5))

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the loss in points."""
        low = _crossing(lambda d: self._score(d) > Z95)
        high = _crossing(lambda d: self._score(d) > -Z95)
        return 100 * low, 100 * high

    def _score(self, difference: float) -> float:
        n, b, c, d = self.samples, self.lost, self.won, difference
        linear = -b - c + (2 * n - b + c) * d
        root = math.sqrt(max(linear**2 + 8 * n * c * d * (1 - d), 0.0))
        q = (root - linear) / (4 * n)
        variance = n * (2 * q + d * (1 - d))
        above = b - c - n * d
        if not above:
            return 0.0
        return above / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, above)

    def __str__(self) -> str:
        low, high = self.interval
        return (
            f"{self.loss:.1f} points ({low:.1f} .. {high:.1f}; {self.lost} of {self.samples} "
            f"samples lost, {self.won} won)"
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        figures = {"loss": self.loss, "interval": list(self.interval), "p": self.p}
        return {**Result.to_dict(self), **figures}


def _crossing(above: Callable[[float], bool]) -> float:
    """End of a falling condition within [-1, 1], by bisection."""
    low, high = -1.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if above(middle) else (low, middle)
    return (low + high) / 2
