"""The figure of a result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neurodeploy.diagnosis.diagnosis import Diagnosis
from neurodeploy.errors import UsageError
from neurodeploy.hardware.price.comparison import EnergyComparison
from neurodeploy.hardware.price.report import EnergyReport
from neurodeploy.network import Network
from neurodeploy.render.charts.accuracy import accuracy_figure
from neurodeploy.render.charts.boards import energy_figure
from neurodeploy.render.charts.conversion import summary_figure
from neurodeploy.render.charts.network import network_figure
from neurodeploy.verification.accuracy import Evaluation

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot(thing: object) -> Figure:
    """The figure of a result, as it stands in the page.

    Parameters
    ----------
    thing : Network, Evaluation, Diagnosis, EnergyReport or EnergyComparison

    Raises
    ------
    UsageError
        For anything else.
    TargetUnavailableError
        If matplotlib is not installed.
    """
    if isinstance(thing, EnergyReport):
        return energy_figure({thing.board: thing})
    if isinstance(thing, EnergyComparison):
        return energy_figure(thing.reports)
    if isinstance(thing, Diagnosis):
        return summary_figure(thing)
    if isinstance(thing, Evaluation):
        return accuracy_figure({"spiking network": thing})
    if isinstance(thing, Network):
        return network_figure(thing)
    raise UsageError(
        f"plot: got {type(thing).__name__}; pass a network, an evaluation, a diagnosis, an energy "
        "report or a comparison"
    )
