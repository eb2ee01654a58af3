"""Fixtures for every test: where the shared data are, and which Python runs Lava."""

from __future__ import annotations

import gc
import importlib.util
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Those tests are about an environment that has Lava and lacks torch.
collect_ignore = ["py310"] if importlib.util.find_spec("torch") else []

NO_SHARED = "no data/ and models/ in"
NO_FRAMEWORKS = "the frameworks are not installed"
# What a set-up cannot bring: processors, compilers, graphics cards, and browsers but as root.
OF_THE_MACHINE = (
    "this processor does not run",
    "there is no C compiler",
    "PyTorch has no CUDA device here",
    "there is no Chromium",
    "this machine lets nobody limit",
)


if importlib.util.find_spec("hypothesis"):
    from hypothesis import HealthCheck, settings

    # How fast a machine is, and what runs beside the tests, is no fault of what they draw.
    settings.register_profile(
        "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("any machine")

MANY_MODULES = 200
"""Imported since garbage was collected last: as many objects as there are in a large library."""
MANY_TESTS = 50
"""Run since then: what they left is kept for good, as cases and netlists are."""
_imported = 0
_run = 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of slow tests come first (``--no-loadscope-reorder``): at the end all workers work."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish(session: pytest.Session) -> None:
    _freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    global _run
    _run += 1
    if len(sys.modules) > _imported + MANY_MODULES or _run > MANY_TESTS:
        _freeze()


def _freeze() -> None:
    """What is there stays: no collection of garbage looks at it again, and Brian2 asks for many."""
    global _imported, _run
    _imported, _run = len(sys.modules), 0
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where nothing should be missing (``make test``), a skip is a failure of the run."""
    if os.environ.get("NEURODEPLOY_NO_SKIP") and _unexpected_skips(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if os.environ.get("NEURODEPLOY_NO_SKIP"):
        for reason in _unexpected_skips(terminalreporter.config):
            terminalreporter.write_line(f"skipped, but nothing should be missing: {reason}")


def _unexpected_skips(config: pytest.Config) -> list[str]:
    """Reasons of skips, but for what is beside the project, and the machine itself."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return []  # a worker: its tests are counted where they are reported
    reasons = (str(report.longrepr[2]) for report in reporter.stats.get("skipped", []))
    expected = (NO_SHARED, NO_FRAMEWORKS, *OF_THE_MACHINE)
    return [reason for reason in reasons if not any(text in reason for text in expected)]


@pytest.fixture(scope="session")
def repository() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder with the test data and trained networks, or a skip where it is absent."""
    folder = Path(os.environ.get("NEURODEPLOY_SHARED") or ROOT.parent / "shared")
    if not (folder / "data").is_dir() or not (folder / "models").is_dir():
        pytest.skip(f"{NO_SHARED} {folder}; set NEURODEPLOY_SHARED")
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


@pytest.fixture(scope="session")
def frameworks_python() -> Path:
    """A Python with snnTorch, SpikingJelly, sinabs and Norse, or a skip where there is none."""
    python = ROOT / ".venv-bench" / "bin" / "python"
    if not (ROOT / ".venv-bench" / "peers.txt").is_file():
        pytest.skip(f"{NO_FRAMEWORKS}; make setup-frameworks")
    return python


@pytest.fixture(scope="session")
def lava_dl_python(lava_python: Path) -> Path:
    """A Python with Lava and lava-dl, or a skip where there is none."""
    if not (ROOT / ".venv-lava-dl" / "lava-dl.txt").is_file():
        pytest.skip(f"{NO_FRAMEWORKS}; make setup-frameworks")
    return ROOT / ".venv-lava-dl" / "bin" / "python"


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
