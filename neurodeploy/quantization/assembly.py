"""Rounded layers, and the integer netlist that is put together from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from neurodeploy.errors import QuantizationError
from neurodeploy.ir.arrays import FloatArray
from neurodeploy.ir.netlist import (
    IntegerNetlist,
    IntegerProjection,
    Population,
    RealNetlist,
    RealProjection,
)
from neurodeploy.ir.neurons import Input, MaxPool
from neurodeploy.quantization.scaling import Lesson, MembraneScale, ScaledLayer


@dataclass(frozen=True, slots=True, eq=False)
class Rounded:
    """Siblings in integers, by name, and what they were rounded on.

    ``scales`` are theirs, then those that tell what the spikes of their sources are worth.
    """

    layer: ScaledLayer
    scales: tuple[MembraneScale, ...]
    populations: Mapping[str, Population]
    projections: Mapping[str, list[IntegerProjection]]

    @classmethod
    def of(
        cls,
        layer: ScaledLayer,
        scales: tuple[MembraneScale, ...],
        lesson: Lesson | None = None,
    ) -> Rounded:
        """Round a layer, with what it is taught to take back."""
        rounded = layer.integer_projections(scales[0], lesson)
        populations = layer.integer_populations(scales[0], rounded, lesson)
        shared = {1: rounded}
        if any(x.sign < 0 for x in layer.siblings):
            shared[-1] = [
                replace(q, connectivity=q.connectivity.with_weight(-q.connectivity.weight))
                for q in rounded
            ]
        return cls(
            layer,
            scales,
            {p.name: p for p in populations},
            {
                x.population.name: [replace(q, post=x.population.name) for q in shared[x.sign]]
                for x in layer.siblings
            },
        )


def assemble(
    netlist: RealNetlist,
    layers: Sequence[ScaledLayer],
    scales: Sequence[MembraneScale],
    made: list[Rounded | None],
) -> IntegerNetlist:
    """The integer netlist; only layers whose scales are others than in ``made`` are rounded."""
    worths: dict[str, FloatArray] = {}
    telling: dict[str, MembraneScale] = {}
    for layer, scale in zip(layers, scales, strict=True):
        found = layer.worths(scale)
        worths |= found
        telling |= dict.fromkeys(found, scale)
    for i, (layer, scale) in enumerate(zip(layers, scales, strict=True)):
        known = made[i]
        own = (scale, *(telling[q.pre] for q in layer.projections if q.pre in telling))
        if known is None or any(a is not b for a, b in zip(known.scales, own, strict=True)):
            heard = layer.hearing(worths) if len(own) > 1 else layer
            made[i] = Rounded.of(heard, own)
    return joined(netlist, made)


def joined(netlist: RealNetlist, made: Sequence[Rounded | None]) -> IntegerNetlist:
    """The integer netlist of rounded layers."""
    of = {name: known for known in made if known is not None for name in known.populations}
    populations: list[Population] = []
    projections: list[IntegerProjection] = []
    for population in netlist.populations:
        name = population.name
        if name in of:
            populations.append(of[name].populations[name])
            projections.extend(of[name].projections[name])
            continue
        populations.append(population)
        if isinstance(population.model, MaxPool):
            projections.extend(counted(p) for p in netlist.incoming[name])
        else:
            assert isinstance(population.model, Input)
    return IntegerNetlist(
        netlist.name,
        tuple(populations),
        tuple(projections),
        netlist.outputs,
        netlist.timesteps,
        netlist.dt,
    )


def counted(projection: RealProjection) -> IntegerProjection:
    """A projection into max-pooling: counts are pooled as they are."""
    weight = projection.connectivity.weight
    whole = np.rint(weight).astype(np.int64)
    if not np.array_equal(whole, weight):
        broken = weight[whole != weight][0]
        raise QuantizationError(
            f"{projection.label}: max-pooling of weighted input, by {broken:g}; only whole weights "
            "stay exact: pool first and weight what comes out"
        )
    bits = max(2, int(np.abs(whole).max(initial=1)).bit_length() + 1)
    return IntegerProjection(
        projection.pre,
        projection.post,
        projection.connectivity.with_weight(whole),
        projection.delay,
        np.asarray(0),
        bits,
    )
