"""Figures of matplotlib, those of energies among them."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from neurodeploy.diagnosis.diagnosis import Diagnosis
from neurodeploy.errors import TargetUnavailableError, UsageError
from neurodeploy.hardware.price.comparison import EnergyComparison
from neurodeploy.hardware.price.estimate import EnergyReport

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BAR_WIDTH = 0.4


def expect_matplotlib() -> None:
    """Refuse to plot before any work.

    Raises
    ------
    TargetUnavailableError
        If matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise TargetUnavailableError(
            "plots need matplotlib, which is not installed; pip install 'neurodeploy[report]'"
        ) from error


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of some inches, which notebooks show.

    Raises
    ------
    TargetUnavailableError
        If matplotlib is not installed.
    """
    expect_matplotlib()
    # Not pyplot: it keeps global state, and looks for a display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    class Shown(Figure):
        def _repr_png_(self) -> bytes:
            stream = io.BytesIO()
            self.savefig(stream, format="png", dpi=100, metadata={"Software": None})
            return stream.getvalue()

    figure = Shown(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def energy_figure(reports: Mapping[str, EnergyReport]) -> Figure:
    """Static and dynamic energy per inference on each board, as far as they are known.

    A board that lacks constants says "at least".
    """
    figure = new_figure(2.5 + 1.5 * len(reports), 4)
    axes: Any = figure.subplots()
    known = [
        sum(energy for energy in report.energy_by_event_j.values() if energy is not None)
        for report in reports.values()
    ]
    static = [r.lower_bound_j - j for r, j in zip(reports.values(), known, strict=True)]
    labels = [
        name if report.total_j is not None else f"{name}\n(at least)"
        for name, report in reports.items()
    ]
    places = range(len(labels))
    for values, name, side in ((static, "static", -1), (known, "dynamic", 1)):
        axes.bar([p + side * BAR_WIDTH / 2 for p in places], values, BAR_WIDTH, label=name)
    axes.set_xticks(places, labels)
    axes.set_xlim(-1, len(labels))
    if max(*static, *known) > 0:
        # Boards are orders of magnitude apart.
        axes.set_yscale("log")
    axes.set_ylabel("energy per inference (J)")
    axes.legend()
    return figure


def plot(thing: object) -> Figure:
    """The figure of a result: of an energy report or comparison, or of a diagnosis.

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
        from neurodeploy.render.diagnosis_plots import summary_figure

        return summary_figure(thing)
    raise UsageError(
        f"plot: got {type(thing).__name__}; pass an energy report, a comparison or a diagnosis"
    )
