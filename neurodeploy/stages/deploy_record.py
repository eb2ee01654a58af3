"""``deploy.json``: what was asked for, and the steps so far, each with its inputs and files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal, TypeVar

from neurodeploy.errors import FileFormatError, UsageError
from neurodeploy.ir.files import write_bytes_whole
from neurodeploy.loading.files import LARGEST_TEXT, expect_schema, parsed_json, read_bytes
from neurodeploy.loading.typed import from_table

DEPLOYED_FILE = "deploy.json"
SCHEMA = 1
AGAIN = "run 'neurodeploy deploy' again"
PLAIN = re.compile(r"\w[\w.+-]*", re.ASCII)
"""Names of boards and targets that can be parts of file names."""

Name = Literal[
    "convert",
    "load",
    "evaluate-real",
    "quantize",
    "evaluate",
    "verdict",
    "compile",
    "verify",
    "energy",
    "report",
]
"""The steps of a board in their order, and the page at the end; spiking networks are loaded."""
Status = Literal["done", "refused", "left out"]


_Typed = TypeVar("_Typed")


@dataclass(frozen=True, slots=True)
class Step:
    """One finished step.

    Parameters
    ----------
    name : str
    board, target : str or None
        Where it is a step of one.
    status : {"done", "refused", "left out"}
        ``refused``: the board or the target cannot run the network; ``left out``: software that it
        needs is missing here.
    seconds : float
        What it took when it ran.
    line : str
        Its result, or the reason, in one line.
    warnings : tuple of str
    result : str or None
        The file with its result, relative to the folder.
    files : mapping of str to str
        Everything that it wrote, the result included -> SHA-256.
    inputs : mapping of str to str
        What it depends on -> the text of an option, or a SHA-256.
    """

    name: Name
    board: str | None
    target: str | None
    status: Status
    seconds: float
    line: str
    warnings: tuple[str, ...] = ()
    result: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str | None, str | None]:
        """Name, board and target: there is one step of each."""
        return self.name, self.board, self.target

    def __str__(self) -> str:
        return " ".join(part for part in (self.board, self.name, self.target) if part)


@dataclass(frozen=True, slots=True)
class Record:
    """The content of ``deploy.json``.

    Parameters
    ----------
    neurodeploy : str
        Version.
    command : tuple of str
        The command line, or the call, without the folders of the machine.
    arguments : mapping
        By name, JSON values.
    boards : tuple of str
    descriptions : mapping of board to mapping
        What their files say, which may be the user's own.
    steps : tuple of Step
        Of this run, in their order.
    kept : tuple of Step
        Of earlier runs with other boards, targets or inputs; a later run may take them again.
    running : tuple of str
        Files that a step may have begun to write.
    finished : bool
        Whether all steps are done.
    """

    neurodeploy: str
    command: tuple[str, ...]
    arguments: Mapping[str, Any]
    boards: tuple[str, ...]
    descriptions: Mapping[str, Any]
    steps: tuple[Step, ...] = ()
    kept: tuple[Step, ...] = ()
    running: tuple[str, ...] = ()
    finished: bool = False

    @property
    def files(self) -> set[str]:
        """Everything in the folder that is ours, finished or begun."""
        done = {name for step in (*self.steps, *self.kept) for name in step.files}
        return done | set(self.running)

    def write(self, folder: Path) -> None:
        """Replace ``deploy.json`` in one step."""
        text = json.dumps({"schema": SCHEMA, **asdict(self)}, indent=2, allow_nan=False)
        write_bytes_whole(folder / DEPLOYED_FILE, f"{text}\n".encode())


def is_deployed(folder: Path) -> bool:
    """Whether a folder is one of ``deploy``, as far as its names tell."""
    return (folder / DEPLOYED_FILE).is_file()


def read_record(folder: Path) -> Record:
    """Read ``deploy.json``.

    Raises
    ------
    FileFormatError
    """
    where = folder / DEPLOYED_FILE
    damaged = f"{where}: damaged; choose a new folder and {AGAIN}"
    content = read_bytes(where, "the record of a deploy", LARGEST_TEXT)
    found = parsed_json(content, damaged)
    if not isinstance(found, dict) or "schema" not in found:
        raise FileFormatError(damaged)
    expect_schema(found.pop("schema"), SCHEMA, where, f"choose a new folder and {AGAIN}")
    for name in ("steps", "kept"):
        rows = found.get(name)
        if not isinstance(rows, list):
            raise FileFormatError(damaged)
        found[name] = tuple(_typed(Step, row, where) for row in rows)
    record = _typed(Record, found, where)
    steps = (*record.steps, *record.kept)
    names = [*record.boards, *(n for s in steps for n in (s.board, s.target) if n is not None)]
    files = [*record.files, *(step.result for step in steps if step.result is not None)]
    if not all(PLAIN.fullmatch(name) for name in names) or not all(map(_is_inside, files)):
        raise FileFormatError(damaged)
    return record


def _typed(cls: type[_Typed], table: object, where: Path) -> _Typed:
    """The dataclass of a table; JSON's lists are its tuples."""
    if isinstance(table, dict):
        table = {k: tuple(v) if isinstance(v, list) else v for k, v in table.items()}
    try:
        return from_table(cls, table)
    except FileFormatError as error:
        raise FileFormatError(f"{where}: {error}; choose a new folder and {AGAIN}") from error


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts


def plain_name(kind: str, name: str) -> str:
    """A name that can be a part of the folder's names.

    Raises
    ------
    UsageError
        For one with separators, blanks or the like.
    """
    if not PLAIN.fullmatch(name):
        raise UsageError(
            f"deploy: {kind} {name!r}: its name becomes the name of a file; use letters, digits, "
            "'.', '+', '-' and '_'"
        )
    return name
