"""Damaged files of every format: ``python -m tests.bad_input.fuzz -n 300 --seed 0``."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from tests.bad_input.fuzz.subjects import SUBJECTS, expect_undamaged, make, seeds_of
from tests.bad_input.fuzz.worker import Ending, prepare, several

CHUNK = 60
TOGETHER = 250


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bad_input.fuzz", description=__doc__)
    parser.add_argument("-n", type=int, default=100, help="files of each format")
    parser.add_argument("--seed", type=int, default=0, help="of the first")
    parser.add_argument("--formats", help="comma-separated; all by default")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    names = given.formats.split(",") if given.formats else list(SUBJECTS)
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        for line in make(Path(folder)):
            print(f"not made: {line}")
        expect_undamaged(Path(folder))
        chunks = chunks_of(Path(folder), names, given.n, given.seed)
        return report(run_all(Path(folder), chunks, given.jobs))


def chunks_of(made: Path, names: list[str], each: int, first: int = 0) -> list[tuple[str, range]]:
    """Cases of ``each`` damaged files of every format, a few together."""
    names = [name for name in names if (made / SUBJECTS[name].path).exists()]
    return [
        (name, seeds[at : at + CHUNK])
        for name, seeds in seeds_of(names, each, first).items()
        for at in range(0, len(seeds), CHUNK)
    ]


def run_all(made: Path, chunks: list[tuple[str, range]], jobs: int) -> list[Ending]:
    """All cases, in processes of their own; a process that dies is a fault of one of its cases."""
    endings: list[Ending] = []
    started = told = time.monotonic()
    waiting = list(chunks)
    while waiting:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(jobs, context, initializer=prepare) as pool:
            # Not all at a time: a process that dies takes with it all that wait.
            futures = {pool.submit(several, made, *chunk): chunk for chunk in waiting[:TOGETHER]}
            del waiting[:TOGETHER]
            for future in as_completed(futures):
                name, seeds = futures[future]
                found: list[Ending] = []
                try:
                    found = future.result()
                except BrokenProcessPool:
                    if len(seeds) > 1:
                        waiting += [(name, range(seed, seed + 1)) for seed in seeds]
                    else:
                        found = [Ending(name, seeds[0], "", -9, "the process died")]
                endings += found
                for e in found:
                    if e.fault:
                        # At once: a long run may be broken off.
                        told_fault = f"\nFAULT {e.name}, seed {e.seed}: {e.command}\n{e.fault}"
                        print(told_fault, file=sys.stderr, flush=True)
                if time.monotonic() - told > 15:
                    told = time.monotonic()
                    rate = len(endings) / (told - started)
                    print(f"{len(endings)} files, {rate:.0f} a second", flush=True)
    return endings


def report(endings: list[Ending]) -> int:
    """Print counts by format; 1 if there are faults."""
    for name in SUBJECTS:
        statuses = Counter(e.status for e in endings if e.name == name)
        if statuses:
            told = ", ".join(f"status {s}: {n}" for s, n in sorted(statuses.items()))
            print(f"{name}: {statuses.total()} files; {told}")
    faults = [e for e in endings if e.fault]
    print(f"{len(endings)} damaged files, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
