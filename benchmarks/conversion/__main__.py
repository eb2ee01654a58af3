"""Method x T: accuracy, agreement, spikes and CPU time, peers in the same run.

    python -m benchmarks.conversion --networks lenet_mnist --resume rows.jsonl

Converted anew for each T, calibrated on training images 0-511, current input and membrane decoding
unless a row says otherwise, test images only, one thread. Peers (``make bench`` or
``benchmarks/setup_peers.py`` sets them up) stay in float32, on the same images. Spikes count
emissions other than 0; ours include those of pooling populations, which the peers do not have:
"of neurons" leaves them out (its share, and that of |payload|, from the first 40 images). Steps are
those of a whole inference, from the image to the last step of the answer.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.conversion.cases import Cache, Case, against_peers, fall, heading, line
from benchmarks.conversion.networks import DATA, SHARED, source_accuracy
from benchmarks.conversion.peers import PEERS, peer_cases, run_peers


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    def names(text: str) -> list[str]:
        return [name.strip() for name in text.split(",") if name.strip()]

    def numbers(text: str) -> list[int]:
        return sorted({int(name) for name in names(text)})

    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.conversion",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--networks", type=names, default=list(DATA), help=", ".join(DATA))
    parser.add_argument("--methods", type=names, help="default: all; '' for none")
    parser.add_argument("--timesteps", type=numbers, default=[2, 4, 8, 16, 32])
    parser.add_argument("--images", type=int, default=1000, help="first test images")
    parser.add_argument("--peers", type=names, default=list(PEERS), help="'' for none")
    parser.add_argument("--weight-bits", type=int, default=8)
    parser.add_argument("--json", type=Path, help="also write the rows here")
    parser.add_argument("--resume", type=Path, help="JSONL: finished rows are read, new ones added")
    options = parser.parse_args(given)
    for kind, chosen, known in (
        ("network", options.networks, DATA),
        ("peer", options.peers, PEERS),
    ):
        for name in chosen:
            if name not in known:
                parser.error(f"no {kind} {name!r}: {', '.join(known)}")
    return options


def main(given: Sequence[str] | None = None) -> int:
    options = arguments(given)
    if not SHARED.is_dir():
        print(f"{SHARED}: no such folder; NEURODEPLOY_SHARED can name it", file=sys.stderr)
        return 2
    one_thread()
    from benchmarks.conversion.ours import our_cases
    from neurodeploy.conversion.registry import METHODS

    methods = options.methods if options.methods is not None else list(METHODS)
    cache = Cache(options.resume)
    rows: list[dict[str, Any]] = []
    print(machine(options), flush=True)
    for network in options.networks:
        sizes = options.timesteps, options.images
        cases = [c for peer in options.peers for c in peer_cases(network, peer, *sizes)]
        cases += our_cases(network, methods, *sizes, options.weight_bits)
        accuracy = source_accuracy(network, options.images)
        print(f"\n{network}: source network {100 * accuracy:.2f} %\n{heading()}", flush=True)
        for row in finished(cases, cache):
            if not refused_before(row, rows):
                print(line(row, fall(row, rows)), flush=True)
            rows.append(row)
        print(peer_versions(rows), flush=True)
    bars = against_peers(rows, PEERS)
    if bars:
        print("\nThe best peer at every T:\n" + "\n".join(bars))
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return 1 if any("defect" in row for row in rows) else 0


def finished(cases: Sequence[Case], cache: Cache) -> Iterator[dict[str, Any]]:
    """The rows of all cases in order: remembered ones, and new ones as they come."""
    from benchmarks.conversion.ours import run_ours

    missing = [c for c in cases if c.method in PEERS and cache.get(c) is None]
    running = run_peers(missing)
    for number, case in enumerate(cases, 1):
        remembered = cache.get(case)
        if remembered is not None:
            row = case.row(remembered)
        else:
            start = time.monotonic()
            where = f"[{number}/{len(cases)}] {case.network} {case.label} T = {case.timesteps}"
            print(where, file=sys.stderr, flush=True)
            found = next(running)[1] if case.method in PEERS else run_ours(case)
            row = case.row(found)
            if "passing" not in found:
                row["wall_s"] = round(time.monotonic() - start, 1)
                cache.add(row)
        yield row


def refused_before(row: dict[str, Any], rows: Sequence[dict[str, Any]]) -> bool:
    """Whether the row above says the same of a smaller T."""
    if "error" not in row or not rows:
        return False
    keys = ("network", "label", "error")
    return all(row[k] == rows[-1].get(k) for k in keys)


def peer_versions(rows: Sequence[dict[str, Any]]) -> str:
    """What the peers' rows were measured with."""
    found = sorted({f"{n} {v}" for row in rows for n, v in row.get("versions", {}).items()})
    return f"peers: {', '.join(found)}" if found else "no peers"


def one_thread() -> None:
    """For this process and those that it starts."""
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["MKL_NUM_THREADS"] = "1"
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    import torch

    torch.set_num_threads(1)


def machine(options: argparse.Namespace) -> str:
    """Versions and what was asked, for the head of the table."""
    return (
        f"first {options.images} test images, {options.weight_bits}-bit weights (peers: float32), "
        f"neurodeploy {version('neurodeploy')}, torch {version('torch')}, "
        f"numpy {version('numpy')}, Python {platform.python_version()}, {platform.machine()}, "
        f"{os.cpu_count()} hardware threads of which 1 is used"
    )


if __name__ == "__main__":
    sys.exit(main())
