"""What is wrong with the data alone is told before anything takes long."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from neurodeploy.ir.arrays import AnyArray

pytest.importorskip("torch")

SECONDS = 3.0
"""Of processor time: how busy the machine is with other work does not count."""

X = np.random.default_rng(0).random((40, 1, 4, 4)).astype(np.float32)
Y = np.arange(40) % 10


def with_a_gap() -> AnyArray:
    x = X.copy()
    x[5] = np.nan
    return x


WRONG = {
    "bytes": (X * 255, Y, "x lies in [0.", "declare its range with #range=LOW,HIGH"),
    "normalized": ((X - 0.1307) / 0.3081, Y, "outside [0, 1]", "#range=LOW,HIGH"),
    "gaps": (with_a_gap(), Y, "NaN or infinite values, first in sample 5", "remove them"),
    "unsigned": (X, np.full(40, 2**64 - 1, np.uint64), "label 18446744073709551615", "no network"),
    "negative": (X, Y - 1, "label", "-1"),
    "fewer": (X, Y[:-1], "y has shape (39,)", "x asks for (40,)"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_data_are_told_within_seconds(what: str, tmp_path: Path) -> None:
    x, y, *told = WRONG[what]
    np.savez(tmp_path / "data.npz", x=x, y=y)
    (tmp_path / "net.py").write_text("def make():\n    raise AssertionError('data come first')\n")
    command = [sys.executable, "-m", "neurodeploy", "convert", "net.py:make"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [*command, "--data", "data.npz", "-o", "x.ndn"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert all(text in line for text in told), line
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert spent < SECONDS, line
