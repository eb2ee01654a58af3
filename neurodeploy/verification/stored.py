"""Verifications and evaluations from the JSON that they were stored as."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from neurodeploy.errors import FileFormatError
from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.loading.typed import mistyped
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
    try:
        found = Verification(
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
        same = found.to_dict() == told and set(found.compared_neuron_steps) <= set(netlist.by_name)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise FileFormatError("damaged result of a verification; verify again") from error
    if not same:
        raise FileFormatError("the result of a verification is of another network; verify again")
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
    try:
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
        fault = mistyped(Evaluation, {f.name: getattr(found, f.name) for f in fields(found)})
        same = fault is None and json.loads(json.dumps(found.to_dict())) == told
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise FileFormatError("damaged result of an evaluation; evaluate again") from error
    if not same:
        raise FileFormatError("the result of an evaluation contradicts itself; evaluate again")
    return found


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
