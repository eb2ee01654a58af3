"""Every command and every block of Python of the README runs, and prints what the README shows."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.documents import blocks, missing

pytest.importorskip("brian2")
pytest.importorskip("torch")

MAX_CPU_S = 180.0
MAX_LINES = 200


def readme(repository: Path) -> str:
    return (repository / "README.md").read_text(encoding="utf-8")


def test_it_is_short_and_its_make_targets_exist(repository: Path) -> None:
    text = readme(repository)
    assert len(text.splitlines()) < MAX_LINES
    makefile = (repository / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"(?:`|^ {4})make (\w+)", text, re.MULTILINE))
    assert {"setup", "demo", "test"} <= targets
    assert not [name for name in targets if f"\n{name}:" not in makefile]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_line_runs(lava_python: Path, repository: Path, tmp_path: Path) -> None:
    # Of a clone only the examples are needed; what is installed is the package.
    shutil.copytree(repository / "examples", tmp_path / "examples")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"}
    # A block of Python is pasted into an interpreter, which looks into its working directory.
    found = [b for b in blocks(readme(repository)) if b.language != "unmarked"]
    assert any(block.commands for block in found)
    assert any(block.language == "python" for block in found)
    began = resource.getrusage(resource.RUSAGE_CHILDREN)
    for block in found:
        printed = ""
        for command in block.commands or [[sys.executable, "-c", block.text]]:
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
