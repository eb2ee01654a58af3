"""How a process ends: status 1 says "mismatch", and nothing else may say so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import click
import pytest

from neurodeploy import cli
from neurodeploy.cli import group, run

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = (sys.executable, "-m", "neurodeploy")


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "P": " ".join(PROGRAM)}
    return subprocess.run(
        ["/bin/sh", "-c", line],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=folder,
        env=environment,
    )


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("$P --version >&- <&- 2>&-", 0),
        ("$P inspect none.ndn >&- <&- 2>&-", 2),
        ("$P --help >/dev/full", 2),
        ("$P boards >/dev/full 2>/dev/full", 2),
        ("$P inspect none.ndn 2>/dev/full", 2),
    ],
)
def test_streams_that_are_closed_or_full(line: str, status: int, tmp_path: Path) -> None:
    if "/dev/full" in line and not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    done = shell(line, tmp_path)
    assert done.returncode == status
    assert "Traceback" not in done.stderr
    if line.endswith("--help >/dev/full"):
        assert done.stderr.startswith("neurodeploy: error: ")
        assert len(done.stderr.splitlines()) == 1


def test_an_interrupt_while_modules_are_imported(tmp_path: Path) -> None:
    # The early handler is there before the first module that takes long.
    code = (
        "import os, signal, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'click': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from neurodeploy.cli import main\n"
        "assert 'click' not in sys.modules\n"
        "main(['--version'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert (done.returncode, done.stderr) == (130, "neurodeploy: interrupted\n")


def test_an_interrupt_while_a_command_begins(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [*PROGRAM, "demo", "-o", "out"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    # Before the first line of neurodeploy, Python itself is interrupted, and says so.
    while "numpy" not in Path(f"/proc/{child.pid}/maps").read_text():
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    _, told = child.communicate(timeout=60)
    assert told == "neurodeploy: interrupted\n"
    # Python ends by the signal where it came during an import: 130 too, in a shell.
    assert child.returncode in (130, -signal.SIGINT)


def registered(monkeypatch: pytest.MonkeyPatch, action: object) -> None:
    """A command ``act`` that does it."""

    @click.command()
    def act() -> None:
        action()  # type: ignore[operator]

    monkeypatch.setattr(sys.modules[__name__], "command", act, raising=False)
    monkeypatch.setitem(group.COMMANDS, "act", (f"{__name__}:command", "Acts."))


@pytest.mark.parametrize("code", [0, 1, None, "text"])
def test_code_of_others_that_ends_the_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], code: object
) -> None:
    registered(monkeypatch, lambda: sys.exit(code))  # type: ignore[arg-type]
    assert run(["act"]) == 2
    assert f"SystemExit({code!r})" in capsys.readouterr().err


def test_a_fault_of_main_itself(monkeypatch: pytest.MonkeyPatch, capfd) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(cli, "_flush", lambda status: 1 / 0)
    # Brian2 may have set one of its own in this process.
    before = {s: signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(SystemExit) as ended:
            cli.main(["--version"])
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert ended.value.code == 70
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_warnings_of_libraries_are_not_shown_and_those_of_users_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    import numpy as np

    (tmp_path / "mine.py").write_text("import warnings\nwarnings.warn('look here')\n")

    def act() -> None:
        warnings.simplefilter("always")
        np.lib.format.descr_to_dtype("<f4")
        warnings.warn_explicit("divide", RuntimeWarning, np.__file__, 3)
        exec(compile((tmp_path / "mine.py").read_text(), tmp_path / "mine.py", "exec"), {})

    registered(monkeypatch, act)
    assert run(["act"]) == 0
    assert capsys.readouterr().err == f"warning: {tmp_path}/mine.py:2: look here\n"
    with pytest.warns(RuntimeWarning, match="divide"), pytest.warns(UserWarning, match="look"):
        assert run(["--debug", "act"]) == 0
