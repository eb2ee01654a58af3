"""A diagnosis as PNG files: one per layer, and a summary."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurodeploy.diagnosis.diagnosis import Diagnosis
from neurodeploy.diagnosis.layer import LayerDiagnosis
from neurodeploy.diagnosis.split import CAUSES
from neurodeploy.ir.files import directory_whole
from neurodeploy.render.figures import expect_matplotlib, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUMMARY = "summary.png"
COLOURS = dict(zip(CAUSES, ("#4477aa", "#66ccee", "#bbbbbb", "#ee6677", "#ccbb44"), strict=True))
BINS = 60


def write_plots(diagnosis: Diagnosis, folder: Path) -> list[str]:
    """Write ``NN-LAYER.png`` for every layer and ``summary.png``; the folder appears whole.

    Returns
    -------
    list of str
        Names of the files.

    Raises
    ------
    TargetUnavailableError
        If matplotlib is not installed.
    UsageError
        If the folder has other content or cannot be written.
    """
    expect_matplotlib()
    import matplotlib

    digits = len(str(len(diagnosis.layers)))
    written = []
    with matplotlib.rc_context(), directory_whole(folder) as new:
        # A matplotlibrc of the working directory decides nothing: it may even run LaTeX.
        matplotlib.rcdefaults()
        for place, layer in enumerate(diagnosis.layers, 1):
            # Numbered, because two names may differ in what no file name may hold.
            name = f"{place:0{digits}}-{re.sub(r'[^A-Za-z0-9._-]', '_', layer.name)}.png"
            _layer_figure(layer, diagnosis).savefig(
                new / name, dpi=100, metadata={"Software": None}
            )
            written.append(name)
        summary_figure(diagnosis).savefig(new / SUMMARY, dpi=100, metadata={"Software": None})
        written.append(SUMMARY)
    return written


def _layer_figure(layer: LayerDiagnosis, diagnosis: Diagnosis) -> Figure:
    figure = new_figure(13, 4)
    scatter, histogram, bars = figure.subplots(1, 3)
    correlation = "-" if layer.correlation is None else f"{layer.correlation:.4f}"
    figure.suptitle(f"{layer.name}: T = {diagnosis.timesteps}, correlation {correlation}")
    _scatter(scatter, layer)
    _histogram(histogram, layer)
    shares = [100 * (layer.errors[cause] or 0.0) for cause in CAUSES]
    bars.bar([c.replace("_", "\n") for c in CAUSES], shares, color=[COLOURS[c] for c in CAUSES])
    bars.tick_params(axis="x", labelsize="x-small")
    bars.set_ylabel("RMS error in % of the activations")
    return figure


def _scatter(axes: Axes, layer: LayerDiagnosis) -> None:
    x, y = layer.activations, layer.coded
    axes.scatter(x, y, s=4, alpha=0.25, linewidths=0, color="#4477aa")
    ends = [float(min(x.min(), y.min())), float(max(x.max(), y.max()))]
    axes.plot(ends, ends, color="black", linewidth=0.8)
    axes.set_xlabel("activation of the source network")
    axes.set_ylabel("coded value")


def _histogram(axes: Axes, layer: LayerDiagnosis) -> None:
    both: Any = np.concatenate([layer.activations, layer.coded])
    edges: Any = np.histogram_bin_edges(both, BINS)
    axes.hist(layer.activations, edges, histtype="step", color="black", label="activation")
    axes.hist(layer.coded, edges, alpha=0.5, color="#4477aa", label="coded")
    axes.set_yscale("log", nonpositive="clip")
    axes.set_xlabel("value")
    axes.set_ylabel("number")
    axes.legend()


def summary_figure(diagnosis: Diagnosis) -> Figure:
    """Errors by layer and cause, correlations, and accuracy by time step."""
    names = [layer.name for layer in diagnosis.layers]
    figure = new_figure(max(9.0, 0.5 * len(names) + 4), 9)
    errors, correlation, curve = figure.subplots(3, 1)
    places = np.arange(len(names))
    width = 0.8 / len(CAUSES)
    for i, cause in enumerate(CAUSES):
        shares = [100 * (layer.errors[cause] or 0.0) for layer in diagnosis.layers]
        label = cause.replace("_", " ")
        errors.bar(
            places + i * width - 0.4 + width / 2, shares, width, color=COLOURS[cause], label=label
        )
    errors.set_ylabel("RMS error in % of the activations")
    errors.legend(ncols=len(CAUSES), loc="lower center", bbox_to_anchor=(0.5, 1.0))
    known = [np.nan if v.correlation is None else v.correlation for v in diagnosis.layers]
    correlation.plot(places, known, marker="o", color="black")
    correlation.set_ylabel("correlation")
    for axes in (errors, correlation):
        axes.set_xticks(places, names, rotation=45, ha="right", fontsize="small")
    _curve(curve, diagnosis)
    return figure


def _curve(axes: Axes, diagnosis: Diagnosis) -> None:
    if diagnosis.accuracy:
        source = diagnosis.evaluation.source_accuracy
        axes.plot(list(diagnosis.accuracy), [100 * a for a in diagnosis.accuracy.values()], "o-")
        if source is not None:
            axes.axhline(100 * source, color="black", linewidth=0.8, linestyle="--")
        axes.set_ylabel("accuracy in %")
    else:
        for output in diagnosis.outputs:
            T = [e.timesteps for e in diagnosis.evaluations]
            rmse = [e.output_rmse[output.name] for e in diagnosis.evaluations]
            axes.plot(T, rmse, "o-", label=output.name)
        if diagnosis.outputs:
            axes.legend()
        axes.set_ylabel("RMSE of the outputs")
    axes.set_xlabel("time steps")
