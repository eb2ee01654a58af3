"""Rounding in sequence: every layer takes back what the layers before it lost.

The integers of the layers before a layer run on samples. With x what its sources emit in the
real-valued network and s what they emit now, its neurons should hear ``W x`` and hear ``Q s``.
Before its weights are rounded against s (:mod:`neurodeploy.quantization.compensation`), they become
what reads the wanted input best from s::

    W <- W + E[(W x - W s) s^T] (E[s s^T] + d I)^-1

means taken out: the bias takes back the mean of what is left, ``W x - Q s``. Where several
projections lead into a layer, each also takes back what rounding those before it has left. Rows
that meet too few patches stay as they are; a weight of 0 is no synapse, and stays 0.

References
----------
Nagel et al. 2020, "Up or down? Adaptive rounding" (AdaRound), arXiv 2004.10568, section 3.3:
reconstruction of a layer's output on what the rounded layers before it give. It learns the
direction of rounding by gradient descent; here the same error of a layer is a least squares problem
in its weights, which are then rounded in turn as in GPTQ (arXiv 2210.17323).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from neurodeploy.ir.apart import cut_out, late_projections
from neurodeploy.ir.arrays import AnyArray, FloatArray, narrowed
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense
from neurodeploy.ir.netlist import (
    IntegerNetlist,
    IntegerProjection,
    Population,
    RealNetlist,
    RealProjection,
)
from neurodeploy.ir.neurons import Input, Neuron
from neurodeploy.ir.patches import has_rows, least_squares, outputs, patches, row_groups
from neurodeploy.ir.record import RunRecord, Stimulus
from neurodeploy.quantization.assembly import Rounded, counted
from neurodeploy.quantization.input_statistics import Heard
from neurodeploy.quantization.report import REPORTED_SAMPLES
from neurodeploy.quantization.scaling import ScaledLayer

DAMPING = 0.2
"""Least d, in mean variances of s: with 0.02 rather than 0.2, ResNet-20 (graded, T = 4, 4 bits)
agrees with its source on 96.4 rather than 97.1 % of 2000 training images that calibration did not
see, and on 95.9 % without any of this."""
PATCHES_PER_WEIGHT = 2
"""With fewer a row would learn the samples by heart."""
STEPS_AT_ONCE = 2**25
"""Neuron-steps of one run."""
VALUES_AT_ONCE = 2**24
"""Values of samples that are held in double precision."""


@dataclass(frozen=True, slots=True)
class Replay:
    """Samples that are run through rounded layers.

    Parameters
    ----------
    stimulus : mapping
        Encoded, those whose emissions are known.
    run : callable
        Runs integer netlists, recording all spikes.
    """

    stimulus: Stimulus
    run: Callable[[IntegerNetlist, Stimulus], RunRecord]


def can_feed_back(netlist: RealNetlist) -> bool:
    """Whether layers run one by one, and what they emit stands for activations."""
    neurons = (p for p in netlist.populations if isinstance(p.model, Neuron))
    return not late_projections(netlist) and all(p.unit is not None for p in neurons)


def fed_back(
    netlist: RealNetlist,
    layers: Sequence[ScaledLayer],
    made: Sequence[Rounded],
    heard: Heard,
    replay: Replay,
    coarser: Callable[[int, Rounded], Sequence[Rounded] | None],
) -> list[Rounded]:
    """The layers rounded again in sequence, on the scales that they were rounded on.

    Parameters
    ----------
    netlist : RealNetlist
    layers, made : sequences
        The same layers, as they are and rounded.
    heard : Heard
        What populations emit in the real-valued network.
    replay : Replay
    coarser : callable
        Given the place of a layer and what it became: all layers as they are rounded, that one on a
        coarser scale, if it exceeds a width; else None. Then it alone is taught again.
    """
    place = {x.population.name: i for i, layer in enumerate(layers) for x in layer.siblings}
    result: dict[int, Rounded] = {}
    walk = _Walk(netlist, replay)
    depth = netlist.schedule.depth
    for population in sorted(netlist.populations, key=lambda p: depth[p.name]):
        if isinstance(population.model, Input):
            continue
        i = place.get(population.name)
        if i is None:
            walk.advance([population], [counted(q) for q in netlist.incoming[population.name]])
        elif i not in result:
            met = {q.pre: walk.met(q.pre, heard) for q in layers[i].projections}
            result[i] = _taught(netlist, layers[i], made[i], heard, met)
            while (others := coarser(i, result[i])) is not None:
                made = others
                result[i] = _taught(netlist, layers[i], made[i], heard, met)
            populations = result[i].populations
            projections = [q for name in populations for q in result[i].projections[name]]
            walk.advance(list(populations.values()), projections)
    return [result[i] for i in range(len(layers))]


class _Walk:
    """What integers emitted so far, of populations that are still to be heard."""

    def __init__(self, netlist: RealNetlist, replay: Replay) -> None:
        self.netlist, self.run = netlist, replay.run
        self.rasters: dict[str, AnyArray] = {
            name: narrowed(np.asarray(v)) for name, v in replay.stimulus.items()
        }
        self.remaining = {p.name: len(netlist.outgoing[p.name]) for p in netlist.populations}

    def met(self, name: str, heard: Heard) -> AnyArray:
        """Emissions of a population, added up as its coding counts: ``[B, *shape]``."""
        source, raster = self.netlist.by_name[name], self.rasters[name]
        # Inputs emit what they did.
        given = isinstance(source.model, Input) and name in heard.emissions
        return heard.emissions[name][: len(raster)] if given else narrowed(source.summed(raster))

    def advance(
        self, populations: Sequence[Population], projections: Sequence[IntegerProjection]
    ) -> None:
        """Run populations, if anything hears them, and forget what nothing hears any more."""
        if any(self.remaining[p.name] for p in populations):
            self._run(populations, projections)
        for q in projections:
            self.remaining[q.pre] -= 1
            if not self.remaining[q.pre]:
                del self.rasters[q.pre]

    def _run(
        self, populations: Sequence[Population], projections: Sequence[IntegerProjection]
    ) -> None:
        sources = {q.pre: (self.netlist.by_name[q.pre], self.rasters[q.pre]) for q in projections}
        T = self.netlist.timesteps
        apart, values = cut_out(IntegerNetlist, populations, projections, sources, (), T)
        largest = max(p.size for p in apart.populations) * len(populations)
        width = max(1, STEPS_AT_ONCE // (T * largest))
        parts: dict[str, list[AnyArray]] = {p.name: [] for p in populations}
        for first in range(0, len(next(iter(values.values()))), width):
            batch = {n: v[first : first + width].astype(np.int64) for n, v in values.items()}
            spikes = self.run(apart, batch).spikes
            for name, kept in parts.items():
                kept.append(narrowed(spikes[name]))
        for name, kept in parts.items():
            self.rasters[name] = np.concatenate(kept)


def _taught(
    netlist: RealNetlist,
    layer: ScaledLayer,
    made: Rounded,
    heard: Heard,
    met: Mapping[str, AnyArray],
) -> Rounded:
    """A layer rounded against what it meets, or as it was where its input is not all known."""
    if not layer.corrects or not all(name in heard.emissions for name in met):
        return made
    first = layer.siblings[0].population
    share = {name: first.heard_share(netlist.by_name[name]) for name in met}
    lesson = _Lesson(
        layer.projections,
        made.layer.projections,
        {name: heard.emissions[name][: len(s)] for name, s in met.items()},
        met,
        share,
    )
    means = {n: s.mean(axis=0, dtype=np.float64) * share[n] for n, s in met.items()}
    hearing = replace(made.layer, heard=Heard(met), expected=means, fed_back=True)
    rounded = Rounded.of(hearing, made.scales, lesson)
    # What the report looks at is kept: the rest of every layer would take gigabytes.
    few = Heard({name: s[:REPORTED_SAMPLES].copy() for name, s in met.items()})
    return replace(rounded, layer=replace(hearing, heard=few))


@dataclass(frozen=True, slots=True)
class _Lesson:
    """What the sources of a layer should emit, and what they do.

    ``exact`` are its projections for spikes that are worth what is intended, ``hearing`` those for
    what they are worth; of emissions that differ in kind, ``share`` makes one.
    """

    exact: Sequence[RealProjection]
    hearing: Sequence[RealProjection]
    wanted: Mapping[str, AnyArray]
    met: Mapping[str, AnyArray]
    share: Mapping[str, float]

    def taught(
        self,
        projection: RealProjection,
        rounded: Mapping[int, IntegerProjection],
        unit: FloatArray,
    ) -> RealProjection:
        """The projection whose rows read what the layer should hear; before it is rounded."""
        connectivity = projection.connectivity
        if not has_rows(connectivity):
            return projection
        weight = connectivity.weight
        rows = weight.reshape(len(weight), -1).astype(np.float64)
        source = self.met[projection.pre]
        left: FloatArray | None = None
        for g, own in enumerate(row_groups(connectivity)):
            met = patches(connectivity, source, g) * self.share[projection.pre]
            if len(met) < PATCHES_PER_WEIGHT * met.shape[1]:
                return projection
            if left is None:
                left = self._left(connectivity, rounded, unit)
            met -= met.mean(axis=0)
            gain = met.T @ left[:, own] / len(met)
            rows[own] += np.where(rows[own] == 0, 0.0, least_squares(met, gain, DAMPING))
        changed = connectivity.with_weight(rows.reshape(weight.shape))
        return replace(projection, connectivity=changed)

    def missing(self) -> FloatArray:
        """Mean input that the sources lost."""
        total: FloatArray = np.zeros(())
        for exact, hearing in zip(self.exact, self.hearing, strict=True):
            share = self.share[exact.pre]
            x, s = (
                values[exact.pre].mean(axis=0, dtype=np.float64)[None] * share
                for values in (self.wanted, self.met)
            )
            total = total + (exact.connectivity.apply(x) - hearing.connectivity.apply(s))[0]
        return total

    def _left(
        self,
        where: Conv | Dense,
        rounded: Mapping[int, IntegerProjection],
        unit: FloatArray,
    ) -> FloatArray:
        """What the layer hears too little where rows meet patches: ``[n, C]``, without its mean."""
        total: FloatArray = np.zeros(())
        for i, (exact, hearing) in enumerate(zip(self.exact, self.hearing, strict=True)):
            x, s = self.wanted[exact.pre], self.met[exact.pre]
            if i not in rounded:
                now = _input(where, hearing.connectivity, s)
            else:
                whole = rounded[i].connectivity
                now = _input(where, whole.with_weight(whole.weight.astype(np.float64)), s)
                step = unit * np.exp2(rounded[i].exponent)
                now = now * np.repeat(step, now.shape[1] // len(step))
            heard = _input(where, exact.connectivity, x)
            total = total + (heard - now) * self.share[exact.pre]
        return np.asarray(total - total.mean(axis=0))


def _input(where: Conv | Dense, connectivity: Connectivity, values: AnyArray) -> FloatArray:
    """Input by a map where rows of another meet patches: ``[n, C]``."""
    if has_rows(connectivity):
        rows = connectivity.weight.reshape(len(connectivity.weight), -1)
        groups = enumerate(row_groups(connectivity))
        return np.concatenate(
            [patches(connectivity, values, g) @ rows[own].T for g, own in groups], axis=1
        )
    width = max(1, VALUES_AT_ONCE // values[0].size)
    parts = [
        connectivity.apply(values[first : first + width].astype(np.float64))
        for first in range(0, len(values), width)
    ]
    return outputs(where, np.concatenate(parts))
