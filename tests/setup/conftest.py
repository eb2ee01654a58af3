"""The set-up script as a module, on a machine where nothing else is found."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def setup() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location(
        "setup_environments", ROOT / "scripts" / "setup_environments.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing but what a test puts there: no interpreter of this machine is found."""
    for name in ("PATH", "PYENV_ROOT", "CC", "CFLAGS"):
        monkeypatch.delenv(name, raising=False)
    for name in ("NAMED", "NEURODEPLOY_PYTHON", "NEURODEPLOY_PYTHON310"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
