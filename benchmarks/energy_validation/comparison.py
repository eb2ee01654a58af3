"""Predicted against measured: errors, and which assumption carries them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.energy_validation.points import Point
from benchmarks.energy_validation.prediction import Prediction, predict

AIMS: Mapping[str, float] = {"cores": 0.10, "chips": 0.0, "energy": 0.25, "time": 0.25}


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
        """Whether the aim is met at the frozen rates."""
        return abs(self.error(figure, self.nominal)) <= AIMS[figure]

    def rate_factor(self, figure: str) -> float | None:
        """Factor of all rates that alone would bring energy or time to what was measured.

        Both are nearly linear in the rates, so that the two outer factors give the line. None
        where they do not depend on them.
        """
        low, high = self.predictions[0], self.predictions[-1]
        slope = (high.figure(figure) - low.figure(figure)) / (high.factor - low.factor)
        if slope <= 0:
            return None
        missing = self.point.measured[figure].value - self.nominal.figure(figure)
        return self.nominal.factor + missing / slope

    def energy_at_measured_time(self, *, overhead: bool = False) -> float:
        """Energy with the measured time in place of the predicted one, in J.

        ``overhead``: with the alternative assumption of points.toml added.
        """
        found, time = self.nominal, self.point.measured["time"].value
        power = found.static_w
        if overhead:
            power += found.overhead_j / found.time_s
        return sum(found.dynamic_j.values()) + power * time

    def missing_per_step_s(self) -> float:
        """Measured less predicted time of a step."""
        return (self.point.measured["time"].value - self.nominal.time_s) / self.nominal.steps


def compare(point: Point, factors: Sequence[float]) -> list[Comparison]:
    """A point with every set of constants of its board."""
    return [
        Comparison(point, tuple(predict(point, constants, tuple(factors))))
        for constants in point.board.constants
    ]


def carried_by(comparison: Comparison) -> list[str]:
    """What the errors of time and energy rest on, in sentences."""
    found, point = comparison.nominal, comparison.point
    measured = {name: figure.value for name, figure in point.measured.items()}
    dynamic = sum(found.dynamic_j.values())
    parts = ", ".join(f"{kind} {1e3 * j:.3g}" for kind, j in found.dynamic_j.items())
    lines = [
        f"energy: {1e3 * found.energy_j:.3g} mJ = static {1e3 * found.static_j:.3g} + {parts}; "
        f"measured {1e3 * measured['energy']:.3g} mJ",
        f"time: {1e6 * found.time_s / found.steps:.3g} us a step (barrier "
        f"{1e6 * found.barrier_s / found.steps:.2g}); measured "
        f"{1e6 * measured['time'] / found.steps:.3g} us, "
        f"{1e6 * comparison.missing_per_step_s():.3g} us a step unexplained",
    ]
    if comparison.met("time"):
        return lines
    factor = comparison.rate_factor("time")
    if factor is not None:
        outside = (
            not comparison.predictions[0].factor <= factor <= comparison.predictions[-1].factor
        )
        verdict = "outside the range, so that they do not carry" if outside else "they may carry"
        lines.append(
            f"  rates {factor:.1f} x as assumed would explain the time: {verdict} its error"
        )
    if found.unpriced:
        crossings = sum(found.unpriced.values()) / found.steps
        each = comparison.missing_per_step_s() / crossings
        lines.append(
            f"  assumption that carries it: links between chips take no time ({crossings:,.0f} "
            f"crossings a step; {1e9 * each:.2g} ns for each would close the gap), nor do embedded "
            "processors"
        )
    else:
        lines.append(
            "  assumption that carries it: a step ends with its busiest core and the barrier; "
            "embedded processors (management of a step, reset between samples) take no time"
        )
    plain = comparison.energy_at_measured_time()
    added = comparison.energy_at_measured_time(overhead=True)
    lines += [
        f"energy with the measured time: {1e3 * plain:.3g} mJ ({_signed(plain, measured)}): "
        f"static {1e3 * (plain - dynamic):.3g} mJ at {1e3 * found.static_w:.0f} mW",
        f"  and with {1e3 * point.board.alternative.power_w:.0f} mW of processors per "
        f"{point.board.alternative.per}: {1e3 * added:.3g} mJ ({_signed(added, measured)})",
    ]
    return lines


def _signed(energy_j: float, measured: Mapping[str, float]) -> str:
    return f"{100 * (energy_j / measured['energy'] - 1):+.0f} %"
