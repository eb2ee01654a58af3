"""Every command and every block of Python of the README runs, and prints what the README shows."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("brian2")
pytest.importorskip("torch")

MAX_CPU_S = 180.0
MAX_LINES = 200


@dataclass(frozen=True)
class Block:
    """Commands for a shell, or Python, and the lines that the README shows as their output."""

    commands: tuple[str, ...]
    python: str
    shown: tuple[str, ...]


def blocks(text: str) -> list[Block]:
    """Blocks marked `console` or `python`; output of Python is the unmarked one that follows."""
    fenced = re.compile(r"^```(\w+)\n(.*?)^```$(?:\n\n```\n(.*?)^```$)?", re.DOTALL | re.MULTILINE)
    found = []
    for language, body, output in fenced.findall(text):
        if language == "python":
            found.append(Block((), body, tuple(output.splitlines())))
            continue
        assert language == "console"
        lines = body.replace("\\\n", "").splitlines()
        commands = tuple(line[2:] for line in lines if line.startswith("$ "))
        found.append(Block(commands, "", tuple(x for x in lines if not x.startswith("$ "))))
    return found


def readme(repository: Path) -> str:
    return (repository / "README.md").read_text(encoding="utf-8")


def missing(shown: tuple[str, ...], printed: str) -> list[str]:
    """Lines that are not among those printed; numbers, which depend on the machine, not looked at.

    Where a line is wider than the number in it, blanks and rules move with it.
    """

    def form(line: str) -> str:
        return re.sub(r"[-+]?\d[\d,.e]*|-+|\s+", " ", line).replace(" ", "")

    forms = {form(line) for line in printed.splitlines()}
    return [line for line in shown if line.strip() != "..." and form(line) not in forms]


def test_it_is_short_and_its_make_targets_exist(repository: Path) -> None:
    text = readme(repository)
    assert len(text.splitlines()) < MAX_LINES
    makefile = (repository / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"(?:`|^ {4})make (\w+)", text, re.MULTILINE))
    assert {"setup", "demo", "test"} <= targets
    assert not [name for name in targets if f"\n{name}:" not in makefile]


def test_a_line_that_is_not_printed_is_found() -> None:
    printed = "12 samples\n\nT  accuracy\n-  --------\n8   99.0 %\n"
    assert missing(("7 samples", "T  accuracy", "-  -----", "16  9 %", "..."), printed) == []
    assert missing(("T  agreement",), printed) == ["T  agreement"]


@pytest.mark.slow
def test_every_line_runs(lava_python: Path, repository: Path, tmp_path: Path) -> None:
    # Of a clone only the examples are needed; what is installed is the package.
    shutil.copytree(repository / "examples", tmp_path / "examples")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"}
    # A block of Python is pasted into an interpreter, which looks into its working directory.
    found = blocks(readme(repository))
    assert any(block.commands for block in found)
    assert any(block.python for block in found)
    began = resource.getrusage(resource.RUSAGE_CHILDREN)
    for block in found:
        printed = ""
        for command in block.commands or ([sys.executable, "-c", block.python],):
            done = subprocess.run(
                command,
                shell=isinstance(command, str),
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                timeout=300,
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
            printed += done.stdout
        assert missing(block.shown, printed) == [], f"{block}\n{printed}"
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime
    assert spent < MAX_CPU_S
