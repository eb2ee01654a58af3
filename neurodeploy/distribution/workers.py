"""Who does the work, and what became of each piece of it."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from neurodeploy.errors import NeurodeployError, UsageError, is_out_of_memory
from neurodeploy.numerics.threads import default_threads

ALLOWED_FAILURES = 1
"""Workers that may die of one task before it ends as that task's error: chance may kill one."""

_Item = TypeVar("_Item")

_LOCAL = re.compile(r"local:(\d+)")
_ADDRESS = re.compile(r"[a-z]+://[^\s/]+|[\w.-]+:\d+")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one task.

    Parameters
    ----------
    value : object
        What the function gave; None where it ended in an error.
    error : str or None
        One line.
    kind : {"done", "refused", "memory", "bug", "died"}
        An error of the user's, out of memory, a bug, or the death of its workers.
    trace : str or None
        Of a bug.
    """

    value: Any = None
    error: str | None = None
    kind: Literal["done", "refused", "memory", "bug", "died"] = "done"
    trace: str | None = None


@dataclass(frozen=True, slots=True)
class Workers:
    """Processes of this machine, or a scheduler of dask.distributed.

    Parameters
    ----------
    count : int
        Processes; of a cluster that runs elsewhere, 0: as many as it has.
    address : str or None
        Of the scheduler; None: processes without one.
    cluster : bool
        Whether dask.distributed runs the tasks.
    """

    count: int
    address: str | None = None
    cluster: bool = False

    @classmethod
    def checked(cls, workers: int | None, scheduler: str | None) -> Workers:
        """What ``--workers`` and ``--scheduler`` ask for.

        Raises
        ------
        UsageError
            For both, for less than one worker, or for what is no address.
        """
        if not isinstance(workers, int | None):
            raise UsageError(f"workers {workers!r}: expected a whole number")
        if not isinstance(scheduler, str | None):
            raise UsageError(f"scheduler {scheduler!r}: expected a text")
        if scheduler is None:
            count = default_threads() if workers is None else workers
            if count < 1:
                raise UsageError(f"workers {count}: at least 1 is needed")
            return cls(count)
        if workers is not None:
            raise UsageError(
                f"workers {workers}: a scheduler has its own; leave one of both out (local:N "
                "starts N workers)"
            )
        local = _LOCAL.fullmatch(scheduler)
        if local is not None:
            count = int(local[1])
            if count < 1:
                raise UsageError(f"scheduler {scheduler!r}: at least 1 worker is needed")
            return cls(count, cluster=True)
        if not _ADDRESS.fullmatch(scheduler):
            raise UsageError(
                f"scheduler {scheduler!r}: expected tcp://HOST:PORT of a scheduler of dask, or "
                "local:N for N workers on this machine"
            )
        return cls(0, scheduler, True)

    @property
    def threads(self) -> int:
        """Threads of each worker on this machine, so that all of them fill it."""
        return max(1, default_threads() // max(1, self.count))


def outcome_of(function: Callable[[_Item], Any], item: _Item) -> Outcome:
    """Run one task where it is, its errors as an outcome."""
    try:
        return Outcome(function(item))
    except NeurodeployError as error:
        return Outcome(error=" ".join(str(error).split()), kind="refused")
    except Exception as error:
        if is_out_of_memory(error):
            return Outcome(error=OUT_OF_MEMORY, kind="memory")
        said = " ".join(str(error).split())
        text = f"{type(error).__name__}: {said}; this is a bug in neurodeploy"
        return Outcome(error=text, kind="bug", trace=traceback.format_exc())


OUT_OF_MEMORY = "out of memory; use fewer workers, fewer samples or fewer time steps"


def died(how: str) -> Outcome:
    """The outcome of a task that killed more workers than it may."""
    times = f"{ALLOWED_FAILURES + 1} workers"
    return Outcome(
        error=f"{times} died of it ({how}); if memory ran out, use fewer workers, fewer samples or "
        "fewer time steps",
        kind="died",
    )
