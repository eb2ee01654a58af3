"""Figures of matplotlib, those of energies among them."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from neurodeploy.diagnosis.diagnosis import Diagnosis
from neurodeploy.errors import TargetUnavailableError, UsageError
from neurodeploy.hardware.price.comparison import EnergyComparison
from neurodeploy.hardware.price.report import EnergyReport

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
    """Likely static and dynamic energy per inference on each board, with their error bars.

    A board that lacks constants says "at least", and its bars have no upper end.
    """
    figure = new_figure(2.5 + 1.5 * len(reports), 4)
    axes: Any = figure.subplots()
    labels = [
        f"{name}\n(at least)" if report.total.is_open else name for name, report in reports.items()
    ]
    places = range(len(labels))
    for name, side in (("static", -1), ("dynamic", 1)):
        bars = [getattr(report, name) for report in reports.values()]
        axes.bar(
            [p + side * BAR_WIDTH / 2 for p in places],
            [bar.likely for bar in bars],
            BAR_WIDTH,
            yerr=(
                [bar.likely - bar.low for bar in bars],
                [0.0 if bar.is_open else bar.high - bar.likely for bar in bars],
            ),
            label=name,
        )
    axes.set_xticks(places, labels)
    axes.set_xlim(-1, len(labels))
    if any(report.total.likely for report in reports.values()):
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
