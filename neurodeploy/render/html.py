"""Views for notebooks: the tables that the command line prints, as plain HTML."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

from neurodeploy.diagnosis.diagnosis import Diagnosis
from neurodeploy.errors import UsageError
from neurodeploy.hardware.price.comparison import EnergyComparison
from neurodeploy.hardware.price.report import EnergyReport
from neurodeploy.network import Network
from neurodeploy.render.deployment import deployment_parts
from neurodeploy.render.diagnosis import diagnosis_parts
from neurodeploy.render.energy import comparison_parts, energy_parts
from neurodeploy.render.evaluation import evaluation_parts
from neurodeploy.render.inference import inference_parts
from neurodeploy.render.netlist import headline, population_table
from neurodeploy.render.text import Table
from neurodeploy.render.verification import verification_parts
from neurodeploy.targets.base import Deployment
from neurodeploy.verification.accuracy import Evaluation
from neurodeploy.verification.inference import Run
from neurodeploy.verification.verification import Verification

_PARTS: dict[type, Callable[[Any], list[str]]] = {
    Network: lambda net: [headline(net), population_table(net)],
    Deployment: deployment_parts,
    Run: inference_parts,
    Evaluation: lambda evaluation: evaluation_parts([evaluation]),
    Verification: verification_parts,
    Diagnosis: diagnosis_parts,
    EnergyReport: energy_parts,
    EnergyComparison: comparison_parts,
}


def html(thing: object) -> str:
    """View of a network, a deployment or a result in a notebook: text and tables.

    Raises
    ------
    UsageError
        For anything else.
    """
    for kind, parts in _PARTS.items():
        if isinstance(thing, kind):
            return "\n".join(_element(part) for part in parts(thing))
    raise UsageError(
        f"html: got {type(thing).__name__}; pass a network, a deployment or a result of a stage"
    )


def _element(part: str) -> str:
    if not isinstance(part, Table):
        return f"<pre>{escape(part)}</pre>"
    rows = [_row("th", part.columns, part.numeric)]
    rows += [_row("td", cells, part.numeric) for cells in part.cells]
    return "<table>\n" + "\n".join(rows) + "\n</table>"


def _row(tag: str, cells: tuple[str, ...], numeric: tuple[bool, ...]) -> str:
    shown = (
        f'<{tag} style="text-align: {"right" if right else "left"}">{escape(cell)}</{tag}>'
        for cell, right in zip(cells, numeric, strict=True)
    )
    return f"<tr>{''.join(shown)}</tr>"
