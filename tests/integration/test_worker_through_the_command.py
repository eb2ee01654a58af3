"""A real Lava worker that is stopped or killed under ``neurodeploy run``: one line, exit 2."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import neurodeploy as nd
from neurodeploy.cli import run
from tests.targets.lava.test_worker_hygiene import Victim
from tests.verification.networks import dataset, layered, packed

pytestmark = [pytest.mark.lava, pytest.mark.usefixtures("lava_python")]

LIMIT_S = 6.0  # what a worker that nobody stopped must not reach on a busy machine
SOON_S = 20.0
SAMPLES = 200


class Attack(threading.Thread):
    """Waits for the worker of this process, and sends it a signal once it works."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(daemon=True)
        self.number = number
        self.victim = Victim(os.getpid())
        self.at = 0.0

    def run(self) -> None:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            try:
                ready = self.victim.find() and len(self.victim.members) >= 6
            except OSError:  # its folder is not complete yet
                ready = False
            if ready and self.victim.segments:
                assert self.victim.leader is not None
                os.kill(self.victim.leader, self.number)
                self.at = time.monotonic()
                return
            time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_a_worker_stopped_in_the_middle(
    number: signal.Signals,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    net = packed(layered(timesteps=500))
    options = {"stall_limit_s": LIMIT_S, "samples_side_by_side": 1, "execution": "worker"}
    nd.save(nd.compile(net, "lava", **options), "compiled")
    data = dataset(SAMPLES)
    np.savez("data.npz", x=data.x, y=data.y)
    attack = Attack(number)
    attack.start()
    status = run(["run", "compiled", "--data", "data.npz", "-o", "out.npz"])
    ended = time.monotonic()
    attack.join()
    assert attack.at > 0
    assert status == 2
    assert ended - attack.at < (LIMIT_S if number == signal.SIGSTOP else 0) + SOON_S
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "target lava: " in captured.err
    log = Path(captured.err.partition("log: ")[2].strip())
    assert log.is_file()
    log.unlink()
    assert not (tmp_path / "out.npz").exists()
    attack.victim.assert_nothing_left()
