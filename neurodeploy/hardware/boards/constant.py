"""A number about hardware: never without its unit, its basis and its source."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

Basis = Literal["measured", "published", "simulated", "derived", "assumed"]
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
        In ``unit``.
    unit : str
        One of :data:`UNITS`.
    basis : {"measured", "published", "simulated", "derived", "assumed"}
    source : str
        Citation, derivation or reason.
    """

    value: float
    unit: str
    basis: Basis
    source: str

    @property
    def si(self) -> float:
        """The value in J, s, W or 1.

        Divides by the exact power of ten where the unit is below one, so that 23.6 pJ is the
        double nearest to 23.6e-12.
        """
        scale = next(units[self.unit] for units in UNITS.values() if self.unit in units)
        return self.value * scale if scale >= 1.0 else self.value / float(round(1.0 / scale))

    def __str__(self) -> str:
        number = f"{self.value:g}" if not float(self.value).is_integer() else f"{self.value:.0f}"
        return number if self.unit == "1" else f"{number} {self.unit}"


def constant_fault(value: object, unit: object, basis: object, quantity: Quantity) -> str | None:
    """Why a record is no constant of ``quantity``; None if it is one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"value {value!r} is not a number"
    if not math.isfinite(value):
        return f"value {value} is not finite"
    if quantity != "count" and value < 0:
        return f"negative {quantity} {value}"
    if quantity != "count" and value == 0:
        return f"{quantity} of 0; leave the key out if it is unknown, or say included_in"
    if quantity == "count" and not isinstance(value, int):
        return f"value {value} is not a whole number"
    if unit not in UNITS[quantity]:
        return f"unit {unit!r}; expected one of {', '.join(UNITS[quantity])}"
    if basis not in BASES:
        return f"basis {basis!r}; expected one of {', '.join(BASES)}"
    return None
