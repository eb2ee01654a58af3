"""Populations cut out of a netlist, to run on recorded emissions of what they hear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.netlist import IntegerNetlist, Output, Population, RealNetlist
from neurodeploy.ir.neurons import Input
from neurodeploy.ir.projection import Projection
from neurodeploy.ir.record import Stimulus

N = TypeVar("N", IntegerNetlist, RealNetlist)


def late_projections(netlist: IntegerNetlist | RealNetlist) -> list[str]:
    """Labels of projections that do not align branches: their populations cannot run apart."""
    depth = netlist.schedule.depth
    return [
        q.label
        for q, delay in zip(netlist.projections, netlist.schedule.delays, strict=True)
        if delay != depth[q.post] - depth[q.pre] - netlist.by_name[q.pre].lag
    ]


def cut_out(
    kind: type[N],
    populations: Sequence[Population],
    projections: Sequence[Projection],
    sources: Mapping[str, tuple[Population, AnyArray]],
    outputs: Sequence[Output],
    timesteps: int,
) -> tuple[N, Stimulus]:
    """A netlist of these populations alone, and its stimulus.

    Windows are aligned, so delays are all 1.

    Parameters
    ----------
    kind : IntegerNetlist or RealNetlist
    populations, projections : sequences
        Versions of them, and all projections into them.
    sources : mapping
        By name, the populations that they hear, and what these emitted: ``[B, T, *shape]``; of a
        current ``[B, *shape]``, in every step.
    outputs : sequence of Output
        Those of them that are read are outputs here too.
    timesteps : int
    """
    inputs: list[Population] = []
    values: dict[str, AnyArray] = {}
    for name, (heard, raster) in sources.items():
        low, high = min(int(raster.min()), 0), max(int(raster.max()), 1)
        model = Input("current" if heard.is_current_input else "spikes", low, high)
        inputs.append(Population(name, heard.shape, model))
        # What it drives opens its window when the first of these can arrive.
        values[name] = np.roll(raster, -heard.lag, axis=1) if heard.lag else raster
    names = [p.name for p in populations]
    into: tuple[Any, ...] = tuple(replace(q, delay=None) for q in projections)
    apart = kind(
        names[0],
        (*inputs, *populations),
        into,
        tuple(o for o in outputs if o.population in names),
        timesteps,
    )
    return apart, values
