"""The sections of one netlist: charts, and the tables that the command line prints."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.render.boards import board_rows
from neurodeploy.render.charts.accuracy import accuracy_figure, confusion_figure, images_figure
from neurodeploy.render.charts.boards import (
    core_map_figure,
    cores_figure,
    energy_figure,
    events_figure,
)
from neurodeploy.render.charts.conversion import SHOWN_LAYERS, codes_figure, errors_figure
from neurodeploy.render.charts.network import network_figure
from neurodeploy.render.charts.quantization import states_figure
from neurodeploy.render.charts.spikes import (
    membranes_figure,
    raster_figure,
    rates_figure,
    steps_figure,
)
from neurodeploy.render.charts.svg import svg
from neurodeploy.render.charts.tradeoff import Choice, tradeoff_figure
from neurodeploy.render.deployment import violations_table
from neurodeploy.render.diagnosis import diagnosis_parts
from neurodeploy.render.energy import comparison_parts, energy_parts
from neurodeploy.render.evaluation import evaluation_parts
from neurodeploy.render.mapping import placement_parts, utilization_parts
from neurodeploy.render.markup import Markup, Part, element, markup, table
from neurodeploy.render.netlist import population_table, projection_table, provenance_lines
from neurodeploy.render.numbered import LISTED
from neurodeploy.render.page.cards import NETLISTS
from neurodeploy.render.quantization import quantization_parts
from neurodeploy.render.text import Table, optional, render_table
from neurodeploy.render.verification import verification_parts
from neurodeploy.stages.reported import Measured

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CONFUSED_CLASSES = 200
"""Up to so many classes there is a matrix."""


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the page: its anchor, its heading, and what it holds."""

    anchor: str
    heading: str
    content: Markup


def sections(one: Measured, prefix: str) -> Iterator[Section]:
    """Sections of a netlist, in the order of the page; ``prefix`` tells anchors of several apart.

    What could not be measured says why.
    """
    draw = _Charts(prefix)
    for name, heading, make in SECTIONS:
        found = markup(*make(one, draw))
        if not found:
            reason = _reason(one, name)
            if reason is None:
                continue
            found = element("p", f"Not here: {reason}.", class_="note")
        yield Section(f"{prefix}{name}", heading, found)


def _reason(one: Measured, name: str) -> str | None:
    if name in ("tradeoff", "network", "provenance"):
        return None
    if name == "verification":
        told = [f"{part}: {why}" for part, why in one.missing.items() if part.startswith(name)]
        return "; ".join(told) or "no target was named, and no folder of 'deploy' given"
    return one.missing.get(name, one.missing.get("energy", "there is nothing to show"))


class _Charts:
    """Draws charts under names that are unique in the page."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def __call__(self, name: str, figure: Figure, description: str) -> Markup:
        plain = re.sub(r"[^A-Za-z0-9-]", "-", f"{self._prefix}{name}")
        return element("figure", svg(figure, plain, description), class_="chart", data_chart=plain)


def texts(parts: Sequence[str]) -> list[Markup]:
    """Parts as the command line prints them, as paragraphs and tables that scroll by themselves."""
    return [markup for part in parts for markup in _text(part)]


def _text(part: str) -> list[Markup]:
    if isinstance(part, Table):
        return [scrolling(table(part))]
    lines = part.split("\n")
    items = [element("li", line[2:]) for line in lines if line.startswith("- ")]
    others = "\n".join(line for line in lines if not line.startswith("- "))
    listed = [element("ul", *items)] if items else []
    return [element("p", others, class_="text"), *listed]


def scrolling(content: Markup) -> Markup:
    """What is wide scrolls in its own place."""
    return element("div", content, class_="scroll")


def folded(summary: str, *content: Part) -> Markup:
    """Content that opens on demand."""
    return element("details", element("summary", summary), *content)


def picked(label: str, choices: Mapping[str, Part]) -> Markup:
    """One of several: folded one below the other, until the script makes a list of them."""
    rows = [
        element("details", element("summary", name), content, **({"open": ""} if not i else {}))
        for i, (name, content) in enumerate(choices.items())
    ]
    return element("div", rows, class_="pick", data_label=label)


def _network(one: Measured, draw: _Charts) -> Iterator[Part]:
    network = one.network
    yield draw("graph", network_figure(network), "The network as a graph; the table below says it")
    yield texts([population_table(network)])
    yield folded("Projections", texts([projection_table(network)]))


def _accuracy(one: Measured, draw: _Charts) -> Iterator[Part]:
    evaluation = one.evaluation
    if evaluation is None:
        return
    curves = {NETLISTS[name]: e for name, e in one.evaluations.items() if e.prefix_accuracy}
    if curves:
        yield draw("accuracy", accuracy_figure(curves), "Accuracy over the steps")
    for name, found in one.evaluations.items():
        parts = texts(evaluation_parts([found]))
        own = found is evaluation
        yield element("h3", NETLISTS[name]) if own else None
        yield parts if own else folded(NETLISTS[name], parts)
    if one.labels is not None and evaluation.decided is not None:
        (output,) = one.network.netlist.outputs
        (classes,) = one.network.netlist.by_name[output.population].shape
        if classes <= CONFUSED_CLASSES:
            matrix = confusion_figure(one.labels, evaluation.decided, classes)
            yield draw("confusion", matrix, "Confusion matrix; rows are labels")
    changed = one.changed
    if changed is None:
        return
    n = changed.total
    yield element("h3", f"{n} sample{'s' * (n != 1)} changed class")
    few = f", the first {len(changed.indices)}" * (len(changed.indices) < n)
    told = f"Class of the source network → of the spiking one{few}; # is the place in the data."
    yield element("p", told, class_="note") if n else None
    if not n:
        yield element("p", "Every sample gets the class that the source network gives.")
        return
    captions = [
        f"#{i}: {a} → {b}" + ("" if label < 0 else f"\nlabel {label}")
        for i, label, a, b in zip(
            changed.indices, changed.labels, changed.before, changed.after, strict=True
        )
    ]
    if changed.images.ndim == 4 and changed.images.shape[1] in (1, 3):
        description = "; ".join(caption.replace("\n", ", ") for caption in captions)
        yield draw("changed", images_figure(changed.images, captions), description)
    else:
        yield element("ul", [element("li", caption) for caption in captions])


def _conversion(one: Measured, draw: _Charts) -> Iterator[Part]:
    diagnosis = one.diagnosis
    if diagnosis is None:
        return
    yield draw("errors", errors_figure(diagnosis), "Error of each layer by cause")
    yield texts(diagnosis_parts(diagnosis)[:4])
    yield draw("codes", codes_figure(diagnosis), "Coded values against activations, by layer")
    if len(diagnosis.layers) > SHOWN_LAYERS:
        yield element("p", f"The first {SHOWN_LAYERS} layers are drawn.", class_="note")


def _spikes(one: Measured, draw: _Charts) -> Iterator[Part]:
    activity = one.activity
    if activity is None:
        return
    choices: dict[str, Part] = {}
    for sample in activity.shown:
        told = f"Spikes of sample {sample.index}, up to 64 neurons of a population"
        raster = {n: r for n, r in sample.rasters.items() if r.size}
        content: list[Part] = []
        if raster:
            drawn = raster_figure(raster, activity.first_step, told)
            content.append(draw(f"raster-{sample.index}", drawn, told))
        if sample.traces:
            drawn = membranes_figure(sample, activity.first_step)
            described = f"Membranes of sample {sample.index}"
            content.append(draw(f"membranes-{sample.index}", drawn, described))
        label = "" if one.labels is None else f", label {int(one.labels[sample.index])}"
        choices[f"Sample {sample.index}{label}"] = content
    yield picked("Sample", choices)
    if activity.spikes_per_step:
        yield draw("steps", steps_figure(activity), "Share of neurons that spike in each step")
    if any(activity.first_step[name] for name in activity.rates):
        yield draw("rates", rates_figure(activity), "How often neurons spike, by population")
    n = activity.samples
    yield element("p", f"Mean of {n} sample{'s' * (n != 1)}.", class_="note")


def _quantization(one: Measured, draw: _Charts) -> Iterator[Part]:
    told = one.network.provenance.get("quantization")
    if not isinstance(one.network.netlist, IntegerNetlist) or not isinstance(told, Mapping):
        return
    rows = list(told.get("report", ()))
    if rows:
        bounds = states_figure(rows, int(told["state_bits"]))
        yield draw("states", bounds, "Worst state of each layer against its limit")
        yield texts(quantization_parts(rows))


def _verification(one: Measured, draw: _Charts) -> Iterator[Part]:
    for target, result in one.verifications.items():
        yield element("h3", f"Target {target}")
        yield texts(verification_parts(result))
        if result.divergences:
            rows = [
                (
                    executor,
                    d.sample,
                    d.step,
                    f"{d.population}{list(d.neuron)}",
                    d.deployment_spike,
                    d.executor_spike,
                    d.deployment_membrane,
                    d.executor_membrane,
                )
                for executor, d in result.divergences.items()
            ]
            headings = ("first divergence from", "sample", "step", "neuron", f"spike: {target}")
            both = ("spike: the other", f"membrane: {target}", "membrane: the other")
            yield texts([render_table((*headings, *both), rows)])


def _boards(one: Measured, draw: _Charts) -> Iterator[Part]:
    refused = {name: v for name, v in one.verdicts.items() if not v.fits}
    if one.energy is not None:
        reports = one.energy.reports
        yield draw("energy", energy_figure(reports), "Energy per inference on each board")
        yield texts(comparison_parts(one.energy))
        yield draw("events", events_figure(reports), "What the energy is of, by event")
        yield picked("Board", {name: list(_board(one, name, draw)) for name in reports})
    for name, found in refused.items():
        yield element("h3", f"{name} {found.answer}")
        n, reasons = len(found.violations), texts([violations_table(found.violations)])
        yield reasons if n <= LISTED else folded(f"All {n} reasons", reasons)
        yield element("p", found.remedy, class_="text") if found.remedy else None


def _board(one: Measured, name: str, draw: _Charts) -> Iterator[Part]:
    assert one.energy is not None
    report = one.energy.reports[name]
    board = one.boards.get(name)
    if report.cores_detail:
        grid = None if board is None else board.grid
        maps: dict[str, Part] = {
            "load": draw(
                f"load-{name}",
                core_map_figure(report, grid, "load"),
                f"Cores of {name} by load",
            )
        }
        if any(core.energy_j for core in report.cores_detail):
            drawn = core_map_figure(report, grid, "energy")
            maps["energy"] = draw(f"cores-{name}", drawn, f"Cores of {name} by energy")
        yield picked("Colour", maps)
    if any(layer.cores > 1 for layer in report.layers):
        yield draw(f"bound-{name}", cores_figure(report), f"Cores of {name} against bounds")
    if report.layers:
        yield texts(utilization_parts(report.layers))
    if report.placement is not None:
        chosen = report.placement["chosen"]
        yield texts(placement_parts(report.placement))
        yield element(
            "p",
            f"links: {chosen['packets_over_busiest_link']:.1f} packets of an inference over the "
            f"busiest link, {chosen['packets']:.1f} in all",
            class_="text",
        )
    yield folded("Events and terms", texts(energy_parts(report)[1:]))


def _tradeoff(one: Measured, draw: _Charts) -> Iterator[Part]:
    steps = shortened_runs(one)
    if len(steps) > 1:
        title = "What a shorter run costs"
        drawn = tradeoff_figure(steps, "spikes until that step", "accuracy in %", title)
        yield draw("steps-cost", drawn, f"{title}: spikes against accuracy")
    choices, units = tried(one)
    if len(choices) > 1:
        title = "What the automatic conversion tried"
        drawn = tradeoff_figure(choices, "spikes per inference", units, title)
        yield draw("tried", drawn, f"{title}: spikes against accuracy")
    auto = one.network.provenance.get("auto")
    if isinstance(auto, Mapping) and auto.get("tried"):
        rows = [
            (
                r["method"],
                r["timesteps"],
                optional("{:.1f}".format, r.get("spikes")),
                r.get("text") or r.get("refused") or "",
            )
            for r in auto["tried"]
        ]
        yield element("h3", "What the automatic conversion tried")
        yield element("p", auto.get("reason") or "", class_="text")
        yield texts([render_table(("method", "T", "spikes per inference", "result"), rows)])


def shortened_runs(one: Measured) -> list[Choice]:
    """Had the run ended at each step: spikes until then, and the accuracy."""
    evaluation, activity = one.evaluation, one.activity
    if evaluation is None or activity is None or not evaluation.prefix_accuracy:
        return []
    inner = [v for name, v in activity.spikes_per_step.items() if activity.first_step[name]]
    if not inner:
        return []
    spikes = np.cumsum(np.sum(inner, axis=0))
    T = evaluation.timesteps
    return [
        Choice(f"T = {t}", float(spikes[t - 1]), 100 * share, t == T)
        for t, share in evaluation.prefix_accuracy.items()
    ]


def tried(one: Measured) -> tuple[list[Choice], str]:
    """What the automatic conversion tried: spikes, and accuracy lost as a negative number."""
    auto = one.network.provenance.get("auto")
    if not isinstance(auto, Mapping):
        return [], ""
    method = one.network.provenance.get("method", {})
    used = (method.get("name"), method.get("timesteps"))
    rows = [r for r in auto.get("tried") or () if r.get("loss") is not None and r.get("spikes")]
    choices = [
        Choice(
            f"{row['method']}, T = {row['timesteps']}",
            float(row["spikes"]),
            -float(row["loss"]),
            (row["method"], row["timesteps"]) == used,
        )
        for row in rows
    ]
    measure = next((row.get("measure") for row in rows), None)
    unit = "points of accuracy" if measure in (None, "loss") else str(measure)
    return choices, f"{unit}, against the source network"


def _provenance(one: Measured, draw: _Charts) -> Iterator[Part]:
    told = dict(one.network.provenance)
    if isinstance(told.get("auto"), Mapping):
        # What it tried has a table of its own.
        told["auto"] = {k: v for k, v in told["auto"].items() if k != "tried"}
    lines = provenance_lines(told, 0)
    yield element("pre", "\n".join(lines))
    for name, board in one.boards.items():
        constants = render_table(("constant", "value", "basis", "source"), list(board_rows(board)))
        yield folded(f"Constants of {name}, with their sources", texts([constants]))


SECTIONS: tuple[tuple[str, str, Callable[[Measured, _Charts], Iterator[Part]]], ...] = (
    ("network", "Network", _network),
    ("accuracy", "Accuracy", _accuracy),
    ("conversion", "Conversion", _conversion),
    ("spikes", "Spikes", _spikes),
    ("quantization", "Quantization", _quantization),
    ("verification", "Verification", _verification),
    ("boards", "Boards", _boards),
    ("tradeoff", "Trade-off", _tradeoff),
    ("provenance", "Provenance and constants", _provenance),
)
