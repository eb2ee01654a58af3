"""Tables of partition and placement: ``python -m benchmarks.mapping``.

Cores against their lower bound, hops per packet against placements without search, seconds and
memory; cost against size from 1e4 to 1e7 neurons, drawn where ``--plot`` names a file; and, where
the file of SANA-FE's DVS-gesture network can be read, energy and time against its tutorial's
mapping. Every case runs in a process of its own on one thread. Packets are those of one spike of
every neuron.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.mapping.boards import BOARDS
from benchmarks.mapping.networks import NETWORKS, SIZES

AIMS = {
    ("VGG-16 at 224", "mesh"): {"seconds": 10.0, "peak_gb": 4.0, "ratio": 1.02, "hops": 12.9},
    ("VGG-16 at 32", "mesh"): {"seconds": 5.0, "peak_gb": 4.0, "ratio": 1.02, "hops": 3.3},
}
STAGES = {"partition": "partition_s", "placement": "place_s", "all": "seconds"}
PLACEMENTS = {
    "index order": "index",
    "Hilbert, layer by layer": "Hilbert",
    "Hilbert, layers interleaved": "interleaved",
    "spatial tiles": "tiles",
    "swaps for energy": "ours",
}


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.mapping", description=(__doc__ or "").splitlines()[0]
    )

    def names(text: str) -> list[str]:
        return [name for name in text.split(",") if name]

    parser.add_argument("--networks", type=names, default=list(NETWORKS))
    parser.add_argument("--boards", type=names, default=list(BOARDS))
    parser.add_argument("--sizes", type=names, default=[str(s) for s in SIZES], help="'' for none")
    parser.add_argument("--plot", type=Path, help="draw cost against size here")
    parser.add_argument("--dvs", type=Path, help="dvs_challenge.npz of the sanafe package")
    parser.add_argument("--layers", action="store_true", help="utilization layer by layer")
    parser.add_argument("--json", type=Path, help="also write all figures here")
    options = parser.parse_args(given)
    for kind, chosen, known in (
        ("network", options.networks, NETWORKS),
        ("board", options.boards, BOARDS),
    ):
        for name in chosen:
            if name not in known:
                parser.error(f"no {kind} {name!r}: {', '.join(known)}")
    if options.plot is not None and not options.sizes:
        parser.error("--plot draws cost against size; --sizes names none")
    return options


def main(given: Sequence[str] | None = None) -> int:
    options = arguments(given)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    from benchmarks.mapping.measure import case, sized

    rows = []
    print(heading())
    for network in options.networks:
        for board in options.boards:
            rows.append(alone(case, network, board))
            print(line(rows[-1]), flush=True)
            if options.layers and "layers" in rows[-1]:
                print(layer_lines(rows[-1]))
    missed = [fault for row in rows for fault in faults(row)]
    growth = []
    if options.sizes:
        print("\nCost against size: VGG-16 without its wide layers, on the mesh\n" + heading())
        for pixels in options.sizes:
            growth.append(alone(sized, int(pixels), "mesh"))
            print(line(growth[-1]), flush=True)
        print(slopes(growth))
        if options.plot is not None:
            print(plot(growth, options.plot))
    from benchmarks.mapping.dvs import dvs_file, dvs_table

    file = options.dvs or dvs_file()
    if file is None:
        print("\nDVS gesture: sanafe is not installed; --dvs names its dvs_challenge.npz")
    else:
        text, worse = dvs_table(file)
        print("\n" + text)
        missed += worse
    if options.json is not None:
        options.json.write_text(json.dumps({"cases": rows, "growth": growth}, indent=2) + "\n")
    print("\n" + ("\n".join(["missed:", *missed]) if missed else "all aims met"))
    return 1 if missed else 0


def alone(function: Callable[..., dict[str, Any]], *values: Any) -> dict[str, Any]:
    """Call a function in a new process, so that its peak of memory is its own."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(function, values)


COLUMNS = (
    *("network", "board", "neurons", "cores", "bound", "ratio", "cut s", "place s", "GB"),
    *PLACEMENTS.values(),
)
WIDTHS = (16, 15, 9, 7, 7, 6, 7, 7, 5, 7, 8, 12, 6, 6)


def heading() -> str:
    return aligned(COLUMNS)


def aligned(cells: Sequence[str]) -> str:
    pairs = zip(cells, WIDTHS, strict=True)
    text = [c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(pairs)]
    return "  ".join(text).rstrip()


def line(row: dict[str, Any]) -> str:
    if "refused" in row:
        return f"{row['network']:16}  {row['board']:15}  refused: {row['refused']}"
    hops = row["hops_per_packet"]
    late = " (out of time)" if row["out_of_time"] else ""
    return (
        aligned(
            (
                row["network"],
                row["board"],
                str(row["neurons"]),
                str(row["cores"]),
                str(row["bound"]),
                f"{row['cores'] / row['bound']:.3f}",
                f"{row['partition_s'] + row['flows_s']:.2f}",
                f"{row['place_s']:.2f}",
                f"{row['peak_gb']:.2f}",
                *(f"{hops[name]:.2f}" for name in PLACEMENTS),
            )
        )
        + late
    )


def layer_lines(row: dict[str, Any]) -> str:
    lines = []
    for layer in row["layers"]:
        shares = ", ".join(
            f"{name} {100 * share:.0f} %"
            for name, share in layer["utilization"].items()
            if share is not None
        )
        lines.append(
            f"    {layer['population']:6} {layer['cores']:6} of at least {layer['lower_bound']:6}: "
            f"{shares}; {layer['advice']}"
        )
    return "\n".join(lines)


def faults(row: dict[str, Any]) -> list[str]:
    """Aims that a row misses, and placements that better the chosen one in energy and time."""
    if "refused" in row:
        return []
    found = []
    hops = row["hops_per_packet"]
    figures = row | {"ratio": row["cores"] / row["bound"], "hops": hops[row["chosen"]]}
    for what, most in AIMS.get((row["network"], row["board"]), {}).items():
        if figures[what] > most:
            found.append(
                f"{row['network']} on {row['board']}: {what} {figures[what]:.3f}, aim {most}"
            )
    chosen = row["key"][row["chosen"]]
    for name, key in row["key"].items():
        if key[0] < chosen[0] and key[1] < chosen[1]:
            found.append(f"{row['network']} on {row['board']}: {name} is better in both")
    return found


def slopes(rows: Sequence[dict[str, Any]]) -> str:
    """Exponents of seconds over neurons, from the smallest network to the largest."""
    first, last = rows[0], rows[-1]
    if first is last:
        return ""
    decades = math.log(last["neurons"] / first["neurons"])
    parts = [
        f"{what} ~ neurons^{math.log(last[key] / first[key]) / decades:.2f}"
        for what, key in STAGES.items()
    ]
    return "from the smallest to the largest: " + ", ".join(parts)


def plot(rows: Sequence[dict[str, Any]], path: Path) -> str:
    """Seconds against neurons on logarithmic axes."""
    try:
        import matplotlib
    except ImportError:
        return "no plot: matplotlib is not installed"
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4.5), layout="constrained")
    neurons = [row["neurons"] for row in rows]
    for label, key in STAGES.items():
        axes.loglog(neurons, [row[key] for row in rows], "o-", label=label)
    linear = [rows[-1]["seconds"] * n / neurons[-1] for n in neurons]
    axes.loglog(neurons, linear, "k:", label="linear")
    axes.set_xlabel("neurons")
    axes.set_ylabel("seconds on one thread")
    axes.legend()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    return f"plot: {path}"


if __name__ == "__main__":
    sys.exit(main())
