"""Sweeps as text: the Pareto line of each board, and what was refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from neurodeploy.hardware.boards.interval import Interval
from neurodeploy.render.quantities import quantity, with_bar
from neurodeploy.render.text import percent, render_table
from neurodeploy.sweeps.configurations import label
from neurodeploy.sweeps.results import MAX_LOSS, Sweep

MOST_ERRORS = 5
"""Errors that are told; the others are in the table of results."""


def render_sweep(sweep: Sweep) -> str:
    """What no other configuration beats, board by board, and errors."""
    boards: Sequence[str | None] = sweep.boards or (None,)
    parts = [_trade_off(sweep, board) for board in boards]
    if sweep.failures:
        parts.append(_failures(sweep))
    return "\n\n".join(parts)


def _trade_off(sweep: Sweep, board: str | None) -> str:
    line, choice = sweep.pareto(board), sweep.choice(board)
    place = "" if board is None else f" on {board}"
    if choice is None:
        return f"no configuration has a figure{place}"
    n, all_ = len(line), len(sweep.records)
    cost = "spikes per inference" if board is None else f"energy{place}"
    quality = sweep.quality[0].replace("_", " ")
    options = [name for name in sweep.options if len(_values(sweep, name)) > 1] or ["method"]
    columns = ["", *options, quality, "spikes per inference"]
    if board is not None:
        columns += ["energy", "time", "cores"]
    # The cheapest of all that are good enough lies on the line, or equals one that does.
    rows = [
        [
            "*" if row["configuration"] == choice["configuration"] else None,
            *(_given(sweep, row, name) for name in options),
            _quality(row, sweep.quality[0]),
            f"{row['spikes_per_inference']:.1f}",
            *([] if board is None else _priced(row)),
        ]
        for row in line
    ]
    told = [["" if cell is None else cell for cell in row[:1]] + row[1:] for row in rows]
    head = (
        f"{quality} against {cost}: no other of {all_} configurations beats "
        f"{'this one' if n == 1 else f'these {n}'}; * is the cheapest within "
        f"{100 * MAX_LOSS:g} point{'s' * (MAX_LOSS != 0.01)} of the best"
    )
    return f"{head}\n\n{render_table(columns, told)}{_refused(sweep, board)}"


def _refused(sweep: Sweep, board: str | None) -> str:
    """How many configurations a board cannot run, and why the first of them."""
    records = [r for r in sweep.records if "reason" in r.get("boards", {}).get(board, {})]
    if not records:
        return ""
    first = records[0]["boards"][board]["reason"]
    return (
        f"\n\n{board} does not run {len(records)} of {len(sweep.records)} configurations, the "
        f"first of them {label(records[0]['configuration'])}: {first}"
    )


def _values(sweep: Sweep, name: str) -> set[str]:
    return {str(c.get(name)) for c in sweep.configurations}


def _given(sweep: Sweep, row: Mapping[str, Any], name: str) -> Any:
    value = sweep.configurations[row["configuration"] - 1].get(name)
    return None if value is None else str(value)


def _quality(row: Mapping[str, Any], name: str) -> str:
    if name == "accuracy":
        low, high = 100 * row["accuracy_low"], 100 * row["accuracy_high"]
        return f"{100 * row['accuracy']:.2f} % ({low:.1f} .. {high:.1f})"
    return percent(row[name])


def _priced(row: Mapping[str, Any]) -> list[Any]:
    high = row["energy_high_j"]
    energy = Interval(row["energy_j"], row["energy_low_j"], float("inf") if high is None else high)
    return [with_bar(energy, "J"), quantity(row["time_s"], "s"), row["cores"]]


def _failures(sweep: Sweep) -> str:
    failed = sweep.failures
    lines = [
        f"{label(record['configuration'])}: {record['error']}" for record in failed[:MOST_ERRORS]
    ]
    if len(failed) > MOST_ERRORS:
        lines.append(f"and {len(failed) - MOST_ERRORS} more, in the table of results")
    return "\n".join([f"without result: {len(failed)} of {len(sweep.records)}", *lines])
