"""One network on several boards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from neurodeploy.hardware.price.estimate import EnergyReport


@dataclass(frozen=True, slots=True)
class EnergyComparison:
    """Energy and time per inference on every board that holds the network.

    Parameters
    ----------
    boards : tuple of str
        In the order asked for.
    reports : mapping of board to EnergyReport
    refused : mapping of board to str
        Why the others do not hold it.
    """

    boards: tuple[str, ...]
    reports: Mapping[str, EnergyReport]
    refused: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """JSON values: what each report gives, or ``refused`` with the reason."""
        return {
            "boards": {
                name: self.reports[name].to_dict()
                if name in self.reports
                else {"board": name, "refused": self.refused[name]}
                for name in self.boards
            }
        }
