"""SIGINT, SIGTERM and SIGKILL of the command line at every stage of a run leave nothing behind."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from neurodeploy.ir.encoding import Encoding
from neurodeploy.network import Network
from neurodeploy.targets.lava.sweeper import SHARED_MEMORY, kill, segments
from neurodeploy.targets.lava.target import LavaTarget
from tests.targets.lava.networks import chain

pytestmark = [pytest.mark.lava, pytest.mark.usefixtures("lava_python")]

STEPS, SAMPLES = 500, 3000
START_S, SOON_S = 90.0, 20.0
Moment = float | str
"""Seconds after the job folder appeared, or its first "segment", or "running"."""

PROGRAM = "from neurodeploy.cli import main; main()"
SAID = {
    signal.SIGINT: (130, "neurodeploy: interrupted\n"),
    signal.SIGTERM: (143, "neurodeploy: terminated\n"),
    signal.SIGKILL: (-9, ""),
}


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("signals")
    network = Network(chain(STEPS), {"in": Encoding("current", 9, 0.0, 1.0)})
    LavaTarget().compile(network, None, {"samples_side_by_side": 1}).save(folder / "net.lava")
    x = np.random.default_rng(0).random((SAMPLES, 4)).astype(np.float32)
    np.savez(folder / "data.npz", x=x, y=np.zeros(SAMPLES, dtype=np.int64))
    return folder


@pytest.fixture
def temporary() -> Iterator[Path]:
    # Short: sockets in it must have a path of at most about 100 characters.
    with tempfile.TemporaryDirectory(prefix="nd-") as folder:
        yield Path(folder)


class Caller:
    """One ``neurodeploy run`` in a folder for temporary files of its own."""

    def __init__(self, deployment: Path, temporary: Path, moment: Moment, root: Path) -> None:
        self.moment, self.temporary = moment, temporary
        self.mark = f"NEURODEPLOY_TEST_CALLER={secrets.token_hex(8)}"
        name, _, value = self.mark.partition("=")
        self.job: Path | None = None
        self.appeared = 0.0
        self.signalled = False
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "run", "net.lava", "--data", "data.npz"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=deployment,
            env={**os.environ, "PYTHONPATH": str(root), "TMPDIR": str(temporary), name: value},
            start_new_session=True,
            # What a shell runs in the background ignores SIGINT, and so would this.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def is_due(self) -> bool:
        if self.job is None:
            found = list(self.temporary.glob("neurodeploy-lava-*"))
            if not found:
                return False
            self.job, self.appeared = found[0], time.monotonic()
        if isinstance(self.moment, float):
            return time.monotonic() - self.appeared >= self.moment
        if self.moment == "segment":
            return segments(self.job) != []
        with contextlib.suppress(OSError, ValueError, EOFError):  # not written yet
            return int(np.load(self.job / "0" / "steps.npy").max()) > 50
        return False

    def processes(self) -> list[str]:
        """Command lines of everything that it started, directly or not."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                if self.mark.encode() in (entry / "environ").read_bytes().split(b"\0"):
                    found.append((entry / "cmdline").read_text())
        return found

    def left(self) -> list[object]:
        """What is there and should not be."""
        assert self.job is not None
        return [*self.processes(), *segments(self.job), *self.temporary.iterdir()]


@pytest.mark.parametrize(
    ("number", "moments"),
    [
        (signal.SIGINT, [0.0, 0.1, 0.5, "segment", 1.0, 1.5, "running"]),
        (signal.SIGTERM, [0.0, 0.5, "segment", "running"]),
        (signal.SIGKILL, [0.0, 0.5, "segment", "running"]),
    ],
)
def test_nothing_is_left(
    number: signal.Signals,
    moments: list[Moment],
    deployment: Path,
    temporary: Path,
    repository: Path,
) -> None:
    callers = []
    for i, moment in enumerate(moments):
        (temporary / str(i)).mkdir()
        callers.append(Caller(deployment, temporary / str(i), moment, repository))
    deadline = time.monotonic() + START_S
    try:
        while not all(c.signalled for c in callers) and time.monotonic() < deadline:
            for caller in callers:
                if not caller.signalled and caller.is_due():
                    if caller.moment == "running":
                        assert len(caller.processes()) >= 8  # worker, populations, sweeper
                    caller.process.send_signal(number)
                    caller.signalled = True
            time.sleep(0.002)
        for caller in callers:
            assert caller.signalled, caller.moment
            out, err = caller.process.communicate(timeout=SOON_S)
            assert out == ""
            assert (caller.process.returncode, err) == SAID[number], caller.moment
            if number == signal.SIGKILL:
                soon = time.monotonic() + SOON_S
                while caller.left() and time.monotonic() < soon:
                    time.sleep(0.05)
            assert caller.left() == [], caller.moment
    finally:
        for caller in callers:
            caller.process.kill()
            caller.process.communicate()


def test_a_second_interrupt_does_not_stop_the_cleaning(
    deployment: Path, temporary: Path, repository: Path
) -> None:
    caller = Caller(deployment, temporary, "running", repository)
    try:
        deadline = time.monotonic() + START_S
        while not caller.is_due() and time.monotonic() < deadline:
            time.sleep(0.002)
        while caller.process.poll() is None and time.monotonic() < deadline:
            caller.process.send_signal(signal.SIGINT)
            time.sleep(0.02)
        assert caller.process.returncode is not None
        soon = time.monotonic() + SOON_S
        while caller.left() and time.monotonic() < soon:
            time.sleep(0.05)
        assert caller.left() == []
    finally:
        caller.process.kill()
        caller.process.communicate()


def test_semaphores_in_the_making_are_removed() -> None:
    # A quarter of these processes would leave one if they were simply killed.
    code = (
        "import multiprocessing; context = multiprocessing.get_context('fork'); print(flush=True)\n"
        "while True: context.Semaphore()"
    )
    before = set(SHARED_MEMORY.glob("sem.*"))
    for i in range(20):
        with subprocess.Popen(
            [sys.executable, "-S", "-c", code], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(0.003 + 0.0006 * i)
            kill([process.pid])
    left = set(SHARED_MEMORY.glob("sem.*")) - before
    time.sleep(0.1)  # those of other programs are gone by then
    assert [path for path in left if path.exists()] == []
