"""The search for a Python that runs Lava."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from neurodeploy.errors import TargetUnavailableError
from neurodeploy.targets.lava import interpreter
from neurodeploy.targets.lava.interpreter import LavaPython, find_lava_python, probe

ANSWER = """echo 'a banner'; echo 'neurodeploy-probe [[3, 10, 13], "0.10.0", "0.1.0"]'"""


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n" + text + "\n")
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No Lava in this process, no variable, no project environment, nothing on PATH."""

    def missing() -> LavaPython:
        raise ImportError("No module named 'lava'")

    monkeypatch.setattr(interpreter, "_running", missing)
    monkeypatch.setattr(interpreter, "checkout", lambda: tmp_path)
    monkeypatch.delenv("NEURODEPLOY_LAVA_PYTHON", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    interpreter._find.cache_clear()


def test_failing_candidates_are_passed_over(tmp_path: Path) -> None:
    script(tmp_path / ".venv-lava/bin/python", "echo 'no such version' >&2; exit 127")
    good = script(tmp_path / "bin/python3.10", ANSWER)
    found = find_lava_python()
    assert found == LavaPython(good, "3.10.13", "0.10.0", "0.1.0", str(good), False)


def test_the_project_environment_comes_before_the_path(tmp_path: Path) -> None:
    script(tmp_path / "bin/python3.10", ANSWER)
    own = script(tmp_path / ".venv-lava/bin/python", ANSWER)
    assert find_lava_python().executable == own


def test_nothing_found_is_one_line_with_the_remedy(tmp_path: Path) -> None:
    script(
        tmp_path / "bin/python3.10", "echo 'pyenv: not found' >&2; echo 'try that' >&2; exit 127"
    )
    with pytest.raises(TargetUnavailableError) as caught:
        find_lava_python()
    message = str(caught.value)
    assert "\n" not in message
    assert "pyenv: not found" in message
    assert "make setup" in message
    assert "NEURODEPLOY_LAVA_PYTHON" in message


def test_a_named_interpreter_must_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path / "bin/python3.10", ANSWER)
    monkeypatch.setenv("NEURODEPLOY_LAVA_PYTHON", str(tmp_path / "absent"))
    with pytest.raises(TargetUnavailableError, match="does not run: No such file"):
        find_lava_python()
    monkeypatch.setenv("NEURODEPLOY_LAVA_PYTHON", "python3.10")
    assert find_lava_python().origin == "NEURODEPLOY_LAVA_PYTHON"


@pytest.mark.skipif(sys.version_info[:2] == (3, 10), reason="this Python has the wanted version")
def test_another_version_is_refused_by_number() -> None:
    found = probe(Path(sys.executable), "here")
    assert found == "Python {}.{}, 3.10 is needed".format(*sys.version_info[:2])


def test_a_hanging_interpreter_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreter, "PROBE_SECONDS", 0.2)
    assert probe(script(tmp_path / "slow", "exec /bin/sleep 30"), "x") == "no answer within 0.2 s"


def test_the_real_environment_answers(lava_python: Path) -> None:
    found = probe(lava_python, "real")
    assert isinstance(found, LavaPython)
    assert found.lava_version == "0.10.0"
