"""Planning in order: what is refused at once, synapses, timing, biases, cores."""

from __future__ import annotations

from dataclasses import dataclass

from neurodeploy.ir.bounds import prove_bounds
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.neurons import Input
from neurodeploy.targets.base import Violation
from neurodeploy.targets.truenorth.checks import (
    axon_violation,
    bound_violations,
    floor_violations,
    model_violations,
    wide_fan_in,
)
from neurodeploy.targets.truenorth.layers import (
    Decomposition,
    FanInViolation,
    Layer,
    decompose,
    extract,
)
from neurodeploy.targets.truenorth.limits import CrossbarLimits
from neurodeploy.targets.truenorth.plan import CorePlan
from neurodeploy.targets.truenorth.prelude import plan_preludes
from neurodeploy.targets.truenorth.split.exact import plan_splits
from neurodeploy.targets.truenorth.timing import (
    TickTiming,
    long_ways,
    plan_timing,
    timing_violations,
)
from neurodeploy.targets.truenorth.units import Unit, quiet_unit

SPLIT = ("none", "exact", "approximate")


@dataclass(frozen=True, slots=True)
class Choices:
    """Options of the target.

    Parameters
    ----------
    fan_out : {"auto", "copies", "splitters"}
    split : {"none", "exact", "approximate"}
        ``approximate`` rewrites netlists before they are planned; here it is ``none``.
    max_ticks_per_step : int
    """

    fan_out: str = "auto"
    split: str = "none"
    max_ticks_per_step: int = 256


def plan_netlist(
    netlist: IntegerNetlist, limits: CrossbarLimits, choices: Choices
) -> CorePlan | list[Violation]:
    """Plan a netlist, or tell all violations of the stage that stopped it."""
    found = model_violations(netlist, limits)
    if found:
        neurons = (p.name for p in netlist.populations if not isinstance(p.model, Input))
        wide = (wide_fan_in(netlist, name, limits) for name in neurons)
        # Other neurons would still be too many inputs for a core.
        return found + [v for v in wide if v is not None and choices.split == "none"]
    found = bound_violations(netlist, limits)
    plan = _plan_whole(netlist, limits, choices.fan_out, found)
    if choices.split != "exact" or isinstance(plan, CorePlan) or found:
        return plan
    if not any(isinstance(v, FanInViolation) for v in plan):
        return plan
    return _plan_split(netlist, limits, choices)


def _plan_whole(
    netlist: IntegerNetlist, limits: CrossbarLimits, fan_out: str, known: list[Violation]
) -> CorePlan | list[Violation]:
    """Plan populations that all fit: a step is a tick."""
    found = list(known)
    layers: dict[str, Layer] = {}
    parts: dict[str, Decomposition] = {}
    for population in netlist.populations:
        name = population.name
        if isinstance(population.model, Input):
            continue
        too_wide = wide_fan_in(netlist, name, limits)
        if too_wide is not None:
            found.append(too_wide)
            continue
        layers[name] = extract(netlist, name)
        decomposed = decompose(layers[name], limits)
        if isinstance(decomposed, Violation):
            found.append(decomposed)
        else:
            parts[name] = decomposed
    relayed = _relayed_from_start(netlist, limits, fan_out)
    timing = plan_timing(netlist, relayed)
    found += timing_violations(netlist, timing, limits)
    if found:
        return found
    plan = _quiet_plan(netlist, limits, timing, layers, parts)
    if isinstance(plan, list):
        return plan
    better, found = plan.place_all(fan_out)
    if better:
        # The latencies that splitters bring change biases and so axons: plan once more.
        timing = plan_timing(netlist, relayed | better)
        found = timing_violations(netlist, timing, limits)
        replanned = found or _quiet_plan(netlist, limits, timing, layers, parts)
        if isinstance(replanned, list):
            return replanned
        plan = replanned
        _, found = plan.place_all("copies")
    return found or plan


def _quiet_plan(
    netlist: IntegerNetlist,
    limits: CrossbarLimits,
    timing: TickTiming,
    layers: dict[str, Layer],
    parts: dict[str, Decomposition],
) -> CorePlan | list[Violation]:
    preludes, found = plan_preludes(netlist, parts, timing, limits)
    if found:
        return found
    units: dict[str, Unit] = {}
    for name in (n for n in netlist.schedule.order if n in layers):
        units[name] = quiet_unit(
            netlist.by_name[name], layers[name], parts[name], preludes[name], limits
        )
        violation = axon_violation(layers[name], parts[name], units[name].bar, limits)
        if violation is not None:
            found.append(violation)
    early = {name: int(prelude.early.sum()) for name, prelude in preludes.items()}
    return found or CorePlan(netlist, limits, timing, units, layers, parts, early=early)


def _plan_split(
    netlist: IntegerNetlist, limits: CrossbarLimits, choices: Choices
) -> CorePlan | list[Violation]:
    """Plan with partial sums where they are needed: a step takes as many ticks as a burst."""
    found = floor_violations(netlist)
    if found:
        return found
    bounds = prove_bounds(netlist)
    relayed = _asked_for(netlist, choices.fan_out)
    splitting = plan_splits(netlist, bounds, limits, choices.max_ticks_per_step)
    if isinstance(splitting, list):
        return splitting
    while True:
        timing = plan_timing(
            netlist, relayed, splitting.delays, splitting.period, splitting.coprime
        )
        far = long_ways(netlist, timing, limits) - relayed
        if far and choices.fan_out != "copies":
            relayed |= far
            continue
        found = timing_violations(netlist, timing, limits)
        if timing.period > choices.max_ticks_per_step:
            found.append(splitting.too_slow(timing.period, choices.max_ticks_per_step))
        if found:
            return found
        units = splitting.units(timing)
        if units is None:
            continue  # more populations have to be split, for the axons of their gates
        if isinstance(units, list):
            return units
        stages = splitting.stages
        plan = CorePlan(
            netlist,
            limits,
            timing.with_stages(stages),
            units,
            splitting.layers,
            splitting.parts,
            splitting.splits,
        )
        better, found = plan.place_all(choices.fan_out)
        if found or not better - relayed:
            return found or plan
        relayed |= better


def _relayed_from_start(
    netlist: IntegerNetlist, limits: CrossbarLimits, fan_out: str
) -> frozenset[str]:
    """Populations that pass splitters whatever their copies: asked for, or for a long delay."""
    if fan_out == "copies":
        return frozenset()
    delays = zip(netlist.projections, netlist.schedule.delays, strict=True)
    long = {q.pre for q, d in delays if d > limits.delay_max}
    return frozenset(long - _inputs(netlist)) | _asked_for(netlist, fan_out)


def _asked_for(netlist: IntegerNetlist, fan_out: str) -> frozenset[str]:
    if fan_out != "splitters":
        return frozenset()
    emitting = {q.pre for q in netlist.projections} - _inputs(netlist)
    return frozenset(emitting - netlist.schedule.cyclic)


def _inputs(netlist: IntegerNetlist) -> set[str]:
    return {p.name for p in netlist.populations if isinstance(p.model, Input)}
