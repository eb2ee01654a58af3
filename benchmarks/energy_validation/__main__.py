"""Published deployments against predictions that were committed before.

    python -m benchmarks.energy_validation [--json] [--predict] [--shared FOLDER]

Single chips with public weights or counters: energy and time with their intervals, against the runs
in ``measured/points.json`` of the shared folder (beside the repository, or where
``NEURODEPLOY_SHARED`` points). ``--predict`` computes predictions.json anew, from board files and
networks alone. NxTF's other networks: cores and chips from frozen architectures (points.toml), and
the rates that would explain energy and time. Esser et al. 2016: each row of TrueNorth is predicted
by a fit to the other rows.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.energy_validation.comparison import AIMS, Comparison, compare, explained_by
from benchmarks.energy_validation.leave_one_out import LeftOut, leave_one_out
from benchmarks.energy_validation.measured import (
    PREDICTIONS,
    Judged,
    accounts_text,
    commit_of_predictions,
    frozen,
    judge,
    judged_text,
)
from benchmarks.energy_validation.networks import counts
from benchmarks.energy_validation.points import Frozen, Point, Survey, load_points
from neurodeploy.render.text import render_table

SHARED = Path(__file__).parents[2].parent / "shared"


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.energy_validation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument("--predict", action="store_true", help="write predictions.json anew")
    parser.add_argument(
        "--shared", type=Path, default=Path(os.environ.get("NEURODEPLOY_SHARED", SHARED))
    )
    options = parser.parse_args(given)
    if options.predict:
        from benchmarks.energy_validation.silicon import predictions

        text = json.dumps(predictions(options.shared), indent=1, allow_nan=False)
        PREDICTIONS.write_text(text + "\n", encoding="utf-8")
        return 0
    points = load_points()
    compared = [(point, compare(point, points.factors)) for point in points.points]
    left_out = leave_one_out(points.survey)
    runs = options.shared / "measured" / "points.json"
    judged = judge(frozen(), json.loads(runs.read_text())) if runs.exists() else []
    if options.json:
        told = as_json(points, compared, left_out, judged)
        print(json.dumps(told, indent=2, allow_nan=False))
        return 0
    print(f"predictions of commit {commit_of_predictions() or 'unknown'}, before any comparison\n")
    print(f"{judged_text(judged)}\n" if judged else f"{runs} is missing: nothing is judged\n")
    print(f"Predicted energies by account\n\n{accounts_text(frozen())}\n")
    for point, comparisons in compared:
        print(f"{point_text(point, comparisons)}\n{sources_text(point, points)}\n")
    print(survey_text(points.survey, left_out))
    return 0


def point_text(point: Point, comparisons: Sequence[Comparison]) -> str:
    """Assumptions, cores and chips, and the rates that would explain energy and time."""
    network = counts(point)
    stated = "; ".join(f"{network[k]:,} {k} ({s.text})" for k, s in point.stated.items())
    lines = [
        f"{point.title}",
        f"  architecture {point.architecture_flag}: {stated}",
        f"  {point.steps} steps ({point.steps_flag}), rates {point.input_rate:g} of pixels and "
        f"{point.hidden_rate:g} behind them, {point.board.compartments} compartments a neuron",
        "",
    ]
    rows = [_row(name, comparisons[0]) for name in point.measured if name in AIMS]
    columns = ("figure", "measured", "flag", "predicted", "error", "aim", "")
    lines.append(_indented(render_table(columns, rows)))
    for name, unit in (("energy", "mJ"), ("time", "ms")):
        figure = point.measured[name]
        lines.append(
            f"  {name} measured: {1e3 * figure.value:g} {unit} ({figure.flag}); not judged"
        )
    lines += [f"  {line}" for c in comparisons for line in explained_by(c)]
    return "\n".join(lines)


def sources_text(point: Point, frozen: Frozen) -> str:
    """Where the assumptions and figures come from."""
    lines = [f"  architecture: {point.architecture_note}"]
    for name in point.sources:
        lines.append(f"  {name}: {frozen.sources[name]}")
    return "\n".join(lines)


def _row(name: str, comparison: Comparison) -> list[object]:
    figure, found = comparison.point.measured[name], comparison.nominal
    return [
        name,
        f"{figure.value:.4g}",
        figure.flag,
        f"{found.figure(name):.4g}",
        f"{100 * comparison.error(name, found):+.1f} %",
        f"{100 * AIMS[name]:.0f} %",
        "met" if comparison.met(name) else "missed",
    ]


def survey_text(survey: Survey, left_out: Sequence[LeftOut]) -> str:
    """Errors by model and row."""
    columns = ["row", "flag", "cores", "frames/s", "mW", *(found.model for found in left_out)]
    rows: list[list[object]] = [
        [
            row.name,
            row.flag,
            row.cores,
            f"{row.frames_per_s:.0f}",
            f"{1e3 * row.power_w:.1f}",
            *(f"{100 * found.errors[k]:+.1f} %" for found in left_out),
        ]
        for k, row in enumerate(survey.rows)
    ]
    mean = [f"{100 * found.mean_absolute_error:.1f} %" for found in left_out]
    rows.append(["mean absolute", None, None, None, None, *mean])
    forms = "; ".join(f"{found.model}: {' + '.join(found.features)}" for found in left_out)
    return "\n".join(
        [
            f"{survey.title}: each row predicted by a fit to the others",
            f"  {forms}",
            "",
            _indented(render_table(columns, rows)),
            "  ours: static power of cores, and the events of every core in every frame. No row's",
            "  own rate is published, so that events are proportional to cores x frames and ours",
            "  knows no more of a row than its cores and frame rate",
        ]
    )


def as_json(
    frozen: Frozen,
    compared: Sequence[tuple[Point, Sequence[Comparison]]],
    left_out: Sequence[LeftOut],
    judged: Sequence[Judged],
) -> dict[str, Any]:
    """Everything that the tables show."""
    return {
        "commit_of_predictions": commit_of_predictions(),
        "judged": [
            {
                **{k: getattr(j, k) for k in ("point", "figure", "constants", "unit", "measured")},
                "predicted": j.predicted.to_dict(),
                **{k: getattr(j, k) for k in ("error", "covered", "aim", "met", "note")},
            }
            for j in judged
        ],
        "points": [
            {
                "name": point.name,
                "title": point.title,
                "architecture": point.architecture_flag,
                "recalled": list(point.recalled),
                "counts": counts(point),
                "predictions": [_as_json(c) for c in comparisons],
            }
            for point, comparisons in compared
        ],
        "esser2016": [
            {
                "model": found.model,
                "features": list(found.features),
                "mean_absolute_error": found.mean_absolute_error,
                "rows": {
                    row.name: {"predicted_w": w, "measured_w": row.power_w, "error": e}
                    for row, w, e in zip(
                        frozen.survey.rows, found.predicted_w, found.errors, strict=True
                    )
                },
                "recalled": [row.name for row in frozen.survey.rows if row.flag == "recalled"],
            }
            for found in left_out
        ],
    }


def _as_json(comparison: Comparison) -> dict[str, Any]:
    return {
        "constants": comparison.constants,
        "figures": {
            name: {
                "measured": figure.value,
                "unit": figure.unit,
                "flag": figure.flag,
                "aim": AIMS.get(name),
                "met": comparison.met(name) if name in AIMS else None,
                "rates_that_explain_it": None if name in AIMS else comparison.rate_factor(name),
                "by_rate_factor": {
                    f"{p.factor:g}": {
                        "predicted": p.figure(name),
                        "error": comparison.error(name, p),
                    }
                    for p in comparison.predictions
                },
            }
            for name, figure in comparison.point.measured.items()
        },
        "accounts_j": {n: j.to_dict() for n, j in comparison.nominal.accounts.items()},
        "time_s": comparison.nominal.time.to_dict(),
        "unknown": list(comparison.nominal.unknown),
    }


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


if __name__ == "__main__":
    raise SystemExit(main())
