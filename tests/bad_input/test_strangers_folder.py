"""Nothing of the working directory is executed: it may be a stranger's.

Every command runs in a folder in which everything that Python, Brian2, Lava, matplotlib or a shim
would take from a working directory writes a mark when it is executed. neurodeploy is a copy there,
as an installed one is: a checkout finds its own Lava environment before it looks further.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import neurodeploy as nd
from neurodeploy.cli.group import COMMANDS, cli
from neurodeploy.errors import TargetUnavailableError
from neurodeploy.targets.brian2 import session
from neurodeploy.targets.lava import interpreter
from neurodeploy.testing import NetlistBuilder
from tests.conftest import ROOT
from tests.exchange.files import chain, lif, write_nir

MODULES = sorted(
    {
        *sys.stdlib_module_names,
        *importlib.metadata.packages_distributions(),
        *("lava", "sitecustomize", "usercustomize", "strangers_plugin", "strangers_backend"),
    }
)
PROGRAMS = ("python", "python3", "python3.10", "which")
DIGITS = ("--data", "digits", "--samples", "3")
MADE, OUT = "{made}", "{out}"
NETWORK = (f"{MADE}/nets.py:tiny", "--weights", f"{MADE}/tiny.pt")
FEW = ("--data", "digits", "--method", "rate", "--timesteps", "4", "--calibration-samples", "20")

ARGUMENTS: dict[str, list[tuple[str, ...]]] = {
    "convert": [(*NETWORK, *FEW, "-o", f"{OUT}/net.ndn")],
    "import": [
        (f"{OUT}/net.nir", "--dynamics", "snntorch", "--timesteps", "4", "-o", f"{OUT}/nir.ndn")
    ],
    "quantize": [(f"{MADE}/net.ndn", "--data", "digits", "-o", f"{OUT}/net8.ndn")],
    "compile": [
        (f"{MADE}/net8.ndn", "--target", target, "-o", f"{OUT}/{target}")
        for target in ("brian2", "lava")
    ],
    "export": [(f"{MADE}/net8.ndn", "--to", "nir", "-o", f"{OUT}/net.nir")],
    "run": [(f"{MADE}/brian", *DIGITS)],
    "stream": [
        (f"{OUT}/steady.ndn", "--data", f"events:{OUT}/rec.npz#dt=1ms", *on)
        for on in ((), ("--executor", "brian2"))
    ],
    "verify": [(f"{MADE}/brian", "--against", "reference,engine", *DIGITS)],
    "energy": [(f"{MADE}/brian", "--board", "loihi1", *DIGITS)],
    "evaluate": [(f"{MADE}/net8.ndn", *DIGITS, *on) for on in ((), ("--scheduler", "local:1"))],
    "sweep": [(*NETWORK, *FEW, "--samples", "3", "--workers", "1", "-o", f"{OUT}/sweep")],
    "report": [(f"{MADE}/net8.ndn", "-o", f"{OUT}/report.html")],
    "diagnose": [(f"{MADE}/net8.ndn", *DIGITS)],
    "inspect": [(f"{MADE}/net8.ndn",), (f"{MADE}/brian",)],
    "targets": [()],
    "boards": [(), ("loihi1",)],
    "methods": [(), ("rate",)],
    "deploy": [(*NETWORK, *FEW, "--board", "loihi2", "--samples", "3", "-o", f"{OUT}/deployed")],
    # 'deploy' of a network that it trains first, which takes longer than all others together.
    "demo": [],
    "doctor": [()],
}
"""Command -> the arguments of each of its runs, all of which succeed."""

PROCESSES = {"--workers", "--scheduler"}
"""Runs with these start processes. All others run in one, where what is imported once is not looked
for again: those that import little come first."""
LIGHT = ("targets", "boards", "methods", "inspect", "report")
SEVERAL = """
import json, os, sys
from neurodeploy.cli import run
runs, marks = json.loads(sys.argv[1]), sys.argv[2]
for arguments in runs:
    status = run(arguments)
    executed = sorted(os.listdir(marks))
    if status or executed:
        sys.exit(f"{arguments} ended with {status} and executed {executed}")
"""

Call = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package beside no environment, and a program as installers write it."""
    folder = tmp_path_factory.mktemp("installed")
    shutil.copytree(
        ROOT / "neurodeploy",
        folder / "neurodeploy",
        # What is compiled counts, as times are kept; not what another worker is just writing.
        ignore=shutil.ignore_patterns("*.pyc.*"),
    )
    # Processes of multiprocessing import it again.
    (folder / "program").write_text(
        "from neurodeploy.cli import main\nif __name__ == '__main__':\n    main()\n"
    )
    (folder / "several").write_text(SEVERAL)
    return folder


class Stranger:
    """The folder, and what was executed of it."""

    def __init__(self, place: Path) -> None:
        self.folder, self.marks = place / "stranger", place / "marks"
        self.folder.mkdir()
        self.marks.mkdir()
        # Open and nothing else: every other name is a trap itself.
        module = f"open({str(self.marks)!r} + '/' + __name__, 'w').close()\n"
        for name in MODULES:
            (self.folder / f"{name}.py").write_text(module)
        for name in (*PROGRAMS, ".venv-lava/bin/python", ".venv/bin/python"):
            self._program(name)
        (self.folder / "brian_preferences").write_text(
            f"core.default_float_dtype = open({str(self.marks / 'brian_preferences')!r}, 'w')\n"
        )
        (self.folder / "matplotlibrc").write_text(
            "text.usetex: True\nsavefig.facecolor: red\nbackend: module://strangers_backend\n"
        )
        plugin = self.folder / "stranger-1.0.dist-info"
        plugin.mkdir()
        (plugin / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
        (plugin / "entry_points.txt").write_text(
            "[neurodeploy.targets]\nstranger = strangers_plugin:target\n"
            "[neurodeploy.methods]\nstranger = strangers_plugin:method\n"
        )

    def _program(self, name: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n: > '{self.marks}/{name.replace('/', '_')}'\nexit 1\n")
        path.chmod(0o755)

    def executed(self) -> list[str]:
        return sorted(mark.name for mark in self.marks.iterdir())


@pytest.fixture
def stranger(tmp_path: Path) -> Stranger:
    return Stranger(tmp_path)


def environment() -> dict[str, str]:
    """Of a user whose PATH holds the working directory in all its spellings, first."""
    taken = (interpreter.VARIABLE, "PYTHONPATH")
    inherited = {k: v for k, v in os.environ.items() if k not in taken}
    path = os.pathsep.join([".", "", "./.venv-lava/bin", os.environ["PATH"], ""])
    return {**inherited, "PATH": path}


@pytest.fixture
def call(installed: Path, stranger: Stranger) -> Call:
    """Run a command of the copy, or several, in the stranger's folder."""

    def run(
        *arguments: str, lava: Path | None = None, program: str = "program"
    ) -> subprocess.CompletedProcess[str]:
        named = {} if lava is None else {interpreter.VARIABLE: str(lava)}
        return subprocess.run(
            [sys.executable, str(installed / program), *arguments],
            capture_output=True,
            text=True,
            timeout=240,
            cwd=stranger.folder,
            env={**environment(), **named},
        )

    return run


def test_every_command_has_a_run() -> None:
    import click

    assert list(ARGUMENTS) == cli.list_commands(click.Context(cli)) == list(COMMANDS)


def runs_of(command: str, made: Path, out: Path, processes: bool) -> list[list[str]]:
    runs = [run for run in ARGUMENTS[command] if bool(PROCESSES & set(run)) == processes]
    return [[command, *(a.format(made=made, out=out) for a in run)] for run in runs]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where the commands write, and what some of them read."""
    folder = tmp_path / "out"
    folder.mkdir()
    pytest.importorskip("h5py", reason="NIR is HDF5")
    write_nir(folder / "net.nir", chain(lif()))
    steady = NetlistBuilder().input("x", (3,)).dense(2, threshold=9, membrane_decay=900)
    nd.Network(steady.output()).save(folder / "steady.ndn")
    np.savez(folder / "rec.npz", t=np.arange(3), x=np.arange(3))
    return folder


@pytest.mark.parametrize("command", ["evaluate", "sweep"])
def test_nothing_of_the_working_directory_is_executed(
    command: str, call: Call, stranger: Stranger, made: Path, out: Path
) -> None:
    before = sorted(stranger.folder.rglob("*"))
    runs = runs_of(command, made, out, processes=True)
    assert runs
    for arguments in runs:
        done = call(*arguments)
        assert stranger.executed() == [], arguments
        assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(stranger.folder.rglob("*")) == before


def test_nor_by_commands_that_start_no_process(
    call: Call, stranger: Stranger, made: Path, out: Path
) -> None:
    before = sorted(stranger.folder.rglob("*"))
    commands = [*LIGHT, *(c for c in COMMANDS if c not in LIGHT)]
    runs = [run for command in commands for run in runs_of(command, made, out, processes=False)]
    assert {run[0] for run in runs} == set(COMMANDS) - {"demo", "sweep"}
    done = call(json.dumps(runs), str(stranger.marks), program="several")
    assert done.returncode == 0, done.stderr[-3000:]
    assert stranger.executed() == []
    assert sorted(stranger.folder.rglob("*")) == before


def test_the_diagnosis_finds_what_is_installed(call: Call) -> None:
    findings = json.loads(call("doctor", "--json").stdout)["findings"]
    works = {finding["name"]: finding["works"] for finding in findings}
    assert works["torch"]
    assert works["brian2"] == (session.unavailable() is None)


def test_plots_do_not_hear_of_a_matplotlibrc(
    call: Call, stranger: Stranger, made: Path, tmp_path: Path
) -> None:
    image = pytest.importorskip("matplotlib.image", reason="plots need matplotlib")
    arguments = ("diagnose", f"{made}/net8.ndn", *DIGITS, "--plots", f"{tmp_path}/plots")
    assert call(*arguments).returncode == 0
    corner = image.imread(tmp_path / "plots" / "summary.png")[0, 0]
    assert corner[:3].tolist() == [1, 1, 1]


def test_lava_runs_without_the_working_directory(
    lava_python: Path, call: Call, stranger: Stranger, made: Path, tmp_path: Path
) -> None:
    quiet = ("compile", f"{made}/net8.ndn", "--target", "lava", "-o", f"{tmp_path}/lava")
    assert call(*quiet).returncode == 0
    done = call("run", f"{tmp_path}/lava", *DIGITS, lava=lava_python)
    assert stranger.executed() == []
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("named", ["./python3.10", ".venv-lava/bin/python", "python3.10"])
def test_the_variable_names_no_program_of_the_working_directory(
    named: str, stranger: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(stranger.folder)
    monkeypatch.setenv("PATH", ".:")
    monkeypatch.setenv(interpreter.VARIABLE, named)
    with pytest.raises(TargetUnavailableError, match="neither an absolute path nor a command"):
        interpreter.find_lava_python()
    assert stranger.executed() == []


@pytest.mark.parametrize(
    ("way", "mark"),
    [
        ((sys.executable, "-c", "import json"), "json"),
        ((sys.executable, "-m", "timeit"), "__main__"),
        (("./.venv-lava/bin/python",), ".venv-lava_bin_python"),
        (("python3.10",), "python3.10"),
        ((sys.executable, "-I", "-c", "import brian2"), "brian_preferences"),
    ],
)
def test_the_traps_work(way: tuple[str, ...], mark: str, stranger: Stranger) -> None:
    if mark == "brian_preferences" and session.unavailable() is not None:
        pytest.skip("brian2 is not installed")
    subprocess.run(
        ["/bin/sh", "-c", '"$@"', "sh", *way],
        capture_output=True,
        timeout=120,
        cwd=stranger.folder,
        env=environment(),
    )
    assert mark in stranger.executed()


def test_brian2_reads_the_file_that_its_user_names(stranger: Stranger) -> None:
    """Afterwards, in a process in which the door imported it: preferences are the user's again."""
    if (reason := session.unavailable()) is not None:
        pytest.skip(reason)
    (stranger.folder / "mine").write_text("core.network.default_schedule = ['start', 'end']\n")
    code = (
        "import os, sys\n"
        f"sys.path[:0] = [{str(ROOT)!r}]\n"
        "from neurodeploy.targets.brian2.session import load_brian2\n"
        "brian2 = load_brian2()\n"
        "brian2.prefs.read_preference_file('mine')\n"
        "print(brian2.prefs.core.network.default_schedule, brian2.prefs.__class__.__module__)\n"
        "module = sys.modules['brian2.core.preferences']\n"
        "print(module.__loader__ is module.__spec__.loader, type(module.__loader__).__name__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=stranger.folder,
    )
    assert done.stdout.splitlines() == [
        "['start', 'end'] brian2.core.preferences",
        "True SourceFileLoader",
    ], done.stderr
    assert stranger.executed() == []
