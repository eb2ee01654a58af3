"""The closing table of ``neurodeploy demo``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

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
                _energy(report["energy_per_inference_j"]),
                _seconds(report["time_per_inference_s"]),
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


def _energy(energy: Mapping[str, float | None]) -> str:
    total = energy["total"]
    if total is not None:
        return f"{1e6 * total:.1f} uJ"
    bound = energy["lower_bound"]
    assert bound is not None
    return f"at least {1e6 * bound:.1f} uJ"


def _seconds(seconds: float | None) -> str:
    return "unknown" if seconds is None else f"{1e3 * seconds:.2f} ms"
