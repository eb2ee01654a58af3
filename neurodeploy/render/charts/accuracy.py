"""Charts of accuracies: over the steps, by class, and the samples whose class changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from neurodeploy.ir.arrays import AnyArray
from neurodeploy.render.charts.figure import chart, new_figure, show_image, tinted, tip
from neurodeploy.render.charts.palette import BLUE, MUTED, RED, SERIES
from neurodeploy.verification.accuracy import Evaluation
from neurodeploy.verification.statistics import wilson

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COUNTED_CLASSES = 25
"""Up to so many classes the matrix tells its counts."""

SHOWN_IMAGES = 12


@chart
def accuracy_figure(evaluations: Mapping[str, Evaluation]) -> Figure:
    """Accuracy had the run ended at each step, of networks by what they are called."""
    figure = new_figure(7.2, 3.3)
    axes: Any = figure.subplots()
    source, n = None, 0
    for (name, evaluation), colour in zip(evaluations.items(), SERIES, strict=False):
        steps = np.array(sorted(evaluation.prefix_accuracy))
        n, source = evaluation.samples, evaluation.source_accuracy
        shares = np.array([evaluation.prefix_accuracy[int(t)] for t in steps])
        ends = np.array([wilson(round(float(a) * n), n) for a in shares])
        axes.fill_between(steps, *(100 * ends.T), color=colour, alpha=0.13, linewidth=0)
        axes.plot(steps, 100 * shares, color=colour, label=name, linewidth=1.6)
        for t, share in zip(steps, shares, strict=True):
            if len(steps) <= 64 or t == steps[-1]:
                (point,) = axes.plot([t], [100 * share], "o", color=colour, markersize=3)
                tip(point, f"{name}, step {t}: {100 * share:.2f} %")
    if source is not None:
        line = axes.axhline(100 * source, color=MUTED, linestyle="--", label="source network")
        tip(line, f"source network: {100 * source:.2f} %")
    axes.set_xlabel("had the run ended at step")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_ylabel(f"accuracy in %, {n} samples")
    axes.set_title("Accuracy over the steps, with 95 % intervals")
    axes.set_ylim(0, 101)
    if max((e.timesteps for e in evaluations.values()), default=0) == 1:
        axes.set_xlim(0, 2)
    axes.legend(loc="lower right")
    return figure


@chart
def confusion_figure(labels: AnyArray, decided: AnyArray, classes: int) -> Figure:
    """How many samples of each class got each class; rows are labels."""
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (labels, decided), 1)
    size = 4.6 if classes <= COUNTED_CLASSES else 5.6
    figure = new_figure(size, size * 0.94)
    axes: Any = figure.subplots()
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    right = np.eye(classes, dtype=bool)
    image = np.where(
        right[..., None], tinted(0.75 * share, BLUE), tinted(np.sqrt(share) * 0.85, RED)
    )
    show_image(axes, image, aspect="equal")
    if classes <= COUNTED_CLASSES:
        for row, column in np.argwhere(counts):
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=8)
        axes.set_xticks(range(classes))
        axes.set_yticks(range(classes))
    axes.tick_params(length=0)
    axes.set_xlabel("class of the spiking network")
    axes.set_ylabel("label")
    axes.set_title("Confusion matrix")
    return figure


@chart
def images_figure(images: AnyArray, captions: Sequence[str]) -> Figure:
    """Samples ``[N, channels, rows, columns]`` of one or three channels, in a row or two."""
    images, captions = images[:SHOWN_IMAGES], captions[:SHOWN_IMAGES]
    across = min(6, max(3, len(images)))
    down = -(-len(images) // across)
    figure = new_figure(1.2 * across, 0.1 + 1.55 * down)
    grid: Any = figure.subplots(down, across, squeeze=False)
    low, high = float(images.min()), float(images.max())
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, image, caption in zip(grid.flat, images, captions, strict=False):
        _picture(axes, (image - low) / max(high - low, 1e-12))
        axes.set_title(caption, fontsize=8.5, fontweight="normal", loc="center", linespacing=1.25)
    return figure


def _picture(axes: Axes, image: AnyArray) -> None:
    if len(image) == 3:
        show_image(axes, np.round(255 * np.moveaxis(image, 0, -1)).astype(np.uint8), aspect="equal")
    else:
        show_image(axes, np.repeat(image[0][..., None], 3, axis=-1), aspect="equal")
