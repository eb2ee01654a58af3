"""How the process begins and ends: ``python -m``, closed or full streams, completion in shells."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DIFFERS = """
import sys, types, click
from neurodeploy.cli import group, main
@click.command()
@click.pass_context
def differs(context):
    click.echo("it differs")
    context.exit(1)
sys.modules["differs"] = types.SimpleNamespace(command=differs)
group.COMMANDS["differs"] = ("differs:command", "Differs.")
main(["differs"])
"""

Done = subprocess.CompletedProcess[str]


def shell(line: str, folder: Path, code: str = "", **environment: str) -> Done:
    """Run a line of sh in a folder; ``$ND`` is ``python -m neurodeploy``, ``$PY`` runs code."""
    variables = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "ND": f"{sys.executable} -m neurodeploy",
        "PY": f"{sys.executable} code.py",
        **environment,
    }
    (folder / "code.py").write_text(code)
    return subprocess.run(
        ["sh", "-c", line], cwd=folder, env=variables, capture_output=True, text=True, timeout=120
    )


def test_the_package_runs_as_a_module(tmp_path: Path) -> None:
    (tmp_path / "numpy.py").write_text("raise SystemExit('a file of the working directory ran')\n")
    done = shell("$ND boards --json", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert '"loihi1"' in done.stdout
    assert shell("$ND boards nosuch", tmp_path).returncode == 2


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_bug(closed: str, tmp_path: Path) -> None:
    for arguments, status in (("boards", 0), ("boards nosuch", 2)):
        done = shell(f"$ND {arguments} {closed}", tmp_path)
        assert done.returncode == status
        assert "Traceback" not in done.stdout + done.stderr
        assert len(done.stderr.splitlines()) == (status == 2 and "2>" not in closed)
        assert bool(done.stdout) == (status == 0 and ">&-" not in closed.replace("2>&-", ""))


def test_a_difference_stays_one_without_output(tmp_path: Path) -> None:
    assert shell("$PY >&- 2>&-", tmp_path, DIFFERS).returncode == 1
    assert shell("$PY", tmp_path, DIFFERS).stdout == "it differs\n"


def test_no_file_takes_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom neurodeploy.cli import _open_missing_streams\n"
        "_open_missing_streams()\nfile = open('mine', 'w')\nos.write(1, b'lost')\n"
        "print('lost as well')\nsys.stdout.flush()\nfile.write(str(file.fileno()))\n"
    )
    assert shell("$PY >&-", tmp_path, code).returncode == 0
    assert int((tmp_path / "mine").read_text()) > 2


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    for arguments in ("boards", "boards --json"):
        done = shell(f"$ND {arguments} > /dev/full", tmp_path)
        assert done.returncode == 2
        (line,) = done.stderr.splitlines()
        assert line.startswith("neurodeploy: error: ")
        assert line.endswith("standard output: No space left on device; lead it elsewhere")


@pytest.mark.parametrize(("arguments", "stream"), [("boards", "stdout"), ("boards x", "stderr")])
def test_a_reader_that_left_is_no_traceback(arguments: str, stream: str, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    child = subprocess.run(
        [sys.executable, "-m", "neurodeploy", *arguments.split()],
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: writer},
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=120,
        check=False,
    )
    os.close(writer)
    assert child.returncode == 141
    assert not child.stdout
    assert not child.stderr


@pytest.mark.parametrize("kind", ["bash", "zsh", "fish"])
def test_shells_get_a_script_that_asks_click(kind: str, tmp_path: Path) -> None:
    done = shell("$ND", tmp_path, _NEURODEPLOY_COMPLETE=f"{kind}_source")
    assert done.returncode == 0
    assert f"_NEURODEPLOY_COMPLETE={kind}_complete" in done.stdout


@pytest.mark.parametrize(
    ("words", "place", "offered"),
    [
        ("neurodeploy di", 1, "plain,diagnose"),
        ("neurodeploy verify --ag", 2, "plain,--against"),
        ("neurodeploy convert --initial-m", 2, "plain,--initial-membrane"),
        ("neurodeploy nosuch --ag", 2, ""),
    ],
)
def test_commands_and_options_are_completed(
    words: str, place: int, offered: str, tmp_path: Path
) -> None:
    asked = {"_NEURODEPLOY_COMPLETE": "bash_complete", "COMP_WORDS": words}
    done = shell("$ND", tmp_path, COMP_CWORD=str(place), **asked)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, offered, "")


def test_a_shell_that_click_does_not_know_is_one_line(tmp_path: Path) -> None:
    done = shell("$ND", tmp_path, _NEURODEPLOY_COMPLETE="tcsh_source")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "neurodeploy: error: _NEURODEPLOY_COMPLETE=tcsh_source: expected bash_source, zsh_source "
        "or fish_source\n"
    )
