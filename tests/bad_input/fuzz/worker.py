"""One damaged file through a command, in this process: how it ends, and what it takes."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import resource
import shutil
import signal
import tempfile
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neurodeploy.cli import run
from tests.bad_input.fuzz.mutators import MARK, hurt, pick
from tests.bad_input.fuzz.subjects import SUBJECTS

SECONDS = 20
"""Of CPU time; of wall time, ten times as much."""
BYTES = 2 * 2**30


class Hang(BaseException):
    """The time of a command is over."""


@dataclass(frozen=True)
class Ending:
    """How one case ended: ``status`` of the command, and ``fault`` if it may not end so."""

    name: str
    seed: int
    command: str
    status: int
    fault: str | None = None


def prepare() -> None:
    """Limits of this process, above what it has once the large packages are loaded."""
    import onnx  # noqa: F401
    import torch.export  # noqa: F401

    signal.signal(signal.SIGALRM, _ring)
    signal.signal(signal.SIGPROF, _ring)
    size = _private_bytes() + BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (size, resource.RLIM_INFINITY))
    warnings.simplefilter("ignore")
    # Brian2 collects garbage with every run, among all objects of all packages.
    gc.freeze()


def _ring(number: int, frame: object) -> None:
    raise Hang


def _private_bytes() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    return 0


def case(made: Path, name: str, seed: int) -> Ending:
    """Damage a copy of one subject and run one of its commands on it."""
    draw = np.random.default_rng([zlib.crc32(name.encode()), seed])
    subject = SUBJECTS[name]
    command = pick(draw, subject.commands)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "case"
        shutil.copytree(made, folder)
        mark = Path(place) / "mark"
        os.environ[MARK] = str(mark)
        path = folder / subject.path
        if path.is_dir():
            path = pick(draw, sorted(p for p in path.rglob("*") if p.is_file()))
        hurt(path, draw)
        status, fault = _run(folder, command)
        if mark.exists():
            fault = "code of the file was run"
        if fault is None and Path(place, "etc").exists():
            fault = "wrote outside its folder"
    return Ending(name, seed, " ".join(command), status, fault)


def several(made: Path, name: str, seeds: range) -> list[Ending]:
    """Cases of one format, one after the other."""
    return [case(made, name, seed) for seed in seeds]


def _run(folder: Path, command: tuple[str, ...]) -> tuple[int, str | None]:
    here = Path.cwd()
    out, err = io.StringIO(), io.StringIO()
    os.chdir(folder)
    try:
        signal.alarm(10 * SECONDS)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = run(command)
    except Hang:
        return -1, f"took more than {SECONDS} s"
    finally:
        signal.alarm(0)
        signal.setitimer(signal.ITIMER_PROF, 0)
        os.chdir(here)
    text = err.getvalue()
    if status == 2:
        talk = ("warning: ", "note: ", "[ ", "source network: ")
        lines = [x for x in text.splitlines() if not x.startswith(talk)]
        if "out of memory" in text:
            return status, f"took more than {BYTES >> 30} GiB"
        if len(lines) != 1 or not lines[0].startswith("neurodeploy: error: "):
            return status, f"{len(lines)} lines: {text[:300]!r}"
    elif status not in (0, 1):
        return status, f"status {status}: {text.strip()[-900:]}"
    if any(c != "\n" and not c.isprintable() for c in out.getvalue() + text):
        return status, "control characters printed"
    return status, None
