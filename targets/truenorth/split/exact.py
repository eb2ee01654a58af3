"""Populations that are cut into partial sums, their cuts, and the gates of all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.bounds import PopulationBounds
from neurodeploy.ir.netlist import IntegerNetlist, Population
from neurodeploy.ir.neurons import Input, IntegerNeuron
from neurodeploy.targets.base import Violation
from neurodeploy.targets.truenorth.checks import wide_fan_in
from neurodeploy.targets.truenorth.layers import Decomposition, Layer, decompose, extract
from neurodeploy.targets.truenorth.limits import CrossbarLimits
from neurodeploy.targets.truenorth.packing import cores_and_feeds
from neurodeploy.targets.truenorth.plan import pack_unit
from neurodeploy.targets.truenorth.split.bursts import (
    BurstCut,
    PartialSums,
    cut_layer,
    in_units,
    pack_finals,
    partial_name,
    repay_name,
    split_layer,
    sum_name,
    units,
)
from neurodeploy.targets.truenorth.split.cutting import (
    chunkings,
    copies_violation,
    decompose_turnable,
    on_chip,
    segmentations,
    size_violation,
)
from neurodeploy.targets.truenorth.split.gates import Gate, excess, least_gate, solve_gate
from neurodeploy.targets.truenorth.split.ramps import Ramp, RampShape, ramp_shapes, solve_ramp
from neurodeploy.targets.truenorth.timing import TickTiming
from neurodeploy.targets.truenorth.units import (
    Unit,
    final_unit,
    gated_unit,
    partial_unit,
    ramp_units,
)

BUDGET_SHARES = (1.0, 0.8, 0.6, 0.45, 0.33, 0.25)
"""Shares of a core's axons that a neuron's chunk may take; each is tried for the fewest cores."""

SMALL_SHARES = (0.18, 0.12, 0.08, 0.05, 0.03)
"""Further shares, tried where the bursts of the others exceed their limit."""


@dataclass(slots=True, eq=False)
class Splitting:
    """Populations with their synapses on axons, whole or split.

    ``gate_types`` and ``gate_axons`` are set aside for the gate of each population; they grow where
    a gate, which depends on the timing, turns out to need more.
    """

    netlist: IntegerNetlist
    bounds: Mapping[str, PopulationBounds]
    limits: CrossbarLimits
    max_ticks: int
    layers: dict[str, Layer] = field(default_factory=dict)
    parts: dict[str, Decomposition] = field(default_factory=dict)
    splits: dict[str, PartialSums] = field(default_factory=dict)
    gate_types: dict[str, int] = field(default_factory=dict)
    gate_axons: dict[str, int] = field(default_factory=dict)

    @property
    def delays(self) -> dict[str, int]:
        """Ticks that every split population takes."""
        return {name: split.delay for name, split in self.splits.items()}

    @property
    def period(self) -> int:
        """Least ticks of a step."""
        return max((split.period for split in self.splits.values()), default=1)

    @property
    def coprime(self) -> set[int]:
        """Numbers that the period must not share a factor with: the axons of ramps with biases."""
        found = set()
        for name, split in self.splits.items():
            model = self.netlist.by_name[name].model
            assert isinstance(model, IntegerNeuron)
            if split.ramp is not None and model.bias.any():
                found.add(split.ramp.axons)
        return found

    @property
    def stages(self) -> dict[str, tuple[str, int, int]]:
        """Stages of split populations: the ticks of their inputs and of their spikes."""
        found: dict[str, tuple[str, int, int]] = {}
        for name, split in self.splits.items():
            # A partial neuron fires first in the tick of its inputs, and every hop takes a tick.
            found[split.partial.name] = (name, 0, 0)
            if split.ramp is None:
                found[name] = (name, 1, split.delay)
                continue
            first = split.cut.burst
            found[sum_name(name)] = (name, 1, first)
            found[repay_name(name)] = (name, first + 1, 0)
            found[name] = (name, first + 1, split.delay)
        return found

    def decide(self, name: str) -> Violation | None:
        """Keep a population whole if it and its gate fit a core, else split it."""
        layer, limits = self.layers[name], self.limits
        if name not in self.splits and wide_fan_in(self.netlist, name, limits) is None:
            population = self.netlist.by_name[name]
            zero = np.zeros(population.size, dtype=np.int64)
            types, axons = self._reserve(name, zero)
            if types < limits.axon_types or not layer.post.size:
                parts = decompose(
                    layer, replace(limits, axon_types=max(limits.axon_types - types, 1))
                )
                if isinstance(parts, Decomposition):
                    needed = int(np.bincount(parts.neuron).max(initial=0))
                    if needed + axons <= limits.axons:
                        self.parts[name] = parts
                        return None
        return self._split(name)

    def _reserve(self, name: str, rise: IntArray) -> tuple[int, int]:
        """Axon types and axons for the gate of a population."""
        population = self.netlist.by_name[name]
        types, copies = least_gate(population, self.bounds[name], rise, self.limits)
        self.gate_types[name] = max(types, self.gate_types.get(name, 0))
        axons = max(self.gate_types[name] * copies, self.gate_axons.get(name, 0))
        return self.gate_types[name], axons

    def _split(self, name: str) -> Violation | None:
        """Cut the inputs into the chunks with the fewest cores."""
        layer, limits = self.layers[name], self.limits
        refused = size_violation(layer, limits)
        if refused is not None:
            return refused
        unit = units(layer, limits)
        scaled = in_units(layer, unit)
        parts = decompose_turnable(scaled, limits)
        if isinstance(parts, Violation):
            return parts
        self.parts[name] = parts
        segments = segmentations(self.netlist, layer)
        best: tuple[float, int, PartialSums | None] = (math.inf, 0, None)
        shortest: int | None = None
        fewest_rails: int | None = None
        tried: list[IntArray] = []
        for shares in (BUDGET_SHARES, SMALL_SHARES):
            for chunk in chunkings(scaled, parts, segments, limits, shares):
                if any(np.array_equal(chunk, other) for other in tried):
                    continue
                tried.append(chunk)
                cut = cut_layer(scaled, chunk, unit)
                types, axons = self._reserve(name, cut.rise)
                rails = int(cut.rails.max(initial=0))
                fewest_rails = min(rails + axons, fewest_rails or rails + axons)
                ways: list[tuple[RampShape | None, int, int, int]] = [
                    (None, cut.burst, limits.axons - axons, 0)
                ]
                ways += [
                    (shape, shape.period(cut.burst), limits.axons - 2 * shape.axons, shape.repayers)
                    for shape in self._ramps(name, cut)
                ]
                split: PartialSums | None = None
                for shape, period, room, further in ways:
                    if rails + further > room or max(types, 2) + cut.signs > limits.axon_types:
                        continue
                    shortest = min(period, shortest or period)
                    n = cut.rails.size
                    least = -(-int(cut.rails.sum()) // limits.neurons)
                    least += -(-int(cut.rails.sum() + further * n) // room)
                    if period > self.max_ticks or least > best[0]:
                        continue
                    if split is None:
                        split = split_layer(scaled, parts, cut, partial_name(name))
                        partial_cores = self._partial_cores(name, split)
                    finals = pack_finals(
                        cut.rails + further, np.ones_like(cut.rails), room, limits.neurons
                    )
                    cores = partial_cores + len(finals)
                    if shape is not None:
                        cores += (1 + further) * n / limits.neurons
                    if (cores, period) < best[:2]:
                        best = (cores, period, replace(split, ramp=shape))
            if best[2] is not None:
                self.splits[name] = best[2]
                return None
        return self._no_split(name, shortest, fewest_rails, bool(tried))

    def _ramps(self, name: str, cut: BurstCut) -> list[RampShape]:
        """Ramps for the final neurons of a cut; crossbars know them for linear reset only."""
        population = self.netlist.by_name[name]
        model = population.model
        assert isinstance(model, IntegerNeuron)
        if model.reset != "subtract":
            return []
        need = int(excess(population, self.bounds[name], cut.rise).max(initial=0))
        return ramp_shapes(need, cut.burst, self.limits)

    def _partial_cores(self, name: str, split: PartialSums) -> float:
        """Cores of partial neurons with single copies, and of the neurons that feed them."""
        population = self.netlist.by_name[name]
        unit = partial_unit(population, split)
        from_chip = on_chip(self.netlist, unit.layer)
        once = np.ones(unit.size, dtype=np.int64)
        packed = pack_unit(unit, once, self.limits, not from_chip.any())
        return cores_and_feeds(packed, unit.bar.slot_key, from_chip, self.limits.neurons)

    def _no_split(
        self, name: str, shortest: int | None, fewest_rails: int | None, cut: bool
    ) -> Violation:
        limits = self.limits
        fan_in = int(self.layers[name].fan_in().sum(axis=1).max(initial=0))
        if shortest is not None:
            return self.too_slow(shortest, self.max_ticks, name)
        if not cut:
            return copies_violation(name, self.parts[name], limits)
        types = self.gate_types[name] + 2
        if types > limits.axon_types:
            return Violation(
                name,
                'split="exact" takes two axon types for partial sums and the others for the gate: '
                "axon types",
                types,
                limits.axon_types,
                "choose a board with more axon types",
            )
        return Violation(
            name,
            f"fan-in {fan_in} in partial sums: axons of a final neuron and its gate",
            fewest_rails,
            limits.axons,
            "quantize with fewer --state-bits or --weight-bits, or use fewer time steps",
        )

    def too_slow(self, ticks: int, limit: int, name: str | None = None) -> Violation:
        """A step that takes more ticks than allowed."""
        where = name or max(self.splits, key=lambda n: self.splits[n].period)
        return Violation(
            where,
            "largest partial sum, the ticks of every step (max_ticks_per_step):",
            ticks,
            limit,
            f"quantize with fewer --weight-bits, or compile with max_ticks_per_step={ticks}",
        )

    def units(self, timing: TickTiming) -> dict[str, Unit] | list[Violation] | None:
        """All units for a timing; None if gates need more than was set aside: time it again."""
        found: dict[str, Unit] = {}
        violations: list[Violation] = []
        again = False
        for name in (n for n in self.netlist.schedule.order if n in self.layers):
            population, split = self.netlist.by_name[name], self.splits.get(name)
            if split is not None and split.ramp is not None:
                ramp = self._ramp(population, split, split.ramp, timing)
                if ramp is None:
                    violations.append(self._no_gate(name, timing))
                    continue
                found[split.partial.name] = partial_unit(population, split)
                for unit in ramp_units(population, split, ramp, self.limits):
                    found[unit.name] = unit
                continue
            gate = self._gate(population, split, timing)
            if gate is None:
                violations.append(self._no_gate(name, timing))
                continue
            if split is None:
                used = int(np.bincount(self.parts[name].neuron).max(initial=0))
                types = self.parts[name].values.shape[1]
            else:
                used, types = int(split.cut.rails.max(initial=0)), split.cut.signs
            if used + gate.n_axons > self.limits.axons or types + gate.n_types > (
                self.limits.axon_types
            ):
                self.gate_types[name] = max(gate.n_types, self.gate_types[name])
                self.gate_axons[name] = max(gate.n_axons, self.gate_axons.get(name, 0))
                violation = self.decide(name)
                again = True
                if violation is not None:
                    violations.append(violation)
                continue
            if split is None:
                layer, parts = self.layers[name], self.parts[name]
                found[name] = gated_unit(population, layer, parts, gate, self.limits)
            else:
                found[split.partial.name] = partial_unit(population, split)
                found[name] = final_unit(population, split, gate, self.limits)
        if violations:
            return violations
        return None if again else found

    def _gate(
        self, population: Population, split: PartialSums | None, timing: TickTiming
    ) -> Gate | None:
        name = population.name
        zero = np.zeros(population.size, dtype=np.int64)
        rise, fall = (zero, zero) if split is None else (split.cut.rise, split.cut.fall)
        return solve_gate(
            population,
            self.bounds[name],
            rise,
            fall,
            timing.start[name],
            timing.period,
            self.limits,
        )

    def _ramp(
        self, population: Population, split: PartialSums, shape: RampShape, timing: TickTiming
    ) -> Ramp | None:
        cut, name = split.cut, population.name
        return solve_ramp(
            population,
            self.bounds[name],
            cut.rise,
            cut.fall,
            timing.start[name] - 1,
            timing.period,
            shape,
            self.limits,
        )

    def _no_gate(self, name: str, timing: TickTiming) -> Violation:
        limits, bounds = self.limits, self.bounds[name]
        return Violation(
            name,
            f"no gate of up to {limits.axons} axons holds membranes up to "
            f"{int(bounds.v_high.max())} quiet for {timing.period} ticks within initial membranes "
            f"{limits.initial_min}..{limits.initial_max} and leaks of",
            f"{limits.leak_min}..{limits.leak_max}",
            remedy="quantize with fewer --state-bits, or use fewer time steps",
        )


def plan_splits(
    netlist: IntegerNetlist,
    bounds: Mapping[str, PopulationBounds],
    limits: CrossbarLimits,
    max_ticks: int,
) -> Splitting | list[Violation]:
    """Decide for every population, or tell what stands against it."""
    splitting = Splitting(netlist, bounds, limits, max_ticks)
    violations: list[Violation] = []
    for name in netlist.schedule.order:
        if isinstance(netlist.by_name[name].model, Input):
            continue
        splitting.layers[name] = extract(netlist, name)
        violation = splitting.decide(name)
        if violation is not None:
            violations.append(violation)
    return violations or splitting
