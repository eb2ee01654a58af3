"""What holds for every command: exit codes, one line per error, help without imports."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

import neurodeploy
from neurodeploy.cli import group, run
from neurodeploy.errors import CapacityError

ROOT = Path(__file__).resolve().parents[2]

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Register a command ``fail`` that raises what it is given."""

    def register(error: BaseException) -> None:
        @click.command()
        def fail() -> None:
            raise error

        monkeypatch.setattr(sys.modules[__name__], "command", fail, raising=False)
        monkeypatch.setitem(group.COMMANDS, "fail", (f"{__name__}:command", "Fails."))

    return register


def one_error_line(capsys: Captured) -> str:
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("neurodeploy: error: ")
    return lines[0].removeprefix("neurodeploy: error: ")


def test_version_and_help(capsys: Captured) -> None:
    assert run(["--version"]) == 0
    assert neurodeploy.__version__ in capsys.readouterr().out
    assert run(["--help"]) == 0
    out = capsys.readouterr().out
    for name, (_, summary) in group.COMMANDS.items():
        assert name in out
        assert summary.split(".")[0] in " ".join(out.split())


@pytest.mark.parametrize("name", sorted(group.COMMANDS))
def test_every_command_imports_and_explains_itself(name: str, capsys: Captured) -> None:
    assert run([name, "--help"]) == 0
    out = capsys.readouterr().out
    assert f"Usage: neurodeploy {name}" in out
    assert "--debug" in out


def test_an_unknown_command_lists_the_others(capsys: Captured) -> None:
    assert run(["docter"]) == 2
    assert one_error_line(capsys).startswith("unknown command 'docter'; known: ")


def test_a_wrong_option_is_one_line(capsys: Captured) -> None:
    assert run(["doctor", "--nope"]) == 2
    assert one_error_line(capsys).endswith("see 'neurodeploy doctor --help'")


def test_a_user_error_is_one_line(
    failing: Callable[[BaseException], None], capsys: Captured
) -> None:
    failing(CapacityError("conv1: 784 axons exceed 256;\nchoose another board"))
    assert run(["fail"]) == 2
    assert one_error_line(capsys) == "conv1: 784 axons exceed 256; choose another board"


@pytest.mark.parametrize("arguments", [["--debug", "fail"], ["fail", "--debug"]])
def test_debug_shows_the_traceback(
    failing: Callable[[BaseException], None], capsys: Captured, arguments: list[str]
) -> None:
    failing(CapacityError("too large"))
    assert run(arguments) == 2
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.splitlines()[-1] == "neurodeploy: error: too large"


def test_an_operating_system_error_names_the_file(
    failing: Callable[[BaseException], None], capsys: Captured
) -> None:
    failing(PermissionError(13, "Permission denied", "out.npz"))
    assert run(["fail"]) == 2
    assert one_error_line(capsys) == "out.npz: Permission denied"


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_no_memory_is_no_bug(
    library: str, failing: Callable[[BaseException], None], capsys: Captured
) -> None:
    module = pytest.importorskip(library)
    with pytest.raises((MemoryError, RuntimeError)) as caught:
        module.empty(2**46)
    failing(caught.value)
    assert run(["fail"]) == 2
    assert one_error_line(capsys).startswith("out of memory")


def test_a_bug_shows_its_traceback(
    failing: Callable[[BaseException], None], capsys: Captured
) -> None:
    failing(ZeroDivisionError("division by zero"))
    assert run(["fail"]) == 70
    err = capsys.readouterr().err
    assert "ZeroDivisionError: division by zero" in err
    assert "please report" in err.splitlines()[-1]


def test_an_interrupt_is_one_line(
    failing: Callable[[BaseException], None], capsys: Captured
) -> None:
    failing(KeyboardInterrupt())
    assert run(["fail"]) == 130
    assert capsys.readouterr().err.strip() == "neurodeploy: interrupted"


def test_a_status_that_a_command_sets_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    @click.pass_context
    def mismatch(context: click.Context) -> None:
        context.exit(1)

    monkeypatch.setattr(sys.modules[__name__], "command", mismatch, raising=False)
    monkeypatch.setitem(group.COMMANDS, "mismatch", (f"{__name__}:command", "Differs."))
    assert run(["mismatch"]) == 1


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    code = "import sys; from neurodeploy.cli import main\nsys.stdin.read()\nmain(['--help'])"
    reader, writer = os.pipe()
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    os.close(writer)
    os.close(reader)
    _, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (141, "")
