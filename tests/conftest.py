"""Fixtures for every test: where the shared data are, and which Python runs Lava."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Those tests are about an environment that has Lava and lacks torch.
collect_ignore = ["py310"] if importlib.util.find_spec("torch") else []


@pytest.fixture(scope="session")
def repository() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder with the test data and trained networks, or a skip where it is absent."""
    folder = Path(os.environ.get("NEURODEPLOY_SHARED") or ROOT.parent / "shared")
    if not (folder / "data").is_dir() or not (folder / "models").is_dir():
        pytest.skip(f"no data/ and models/ in {folder}; set NEURODEPLOY_SHARED")
    return folder


@pytest.fixture(scope="session")
def lava_python() -> Path:
    """A Python that imports Lava, or a skip where there is none."""
    from neurodeploy.errors import TargetUnavailableError
    from neurodeploy.targets.lava.interpreter import find_lava_python

    try:
        return find_lava_python().executable
    except TargetUnavailableError as error:
        # With an environment in place, not finding it is a failure, never a skip.
        if (ROOT / ".venv-lava" / "bin" / "python").exists():
            raise
        pytest.skip(str(error))


@pytest.fixture
def fresh_python(tmp_path: Path):
    """Run code in a new interpreter, outside the repository; return its standard output."""
    import subprocess

    def run(code: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
