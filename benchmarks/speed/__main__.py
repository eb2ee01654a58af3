"""Speed of the engine beside its source network and other simulators.

    make bench, or: python -m benchmarks.speed [--quick] [--networks ...] [--batch 1,20] ...

``engine``: CPU time per image on one thread; contenders take turns in one process, and medians
count. Every network is converted and quantized to 8 bits, set-up (conversion, compilation, building
networks) is excluded, and every run of ours is compared with the reference bit for bit on a sample
of its batch. ``threads``: images per second of one and two threads. ``evaluate``: CPU seconds
and peak memory of ``neurodeploy evaluate``.
Needs the trained networks and data sets that lie beside the repository in ``../shared`` (or where
NEURODEPLOY_SHARED points); ``--quick`` brings a small network of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.setup_peers import FOLDER, ROOT
from benchmarks.setup_peers import main as set_up_peers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from benchmarks.speed.cases import Case

QUICK_SAMPLES = 64
WHAT = ("engine", "threads", "evaluate")
# The same list as that of engine.py, which this process does not import: it loads PyTorch.
CONTENDERS = (
    "ours",
    "ann",
    "spikingjelly",
    "spikingjelly-converted",
    "sinabs",
    "snntorch",
    "norse",
    "brian2",
    "lava",
    "real",
    "reference",
)
IN_PEERS_ENVIRONMENT = {"spikingjelly", "spikingjelly-converted", "sinabs", "snntorch", "norse"}
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NEURODEPLOY_THREADS",
)


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed",
        description=(__doc__ or "").splitlines()[0],
    )
    add = parser.add_argument
    add("--what", choices=WHAT, default="engine")
    add("--networks", default="", help="networks, or NETWORK/METHOD/T, comma-separated; all")
    add("--contenders", default=",".join(CONTENDERS), help="comma-separated; all")
    add("--batch", type=_sizes, help="images in a batch, comma-separated; as the network says")
    add("--rounds", type=_positive, default=5)
    add("--sample", type=_positive, default=2, help="images compared with the reference")
    add("--images", type=_positive, help="of --what evaluate; 1000")
    add("--isa", choices=("portable", "avx2", "avx512", "amx"), help="of our library; the best one")
    add("--cache", type=Path, help="folder of converted networks; build/speed")
    add("--json", type=Path, help="also write all figures here")
    add("--quick", action="store_true", help="a small network that needs no files; no set-up")
    add("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    options.keys = {key.strip() for key in options.contenders.split(",") if key.strip()}
    unknown = sorted(options.keys - set(CONTENDERS))
    if unknown:
        parser.error(f"--contenders {unknown[0]}: expected some of {', '.join(CONTENDERS)}")
    return options


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected a number from 1 on")
    return int(text)


def _sizes(text: str) -> list[int]:
    return [_positive(part.strip()) for part in text.split(",")]


def main(argv: list[str] | None = None) -> int:
    """Measure, in a child whose threads and instruction set are settled before anything loads."""
    given = sys.argv[1:] if argv is None else argv
    options = arguments(given)
    if options.here:
        return _told_in_one_line(options)
    peers = options.what == "engine" and options.keys & IN_PEERS_ENVIRONMENT
    if peers and not options.quick:
        set_up_peers()
    python = FOLDER / "bin" / "python"
    interpreter = str(python) if peers and python.exists() else sys.executable
    environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, "1")}
    if options.isa:
        environment["NEURODEPLOY_ISA"] = options.isa
    command = [interpreter, "-m", "benchmarks.speed", "--here", *given]
    try:
        return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
    except KeyboardInterrupt:
        return 130


def _told_in_one_line(options: argparse.Namespace) -> int:
    from neurodeploy.errors import NeurodeployError

    try:
        return measure(options)
    except NeurodeployError as error:
        print(error, file=sys.stderr)
        return 1


def measure(options: argparse.Namespace) -> int:
    """What the child does."""
    import torch

    from benchmarks.speed.cases import CACHE, QUICK_CASE, check_present, chosen
    from benchmarks.speed.machine import machine
    from benchmarks.speed.report import console, print_machine, print_overview

    torch.set_num_threads(1)
    cases = [QUICK_CASE] if options.quick else chosen(options.networks)
    check_present(cases)
    options.cache = options.cache or CACHE
    out = console()
    found: dict[str, Any] = {"what": options.what, "machine": machine(), "results": []}
    print_machine(out, found["machine"], TOLD[options.what].format(rounds=options.rounds))
    out.print()
    measured = MEASURES[options.what](cases, options, out)
    for result in measured:
        found["results"].append(result)
        # Anew after each: what is measured stays if the rest is given up.
        if options.json is not None:
            options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    if options.what == "engine":
        print_overview(out, found["results"])
    return 0


TOLD = {
    "engine": "CPU time, one thread, medians of {rounds} rounds in turn",
    "threads": "wall-clock time, medians of {rounds} rounds in turn",
    "evaluate": "CPU time, one thread",
}


def _engine(
    cases: list[Case], options: argparse.Namespace, out: Console
) -> Iterator[dict[str, Any]]:
    from benchmarks.speed import engine
    from benchmarks.speed.report import print_result

    for case in cases:
        batches = options.batch or case.batches
        for result in engine.measure(
            case, batches, options.keys, options.rounds, options.sample, options.cache
        ):
            print_result(out, result)
            yield result


def _threads(
    cases: list[Case], options: argparse.Namespace, out: Console
) -> Iterator[dict[str, Any]]:
    from benchmarks.speed import threads

    for case in _named(cases, options):
        for batch in options.batch or (100,):
            result = threads.measure(case, batch, options.rounds, options.sample, options.cache)
            threads.print_result(out, result)
            yield result


def _evaluate(
    cases: list[Case], options: argparse.Namespace, out: Console
) -> Iterator[dict[str, Any]]:
    from benchmarks.speed import evaluation

    for case in _named(cases, options):
        count = options.images or (QUICK_SAMPLES if options.quick else 1000)
        result = evaluation.measure(case, count, options.cache)
        evaluation.print_result(out, result)
        yield result


def _named(cases: list[Case], options: argparse.Namespace) -> list[Case]:
    """Those asked for; the vgg at T = 32 where none is."""
    if options.quick or options.networks:
        return cases
    return [c for c in cases if c.name == "vgg_cifar10/rate/32"]


MEASURES = {"engine": _engine, "threads": _threads, "evaluate": _evaluate}

if __name__ == "__main__":
    sys.exit(main())
