"""The closing table of ``neurodeploy demo``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from neurodeploy.hardware.boards.interval import ENDS, Interval
from neurodeploy.render.quantities import with_bar
from neurodeploy.render.text import render_table


def render_demo(outcomes: Sequence[Mapping[str, Any]]) -> str:
    """Accuracy, mismatches and energy of every variant.

    Parameters
    ----------
    outcomes : sequence of mappings
        The JSON form of :class:`neurodeploy.stages.demo.Outcome`.
    """
    targets = sorted({name for outcome in outcomes for name in outcome["mismatches"]})
    accuracy = render_table(
        [
            "netlist",
            "source",
            "real-valued SNN",
            "integer SNN",
            *(f"{t} mismatches" for t in targets),
        ],
        [
            [
                outcome["variant"],
                *(_percent(outcome["accuracy"][k]) for k in ("source", "real", "integer")),
                *(_mismatches(outcome, target) for target in targets),
            ]
            for outcome in outcomes
        ],
    )
    energy = render_table(
        ["netlist", "board", "cores", "energy / inference", "time / inference"],
        [
            [
                outcome["variant"],
                board,
                report["cores"],
                _bar(report["energy_per_inference_j"]["total"], "J"),
                _bar(report["time_per_inference_s"], "s"),
            ]
            for outcome in outcomes
            for board, report in outcome["energy"].items()
        ],
    )
    return f"{accuracy}\n\n{energy}"


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:.1f} %"


def _mismatches(outcome: Mapping[str, Any], target: str) -> str:
    if target not in outcome["mismatches"]:
        return "not for it"
    count = outcome["mismatches"][target]
    if count is None:
        return "not installed"
    return f"{count} of {outcome['compared_neuron_steps'][target]}"


def _bar(told: Mapping[str, float | None], unit: str) -> str:
    likely, low, high = (told[end] for end in ENDS)
    assert likely is not None
    assert low is not None
    return with_bar(Interval(likely, low, math.inf if high is None else high), unit)
