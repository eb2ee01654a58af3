"""Tasks, completed wherever the workers are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from neurodeploy.distribution.cluster import completed_on_cluster
from neurodeploy.distribution.processes import completed_on_processes
from neurodeploy.distribution.workers import Outcome, Workers

_Item = TypeVar("_Item")


def completed(
    function: Callable[[_Item], Any], items: Sequence[_Item], workers: Workers
) -> Iterator[tuple[int, Outcome]]:
    """Yield place and outcome of each item, once each, in the order in which they end.

    A task that other workers' death or its own worker's death interrupts runs again, on another
    worker; one that kills more than ``workers.ALLOWED_FAILURES`` ends as its error. Leaving the
    loop early ends all workers.

    Parameters
    ----------
    function : callable
        Of a module: workers import it. What it gives may depend on the item alone.
    items : sequence
        That can be pickled.
    workers : Workers

    Raises
    ------
    ExecutionError
        If no worker can be started, or the scheduler is not there.
    TargetUnavailableError
        If dask.distributed is asked for and not installed.
    """
    if not items:
        return iter(())
    if workers.cluster:
        return completed_on_cluster(function, items, workers)
    return completed_on_processes(function, items, workers)
