"""A worker that dies, hangs, fails or is missing: one line in time, and nothing left behind."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from neurodeploy.errors import ExecutionError, TargetUnavailableError, UsageError
from neurodeploy.ir.connectivity import identity
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Output, Population
from neurodeploy.ir.neurons import Input, MaxPool
from neurodeploy.targets.lava import job
from neurodeploy.targets.lava.supervision import KEPT_LOGS, _kept, session_members
from neurodeploy.targets.lava.sweeper import segments
from neurodeploy.targets.lava.target import LavaTarget
from tests.targets.lava.networks import chain, chain_stimulus, compiled

pytestmark = [pytest.mark.lava, pytest.mark.usefixtures("lava_python")]

SAMPLES, STEPS = 60, 500
SOON_S = 20.0  # on a busy machine; what hangs takes 60


@pytest.fixture(autouse=True)
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files, logs too; short, as paths of sockets must be."""
    with tempfile.TemporaryDirectory(prefix="nd-") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


class Victim:
    """The worker of this process, found while it runs."""

    def __init__(self, parent: int) -> None:
        self.parent = parent
        self.leader: int | None = None

    def find(self) -> bool:
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if int(fields[1]) == self.parent and b"neurodeploy.targets.lava.worker" in words:
                self.leader = int(entry.name)
                self.folder = Path(words[-2].decode())
                self.segments = segments(self.folder.parent)
                self.members = session_members(self.leader)
                return True
        return False

    def assert_segments_are_named(self) -> None:
        """Every segment must bear the name of the job: others could not be found again."""
        maps = Path(f"/proc/{self.leader}/maps").read_text()
        assert "/dev/shm/ndl_" in maps
        assert "/dev/shm/psm_" not in maps

    @property
    def children(self) -> list[int]:
        """Processes of populations: forked by the leader, running its command line."""
        leading = Path(f"/proc/{self.leader}/cmdline").read_bytes()
        found = []
        for pid in self.members:
            if pid != self.leader and Path(f"/proc/{pid}/cmdline").read_bytes() == leading:
                found.append(pid)
        return found

    def assert_nothing_left(self) -> None:
        assert self.leader is not None
        assert len(self.members) >= 6  # the leader, four populations, Lava's services
        assert self.segments
        assert session_members(self.leader) == []
        assert [s for s in self.segments if s.exists()] == []
        assert not self.folder.parent.exists()


def run_and(act: Callable[[Victim], None], **options: object) -> tuple[str, Victim, float]:
    """Run a long job, do something to its worker, and return the error, and how long it took."""
    victim, acted = Victim(os.getpid()), [0.0]

    def progress(done: int, total: int) -> None:
        if done > 50 and victim.leader is None and victim.find():
            victim.assert_segments_are_named()
            acted[0] = time.monotonic()
            act(victim)

    long_job = compiled(chain(STEPS), samples_side_by_side=1, **options)
    with pytest.raises(ExecutionError) as caught:
        long_job.run(chain_stimulus(SAMPLES), record=["out"], progress=progress)
    return str(caught.value), victim, time.monotonic() - acted[0]


def log_of(message: str) -> str:
    path = Path(message.partition("log: ")[2])
    text = path.read_text()
    path.unlink()
    return text


@pytest.mark.parametrize(
    ("who", "number", "reason"),
    [
        ("leader", signal.SIGKILL, "the Lava worker was killed by SIGKILL"),
        ("child", signal.SIGKILL, "a Lava process was killed by SIGKILL"),
        ("leader", signal.SIGSTOP, "no sign of life from the Lava worker for 6 s"),
        ("child", signal.SIGSTOP, "no time step done for 6 s"),
        ("everyone", signal.SIGKILL, "the Lava worker was killed by SIGKILL"),
    ],
)
def test_killed_or_stopped(who: str, number: signal.Signals, reason: str) -> None:
    def act(victim: Victim) -> None:
        assert victim.leader is not None
        if who == "leader":
            os.kill(victim.leader, number)
        elif who == "child":
            os.kill(victim.children[-2], number)
        else:
            for pid in victim.members:
                os.kill(pid, number)

    # A killed process is seen at once: only what stops runs into the limit, which a busy machine
    # must not reach.
    stopped = number == signal.SIGSTOP
    limit = 6 if stopped else 30
    message, victim, took = run_and(act, stall_limit_s=limit)
    assert message.startswith(f"target lava: {reason}"), message
    assert "\n" not in message
    log_of(message)
    assert took < SOON_S + (limit if stopped else 0)
    victim.assert_nothing_left()


def test_time_limit() -> None:
    start = time.monotonic()
    message, victim, _ = run_and(lambda victim: None, time_limit_s=5)
    assert message.startswith("target lava: not done after 5 s; raise the option time_limit_s")
    assert time.monotonic() - start < 5 + SOON_S
    log_of(message)
    victim.assert_nothing_left()


def test_an_interrupted_caller_ends_its_worker() -> None:
    victim = Victim(os.getpid())

    def progress(done: int, total: int) -> None:
        if done > 50 and victim.find():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compiled(chain(STEPS), samples_side_by_side=1).run(
            chain_stimulus(SAMPLES), record=["out"], progress=progress
        )
    victim.assert_nothing_left()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_whose_caller_was_killed_ends(
    number: signal.Signals, repository: Path, temporary: Path
) -> None:
    script = textwrap.dedent(f"""
        from tests.targets.lava.networks import chain, chain_stimulus, compiled
        job = compiled(chain({STEPS}), samples_side_by_side=1)
        job.run(chain_stimulus({SAMPLES}), record=["out"],
                progress=lambda done, total: done > 50 and print("running", flush=True))
    """)
    caller = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(repository)},
    )
    assert caller.stdout is not None
    with caller, caller.stdout:
        assert caller.stdout.readline() == b"running\n"
        victim = Victim(caller.pid)
        assert victim.find()
        caller.send_signal(number)
        caller.wait(5)
    assert victim.leader is not None
    deadline = time.monotonic() + SOON_S
    while any(temporary.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert session_members(victim.leader) == []
    assert [s for s in victim.segments if s.exists()] == []
    assert list(temporary.iterdir()) == []


def pooled(length: int) -> IntegerNetlist:
    pool = MaxPool(1, Window((length,), (2,), (2,), ((0, 0),), (1,)))
    return IntegerNetlist(
        "pooled",
        (
            Population("in", (1, length), Input("spikes", 0, 1)),
            Population("pool", pool.output_shape, pool),
        ),
        (IntegerProjection("in", "pool", identity((1, length))),),
        (Output("pool", "counts"),),
        30,
    )


def test_a_model_that_raises() -> None:
    deployment = compiled(pooled(4))
    # Four values are given where the source of the worker has six.
    deployment.bundle = compiled(pooled(6)).bundle
    start = time.monotonic()
    with pytest.raises(ExecutionError) as caught:
        deployment.run({"in": np.ones((1, 30, 1, 4), dtype=np.int64)})
    message = str(caught.value)
    assert re.match(
        r"target lava: a Lava process raised [A-Za-z]+Error while it ran: [^\n]+; log: \S+$",
        message,
    )
    assert time.monotonic() - start < SOON_S
    assert "Traceback" in log_of(message)


def test_a_missing_interpreter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NEURODEPLOY_LAVA_PYTHON", str(tmp_path / "python3.10"))
    deployment = compiled(chain(5))
    with pytest.raises(TargetUnavailableError) as caught:
        deployment.run(chain_stimulus(1))
    assert "\n" not in str(caught.value)
    assert "NEURODEPLOY_LAVA_PYTHON" in str(caught.value)
    assert LavaTarget.unavailable() == str(caught.value)


def test_in_process_needs_python_310() -> None:
    if sys.version_info[:2] == (3, 10):
        pytest.skip("this Python is 3.10")
    with pytest.raises(TargetUnavailableError, match="cannot run Lava in-process"):
        compiled(chain(5), execution="in-process").run(chain_stimulus(1))


def test_the_last_logs_of_failed_runs_are_kept(temporary: Path) -> None:
    (temporary / "job").mkdir()
    log = temporary / "job" / "worker.log"
    log.write_text("Traceback")
    other = temporary / "neurodeploy-lava-notes.txt"
    other.write_text("mine")
    kept = []
    for number in range(KEPT_LOGS + 3):
        kept.append(Path(_kept(log)))
        os.utime(kept[-1], (number, number))
    assert kept[-1].read_text() == "Traceback"
    assert sorted(temporary.glob("neurodeploy-lava-*")) == sorted([other, *kept[-KEPT_LOGS:]])


def test_a_temporary_folder_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "absent"))
    with pytest.raises(ExecutionError, match=r"TMPDIR=.*/absent is no folder; name another"):
        compiled(chain(5)).run(chain_stimulus(1))


@pytest.mark.parametrize("writer", ["save", "write_bytes_whole"])
def test_a_temporary_folder_that_is_full(
    writer: str, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object, **keywords: object) -> None:
        error = OSError(errno.ENOSPC, "No space left on device")
        if writer == "save":
            raise error
        raise UsageError("lava.json: cannot write (No space left on device)") from error

    monkeypatch.setattr(*((np, "save") if writer == "save" else (job, writer)), full)
    with pytest.raises(ExecutionError) as caught:
        compiled(chain(5)).run(chain_stimulus(1))
    assert str(caught.value) == (
        f"target lava: no room for temporary files in {temporary} (No space left on device); have "
        "TMPDIR name another folder, or run fewer samples"
    )
    assert list(temporary.iterdir()) == []
