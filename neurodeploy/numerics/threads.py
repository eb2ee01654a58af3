"""Threads over samples, and none inside the operations of a sample.

PyTorch shares each operation among threads that wait for one another by spinning: a network of
small operations then costs several times its work as soon as another process wants a core. Here
an operation runs on one thread, and threads share batches of samples, which need not wait.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from neurodeploy.errors import UsageError

THREADS_VARIABLE = "NEURODEPLOY_THREADS"

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def default_threads() -> int:
    """Threads where none are asked for: ``NEURODEPLOY_THREADS``, ``OMP_NUM_THREADS``, or all cores.

    Raises
    ------
    UsageError
        If ``NEURODEPLOY_THREADS`` is no positive number.
    """
    given = os.environ.get(THREADS_VARIABLE)
    if given is not None:
        if not given.isdigit() or int(given) < 1:
            raise UsageError(f"{THREADS_VARIABLE}={given}: expected a number from 1 on")
        return int(given)
    shared = os.environ.get("OMP_NUM_THREADS", "")
    if shared.isdigit() and int(shared) > 0:
        return int(shared)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Scopes(threading.local):
    """How many scopes of one thread torch are open in this thread."""

    depth = 0


_scopes = _Scopes()
_lock = threading.Lock()
_open = 0
_outside = 1


@contextmanager
def single_threaded_torch() -> Iterator[None]:
    """One thread for each of PyTorch's operations; afterwards as many as before.

    The number belongs to each thread, and new ones take that of the process. Of several threads
    inside at once each gets back what held before the first of them came.
    """
    global _open, _outside
    import torch

    if _scopes.depth == 0:
        with _lock:
            # Asked in any case: a thread that was never asked takes the number of the process at
            # its first operation, over the one that was set.
            now = torch.get_num_threads()
            if _open == 0:
                _outside = now
            _open += 1
            torch.set_num_threads(1)
    _scopes.depth += 1
    try:
        yield
    finally:
        _scopes.depth -= 1
        if _scopes.depth == 0:
            with _lock:
                _open -= 1
                torch.set_num_threads(_outside)


def map_in_order(
    work: Callable[[_Item], _Result], items: Sequence[_Item], threads: int | None = None
) -> list[_Result]:
    """``[work(item) for item in items]`` by several threads, torch single-threaded in each.

    What ``work`` gives may depend on its item alone: the number of threads then changes nothing.

    Parameters
    ----------
    work : callable
    items : sequence
    threads : int, optional
        :func:`default_threads` by default.
    """
    count = min(default_threads() if threads is None else threads, len(items))
    with single_threaded_torch():
        if count <= 1:
            return [work(item) for item in items]
        pool = ThreadPoolExecutor(count, initializer=_join_scope)
        try:
            return list(pool.map(work, items))
        finally:
            pool.shutdown(cancel_futures=True)


def _join_scope() -> None:
    """Stay in the scope of the thread that waits; the thread ends before that is left."""
    import torch

    torch.get_num_threads()  # see single_threaded_torch
    torch.set_num_threads(1)
    _scopes.depth = 1
