"""Faults at every write of every command that writes: ``python -m tests.bad_input.faults``.

A process with ``shim.c`` before the C library makes the networks once and forks for each fault.
However a command ends, its output is the old one or the new one, whole; where it was not killed,
nothing else is left, and it ends with status 0 or with 2 and one line.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

MODES = {"kill": 1, "torn": 2, "full": 3, "interrupted": 4}
DIGITS = ("--data", "digits", "--samples", "2")
CONVERT = ("--data", "digits", "--method", "graded", "--timesteps", "2")

COMMANDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "convert": (
        "out.ndn",
        ("convert", "nets.py:crossbar", *CONVERT, "--calibration-samples", "20", "-o", "out.ndn"),
    ),
    "quantize": ("out.ndn", ("quantize", "real.ndn", "-o", "out.ndn")),
    "compile brian2": ("out", ("compile", "net.ndn", "--target", "brian2", "-o", "out")),
    "compile lava": ("out", ("compile", "net.ndn", "--target", "lava", "-o", "out")),
    "compile truenorth": ("out", ("compile", "spikes3.ndn", "--target", "truenorth", "-o", "out")),
    "export nir": ("out.nir", ("export", "net.ndn", "--to", "nir", "-o", "out.nir")),
    "import": (
        "out.ndn",
        ("import", "net.nir", "--dynamics", "exact", "--dt", "1e-4", "-o", "out.ndn"),
    ),
    "run": ("out.npz", ("run", "brian", *DIGITS, "-o", "out.npz")),
    "report": ("out.html", ("report", "net.ndn", "-o", "out.html")),
    "energy": (
        "place.json",
        ("energy", "net.ndn", "--board", "loihi2", *DIGITS, "--save-placement", "place.json"),
    ),
}
"""Name -> what the command writes, and its arguments."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bad_input.faults", description=__doc__)
    parser.add_argument("--commands", help="comma-separated; all by default")
    parser.add_argument("--points", type=int, help="of each command and fault; all by default")
    given = parser.parse_args()
    if "LD_PRELOAD" not in os.environ:
        return _with_shim()
    shim = ctypes.CDLL(os.environ["LD_PRELOAD"])
    names = given.commands.split(",") if given.commands else list(COMMANDS)
    n, faults = 0, []
    with tempfile.TemporaryDirectory() as place:
        made = Path(place) / "made"
        made.mkdir()
        _make(made)
        for name in names:
            found = Command(name, made, Path(place), shim).faults(given.points)
            n += found[0]
            faults += found[1]
            print(f"{name}: {found[0]} faults at {found[2]} calls", flush=True)
    for line in faults:
        print(f"FAULT {line}", file=sys.stderr)
    print(f"{n} ends, {len(faults)} of them wrong")
    return 1 if faults else 0


def _with_shim() -> int:
    """Run again, with the compiled shim before the C library."""
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "shim.so"
        source = Path(__file__).with_name("shim.c")
        compiler = shutil.which("cc") or "gcc"
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True
        )
        environment = {**os.environ, "LD_PRELOAD": str(library), "OMP_NUM_THREADS": "1"}
        again = [sys.executable, "-m", "tests.bad_input.faults", *sys.argv[1:]]
        return subprocess.run(again, env=environment).returncode


def _make(folder: Path) -> None:
    from tests.bad_input.fuzz import subjects

    with contextlib.chdir(folder):
        subjects._networks()
        with contextlib.suppress(ImportError):
            subjects._nir()


class Command:
    """One command beside an old output of its own."""

    def __init__(self, name: str, made: Path, place: Path, shim: ctypes.CDLL) -> None:
        self.name, self.made, self.shim = name, made, shim
        self.output, self.arguments = COMMANDS[name]
        self.folder = place / name.replace(" ", "-")

    def faults(self, points: int | None) -> tuple[int, list[str], int]:
        """Ends tried, those that were wrong, and the calls of an undisturbed end."""
        old, status, told, _ = self.end("count", 0)
        assert status == 0, (self.name, told)
        new, status, told, calls = self.end("count", 0)
        assert status == 0, (self.name, told)
        wrong: list[str] = []
        n = 0
        chosen = list(range(1, calls + 1))
        if points is not None and points < calls:
            chosen = [1 + (calls - 1) * i // (points - 1) for i in range(points)]
        for mode in MODES:
            for number in chosen:
                found, status, told, _ = self.end(mode, number)
                n += 1
                if fault := self.fault(mode, found, status, told, (old, new)):
                    wrong.append(f"{self.name}, {mode} at {number} of {calls}: {fault}")
        return n, wrong, calls

    def end(self, mode: str, number: int) -> tuple[dict[str, str], int, str, int]:
        """What is in the folder after the command, its status, errors and calls."""
        if mode != "count" or not self.folder.exists():
            shutil.rmtree(self.folder, ignore_errors=True)
            shutil.copytree(self.made, self.folder)
            self._old()
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            self._command(mode, number, writer)
        os.close(writer)
        with os.fdopen(reader) as stream:
            answer = stream.read()
        _, ended = os.waitpid(child, 0)
        found = snapshot(self.folder)
        if os.WIFSIGNALED(ended):
            return found, -os.WTERMSIG(ended), "", 0
        told, calls = json.loads(answer)
        return found, os.WEXITSTATUS(ended), told, calls

    def _old(self) -> None:
        """An output from before: of another content, where the command's own is replaced."""
        path = self.folder / self.output
        if path.suffix:
            path.write_text("old")
        else:
            shutil.copytree(self.folder / "eventful", path)

    def _command(self, mode: str, number: int, writer: int) -> None:
        from neurodeploy.cli import run

        told = io.StringIO()
        os.chdir(self.folder)
        self.shim.fault_arm(os.fsencode(self.folder), MODES.get(mode, 0), number)
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(told):
                status = run(list(self.arguments))
        finally:
            calls = self.shim.fault_calls()
            self.shim.fault_arm(b"", 0, 0)
        os.write(writer, json.dumps([told.getvalue(), calls]).encode())
        os._exit(status)

    def fault(
        self,
        mode: str,
        found: dict[str, str],
        status: int,
        told: str,
        whole: tuple[dict[str, str], dict[str, str]],
    ) -> str | None:
        """What is wrong with an end; None if nothing is."""
        before = self.before()
        own = {name: digest for name, digest in found.items() if self.is_output(name)}
        choices = [{n: d for n, d in w.items() if self.is_output(n)} for w in (before, *whole)]
        if own not in choices:
            return f"the output is neither the old one nor the new one ({len(own)} files)"
        if mode in ("kill", "torn"):
            return None if status == -signal.SIGKILL else f"status {status}"
        if rest := sorted(set(found) - set(before) - set(own)):
            return f"{rest[0]} is left"
        lines = [x for x in told.splitlines() if x.startswith("neurodeploy: ")]
        if status == 0:
            return None if own in choices[1:] and not lines else f"status 0, {lines}"
        if status != 2 or len(lines) != 1 or "Traceback" in told:
            return f"status {status}: {told[-600:]}"
        return None

    def before(self) -> dict[str, str]:
        """The folder before the command ran."""
        with tempfile.TemporaryDirectory() as place:
            kept, self.folder = self.folder, Path(place) / "before"
            shutil.copytree(self.made, self.folder)
            self._old()
            found = snapshot(self.folder)
            self.folder = kept
        return found

    def is_output(self, name: str) -> bool:
        return name == self.output or name.startswith(f"{self.output}/")


def snapshot(folder: Path) -> dict[str, str]:
    """Every file with a digest of its content; caches of Python apart."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".pyc"
    }


if __name__ == "__main__":
    sys.exit(main())
