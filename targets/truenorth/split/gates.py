"""Gates: neurons that compare once in the ticks of a step.

Where a step takes P ticks, a neuron compares in each of them, but a netlist once. A gate holds it
below its threshold in the other ticks: n axons on which the host sends a spike in the tick after
the comparison (*hold*, value -h), and n more in the tick of the comparison (*release*, value r).
Together with a leak c <= 0 they add the bias::

    n (r - h) + P c = b

so that the membrane of every comparing tick is the netlist's. With v the membrane after a
comparison and A the most that arrives before the last tick, ``n h >= v + A - theta + 1`` keeps the
neuron quiet in between, and before its window.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.bounds import PopulationBounds
from neurodeploy.ir.netlist import Population
from neurodeploy.ir.neurons import IntegerNeuron
from neurodeploy.targets.truenorth.constants import constants_of
from neurodeploy.targets.truenorth.limits import CrossbarLimits


@dataclass(frozen=True, slots=True, eq=False)
class Gate:
    """The gate of one population, one entry per neuron.

    Parameters
    ----------
    copies : int
        n: hold axons, and release axons; either are left out where their value is 0 everywhere.
    hold, release, leak, initial : int64 ``[neurons]``
        Values -h and r of the two axon types, c, and the membrane before the first tick.
    """

    copies: int
    hold: IntArray
    release: IntArray
    leak: IntArray
    initial: IntArray

    @property
    def n_types(self) -> int:
        """Axon types in use."""
        return int(self.hold.any()) + int(self.release.any())

    @property
    def n_axons(self) -> int:
        """Axons that a core needs for it."""
        return self.copies * self.n_types


def least_gate(
    population: Population, bounds: PopulationBounds, rise: IntArray, limits: CrossbarLimits
) -> tuple[int, int]:
    """Axon types and copies n that any gate of a population needs, whatever the step's ticks.

    Parameters
    ----------
    population : Population
    bounds : PopulationBounds
    rise : int64 ``[neurons]``
        A.
    limits : CrossbarLimits
    """
    model = population.model
    assert isinstance(model, IntegerNeuron)
    most = int(excess(population, bounds, rise).max(initial=0))
    if most > 0:
        return 2, -(-most // -limits.weight_min)
    return (1, 1) if model.bias.any() else (0, 0)


def solve_gate(
    population: Population,
    bounds: PopulationBounds,
    rise: IntArray,
    fall: IntArray,
    start: int,
    period: int,
    limits: CrossbarLimits,
) -> Gate | None:
    """The gate with the fewest axons, or None if a core's axons do not do.

    Parameters
    ----------
    population : Population
    bounds : PopulationBounds
    rise, fall : int64 ``[neurons]``
        The most that a membrane rises and falls within a step before its comparison.
    start : int
        Tick of the first comparison.
    period : int
        P.
    limits : CrossbarLimits
    """
    bias, v0, theta = constants_of(population)
    need = excess(population, bounds, rise)
    lowest = np.minimum(bounds.v_low.reshape(-1), v0) - fall
    _, least = least_gate(population, bounds, rise, limits)
    zero = np.zeros_like(bias)
    if not least:
        held = lowest.min(initial=0) < limits.membrane_floor
        return None if held else Gate(0, zero, zero, zero, v0)
    for n in range(least, limits.axons + 1):
        if math.gcd(n, period) > 1:
            continue
        leak, more = bias_by_leak(bias, n, period)
        early = v0 - theta + 1 - max(0, start - period) * leak
        hold = np.maximum(-(-np.maximum(need, early) // n), 0)
        # A release beyond its range could stay lower with another n only.
        hold = np.maximum(hold, limits.weight_min - more)
        release = hold + more
        initial = v0 + bias - n * release - (start + 1) * leak
        held = lowest - n * hold + period * leak
        if (
            (hold <= -limits.weight_min).all()
            and (release <= limits.weight_max).all()
            and in_ranges(leak, initial, held, limits)
        ):
            return Gate(n, -hold, release, leak, initial)
    return None


def bias_by_leak(bias: IntArray, n: int, period: int) -> tuple[IntArray, IntArray]:
    """Leaks ``-n < c <= 0`` and values m of n axons that add up to a bias in a step, int64 each.

    ``n m + P c = b`` has a solution for any b where n and the period P share no factor.
    """
    leak: IntArray = (bias % n) * pow(period, -1, n) % n
    leak = np.where(leak > 0, leak - n, 0)
    more: IntArray = (bias - period * leak) // n
    return leak, more


def excess(population: Population, bounds: PopulationBounds, rise: IntArray) -> IntArray:
    """Amount that a gate takes from each membrane after a comparison, and before the first."""
    model = population.model
    assert isinstance(model, IntegerNeuron)
    _, v0, theta = constants_of(population)
    most = np.maximum(theta - 1, v0)
    if model.reset == "subtract":
        most = np.maximum(most, bounds.v_high.reshape(-1) - theta)
    need: IntArray = most + rise - theta + 1
    return need


def in_ranges(leak: IntArray, initial: IntArray, held: IntArray, limits: CrossbarLimits) -> bool:
    """Whether a core can have these leaks and initial membranes, and hold the lowest membranes."""
    return bool(
        (leak >= limits.leak_min).all()
        and (initial >= limits.initial_min).all()
        and (initial <= limits.initial_max).all()
        and (np.minimum(held, initial) >= limits.membrane_floor).all()
    )
