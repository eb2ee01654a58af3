"""Whether a netlist can run without end: bounds that no further step widens.

A stream is one sample in pieces, of which nobody knows the length. What it holds has to be proved
to fit whatever T is.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from neurodeploy.errors import CapacityError
from neurodeploy.ir.bounds import STATE_LIMIT, PopulationBounds, prove_bounds
from neurodeploy.ir.fixed_point import DECAY_ONE
from neurodeploy.ir.netlist import IntegerNetlist, Population, RealNetlist
from neurodeploy.ir.neurons import IntegerNeuron, MaxPool, RealNeuron

MOST_STEPS = 2**16
"""After so many steps bounds that still move are taken to grow: a leak of 1/4096 has settled."""
TIME_CONSTANTS = 20
"""e^-20 of 2^23 is below 1: a leak has settled after so many of them."""


def expect_streamable(netlist: IntegerNetlist | RealNetlist) -> None:
    """Refuse what depends on T by its model.

    Raises
    ------
    CapacityError
        Naming the population, and what of it counts the steps of a sample.
    """
    for population in netlist.populations:
        model = population.model
        reason = None
        if population.is_current_input:
            reason = "takes one value for a whole sample (current); streams bring spikes"
        elif isinstance(model, MaxPool) and model.rule != "now":
            reason = "accumulates its input over the sample (maximum pooling)"
        elif isinstance(model, RealNeuron | IntegerNeuron):
            if model.memory:
                reason = "counts what it has emitted (a neuron with memory)"
            elif model.input_gain or model.firing_gain:
                reason = f"has gains for {netlist.timesteps} steps"
        if reason is not None:
            raise CapacityError(
                f"{netlist.name}: cannot run as a stream: {population.name} {reason}; run samples "
                f"of T = {netlist.timesteps} steps"
            )


def steady_bounds(netlist: IntegerNetlist) -> Mapping[str, PopulationBounds]:
    """Bounds that hold for any number of steps.

    Raises
    ------
    CapacityError
        Naming the first population whose bounds grow with T, and the T that fits 24 bits.
    """
    expect_streamable(netlist)
    steps = max(_needed(netlist, population) for population in netlist.populations)
    bounds = prove_bounds(netlist, steps)
    for name, proved in bounds.items():
        if not (proved.settled and proved.proved):
            first, later = proved.magnitude, prove_bounds(netlist, 2 * steps)[name].magnitude
            growth = max((later - first) / steps, 1 / MOST_STEPS)
            fits = max(1, int(steps + (STATE_LIMIT - first) / growth))
            raise CapacityError(
                f"{netlist.name}: cannot run as a stream: the bound of {name} grows with T (no "
                f"leak, or no floor); up to T = {fits} it fits {STATE_LIMIT}: run samples"
            )
    return bounds


def _needed(netlist: IntegerNetlist, population: Population) -> int:
    """Steps after which the bounds of a population have settled, if they ever do."""
    model = population.model
    if not isinstance(model, IntegerNeuron):
        return 2
    slowest = max(
        (DECAY_ONE / decay[decay > 0].min(initial=DECAY_ONE))
        for decay in (np.asarray(model.current_decay), np.asarray(model.membrane_decay))
    )
    steps = 64 + TIME_CONSTANTS * slowest
    if (np.asarray(model.membrane_decay) == 0).any():
        # Up to the threshold, or down to the floor, step by step of what can arrive.
        one = prove_bounds(netlist, 1)[population.name]
        bias = population.spread(model.bias)
        rise, fall = one.u_high + bias, -(one.u_low + bias)
        for level, speed in ((model.threshold, rise), (model.floor, fall)):
            if level is not None:
                far = np.abs(population.spread(level)) + np.abs(
                    population.spread(model.initial_membrane)
                )
                steps += float(np.max(far / np.maximum(speed, 1), initial=0, where=speed > 0))
    return int(min(steps, MOST_STEPS))
