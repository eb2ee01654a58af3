"""Sweeps as text: the source network, the Pareto line of each board, and what was refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from neurodeploy.render.quantities import told_bar
from neurodeploy.render.text import Table, percent, render_table
from neurodeploy.sweeps.configurations import label
from neurodeploy.sweeps.results import MAX_LOSS, Row, Sweep

MOST_ERRORS = 5
"""Errors that are told; the others are in the table of results."""


_ENDS = {"likely": "", "low": "low_", "high": "high_"}


def render_sweep(sweep: Sweep) -> str:
    """The source network, what no other configuration beats, board by board, and errors."""
    boards: Sequence[str | None] = sweep.boards or (None,)
    parts = [part for board in boards for part in trade_off_parts(sweep, board)]
    if sweep.source_warning is not None:
        parts.insert(0, f"warning: {sweep.source_warning}")
    if (source := source_accuracy(sweep)) is not None:
        parts.insert(0, f"source network: {source}")
    if sweep.failures:
        parts.append(failures(sweep))
    return "\n\n".join(parts)


def source_accuracy(sweep: Sweep) -> str | None:
    """That of the network that was swept, on the same samples; None without labels."""
    for row in sweep.rows():
        if row["source_accuracy"] is not None:
            return f"{percent(row['source_accuracy'])} of {row['samples']} samples"
    return None


def trade_off_parts(sweep: Sweep, board: str | None) -> list[str]:
    """A sentence, the table of the Pareto line, and what the board refuses, where it does."""
    line, choice = sweep.pareto(board), sweep.choice(board)
    if choice is None:
        place = "" if board is None else f" on {board}"
        priced = [row for row in sweep.rows() if board is not None and row["board"] == board]
        unknown = any(row["cores"] is not None for row in priced)
        why = f": {board} tells no constant that an energy needs" if unknown else ""
        return [f"no configuration has a figure{place}{why}", *_refused(sweep, board)]
    n = len(line)
    head = (
        f"{sweep.quality[0].replace('_', ' ')} against {cost_name(board)}: no other of "
        f"{len(sweep.records)} configurations beats {'this one' if n == 1 else f'these {n}'}; * is "
        f"the cheapest within {100 * MAX_LOSS:g} point of the best"
    )
    # The cheapest of all that are good enough lies on the line.
    rows = table_of(sweep, line, board, chosen=choice["configuration"])
    return [head, rows, *_refused(sweep, board)]


def cost_name(board: str | None) -> str:
    """What is to be small, in words."""
    return "spikes per inference" if board is None else f"energy on {board}"


def table_of(
    sweep: Sweep, rows: Sequence[Row], board: str | None, chosen: int | None = None
) -> Table:
    """Rows of one board as a table, of the options that differ; ``*`` marks the chosen one."""
    options = [name for name in sweep.options if len(_values(sweep, name)) > 1] or ["method"]
    quality = sweep.quality[0]
    columns = ["", *options, quality.replace("_", " "), "spikes per inference"]
    if board is not None:
        columns += ["energy", "time", "cores"]
    told = [
        [
            "*" if row["configuration"] == chosen else "",
            *(_given(sweep, row, name) for name in options),
            _quality(row, quality),
            None if row["spikes_per_inference"] is None else f"{row['spikes_per_inference']:.1f}",
            *([] if board is None else _priced(row)),
        ]
        for row in rows
    ]
    return render_table(columns, told)


def _refused(sweep: Sweep, board: str | None) -> list[str]:
    """How many configurations a board cannot run, and why the first of them."""
    records = [r for r in sweep.records if "reason" in r.get("boards", {}).get(board, {})]
    if not records:
        return []
    first = records[0]["boards"][board]["reason"]
    return [
        f"{board} does not run {len(records)} of {len(sweep.records)} configurations, the first of "
        f"them {label(records[0]['configuration'])}: {first}"
    ]


def _values(sweep: Sweep, name: str) -> set[str]:
    return {str(c.get(name)) for c in sweep.configurations}


def _given(sweep: Sweep, row: Row, name: str) -> Any:
    value = sweep.configurations[row["configuration"] - 1].get(name)
    return None if value is None else str(value)


def _quality(row: Row, name: str) -> str | None:
    if row[name] is None:
        return None
    if name == "accuracy":
        low, high = 100 * row["accuracy_low"], 100 * row["accuracy_high"]
        return f"{100 * row['accuracy']:.2f} % ({low:.1f} .. {high:.1f})"
    return percent(row[name])


def _priced(row: Row) -> list[Any]:
    if row["cores"] is None:
        return [row["verdict"], None, None]
    energy, time = (
        {end: row[f"{name}_{column}{unit}"] for end, column in _ENDS.items()}
        for name, unit in (("energy", "j"), ("time", "s"))
    )
    return [told_bar(energy, "J"), told_bar(time, "s"), row["cores"]]


def failures(sweep: Sweep) -> str:
    """Errors of the first few configurations that ended in one."""
    failed = sweep.failures
    lines = [
        f"{label(record['configuration'])}: {record['error']}" for record in failed[:MOST_ERRORS]
    ]
    if len(failed) > MOST_ERRORS:
        lines.append(f"and {len(failed) - MOST_ERRORS} more, in the table of results")
    return "\n".join([f"without result: {len(failed)} of {len(sweep.records)}", *lines])
