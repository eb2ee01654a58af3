"""Sessions of worker processes: who belongs to one, and waiting for their end."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

import pytest

from neurodeploy.targets.lava.supervision import POLL_S, _gone, end_session, session_members


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        yield process
        process.kill()


def test_a_session_is_waited_for_as_long_as_is_told(sleeper: subprocess.Popen[bytes]) -> None:
    assert session_members(sleeper.pid) == [sleeper.pid]
    start = time.monotonic()
    assert not _gone(sleeper.pid, 4 * POLL_S)
    assert time.monotonic() - start >= 4 * POLL_S
    sleeper.kill()
    sleeper.wait()
    start = time.monotonic()
    assert _gone(sleeper.pid, 60.0)
    assert time.monotonic() - start < 30
    assert session_members(sleeper.pid) == []


def test_a_session_is_ended(sleeper: subprocess.Popen[bytes]) -> None:
    end_session(sleeper, polite=False)
    assert sleeper.poll() == -9
    # And once more, where nobody is left.
    end_session(sleeper, polite=True)
