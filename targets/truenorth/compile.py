"""Planning in order: what is refused at once, synapses, timing, biases, cores."""

from __future__ import annotations

from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.neurons import Input
from neurodeploy.targets.base import Violation
from neurodeploy.targets.truenorth.checks import (
    axon_violation,
    bound_violations,
    model_violations,
    wide_fan_in,
)
from neurodeploy.targets.truenorth.layers import Decomposition, Layer, decompose, extract
from neurodeploy.targets.truenorth.limits import CrossbarLimits
from neurodeploy.targets.truenorth.plan import Plan, crossbar
from neurodeploy.targets.truenorth.prelude import plan_preludes
from neurodeploy.targets.truenorth.timing import Timing, plan_timing, timing_violations


def plan_netlist(
    netlist: IntegerNetlist, limits: CrossbarLimits, fan_out: str
) -> Plan | list[Violation]:
    """Plan a netlist, or tell all violations of the stage that stopped it.

    Parameters
    ----------
    netlist : IntegerNetlist
    limits : CrossbarLimits
    fan_out : {"auto", "copies", "splitters"}
    """
    found = model_violations(netlist, limits)
    if found:
        return found
    found = bound_violations(netlist, limits)
    layers: dict[str, Layer] = {}
    decompositions: dict[str, Decomposition] = {}
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
            decompositions[name] = decomposed
    split = _split_from_start(netlist, limits, fan_out)
    timing = plan_timing(netlist, split)
    found += timing_violations(netlist, timing, limits)
    if found:
        return found
    plan = _plan(netlist, limits, timing, layers, decompositions)
    if isinstance(plan, list):
        return plan
    better, found = plan.place_all(fan_out)
    if better:
        # The latencies that splitters bring change biases and so axons: plan once more.
        timing = plan_timing(netlist, split | better)
        found = timing_violations(netlist, timing, limits)
        replanned = found or _plan(netlist, limits, timing, layers, decompositions)
        if isinstance(replanned, list):
            return replanned
        plan = replanned
        _, found = plan.place_all("copies")
    return found or plan


def _plan(
    netlist: IntegerNetlist,
    limits: CrossbarLimits,
    timing: Timing,
    layers: dict[str, Layer],
    decompositions: dict[str, Decomposition],
) -> Plan | list[Violation]:
    preludes, found = plan_preludes(netlist, decompositions, timing, limits)
    if found:
        return found
    crossbars = {name: crossbar(decompositions[name], preludes[name]) for name in layers}
    for name, layer in layers.items():
        violation = axon_violation(layer, decompositions[name], crossbars[name], limits)
        if violation is not None:
            found.append(violation)
    return found or Plan(netlist, limits, timing, layers, decompositions, preludes, crossbars)


def _split_from_start(
    netlist: IntegerNetlist, limits: CrossbarLimits, fan_out: str
) -> frozenset[str]:
    """Populations that pass splitters whatever their copies: asked for, or for a long delay."""
    emitting = {p.name for p in netlist.populations if not isinstance(p.model, Input)}
    if fan_out == "copies":
        return frozenset()
    delays = zip(netlist.projections, netlist.schedule.delays, strict=True)
    found = {q.pre for q, d in delays if q.pre in emitting and d > limits.delay_max}
    if fan_out == "splitters":
        found |= {q.pre for q in netlist.projections if q.pre in emitting}
        found -= netlist.schedule.cyclic
    return frozenset(found)
