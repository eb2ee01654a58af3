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
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np

from neurodeploy.cli import run
from tests.bad_input.fuzz.mutators import MARK, hurt, pick
from tests.bad_input.fuzz.subjects import SUBJECTS

SVG = "matplotlib.backends.backend_svg.FigureCanvasSVG.print_svg"
SECONDS = 20
"""Of CPU time; of wall time, ten times as much."""
BYTES = 2 * 2**30


DRAWN = 5
"""Of so many cases one draws the charts of its page, which takes longer than all else together."""


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


class Copy:
    """A copy of the whole files, which is mended after every case.

    Making it anew takes longer than most commands, so only what a case changed is made again.
    """

    def __init__(self, made: Path, place: Path) -> None:
        self.made, self.place, self.folder = made, place, place / "case"
        shutil.copytree(made, self.folder)
        self._known = dict(_entries(str(self.folder)))

    def mend(self) -> None:
        """Take away what is new, and copy again what changed or is gone."""
        for path in self.place.iterdir():
            if path != self.folder:
                _remove(path)
        found = dict(_entries(str(self.folder)))
        # What is in a folder comes behind it: it is gone first.
        for name in reversed(found):
            if name not in self._known or (self._known[name] is None) != (found[name] is None):
                _remove(Path(name))
        for name, known in self._known.items():
            if known is None:
                Path(name).mkdir(exist_ok=True)
            elif found.get(name) != known:
                Path(name).unlink(missing_ok=True)
                shutil.copy2(self.made / Path(name).relative_to(self.folder), name)
                self._known[name] = _state(os.stat(name))


def _entries(folder: str) -> Iterator[tuple[str, tuple[int, int, int] | None]]:
    """All that is below a folder, which comes before what is in it: the state of files."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield entry.path, None
                yield from _entries(entry.path)
            else:
                yield entry.path, _state(entry.stat(follow_symlinks=False))


def _state(status: os.stat_result) -> tuple[int, int, int]:
    """What no write leaves as it was."""
    return status.st_ino, status.st_ctime_ns, status.st_size


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def case(copy: Copy, name: str, seed: int) -> Ending:
    """Damage one subject and run one of its commands on it."""
    draw = np.random.default_rng([zlib.crc32(name.encode()), seed])
    subject = SUBJECTS[name]
    command = pick(draw, subject.commands)
    mark = copy.place / "mark"
    os.environ[MARK] = str(mark)
    path = copy.folder / subject.path
    if path.is_dir():
        path = pick(draw, sorted(p for p in path.rglob("*") if p.is_file()))
    hurt(path, draw)
    with contextlib.nullcontext() if seed % DRAWN == 0 else mock.patch(SVG, _undrawn):
        status, fault = _run(copy.folder, command)
    if mark.exists():
        fault = "code of the file was run"
    elif fault is None and list(copy.place.iterdir()) != [copy.folder]:
        fault = "wrote outside its folder"
    copy.mend()
    return Ending(name, seed, " ".join(command), status, fault)


def several(made: Path, name: str, seeds: range) -> list[Ending]:
    """Cases of one format, one after the other."""
    with tempfile.TemporaryDirectory() as place:
        copy = Copy(made, Path(place))
        return [case(copy, name, seed) for seed in seeds]


def _undrawn(canvas: object, file: io.StringIO, **how: object) -> None:
    file.write('<svg viewBox="0 0 1 1"></svg>\n')


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
