"""Counts of the integer run beside those of the real-valued simulation, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from neurodeploy.hardware.price.activity import Activity
from neurodeploy.ir.netlist import IntegerNetlist, Netlist, RealNetlist
from neurodeploy.ir.neurons import Input
from neurodeploy.json_values import Result


@dataclass(frozen=True, slots=True)
class LayerComparison(Result):
    """Counts per inference of one population; synops are those that its spikes cause.

    ``difference`` is (integer - real) / real of the spikes, None where the real-valued run is
    silent and the integer one is not.
    """

    population: str
    spikes_integer: float
    spikes_real: float
    synops_integer: float
    synops_real: float
    difference: float | None
    mean_neuron_difference: float


def cross_validate(
    integer_netlist: IntegerNetlist,
    integer: Activity,
    real_netlist: RealNetlist,
    real: Activity,
) -> list[LayerComparison]:
    """Compare two runs on the same samples, population by population.

    Inputs, populations that emit nothing (integrators) and those that the real-valued netlist does
    not have are left out. ``mean_neuron_difference`` is the mean over neurons of
    |spikes_integer - spikes_real| per inference: it shows differences that cancel in the sum.
    """
    layers = []
    for population in integer_netlist.populations:
        name = population.name
        if isinstance(population.model, Input) or population.is_integrator:
            continue
        if name not in real_netlist.by_name:
            continue
        mine = integer.populations[name].spikes / integer.samples
        theirs = real.populations[name].spikes / real.samples
        n, m = float(mine.sum()), float(theirs.sum())
        relative = (n - m) / m if m else (0.0 if n == 0 else None)
        layers.append(
            LayerComparison(
                name,
                n,
                m,
                _synops(integer_netlist, name, mine),
                _synops(real_netlist, name, theirs),
                relative,
                float(np.abs(mine - theirs).mean()),
            )
        )
    return layers


def _synops(netlist: Netlist[Any], name: str, spikes: Any) -> float:
    return float(sum((spikes * q.connectivity.fan_out()).sum() for q in netlist.outgoing[name]))
