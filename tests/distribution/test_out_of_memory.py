"""Workers that the kernel kills because memory ran out, in a group of processes with a limit."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from neurodeploy.distribution import Workers, completed
from tests.distribution.tasks import perform

LIMIT = 64 * 2**20
LIMITS = {
    "memory.limit_in_bytes": LIMIT,
    "memory.memsw.limit_in_bytes": LIMIT,
    "memory.max": LIMIT,
    "memory.swap.max": 0,
}
"""Files of a group, in the kernel's first and second version of them, which has some of these."""


@pytest.fixture
def limited() -> Iterator[Path]:
    """A group whose processes may take LIMIT together, beside what they have before they join."""
    for root in ("/sys/fs/cgroup/memory", "/sys/fs/cgroup"):
        group = Path(root, f"neurodeploy-test-{os.getpid()}")
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            found = [name for name in LIMITS if (group / name).is_file()]
            for name in found:
                (group / name).write_text(str(LIMITS[name]))
            if found:
                yield group
                return
        except OSError:
            continue
        finally:
            _remove(group)
    pytest.skip("this machine lets nobody limit the memory of processes")


def _remove(group: Path) -> None:
    for attempt in range(100):  # the processes of a group end a little after they are waited for
        try:
            return group.rmdir()
        except OSError:
            time.sleep(0.02 * attempt)


def killed(group: Path) -> int:
    """Processes of the group that the kernel killed for memory."""
    for name in ("memory.oom_control", "memory.events"):
        if (group / name).is_file():
            words = (group / name).read_text().split()
            return int(words[words.index("oom_kill") + 1])
    raise AssertionError(f"{group} counts nothing")


@pytest.mark.parametrize("scheduler", [None, "local:2"])
def test_a_task_too_large_for_memory_is_an_error_and_the_others_end(
    limited: Path, scheduler: str | None, tmp_path: Path
) -> None:
    if scheduler:
        pytest.importorskip("distributed")
    (tmp_path / "group").symlink_to(limited)
    items = [(what, str(tmp_path)) for what in ("fine", "too much", "fine")]
    workers = Workers.checked(None if scheduler else 2, scheduler)
    found = dict(completed(perform, items, workers))
    assert [found[place].value for place in (0, 2)] == ["fine", "fine"]
    assert found[1].kind == "died"
    assert "2 workers died of it" in str(found[1].error)
    assert "if memory ran out, use fewer workers" in str(found[1].error)
    # With others at first, then alone: only then it is the one to blame.
    assert killed(limited) == (4 if scheduler else 2)
