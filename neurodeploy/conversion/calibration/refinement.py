"""Refinement: what spikes get wrong, measured and taken out, population by population.

In the order of the netlist, each population runs on the spikes that the populations before it
really emit (already refined), beside the activations that it should code; a refinement looks at
both and changes the population, or the weights of what it hears. Siblings, which hear the same with
the same weights, run together, so that the products they share are computed once. One file holds
the walk, others the refinements.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from neurodeploy.conversion.lowering.activation_graph import ActivationGraph, InputLayer, Layer
from neurodeploy.errors import ConversionError
from neurodeploy.ir.apart import cut_out, late_projections
from neurodeploy.ir.arrays import AnyArray, FloatArray
from neurodeploy.ir.netlist import Population, RealNetlist, RealProjection
from neurodeploy.ir.neurons import MaxPool, RealNeuron
from neurodeploy.ir.record import Progress, RunRecord, Stimulus
from neurodeploy.ir.siblings import sibling_groups

Simulate = Callable[[RealNetlist, Stimulus], RunRecord]
"""Runs a real-valued netlist, recording all spikes and the membranes of outputs."""

RASTER_BUDGET = 48 * 2**20
"""Neuron-steps of the largest population that are held at a time."""
STEPS_AT_ONCE = 32 * 2**20
"""Neuron-steps of one run."""
MIN_SAMPLES, MAX_SAMPLES = 4, 256


@dataclass(frozen=True, slots=True)
class HeardPopulation:
    """A population that the one on trial hears.

    Parameters
    ----------
    population : Population
    raster : array ``[B, T, *shape]``
        What it emitted; of a current ``[B, *shape]``, in every step.
    activations : array ``[B, *shape]``
        What it should code, in the units of the source network.
    """

    population: Population
    raster: AnyArray
    activations: AnyArray

    @property
    def emitted(self) -> AnyArray:
        """Emissions over a sample, added up as its coding counts: ``[B, *shape]``."""
        return self.population.summed(self.raster)

    def exact(self, timesteps: int) -> FloatArray:
        """Emissions that would code the activation to the digit: ``[B, *shape]``."""
        unit = self.population.unit
        assert unit is not None
        return np.asarray(
            self.activations * (self.population.divisor(timesteps) / self.population.spread(unit))
        )


@dataclass(frozen=True, slots=True)
class Trial:
    """A population, or siblings, on the spikes that reach it.

    Parameters
    ----------
    populations : tuple of Population
        Firing populations or integrators, with a unit.
    projections : mapping
        By name, all into each of them.
    activations : mapping
        By name, what each should code, in the units of the source network: float
        ``[B, *shape]``.
    sources : mapping
        By name, those that they hear.
    timesteps : int
    execute : callable
        Runs versions of the populations, with projections.
    """

    populations: tuple[Population, ...]
    projections: Mapping[str, tuple[RealProjection, ...]]
    activations: Mapping[str, AnyArray]
    sources: Mapping[str, HeardPopulation]
    timesteps: int
    execute: Callable[[tuple[Population, ...], Mapping[str, tuple[RealProjection, ...]]], RunRecord]

    def run(self, populations: tuple[Population, ...]) -> dict[str, AnyArray]:
        """The values that versions of the populations code, ``[B, *shape]``, in source units."""
        run = self.execute(populations, self.projections)
        return {p.name: coded_values(p, run) for p in populations}


class Refinement(Protocol):
    """A frozen dataclass that changes populations, or what they hear, for the better."""

    def __call__(self, trial: Trial) -> Trial:
        """The trial with its refined populations: same names, shapes, kinds; or projections."""


def n_refinement_samples(netlist: RealNetlist, budget: int = RASTER_BUDGET) -> int:
    """How many samples the refinement of a netlist looks at."""
    largest = max(p.size for p in netlist.populations) * netlist.timesteps
    return int(np.clip(budget // largest, MIN_SAMPLES, MAX_SAMPLES))


def refine(
    netlist: RealNetlist,
    graph: ActivationGraph,
    samples: Mapping[str, AnyArray],
    stimulus: Stimulus,
    simulate: Simulate,
    refinements: Sequence[Refinement],
    *,
    progress: Progress | None = None,
) -> RealNetlist:
    """Refine the populations of a feed-forward netlist.

    Parameters
    ----------
    netlist : RealNetlist
    graph : ActivationGraph
        That it was built from, one population per layer.
    samples : mapping
        Input layer -> raw calibration samples ``[B, *shape]``.
    stimulus : mapping
        The same samples, encoded.
    simulate : callable
    refinements : sequence of Refinement
        Applied to each population in this order.

    Raises
    ------
    ConversionError
        For recurrence, or delays that do not align branches.
    """
    _expect_aligned(netlist)
    walk = _Walk(netlist, stimulus, simulate, tuple(refinements))
    n_layers = len(graph.layers)
    done = 0

    def visit(layer: Layer, value: AnyArray) -> None:
        nonlocal done
        if isinstance(layer, InputLayer):
            walk.activations[layer.name] = value
        else:
            walk.visit(layer.name, value)
        done += 1
        if progress is not None:
            progress(done, n_layers)

    graph.evaluate(samples, visit)
    walk.flush()
    return walk.netlist


class _Walk:
    """The netlist so far, and the spikes of the populations that are still to be read."""

    def __init__(
        self,
        netlist: RealNetlist,
        stimulus: Stimulus,
        simulate: Simulate,
        refinements: tuple[Refinement, ...],
    ) -> None:
        self.netlist = netlist
        self.simulate = simulate
        self.refinements = refinements
        self.rasters: dict[str, AnyArray] = {n: np.asarray(v) for n, v in stimulus.items()}
        self.activations: dict[str, AnyArray] = {}
        self.group = {
            sibling.population.name: i
            for i, siblings in enumerate(sibling_groups(netlist))
            for sibling in siblings
        }
        self.waiting: dict[str, AnyArray] = {}
        self.remaining = {p.name: len(netlist.outgoing[p.name]) for p in netlist.populations}
        # Counts of classes clip what is negative: they are not meant to equal the source network's
        # values. Maps are counted with both signs.
        self.counted = {
            o.population
            for o in netlist.outputs
            if not o.reads_membrane and not netlist.by_name[o.population].emits_negative
        }

    def visit(self, name: str, activations: AnyArray) -> None:
        """Refine a population, once all of its siblings that follow it are known."""
        group = self.group.get(name)
        if group is None or any(self.group[other] != group for other in self.waiting):
            self.flush()
        self.waiting[name] = activations
        if group is None:
            self.flush()

    def flush(self) -> None:
        """Refine the populations that wait, and keep what they emit."""
        waiting, self.waiting = self.waiting, {}
        if not waiting:
            return
        populations = tuple(self.netlist.by_name[name] for name in waiting)
        incoming = {name: self.netlist.incoming[name] for name in waiting}
        sources = {
            q.pre: HeardPopulation(
                self.netlist.by_name[q.pre], self.rasters[q.pre], self.activations[q.pre]
            )
            for q in incoming[populations[0].name]
        }

        def execute(
            versions: tuple[Population, ...],
            projections: Mapping[str, tuple[RealProjection, ...]],
        ) -> RunRecord:
            return _run_apart(self.netlist, versions, projections, sources, self.simulate)

        refinable = all(
            isinstance(p.model, RealNeuron) and p.name not in self.counted for p in populations
        )
        # A population without input has nothing that could be wrong.
        if refinable and sources:
            T = self.netlist.timesteps
            trial = Trial(populations, incoming, waiting, sources, T, execute)
            for refinement in self.refinements:
                trial = refinement(trial)
            populations, incoming = trial.populations, dict(trial.projections)
            for population in populations:
                self._replace(population, incoming[population.name])
        heard = tuple(p for p in populations if self.remaining[p.name])
        if heard:
            run = execute(heard, incoming)
            for population in heard:
                self.rasters[population.name] = run.spikes[population.name]
                self.activations[population.name] = waiting[population.name]
        for projection in (q for name in waiting for q in incoming[name]):
            self.remaining[projection.pre] -= 1
            if not self.remaining[projection.pre]:
                del self.rasters[projection.pre], self.activations[projection.pre]

    def _replace(self, population: Population, incoming: tuple[RealProjection, ...]) -> None:
        before = self.netlist.by_name[population.name]
        populations = {p.name: p for p in self.netlist.populations} | {population.name: population}
        refined = iter(incoming)
        projections = tuple(
            next(refined) if q.post == population.name else q for q in self.netlist.projections
        )
        assert before.unit is not None
        assert population.unit is not None
        factor = np.broadcast_to(population.unit / before.unit, population.shape[:1])
        if (factor != 1).any():
            projections = _rescaled(populations, projections, population.name, factor)
        self.netlist = replace(
            self.netlist, populations=tuple(populations.values()), projections=projections
        )


def _rescaled(
    populations: dict[str, Population],
    projections: tuple[RealProjection, ...],
    name: str,
    factor: FloatArray,
) -> tuple[RealProjection, ...]:
    """Projections for spikes of ``name`` that are now worth ``factor`` times as much."""
    affected = [name]
    for source in affected:
        for projection in projections:
            post = populations[projection.post]
            if projection.pre != source or not isinstance(post.model, MaxPool):
                continue
            if sum(q.post == post.name for q in projections) > 1:
                raise ConversionError(
                    f"{name}: its thresholds cannot change, because {post.name} pools it with "
                    "other populations; set threshold_search to false"
                )
            # Counts are pooled as counts: the pool's own count is worth as much as its source's.
            assert post.unit is not None
            unit = np.broadcast_to(post.unit, post.shape[:1]) * factor
            populations[post.name] = replace(post, unit=unit)
            affected.append(post.name)
    return tuple(
        replace(q, connectivity=q.connectivity.scale_inputs(factor))
        if q.pre in affected and not isinstance(populations[q.post].model, MaxPool)
        else q
        for q in projections
    )


def _expect_aligned(netlist: RealNetlist) -> None:
    late = late_projections(netlist)
    if late:
        raise ConversionError(
            f"{late[0]}: refinement runs populations one by one, which needs a feed-forward "
            "netlist with aligned delays; set bias_correction and membrane_correction to 0"
        )


def _run_apart(
    netlist: RealNetlist,
    populations: tuple[Population, ...],
    incoming: Mapping[str, tuple[RealProjection, ...]],
    sources: Mapping[str, HeardPopulation],
    simulate: Simulate,
) -> RunRecord:
    """Run populations on recorded spikes; windows are aligned, so delays are all 1.

    Returns their spikes in few bits and, of an integrator, the last membrane alone.
    """
    names = [p.name for p in populations]
    heard = {name: (source.population, source.raster) for name, source in sources.items()}
    into = [q for name in names for q in incoming[name]]
    T = netlist.timesteps
    apart, values = cut_out(RealNetlist, populations, into, heard, netlist.outputs, T)
    samples = len(next(iter(values.values())))
    largest = max(p.size for p in apart.populations) * len(populations)
    width = max(1, STEPS_AT_ONCE // (netlist.timesteps * largest))
    spikes: dict[str, list[AnyArray]] = {}
    membranes: dict[str, list[AnyArray]] = {}
    for first in range(0, samples, width):
        run = simulate(apart, {n: v[first : first + width] for n, v in values.items()})
        for name in names:
            if name in run.spikes:
                spikes.setdefault(name, []).append(_narrow(run.spikes[name], name))
            if name in run.membranes:
                membranes.setdefault(name, []).append(run.membranes[name][:, -1:])
    return RunRecord(
        netlist.timesteps,
        {name: np.concatenate(parts) for name, parts in spikes.items()},
        {name: np.concatenate(parts) for name, parts in membranes.items()},
    )


def coded_values(population: Population, run: RunRecord) -> FloatArray:
    """Value that a population coded, ``[B, *shape]``, in the units of the source network."""
    model = population.model
    assert isinstance(model, RealNeuron)
    if model.fires:
        total = population.summed(run.spikes[population.name])
    else:
        total = run.membranes[population.name][:, -1] - population.origin
    steps = population.divisor(run.timesteps)
    unit = 1.0 if population.unit is None else population.spread(population.unit)
    return np.asarray(total * unit / steps)


def by_channel(values: AnyArray) -> FloatArray:
    """Mean over samples and positions of ``[B, C, ...]``: ``[C]``."""
    return np.asarray(
        values.reshape(values.shape[0], values.shape[1], -1).mean(axis=(0, 2), dtype=np.float64)
    )


def _narrow(raster: AnyArray, where: str) -> AnyArray:
    low, high = raster.min(initial=0), raster.max(initial=0)
    narrow = raster.astype(np.int8 if low >= -128 and high < 128 else np.int64, copy=False)
    if raster.dtype.kind == "f" and (narrow != raster).any():
        raise ConversionError(
            f"{where}: pools fractions of spikes, which cannot be replayed; set "
            "bias_correction and membrane_correction to 0"
        )
    return narrow
