"""Rows of numbered populations: many of one name, told in one line."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

LISTED = 12
"""Rows, or values of a cell, that are listed one by one."""


def stem(name: object) -> str | None:
    """A name without the number at its end; None for what is no name."""
    return name.rstrip("0123456789") if isinstance(name, str) else None


def span(names: list[str]) -> str:
    """Names of one stem in short: the first, and the number of the last."""
    if len(names) == 1:
        return names[0]
    first, *_, last = names
    return f"{first}..{last.removeprefix(stem(first) or '')}"


def runs(names: Iterable[str]) -> list[list[str]]:
    """Names in rows of a table: many that are numbered one after the other together, else alone."""
    rows: list[list[str]] = []
    for _, group in itertools.groupby(enumerate(names), _series):
        same = [name for _, name in group]
        rows += [same] if len(same) > LISTED else [[name] for name in same]
    return rows


def _series(placed: tuple[int, str]) -> tuple[str | None, int]:
    """The same for names in a row whose numbers go up by one each; layers' go up by more."""
    place, name = placed
    start = stem(name)
    return start, int(name.removeprefix(start or "") or 0) - place
