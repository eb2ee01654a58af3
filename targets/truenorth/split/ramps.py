"""Ramps: comparing once in a step, however far a membrane can stand above its threshold.

A gate (:mod:`neurodeploy.targets.truenorth.split.gates`) hides a membrane's excess in one tick, on
as many axons as that takes. A ramp takes n axons and q ticks for it. The *sum* neuron adds up the
partial sums with its threshold raised by B, so that it never fires by itself. Then the host lifts
it for q ticks by n r each, N r = B in all (N = n q): it fires, once, in the tick in which it passes
theta + B, if its membrane is at least theta; another q + 1 ticks of n r' take the lift back. A sum
that fired has lost theta + B: g *repay* neurons, which receive its spike, return B as N spikes
of r. So after every step::

    v <- v + a + n (q r - (q + 1) r') + P c - theta [fired],    n (q r - (q + 1) r') + P c = b

where a leak -n < c <= 0 and two numbers r, r' without a common factor in front do for any bias.

The tick of the spike depends on the membrane, so a *latch* keeps it (threshold 2) until the host
releases all of a population in one tick, and clears those that kept nothing in the next.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.bounds import PopulationBounds
from neurodeploy.ir.netlist import Population
from neurodeploy.targets.truenorth.constants import constants_of
from neurodeploy.targets.truenorth.limits import CrossbarLimits
from neurodeploy.targets.truenorth.split.gates import bias_by_leak, excess, in_ranges

AXONS = (2, 4, 8, 16)
"""Numbers n that are tried."""


@dataclass(frozen=True, slots=True)
class RampShape:
    """Size of a ramp.

    Parameters
    ----------
    axons, ticks : int
        n and q.
    repayers : int
        g.
    """

    axons: int
    ticks: int
    repayers: int

    @property
    def lifts(self) -> int:
        """N."""
        return self.axons * self.ticks

    @property
    def repaid(self) -> tuple[int, ...]:
        """Spikes of each repay neuron."""
        each, more = divmod(self.lifts, self.repayers)
        return tuple(each + (i < more) for i in range(self.repayers))

    def period(self, burst: int) -> int:
        """Least ticks of a step: up and down, and repaid before the next lift."""
        return max(burst + 2 * self.ticks, self.ticks + max(self.repaid))

    def delay(self, burst: int) -> int:
        """Ticks from the inputs of a step to the latches' spikes."""
        return burst + self.ticks


@dataclass(frozen=True, slots=True, eq=False)
class Ramp:
    """A solved ramp, int64 ``[n]`` each.

    Parameters
    ----------
    shape : RampShape
    up, down : array
        r and -r'.
    leak, initial : array
        c, and the membrane before the first tick.
    threshold : array
        theta + B.
    """

    shape: RampShape
    up: IntArray
    down: IntArray
    leak: IntArray
    initial: IntArray
    threshold: IntArray


def ramp_shapes(need: int, burst: int, limits: CrossbarLimits) -> list[RampShape]:
    """Ramps for a swing of ``need``, the fastest of each number of axons."""
    found = []
    most = limits.turnable_weight
    for n in AXONS:
        lifts = -(-need // most)
        for _ in range(64):
            ticks = -(-lifts // n)
            # As many repay neurons as keep up with the way down.
            repayers = -(-n * ticks // max(burst + ticks, 1))
            shape = RampShape(n, ticks, repayers)
            least = most - ticks - 1
            if least < 1:
                break
            wanted = -(-need // least) + repayers * (ticks + 1)
            if shape.lifts >= wanted:
                if repayers < n and max(shape.repaid) <= limits.weight_max:
                    found.append(shape)
                break
            lifts = max(wanted, lifts + 1)
    return found


def solve_ramp(
    population: Population,
    bounds: PopulationBounds,
    rise: IntArray,
    fall: IntArray,
    last: int,
    period: int,
    shape: RampShape,
    limits: CrossbarLimits,
) -> Ramp | None:
    """The ramp of a population, or None if its constants leave their ranges.

    Parameters
    ----------
    population : Population
    bounds : PopulationBounds
    rise, fall : int64 ``[neurons]``
        The most that a membrane rises and falls by the arrivals of a step.
    last : int
        Last tick of the first step's lift.
    period : int
        P; without a common factor with n where there are biases.
    shape : RampShape
    limits : CrossbarLimits
    """
    bias, v0, theta = constants_of(population)
    need, n, q = excess(population, bounds, rise), shape.axons, shape.ticks
    leak = net = np.zeros_like(bias)
    if bias.any():
        if math.gcd(n, period) > 1:
            return None
        leak, net = bias_by_leak(bias, n, period)
    # net = q up - (q + 1) down, for the largest values of an axon.
    turns = (limits.weight_max + net) // (q + 1)
    turns = np.minimum(turns, (-limits.weight_min + net) // q)
    up, down = (q + 1) * turns - net, q * turns - net
    raised = n * q * up
    early = v0 - theta + 1 - max(0, last + 1 - period) * leak
    # After the spike the repayment must not lift the sum over its threshold again.
    margin = n * q - shape.repayers * (q + 1)
    initial = v0 + bias - (last + 1) * leak
    taken = n * (q + 1) * down
    lowest = np.minimum(bounds.v_low.reshape(-1), v0)
    held = np.minimum(lowest + np.minimum(0, raised - taken), -taken) - fall + period * leak
    if (
        (np.minimum(up, down) >= 1).all()
        and (up <= limits.weight_max).all()
        and (down <= -limits.weight_min).all()
        and (n * up > -leak).all()
        and (taken >= np.maximum(need, early)).all()
        and (margin * up >= need).all()
        and (n * down >= shape.repayers * up).all()
        and (theta + raised <= limits.threshold_max).all()
        and (bounds.v_high.reshape(-1) + raised <= limits.membrane_max).all()
        and in_ranges(leak, initial, held, limits)
    ):
        return Ramp(shape, up, -down, leak, initial, theta + raised)
    return None
