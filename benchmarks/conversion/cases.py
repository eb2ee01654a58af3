"""What is measured, under which key it is remembered, and how a row is printed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FALL = 0.3
"""Points of accuracy that a larger T may lose before it is flagged."""
COLUMNS = (
    ("network", 16),
    ("method", 58),
    ("T", 4),
    ("steps", 5),
    ("acc %", 7),
    ("loss", 7),
    ("agree %", 8),
    ("spikes", 10),
    ("of neurons", 10),
    ("|payload|", 10),
    ("ms/image", 9),
)


@dataclass(frozen=True)
class Case:
    """One network and one way to convert it, for one T.

    Parameters
    ----------
    method : str
        Of neurodeploy, or a peer.
    options : mapping
        All that changes the result beside T and the images.
    """

    network: str
    method: str
    timesteps: int
    images: int
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The same for the same question, whatever the code that answers it."""
        asked = [self.network, self.method, self.timesteps, self.images, dict(self.options)]
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:20]

    @property
    def label(self) -> str:
        """Method and options, in a column."""
        options = dict(self.options)
        options.pop("weight_bits", None)
        mode = f" {options.pop('mode')}" if "mode" in options else ""
        shown = ", ".join(f"{k} {v}" for k, v in options.items())
        return f"{self.method}{mode}; {shown}" if shown else f"{self.method}{mode}"

    def row(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """The case and what was found."""
        return {
            **found,
            "key": self.key,
            "network": self.network,
            "method": self.method,
            "options": dict(self.options),
            "T": self.timesteps,
            "images": self.images,
            "label": self.label,
        }


class Cache:
    """Finished rows, one JSON object a line; a line cut off by an interruption is ignored."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.rows: dict[str, dict[str, Any]] = {}
        if path is not None and path.is_file():
            text = path.read_text(encoding="utf-8")
            if text and not text.endswith("\n"):
                text = text[: text.rfind("\n") + 1]
                path.write_text(text, encoding="utf-8")
            self.rows = {row["key"]: row for row in map(json.loads, text.splitlines())}

    def get(self, case: Case) -> dict[str, Any] | None:
        """The row of a case, if it was finished."""
        return self.rows.get(case.key)

    def add(self, row: dict[str, Any]) -> None:
        """Keep a row, on disk at once."""
        self.rows[row["key"]] = row
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")


def heading() -> str:
    """The first two lines of the table."""
    names = _aligned([name for name, _ in COLUMNS])
    return f"{names}\n{_aligned(['-' * width for _, width in COLUMNS])}"


def line(row: Mapping[str, Any], flag: str = "") -> str:
    """One row of the table; a refusal in place of its figures."""
    first = [row["network"], row["label"], str(row["T"])]
    if "error" in row:
        return f"{_aligned(first)}  {row['error']}"
    source = row["source_accuracy"]
    figures = [
        str(row.get("run_steps", "-")),
        f"{100 * row['accuracy']:.2f}",
        f"{100 * (source - row['accuracy']):+.2f}",
        f"{100 * row['agreement']:.2f}",
        f"{row['spikes']:.0f}",
        f"{row.get('neuron_spikes', row['spikes']):.0f}",
        f"{row['payload']:.0f}",
        f"{row['cpu_ms']:.2f}",
    ]
    return f"{_aligned([*first, *figures])}  {flag}".rstrip()


def _aligned(cells: list[str]) -> str:
    widths = [width for _, width in COLUMNS[: len(cells)]]
    return "  ".join(
        cell.ljust(width) if column < 2 else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )


def fall(row: Mapping[str, Any], before: Iterable[Mapping[str, Any]]) -> str:
    """A flag where a smaller T of the same series did better by more than ``FALL`` points."""
    if "error" in row:
        return ""
    earlier = [r for r in before if _series(r) == _series(row) and "error" not in r]
    smaller = [r for r in earlier if r["T"] < row["T"]]
    if not smaller:
        return ""
    best = max(smaller, key=lambda r: float(r["accuracy"]))
    lost = 100 * (best["accuracy"] - row["accuracy"])
    return f"! {lost:.2f} below T = {best['T']}" if lost > FALL + 1e-9 else ""


def _series(row: Mapping[str, Any]) -> tuple[str, str, int]:
    return row["network"], row["label"], row["images"]


def against_peers(rows: Iterable[Mapping[str, Any]], peers: Iterable[str]) -> list[str]:
    """Per network and T: the best peer, and ours that are as good with fewer emissions.

    Where none has fewer in all, emissions of neurons alone are compared: peers pool outside of
    neurons, and those emissions are counted nowhere.
    """
    names = set(peers)
    finished = [r for r in rows if "error" not in r]
    lines = []
    for network, timesteps in sorted({(r["network"], r["T"]) for r in finished}):
        here = [r for r in finished if (r["network"], r["T"]) == (network, timesteps)]
        theirs = [r for r in here if r["method"] in names]
        if not theirs:
            continue
        best = max(theirs, key=lambda r: (r["accuracy"], -r["spikes"]))
        bar = f"{100 * best['accuracy']:.2f} % {best['spikes']:.0f} spikes ({best['label']})"
        ours = [r for r in here if r["method"] not in names]
        as_good = [r for r in ours if r["accuracy"] >= best["accuracy"]]
        verdict = ""
        for count, words in (("spikes", "spikes"), ("neuron_spikes", "spikes of neurons")):
            fewer = [r for r in as_good if r.get(count, r["spikes"]) < best["spikes"]]
            if fewer:
                fewest = min(fewer, key=lambda r: float(r.get(count, r["spikes"])))
                verdict = (
                    f"; beaten by {fewest['label']}: {100 * fewest['accuracy']:.2f} % "
                    f"{fewest.get(count, fewest['spikes']):.0f} {words}"
                )
                break
        if not verdict and ours:
            nearest = max(ours, key=lambda r: (r["accuracy"], -r["spikes"]))
            verdict = (
                f"; NOT beaten, best is {nearest['label']}: {100 * nearest['accuracy']:.2f} % "
                f"{nearest['spikes']:.0f} spikes"
            )
        lines.append(f"{network} T = {timesteps}: best peer {bar}{verdict}")
    return lines
