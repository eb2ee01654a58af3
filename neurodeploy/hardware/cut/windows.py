"""Neurons that could fire outside of their windows, of which neurocores know nothing.

In a netlist a population of depth d steps from d to d + T - 1. A core updates its neurons in all
T + max depth steps: with v0 and the bias before the window, with what is left of the membrane and
the bias after it. Spikes of there are no part of the netlist: those before a window would change
it, those after it cost energy and time that is not counted.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from neurodeploy.hardware.cut.demand import on_chip
from neurodeploy.ir.bounds import PopulationBounds
from neurodeploy.ir.netlist import IntegerNetlist, Population
from neurodeploy.ir.neurons import IntegerNeuron


def fire_outside(
    netlist: IntegerNetlist, bounds: Mapping[str, PopulationBounds]
) -> tuple[list[str], list[str]]:
    """Populations that could fire before their window, and those that could after it."""
    plan, early, late = netlist.schedule, [], []
    for population in netlist.populations:
        model, name = population.model, population.name
        if not isinstance(model, IntegerNeuron) or not model.fires:
            continue
        if plan.depth[name] and _fires_before(netlist, population, model):
            early.append(name)
        if plan.depth[name] < plan.max_depth and _fires_after(
            netlist, population, model, bounds[name]
        ):
            late.append(name)
    return early, late


def _fires_before(netlist: IntegerNetlist, population: Population, model: IntegerNeuron) -> bool:
    if _written(netlist, population):
        return True
    depth = netlist.schedule.depth[population.name]
    v0, theta, bias = (
        population.spread(values)
        for values in (model.initial_membrane, model.threshold, model.bias)
    )
    if model.signed:
        return bool((np.abs(v0) + depth * np.abs(bias) >= theta).any())
    return bool((v0 + depth * np.maximum(bias, 0) >= theta).any())


def _fires_after(
    netlist: IntegerNetlist, population: Population, model: IntegerNeuron, proved: PopulationBounds
) -> bool:
    bias = population.spread(model.bias)
    if _written(netlist, population) or ((bias != 0) if model.signed else (bias > 0)).any():
        return True
    theta = population.spread(model.threshold)
    most = np.maximum(proved.v_high, -proved.v_low if model.signed else 0)
    if model.reset == "zero" and not model.refractory:
        return False
    if model.reset == "value" and not model.refractory:
        assert model.reset_value is not None
        return bool((population.spread(model.reset_value) >= theta).any())
    taken = model.payload_max * theta if model.reset.startswith("subtract") else 0
    return bool((most - taken >= theta).any())


def _written(netlist: IntegerNetlist, population: Population) -> bool:
    """Whether the host writes it a bias, which acts as long as the sample lasts."""
    return any(not on_chip(netlist, q) for q in netlist.incoming[population.name])
