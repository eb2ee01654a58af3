"""Which interpreters the set-up script takes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.setup.interpreters import HERE, pretend, script

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("bare")


def wanted(setup: ModuleType, *versions: str):
    return setup.Environment("test", ".venv-test", versions, "NAMED", "numpy")


def test_probe_takes_only_what_runs(setup: ModuleType, tmp_path: Path) -> None:
    any_version = wanted(setup, HERE, "what", "3.10")
    assert setup.probe(sys.executable, any_version).version == HERE
    assert setup.probe(sys.executable, wanted(setup, "3.8")) is None
    for text in (
        "echo not found >&2; exit 127",
        "echo a; echo what; echo ever",
        "echo what",
        f"echo {tmp_path}; echo 3.10; exit 1",
    ):
        assert setup.probe(str(script(tmp_path / "broken", text)), any_version) is None
    assert setup.probe(str(tmp_path / "absent"), any_version) is None


def test_probe_gives_up_on_what_hangs(
    setup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup, "PROBE_SECONDS", 0.2)
    assert setup.probe(str(script(tmp_path / "hangs", "exec /bin/sleep 30")), setup.MAIN) is None


def test_a_venv_of_the_running_interpreter_leads_to_its_base(setup: ModuleType) -> None:
    found = setup.probe(sys.executable, wanted(setup, HERE))
    assert found.path == sys._base_executable


def test_nothing_of_the_user_leaks_into_a_child(tmp_path: Path) -> None:
    code = "import setup_environments; print(*setup_environments.CLEAN)"
    leaking = {"PYTHONHOME_": "a", "PYTHONPATH": "b", "NEURODEPLOY_ISA": "c", "CC": "gcc"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, cwd=ROOT / "scripts", env=leaking, capture_output=True, text=True, check=True
    )
    names = done.stdout.split()
    assert "CC" in names
    assert not {name for name in names if name.startswith(("PYTHON", "NEURODEPLOY"))}


def test_a_failing_shim_on_the_path_is_passed_over(
    setup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path / "shims" / "python3.10", "exit 127")
    good = pretend(tmp_path / "bin" / "python3.10", "3.10")
    monkeypatch.setenv("PATH", f"{tmp_path}/shims:{tmp_path}/bin")
    assert setup.find_interpreter(wanted(setup, "3.10")) == (str(good), "3.10")


def test_a_python3_without_a_version_in_its_name_is_found(
    setup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = pretend(tmp_path / "bin" / "python3", "3.12")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin")
    assert setup.find_interpreter(wanted(setup, "3.10")) is None
    assert setup.find_interpreter(setup.MAIN) == (str(good), "3.12")


def test_pyenv_versions_are_found_without_their_shims(
    setup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path / "pyenv/shims/python3.10", "exit 127")
    pretend(tmp_path / "pyenv/versions/3.11.7/bin/python", "3.11")
    pretend(tmp_path / "pyenv/versions/3.10.13/bin/python", "3.10")
    monkeypatch.setenv("PATH", f"{tmp_path}/pyenv/shims")
    monkeypatch.setenv("PYENV_ROOT", f"{tmp_path}/pyenv")
    assert "3.10.13" in setup.find_interpreter(wanted(setup, "3.10")).path
    monkeypatch.delenv("PYENV_ROOT")
    assert setup.find_interpreter(wanted(setup, "3.10")) is None
    (tmp_path / "home").mkdir()
    (tmp_path / "pyenv").rename(tmp_path / "home/.pyenv")
    # The candidates print their old place, which is what the probe reports.
    assert "3.10.13" in setup.find_interpreter(wanted(setup, "3.10")).path


def test_the_named_interpreter_comes_first_and_a_wrong_one_is_told(
    setup: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    on_path = pretend(tmp_path / "bin/python3.10", "3.10")
    named = pretend(tmp_path / "mine", "3.10")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin")
    monkeypatch.setenv("NAMED", str(named))
    assert setup.find_interpreter(wanted(setup, "3.10"), str(on_path)).path == str(named)
    assert capsys.readouterr().out == ""
    pretend(named, "3.12")
    assert setup.find_interpreter(wanted(setup, "3.10")).path == str(on_path)
    assert capsys.readouterr().out == f"NAMED={named} is not a working Python 3.10; searching on\n"


def test_the_running_interpreter_serves_only_in_a_wanted_version(
    setup: ModuleType, tmp_path: Path
) -> None:
    running = str(pretend(tmp_path / "running", "3.11"))
    assert setup.find_interpreter(setup.MAIN, running).version == "3.11"
    assert setup.find_interpreter(setup.LAVA, running) is None
    pretend(tmp_path / "running", "3.13")
    assert setup.find_interpreter(setup.MAIN, running).version == "3.13"
    pretend(tmp_path / "running", "3.14")
    assert setup.find_interpreter(setup.MAIN, running) is None


def test_every_interpreter_has_a_lock_with_its_newest_brian2(setup: ModuleType) -> None:
    newest = {"3.10": "2.9.0", "3.11": "2.9.0", "3.12": "2.10.1", "3.13": "2.11.0"}
    assert set(newest) == set(setup.MAIN.versions)
    for version, brian2 in newest.items():
        lines = setup.MAIN.lock(ROOT, version).read_text().splitlines()
        assert f"Brian2=={brian2}" in lines
        pins = [line for line in lines if not line.startswith("#")]
        assert all(re.match(r"[\w.-]+==[\w.]+(; .+)?$", line) for line in pins)
        assert len({line.partition("==")[0].lower() for line in pins}) == len(pins)
    assert "lava-nc==0.10.0" in setup.LAVA.lock(ROOT, "3.10").read_text().splitlines()
