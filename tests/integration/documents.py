"""Blocks of code in the documents: found, told apart, run, and their output compared."""

from __future__ import annotations

import contextlib
import io
import os
import re
import runpy
import shlex
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMAND = re.compile(r"(\$ |neurodeploy |python |make |pip |export |cd |git |\S*/bin/python )")
"""How a line of an indented block begins that somebody would type."""
FENCE = re.compile(
    r'^```(\w*)(?: title="([^"]+)")?\n(.*?)^```$(?:\n\n```\n(.*?)^```$)?', re.DOTALL | re.MULTILINE
)
INDENTED = re.compile(r"(?<=\n\n) {4}.*(?:\n+ {4}.*)*")
MARK = re.compile(r"<!-- not run: ([^>]*) -->\n+\Z")
PAGE_MARK = re.compile(r"<!-- not run on this page: ([^>]*) -->")


@dataclass(frozen=True)
class Block:
    """One block of a page.

    ``language`` is ``console``, ``python`` or ``file`` (which is written under the name ``title``);
    ``shown`` are the lines of output that the page shows; ``why_not`` says why nobody runs it here.
    """

    language: str
    text: str
    shown: tuple[str, ...] = ()
    title: str = ""
    why_not: str = ""

    @property
    def commands(self) -> list[str]:
        """The lines to type, each whole."""
        lines = self.text.replace("\\\n", "").splitlines()
        return [line[2:] for line in lines if line.startswith("$ ")]


def blocks(text: str) -> list[Block]:
    """Commands, Python and files of a page, in order; plain output alone is none of them."""
    (page,) = PAGE_MARK.findall(text) or [""]
    found: list[tuple[int, Block]] = []
    for fence in FENCE.finditer(text):
        language, title, body, output = fence.groups()
        marked = MARK.search(text, 0, fence.start())
        why = marked[1] if marked else page
        if title:
            found.append((fence.start(), Block("file", body, (), title, why)))
        elif language == "console":
            lines = body.replace("\\\n", "").splitlines()
            shown = tuple(line for line in lines if not line.startswith("$ "))
            found.append((fence.start(), Block(language, body, shown, "", why)))
        elif language == "python":
            shown = tuple((output or "").splitlines())
            found.append((fence.start(), Block(language, body, shown, "", why)))
        elif COMMAND.match(body):
            found.append((fence.start(), Block("unmarked", body, (), "", why)))
    # Blanked, so that what stands inside a fence is not found a second time.
    rest = FENCE.sub(lambda fence: re.sub(r"[^\n]", ".", fence[0]), text)
    for block in INDENTED.finditer(rest):
        if COMMAND.match(block[0].strip()):
            marked = MARK.search(text, 0, block.start())
            why = marked[1] if marked else page
            found.append((block.start(), Block("unmarked", block[0], (), "", why)))
    return [block for _, block in sorted(found, key=lambda pair: pair[0])]


def missing(shown: tuple[str, ...], printed: str) -> list[str]:
    """Lines that are not among those printed; numbers, which depend on the machine, not looked at.

    Where a line is wider than the number in it, blanks and rules move with it.
    """

    def form(line: str) -> str:
        return re.sub(r"[-+]?\d[\d,.e]*|-+|\s+", " ", line).replace(" ", "")

    forms = {form(line) for line in printed.splitlines()}
    return [line for line in shown if line.strip() != "..." and form(line) not in forms]


@contextlib.contextmanager
def _captured() -> Iterator[io.StringIO]:
    """Both streams in one text, and warnings shown as a user sees them."""
    text = io.StringIO()
    with (
        contextlib.redirect_stdout(text),
        contextlib.redirect_stderr(text),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("default")
        yield text


def printed_by(line: str) -> str:
    """Run one line of a console; it exits with 0, or with N where it ends in ``# exit N``."""
    from neurodeploy.cli import run

    line, _, expected = line.partition("  # exit ")
    words = shlex.split(line)
    with _captured() as text:
        if words[0] == "neurodeploy":
            status = run(words[1:])
        elif words[0] == "python" and words[1].endswith(".py"):
            status = _script(words[1:])
        else:
            done = subprocess.run(line, shell=True, capture_output=True, text=True, timeout=120)
            status = done.returncode
            text.write(done.stdout + done.stderr)
    assert status == int(expected or 0), f"{line}: exit status {status}\n{text.getvalue()}"
    return text.getvalue()


def _script(words: list[str]) -> int:
    before, sys.argv = sys.argv, words
    try:
        runpy.run_path(words[0], run_name="__main__")
    finally:
        sys.argv = before
    return 0


def play(page: Path) -> list[str]:
    """Run the blocks of a page in the working directory; return the reasons of those that are not.

    Blocks of Python share their names, as in one session.
    """
    session: dict[str, Any] = {"__name__": "__main__"}
    left_out = []
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.why_not:
            left_out.append(block.why_not)
        elif block.language == "file":
            Path(block.title).parent.mkdir(parents=True, exist_ok=True)
            Path(block.title).write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            with _captured() as text:
                exec(compile(block.text, f"{page.name}", "exec"), session)
            assert missing(block.shown, text.getvalue()) == [], f"{block.text}\n{text.getvalue()}"
        else:
            printed = "".join(printed_by(line) for line in block.commands)
            assert missing(block.shown, printed) == [], f"{block.text}\n{printed}"
    return left_out


@contextlib.contextmanager
def at(folder: Path) -> Iterator[None]:
    """Work in a folder, where modules are found as well."""
    before = os.getcwd()
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        os.chdir(before)
