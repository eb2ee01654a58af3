"""Plain text and JSON: what the command line prints, the same on a terminal and in a pipe."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


class Table(str):
    """A table as text, which also knows its cells for pages and notebooks.

    Attributes
    ----------
    columns : tuple of str
    cells : tuple of tuple of str
    numeric : tuple of bool
        The columns that hold numbers alone.
    """

    columns: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]


_NUMBER = re.compile(r"[+-]?\d[\d,.]*(e[+-]?\d+)?( ?[%\w]{1,3})?$")


def to_json(value: Mapping[str, Any]) -> str:
    """Return a result as JSON; an unknown figure must be None, never NaN.

    Raises
    ------
    ValueError
        For NaN or infinity, which JSON does not have.
    """
    return json.dumps(value, indent=2, allow_nan=False)


def render_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """Align cells in columns two spaces apart; None shows as ``-``.

    Parameters
    ----------
    columns : sequence of str
        Headings.
    rows : sequence of sequences
        Cells. A column in which every cell is a number, with or without unit, or None is aligned
        to the right.
    """
    cells = [["-" if cell is None else _one_line(str(cell)) for cell in row] for row in rows]
    numeric = [
        bool(rows) and all(row[i] is None or _NUMBER.match(str(row[i])) for row in rows)
        for i in range(len(columns))
    ]
    widths = [
        max(len(text) for text in (columns[i], *(row[i] for row in cells)))
        for i in range(len(columns))
    ]
    lines = []
    for row in ([*columns], ["-" * width for width in widths], *cells):
        aligned = (
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(row, widths, numeric, strict=True)
        )
        lines.append("  ".join(aligned).rstrip())
    table = Table("\n".join(lines))
    table.columns, table.numeric = tuple(columns), tuple(numeric)
    table.cells = tuple(map(tuple, cells))
    return table


def _one_line(cell: str) -> str:
    return visible(cell).replace("\n", "\\n")


def visible(text: str) -> str:
    """Text whose control, formatting and unassigned characters are shown as escapes.

    Lines end as they did; the sequence that clears a screen clears none, and a right-to-left
    override turns nothing around.
    """
    if text.isprintable():
        return text
    return "".join(
        c if c == "\n" or c.isprintable() else c.encode("unicode_escape").decode() for c in text
    )


def percent(share: float) -> str:
    """A share as ``12.34 %``."""
    return f"{100 * share:.2f} %"


def short_percent(share: float) -> str:
    """A share as ``12.3 %``."""
    return f"{100 * share:.1f} %"


def optional(show: Callable[[T], str], value: T | None) -> str | None:
    """A value as text; None stays None, for which a table has a sign of its own."""
    return None if value is None else show(value)
