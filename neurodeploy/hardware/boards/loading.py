"""Boards by name, which come with neurodeploy, and from files of the user's."""

from __future__ import annotations

import functools
import importlib.resources
from dataclasses import replace
from pathlib import Path
from typing import Any

from neurodeploy.errors import BoardError, FileFormatError, UnknownNameError
from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.boards.records import STATIC_POWER
from neurodeploy.loading.files import parsed_toml, read_bytes

LARGEST_FILE = 2**20
"""Bytes of a board description."""


def board_names() -> list[str]:
    """Names of the boards that come with neurodeploy."""
    folder = importlib.resources.files("neurodeploy.boards")
    return sorted(f.name[: -len(".toml")] for f in folder.iterdir() if f.name.endswith(".toml"))


def load_board(name_or_path: str | Path) -> Board:
    """Read a board by name, or a user's own from a ``.toml`` file.

    A file with ``extends = "NAME"`` starts from a board that comes with neurodeploy: tables that
    it gives replace those of that board, ``limits``, ``neurons``, ``static_power`` and ``sources``
    entry by entry.

    Raises
    ------
    UnknownNameError
        For a name that does not exist.
    BoardError
        For a file that is missing, not TOML, or describes no board.
    """
    text = str(name_or_path)
    if text in board_names():
        return Board.from_dict(_shipped(text), f"{text}.toml")
    if text.endswith(".toml") or "/" in text or isinstance(name_or_path, Path):
        try:
            content = read_bytes(Path(text), "a board description (TOML)", LARGEST_FILE)
            tables = parsed_toml(content, f"{text}: not a TOML file")
        except FileFormatError as error:
            raise BoardError(str(error)) from error
        return replace(Board.from_dict(_extended(tables, text), text), file=text)
    if Path(text).exists():
        raise BoardError(
            f"{text}: unknown board or not a TOML file; name a board ({', '.join(board_names())}) "
            "or a file that ends in .toml"
        )
    raise UnknownNameError("board", text, board_names())


@functools.cache
def _shipped(name: str) -> dict[str, Any]:
    """Tables of a board that comes with neurodeploy; nobody changes them."""
    resource = importlib.resources.files("neurodeploy.boards") / f"{name}.toml"
    return _extended(parsed_toml(resource.read_bytes(), f"{name}.toml"), f"{name}.toml")


def _extended(data: dict[str, Any], origin: str) -> dict[str, Any]:
    base = data.pop("extends", None)
    if base is None:
        return data
    if base not in board_names() or f"{base}.toml" == origin:
        known = ", ".join(board_names())
        raise BoardError(f"{origin}: extends: {base!r} is no board to start from; known: {known}")
    start = _shipped(base)
    for table in ("limits", "neurons", STATIC_POWER, "sources"):
        if isinstance(data.get(table), dict):
            data[table] = start.get(table, {}) | data[table]
    return {**start, **data}
