"""The build with sanitizers: what it must find, and that it is one that the loader takes."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]

FUNCTIONS = """
#include <stdlib.h>
#include <string.h>
__attribute__((visibility("default"))) int filled(int n)
{
    char *volatile values = malloc(16);
    memset(values, 1, n);
    int last = values[n - 1];
    free(values);
    return last;
}
__attribute__((visibility("default"))) int doubled(int n) { return n + n; }
"""


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sanitize", ROOT / "scripts/sanitize.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def built(script: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("gcc") is None or sys.platform != "linux":
        pytest.skip("there is no C compiler with sanitizers")
    folder = tmp_path_factory.mktemp("sanitize")
    (folder / "functions.c").write_text(FUNCTIONS)
    library: Path = folder / "build/functions.so"
    script.build(["gcc"], library, folder)
    return library


@pytest.mark.parametrize(
    ("call", "report"),
    [
        ("filled(16)", None),
        ("filled(17)", "heap-buffer-overflow"),
        ("doubled(2**30 - 1)", None),
        ("doubled(2**30)", "signed integer overflow"),
    ],
)
def test_a_fault_ends_the_process_with_a_report(
    call: str, report: str | None, built: Path, script: ModuleType
) -> None:
    code = f"import ctypes; print(ctypes.CDLL({str(built)!r}).{call})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=script.environment(["gcc"], built),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode == 0) == (report is None), done.stderr
    if report is not None:
        assert report in done.stderr


def test_it_is_built_again_only_for_other_sources(
    built: Path, script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script.subprocess, "run", lambda *a, **k: pytest.fail("built again"))
    script.build(["gcc"], built, built.parent.parent)
    monkeypatch.undo()
    (built.parent.parent / "more.c").write_text("int more;")
    before = built.stat().st_mtime_ns
    script.build(["gcc"], built, built.parent.parent)
    assert built.stat().st_mtime_ns > before
