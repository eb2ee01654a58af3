"""The set-up script: which interpreters it takes, and when it starts anew."""

from __future__ import annotations

import importlib.util
import platform
import re
import shutil
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


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n" + text + "\n")
    path.chmod(0o755)
    return path


def pretend(path: Path, version: str) -> Path:
    """A candidate that answers the probe as a Python of some version would."""
    return script(path, f"echo {path}; echo {version}")


def wanted(setup: ModuleType, *versions: str):
    return setup.Environment("test", ".venv-test", versions, "NAMED", "pass")


def test_probe_takes_only_what_runs(setup: ModuleType, tmp_path: Path) -> None:
    assert setup.probe(sys.executable).version == platform.python_version()
    assert setup.probe(script(tmp_path / "shim", "echo not found >&2; exit 127")) is None
    assert setup.probe(script(tmp_path / "chatty", "echo what; echo ever")) is None
    assert setup.probe(script(tmp_path / "late", f"echo {tmp_path}; echo 3.10.1; exit 1")) is None
    assert setup.probe(str(tmp_path / "absent")) is None


def test_probe_gives_up_on_what_hangs(
    setup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup, "PROBE_SECONDS", 0.2)
    assert setup.probe(script(tmp_path / "hangs", "exec sleep 30")) is None


def test_a_failing_shim_on_the_path_is_passed_over(setup: ModuleType, tmp_path: Path) -> None:
    script(tmp_path / "shims" / "python3.10", "exit 127")
    good = pretend(tmp_path / "bin" / "python3.10", "3.10.9")
    environ = {"PATH": f"{tmp_path}/shims:{tmp_path}/bin", "HOME": str(tmp_path)}
    found = setup.find_interpreter(wanted(setup, "3.10"), environ)
    assert (found.path, found.version) == (str(good), "3.10.9")


def test_pyenv_versions_are_found_without_their_shims(setup: ModuleType, tmp_path: Path) -> None:
    script(tmp_path / "pyenv/shims/python3.10", "exit 127")
    pretend(tmp_path / "pyenv/versions/3.11.7/bin/python", "3.11.7")
    pretend(tmp_path / "pyenv/versions/3.10.13/bin/python", "3.10.13")
    environ = {
        "PATH": f"{tmp_path}/pyenv/shims",
        "PYENV_ROOT": f"{tmp_path}/pyenv",
        "HOME": str(tmp_path),
    }
    assert setup.find_interpreter(wanted(setup, "3.10"), environ).version == "3.10.13"
    del environ["PYENV_ROOT"]
    assert setup.find_interpreter(wanted(setup, "3.10"), environ) is None
    (tmp_path / "pyenv").rename(tmp_path / ".pyenv")
    # The candidates print their old place, which is what the probe reports.
    assert setup.find_interpreter(wanted(setup, "3.10"), environ).version == "3.10.13"


def test_the_named_interpreter_comes_first_and_a_wrong_one_is_told(
    setup: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend(tmp_path / "bin/python3.10", "3.10.9")
    named = pretend(tmp_path / "mine", "3.10.1")
    environ = {"PATH": f"{tmp_path}/bin", "HOME": str(tmp_path), "NAMED": str(named)}
    assert setup.find_interpreter(wanted(setup, "3.10"), environ).version == "3.10.1"
    assert capsys.readouterr().out == ""
    pretend(named, "3.12.0")
    assert setup.find_interpreter(wanted(setup, "3.10"), environ).version == "3.10.9"
    assert capsys.readouterr().out == f"NAMED={named} is not a working Python 3.10; searching on\n"


def test_the_running_interpreter_serves_only_in_a_wanted_version(
    setup: ModuleType, tmp_path: Path
) -> None:
    environ = {"PATH": "", "HOME": str(tmp_path)}
    running = str(pretend(tmp_path / "running", "3.11.4"))
    assert setup.find_interpreter(setup.MAIN, environ, running).version == "3.11.4"
    assert setup.find_interpreter(setup.LAVA, environ, running) is None
    running = str(pretend(tmp_path / "running", "3.13.0"))
    assert setup.find_interpreter(setup.MAIN, environ, running).version == "3.13.0"
    running = str(pretend(tmp_path / "running", "3.14.0"))
    assert setup.find_interpreter(setup.MAIN, environ, running) is None


def test_every_interpreter_has_a_lock_with_its_newest_brian2(setup: ModuleType) -> None:
    newest = {"3.10": "2.9.0", "3.11": "2.9.0", "3.12": "2.10.1", "3.13": "2.11.0"}
    assert set(newest) == set(setup.MAIN.versions)
    for version, brian2 in newest.items():
        lines = setup.MAIN.lock(ROOT, version).read_text().splitlines()
        assert f"Brian2=={brian2}" in lines
        pins = [line for line in lines if not line.startswith("#")]
        assert all(re.match(r"[\w.-]+==[\w.]+(; .+)?$", line) for line in pins)
        assert len({line.partition("==")[0].lower() for line in pins}) == len(pins)
    assert "lava-nc==0.10.0" in setup.LAVA.lock(ROOT, "3.10.13").read_text().splitlines()


@pytest.fixture
def checkout(setup: ModuleType, tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    (root / "requirements").mkdir(parents=True)
    for wanted in (setup.MAIN, setup.LAVA):
        wanted.lock(root, platform.python_version()).write_text("numpy==2.2.6\n")
    (root / "pyproject.toml").write_text("[project]\n")
    (root / "setup.py").write_text("")
    (root / setup.NATIVE).mkdir(parents=True)
    (root / setup.NATIVE / "sources.py").write_text("")
    (root / setup.NATIVE / "engine.c").write_text("int one;")
    (root / ".setup").mkdir()
    return root


@pytest.fixture
def without_pip(setup: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Phases with everything done but what needs a network; returns what ran."""
    ran: list[str] = []

    def phase(name: str, what: str, command: list[str], log: Path) -> None:
        ran.append(what.split()[0])
        if command[1:4] == ["-m", "venv", "--clear"]:
            shutil.rmtree(command[4], ignore_errors=True)
            python = Path(command[4]) / "bin" / "python"
            python.parent.mkdir(parents=True)
            python.symlink_to(sys.executable)

    monkeypatch.setattr(setup, "phase", phase)
    monkeypatch.setattr(setup, "built_library", lambda name, python, check, log: "")
    return ran


def test_a_second_run_does_nothing(
    setup: ModuleType, checkout: Path, without_pip: list[str]
) -> None:
    interpreter = setup.probe(sys.executable)
    assert not setup.is_current(checkout, setup.MAIN)
    setup.build(checkout, setup.MAIN, interpreter)
    assert without_pip == ["virtual", "up", "neurodeploy"]
    assert setup.is_current(checkout, setup.MAIN)
    setup.MAIN.lock(checkout, platform.python_version()).write_text("numpy==2.2.5\n")
    assert not setup.is_current(checkout, setup.MAIN)
    without_pip.clear()
    setup.build(checkout, setup.MAIN, interpreter)
    assert without_pip == ["up", "neurodeploy"]


@pytest.mark.parametrize("name", ["engine.c", "kernels.inc", "engine.h", "../../../setup.py"])
def test_the_stamp_knows_the_sources_of_the_library(
    name: str, setup: ModuleType, checkout: Path, without_pip: list[str]
) -> None:
    setup.build(checkout, setup.MAIN, setup.probe(sys.executable))
    assert setup.is_current(checkout, setup.MAIN)
    (checkout / setup.NATIVE / name).write_text("int two;")
    assert not setup.is_current(checkout, setup.MAIN)


def test_a_compiler_that_was_installed_since_leads_to_a_new_build(
    setup: ModuleType,
    checkout: Path,
    without_pip: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    setup.build(checkout, setup.MAIN, setup.probe(sys.executable))
    assert setup.is_current(checkout, setup.MAIN)
    script(tmp_path / "bin/gcc", "exit 0")
    assert not setup.is_current(checkout, setup.MAIN)


def test_a_library_that_is_gone_leads_to_a_new_build(
    setup: ModuleType,
    checkout: Path,
    without_pip: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    library = checkout / setup.NATIVE / "_kernels.so"
    library.touch()
    monkeypatch.setattr(setup, "built_library", lambda name, python, check, log: str(library))
    setup.build(checkout, setup.MAIN, setup.probe(sys.executable))
    assert setup.is_current(checkout, setup.MAIN)
    library.unlink()
    assert not setup.is_current(checkout, setup.MAIN)


def test_the_set_up_says_which_kernels_there_are(
    setup: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "main.log"
    python = script(tmp_path / "python", "echo /a/_kernels.so; echo portable, avx2")
    assert setup.built_library("main", str(python), "pass", log) == "/a/_kernels.so"
    assert capsys.readouterr().out.endswith("  main: native library for portable, avx2\n")
    python = script(tmp_path / "python", "echo; echo 'it is not built; install gcc'")
    assert setup.built_library("main", str(python), "pass", log) == ""
    said = capsys.readouterr().out
    assert "without the native library: it is not built; install gcc\n" in said
    assert str(log) in said
    python = script(tmp_path / "python", "echo 'no such module' >&2; exit 1")
    with pytest.raises(setup.FailedPhase, match="no such module"):
        setup.built_library("main", str(python), "pass", log)


def test_an_interrupted_run_is_created_anew(
    setup: ModuleType,
    checkout: Path,
    without_pip: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    interpreter = setup.probe(sys.executable)
    working = setup.phase

    def interrupted(name: str, what: str, command: list[str], log: Path) -> None:
        if what.startswith("up to"):
            raise KeyboardInterrupt
        working(name, what, command, log)

    monkeypatch.setattr(setup, "phase", interrupted)
    with pytest.raises(KeyboardInterrupt):
        setup.build(checkout, setup.MAIN, interpreter)
    assert not setup.is_current(checkout, setup.MAIN)
    stray = checkout / ".venv" / "half-unpacked"
    stray.touch()

    monkeypatch.setattr(setup, "phase", working)
    setup.build(checkout, setup.MAIN, interpreter)
    assert setup.is_current(checkout, setup.MAIN)
    assert not stray.exists()


def test_a_broken_environment_is_created_anew(
    setup: ModuleType, checkout: Path, without_pip: list[str]
) -> None:
    interpreter = setup.probe(sys.executable)
    setup.build(checkout, setup.MAIN, interpreter)
    python = checkout / ".venv/bin/python"
    python.unlink()
    python.symlink_to("gone")
    assert not setup.is_current(checkout, setup.MAIN)
    without_pip.clear()
    setup.build(checkout, setup.MAIN, interpreter)
    assert without_pip[0] == "virtual"
    assert setup.is_current(checkout, setup.MAIN)


def test_a_failed_phase_shows_the_end_of_its_log(
    setup: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "main.log"
    code = "print('no such package', flush=True); raise SystemExit(3)"
    with pytest.raises(setup.FailedPhase, match=r"(?s)exit status 3.*no such package.*main\.log"):
        setup.phase("main", "packages", [sys.executable, "-c", code], log)
    assert "packages ... failed" in capsys.readouterr().out


def test_without_a_310_the_set_up_goes_on(
    setup: ModuleType,
    checkout: Path,
    without_pip: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = setup.probe(sys.executable)
    monkeypatch.setattr(
        setup,
        "find_interpreter",
        lambda wanted, environ, running: here if wanted is setup.MAIN else None,
    )
    said = setup.set_up(checkout, {})
    assert setup.is_current(checkout, setup.MAIN)
    assert said.startswith("ready, without Lava: lava-nc needs Python 3.10")
    said = setup.set_up(checkout, {"NEURODEPLOY_PYTHON310": "none"})
    assert "NEURODEPLOY_PYTHON310=none" in said
