"""Predictions against what was measured, read from the file of published runs and nowhere else.

Constants and predictions (predictions.json) were committed before this file existed; the runner
prints that commit. Two constants of Loihi 1 come from runs that are judged here: management from
the tutorial's log, and injection from Quartz. Quartz's times are therefore predicted by fits to the
other step counts::

    time = what the model gives without management and injection + steps * m + injected spikes * c

with m, c >= 0 of least squared relative error over the other rows.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neurodeploy.hardware.boards.interval import Interval
from neurodeploy.render.quantities import with_bar
from neurodeploy.render.text import render_table

PREDICTIONS = Path(__file__).with_name("predictions.json")
AIMS = {"time": 0.20, "energy": 0.25, "slope": 0.20, "left out": 0.25}
WIDEST = 2.5
"""How far apart the ends of a validated figure may be."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One figure: predicted with its bar, and measured.

    Parameters
    ----------
    point, figure, constants, unit : str
    predicted : Interval
    measured : float
    aim : float or None
        The largest relative error of the likely value; None: not judged.
    note : str
    """

    point: str
    figure: str
    constants: str
    unit: str
    predicted: Interval
    measured: float
    aim: float | None
    note: str = ""

    @property
    def error(self) -> float:
        """Likely over measured, less 1."""
        return self.predicted.likely / self.measured - 1

    @property
    def covered(self) -> bool:
        """Whether the measured value lies within the interval."""
        return self.predicted.covers(self.measured)

    @property
    def met(self) -> bool | None:
        """Whether the aim is met; None where there is none."""
        return None if self.aim is None else abs(self.error) <= self.aim

    def row(self) -> tuple[str, ...]:
        """Cells of the table."""
        verdict = "not judged" if self.met is None else "met" if self.met else "missed"
        return (
            self.point,
            self.figure,
            self.constants,
            with_bar(self.predicted, self.unit),
            with_bar(Interval.exactly(self.measured), self.unit),
            f"{100 * self.error:+.1f} %",
            "-" if not self.predicted.width else "inside" if self.covered else "outside",
            "-" if self.aim is None else f"{100 * self.aim:.0f} %",
            verdict,
            self.note,
        )


def frozen() -> dict[str, Any]:
    """The predictions as committed."""
    data: dict[str, Any] = json.loads(PREDICTIONS.read_text(encoding="utf-8"))
    return data


def commit_of_predictions() -> str:
    """Hash of the last commit that changed the predictions; empty outside of a repository."""
    command = ["git", "log", "-1", "--format=%H", "--", str(PREDICTIONS)]
    try:
        told = subprocess.run(
            command, cwd=PREDICTIONS.parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return told.stdout.strip()


def judge(predicted: Mapping[str, Any], measured: Mapping[str, Any]) -> list[Judged]:
    """Every figure of the points that have public weights or are priced at public counters."""
    runs = {run["name"]: run for run in (*measured["loihi1"], *measured["loihi2"])}
    return [
        *_tutorial(predicted["nxtf-tutorial"], runs["NxTF tutorial MNIST"]),
        *_pilotnet(predicted["pilotnet"]["loihi2"], runs["PilotNet LIF"]),
        *_quartz(predicted, runs),
    ]


def _interval(told: Mapping[str, float]) -> Interval:
    return Interval(told["likely"], told["low"], told["high"])


def _tutorial(by_constants: Mapping[str, Any], run: Mapping[str, float]) -> list[Judged]:
    spiking, management = (1e-6 * run[f"us_step_{k}"] for k in ("spiking", "management"))
    found = []
    for constants, row in by_constants.items():
        beside = ", ".join(
            f"{with_bar(_interval(row[f'step_at_{factor}_the_cores_s']), 's')} at {factor}"
            for factor in ("half", "twice")
        )
        told = (
            ("step", "step_s", spiking, f"{row['cores']} cores; {beside} of them"),
            (
                "step, management",
                "step_with_management_s",
                spiking + management,
                "management is of this row",
            ),
        )
        found += [
            Judged(
                "NxTF tutorial",
                name,
                constants,
                "s",
                _interval(row[key]),
                value,
                AIMS["time"],
                note,
            )
            for name, key, value, note in told
        ]
    return found


def _pilotnet(row: Mapping[str, Any], run: Mapping[str, float]) -> list[Judged]:
    step = 1e-6 * run["us_step"]
    note = "the upper end is of this row"
    told = (
        ("dynamic", "dynamic_j", "J", 1e-3 * run["mj_dynamic"], AIMS["energy"], ""),
        ("total", "total_j", "J", 1e-3 * run["mj_per_frame"], AIMS["energy"], ""),
        ("step", "step_s", "s", step, AIMS["time"], note),
        ("step", "step_without_this_row_s", "s", step, None, "predicted without this row"),
    )
    return [
        Judged("PilotNet LIF", name, "loihi2", unit, _interval(row[key]), value, aim, note)
        for name, key, unit, value, aim, note in told
    ]


def _quartz(predicted: Mapping[str, Any], runs: Mapping[str, Any]) -> list[Judged]:
    measured = {run["steps"]: run for name, run in runs.items() if name.startswith("Quartz MNIST")}
    steps = sorted(measured)
    time = np.array([1e-6 * measured[t]["us_step"] * t for t in steps])
    dynamic = np.array([1e-3 * measured[t]["core_dynamic_mw"] for t in steps]) * time
    found = []
    for constants in predicted[f"quartz, {steps[0]} steps"]:
        rows = [predicted[f"quartz, {t} steps"][constants] for t in steps]
        energies = [_interval(row["dynamic_j"]) for row in rows]
        slope = Interval(
            *(
                float(np.polyfit(steps, [getattr(energy, end) for energy in energies], 1)[0])
                for end in ("likely", "low", "high")
            )
        )
        told = float(np.polyfit(steps, dynamic, 1)[0])
        name = "Quartz MNIST"
        found.append(Judged(name, "J per step", constants, "J", slope, told, AIMS["slope"]))
        for k, t in enumerate(steps):
            note = "the board's management and injection"
            total = _interval(rows[k]["time_s"])
            found += [
                Judged(
                    name,
                    f"dynamic, {t} steps",
                    constants,
                    "J",
                    energies[k],
                    float(dynamic[k]),
                    None,
                ),
                Judged(name, f"time, {t} steps", constants, "s", total, float(time[k]), None, note),
            ]
            fitted, _ = left_out(rows, steps, time, k)
            note = "management and injection fitted to the other rows"
            exact = Interval.exactly(fitted)
            figure = f"time, {t} steps"
            found.append(
                Judged(name, figure, constants, "s", exact, float(time[k]), AIMS["left out"], note)
            )
    return found


def left_out(
    rows: Sequence[Mapping[str, Any]], steps: Sequence[int], time: Any, which: int | None
) -> tuple[float, tuple[float, float]]:
    """Time of one row by a fit to the others (of none: to all), and the two constants."""
    base = np.array([row["time_without_fitted_s"] for row in rows])
    x = np.stack([np.array(steps, dtype=float), [row["injected"] for row in rows]], axis=1)
    seen = [k for k in range(len(rows)) if k != which]
    constants = _fit(x[seen], (time - base)[seen], time[seen])
    last = len(rows) - 1 if which is None else which
    return float(base[last] + x[last] @ constants), (float(constants[0]), float(constants[1]))


def _fit(x: Any, y: Any, scale: Any) -> Any:
    """Coefficients >= 0 of least squared error of y, relative to ``scale``."""
    best, least = np.zeros(2), np.inf
    for used in ([0, 1], [1], [0], []):
        found = np.zeros(2)
        if used:
            found[used] = np.linalg.lstsq(x[:, used] / scale[:, None], y / scale, rcond=None)[0]
        error = float(np.sum(((x @ found - y) / scale) ** 2))
        if (found >= 0).all() and error < least:
            best, least = found, error
    return best


def judged_text(rows: Sequence[Judged]) -> str:
    """The table."""
    columns = (
        "point", "figure", "constants", "predicted", "measured", "error", "interval", "aim", "", ""
    )  # fmt: skip
    return render_table(columns, [row.row() for row in rows])


def accounts_text(predicted: Mapping[str, Any]) -> str:
    """Predicted energies of every point by all three accounts, with the terms of widest bars."""
    rows = [
        (
            point,
            constants,
            *(with_bar(_open(row["accounts_j"][a]), "J") for a in ("dynamic", "share", "chip")),
            ", ".join(name for name in row["widest"] if name),
        )
        for point, by_constants in predicted.items()
        for constants, row in by_constants.items()
    ]
    return render_table(("point", "constants", "dynamic", "share", "chip", "widest terms"), rows)


def _open(told: Mapping[str, float | None]) -> Interval:
    likely, low, high = (told[end] for end in ("likely", "low", "high"))
    assert likely is not None
    assert low is not None
    return Interval(likely, low, float("inf") if high is None else high)
