"""HTML built from parts, so that no text of a file is ever taken for markup."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from neurodeploy.render.text import Table, visible

_NUMBER = re.compile(r"[+-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")
_PREFIXES = {"m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15}
_VOID = frozenset({"meta", "input", "br"})


class Markup(str):
    """Text that is HTML already. Every other text is escaped where it becomes a part of it."""

    __slots__ = ()


Part = str | None | Sequence["Part"]
"""What an element holds: markup, text, nothing, or several of these."""


def markup(*parts: Part) -> Markup:
    """Parts one after the other; text is escaped, its control characters shown."""
    found: list[str] = []
    for part in parts:
        if part is None:
            continue
        if isinstance(part, Markup):
            found.append(part)
        elif isinstance(part, str):
            found.append(escape(visible(part)))
        else:
            found.append(markup(*part))
    return Markup("".join(found))


def element(tag: str, *parts: Part, **attributes: object) -> Markup:
    """An element; ``class_`` is ``class``, ``data_tip`` is ``data-tip``, None is left out."""
    told = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(visible(str(value)))}"'
        for name, value in attributes.items()
        if value is not None
    )
    if tag in _VOID:
        return Markup(f"<{tag}{told}>")
    return Markup(f"<{tag}{told}>{markup(*parts)}</{tag}>")


def table(rows: Table, caption: str | None = None) -> Markup:
    """A table; columns of numbers are aligned to the right."""
    head = [
        element("th", name, scope="col", style=_aligned(right))
        for name, right in zip(rows.columns, rows.numeric, strict=True)
    ]
    body = [
        element(
            "tr",
            [
                element("td", cell, style=_aligned(right), data_sort=_sorted_by(cell))
                for cell, right in zip(cells, rows.numeric, strict=True)
            ],
        )
        for cells in rows.cells
    ]
    return element(
        "table",
        None if caption is None else element("caption", caption),
        "\n",
        element("thead", element("tr", head)),
        "\n",
        element("tbody", "\n", [markup(row, "\n") for row in body]),
    )


def _aligned(right: bool) -> str:
    return f"text-align: {'right' if right else 'left'}"


def _sorted_by(cell: str) -> str | None:
    """The number that a cell begins with, its prefix counted; None where it begins with none."""
    found = _NUMBER.match(cell.removeprefix("at least "))
    if found is None:
        return None
    value = float(found[0].replace(",", ""))
    unit = re.search(r" ([munpf]?)[JsW]$", re.sub(r" \(likely [^)]*\)", "", cell))
    return repr(value * _PREFIXES.get(unit[1], 1.0)) if unit else repr(value)


def parts_of(parts: Sequence[str]) -> list[Markup]:
    """Texts and tables as the command line prints them."""
    return [table(part) if isinstance(part, Table) else element("pre", part) for part in parts]
