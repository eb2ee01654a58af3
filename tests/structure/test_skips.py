"""Where nothing should be missing, a test that skips fails the run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = {
    "in_a_test": 'import pytest\ndef test_one(): pytest.skip("because")\n',
    "of_a_file": 'import pytest\npytest.importorskip("no_such_package_here")\n',
    "without_data": "def test_one(shared_dir): pass\n",
    "processor": 'import pytest\ndef test_one(): pytest.skip("this processor does not run x")\n',
    "none": "def test_one(): pass\n",
}


@pytest.mark.parametrize("strict", ["1", ""])
@pytest.mark.parametrize("name", TESTS)
def test_a_skip_fails_the_run(name: str, strict: str, repository: Path, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS[name])
    command = ("-q", "-p", "tests.conftest", "-p", "no:cacheprovider", str(tmp_path / "test_it.py"))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *command],
        cwd=repository,
        env={**os.environ, "NEURODEPLOY_NO_SKIP": strict, "NEURODEPLOY_SHARED": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    nothing_ran = 5 if name == "of_a_file" else 0
    fails = strict and name in ("in_a_test", "of_a_file")
    assert done.returncode == (1 if fails else nothing_ran), done.stdout + done.stderr
    assert ("nothing should be missing" in done.stdout) == bool(fails)
