"""Published deployments against predictions from frozen assumptions (points.toml).

    python -m benchmarks.energy_validation [--json]

Loihi: architectures, rates and static power as frozen, constants of the board files; nothing is
fitted. Errors are given for all rates at 0.5, 1 and 2 times what was assumed. Esser et al. 2016:
each row of TrueNorth is predicted by a fit to the other rows.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from benchmarks.energy_validation.comparison import AIMS, Comparison, carried_by, compare
from benchmarks.energy_validation.leave_one_out import LeftOut, leave_one_out
from benchmarks.energy_validation.networks import counts
from benchmarks.energy_validation.points import Frozen, Point, Survey, load_points
from neurodeploy.render.text import render_table

SHOWN = {"J": (1e3, "mJ"), "s": (1e3, "ms"), "cores": (1.0, ""), "chips": (1.0, "")}


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.energy_validation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    options = parser.parse_args(given)
    frozen = load_points()
    compared = [(point, compare(point, frozen.factors)) for point in frozen.points]
    left_out = leave_one_out(frozen.survey)
    if options.json:
        print(json.dumps(as_json(frozen, compared, left_out), indent=2, allow_nan=False))
        return 0
    for point, comparisons in compared:
        print(f"{point_text(point, comparisons)}\n{sources_text(point, frozen)}\n")
    print(survey_text(frozen.survey, left_out))
    return 0


def point_text(point: Point, comparisons: Sequence[Comparison]) -> str:
    """Assumptions, table and what carries the errors."""
    network = counts(point)
    stated = "; ".join(f"{network[k]:,} {k} ({s.text})" for k, s in point.stated.items())
    board = point.board
    lines = [
        f"{point.title}",
        f"  architecture {point.architecture_flag}: {stated}",
        f"  {point.steps} steps ({point.steps_flag}), rates {point.input_rate:g} of pixels and "
        f"{point.hidden_rate:g} behind them, {board.compartments} compartments a neuron, "
        f"{1e3 * board.static.power_w:.0f} mW static a {board.static.per} ({board.static.flag})",
        "",
    ]
    factors = [p.factor for p in comparisons[0].predictions]
    columns = ["figure", "constants", "measured", "flag"]
    columns += [f"x {f:g}" for f in factors] + [f"error x {f:g}" for f in factors]
    rows = [
        _row(name, comparison)
        for name in point.measured
        for comparison in (comparisons if name in ("energy", "time") else comparisons[:1])
    ]
    lines.append(_indented(render_table([*columns, "aim", ""], rows)))
    if any(p.unpriced for c in comparisons for p in c.predictions):
        lines.append("  energy: at least; crossings between chips have no price")
    lines += ["", *(f"  {line}" for line in carried_by(comparisons[0]))]
    return "\n".join(lines)


def sources_text(point: Point, frozen: Frozen) -> str:
    """Where the assumptions and figures come from."""
    lines = [f"  architecture: {point.architecture_note}"]
    for name in point.sources:
        lines.append(f"  {name}: {frozen.sources[name]}")
    return "\n".join(lines)


def _row(name: str, comparison: Comparison) -> list[object]:
    figure = comparison.point.measured[name]
    scale, unit = SHOWN[figure.unit]
    errors = [comparison.error(name, p) for p in comparison.predictions]
    return [
        f"{name}{f' ({unit})' if unit else ''}",
        comparison.constants if name in ("energy", "time") else "",
        f"{scale * figure.value:.4g}",
        figure.flag,
        *(f"{scale * p.figure(name):.4g}" for p in comparison.predictions),
        *(f"{100 * e:+.1f} %" for e in errors),
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
) -> dict[str, Any]:
    """Everything that the tables show."""
    return {
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
                "aim": AIMS[name],
                "met": comparison.met(name),
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
        "static_j": comparison.nominal.static_j,
        "dynamic_j": dict(comparison.nominal.dynamic_j),
        "unpriced_events": dict(comparison.nominal.unpriced),
        "energy_at_measured_time_j": comparison.energy_at_measured_time(),
        "energy_at_measured_time_with_overhead_j": comparison.energy_at_measured_time(
            overhead=True
        ),
        "missing_per_step_s": comparison.missing_per_step_s(),
        "carried_by": carried_by(comparison),
    }


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


if __name__ == "__main__":
    raise SystemExit(main())
