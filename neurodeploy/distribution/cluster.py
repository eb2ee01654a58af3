"""Tasks on a scheduler of dask.distributed: one that runs somewhere, or one of our own."""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from typing import Any

from neurodeploy.distribution.start import outside_working_directory
from neurodeploy.distribution.workers import ALLOWED_FAILURES, Outcome, Workers, died, outcome_of
from neurodeploy.errors import ExecutionError, TargetUnavailableError, UsageError, first_line
from neurodeploy.numerics.threads import THREADS_VARIABLE
from neurodeploy.version import __version__

CONNECT_S = 10
"""For a scheduler to answer, and then for its first worker to be there."""
START_S = 120
"""For workers of our own to start, on a machine that is busy."""


def expect_dask() -> None:
    """Refuse to ask for a cluster before any work.

    Raises
    ------
    TargetUnavailableError
        If dask.distributed is not installed.
    """
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        raise TargetUnavailableError(
            "a scheduler needs dask.distributed, which is not installed; pip install "
            "'neurodeploy[dask]', or use --workers"
        ) from error


def completed_on_cluster(
    function: Callable[[Any], Any], items: Sequence[Any], workers: Workers
) -> Iterator[tuple[int, Outcome]]:
    """See :func:`neurodeploy.distribution.tasks.completed`."""
    expect_dask()
    from distributed import KilledWorker, as_completed

    with _client(workers) as client:
        waiting, accused = deque(range(len(items))), deque[int]()
        places: dict[str, int] = {}
        running = as_completed(loop=client.loop)
        try:
            while waiting or accused or not running.is_empty():
                # No more at a time than there are threads, and the accused one by one at the end:
                # the scheduler accuses every task that a dead worker had, the innocent ones too.
                alone = not waiting and running.is_empty()
                threads = max(1, sum(client.nthreads().values()))
                queue, free = (accused, 1) if alone else (waiting, threads - running.count())
                for _ in range(min(len(queue), free)):
                    place = queue.popleft()
                    future = _submitted(client, function, items[place])
                    places[future.key] = place
                    running.add(future)
                future = next(running)
                place = places[future.key]
                found = _outcome(future, KilledWorker)
                if found.kind == "died" and not alone:
                    accused.append(place)
                else:
                    yield place, found
        finally:
            client.cancel(list(running.futures))


def _submitted(client: Any, function: Callable[[Any], Any], item: Any) -> Any:
    try:
        return client.submit(outcome_of, function, item, pure=False)
    except Exception as error:
        raise UsageError(
            f"scheduler: the tasks cannot be sent ({first_line(error)}); pass texts and paths, or "
            "objects of classes in modules that workers can import"
        ) from error


def _outcome(future: Any, killed: type[Exception]) -> Outcome:
    try:
        found: Outcome = future.result()
    except killed:
        return died("the scheduler saw them lost")
    except (CancelledError, OSError) as error:
        raise ExecutionError(
            "the scheduler was lost; what is done is kept, so start the command again"
        ) from error
    except Exception as error:
        # Not of the task, whose errors are outcomes: what a worker could not read or send.
        return Outcome(
            error=f"the worker answered {type(error).__name__}: {first_line(error)}; has it this "
            f"neurodeploy ({__version__})?",
            kind="bug",
        )
    return found


@contextlib.contextmanager
def _client(workers: Workers) -> Iterator[Any]:
    """A client, and the cluster behind it where it is ours; both are closed at the end."""
    import dask
    from distributed import Client, LocalCluster

    silent = {
        "distributed.scheduler.allowed-failures": ALLOWED_FAILURES,
        "distributed.admin.large-graph-warning-threshold": "1GB",
    }
    with contextlib.ExitStack() as stack:
        stack.enter_context(dask.config.set(silent))
        stack.enter_context(_quiet())
        address: Any = workers.address
        if address is None:
            # As long as it runs: workers that died are started again.
            stack.enter_context(outside_working_directory())
            try:
                address = stack.enter_context(
                    LocalCluster(
                        n_workers=workers.count,
                        threads_per_worker=1,
                        dashboard_address="127.0.0.1:0",
                        silence_logs=logging.CRITICAL,
                        env={THREADS_VARIABLE: str(workers.threads)},
                    )
                )
            except (OSError, RuntimeError, TimeoutError) as error:
                raise ExecutionError(
                    f"scheduler local:{workers.count}: its workers do not start "
                    f"({first_line(error)}); use --workers"
                ) from error
        try:
            client = stack.enter_context(Client(address, timeout=CONNECT_S, set_as_default=False))
        except (OSError, ValueError, TypeError) as error:
            raise ExecutionError(
                f"scheduler {workers.address}: nothing answers there within {CONNECT_S} s; start "
                "one with 'dask scheduler', or use local:N"
            ) from error
        try:
            patience = START_S if workers.address is None else CONNECT_S
            client.wait_for_workers(1, timeout=patience)
        except TimeoutError as error:
            where = workers.address or f"local:{workers.count}"
            raise ExecutionError(
                f"scheduler {where}: has no worker after {patience} s; start some with 'dask "
                f"worker {where}'"
            ) from error
        try:
            yield client
        finally:
            if workers.address is None:
                _await_restarts(client, workers.count)


def _await_restarts(client: Any, count: int) -> None:
    """Let workers that died be back before their cluster is closed.

    A nanny that is told to close between the death of its worker and the start of the next one
    asserts that the process has been started, which would lose what all tasks have found: of a
    worker that dies while it starts, the end of the first start marks the second one as running.
    """
    with contextlib.suppress(TimeoutError):
        client.wait_for_workers(count, timeout=START_S)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the log of dask, which tells of every lost worker in many lines."""
    logger = logging.getLogger("distributed")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
