"""A few faults at writes of two commands; ``make faults`` tries all of them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the networks of these tests are made with torch")

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(sys.platform != "linux", reason="calls are caught as Linux makes them")
def test_the_old_output_or_the_new_one_is_left_whole() -> None:
    if not (shutil.which("cc") or shutil.which("gcc")):
        pytest.skip("there is no C compiler")
    tried = ("--commands", "quantize,compile brian2", "--points", "4")
    done = subprocess.run(
        [sys.executable, "-m", "tests.bad_input.faults", *tried],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if k != "LD_PRELOAD"},
    )
    assert done.returncode == 0, done.stderr
    assert "32 ends, 0 of them wrong" in done.stdout
