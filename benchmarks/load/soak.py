"""Many runs on Lava in one process, and several at once: ``python -m benchmarks.load.soak``.

Afterwards there is no process, thread, open file, socket, segment of shared memory or temporary
file more than before.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import neurodeploy as nd
from neurodeploy.network import Network
from neurodeploy.targets.lava.sweeper import job_processes, segments
from neurodeploy.testing import NetlistBuilder

RUNS, TOGETHER = 500, 8


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load.soak", description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help="in one process")
    parser.add_argument("--together", type=int, default=TOGETHER, help="processes at once")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nd-") as folder:
        os.environ["TMPDIR"] = tempfile.tempdir = folder
        started = time.monotonic()
        left = soak(given.runs)
        seconds = time.monotonic() - started
        print(f"{given.runs} runs in one process, {seconds / given.runs:.2f} s each: {told(left)}")
        if not left and given.together:
            left = at_once(given.together)
            print(f"{given.together} processes at once: {told(left)}")
    return 1 if left else 0


def told(left: list[str]) -> str:
    return ", ".join(left) or "nothing is left"


def soak(runs: int) -> list[str]:
    """Run one deployment so often in this process; what is left of it."""
    small = NetlistBuilder(T=4).input("x", (1, 4, 4)).conv(2, threshold=20).dense(3)
    deployment = nd.compile(Network(small.output()), "lava")
    raster = np.random.default_rng(0).integers(0, 2, (1, 4, 1, 4, 4))

    def run() -> None:
        found = deployment.run({"x": raster}).spikes
        for name, spikes in found.items():
            np.testing.assert_array_equal(spikes, expected.setdefault(name, spikes))

    expected: dict[str, np.ndarray] = {}
    # What is imported or kept with the first run stays.
    run()
    with Jobs() as jobs:
        before = Holdings.of()
        for _ in range(runs):
            run()
        return jobs.left() + before.more(Holdings.of())


def at_once(processes: int) -> list[str]:
    """Run in so many processes at once; what is left of them."""
    again = [sys.executable, "-m", "benchmarks.load.soak", "--runs", "1", "--together", "0"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with Jobs() as jobs:
        before = Holdings.of()
        children = [subprocess.Popen(again, env=environment) for _ in range(processes)]
        failed = [f"status {child.returncode}" for child in children if child.wait()]
        return failed + jobs.left() + before.more(Holdings.of())


@dataclass(frozen=True)
class Holdings:
    """What this process holds, by kind."""

    counts: Counter[str]

    @classmethod
    def of(cls) -> Holdings:
        counts: Counter[str] = Counter()
        for entry in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):
                counts[f"open {os.readlink(entry).partition(':')[0]}"] += 1
        counts["threads"] = threading.active_count()
        counts["children"] = len(_children())
        counts["temporary files"] = len(os.listdir(tempfile.gettempdir()))
        return cls(counts)

    def more(self, later: Holdings) -> list[str]:
        """Kinds of which there are more later."""
        return [f"{n} {kind} more" for kind, n in (later.counts - self.counts).items()]


def _children() -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == os.getpid():
                    found.append(int(entry.name))
    return found


class Jobs:
    """The job folders that appear meanwhile, and what is left of their runs."""

    def __enter__(self) -> Jobs:
        self._seen: set[Path] = set()
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)
        self._watch.start()
        return self

    def __exit__(self, *ending: object) -> None:
        self._over.set()
        self._watch.join()

    def _look(self) -> None:
        while not self._over.wait(0.05):
            # Folders come and go while they are listed.
            with contextlib.suppress(OSError):
                for pattern in ("neurodeploy-lava-*", "nd-*/neurodeploy-lava-*"):
                    self._seen |= set(Path(tempfile.gettempdir()).glob(pattern))

    def left(self) -> list[str]:
        """Processes and segments of the jobs that were seen, which must be some."""
        if not self._seen:
            return ["no job was seen"]
        found = [f"process {pid} of {job.name}" for job in self._seen for pid in job_processes(job)]
        return found + [f"segment {s.name}" for job in self._seen for s in segments(job)]


if __name__ == "__main__":
    sys.exit(main())
