"""The sweeper: ``python sweeper.py PARENT_PID FOLDER`` outlives a caller and cleans up after it.

It starts before the job folder is made, in a session of its own, so that no signal to the caller
or its terminal, SIGKILL included, leaves processes, shared memory or files behind. It needs the
standard library only and imports nothing of neurodeploy: it is there within milliseconds.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

JOB_VARIABLE = "NEURODEPLOY_LAVA_JOB"
SHARED_MEMORY = Path("/dev/shm")
POLL_S = 0.2
STOP_S = 0.5
END_S = 5.0


def segment_prefix(root: Path) -> str:
    """How the names of all shared memory segments of a job folder begin."""
    return f"ndl_{root.name.rpartition('-')[2]}_"


def segments(root: Path) -> list[Path]:
    """Shared memory segments of a job folder that exist."""
    return sorted(SHARED_MEMORY.glob(f"{segment_prefix(root)}*"))


def free_shared_memory(root: Path) -> None:
    """Remove the segments of a job folder that nobody freed."""
    for segment in segments(root):
        segment.unlink(missing_ok=True)


def job_processes(root: Path) -> list[int]:
    """Living processes that were started for a job folder, by their environment."""
    mark = f"{JOB_VARIABLE}={root}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        # Processes of others cannot be read; zombies have no environment.
        with contextlib.suppress(OSError):
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


def kill(pids: Sequence[int]) -> None:
    """Kill processes, and remove the semaphores that they are in the middle of making.

    A semaphore of multiprocessing has a name only while it is made; a process that is killed just
    then leaves it. So all are stopped first, and asked what they hold.
    """
    _send(pids, signal.SIGSTOP)
    _wait_for(pids, "TtZX", STOP_S)
    held = {inode for pid in pids for inode in _held(pid)}
    _send(pids, signal.SIGKILL)
    _wait_for(pids, "ZX", END_S)
    for semaphore in SHARED_MEMORY.glob("sem.*"):
        with contextlib.suppress(FileNotFoundError):
            if semaphore.stat().st_ino in held:
                semaphore.unlink()


def _send(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _wait_for(pids: Sequence[int], states: str, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while any(_state(pid) not in states for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.002)


def _state(pid: int) -> str:
    try:
        # "pid (name) state ...": the name may hold blanks and brackets.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def _held(pid: int) -> list[int]:
    """Inodes in the shared memory that a process has open or mapped."""
    process, device = Path(f"/proc/{pid}"), SHARED_MEMORY.stat().st_dev
    inodes = []
    with contextlib.suppress(OSError):
        for line in (process / "maps").read_text().splitlines():
            fields = line.split(maxsplit=5)
            if fields[5:] and fields[5].startswith(f"{SHARED_MEMORY}/"):
                inodes.append(int(fields[4]))
        for descriptor in (process / "fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                status = descriptor.stat()
                if status.st_dev == device:
                    inodes.append(status.st_ino)
    return inodes


def sweep(root: Path) -> None:
    """Kill the processes of a job folder, free its shared memory, and remove it."""
    deadline = time.monotonic() + END_S
    while (pids := job_processes(root)) and time.monotonic() < deadline:
        kill(pids)
    free_shared_memory(root)
    shutil.rmtree(root, ignore_errors=True)


def main(arguments: Sequence[str]) -> None:
    """Wait for a byte, the end of standard input or the end of the parent; then sweep."""
    parent, root = int(arguments[0]), Path(arguments[1])
    # Forks of the parent may hold standard input open after its end.
    while os.getppid() == parent and not select.select([0], [], [], POLL_S)[0]:
        pass
    sweep(root)


if __name__ == "__main__":
    main(sys.argv[1:])
