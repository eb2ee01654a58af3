"""One network on several boards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from neurodeploy.hardware.fit import Verdict
from neurodeploy.hardware.price.report import EnergyReport
from neurodeploy.notebook import Plotted, data_frame

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class EnergyComparison(Plotted):
    """Energy and time per inference on every board that runs the network.

    Parameters
    ----------
    boards : tuple of str
        In the order asked for.
    reports : mapping of board to EnergyReport
    refused : mapping of board to Verdict
        Why the others do not run it.
    """

    boards: tuple[str, ...]
    reports: Mapping[str, EnergyReport]
    refused: Mapping[str, Verdict]

    def __repr__(self) -> str:
        found = ", ".join(f"{n}: {r.energy_text}" for n, r in self.reports.items())
        refused = f"; refused by {', '.join(self.refused)}" if self.refused else ""
        return f"EnergyComparison({found}{refused})"

    def cores_frame(self) -> pd.DataFrame:
        """The cores of all boards, one a row, as :meth:`EnergyReport.cores_frame` gives them."""
        return data_frame([row for r in self.reports.values() for row in r.core_rows()])

    def to_dict(self) -> dict[str, Any]:
        """JSON values: what each report gives, or ``refused`` with the reason."""
        return {
            "boards": {
                name: self.reports[name].to_dict()
                if name in self.reports
                else {
                    "board": name,
                    "refused": str(self.refused[name]),
                    "verdict": self.refused[name].to_dict(),
                }
                for name in self.boards
            }
        }
