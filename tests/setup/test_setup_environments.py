"""The set-up script: what it installs, and when it starts anew."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest

from tests.setup.interpreters import HERE, pretend, script

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("bare")


@pytest.fixture
def checkout(setup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "checkout"
    (root / "requirements").mkdir(parents=True)
    setup.MAIN.lock(root, HERE).write_text("numpy==2.2.6\ntorch==2.13.0\n")
    setup.LAVA.lock(root, "3.10").write_text("numpy==1.26.4\n")
    (root / "pyproject.toml").write_text("[project]\n")
    (root / "setup.py").write_text("")
    (root / setup.NATIVE / "kernels").mkdir(parents=True)
    (root / setup.NATIVE / "sources.py").write_text("")
    (root / setup.NATIVE / "kernels/engine.c").write_text("int one;")
    (root / ".setup").mkdir()
    monkeypatch.setenv("NEURODEPLOY_PYTHON310", "none")
    return root


@pytest.fixture
def ran(setup: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that phases ran: everything is done but what needs a network."""
    ran: list[list[str]] = []

    def phase(what: str, command: list[str], log: Path) -> str:
        ran.append(command)
        if command[1:4] == ["-m", "venv", "--clear"]:
            shutil.rmtree(command[4], ignore_errors=True)
            python = Path(command[4]) / "bin" / "python"
            python.parent.mkdir(parents=True)
            python.symlink_to(sys.executable)
        return "native library: portable, avx2"

    monkeypatch.setattr(setup, "phase", phase)
    return ran


def anew(ran: list[list[str]]) -> bool | None:
    """Whether the environment was created anew, rather than updated; None where nothing ran."""
    created = ["venv" in command for command in ran]
    ran.clear()
    return any(created) if created else None


def test_a_second_run_does_nothing_and_a_changed_lock_is_installed(
    setup: ModuleType, checkout: Path, ran: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    lock = setup.MAIN.lock(checkout, HERE)
    assert setup.ensure(checkout, setup.MAIN) == ""
    log = checkout / ".setup/main.log"
    assert capsys.readouterr().out == f"  main: native library: portable, avx2 (log: {log})\n"
    _, packages, editable, check = ran
    assert packages[-2:] == ["-r", str(lock)]
    assert "--no-deps" in packages
    # A torch for graphics cards needs packages of no lock: there its dependencies are looked for.
    assert editable[-3:] == ["torch==2.13.0", "--editable", str(checkout)]
    assert "--no-deps" not in editable
    assert "import torch;" in check[-1]
    assert anew(ran)
    assert setup.ensure(checkout, setup.MAIN) == ""
    assert anew(ran) is None
    lock.write_text("numpy==2.2.5\n")
    setup.ensure(checkout, setup.MAIN)
    assert not any("torch==2.13.0" in command for command in ran)
    assert anew(ran) is False
    setup.ensure(checkout, setup.MAIN)
    assert anew(ran) is None


@pytest.mark.parametrize(
    "name",
    [
        "kernels/engine.c",
        "kernels/kernels.inc",
        "kernels/engine.h",
        "sources.py",
        "../../../setup.py",
    ],
)
def test_a_changed_source_of_the_library_is_built(
    name: str, setup: ModuleType, checkout: Path, ran: list[list[str]]
) -> None:
    setup.ensure(checkout, setup.MAIN)
    assert anew(ran)
    (checkout / setup.NATIVE / name).write_text("int two;")
    setup.ensure(checkout, setup.MAIN)
    assert anew(ran) is False


@pytest.mark.parametrize("what", ["pyproject.toml", "CC", "CFLAGS"])
def test_another_project_or_compiler_leads_to_a_new_build(
    what: str,
    setup: ModuleType,
    checkout: Path,
    ran: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    setup.ensure(checkout, setup.MAIN)
    assert anew(ran)
    if what == "pyproject.toml":
        (checkout / what).write_text("[project]\nname = 'other'\n")
    else:
        monkeypatch.setenv(what, "-something")
    setup.ensure(checkout, setup.MAIN)
    assert anew(ran) is False


def test_a_compiler_that_was_installed_since_leads_to_a_new_build(
    setup: ModuleType,
    checkout: Path,
    ran: list[list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    setup.ensure(checkout, setup.MAIN)
    assert anew(ran)
    script(tmp_path / "bin/gcc", "exit 0")
    setup.ensure(checkout, setup.MAIN)
    assert anew(ran) is False


def test_a_library_that_is_gone_leads_to_a_new_build(
    setup: ModuleType, checkout: Path, ran: list[list[str]]
) -> None:
    native = checkout / setup.NATIVE
    library = native / f"_kernels{sysconfig.get_config_var('EXT_SUFFIX')}"
    library.touch()
    setup.ensure(checkout, setup.MAIN)
    assert anew(ran)
    # That of the other environment, which is set up beside this one, is none of its business.
    (native / "_kernels.cpython-38-x86_64-linux-gnu.so").touch()
    setup.ensure(checkout, setup.MAIN)
    assert anew(ran) is None
    library.unlink()
    setup.ensure(checkout, setup.MAIN)
    assert anew(ran) is False


@pytest.mark.parametrize(("native", "told"), [("1", ": .*portable"), ("0", ": none, .*; unset")])
def test_the_set_up_says_which_kernels_there_are(
    native: str, told: str, setup: ModuleType, tmp_path: Path
) -> None:
    # The real one takes ten seconds to import.
    (tmp_path / "brian2.py").touch()
    path = f"{tmp_path}{os.pathsep}{ROOT}"
    done = subprocess.run(
        [sys.executable, "-c", f"import json{setup.CHECK}"],
        env={**os.environ, "PYTHONPATH": path, "NEURODEPLOY_NATIVE": native},
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.search(f"^native library{told}", done.stdout.splitlines()[-1])


@pytest.mark.parametrize("broken_off", [KeyboardInterrupt, SystemExit("packages failed")])
def test_a_run_that_broke_off_is_created_anew(
    broken_off: BaseException | type[BaseException],
    setup: ModuleType,
    checkout: Path,
    ran: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    working = setup.phase

    def breaks_off(what: str, command: list[str], log: Path) -> str:
        if "packages" in what:
            raise broken_off
        return working(what, command, log)

    setup.ensure(checkout, setup.MAIN)
    setup.MAIN.lock(checkout, HERE).write_text("numpy==2.2.5\n")
    monkeypatch.setattr(setup, "phase", breaks_off)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        setup.ensure(checkout, setup.MAIN)
    stray = checkout / ".venv" / "half-unpacked"
    stray.touch()
    ran.clear()
    monkeypatch.setattr(setup, "phase", working)
    setup.ensure(checkout, setup.MAIN)
    assert anew(ran)
    assert not stray.exists()
    setup.ensure(checkout, setup.MAIN)
    assert anew(ran) is None


def test_a_broken_environment_is_created_anew(
    setup: ModuleType, checkout: Path, ran: list[list[str]]
) -> None:
    setup.ensure(checkout, setup.MAIN)
    assert anew(ran)
    python = checkout / ".venv/bin/python"
    python.unlink()
    python.symlink_to("gone")
    setup.ensure(checkout, setup.MAIN)
    assert anew(ran)
    setup.ensure(checkout, setup.MAIN)
    assert anew(ran) is None


def test_an_environment_keeps_its_interpreter_unless_another_one_is_named(
    setup: ModuleType,
    checkout: Path,
    ran: list[list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    setup.ensure(checkout, setup.MAIN)
    assert anew(ran)
    other = next(version for version in setup.MAIN.versions if version != HERE)
    setup.MAIN.lock(checkout, other).write_text("numpy==2.2.6\n")
    running = pretend(tmp_path / "running", other)
    monkeypatch.setattr(setup.sys, "executable", str(running))
    setup.ensure(checkout, setup.MAIN)
    assert anew(ran) is None
    monkeypatch.setenv("NEURODEPLOY_PYTHON", str(running))
    setup.ensure(checkout, setup.MAIN)
    assert ran[0][:2] == [str(running), "-m"]
    assert ran[1][-1] == str(setup.MAIN.lock(checkout, other))
    assert anew(ran)


def test_a_phase_is_a_line_with_its_seconds(
    setup: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "main.log"
    command = [sys.executable, "-c", "print('first'); print('last')"]
    assert setup.phase("main: packages", command, log) == "last"
    assert re.fullmatch(r"  main: packages \.\.\. \d+\.\d s\n", capsys.readouterr().out)
    assert log.read_text().splitlines()[1:] == [f"$ {' '.join(command)}", "first", "last"]


def test_a_failed_phase_shows_the_end_of_its_log(
    setup: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "main.log"
    code = "print(*range(50), 'no such package', sep='\\n', flush=True); raise SystemExit(3)"
    with pytest.raises(SystemExit) as stopped:
        setup.phase("main: packages", [sys.executable, "-c", code], log)
    told = str(stopped.value).splitlines()
    assert told[0] == f"set-up: main: packages failed; {log} ends:"
    assert told[1] == "    31"
    assert told[-1] == "    no such package"
    assert "packages ... failed (exit status 3)\n" in capsys.readouterr().out


def test_without_a_310_the_set_up_goes_on(
    setup: ModuleType,
    checkout: Path,
    ran: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert setup.set_up(checkout) == "ready, without Lava: NEURODEPLOY_PYTHON310=none"
    assert anew(ran)
    found = setup.find_interpreter
    monkeypatch.delenv("NEURODEPLOY_PYTHON310")
    monkeypatch.setattr(
        setup, "find_interpreter", lambda e, *known: None if e is setup.LAVA else found(e, *known)
    )
    told = "ready, without Lava: no Python 3.10 found: install one or set NEURODEPLOY_PYTHON310"
    assert setup.set_up(checkout) == told
    assert anew(ran) is None


def test_without_a_python_the_set_up_stops(
    setup: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup.sys, "executable", str(checkout / "absent"))
    told = "no Python 3.11, 3.12, 3.13, 3.10 found: install one or set NEURODEPLOY_PYTHON$"
    with pytest.raises(SystemExit, match=told):
        setup.set_up(checkout)


def test_a_lava_environment_that_fails_leaves_the_main_one(
    setup: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ensure(root: Path, environment: object) -> str:
        if environment is setup.LAVA:
            raise SystemExit("set-up: lava: packages failed")
        return ""

    monkeypatch.setattr(setup, "ensure", ensure)
    told = r"(?s)lava: packages failed.*main environment is ready; NEURODEPLOY_PYTHON310=none"
    with pytest.raises(SystemExit, match=told):
        setup.set_up(checkout)
    monkeypatch.setattr(setup, "ensure", lambda root, environment: "")
    assert setup.set_up(checkout) == "ready: .venv and .venv-lava are up to date"


def test_two_set_ups_of_a_checkout_wait_for_each_other(
    setup: ModuleType,
    checkout: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    went: list[str] = []

    def ensure(root: Path, environment: object) -> str:
        if environment is setup.MAIN:
            went.append("begins")
            time.sleep(0.5)
            went.append("ends")
        return ""

    monkeypatch.setattr(setup, "ensure", ensure)
    with ThreadPoolExecutor() as threads:
        list(threads.map(setup.set_up, [checkout] * 2))
    assert went == ["begins", "ends"] * 2
    assert capsys.readouterr().out == "waiting for another set-up of this checkout ...\n"


def test_an_interrupt_is_a_line_and_leaves_no_stamp(checkout: Path) -> None:
    (checkout / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/setup_environments.py", checkout / "scripts")
    begun = checkout / "begun"
    python = script(
        checkout / "python",
        f'if [ "$1" = -m ]; then : > {begun}; exec /bin/sleep 60; fi; echo "$0"; echo {HERE}',
    )
    with subprocess.Popen(
        [sys.executable, str(checkout / "scripts/setup_environments.py")],
        env={"NEURODEPLOY_PYTHON": str(python), "NEURODEPLOY_PYTHON310": "none"},
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        while not begun.exists():
            assert running.poll() is None
            time.sleep(0.02)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=30)
    assert said == "\nset-up: interrupted; the next make setup mends it\n"
    assert running.returncode == 1
    assert not (checkout / ".venv").exists()
