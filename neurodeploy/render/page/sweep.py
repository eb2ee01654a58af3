"""The page of a sweep: what accuracy costs, the Pareto line, the choice, all configurations."""

from __future__ import annotations

from collections.abc import Sequence

from neurodeploy.notebook import expect_matplotlib
from neurodeploy.render.charts.svg import svg
from neurodeploy.render.charts.tradeoff import Choice, tradeoff_figure
from neurodeploy.render.markup import Markup, Part, element, markup, table
from neurodeploy.render.page.document import whole_page
from neurodeploy.render.page.sections import scrolling
from neurodeploy.render.sweep import (
    cost_name,
    failures,
    source_accuracy,
    table_of,
    trade_off_parts,
)
from neurodeploy.render.text import Table
from neurodeploy.sweeps.configurations import label
from neurodeploy.sweeps.results import Sweep


def sweep_page(sweep: Sweep) -> Markup:
    """A sweep as one HTML file, the same bytes for the same results.

    Raises
    ------
    TargetUnavailableError
        If matplotlib is not installed.
    """
    expect_matplotlib()
    boards: Sequence[str | None] = sweep.boards or (None,)
    parts = [(f"board-{i}", board) for i, board in enumerate(boards)]
    links = [
        element("li", element("a", f"Trade-off: {cost_name(board)}", href=f"#{anchor}"))
        for anchor, board in parts
    ]
    return whole_page(
        f"{sweep.common['model']}: neurodeploy sweep",
        _header(sweep),
        element("nav", element("p", "Contents"), element("ul", links), aria_label="Contents"),
        element(
            "main",
            [_board(sweep, anchor, board) for anchor, board in parts],
            _failed(sweep),
            id="content",
        ),
    )


def _header(sweep: Sweep) -> Markup:
    told = [
        ("configurations", str(len(sweep.records))),
        ("source network", source_accuracy(sweep) or "no labels to count right answers by"),
        *([] if sweep.source_warning is None else [("warning", sweep.source_warning)]),
        *((name.replace("_", " "), _text(value)) for name, value in sweep.common.items()),
    ]
    rows = [markup(element("dt", name), element("dd", text), "\n") for name, text in told]
    return element(
        "header",
        element("p", "neurodeploy sweep", class_="kind"),
        element("h1", str(sweep.common["model"])),
        element("dl", rows),
    )


def _text(value: object) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)


def _board(sweep: Sweep, anchor: str, board: str | None) -> Markup:
    line = [
        scrolling(table(part)) if isinstance(part, Table) else element("p", part)
        for part in trade_off_parts(sweep, board)
    ]
    rows = [row for row in sweep.rows() if row.get("board") == board]
    whole = scrolling(table(table_of(sweep, rows, board), "All configurations"))
    heading = element("h2", f"Trade-off: {cost_name(board)}")
    return element("section", heading, _chart(sweep, anchor, board), line, whole, id=anchor)


def _chart(sweep: Sweep, anchor: str, board: str | None) -> Part:
    points, choice = sweep.points(board), sweep.choice(board)
    if choice is None:
        return None
    quality, sign = sweep.quality
    choices = [
        Choice(
            label(sweep.configurations[row["configuration"] - 1]),
            cost,
            100 * value,
            row["configuration"] == choice["configuration"],
        )
        for cost, value, row in points
    ]
    words = quality.replace("_", " ")
    # Upwards is better.
    shown = f"{words} in %" if sign > 0 else f"-{words} in %"
    unit = "spikes per inference" if board is None else "likely energy per inference"
    title = f"{words.capitalize()} against {cost_name(board)}"
    drawn = tradeoff_figure(choices, unit, shown, title, board is not None)
    return element("figure", svg(drawn, anchor, title), class_="chart")


def _failed(sweep: Sweep) -> Part:
    if not sweep.failures:
        return None
    return element(
        "section",
        element("h2", "Without result"),
        scrolling(element("pre", failures(sweep))),
        id="failed",
    )
