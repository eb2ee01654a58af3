"""Charts of choices: what accuracy costs in spikes or energy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from neurodeploy.numerics.pareto import undominated
from neurodeploy.render.charts.figure import chart, new_figure, tip
from neurodeploy.render.charts.palette import BLUE, GREY, MUTED, RED
from neurodeploy.render.quantities import with_prefix

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Choice:
    """One configuration: what it costs, what it gives, and whether it is the one in use."""

    name: str
    cost: float
    value: float
    chosen: bool = False


def pareto(choices: Sequence[Choice]) -> list[Choice]:
    """Choices that no other betters in cost and value, by rising cost; one of equals."""
    return undominated(choices, lambda c: (c.cost, c.value))


@chart
def tradeoff_figure(
    choices: Sequence[Choice], cost: str, value: str, title: str, joules: bool = False
) -> Figure:
    """Choices by cost and value, the line of those that none betters, and the one in use."""
    figure = new_figure(7.2, 3.5)
    axes: Any = figure.subplots()
    front = pareto(choices)
    if len(front) > 1:
        axes.step(
            *([c.cost for c in front], [c.value for c in front]),
            *("-",),
            where="post",
            color=MUTED,
            linewidth=1,
            label="no other is better in both",
        )
    for choice in choices:
        colour, size = (RED, 8) if choice.chosen else (BLUE if choice in front else GREY, 5.5)
        (point,) = axes.plot([choice.cost], [choice.value], "o", color=colour, markersize=size)
        if choice.chosen:
            point.set_label("chosen")
        shown = with_prefix(choice.cost, "J") if joules else f"{choice.cost:.4g}"
        tip(point, f"{choice.name}: {cost} {shown}, {value} {choice.value:.2f}")
    for choice in {c.name: c for c in (*front, *(c for c in choices if c.chosen))}.values():
        axes.annotate(
            choice.name,
            (choice.cost, choice.value),
            xytext=(5, -10 if choice.chosen else 4),
            textcoords="offset points",
            fontsize=8.5,
        )
    costs = [c.cost for c in choices if c.cost > 0]
    if len(costs) == len(choices) and max(costs) > 20 * min(costs):
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter("")
    if joules:
        axes.xaxis.set_major_formatter(lambda x, _: with_prefix(x, "J"))
    else:
        axes.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    axes.margins(x=0.12, y=0.15)
    axes.set_xlabel(cost)
    axes.set_ylabel(value)
    axes.set_title(title)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="best")
    return figure
