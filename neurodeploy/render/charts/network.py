"""The network as a graph: operations of its source beside the populations that stand for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from neurodeploy.ir.netlist import IntegerNetlist, RealNetlist
from neurodeploy.ir.printer import shape_text
from neurodeploy.network import Network
from neurodeploy.render.charts.figure import chart, new_figure, shortened, tip
from neurodeploy.render.charts.palette import BLUE, GREEN, LINE, MUTED, PURPLE, TEXT
from neurodeploy.render.netlist import summarize_network

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROW = 0.42
"""Inches of a row."""

SHOWN_POPULATIONS = 60
LONGEST_LIST = 32
"""Characters of the operations beside a population."""

SOURCE, POPULATION = 0.0, 3.3
WIDTHS = {SOURCE: 2.6, POPULATION: 2.9}
FIGURES = POPULATION + WIDTHS[POPULATION] + 0.75
"""Where the figures beside a population begin; arrows that go further stand before them."""


def operations(network: Network) -> dict[str, list[str]]:
    """Population -> operations of the source network that it stands for, in their order.

    For imported networks, which have no other source, the real-valued population.
    """
    graph, netlist = network.analog, network.netlist
    if graph is None:
        real = network.real or netlist
        return {p.name: [p.name] for p in netlist.populations if p.name in real.by_name}
    owners = {p.source: p.name for p in netlist.populations if p.source is not None}
    found: dict[str, list[str]] = {name: [] for name in owners.values()}
    waiting: list[str] = []
    for node in graph.nodes:
        waiting.append(node.name)
        if node.name in owners:
            found[owners[node.name]] += waiting
            waiting = []
    return found


@chart
def network_figure(network: Network) -> Figure:
    """Populations from top to bottom, their projections, and the operations beside them."""
    netlist = network.netlist
    shown = [netlist.by_name[name] for name in netlist.schedule.order][:SHOWN_POPULATIONS]
    rows = {p.name: i for i, p in enumerate(shown)}
    told = {p["name"]: p for p in summarize_network(network)["populations"]}
    figure = new_figure(9.4, ROW * len(rows) + 0.75)
    axes: Any = figure.subplots()
    axes.set_axis_off()
    axes.set_xlim(SOURCE - 0.1, FIGURES + 4.0)
    axes.set_ylim(len(rows) - 0.3, -1.0)
    heading = "source network" if network.analog is not None else "real-valued netlist"
    axes.text(SOURCE, -0.75, heading, color=MUTED, va="center", fontsize=9.5)
    axes.text(POPULATION, -0.75, "spiking netlist", color=MUTED, va="center", fontsize=9.5)
    _projections(axes, netlist, rows)
    found = operations(network)
    for population in shown:
        row, figures = rows[population.name], told[population.name]
        names = found.get(population.name, [])
        if names:
            end = SOURCE + WIDTHS[SOURCE]
            axes.plot([end, POPULATION], [row, row], color=LINE, linewidth=1, zorder=0)
            text = shortened(", ".join(names), LONGEST_LIST)
            _box(axes, SOURCE, row, GREEN, text, "", "source: " + " → ".join(names))
        colour = PURPLE if figures["model"].startswith(("current", "spikes", "max-pool")) else BLUE
        size = f"{shape_text(population.shape)}"
        _box(axes, POPULATION, row, colour, shortened(population.name), size, _tip(figures))
        axes.text(FIGURES, row, _figures(figures), va="center", fontsize=8, color=MUTED)
    if len(netlist.populations) > len(shown):
        rest = len(netlist.populations) - len(shown)
        figure.supxlabel(f"{rest} more populations stand in the table", fontsize=9, color=MUTED)
    return figure


def _figures(figures: Mapping[str, Any]) -> str:
    """Fan-in, parameters and thresholds, as far as there are any."""
    threshold = figures["threshold"]
    parts = [
        None if figures["fan_in"] is None else f"fan-in {figures['fan_in']:,}",
        f"{figures['parameters']:,} parameters" if figures["parameters"] else None,
    ]
    if threshold is not None:
        low, high = (f"{value:.4g}" if isinstance(value, float) else value for value in threshold)
        parts.append(f"threshold {low}" if low == high else f"threshold {low}..{high}")
    return ", ".join(part for part in parts if part is not None)


def _tip(figures: Mapping[str, Any]) -> str:
    told = _figures(figures)
    lead = f"{figures['name']}: {figures['model']}, {figures['neurons']} neurons"
    return f"{lead}, {told}" if told else lead


def _box(axes: Any, x: float, row: int, colour: str, name: str, right: str, told: str) -> None:
    from matplotlib.colors import to_rgba
    from matplotlib.patches import FancyBboxPatch

    box = FancyBboxPatch(
        (x, row - 0.33),
        WIDTHS[x],
        0.66,
        boxstyle="round,pad=0,rounding_size=0.06",
        facecolor=to_rgba(colour, 0.14),
        edgecolor=colour,
        linewidth=0.9,
        mutation_aspect=2.0,
    )
    axes.add_patch(box)
    tip(box, told)
    size = 9 if len(name) < 24 else 8
    axes.text(x + 0.1, row, name, va="center", fontsize=size, color=TEXT)
    axes.text(x + WIDTHS[x] - 0.1, row, right, va="center", ha="right", fontsize=8, color=MUTED)


def _projections(axes: Any, netlist: RealNetlist | IntegerNetlist, rows: Mapping[str, int]) -> None:
    """Arrows to the next row; what goes further turns around the boxes on their right."""
    from matplotlib.patches import FancyArrowPatch

    middle, right = POPULATION + WIDTHS[POPULATION] / 2, POPULATION + WIDTHS[POPULATION]
    for projection in netlist.projections:
        if projection.pre not in rows or projection.post not in rows:
            continue
        start, end = rows[projection.pre], rows[projection.post]
        straight = end == start + 1
        far = abs(end - start)
        places = ((middle, start + 0.33), (middle, end - 0.35))
        bend = "arc3"
        if not straight:
            places = ((right, start + 0.08), (right + 0.03, end - 0.08))
            reach = min(0.65, 0.25 + 0.1 * far)
            bend = f"bar,fraction={-reach / max(far, 1):.3f}" if far else "arc3,rad=-2"
        arrow = FancyArrowPatch(
            *places,
            arrowstyle="-|>",
            mutation_scale=8,
            connectionstyle=bend,
            color=MUTED,
            linewidth=0.9,
            shrinkA=0,
            shrinkB=0,
        )
        axes.add_patch(arrow)
        tip(arrow, f"{projection.label}: {projection.connectivity.n_synapses} synapses")
