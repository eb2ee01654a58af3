"""Runs on Lava in one process, one after the other, leave nothing of themselves."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from benchmarks.load.soak import Holdings, soak

pytestmark = [pytest.mark.lava, pytest.mark.usefixtures("lava_python")]


def test_nothing_is_left_of_three_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(prefix="nd-") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr(tempfile, "tempdir", folder)
        assert soak(3) == []


def test_what_is_left_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = Holdings.of()
    (tmp_path / "left").touch()
    reader, writer = os.pipe()
    child = subprocess.Popen(["sleep", "60"])
    try:
        found = before.more(Holdings.of())
    finally:
        child.kill()
        child.wait()
        os.close(reader)
        os.close(writer)
    assert sorted(found) == ["1 children more", "1 temporary files more", "2 open pipe more"]
