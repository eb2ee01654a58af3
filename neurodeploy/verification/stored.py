"""Verifications and evaluations from the JSON that they were stored as."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neurodeploy.errors import FileFormatError
from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.loading.typed import told_again, well_typed
from neurodeploy.verification.accuracy import Evaluation
from neurodeploy.verification.agreement import Agreement
from neurodeploy.verification.compare import Divergence, integrators
from neurodeploy.verification.deviation import Deviation, PopulationDeviation
from neurodeploy.verification.spread import RelativeError
from neurodeploy.verification.verification import Verification


def stored_verification(told: Mapping[str, Any], netlist: IntegerNetlist) -> Verification:
    """The verification that :meth:`Verification.to_dict` told, of a netlist.

    Raises
    ------
    FileFormatError
        If anything is missing, or says something else than the figures it stands beside.
    """
    contradicts = "the result of a verification is of another network; verify again"

    def make(told: Mapping[str, Any]) -> Verification:
        return Verification(
            told["samples"],
            told["timesteps"],
            told["target"],
            {e: dict(m) for e, m in told["mismatches"].items()},
            dict(told["spikes"]),
            dict(told["compared_neuron_steps"]),
            {name: _divergence(d) for name, d in told["divergences"].items()},
            _agreement(told["agreement"]),
            frozenset(integrators(netlist)),
            _deviation(told["deviation"]),
        )

    found = told_again(make, told, "damaged result of a verification; verify again", contradicts)
    if not set(found.compared_neuron_steps) <= set(netlist.by_name):
        raise FileFormatError(contradicts)
    return found


def stored_evaluation(
    told: Mapping[str, Any], answers: Mapping[str, AnyArray], labels: IntArray | None
) -> Evaluation:
    """The evaluation that :meth:`Evaluation.to_dict` told, without metrics.

    Parameters
    ----------
    told : mapping
    answers : mapping
        ``decided`` and ``source_decided``, as far as there are any, of each sample.
    labels : int64 array ``[B]`` or None

    Raises
    ------
    FileFormatError
        If anything is missing, or says something else than the figures it stands beside.
    """
    decided, source = answers.get("decided"), answers.get("source_decided")

    def make(told: Mapping[str, Any]) -> Evaluation:
        (steps,) = told["timesteps"]
        at = str(steps)
        target, source_target = told["target_error"][at], told["source_target_error"]
        found = Evaluation(
            told["samples"],
            steps,
            told["source_accuracy"],
            told["accuracy"][at],
            {int(t): a for t, a in told["prefix_accuracy"].items()},
            told["agreement"][at],
            told["spikes_per_inference"][at],
            told["tie_share"],
            told["layer_correlation"][at],
            told["output_rmse"][at],
            told["task"],
            {name: _relative(e) for name, e in told["relative_error"][at].items()},
            target_error=None if target is None else _relative(target),
            source_target_error=None if source_target is None else _relative(source_target),
            right=None if labels is None or decided is None else decided == labels,
            source_right=None if labels is None or source is None else source == labels,
            decided=decided,
            source_decided=source,
        )
        return well_typed(found)

    return told_again(
        make,
        told,
        "damaged result of an evaluation; evaluate again",
        "the result of an evaluation contradicts itself; evaluate again",
    )


def _relative(told: Mapping[str, Any]) -> RelativeError:
    return RelativeError(told["mean"], told["worst"], tuple(told["worst_output"]))


def _divergence(told: Mapping[str, Any]) -> Divergence:
    spike, membrane = told["spike"], told["membrane"]
    return Divergence(
        *(told["executor"], told["sample"], told["step"], told["population"]),
        tuple(told["neuron"]),
        *(spike["deployment"], spike["executor"]),
        *(membrane["deployment"], membrane["executor"]),
    )


def _agreement(told: Mapping[str, Any] | None) -> Agreement | None:
    return None if told is None else Agreement(told["top1"], dict(told["layer_correlation"]))


def _deviation(told: Mapping[str, Any] | None) -> Deviation | None:
    if told is None:
        return None
    names = ("neuron_steps", "differing", "spikes_given", "spikes_stated")
    populations = {
        name: PopulationDeviation(*(row[n] for n in names))
        for name, row in told["populations"].items()
    }
    return Deviation(populations, told["top1"], told["accuracy_given"], told["accuracy_stated"])
