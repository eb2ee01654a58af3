"""Charts of a diagnosis: what each layer loses, to what, and what it codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neurodeploy.diagnosis.diagnosis import Diagnosis
from neurodeploy.diagnosis.layer import LayerDiagnosis
from neurodeploy.diagnosis.split import CAUSES
from neurodeploy.render.charts.figure import (
    chart,
    name_ticks,
    new_figure,
    shortened,
    show_image,
    tinted,
    tip,
)
from neurodeploy.render.charts.palette import BLUE, CYAN, GREY, MUTED, RED, TEXT, YELLOW

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = dict(zip(CAUSES, (BLUE, CYAN, GREY, RED, YELLOW), strict=True))
ERROR_LABEL = "RMS error in % of the activations"
BINS = 60
CELLS = 48
"""Cells of a density, on each side."""

SHOWN_LAYERS = 12


@chart
def errors_figure(diagnosis: Diagnosis) -> Figure:
    """Errors of every layer by cause."""
    figure = new_figure(_width(diagnosis), 3.4)
    _errors(figure.subplots(), diagnosis)
    return figure


@chart
def codes_figure(diagnosis: Diagnosis) -> Figure:
    """Coded values against the activations that they stand for, layer by layer."""
    layers = diagnosis.layers[:SHOWN_LAYERS]
    across = min(4, len(layers))
    down = -(-len(layers) // across)
    figure = new_figure(max(5.2, 2.0 * across), 0.45 + 2.0 * down)
    grid: Any = figure.subplots(down, across, squeeze=False)
    for axes in grid.flat[len(layers) :]:
        axes.set_axis_off()
    for axes, layer in zip(grid.flat, layers, strict=False):
        _density(axes, layer)
        axes.set_title(shortened(layer.name), fontsize=9)
    figure.supxlabel("activation of the source network", fontsize=9.5)
    figure.supylabel("coded value", fontsize=9.5)
    return figure


@chart
def layer_figure(layer: LayerDiagnosis, diagnosis: Diagnosis) -> Figure:
    """One layer: its code beside the activations, both histograms, and the error by cause."""
    figure = new_figure(13, 4)
    scatter, histogram, bars = figure.subplots(1, 3)
    correlation = "-" if layer.correlation is None else f"{layer.correlation:.4f}"
    figure.suptitle(f"{layer.name}: T = {diagnosis.timesteps}, correlation {correlation}")
    _scatter(scatter, layer)
    _histogram(histogram, layer)
    shares = [100 * (layer.errors[cause] or 0.0) for cause in CAUSES]
    bars.bar([c.replace("_", "\n") for c in CAUSES], shares, color=[COLOURS[c] for c in CAUSES])
    bars.tick_params(axis="x", labelsize="x-small")
    bars.set_ylabel(ERROR_LABEL)
    bars.set_title("Error by cause")
    return figure


@chart
def summary_figure(diagnosis: Diagnosis) -> Figure:
    """Errors by layer and cause, correlations, and accuracy by time step."""
    figure = new_figure(max(9.0, _width(diagnosis)), 10)
    errors, correlation, curve = figure.subplots(3, 1)
    _errors(errors, diagnosis)
    known = [np.nan if v.correlation is None else v.correlation for v in diagnosis.layers]
    correlation.plot(range(len(known)), known, marker="o", color=BLUE, label="Pearson's")
    correlation.set_ylabel("correlation")
    correlation.set_title("Correlation of coded values with activations")
    name_ticks(correlation, [layer.name for layer in diagnosis.layers])
    _note_zoom(correlation)
    _curve(curve, diagnosis)
    return figure


def _width(diagnosis: Diagnosis) -> float:
    return max(7.2, 0.55 * len(diagnosis.layers) + 2)


def _errors(axes: Any, diagnosis: Diagnosis) -> None:
    places = np.arange(len(diagnosis.layers))
    width = 0.8 / len(CAUSES)
    for i, cause in enumerate(CAUSES):
        shares = [100 * (layer.errors[cause] or 0.0) for layer in diagnosis.layers]
        if cause == "weight_bits" and all(v.errors[cause] is None for v in diagnosis.layers):
            continue
        label = cause.replace("_", " ")
        bars = axes.bar(
            places + i * width - 0.4 + width / 2, shares, width, color=COLOURS[cause], label=label
        )
        for bar, layer, share in zip(bars, diagnosis.layers, shares, strict=True):
            tip(bar, f"{layer.name}, {label}: {share:.2f} %")
    axes.set_ylabel(ERROR_LABEL)
    axes.set_title("Error of each layer by cause", pad=22)
    axes.legend(ncols=len(CAUSES), loc="lower left", bbox_to_anchor=(-0.01, 0.99), borderpad=0)
    name_ticks(axes, [layer.name for layer in diagnosis.layers])


def _ends(layer: LayerDiagnosis) -> list[float]:
    x, y = layer.activations, layer.coded
    low, high = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
    return [low, high if high > low else low + 1.0]


def _density(axes: Axes, layer: LayerDiagnosis) -> None:
    ends = _ends(layer)
    counts, _, _ = np.histogram2d(layer.coded, layer.activations, CELLS, range=(ends, ends))
    levels = np.log1p(counts) / max(float(np.log1p(counts).max()), 1e-12)
    show_image(axes, tinted(levels, BLUE), origin="lower", extent=(*ends, *ends), aspect="equal")
    axes.plot(ends, ends, color=MUTED, linewidth=0.8)


def _scatter(axes: Axes, layer: LayerDiagnosis) -> None:
    axes.scatter(
        *(layer.activations, layer.coded), s=4, alpha=0.25, linewidths=0, color=BLUE, label="neuron"
    )
    ends = _ends(layer)
    axes.plot(ends, ends, color=TEXT, linewidth=0.8, label="the same")
    axes.set_xlabel("activation of the source network")
    axes.set_ylabel("coded value")
    axes.set_title("Coded values against activations")
    axes.legend()


def _histogram(axes: Axes, layer: LayerDiagnosis) -> None:
    both: Any = np.concatenate([layer.activations, layer.coded])
    edges: Any = np.histogram_bin_edges(both, BINS)
    axes.hist(layer.activations, edges, histtype="step", color=TEXT, label="activation")
    axes.hist(layer.coded, edges, alpha=0.5, color=BLUE, label="coded")
    axes.set_yscale("log", nonpositive="clip")
    axes.set_xlabel("value")
    axes.set_ylabel("number")
    axes.set_title("Histograms (logarithmic axis)")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.legend()


def _curve(axes: Any, diagnosis: Diagnosis) -> None:
    axes.set_xlabel("time steps")
    if diagnosis.accuracy:
        source = diagnosis.evaluation.source_accuracy
        steps, shares = list(diagnosis.accuracy), [100 * a for a in diagnosis.accuracy.values()]
        axes.plot(steps, shares, "o-", color=BLUE, label="spiking network")
        if source is not None:
            axes.axhline(
                100 * source, color=MUTED, linewidth=1, linestyle="--", label="source network"
            )
        axes.set_ylabel("accuracy in %")
        axes.set_title("Accuracy over the steps")
    else:
        for output in diagnosis.outputs:
            T = [e.timesteps for e in diagnosis.evaluations]
            rmse = [e.output_rmse[output.name] for e in diagnosis.evaluations]
            axes.plot(T, rmse, "o-", label=output.name)
        axes.set_ylabel("RMSE of the outputs")
        axes.set_title("Error of the outputs over the steps")
    if axes.get_lines():
        axes.legend()
    _note_zoom(axes)


def _note_zoom(axes: Any) -> None:
    """Say that an axis does not begin at 0, where it does not."""
    low, _ = axes.get_ylim()
    if low > 0:
        axes.text(
            *(0.995, 0.02, f"zoomed: the axis begins at {low:.4g}, not at 0"),
            transform=axes.transAxes,
            ha="right",
            fontsize=8,
            color=MUTED,
            fontstyle="italic",
        )
