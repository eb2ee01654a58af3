"""A number about hardware: never without its unit, its basis and its source."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from neurodeploy.hardware.boards.interval import End, Interval

Basis = Literal["measured", "published", "vendor tool", "simulated", "fitted", "derived", "assumed"]
BASES: tuple[Basis, ...] = get_args(Basis)

Quantity = Literal["energy", "time", "power", "count"]
UNITS: dict[Quantity, dict[str, float]] = {
    "energy": {"J": 1.0, "mJ": 1e-3, "uJ": 1e-6, "nJ": 1e-9, "pJ": 1e-12, "fJ": 1e-15},
    "time": {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "ps": 1e-12},
    "power": {"W": 1.0, "mW": 1e-3, "uW": 1e-6, "nW": 1e-9},
    "count": {"1": 1.0},
}


@dataclass(frozen=True, slots=True)
class Constant:
    """One constant of a board. What is not known is no constant at all (None), never 0.

    Parameters
    ----------
    value : float
        The likely one, in ``unit``.
    unit : str
        One of :data:`UNITS`.
    basis : str
        One of :data:`BASES`.
    source : str
        Citation, derivation or reason.
    low, high : float or None
        Its interval, in ``unit``; None of counts, which are exact.
    leave_one_out : float or None
        Of a fitted constant: the largest relative error of a row predicted by a fit without it.
    """

    value: float
    unit: str
    basis: Basis
    source: str
    low: float | None = None
    high: float | None = None
    leave_one_out: float | None = None

    @property
    def si(self) -> float:
        """The value in J, s, W or 1.

        Divides by the exact power of ten where the unit is below one, so that 23.6 pJ is the
        double nearest to 23.6e-12.
        """
        return self._si(self.value)

    @property
    def interval(self) -> Interval:
        """Likely, low and high, in J, s, W or 1."""
        return Interval.of(lambda end: self.at(end).si)

    def at(self, end: End) -> Constant:
        """The constant with one end of its interval as its value."""
        given = {"likely": None, "low": self.low, "high": self.high}[end]
        return self if given is None else replace(self, value=given)

    def _si(self, value: float) -> float:
        scale = next(units[self.unit] for units in UNITS.values() if self.unit in units)
        return value * scale if scale >= 1.0 else value / float(round(1.0 / scale))

    def __str__(self) -> str:
        number = _number(self.value)
        if self.low is not None and self.high is not None and self.low < self.high:
            number += f" ({_number(self.low)} .. {_number(self.high)})"
        return number if self.unit == "1" else f"{number} {self.unit}"


def _number(value: float) -> str:
    return f"{value:.0f}" if float(value).is_integer() else f"{value:g}"


def constant_fault(table: Mapping[str, Any], quantity: Quantity) -> str | None:
    """Why a record is no constant of ``quantity``; None if it is one."""
    value, unit, basis = table["value"], table.get("unit", "1"), table["basis"]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"value {value!r} is not a number"
    if not _is_finite(value):
        return f"value {value} is not finite"
    if quantity != "count" and value < 0:
        return f"negative {quantity} {value}"
    if quantity != "count" and value == 0:
        return f"{quantity} of 0; leave the key out if it is unknown, or say included_in"
    if quantity == "count" and not isinstance(value, int):
        return f"value {value} is not a whole number"
    if not isinstance(unit, str) or unit not in UNITS[quantity]:
        return f"unit {unit!r}; expected one of {', '.join(UNITS[quantity])}"
    if basis not in BASES:
        return f"basis {basis!r}; expected one of {', '.join(BASES)}"
    error = table.get("leave_one_out")
    if basis == "fitted" and not _is_share(error):
        return (
            f"fitted, and leave_one_out is {error!r}; give the largest relative error of a row "
            "predicted by a fit without it"
        )
    if basis != "fitted" and error is not None:
        return f"leave_one_out belongs to fitted constants, the basis is {basis!r}"
    return _interval_fault(table, quantity)


def _interval_fault(table: Mapping[str, Any], quantity: Quantity) -> str | None:
    if quantity == "count":
        return None
    low, value, high = (table[name] for name in ("low", "value", "high"))
    for name, end in (("low", low), ("high", high)):
        if isinstance(end, bool) or not isinstance(end, int | float) or not _is_finite(end):
            return f"{name} {end!r} is not a finite number"
        if end < 0:
            return f"negative {name} {end}"
    if low > high:
        return f"low {low} lies above high {high}; swap them"
    if not low <= value <= high:
        return f"value {value} lies outside of low {low} .. high {high}"
    return None


def _is_finite(value: float) -> bool:
    # Whole numbers of a file have any number of digits.
    return abs(value) <= sys.float_info.max


def _is_share(value: object) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and _is_finite(value)
        and value >= 0
    )
