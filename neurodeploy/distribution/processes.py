"""Tasks on processes of this machine, which may be killed at any time.

An executor of ``concurrent.futures`` is broken for good once a worker dies, and does not tell which
task killed it: here every worker has a pipe of its own.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from neurodeploy.distribution.start import outside_working_directory
from neurodeploy.distribution.workers import ALLOWED_FAILURES, Outcome, Workers, died, outcome_of
from neurodeploy.errors import ExecutionError, UsageError, first_line
from neurodeploy.numerics.threads import THREADS_VARIABLE

_GRACE_S = 5.0
"""For workers to end after they are told to."""


class _Worker:
    """One process and the task that it works at."""

    def __init__(self, threads: int) -> None:
        # Not a fork: the engine's threads, and those of torch, do not survive one.
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, threads), daemon=True)
        with outside_working_directory():
            self.process.start()
        # Otherwise its end would stay open here after it died.
        theirs.close()
        self.task: int | None = None
        self.ready = False

    def give(self, task: int, function: Callable[[Any], Any], item: Any) -> None:
        self.task = task
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            # Its death is noticed where the answer is read.
            self.connection.send((function, item))

    def death(self) -> str:
        """How the process ended; it has closed its pipe."""
        self.process.join(_GRACE_S)
        code = self.process.exitcode
        if code is not None and code < 0:
            return f"killed by {signal.Signals(-code).name}"
        return f"exit status {code}"

    def end(self) -> None:
        self.connection.close()
        if self.process.is_alive():
            self.process.terminate()
            self.process.join(_GRACE_S)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def completed_on_processes(
    function: Callable[[Any], Any], items: Sequence[Any], workers: Workers
) -> Iterator[tuple[int, Outcome]]:
    """See :func:`neurodeploy.distribution.tasks.completed`."""
    if multiprocessing.parent_process() is not None:
        # Where a script that is not guarded is imported by its own workers, too.
        raise ExecutionError(
            "workers cannot start workers; in a script, call it below if __name__ == '__main__':"
        )
    waiting = deque(range(len(items)))
    failures = [0] * len(items)
    pool: list[_Worker] = []
    try:
        while waiting or any(worker.task is not None for worker in pool):
            for worker in pool:
                if worker.ready and worker.task is None and waiting:
                    task = waiting.popleft()
                    _give(worker, task, function, items[task])
            busy = sum(worker.task is not None or not worker.ready for worker in pool)
            idle = sum(worker.task is None for worker in pool)
            for _ in range(min(workers.count - len(pool), len(waiting) - idle)):
                pool.append(_Worker(workers.threads))
                busy += 1
            assert busy
            heard = wait([worker.connection for worker in pool])
            for worker in [w for w in pool if w.connection in heard]:
                try:
                    answer = worker.connection.recv()
                except (EOFError, ConnectionResetError):
                    pool.remove(worker)
                    how, lost = worker.death(), worker.task
                    worker.end()
                    if not worker.ready:
                        raise ExecutionError(
                            f"a worker ended before it could start ({how}); in a script, call it "
                            "below if __name__ == '__main__':"
                        ) from None
                    if lost is None:
                        continue
                    failures[lost] += 1
                    if failures[lost] > ALLOWED_FAILURES:
                        yield lost, died(how)
                    else:
                        waiting.appendleft(lost)
                    continue
                if not worker.ready:
                    worker.ready = True
                    continue
                done, worker.task = worker.task, None
                assert done is not None
                if waiting:
                    # Before the caller takes its time.
                    task = waiting.popleft()
                    _give(worker, task, function, items[task])
                yield done, answer
    finally:
        for worker in pool:
            worker.end()


def _give(worker: _Worker, task: int, function: Callable[[Any], Any], item: Any) -> None:
    try:
        worker.give(task, function, item)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise UsageError(
            f"workers: what they need cannot be sent to them ({first_line(error)}); pass texts and "
            "paths, or objects of classes in modules that they can import"
        ) from error


def _serve(connection: Connection, threads: int) -> None:
    """Work until nobody asks any more."""
    # Ctrl-C goes to all processes of a terminal: the parent says what becomes of its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.setdefault(THREADS_VARIABLE, str(threads))
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        connection.send(None)
        while True:
            connection.send(outcome_of(_called, connection.recv_bytes()))


def _called(content: bytes) -> Any:
    try:
        function, item = pickle.loads(content)
    except (AttributeError, ImportError) as error:
        raise UsageError(
            f"workers: cannot read what they are sent ({first_line(error)}); define it in a module "
            "that they can import"
        ) from error
    return function(item)
