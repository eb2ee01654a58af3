"""Deployments, and why a target refuses a netlist."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from neurodeploy.hardware.fit import Verdict
from neurodeploy.network import Network
from neurodeploy.render.numbered import LISTED, span, stem
from neurodeploy.render.text import Table, render_table
from neurodeploy.targets.base import Deployment, Violation
from neurodeploy.targets.folder import RESTATED


def deployment_parts(deployment: Deployment) -> list[str]:
    """Target, board, options, and what is used."""
    board = "" if deployment.board is None else f" on board {deployment.board.name}"
    options = ", ".join(f"{k}={json.dumps(v)}" for k, v in deployment.options.items())
    lines = [f"{deployment.netlist.name}: deployment for target {deployment.target}{board}"]
    if options:
        lines.append(f"options: {options}")
    if deployment.restated is not None:
        lines.append(
            f"approximated: {deployment.restated['summary']}; deviation: measured by `neurodeploy "
            "verify`"
        )
    if any(deployment.latency.values()):
        lines.append("latency: " + ", ".join(f"{k} +{v}" for k, v in deployment.latency.items()))
    return ["\n".join(lines), *utilization_parts(deployment.utilization())]


def utilization_parts(used: Mapping[str, Any]) -> list[str]:
    """Single figures as ``name: value``, rows of figures as tables."""
    figures = [
        f"{key.replace('_', ' ')}: {_figure(value)}"
        for key, value in used.items()
        if not _is_table(value)
    ]
    tables = [
        table for key, value in used.items() if _is_table(value) for table in _tables(key, value)
    ]
    return ["\n".join(figures), *tables] if figures else tables


def _figure(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_figure(part)}" for name, part in value.items())
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value)


def _is_table(value: Any) -> bool:
    rows = list(value.values()) if isinstance(value, Mapping) else value
    return isinstance(rows, list) and bool(rows) and all(isinstance(r, Mapping) for r in rows)


def _tables(name: str, value: Any) -> list[str]:
    """One table of the rows, and one more of the rows that stand inside them."""
    rows = (
        [{name.rstrip("s"): key, **row} for key, row in value.items()]
        if isinstance(value, Mapping)
        else list(value)
    )
    # Files with sorted keys do not begin with what the figures are of.
    lead = ["population"] if any("population" in row for row in rows) else []
    keys = list(dict.fromkeys([*lead, *(key for row in rows for key in row)]))
    inner = [key for key in keys if any(_is_table(row.get(key)) for row in rows)]
    nested = [{keys[0]: row[keys[0]], **part} for row in rows for key in inner for part in row[key]]
    plain = [{key: row.get(key) for key in keys if key not in inner} for row in rows]
    return [_table(part) for part in (plain, nested) if part]


def _table(rows: list[dict[str, Any]]) -> str:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    numbered = itertools.groupby(rows, lambda row: [stem(v) for v in row.values()])
    shown: list[list[object]] = []
    for _, group in numbered:
        cells = [[_cell(row.get(column)) for column in columns] for row in group]
        shown += cells if len(cells) <= LISTED else [[_span(c) for c in zip(*cells, strict=True)]]
    return render_table([c.replace("_", " ") for c in columns], shown)


def _span(cells: Sequence[object]) -> object:
    """One cell for those of many rows that differ in the numbers of their names."""
    if all(cell == cells[0] for cell in cells):
        return cells[0]
    numbers = [cell for cell in cells if isinstance(cell, int | float)]
    if len(numbers) == len(cells):
        return f"{min(numbers)}..{max(numbers)}"
    names = [cell for cell in cells if isinstance(cell, str)]
    stems = {stem(name) for name in names}
    if len(names) == len(cells) and len(stems) == 1 and stems != {""}:
        return span(names)
    return f"{len(set(map(str, cells)))} different"


def _cell(value: Any) -> object:
    if isinstance(value, list | tuple):
        if len(value) > LISTED:
            return f"{len(value)} in {min(value)}..{max(value)}"
        return " ".join(map(str, value)) if value else "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {v}" for k, v in value.items())
    return f"{value:.3g}" if isinstance(value, float) else value


def render_compiled(deployment: Deployment, folder: Path) -> str:
    """Report of ``compile``."""
    return "\n\n".join([*deployment_parts(deployment), f"wrote {folder}"])


def render_fits(target: str, given: Network, stated: Network, board: Verdict | None = None) -> str:
    """Report of ``compile --check`` where target and board accept a network."""
    if stated is given:
        line = f"{given.netlist.name}: target {target} computes it exactly"
    else:
        line = (
            f"{given.netlist.name}: target {target} computes an approximation exactly: "
            f"{stated.provenance[RESTATED]['summary']}"
        )
    return line if board is None else f"{line}; {_answer(board)}"


def render_verdict(network: str, board: Verdict) -> str:
    """Whether a board can run a network: all assumptions, or all violations with the remedy."""
    if not board.fits:
        return render_violations(board.violations, board)
    return f"{network}: {_answer(board)}"


def _answer(board: Verdict) -> str:
    assumed = [f"  {note}" for note in board.assumptions]
    return "\n".join([str(board), *["assuming:"] * bool(assumed), *assumed])


def violations_table(violations: Sequence[Violation]) -> Table:
    """All violations, one line each."""
    rows = [(v.where, v.resource, v.used, v.limit, v.remedy) for v in violations]
    return render_table(("where", "what", "used", "limit", "remedy"), rows)


def render_violations(violations: Sequence[Violation], board: Verdict | None = None) -> str:
    """All violations, one line each, and what would make the network fit the board."""
    table = violations_table(violations)
    return f"{table}\n\n{board.remedy}" if board is not None and board.remedy else table


def violations_to_dict(
    target: str | None, network: str, violations: Sequence[Violation], board: Verdict | None = None
) -> dict[str, Any]:
    """Report of the violations that ``compile --check`` found."""
    return {
        "network": network,
        "target": target,
        "fits": not violations,
        "violations": [v.to_dict() for v in violations],
        "board": None if board is None else board.to_dict(),
    }
