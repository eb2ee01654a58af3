"""Views for notebooks: the tables that the command line prints, as plain HTML."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from neurodeploy.diagnosis.diagnosis import Diagnosis
from neurodeploy.errors import UsageError
from neurodeploy.hardware.price.comparison import EnergyComparison
from neurodeploy.hardware.price.report import EnergyReport
from neurodeploy.network import Network
from neurodeploy.render.deployed import deployed_parts
from neurodeploy.render.deployment import deployment_parts
from neurodeploy.render.diagnosis import diagnosis_parts
from neurodeploy.render.energy import comparison_parts, energy_parts
from neurodeploy.render.evaluation import evaluation_parts
from neurodeploy.render.inference import inference_parts
from neurodeploy.render.markup import parts_of
from neurodeploy.render.netlist import headline, population_table
from neurodeploy.render.verification import verification_parts
from neurodeploy.stages.deployed import Deployed
from neurodeploy.stages.reported import Report
from neurodeploy.targets.base import Deployment
from neurodeploy.verification.accuracy import Evaluation
from neurodeploy.verification.inference import Run
from neurodeploy.verification.verification import Verification

_PARTS: dict[type, Callable[[Any], list[str]]] = {
    Network: lambda net: [headline(net), population_table(net)],
    Deployment: deployment_parts,
    Deployed: deployed_parts,
    Run: inference_parts,
    Evaluation: lambda evaluation: evaluation_parts([evaluation]),
    Verification: verification_parts,
    Diagnosis: diagnosis_parts,
    EnergyReport: energy_parts,
    EnergyComparison: comparison_parts,
}


def html(thing: object) -> str:
    """View of a network, a deployment or a result in a notebook; of a report, the whole page.

    Raises
    ------
    UsageError
        For anything else.
    """
    if isinstance(thing, Report):
        from neurodeploy.render.page.document import page

        return page(thing)
    for kind, parts in _PARTS.items():
        if isinstance(thing, kind):
            return "\n".join(parts_of(parts(thing)))
    raise UsageError(
        f"html: got {type(thing).__name__}; pass a network, a deployment or a result of a stage"
    )
