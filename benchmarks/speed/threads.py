"""``--what threads``: throughput of one and two threads, idle and beside a busy process."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.speed.cases import Case, converted, images
from benchmarks.speed.contender import LEAST_SECONDS
from benchmarks.speed.ours import engine_name, truth_of
from benchmarks.speed.report import figure
from neurodeploy.api import stimulus_for
from neurodeploy.execution import make_engine

THREADS = (1, 2)
# Long enough for the scheduler to have moved everything to where it stays.
SETTLE_SECONDS = 0.2


def measure(case: Case, batch: int, rounds: int, sample: int, cache: Path) -> dict[str, Any]:
    """Images per second of wall-clock time, the four settings in turn."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < max(THREADS):
        raise SystemExit(f"--what threads: {len(cores)} core; at least {max(THREADS)} are needed")
    net = converted(case, cache).quantized
    stimulus, _ = stimulus_for(net, images(case, "test"), batch)
    truth = truth_of(net.integer, stimulus, min(sample, batch))
    engine = make_engine(net.integer)
    found: dict[str, dict[int, list[float]]] = {
        name: {n: [] for n in THREADS} for name in ("idle", "busy")
    }
    # All that is measured shares two cores, of which a busy process takes one.
    os.sched_setaffinity(0, cores[: max(THREADS)])
    try:
        for turn in range(-1, rounds):
            for name, seconds in found.items():
                with _busy(cores[0]) if name == "busy" else nullcontext():
                    for n in THREADS:
                        _use(n)
                        begun, done = time.perf_counter(), 0
                        while done == 0 or time.perf_counter() - begun < 10 * LEAST_SECONDS:
                            summary = engine.summarize(stimulus)
                            done += batch
                        elapsed = time.perf_counter() - begun
                        truth.compare_summary(summary)
                        if turn >= 0:
                            seconds[n].append(done / elapsed)
    finally:
        os.sched_setaffinity(0, cores)
    medians = {k: {n: statistics.median(v) for n, v in s.items()} for k, s in found.items()}
    return {
        "case": case.name,
        "batch": batch,
        "engine": engine_name(engine),
        "images_per_s": medians,
        "all_images_per_s": found,
        "compared": truth.samples,
    }


def _use(threads: int) -> None:
    """Of our own library, and of PyTorch, which computes where that one is missing."""
    os.environ["NEURODEPLOY_THREADS"] = str(threads)
    torch.set_num_threads(threads)


@contextmanager
def _busy(core: int) -> Iterator[None]:
    """A process that never rests, on one core."""
    loop = f"import os\nos.sched_setaffinity(0, [{core}])\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", loop]) as process:
        try:
            time.sleep(SETTLE_SECONDS)
            yield
        finally:
            process.kill()


def print_result(out: Console, result: dict[str, Any]) -> None:
    """The four medians, and two threads over one."""
    title = f"{result['case']}, batch {result['batch']}, {result['engine']}, wall-clock time"
    table = Table(title=title, title_justify="left")
    for heading in ("the two cores", "1 thread, images/s", "2 threads, images/s", "ratio"):
        table.add_column(heading, justify="left" if heading == "the two cores" else "right")
    shown = {"idle": "as they were found", "busy": "another process on one"}
    for name, rates in result["images_per_s"].items():
        one, two = rates[1], rates[2]
        table.add_row(shown[name], figure(one), figure(two), f"{two / one:.2f}")
    out.print(table)
    out.print(f"every run equals the reference on the first {result['compared']} images")
