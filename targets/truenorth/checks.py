"""Violations of crossbar cores, each with its numbers and the remedy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np

from neurodeploy.ir.bounds import PopulationBounds, prove_bounds
from neurodeploy.ir.fixed_point import DECAY_ONE
from neurodeploy.ir.netlist import IntegerNetlist, Population
from neurodeploy.ir.neurons import Input, IntegerNeuron
from neurodeploy.targets.base import Violation, state_bits
from neurodeploy.targets.truenorth.basis import fewest_copies
from neurodeploy.targets.truenorth.layers import (
    MAX_COPIES,
    Decomposition,
    FanInViolation,
    Layer,
    least_fan_in,
)
from neurodeploy.targets.truenorth.limits import CrossbarLimits
from neurodeploy.targets.truenorth.units import Crossbar


def model_violations(netlist: IntegerNetlist, limits: CrossbarLimits) -> list[Violation]:
    """Neuron models, inputs and read-outs that crossbar cores do not have."""
    found = [v for p in netlist.populations for v in _population(p, limits)]
    for output in netlist.outputs:
        lacks = partial(_lacks, output.population)
        if output.reads_membrane:
            what = "membrane decoding: membranes cannot be read from crossbar cores"
            found.append(lacks(what, "convert with --decode counts"))
        elif isinstance(netlist.by_name[output.population].model, Input):
            what = "an input that is also an output: it is not on the chip"
            found.append(lacks(what, "read the population behind it"))
    return found


def _lacks(
    population: str,
    what: str,
    remedy: str,
    used: int | str | None = None,
    limit: int | str | None = None,
) -> Violation:
    """What crossbar cores lack for a population."""
    return Violation(population, what, used, limit, remedy)


def _population(population: Population, limits: CrossbarLimits) -> Iterator[Violation]:
    model, lacks = population.model, partial(_lacks, population.name)
    if isinstance(model, Input):
        if model.kind == "current":
            what = "a current input: crossbar cores take spikes only"
            yield lacks(what, "convert with --input spikes")
        elif (model.low, model.high) != (0, 1):
            given = f"{model.low}..{model.high}"
            remedy = "encode the input as binary spikes"
            yield lacks("graded or signed input spikes, range", remedy, given, "0..1")
        return
    if not isinstance(model, IntegerNeuron):
        yield lacks(
            "accumulated max-pooling: no crossbar neuron keeps a maximum",
            "use average pooling, or convert with the identity rewrite of max-pooling",
        )
        return
    if model.threshold is None:
        what = "a population without threshold (membrane decoding)"
        yield lacks(what, "convert with --decode counts")
    else:
        least, most = int(model.threshold.min()), int(model.threshold.max())
        if least < limits.threshold_min or most > limits.threshold_max:
            yield lacks(
                "threshold",
                "quantize with fewer --max-fraction-bits or --threshold-bits",
                most if most > limits.threshold_max else least,
                f"{limits.threshold_min}..{limits.threshold_max}",
            )
        if model.reset == "none":
            yield lacks("no reset", "choose another reset", "none", "subtract or zero")
    if model.signed:
        what = "signed spikes: a crossbar spike has no sign"
        yield lacks(what, "convert with unsigned neurons")
    if model.has_gains:
        what = "gains of steps: a crossbar neuron treats all steps alike"
        yield lacks(what, "convert with another method")
    if model.memory:
        what = "memory: a crossbar neuron keeps no count of what it emitted"
        yield lacks(what, "convert with unsigned neurons")
    if model.payload_max > 1:
        what = "graded spikes, payload up to"
        yield lacks(what, "convert with binary spikes", model.payload_max, 1)
    for extension in model.extensions:
        if extension != "a floor":
            yield lacks(f"{extension}: a crossbar neuron has none", "use a neuron without")
    if model.floor is not None and model.floor.max(initial=0) > 0:
        what = "a floor above 0, below which a crossbar neuron may be reset:"
        yield lacks(what, "use a floor of at most 0", int(model.floor.max()), 0)
    if model.has_current_memory:
        what = "current decay (a synaptic current with memory), in 1/4096:"
        least_decay = int(np.min(model.current_decay))
        yield lacks(what, "use a neuron without current memory", least_decay, DECAY_ONE)
    if model.leaks:
        what = "membrane decay (proportional leak), in 1/4096:"
        yield lacks(what, "use a neuron without leak", int(np.max(model.membrane_decay)), 0)


def bound_violations(
    netlist: IntegerNetlist,
    limits: CrossbarLimits,
    proved: Mapping[str, PopulationBounds] | None = None,
) -> list[Violation]:
    """Populations whose membranes are not proved to stay between floor and ceiling.

    Over T steps, or by the bounds that are given.
    """
    found: list[Violation] = []
    for name, bounds in (proved or prove_bounds(netlist)).items():
        low, high = int(bounds.v_low.min()), int(bounds.v_high.max())
        held = state_bits(min(-limits.membrane_floor, limits.membrane_max))
        if low < limits.membrane_floor or high > limits.membrane_max:
            found.append(
                Violation(
                    name,
                    f"worst-case membrane over T = {netlist.timesteps} steps",
                    low if low < limits.membrane_floor else high,
                    f"{limits.membrane_floor}..{limits.membrane_max}",
                    f"quantize with --state-bits {held}, or use fewer time steps",
                )
            )
    return found


def floor_violations(netlist: IntegerNetlist) -> list[Violation]:
    """Populations with a floor, for steps of several ticks: it would act in each of them."""
    return [
        Violation(
            p.name,
            'a floor: with split="exact" a step takes several ticks, and it would act in each',
            remedy='use a smaller fan-in, a neuron without a floor, or split="approximate"',
        )
        for p in netlist.populations
        if isinstance(p.model, IntegerNeuron) and p.model.floor is not None
    ]


def wide_fan_in(netlist: IntegerNetlist, name: str, limits: CrossbarLimits) -> Violation | None:
    """A fan-in that exceeds a core even with one axon per input; found without expanding it."""
    incoming = netlist.incoming[name]
    fan_in = least_fan_in(incoming)
    if fan_in <= limits.axons:
        return None
    levels = [np.unique(q.connectivity.weight) for q in incoming]
    bases = [
        fewest_copies(
            [frozenset(found.tolist()) - {0}],
            limits.axon_types,
            limits.weight_min,
            limits.weight_max,
            MAX_COPIES,
        )
        for found in levels
    ]
    copies = max(MAX_COPIES + 1 if basis is None else basis.n_copies for basis in bases)
    return _fan_in(name, fan_in, copies, fan_in * copies, _span(np.concatenate(levels)), limits)


def axon_violation(
    layer: Layer, decomposition: Decomposition, crossbar: Crossbar, limits: CrossbarLimits
) -> Violation | None:
    """The neuron that needs most axons, if they exceed a core."""
    needed = crossbar.axons_per_neuron()
    if not needed.size or needed.max() <= limits.axons:
        return None
    worst = int(needed.argmax())
    fan_in = int(layer.fan_in()[worst].sum())
    levels = layer.weight[layer.post == worst]
    where = f"{layer.name}[{worst}]"
    copies = max(decomposition.copies, default=0)
    return _fan_in(where, fan_in, copies, int(needed[worst]), _span(levels), limits)


def _span(levels: np.ndarray) -> str:  # type: ignore[type-arg]
    return f"{int(levels.min())}..{int(levels.max())}"


def _fan_in(
    where: str, fan_in: int, copies: int, used: int, span: str, limits: CrossbarLimits
) -> FanInViolation:
    most = limits.axons // fan_in
    if most >= 2:
        remedy = f"at this fan-in up to {most} copies fit: quantize it to fewer weight bits"
    elif most == 1:
        remedy = "at this fan-in one copy fits: one weight level per neuron, or a smaller fan-in"
    else:
        remedy = (
            f"a fan-in of at most {limits.axons // copies} fits: use a grouped or smaller layer"
        )
    return FanInViolation(
        where,
        f"fan-in {fan_in} with up to {copies} axon copies an input (levels {span}) needs axons:",
        used,
        limits.axons,
        f'{remedy}; or compile with split="exact" or split="approximate"',
    )
