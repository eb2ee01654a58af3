"""Energy of the source network on conventional arithmetic, beside that of the spiking one.

References
----------
Horowitz 2014, "Computing's energy problem", ISSCC, doi 10.1109/ISSCC.2014.6757323: 45 nm, 0.9 V.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from neurodeploy.hardware.boards.constant import Constant
from neurodeploy.json_values import Result

_SOURCE = "Horowitz 2014, ISSCC, doi 10.1109/ISSCC.2014.6757323, 45 nm"

OPERATIONS: dict[str, Constant] = {
    "mac_float32": Constant(4.6, "pJ", "derived", f"{_SOURCE}: multiplication 3.7 + addition 0.9"),
    "mac_int32": Constant(3.2, "pJ", "derived", f"{_SOURCE}: multiplication 3.1 + addition 0.1"),
}
"""Energy of one multiply-accumulate. Memory access and static power are not in it."""


@dataclass(frozen=True, slots=True)
class SourceEnergy(Result):
    """Arithmetic of one inference of the source network, its energy by operation."""

    macs: int
    energy_j: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        sources = {name: constant.source for name, constant in OPERATIONS.items()}
        return {**Result.to_dict(self), "sources": sources}


def source_energy(macs: Mapping[str, int]) -> SourceEnergy:
    """Energy of the multiply-accumulates of every node (:func:`neurodeploy.source.analog.macs`)."""
    total = sum(macs.values())
    energy = {name: total * constant.si for name, constant in OPERATIONS.items()}
    return SourceEnergy(total, energy)
