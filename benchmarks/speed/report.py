"""Figures as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

Row = Mapping[str, Any]


def console() -> Console:
    """Wide enough for a table where the output is a pipe."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=132)


def print_machine(out: Console, machine: Row, what: str) -> None:
    """What the figures were measured on."""
    versions = ", ".join(f"{name} {v}" for name, v in machine["versions"].items())
    out.print(f"{machine['processor']}: {' '.join(machine['features']) or 'features not told'}")
    out.print(
        f"torch {machine['torch']} ({machine['torch_capability']}), numpy {machine['numpy']}, "
        f"Python {machine['python']}, {machine['system']}"
    )
    if versions:
        out.print(versions)
    out.print(f"our kernels: {machine['kernels']}")
    out.print(what)
    out.print(f"load when it began: {machine['load']}")


def ratios(result: Row) -> list[dict[str, Any]]:
    """Every contender with its time over the ANN's, and SpikingJelly's over its own."""
    times = {c["key"]: c["ms_per_image"] for c in result["contenders"]}
    ann, peer = times.get("ann"), times.get("spikingjelly")
    return [
        dict(c)
        | {
            "times_ann": _ratio(c["ms_per_image"], ann),
            "faster_than_spikingjelly": _ratio(peer, c["ms_per_image"]),
        }
        for c in result["contenders"]
    ]


def print_result(out: Console, result: Row) -> None:
    """The table of one case and batch."""
    name = f"{result['network']}, {result['method']}, T = {result['timesteps']}"
    table = Table(title=f"{name}, batch {result['batch']}", title_justify="left")
    table.add_column("contender")
    for heading in ("CPU ms/image", "spread", "x ANN", "SpikingJelly x", "answers as ANN"):
        table.add_column(heading, justify="right")
    unmeasured = []
    for row in ratios(result):
        if row["ms_per_image"] is None:
            unmeasured.append(f"not measured: {row['key']}: {row['why']}")
            continue
        every = row["all_ms_per_image"]
        table.add_row(
            row["name"],
            figure(row["ms_per_image"]),
            f"{figure(min(every))}-{figure(max(every))}",
            figure(row["times_ann"]),
            figure(row["faster_than_spikingjelly"]),
            share(row["answers_as_source"]),
        )
    out.print(table)
    for line in unmeasured:
        out.print(line)
    if any(row["key"] == "ours" for row in result["contenders"]):
        out.print(
            f"ours: every spike and membrane of the first {result['compared']} images, and every "
            "timed run's answers and spikes on them, equal the reference"
        )
    out.print()


def print_overview(out: Console, results: Sequence[Row]) -> None:
    """Ours alone, one line for every case and batch."""
    table = Table(title="ours", title_justify="left")
    table.add_column("case")
    for heading in (
        "batch",
        "CPU ms/image",
        "x ANN",
        "faster than SpikingJelly",
        "x vgg_cifar10",
        "conversion, CPU s",
    ):
        table.add_column(heading, justify="right")
    vgg = {
        r["batch"]: c["ms_per_image"]
        for r in results
        for c in r["contenders"]
        if r["case"] == "vgg_cifar10/rate/32" and c["key"] == "ours"
    }
    for result in results:
        for row in ratios(result):
            if row["key"] == "ours":
                table.add_row(
                    result["case"],
                    str(result["batch"]),
                    figure(row["ms_per_image"]),
                    figure(row["times_ann"]),
                    figure(row["faster_than_spikingjelly"]),
                    figure(_ratio(row["ms_per_image"], vgg.get(result["batch"]))),
                    f"{result['convert_cpu_s'] + result['quantize_cpu_s']:.1f}",
                )
    if table.row_count:
        out.print(table)


def figure(value: float | None) -> str:
    """Three digits, or a dash where there is none."""
    if value is None:
        return "-"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 1 else f"{value:.{1 if value >= 10 else 2}f}"


def share(value: float | None) -> str:
    """In percent, or a dash."""
    return "-" if value is None else f"{100 * value:.0f} %"


def _ratio(above: float | None, below: float | None) -> float | None:
    return None if above is None or not below else above / below
