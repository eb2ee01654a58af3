"""Networks of snnTorch, SpikingJelly, sinabs and Norse, against their import: every spike."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

CASES = {"snntorch": 16, "spikingjelly": 9, "sinabs": 7, "norse": 7}


def results(python: Path, repository: Path, framework: str, *options: str) -> list[dict]:
    done = subprocess.run(
        [python, "-m", "tests.exchange.frameworks", framework, *options],
        cwd=repository,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


@pytest.mark.parametrize("framework", CASES)
def test_every_spike_is_the_framework_s(
    frameworks_python: Path, repository: Path, framework: str
) -> None:
    found = results(frameworks_python, repository, framework, "--samples", "2")
    assert len(found) == CASES[framework]
    for result in found:
        where = (framework, result["case"])
        assert result["differing"] == 0, where
        assert result["farthest_single"] <= 1e-5, where
        silent = [n for n, rate in result["rates"].items() if not 0.01 <= rate <= 0.55]
        assert not silent, (where, result["rates"])
