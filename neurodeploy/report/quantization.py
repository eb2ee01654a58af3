"""What quantization cost, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neurodeploy.ir.artifact import Artifact
from neurodeploy.report.netlist import headline
from neurodeploy.report.text import render_table


def quantization_json(artifact: Artifact) -> dict[str, Any]:
    """Options and report of a quantized netlist, as JSON values."""
    return {"name": artifact.netlist.name, **artifact.provenance["quantization"]}


def quantization_table(report: list[Mapping[str, Any]]) -> str:
    """One line per layer, and one that explains the columns."""
    lost = any(row["lost_bits"] for row in report)
    fitted = any(row.get("grid") == "fitted" for row in report)
    rows = [
        (
            row["layer"],
            row["weight_bits"],
            *((row["lost_bits"] or None,) if lost else ()),
            row["levels"],
            *((row["grid"],) if fitted else ()),
            None if row["weight_snr_db"] is None else round(row["weight_snr_db"], 1),
            row["fraction_bits"],
            None if row["threshold"] is None else "..".join(map(str, row["threshold"])),
            row["state_bound"],
        )
        for row in report
    ]
    headings = (
        *("layer", "bits", *(("lost",) if lost else ()), "levels"),
        *(*(("grid",) if fitted else ()), "SNR/dB"),
        *("fraction bits", "threshold", "worst-case state"),
    )
    explained = "fraction bits: bits of the membrane below one weight step"
    if lost:
        explained = f"lost: weight bits given up to keep the states in their width; {explained}"
    return f"{render_table(headings, rows)}\n({explained})"


def render_quantization(artifact: Artifact, path: Path) -> str:
    """What ``quantize`` prints."""
    report = artifact.provenance["quantization"]["report"]
    return f"{headline(artifact)}\n\n{quantization_table(report)}\n\nwrote {path}"
