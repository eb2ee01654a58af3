"""Tasks that workers of the tests import."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from neurodeploy.errors import UsageError


def square(n: int) -> int:
    return n * n


def perform(item: tuple[str, str]) -> str:
    """``kill`` always kills its worker, ``kill once`` leaves a file, by which it knows."""
    what, folder = item
    mark = Path(folder, "killed")
    if what == "kill" or (what == "kill once" and not mark.exists()):
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "refuse":
        raise UsageError("a line\nand another")
    if what == "memory":
        raise MemoryError
    if what == "too much":  # in a group of processes that has a limit
        Path(folder, "group", "cgroup.procs").write_text(str(os.getpid()))
        taken = []
        while True:
            taken.append(b"\1" * 2**24)
    if what == "bug":
        raise ZeroDivisionError("by zero")
    return what
