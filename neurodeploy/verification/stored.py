"""A verification from the JSON that it was stored as."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neurodeploy.errors import FileFormatError
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.verification.agreement import Agreement
from neurodeploy.verification.compare import Divergence, integrators
from neurodeploy.verification.deviation import Deviation, PopulationDeviation
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
