"""Threads over samples: the same results for any number, and PyTorch's own setting left alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from neurodeploy.errors import UsageError
from neurodeploy.numerics.threads import default_threads, map_in_order, single_threaded_torch

torch = pytest.importorskip("torch", reason="these threads are PyTorch's")

from neurodeploy.source.analog import Conv2d, MaxPool, ReLU  # noqa: E402
from neurodeploy.source.evaluation import in_torch as analog_torch  # noqa: E402
from tests.source.test_analog import chain  # noqa: E402


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    assert torch.get_num_threads() == 3
    torch.set_num_threads(before)


def test_operations_of_the_scope_have_one_thread() -> None:
    with single_threaded_torch():
        assert torch.get_num_threads() == 1
        with single_threaded_torch():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3
    with pytest.raises(KeyError), single_threaded_torch():
        raise KeyError
    assert torch.get_num_threads() == 3


def test_scopes_of_several_threads() -> None:
    """Each gets back what held before, whoever comes and leaves first."""
    entered, leave = threading.Event(), threading.Event()
    seen: list[int] = []

    def other() -> None:
        with single_threaded_torch():
            entered.set()
            leave.wait(10)
            seen.append(torch.get_num_threads())
        seen.append(torch.get_num_threads())

    thread = threading.Thread(target=other)
    with single_threaded_torch():
        thread.start()
        entered.wait(10)
    assert torch.get_num_threads() == 3
    leave.set()
    thread.join()
    assert seen == [1, 3]
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_order_is_that_of_the_items(threads: int) -> None:
    def work(item: int) -> tuple[int, int]:
        time.sleep(0.002 * (item % 3))
        with single_threaded_torch():
            inner = torch.get_num_threads()
        return item, max(inner, torch.get_num_threads())

    assert map_in_order(work, range(7), threads) == [(i, 1) for i in range(7)]
    assert map_in_order(work, [], threads) == []


@pytest.mark.parametrize("threads", [1, 2])
def test_what_fails_in_a_thread_is_raised_and_ends_the_rest(threads: int) -> None:
    done: list[int] = []

    def work(item: int) -> None:
        if item == 0:
            raise UsageError("the first")
        time.sleep(0.01)
        done.append(item)

    with pytest.raises(UsageError, match="the first"):
        map_in_order(work, range(50), threads)
    assert len(done) < 49


def test_a_source_network_is_the_same_for_any_number_of_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    graph = chain(
        (3, 12, 12),
        Conv2d(rng.normal(size=(8, 3, 3, 3)), rng.normal(size=8), padding=1),
        ReLU(),
        MaxPool((2, 2), (2, 2)),
        Conv2d(rng.normal(size=(5, 8, 3, 3)), None),
    )
    x = rng.normal(size=(23, 3, 12, 12)).astype(np.float32)
    names = [node.name for node in graph.nodes]
    used: dict[int, set[int]] = {}
    found = {}
    for threads in (1, 2):
        monkeypatch.setenv("NEURODEPLOY_THREADS", str(threads))
        used[threads] = set()

        def work(samples: slice, values: dict[str, np.ndarray], n: int = threads) -> int:
            used[n].add(threading.get_ident())
            time.sleep(0.005)  # so that no thread takes all
            assert torch.get_num_threads() == 1
            assert {len(v) for v in values.values()} == {samples.stop - samples.start}
            return samples.start

        starts = analog_torch.over_batches(graph, x, names, work, chunk=4)
        assert starts == list(range(0, 23, 4))
        found[threads] = analog_torch.evaluate(graph, x, names, chunk=4)
    assert [len(used[n]) for n in (1, 2)] == [1, 2]
    for name in names:
        np.testing.assert_array_equal(found[1][name], found[2][name])


def test_threads_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NEURODEPLOY_THREADS", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert default_threads() >= 1
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert default_threads() == 3
    monkeypatch.setenv("NEURODEPLOY_THREADS", "2")
    assert default_threads() == 2
    monkeypatch.setenv("NEURODEPLOY_THREADS", "0")
    with pytest.raises(UsageError, match="NEURODEPLOY_THREADS=0"):
        default_threads()
