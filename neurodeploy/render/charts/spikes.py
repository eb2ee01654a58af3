"""Charts of spikes: rasters, membranes, spikes by step, and how often neurons fire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from neurodeploy.ir.arrays import IntArray
from neurodeploy.render.charts.figure import chart, new_figure, shortened, show_image, tinted, tip
from neurodeploy.render.charts.palette import BLUE, LINE, RED, SERIES
from neurodeploy.verification.spike_activity import SampleActivity, SpikeActivity

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN_POPULATIONS = 14
MOST_SERIES = 14
LEAST_ROWS = 12
"""Rows of a raster that a population takes at least: as high as its name."""


@chart
def raster_figure(
    rasters: Mapping[str, IntArray], first_step: Mapping[str, int], title: str
) -> Figure:
    """Payloads ``[T, n]`` of some neurons of each population, step by step; darker is larger.

    Negative payloads are red. Steps are those of the sample: a window opens when its population's
    first spikes can arrive.
    """
    shown = dict(list(rasters.items())[:SHOWN_POPULATIONS])
    last = max(first_step[name] + len(raster) for name, raster in shown.items())
    heights = [max(LEAST_ROWS, raster.shape[1] + 2) for raster in shown.values()]
    tops = np.cumsum([0, *heights])
    image = np.zeros((int(tops[-1]), last, 4))
    for top, (name, raster) in zip(tops, shown.items(), strict=False):
        levels = np.abs(raster) / max(int(np.abs(raster).max()), 1)
        levels = np.where(raster != 0, 0.25 + 0.75 * levels, 0.0)
        pixels = np.where((raster < 0)[..., None], tinted(levels, RED), tinted(levels, BLUE))
        start, (steps, neurons) = first_step[name], raster.shape
        image[top : top + neurons, start : start + steps] = np.swapaxes(pixels, 0, 1)
    figure = new_figure(7.4, 0.85 + 0.013 * len(image))
    axes: Any = figure.subplots()
    show_image(axes, image, extent=(-0.5, last - 0.5, len(image) - 0.5, -0.5))
    for top in tops[1:-1]:
        axes.axhline(top - 1.5, color=LINE, linewidth=0.6)
    middles = [t + r.shape[1] / 2 for t, r in zip(tops, shown.values(), strict=False)]
    axes.set_yticks(middles, [shortened(name) for name in shown])
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("step")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_title(title)
    return figure


@chart
def membranes_figure(sample: SampleActivity, first_step: Mapping[str, int]) -> Figure:
    """Membranes of the outputs and of some active neurons, with their thresholds dashed."""
    figure = new_figure(7.4, 0.5 + 2.0 * len(sample.traces))
    panels: Any = figure.subplots(len(sample.traces), 1, squeeze=False)[:, 0]
    for axes, (name, traces) in zip(panels, sample.traces.items(), strict=True):
        for trace, colour in zip(traces, SERIES * 2, strict=False):
            steps = first_step[name] + np.arange(len(trace.values))
            style = "-" if len(traces) <= len(SERIES) or trace.neuron < len(SERIES) else ":"
            (line,) = axes.plot(
                steps, trace.values, style, color=colour, linewidth=1.3, label=str(trace.neuron)
            )
            if len(steps) == 1:
                # A line of one point shows nothing.
                line.set(marker="o", markersize=4)
                axes.set_xlim(steps[0] - 0.5, steps[0] + 0.5)
            tip(line, f"{name}, neuron {trace.neuron}: {trace.values[-1]:g} after the last step")
            if trace.threshold is not None:
                axes.axhline(trace.threshold, color=colour, linewidth=0.8, linestyle="--")
        axes.set_title(f"Membranes of {shortened(name)}")
        axes.legend(
            title="neuron", ncols=2, loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8
        )
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.yaxis.set_major_formatter(lambda v, _: f"{v:,g}")
    panels[-1].set_xlabel("step")
    return figure


@chart
def steps_figure(activity: SpikeActivity) -> Figure:
    """Share of the neurons of each population that spike in a step, of its own window."""
    names = list(activity.spikes_per_step)
    figure = new_figure(7.4, max(1.6, 0.75 + 0.27 * len(names)))
    axes: Any = figure.subplots()
    last = max(activity.first_step[name] for name in names) + activity.timesteps
    shares = np.full((len(names), last), np.nan)
    for row, name in enumerate(names):
        start = activity.first_step[name]
        shares[row, start : start + activity.timesteps] = (
            activity.spikes_per_step[name] / activity.neurons[name]
        )
    top = max(float(np.nanmax(shares)), 1e-12)
    show_image(
        axes,
        tinted(np.nan_to_num(shares / top), BLUE),
        extent=(-0.5, last - 0.5, len(names) - 0.5, -0.5),
    )
    axes.set_yticks(range(len(names)), [shortened(name) for name in names])
    axes.set_xlabel("step")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_title(f"Share of neurons that spike in each step; darkest: {100 * top:.1f} %")
    return figure


@chart
def rates_figure(activity: SpikeActivity) -> Figure:
    """How many neurons spike in what share of the steps, population by population."""
    names = [n for n in activity.rates if activity.first_step[n]][:MOST_SERIES]
    figure = new_figure(7.4, max(1.7, 0.8 + 0.27 * len(names)))
    axes: Any = figure.subplots()
    counts = np.stack([activity.rates[name] for name in names]).astype(float)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    show_image(
        axes,
        tinted(np.sqrt(shares), BLUE),
        extent=(-0.5, shares.shape[1] - 0.5, len(names) - 0.5, -0.5),
    )
    for row, share in enumerate(shares):
        for column in np.flatnonzero(share >= 0.1):
            axes.text(
                column, row, f"{100 * share[column]:.0f}", ha="center", va="center", fontsize=7.5
            )
    axes.set_yticks(range(len(names)), [shortened(name) for name in names])
    bins = shares.shape[1] - 1
    axes.set_xticks([0, bins / 2, bins], ["never", "half of them", "every step"])
    axes.set_xlabel("share of the steps in which a neuron spikes")
    axes.set_title("How often neurons spike: per cent of each population's")
    return figure
