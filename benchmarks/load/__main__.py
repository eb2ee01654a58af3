"""Memory and time by size: ``python -m benchmarks.load [--cases ...] [--largest N]``.

Every size runs in a process of its own. Printed are the CPU seconds of its steps, the most memory
that it held beyond an empty process (private pages: what is mapped from files is not counted), and
by how much both grew for ten times the size. What is refused is told with its limit.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.load.cases import CASES

PERIOD_S = 0.01


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--cases", help="comma-separated; all by default")
    parser.add_argument("--largest", type=int, default=3, help="how many of the three sizes")
    parser.add_argument("--one", nargs=2, metavar=("CASE", "SIZE"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(_measured(given.one[0], int(given.one[1]))))
        return 0
    names = given.cases.split(",") if given.cases else list(CASES)
    print("| case | size | seconds | of these | memory | growth of seconds, memory |")
    print("|---|---|---|---|---|---|")
    for name in names:
        before: dict[str, Any] | None = None
        for size in CASES[name][1][: given.largest]:
            found = _apart(name, size)
            print(_row(name, size, found, before), flush=True)
            before = {**found, "size": size}
    return 0


def _apart(name: str, size: int) -> dict[str, Any]:
    again = [sys.executable, "-m", "benchmarks.load", "--one", name, str(size)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(again, capture_output=True, text=True, env=environment)
    if done.returncode:
        return {"refused": f"status {done.returncode}: {done.stderr.strip()[-200:]}"}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _measured(name: str, size: int) -> dict[str, Any]:
    from neurodeploy.errors import NeurodeployError

    make, _ = CASES[name]
    watch = Watch()
    steps: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        watch.start()
        last = time.process_time()
        try:
            for step in make(size, Path(folder)):
                now = time.process_time()
                steps[step], last = now - last, now
        except NeurodeployError as error:
            return {"refused": f"{type(error).__name__}: {error}"}
    return {"steps": steps, "bytes": watch.most()}


class Watch(threading.Thread):
    """The most private memory that this process holds from here on, beyond what it has now."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._first = self._largest = _private_bytes()

    def run(self) -> None:
        while True:
            self._largest = max(self._largest, _private_bytes())
            time.sleep(PERIOD_S)

    def most(self) -> int:
        """Bytes."""
        return max(self._largest, _private_bytes()) - self._first


def _private_bytes() -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no RssAnon in /proc/self/status")


def _row(name: str, size: int, found: dict[str, Any], before: dict[str, Any] | None) -> str:
    if "refused" in found:
        return f"| {name} | {size:.0e} | refused: {found['refused']} | | | |"
    seconds = sum(found["steps"].values())
    parts = ", ".join(f"{step} {s:.2f}" for step, s in found["steps"].items())
    growth = "-"
    if before and "refused" not in before:
        decades = math.log10(size / before["size"])
        times = seconds / sum(before["steps"].values()), found["bytes"] / max(before["bytes"], 1)
        growth = ", ".join(f"{ratio ** (1 / decades):.1f}" for ratio in times)
    return f"| {name} | {size:.0e} | {seconds:.1f} | {parts} | {_told(found['bytes'])} | {growth} |"


def _told(n: int) -> str:
    return f"{n / 1e9:.1f} GB" if n >= 1e9 else f"{n / 1e6:.0f} MB"


if __name__ == "__main__":
    sys.exit(main())
