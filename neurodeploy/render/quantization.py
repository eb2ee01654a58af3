"""Report of quantization, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neurodeploy.network import Network
from neurodeploy.render.netlist import headline
from neurodeploy.render.text import render_table


def quantization_to_dict(network: Network) -> dict[str, Any]:
    """Options and report of a quantized netlist, as JSON values."""
    return {"name": network.netlist.name, **network.provenance["quantization"]}


def quantization_parts(report: list[Mapping[str, Any]]) -> list[str]:
    """One line per layer, and one that explains the columns."""
    lost = any(row["lost_bits"] for row in report)
    against_data = any(row.get("input_snr_db") is not None for row in report)
    fitted = any(row.get("grid") == "fitted" for row in report)
    rows = [
        (
            row["layer"],
            row["weight_bits"],
            *((row["lost_bits"] or None,) if lost else ()),
            row["levels"],
            *((row["grid"],) if fitted else ()),
            _rounded(row["weight_snr_db"]),
            *((_rounded(row["input_snr_db"]),) if against_data else ()),
            row["fraction_bits"],
            None if row["threshold"] is None else "..".join(map(str, row["threshold"])),
            row["state_bound"],
        )
        for row in report
    ]
    headings = (
        *("layer", "bits", *(("lost",) if lost else ()), "levels"),
        *(*(("grid",) if fitted else ()), "SNR/dB"),
        *(("input SNR/dB",) if against_data else ()),
        *("fraction bits", "threshold", "worst-case state"),
    )
    explained = "fraction bits: bits of the membrane below one weight step"
    if lost:
        explained = f"lost: weight bits given up to keep the states in their width; {explained}"
    if against_data:
        explained = f"input SNR: on samples that weights were rounded against; {explained}"
    return [render_table(headings, rows), f"({explained})"]


def _rounded(decibels: float | None) -> float | None:
    return None if decibels is None else round(decibels, 1)


def render_quantization(network: Network, path: Path) -> str:
    """Report of ``quantize``."""
    table = "\n".join(quantization_parts(network.provenance["quantization"]["report"]))
    return f"{headline(network)}\n\n{table}\n\nwrote {path}"
