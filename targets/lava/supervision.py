"""Starts the worker, watches it, and leaves no process, shared memory or file behind."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import neurodeploy
from neurodeploy.errors import ExecutionError, UsageError
from neurodeploy.targets.lava import sweeper
from neurodeploy.targets.lava.job import LavaProcess, read_status
from neurodeploy.targets.lava.recording import Control, StepCounters

POLL_S = 0.02
GRACE_S = 3.0
PULSE_FILE = "pulse"
LOG_FILE = "worker.log"
LOG_PREFIX = "neurodeploy-lava-"
KEPT_LOGS = 5
"""Logs of failed runs that are kept, the last ones."""
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)
LONGEST_TMPDIR = 70  # socket paths end at about 100 characters


@dataclass(frozen=True, slots=True)
class Limits:
    """When a run is given up.

    Parameters
    ----------
    total_s : float
        Longest run, in seconds.
    stall_s : float
        Longest time without a single step done, in seconds.
    """

    total_s: float
    stall_s: float


class Watch:
    """Holds a run against its limits by something that changes as long as it lives."""

    def __init__(self, limits: Limits, what: str = "no time step done") -> None:
        self._limits, self._what = limits, what
        self._start = self._moved = time.monotonic()
        self._state: object = None

    def saw(self, state: object) -> None:
        """Tell what the run looks like now.

        Raises
        ------
        ExecutionError
            If it exceeds a limit.
        """
        now = time.monotonic()
        if state != self._state:
            self._state, self._moved = state, now
        if now - self._moved > self._limits.stall_s:
            raise ExecutionError(
                f"{self._what} for {self._limits.stall_s:g} s; "
                "raise the option stall_limit_s if the network is that slow"
            )
        if now - self._start > self._limits.total_s:
            raise ExecutionError(
                f"not done after {self._limits.total_s:g} s; raise the option time_limit_s or run "
                "fewer samples"
            )


def run_worker(
    python: Path,
    folders: Sequence[Path],
    limits: Limits,
    progress: Callable[[int, Sequence[int]], None] | None = None,
) -> list[tuple[LavaProcess, ...]]:
    """Run jobs in a worker, one after the other; return the processes that Lava made for each.

    Parameters
    ----------
    python : Path
        An interpreter that has Lava.
    folders : sequence of Path
        Job folders in one private folder, as :func:`job_folders` gives them.
    limits : Limits
    progress : callable, optional
        Called with the index of a job and the steps that its processes have done.

    Raises
    ------
    ExecutionError
        One line, with the path of the log, if the worker died, exceeded a limit or failed.
    """
    with _told_with_log(folders[0].parent):
        worker = _started(python, folders)
        try:
            status = _watch(worker, folders, limits, progress)
        finally:
            _end(worker, folders)
        results = [read_status(folder) for folder in folders]
        made = [r for r in results if r is not None]
        if status != 0 or len(made) < len(folders):
            raise ExecutionError(f"the Lava worker {_ending(status or 0)}")
        return made


class StreamWorker:
    """A worker that runs a stream piece by piece, until it is closed.

    Parameters
    ----------
    python : Path
        An interpreter that has Lava.
    folder : Path
        Of the stream's job, in a private folder.
    limits : Limits
        Of each piece.
    """

    def __init__(self, python: Path, folder: Path, limits: Limits) -> None:
        self._folders, self._limits = [folder], limits
        self._control = Control(folder / "control.npy")
        self._worker: subprocess.Popen[bytes] | None = _started(python, self._folders)

    def advance(self, n_steps: int) -> None:
        """Run on, until ``n_steps`` time steps are done in all.

        Raises
        ------
        ExecutionError
            One line, with the path of the log, if the worker died, exceeded a limit or failed.
        """
        if self._worker is None:
            raise ExecutionError("target lava: the worker of this stream has ended; reset() it")
        try:
            with _told_with_log(self._folders[0].parent):
                self._control["asked"] = n_steps

                def done() -> bool:
                    return self._control["done"] >= n_steps

                status = _watch(self._worker, self._folders, self._limits, None, done)
                if status is not None:
                    read_status(self._folders[0])
                    raise ExecutionError(f"the Lava worker {_ending(status)}")
        except BaseException:
            self.close()
            raise

    def made(self) -> tuple[LavaProcess, ...]:
        """The processes that Lava made."""
        return read_status(self._folders[0]) or ()

    def close(self) -> None:
        """End the worker and leave nothing of it."""
        if self._worker is not None:
            self._control["closed"] = 1
            worker, self._worker = self._worker, None
            _end(worker, self._folders, running=True)


@contextlib.contextmanager
def _told_with_log(root: Path) -> Iterator[None]:
    try:
        yield
    except ExecutionError as error:
        raise ExecutionError(f"target lava: {error}; log: {_kept(root / LOG_FILE)}") from None


def _started(python: Path, folders: Sequence[Path]) -> subprocess.Popen[bytes]:
    root = folders[0].parent
    module = "neurodeploy.targets.lava.worker"
    with (root / LOG_FILE).open("wb") as stream:
        return subprocess.Popen(
            [str(python), "-m", module, str(os.getpid()), *map(str, folders)],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            cwd=folders[0],
            env=_environment(root),
            start_new_session=True,
        )


def _end(worker: subprocess.Popen[bytes], folders: Sequence[Path], running: bool = False) -> None:
    """End the session of a worker; one that was told to end is given time, as one that ended."""
    status = worker.poll()
    end_session(worker, polite=running if status is None else status >= 0)
    with contextlib.suppress(subprocess.TimeoutExpired):
        worker.wait(GRACE_S)
    sweeper.free_shared_memory(folders[0].parent)


def _watch(
    worker: subprocess.Popen[bytes],
    folders: Sequence[Path],
    limits: Limits,
    progress: Callable[[int, Sequence[int]], None] | None,
    done: Callable[[], bool] = lambda: False,
) -> int | None:
    """Wait until the worker has ended, with its status, or until ``done``."""
    steps = Watch(limits, "no time step done")
    # Lava's processes go on while the worker itself is stopped, so it tells that it is alive.
    pulse = Watch(limits, "no sign of life from the Lava worker")
    counters = [StepCounters(folder / "steps.npy") for folder in folders]
    current = 0
    while (status := worker.poll()) is None and not done():
        while current < len(folders) - 1 and (folders[current] / "status.json").exists():
            current += 1
        counts = counters[current].counts()
        steps.saw((current, counts))
        pulse.saw(_pulse(folders[0]))
        if progress is not None:
            progress(current, counts)
        time.sleep(POLL_S)
    return status


def _kept(log: Path) -> str:
    """Where the log of a failed run is kept, as the last of a few."""
    folder = Path(tempfile.gettempdir())
    try:
        handle, kept = tempfile.mkstemp(prefix=LOG_PREFIX, suffix=".log")
        os.close(handle)
        shutil.copyfile(log, kept)
    except OSError as error:
        return f"lost, {folder} does not take it ({error.strerror})"
    older = sorted(folder.glob(f"{LOG_PREFIX}*.log"), key=_age, reverse=True)
    for path in [path for path in older if str(path) != kept][KEPT_LOGS - 1 :]:
        # Somebody else's stays.
        with contextlib.suppress(OSError):
            path.unlink()
    return kept


def _age(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.lstat().st_mtime_ns
    return 0


def _pulse(folder: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return (folder / PULSE_FILE).stat().st_mtime_ns
    return 0


def _ending(status: int) -> str:
    if status < 0:
        return f"was killed by {signal.Signals(-status).name}"
    return f"ended with status {status} before its run was done"


def _environment(root: Path) -> dict[str, str]:
    # Only this package: its neighbours, site-packages perhaps, belong to another Python.
    packages = root / "packages"
    packages.mkdir()
    (packages / "neurodeploy").symlink_to(Path(neurodeploy.__file__).resolve().parent)
    inherited = {k: v for k, v in os.environ.items() if k not in {"PYTHONHOME", "PYTHONSTARTUP"}}
    # One process per population: threads of their own would only fight over the cores.
    single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    own = {
        "PYTHONPATH": str(packages),
        "PYTHONUNBUFFERED": "1",
        sweeper.JOB_VARIABLE: str(root),
    }
    if len(str(root)) <= LONGEST_TMPDIR:
        # multiprocessing puts sockets there and leaves them when it is killed.
        own["TMPDIR"] = str(root)
    return {**inherited, **single, **own}


def session_members(leader: int) -> list[int]:
    """Living processes of the session that ``leader`` leads or led."""
    members = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            # "pid (name) state ppid pgrp session ...": the name may hold blanks and brackets.
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == leader and fields[0] != "Z":
                members.append(int(entry.name))
    return members


def end_session(worker: subprocess.Popen[bytes], polite: bool) -> None:
    """End every process of the worker's session.

    ``polite`` first lets them end by themselves: Lava's resource tracker frees shared memory when
    the last process is gone, and must not be killed before.
    """
    if polite and _gone(worker.pid, GRACE_S):
        return
    deadline = time.monotonic() + GRACE_S
    while (members := session_members(worker.pid)) and time.monotonic() < deadline:
        sweeper.kill(members)
    with contextlib.suppress(subprocess.TimeoutExpired):
        worker.wait(GRACE_S)


def _gone(leader: int, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while session_members(leader):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def _temporary() -> Path:
    """The folder for temporary files: the one that the user names, if there is one."""
    named = os.environ.get("TMPDIR")
    if named and not os.access(named, os.W_OK | os.X_OK):
        reason = "cannot be written" if os.path.isdir(named) else "is no folder"
        raise ExecutionError(f"target lava: TMPDIR={named} {reason}; name another, or none")
    return Path(named or tempfile.gettempdir())


@contextlib.contextmanager
def job_folders(n: int) -> Iterator[list[Path]]:
    """Private folders that are removed in the end, with the processes and segments of their jobs.

    However the caller ends, a sweeper removes them.
    """
    # The name first: a folder without a sweeper would stay if the caller was killed.
    root = _temporary().absolute() / f"neurodeploy-lava-{secrets.token_hex(8)}"
    swept = subprocess.Popen(
        [sys.executable, "-I", "-S", sweeper.__file__, str(os.getpid()), str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
    )
    try:
        root.mkdir(mode=0o700)
        folders = [root / str(i) for i in range(n)]
        for folder in folders:
            folder.mkdir()
        yield folders
    except (OSError, UsageError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        # NumPy tells a disk that takes no more without a number.
        if not isinstance(cause, OSError) or cause.errno not in (None, *_NO_ROOM):
            raise
        reason = cause.strerror or cause
        raise ExecutionError(
            f"target lava: no room for temporary files in {root.parent} ({reason}); have "
            "TMPDIR name another folder, or run fewer samples"
        ) from error
    finally:
        swept.communicate(b"\n")
        # A sweeper that was killed has left it.
        shutil.rmtree(root, ignore_errors=True)
