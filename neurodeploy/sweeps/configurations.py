"""Configurations of a sweep: a grid of values, or a list of a JSON, TOML or CSV file."""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from neurodeploy.errors import FileFormatError, UsageError
from neurodeploy.loading.files import LARGEST_TEXT, parsed_json, parsed_toml, read_bytes

Configuration = dict[str, Any]
"""Options by name, those alone that were given; JSON values."""

SUFFIXES = (".json", ".toml", ".csv")
MOST = 100_000
"""Configurations of a sweep: far more than anybody runs, and few enough to be listed."""


def grid(axes: Mapping[str, Any]) -> list[Configuration]:
    """Every combination of the values, the last axis fastest.

    Parameters
    ----------
    axes : mapping of option to value or list of values

    Raises
    ------
    UsageError
        For an axis without values or with one twice, or more combinations than :data:`MOST`.
    """
    lists = {
        name: list(values) if isinstance(values, list | tuple) else [values]
        for name, values in axes.items()
    }
    count = 1
    for name, values in lists.items():
        told = [canonical(value) for value in values]
        if not values:
            raise UsageError(f"sweep: {name} has no values; give one at least")
        twice = next((text for text in told if told.count(text) > 1), None)
        if twice is not None:
            raise UsageError(f"sweep: {name} has {twice} twice; give each value once")
        count *= len(values)
    if count > MOST:
        raise UsageError(f"sweep: {count} configurations, more than {MOST}; give fewer values")
    return [dict(zip(lists, values, strict=True)) for values in itertools.product(*lists.values())]


def read_configurations(path: Path) -> list[Configuration]:
    """The configurations of a file; a list among the values of one is an axis of a grid.

    JSON holds a list of objects, TOML tables ``[[configuration]]``, CSV a configuration in each
    row below the names of the options, where an empty cell leaves the option out. Values of CSV
    are texts.

    Raises
    ------
    FileFormatError
        For another suffix, or what is no such list.
    """
    readers = {".json": _json_rows, ".toml": _toml_rows, ".csv": _csv_rows}
    if path.suffix not in readers:
        raise FileFormatError(f"{path}: expected the name of a {', '.join(SUFFIXES)} file")
    content = read_bytes(path, "a list of configurations", LARGEST_TEXT)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FileFormatError(f"{path}: is no text in UTF-8") from error
    rows = readers[path.suffix](path, text)
    if not rows:
        raise FileFormatError(f"{path}: holds no configuration")
    found: list[Configuration] = []
    for number, row in enumerate(rows, 1):
        try:
            found += grid({name.replace("-", "_"): value for name, value in row.items()})
        except UsageError as error:
            raise FileFormatError(f"{path}: configuration {number}: {error}") from error
    return found


def _json_rows(path: Path, text: str) -> list[Mapping[str, Any]]:
    content = parsed_json(text, f"{path}: is no JSON, or truncated")
    return _tables(path, content, "a list of objects")


def _toml_rows(path: Path, text: str) -> list[Mapping[str, Any]]:
    content = parsed_toml(text.encode(), f"{path}: is no TOML")
    other = next((name for name in content if name != "configuration"), None)
    if other is not None:
        raise FileFormatError(
            f"{path}: {other!r} is none of its tables; expected [[configuration]]"
        )
    return _tables(path, content.get("configuration", []), "tables [[configuration]]")


def _tables(path: Path, content: Any, expected: str) -> list[Mapping[str, Any]]:
    if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
        raise FileFormatError(f"{path}: expected {expected}")
    return content


def _csv_rows(path: Path, text: str) -> list[Mapping[str, Any]]:
    try:
        lines = [line for line in csv.reader(io.StringIO(text), strict=True) if any(line)]
    except csv.Error as error:
        raise FileFormatError(f"{path}: is no CSV ({error})") from error
    names, rows = [name.strip() for name in lines[0]] if lines else [], lines[1:]
    if "" in names or len(set(names)) < len(names):
        raise FileFormatError(f"{path}: the first line names an option twice, or has an empty name")
    for number, row in enumerate(rows, 1):
        if len(row) != len(names):
            raise FileFormatError(
                f"{path}: configuration {number} has {len(row)} cells, the first line {len(names)}"
            )
    return [
        {name: cell.strip() for name, cell in zip(names, row, strict=True) if cell.strip()}
        for row in rows
    ]


def canonical(value: Any) -> str:
    """A value as JSON with sorted keys: equal values, equal texts.

    Raises
    ------
    UsageError
        For what JSON cannot hold.
    """
    try:
        return json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(
            f"sweep: a value of type {type(value).__name__}; pass texts, numbers and truths"
        ) from error


def key_of(configuration: Configuration) -> str:
    """The name under which its result is kept."""
    return hashlib.sha256(canonical(configuration).encode()).hexdigest()[:16]


def expect_different(configurations: Sequence[Configuration]) -> None:
    """Refuse the same configuration twice.

    Raises
    ------
    UsageError
    """
    seen: dict[str, int] = {}
    for number, configuration in enumerate(configurations, 1):
        first = seen.setdefault(key_of(configuration), number)
        if first != number:
            raise UsageError(f"sweep: configurations {first} and {number} are the same; drop one")


def label(configuration: Configuration) -> str:
    """A configuration in a few words, as in ``graded timesteps=4 weight_bits=8``."""
    rest = [
        f"{name}={value if isinstance(value, str) else canonical(value)}"
        for name, value in configuration.items()
        if name != "method"
    ]
    return " ".join([str(configuration.get("method", "auto")), *rest])
