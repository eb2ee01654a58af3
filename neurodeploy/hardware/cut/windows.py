"""Neurons that move or fire outside of their windows, of which neurocores know nothing.

In a netlist a population of depth d steps from d to d + T - 1. A core updates its neurons in all
T + max depth steps: with v0 and the bias before the window, with what is left of the membrane and
the bias after it. What happens there is no part of the netlist: a bias that acts, or a spike,
before a window would change it; spikes after it cost energy and time that is not counted.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from neurodeploy.hardware.cut.demand import on_chip
from neurodeploy.ir.bounds import PopulationBounds
from neurodeploy.ir.netlist import IntegerNetlist, Population
from neurodeploy.ir.neurons import IntegerNeuron


def active_outside(
    netlist: IntegerNetlist, bounds: Mapping[str, PopulationBounds]
) -> tuple[list[str], list[str]]:
    """Populations that would move or fire before their window, those that could fire after it."""
    plan, early, late = netlist.schedule, [], []
    for population in netlist.populations:
        model, name = population.model, population.name
        if not isinstance(model, IntegerNeuron):
            continue
        if plan.depth[name] and _moves_before(netlist, population, model):
            early.append(name)
        if not model.fires:
            continue
        if plan.depth[name] < plan.max_depth and _fires_after(
            netlist, population, model, bounds[name]
        ):
            late.append(name)
    return early, late


def _moves_before(netlist: IntegerNetlist, population: Population, model: IntegerNeuron) -> bool:
    if _written(netlist, population) or (model.bias != 0).any():
        return True
    if not model.fires:
        return False
    assert model.threshold is not None  # it fires
    v0 = population.spread(model.initial_membrane)
    reached = np.abs(v0) if model.signed else v0
    return bool((reached >= population.spread(model.threshold)).any())


def _fires_after(
    netlist: IntegerNetlist, population: Population, model: IntegerNeuron, proved: PopulationBounds
) -> bool:
    bias = population.spread(model.bias)
    if _written(netlist, population) or ((bias != 0) if model.signed else (bias > 0)).any():
        return True
    assert model.threshold is not None  # it fires
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
