"""The ticks before a window: leak, initial membranes, and what the leak would fire too early.

A chip neuron runs from tick 0 while its window opens D ticks later, and its leak acts in between.
With leak c and arrivals E before the window, the netlist's membrane at the window's start,
v0, needs

    x[D - 1] = v0
    y[k]     = x[k] + theta where x[k] >= theta, else x[k]
    x[k - 1] = y[k] - c - E[k]

read backwards from k = D - 1, and x[-1] is the initial membrane: a neuron that would stand at or
above its threshold has to fire in that tick. Three ways, each exact:

- *quiet*: c = b and nobody fires early;
- *early spikes*: with subtracting reset outside cycles, neurons do fire early. These spikes are
  the same in every sample, so the populations they reach take them out of their own initial
  membranes;
- *bias axons*: c is chosen such that the neuron stays quiet (or because b exceeds the leak's
  range), and the host sends the rest, b - c, on axons of its own in every tick of the window.

A floor of the neuron's own acts in these ticks too, so nothing may go below it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.netlist import IntegerNetlist, Population
from neurodeploy.ir.neurons import Input, IntegerNeuron
from neurodeploy.targets.base import Violation
from neurodeploy.targets.truenorth.constants import constants_of, floors_of
from neurodeploy.targets.truenorth.layers import Decomposition
from neurodeploy.targets.truenorth.limits import CrossbarLimits
from neurodeploy.targets.truenorth.timing import TickTiming

MAX_BIAS_COPIES = 64


@dataclass(frozen=True, slots=True, eq=False)
class Prelude:
    """Leak and start of one population, one entry per neuron.

    Parameters
    ----------
    leak, initial : int64 ``[n]``
    bias_type, bias_copies : int64 ``[n]``
        Host-timed bias axons: their type and number; 0 copies: none.
    bias_value : int64 ``[n]``
        Weight for ``bias_type``; differs from the layer's table only for a type it leaves free.
    early : bool ``[D, n]``
        Spikes before the window.
    """

    leak: IntArray
    initial: IntArray
    bias_type: IntArray
    bias_copies: IntArray
    bias_value: IntArray
    early: AnyArray


def plan_preludes(
    netlist: IntegerNetlist,
    decompositions: Mapping[str, Decomposition],
    timing: TickTiming,
    limits: CrossbarLimits,
) -> tuple[dict[str, Prelude], list[Violation]]:
    """Preludes of all populations, and the neurons that have none."""
    arrivals = {
        p.name: np.zeros((timing.start[p.name], p.size), dtype=np.int64)
        for p in netlist.populations
        if not isinstance(p.model, Input)
    }
    absorbing = _absorbing(netlist)
    preludes: dict[str, Prelude] = {}
    violations: list[Violation] = []
    for name in netlist.schedule.order:
        if name not in arrivals:
            continue
        population = netlist.by_name[name]
        prelude, found = _prelude(
            population, decompositions[name], arrivals[name], name in absorbing, limits
        )
        violations += found
        preludes[name] = prelude
        if prelude.early.any():
            _propagate(netlist, timing, name, prelude.early, arrivals)
    return preludes, violations


def _absorbing(netlist: IntegerNetlist) -> frozenset[str]:
    """Populations that can take early spikes out again: linear, acyclic, and so all they feed."""
    found: set[str] = set()
    for name in reversed(netlist.schedule.order):
        model = netlist.by_name[name].model
        if (
            isinstance(model, IntegerNeuron)
            and model.reset == "subtract"
            and model.floor is None
            and name not in netlist.schedule.cyclic
            and all(q.post in found for q in netlist.outgoing[name])
        ):
            found.add(name)
    return frozenset(found)


def _propagate(
    netlist: IntegerNetlist,
    timing: TickTiming,
    name: str,
    early: AnyArray,
    arrivals: Mapping[str, IntArray],
) -> None:
    shape = netlist.by_name[name].shape
    for projection, delay in zip(netlist.projections, netlist.schedule.delays, strict=True):
        if projection.pre != name:
            continue
        travel = timing.travel(name, projection.post, delay)
        a = projection.synaptic_input(early.astype(np.int64).reshape(-1, *shape))
        into = arrivals[projection.post]
        for tick in range(early.shape[0]):
            if tick + travel < into.shape[0]:
                into[tick + travel] += a[tick].reshape(-1)


def _prelude(
    population: Population,
    decomposition: Decomposition,
    arrivals: IntArray,
    absorbing: bool,
    limits: CrossbarLimits,
) -> tuple[Prelude, list[Violation]]:
    n, before = population.size, arrivals.shape[0]
    bias, v0, theta = constants_of(population)
    floor = floors_of(population, limits.membrane_floor)
    violations: list[Violation] = []

    low = np.full(n, limits.leak_min)
    high = np.full(n, limits.leak_max)
    if not absorbing and before:
        quiet_low, quiet_high = _quiet_leaks(v0, theta, floor, before, limits)
        low, high = np.maximum(low, quiet_low), np.minimum(high, quiet_high)
    leak = np.clip(bias, low, np.maximum(low, high))
    needy = np.flatnonzero((leak != bias) | (low > high))
    bias_type = np.zeros(n, dtype=np.int64)
    bias_copies = np.zeros(n, dtype=np.int64)
    bias_value = np.zeros(n, dtype=np.int64)
    for i in needy.tolist():
        rest = (int(bias[i] - high[i]), int(bias[i] - low[i]))
        found = None if low[i] > high[i] else _bias_axons(rest, decomposition.values[i], limits)
        if found is None:
            why = (
                f"bias {bias[i]} with initial membrane {v0[i]} and threshold {theta[i]} would act "
                f"{before} ticks before the window; leak that keeps neuron {i} quiet:"
            )
            remedy = "use subtracting reset outside cycles, or a smaller bias or initial membrane"
            limit = "none" if low[i] > high[i] else f"{low[i]}..{high[i]}"
            violations.append(Violation(population.name, why, int(bias[i]), limit, remedy))
            break
        bias_type[i], bias_copies[i], bias_value[i] = found
        leak[i] = bias[i] - bias_copies[i] * bias_value[i]

    membrane, early = v0, np.zeros((before, n), dtype=bool)
    least, most = v0, v0
    for tick in range(before - 1, -1, -1):
        early[tick] = membrane >= theta
        raised = membrane + early[tick] * theta
        least, most = np.minimum(least, raised), np.maximum(most, raised)
        membrane = raised - leak - arrivals[tick]
    ranges = [
        ("initial membrane", membrane, membrane, limits.initial_min, limits.initial_max),
        ("membrane before the window", least, most, limits.membrane_floor, limits.membrane_max),
    ]
    for what, bottom, top, smallest, largest in ranges:
        if n and not violations and (bottom.min() < smallest or top.max() > largest):
            violations.append(
                Violation(
                    population.name,
                    f"{what} (cancels {before} ticks of leak)",
                    int(bottom.min() if bottom.min() < smallest else top.max()),
                    f"{smallest}..{largest}",
                    "use a smaller bias or exponent",
                )
            )
    prelude = Prelude(leak, membrane, bias_type, bias_copies, bias_value, early)
    return prelude, violations


def _quiet_leaks(
    v0: IntArray, theta: IntArray, floor: IntArray, before: int, limits: CrossbarLimits
) -> tuple[IntArray, IntArray]:
    """Leaks with which no neuron fires in the ``before`` ticks, or comes to its floor.

    None where v0 >= theta.
    """
    # The membrane after tick k is v0 - c (D - 1 - k); the initial one is v0 - c D.
    low = -((limits.initial_max - v0) // before)
    if before > 1:
        low = np.maximum(low, -((theta - 1 - v0) // (before - 1)))
    high = (v0 - np.maximum(floor, limits.initial_min)) // before
    return np.where(v0 >= theta, 1, low), np.where(v0 >= theta, 0, high)


def _bias_axons(
    rest: tuple[int, int], values: IntArray, limits: CrossbarLimits
) -> tuple[int, int, int] | None:
    """Type, copies and value with ``copies * value`` in the interval ``rest``; fewest copies."""
    for copies in range(1, MAX_BIAS_COPIES + 1):
        for kind, value in enumerate(values.tolist()):
            if rest[0] <= copies * value <= rest[1]:
                return kind, copies, value
        if values.size < limits.axon_types:
            low, high = -(-rest[0] // copies), rest[1] // copies
            value = low if low > 0 else min(high, limits.weight_max)
            if low <= value <= high and limits.weight_min <= value <= limits.weight_max:
                return values.size, copies, value
    return None
