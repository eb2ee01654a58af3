"""Predicted against measured: errors of cores, and the rates that would explain the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.energy_validation.points import Point
from benchmarks.energy_validation.prediction import Prediction, predict
from neurodeploy.render.quantities import with_bar

AIMS: Mapping[str, float] = {"cores": 0.10, "chips": 0.0}
"""Energy and time of networks whose weights are not published are not judged."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One point with one set of constants, at all factors of its rates."""

    point: Point
    predictions: tuple[Prediction, ...]

    @property
    def constants(self) -> str:
        return self.predictions[0].constants

    @property
    def nominal(self) -> Prediction:
        """At the frozen rates."""
        return next(p for p in self.predictions if p.factor == 1.0)

    def error(self, figure: str, prediction: Prediction) -> float:
        """Predicted over measured, less 1."""
        return prediction.figure(figure) / self.point.measured[figure].value - 1

    def met(self, figure: str) -> bool:
        """Whether the aim is met at the frozen rates; of cores and chips alone."""
        return abs(self.error(figure, self.nominal)) <= AIMS[figure]

    def rate_factor(self, figure: str) -> float | None:
        """Factor of all rates that alone would bring energy or time to what was measured.

        Both are nearly linear in the rates, so that the two outer factors give the line. None
        where they do not depend on them, or no positive factor does.
        """
        low, high = self.predictions[0], self.predictions[-1]
        slope = (high.figure(figure) - low.figure(figure)) / (high.factor - low.factor)
        if slope <= 0:
            return None
        missing = self.point.measured[figure].value - self.nominal.figure(figure)
        factor = self.nominal.factor + missing / slope
        return factor if factor > 0 else None


def compare(point: Point, factors: Sequence[float]) -> list[Comparison]:
    """A point with every set of constants of its board."""
    return [
        Comparison(point, tuple(predict(point, constants, tuple(factors))))
        for constants in point.board.constants
    ]


def explained_by(comparison: Comparison) -> list[str]:
    """Which rates would explain what was measured, and what is left open, in sentences."""
    found = comparison.nominal
    factors = {name: comparison.rate_factor(name) for name in ("time", "energy")}
    told = " and ".join(f"{f:.1f} x those assumed the {n}" for n, f in factors.items() if f)
    accounts = ", ".join(f"{n} {with_bar(j, 'J')}" for n, j in found.accounts.items())
    return [
        f"{found.constants}: rates {told} would explain",
        f"  energy: {accounts}",
        f"  time {with_bar(found.time, 's')}; open: {', '.join(found.unknown)}",
    ]
