"""Charts of boards: energies and what they are of, cores in their places, cores against bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from neurodeploy.hardware.boards.grid import Grid
from neurodeploy.hardware.boards.interval import Interval
from neurodeploy.hardware.price.report import CoreEnergy, EnergyReport
from neurodeploy.render.charts.figure import chart, name_ticks, new_figure, shortened, tip
from neurodeploy.render.charts.palette import BLUE, GREY, LINE, MUTED, PURPLE, RED, SERIES
from neurodeploy.render.quantities import quantity, with_bar, with_prefix

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BAR_WIDTH = 0.4
TIPPED_CORES = 600
"""Up to so many cores a map tells each one's content."""

Tint = Literal["load", "energy"]


@chart
def energy_figure(reports: Mapping[str, EnergyReport]) -> Figure:
    """Likely static and dynamic energy per inference on each board, with their error bars.

    A board that lacks constants says "at least", and its bars have no upper end.
    """
    figure = new_figure(max(4.6, 2.5 + 1.5 * len(reports)), 3.8)
    axes: Any = figure.subplots()
    labels = [
        f"{name}\n(at least)" if report.total.is_open else name for name, report in reports.items()
    ]
    for name, side, colour in (("static", -1, BLUE), ("dynamic", 1, RED)):
        bars = [getattr(report, name) for report in reports.values()]
        drawn = axes.bar(
            [p + side * BAR_WIDTH / 2 for p in range(len(labels))],
            [bar.likely for bar in bars],
            BAR_WIDTH,
            yerr=(
                [bar.likely - bar.low for bar in bars],
                [0.0 if bar.is_open else bar.high - bar.likely for bar in bars],
            ),
            error_kw={"ecolor": MUTED, "elinewidth": 1.0, "capsize": 2.5},
            label=name,
            color=colour,
        )
        for patch, board, bar in zip(drawn, reports, bars, strict=True):
            tip(patch, f"{board}, {name}: {with_bar(bar, 'J')}")
    axes.set_xticks(range(len(labels)), labels)
    axes.set_xlim(-1, len(labels))
    axes.grid(visible=False, axis="x")
    if any(report.total.likely for report in reports.values()):
        # Boards are orders of magnitude apart.
        axes.set_yscale("log")
        _tell_joules(axes)
    axes.set_ylabel("energy per inference")
    axes.set_title("Energy per inference" + " (logarithmic axis)" * (axes.get_yscale() == "log"))
    axes.legend()
    return figure


def _tell_joules(axes: Any) -> None:
    """Ticks of a logarithmic axis of energies: more of them where it spans little."""
    from matplotlib.ticker import LogLocator

    low, high = axes.get_ylim()
    few = high < 100 * low
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
    axes.yaxis.set_major_formatter(lambda value, _: with_prefix(value, "J"))
    axes.yaxis.set_minor_formatter("")


@chart
def events_figure(reports: Mapping[str, EnergyReport]) -> Figure:
    """What the likely energy on each board is of: its share by event, what is unknown hatched."""
    figure = new_figure(7.4, 1.15 + 0.55 * len(reports))
    axes: Any = figure.subplots()
    terms = list(dict.fromkeys(term for r in reports.values() for term in _shown(r)))
    colours = dict(zip(terms, SERIES * (len(terms) // len(SERIES) + 1), strict=False))
    labelled: set[str] = set()
    for row, (board, report) in enumerate(reports.items()):
        known, left = _shown(report), 0.0
        total = sum(interval.likely for interval in known.values())
        for term, interval in known.items():
            width = 100 * interval.likely / total if total else 0.0
            label = None if term in labelled else term.replace("_", " ")
            labelled.add(term)
            (bar,) = axes.barh([row], [width], 0.62, left, color=colours[term], label=label)
            tip(bar, f"{board}, {term}: {with_bar(interval, 'J')}, {width:.1f} % of the likely")
            left += width
        if unknown := unknown_terms(report):
            label = None if "" in labelled else "unknown"
            labelled.add("")
            (bar,) = axes.barh(
                [row], [9], 0.62, left, color="none", edgecolor=MUTED, hatch="////", label=label
            )
            tip(bar, f"{board}, unknown: {', '.join(unknown)}")
    axes.set_yticks(range(len(reports)), list(reports))
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("share of the likely energy in %")
    axes.set_xticks(range(0, 101, 20))
    axes.set_title("What the energy is of")
    figure.legend(loc="outside lower left", ncols=4)
    return figure


def known_terms(report: EnergyReport) -> dict[str, Interval]:
    """Event or static term -> its energy, those that cost something; largest first."""
    found = {f"static: {name}": j for name, j in report.static_by_term.items()}
    found |= {name: j for name, j in report.energy_by_event_j.items() if j is not None}
    costing = {name: j for name, j in found.items() if j.likely > 0}
    return dict(sorted(costing.items(), key=lambda item: (-item[1].likely, item[0])))


def _shown(report: EnergyReport) -> dict[str, Interval]:
    """The terms that can be seen; what is below one per cent stands together."""
    found = known_terms(report)
    total = sum(j.likely for j in found.values())
    small = [name for name, j in found.items() if j.likely < 0.01 * total]
    if not small:
        return found
    rest = sum((found[name] for name in small), Interval(0.0, 0.0, 0.0))
    return {**{n: j for n, j in found.items() if n not in small}, "others": rest}


def unknown_terms(report: EnergyReport) -> list[str]:
    """Events that happen and have no price, and constants that the board does not tell."""
    events = [
        name for name, j in report.energy_by_event_j.items() if j is None and report.events[name]
    ]
    return list(dict.fromkeys([*events, *report.unknown]))


@chart
def core_map_figure(report: EnergyReport, grid: Grid | None, tint: Tint) -> Figure:
    """Cores in their places on the chips in use, coloured by load or by dynamic energy.

    The load of a core is the largest use of its limits.
    """
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Rectangle

    cores = report.cores_detail
    wide = grid.tiles_x if grid else 1 + max(c.x for c in cores)
    high = grid.tiles_y if grid else 1 + max(c.y for c in cores)
    levels, top = _levels(cores, tint)
    chips = sorted({core.chip for core in cores})
    across = max(1, min(len(chips), round(np.sqrt(len(chips) * high / wide))))
    down = -(-len(chips) // across)
    unit = min(0.55, 6.6 / (across * (wide + 1)))
    figure = new_figure(
        max(4.2, across * (wide + 1) * unit + 0.3), down * (high + 1.2) * unit + 0.35
    )
    axes: Any = figure.subplots()
    corners = {
        c: ((i % across) * (wide + 1), (i // across) * (high + 1.2)) for i, c in enumerate(chips)
    }
    for chip, (left, lower) in corners.items():
        axes.text(left, lower - 0.15, f"chip {chip}", fontsize=8, color=MUTED, va="bottom")
        _draw_tiles(axes, left - 0.03, lower - 0.03, wide, high)
    by_tile: dict[tuple[int, int, int], list[int]] = {}
    for i, core in enumerate(cores):
        by_tile.setdefault((core.chip, core.x, core.y), []).append(i)
    most = max(map(len, by_tile.values()))
    side = int(np.ceil(np.sqrt(max(most, grid.cores_per_tile if grid else 1))))
    colour = BLUE if tint == "load" else PURPLE
    for (chip, x, y), places in by_tile.items():
        left, lower = corners[chip]
        for place, i in enumerate(places):
            step = 0.94 / side
            corner = (left + x + (place % side) * step, lower + y + (place // side) * step)
            box = Rectangle(corner, step * 0.94, step * 0.94, linewidth=0)
            level = levels[i]
            box.set_facecolor(
                to_rgba(GREY, 0.35) if level is None else to_rgba(colour, 0.12 + 0.88 * level)
            )
            axes.add_patch(box)
            if len(cores) <= TIPPED_CORES:
                tip(box, core_tip(cores[i]))
    axes.set_xlim(-0.1, across * (wide + 1) - 0.9)
    axes.set_ylim(down * (high + 1.2) - 1.15, -0.7)
    axes.set_aspect("equal")
    axes.set_axis_off()
    of = "use of the fullest limit" if tint == "load" else "dynamic energy"
    end = f"{100 * top:.0f} %" if tint == "load" else with_prefix(top, "J")
    axes.set_title(f"{report.board}: {of}, darkest: {end}")
    return figure


def _draw_tiles(axes: Any, left: float, lower: float, wide: int, high: int) -> None:
    """The borders of all tiles of a chip, as one line with gaps."""
    x, y = [], []
    for column in range(wide + 1):
        x += [left + column, left + column, np.nan]
        y += [lower, lower + high, np.nan]
    for row in range(high + 1):
        x += [left, left + wide, np.nan]
        y += [lower + row, lower + row, np.nan]
    axes.plot(x, y, color=LINE, linewidth=0.6)


def _levels(cores: Sequence[CoreEnergy], tint: Tint) -> tuple[list[float | None], float]:
    values = [_load(core) if tint == "load" else core.energy_j for core in cores]
    top = max((v for v in values if v is not None), default=0.0)
    return [None if v is None else v / top if top else 0.0 for v in values], top


def _load(core: CoreEnergy) -> float | None:
    return max((v for v in core.utilization.values() if v is not None), default=None)


def core_tip(core: CoreEnergy) -> str:
    """Content, load and energy of a core."""
    load = _load(core)
    return (
        f"core {core.core}: {core.holds}, {core.neurons} neurons, load "
        f"{'unknown' if load is None else f'{100 * load:.1f} %'}, {core.events['spikes']:.1f} "
        f"spikes, dynamic energy {quantity(core.energy_j, 'J')}"
    )


@chart
def cores_figure(report: EnergyReport) -> Figure:
    """Cores of each population beside the lower bound of its demands."""
    figure = new_figure(max(6.4, 0.5 * len(report.layers) + 2), 2.9)
    axes: Any = figure.subplots()
    places = np.arange(len(report.layers))
    for side, colour, label, values in (
        (-1, BLUE, "cores", [layer.cores for layer in report.layers]),
        (1, GREY, "lower bound", [layer.lower_bound for layer in report.layers]),
    ):
        bars = axes.bar(places + side * BAR_WIDTH / 2, values, BAR_WIDTH, color=colour, label=label)
        for bar, layer, value in zip(bars, report.layers, values, strict=True):
            tip(bar, f"{layer.population}, {label}: {value}")
    name_ticks(axes, [layer.population for layer in report.layers])
    axes.set_ylabel("cores")
    axes.set_title(f"{shortened(report.board)}: cores against their lower bound")
    axes.yaxis.get_major_locator().set_params(integer=True)
    figure.legend(loc="outside lower left", ncols=2)
    return figure
