"""Tasks on processes and on a cluster: each ends once, whoever dies."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from neurodeploy.distribution import Workers, completed
from neurodeploy.errors import ExecutionError, UsageError
from tests.distribution.tasks import perform, square

WHAT = ("fine", "kill once", "kill", "refuse", "memory", "bug", "fine", "fine")


@pytest.mark.parametrize("scheduler", [None, "local:2"])
def test_every_task_ends_once_whatever_dies(scheduler: str | None, tmp_path: Path) -> None:
    if scheduler:
        pytest.importorskip("distributed")
    items = [(what, str(tmp_path)) for what in WHAT]
    workers = Workers.checked(None if scheduler else 2, scheduler)
    found = list(completed(perform, items, workers))
    assert sorted(place for place, _ in found) == list(range(len(WHAT)))
    outcomes = dict(found)
    kinds = ("done", "done", "died", "refused", "memory", "bug", "done", "done")
    assert tuple(outcomes[i].kind for i in range(len(WHAT))) == kinds
    assert [outcomes[i].value for i in (0, 1, 6)] == ["fine", "kill once", "fine"]
    assert outcomes[3].error == "a line and another"
    assert "2 workers died of it" in str(outcomes[2].error)
    assert "ZeroDivisionError" in str(outcomes[5].trace)
    assert not multiprocessing.active_children()


def test_a_cluster_is_closed_when_its_workers_are_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distributed = pytest.importorskip("distributed")
    close, seen = distributed.LocalCluster.close, []

    def closed(cluster: Any, *args: Any, **options: Any) -> Any:
        seen.append(len(cluster.scheduler.workers))
        return close(cluster, *args, **options)

    monkeypatch.setattr(distributed.LocalCluster, "close", closed)
    items = [("kill", str(tmp_path))]
    assert [x.kind for _, x in completed(perform, items, Workers.checked(None, "local:2"))] == [
        "died"
    ]
    assert seen[0] == 2


def test_who_leaves_early_leaves_no_process() -> None:
    for place, outcome in completed(square, range(100), Workers(2)):
        assert outcome.value == place**2
        assert multiprocessing.active_children()
        break
    deadline = time.monotonic() + 30
    while multiprocessing.active_children() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not multiprocessing.active_children()


def test_what_cannot_be_sent_is_told() -> None:
    with pytest.raises(UsageError, match="cannot be sent"):
        list(completed(square, [lambda: None], Workers(1)))  # type: ignore[list-item]


def test_a_script_that_is_not_guarded_is_told(tmp_path: Path, repository: Path) -> None:
    (tmp_path / "script.py").write_text(
        textwrap.dedent(
            f"""
            import sys
            sys.path.insert(0, {str(repository)!r})
            from neurodeploy.distribution import Workers, completed
            from tests.distribution.tasks import square
            print(list(completed(square, [1], Workers(1))))
            """
        )
    )
    done = subprocess.run(
        [sys.executable, str(tmp_path / "script.py")], capture_output=True, text=True, timeout=100
    )
    assert done.returncode
    assert "below if __name__ == '__main__':" in done.stderr.splitlines()[-1]


def test_a_scheduler_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("neurodeploy.distribution.cluster.CONNECT_S", 0.2)
    with pytest.raises(ExecutionError, match="nothing answers there"):
        list(completed(square, [1], Workers.checked(None, "tcp://127.0.0.1:1")))


@pytest.mark.parametrize(
    ("workers", "scheduler", "message"),
    [
        (0, None, "workers 0: at least 1"),
        (2, "local:2", "a scheduler has its own"),
        (None, "local:0", "at least 1 worker"),
        (None, "somewhere", "expected tcp://HOST:PORT"),
    ],
)
def test_workers_that_make_no_sense(
    workers: int | None, scheduler: str | None, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        Workers.checked(workers, scheduler)


def test_no_task_needs_no_worker() -> None:
    assert list(completed(square, [], Workers.checked(None, "tcp://127.0.0.1:1"))) == []
