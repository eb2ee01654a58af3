"""Faults at every write of every command that writes: ``python -m tests.bad_input.faults``.

A process with ``shim.c`` before the C library makes the networks once and forks for each fault.
However a command ends, its output is the old one or the new one, whole; where it was not killed,
nothing else is left, and it ends with status 0 or with 2 and one line. Commands that keep what is
finished and go on with it (sweep, deploy, demo) are run once more afterwards: they come to the end
that they would have come to. They run for seconds and write often: faults are drawn among theirs.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import hashlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from tests.bad_input.faults.writers import WRITERS, make, shortened

MODES = {"kill": 1, "torn": 2, "full": 3, "interrupted": 4}
POINTS = 10
"""Drawn for each fault where a command goes on."""
Files = dict[str, str]
"""Names and digests."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bad_input.faults", description=__doc__)
    parser.add_argument("--commands", help="comma-separated; all by default")
    parser.add_argument("--points", type=int, help="drawn for each command and fault")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn")
    given = parser.parse_args()
    if "LD_PRELOAD" not in os.environ:
        return _with_shim()
    shim = ctypes.CDLL(os.environ["LD_PRELOAD"])
    names = given.commands.split(",") if given.commands else list(WRITERS)
    n, faults = 0, []
    with tempfile.TemporaryDirectory() as place:
        made = Path(place) / "made"
        made.mkdir()
        make(made, names)
        for name in names:
            points = given.points or (POINTS if WRITERS[name].goes_on else None)
            found, wrong, calls = Command(name, made, Path(place), shim).faults(points, given.seed)
            n += found
            faults += wrong
            print(f"{name}: {found} ends, of {len(MODES)} faults at {calls} calls", flush=True)
            for line in wrong:
                print(f"FAULT {line}", file=sys.stderr, flush=True)
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


class Command:
    """One command beside an old output of its own."""

    def __init__(self, name: str, made: Path, place: Path, shim: ctypes.CDLL) -> None:
        self.name, self.made, self.shim = name, made, shim
        self.writer = WRITERS[name]
        self.folder = place / name.replace(" ", "-")
        self.log = place / "versions"

    def faults(self, points: int | None, seed: int) -> tuple[int, list[str], int]:
        """Ends tried, those that were wrong, and the calls of an undisturbed end."""
        self.restore()
        self.before = snapshot(self.folder)
        self.wholes = [self.output(self.before)]
        for _ in range(2):
            # What a second run leaves is new as well: it may write what is the same once more.
            self.log.write_text("")
            found, status, told, calls = self.end("count", 0)
            assert status == 0, (self.name, told)
            self.wholes.append(self.output(found))
            if self.writer.goes_on:
                self.versions = {tuple(x.split()) for x in self.log.read_text().splitlines()}
                self.calls = calls
                break
        draw = random.Random(seed)
        n, wrong = 0, []
        for mode in MODES:
            chosen = list(range(1, calls + 1))
            if points is not None and points < calls:
                chosen = sorted(draw.sample(chosen, points))
            for number in chosen:
                self.restore()
                fault = self.fault(mode, *self.end(mode, number)[:3])
                n += 1
                if fault:
                    wrong.append(f"{self.name}, {mode} at {number} of {calls}: {fault}")
        return n, wrong, calls

    def restore(self) -> None:
        """Everything as it was before: of another content, where the command's own is replaced."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.made, self.folder)
        path = self.folder / self.writer.output
        if self.writer.before:
            shutil.copytree(self.folder / self.writer.before, path)
        elif not self.writer.goes_on:
            path.write_text("old")

    def end(self, mode: str, number: int) -> tuple[Files, int, str, int]:
        """What is in the folder after the command, its status, errors and calls."""
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            self._run(mode, number, writer)
        os.close(writer)
        with os.fdopen(reader) as stream:
            answer = stream.read()
        _, ended = os.waitpid(child, 0)
        found = snapshot(self.folder)
        if os.WIFSIGNALED(ended):
            return found, -os.WTERMSIG(ended), "", 0
        told, calls = json.loads(answer)
        return found, os.WEXITSTATUS(ended), told, calls

    def _run(self, mode: str, number: int, writer: int) -> None:
        from neurodeploy.cli import run

        told = io.StringIO()
        os.chdir(self.folder)
        warnings.simplefilter("ignore")
        status = 70
        self.shim.fault_arm(os.fsencode(self.folder), MODES.get(mode, 0), number)
        try:
            with (
                contextlib.redirect_stdout(io.StringIO()),
                contextlib.redirect_stderr(told),
                shortened(),
                self._written() if mode == "count" else contextlib.nullcontext(),
            ):
                status = run(list(self.writer.arguments))
        finally:
            calls = self.shim.fault_calls()
            self.shim.fault_arm(b"", 0, 0)
            os.write(writer, json.dumps([told.getvalue(), calls]).encode())
            os._exit(status)

    @contextlib.contextmanager
    def _written(self) -> Iterator[None]:
        """Note each version of a file that is written whole."""
        replace = os.replace

        def noted(old: Any, new: Any) -> None:
            name = Path(os.path.realpath(new)).relative_to(self.folder.resolve()).as_posix()
            with self.log.open("a") as log:
                log.write(f"{name} {hashlib.sha256(Path(old).read_bytes()).hexdigest()}\n")
            replace(old, new)

        with mock.patch("os.replace", noted):
            yield

    def fault(self, mode: str, found: Files, status: int, told: str) -> str | None:
        """What is wrong with an end; None if nothing is."""
        own = self.output(found)
        killed = mode in ("kill", "torn")
        if self.writer.goes_on:
            known = self.versions.union(*(whole.items() for whole in self.wholes))
            odd = sorted(n for n, d in own.items() if (n, d) not in known and not temporary(n))
            if odd:
                return f"{odd[0]} is no version of this file"
        elif own not in self.wholes:
            return f"the output is neither the old one nor the new one ({len(own)} files)"
        if killed and status != -signal.SIGKILL:
            return f"status {status}"
        if not killed:
            rest = set(found) - set(self.before) - set(own) | {n for n in own if temporary(n)}
            if rest:
                return f"{min(rest)} is left"
            lines = [x for x in told.splitlines() if x.startswith("neurodeploy: ")]
            if status == 0 and (own not in self.wholes[1:] or lines):
                return f"status 0, {lines}"
            if status not in (0, 2) or (status == 2 and len(lines) != 1) or "Traceback" in told:
                return f"status {status}: {told[-600:]}"
        return self.second() if self.writer.goes_on else None

    def second(self) -> str | None:
        """What is wrong with the end of the same command once more, undisturbed."""
        found, status, told, _ = self.end("again", 0)
        if status:
            return f"once more, status {status}: {told[-600:]}"
        own, whole = self.output(found), self.wholes[-1]
        odd = sorted(n for n in own.keys() | whole.keys() if own.get(n) != whole.get(n))
        return f"once more, {odd[0]} is another one" if odd else None

    def output(self, found: Files) -> Files:
        """The part that the command writes."""
        name = self.writer.output
        return {n: d for n, d in found.items() if n == name or n.startswith(f"{name}/")}


def temporary(name: str) -> bool:
    """Whether a file is a neighbour through which another one is written."""
    return any(part.startswith(".") for part in Path(name).parts)


def snapshot(folder: Path) -> Files:
    """Every file with a digest of its content; caches of Python apart."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".pyc"
    }


if __name__ == "__main__":
    sys.exit(main())
