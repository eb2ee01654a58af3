"""Random netlists by the thousand: ``python -m tests.conformance.fuzz -n 10000 --seed 0``."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import secrets
import shlex
import subprocess
import sys
import time
from collections import Counter, deque
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from tests.conformance.fuzz.check import outcome
from tests.conformance.fuzz.paths import available

# Seconds between two lines of progress.
PACE = 10.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.fuzz", description=__doc__)
    parser.add_argument("-n", type=int, default=1000, help="netlists")
    parser.add_argument("--seed", type=int, default=None, help="of the first; any by default")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    given = parser.parse_args()
    if given.n < 1 or given.jobs < 1:
        parser.error("-n and --jobs: expected at least 1")
    first = secrets.randbelow(10**9) if given.seed is None else given.seed
    paths, missing = available()
    print(f"{given.n} netlists from seed {first} on, in {given.jobs} processes", flush=True)
    print("paths: " + "; ".join(path.name for path in paths))
    for name, why in missing.items():
        print(f"not run: {name}: {why}")
    seeds = range(first, first + given.n)
    started = told = time.monotonic()
    features: Counter[str] = Counter()
    kernels: Counter[str] = Counter()
    failure: tuple[int, str] | None = None
    done = 0
    # Threads of a library would share the cores that the other processes use.
    os.environ["OMP_NUM_THREADS"] = "1"
    workers, ahead = min(given.jobs, given.n), 16 * given.jobs
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        waiting = deque(pool.submit(outcome, seed) for seed in seeds[:ahead])
        # In the order of the seeds: the first failing one is told.
        while waiting and failure is None:
            try:
                result = waiting.popleft().result()
            except BrokenProcessPool:
                failure = _crash(first + done, len(waiting) + 1)
                break
            if isinstance(result, tuple):
                failure = result
                break
            done += 1
            if done + len(waiting) < given.n:
                waiting.append(pool.submit(outcome, seeds[done + len(waiting)]))
            features.update(result.features)
            for path, taken in result.kernels.items():
                kernels.update(f"{path}: {kernel}" for kernel in taken)
            if time.monotonic() - told > PACE:
                told = time.monotonic()
                print(f"{done} of {given.n}, {done / (told - started):.0f} a second", flush=True)
        pool.shutdown(cancel_futures=True)
    print(f"{done} netlists equal the reference on every path, {time.monotonic() - started:.0f} s")
    print("netlists with " + ", ".join(f"{name}: {n}" for name, n in sorted(features.items())))
    for name, n in sorted(kernels.items()):
        print(f"kernel {name}: {n} netlists")
    if failure is not None:
        print(f"\nFAILED {failure[1]}", file=sys.stderr)
        return 1
    return 0


def _crash(first: int, unfinished: int) -> tuple[int, str]:
    """Which of the unfinished seeds ended its process: each is run alone."""
    for seed in range(first, first + unfinished):
        command = [sys.executable, "-m", "tests.conformance.fuzz", "-n", "1", "--seed", str(seed)]
        alone = ["-c", f"from tests.conformance.fuzz.check import outcome; outcome({seed})"]
        ended = subprocess.run([sys.executable, *alone], capture_output=True, text=True)
        if ended.returncode:
            text = f"the process ended with {ended.returncode}: {ended.stderr.strip()[-300:]}"
            return seed, f"seed {seed}: {text}\nrepeat it: {shlex.join(command[1:])}"
    return first, f"a process ended in seeds {first} to {first + unfinished - 1}, alone none does"


if __name__ == "__main__":
    sys.exit(main())
