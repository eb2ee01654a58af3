"""What the native engine computes at once: populations of one input, and those of a cycle."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from neurodeploy.execution.native.plans import INT16
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection
from neurodeploy.ir.neurons import Input, MaxPool


@dataclass(slots=True)
class Stage:
    """Populations of one input; signs against the weights of the first."""

    names: list[str]
    signs: list[int]


@dataclass(slots=True)
class Component:
    """One stage, or those of a cycle, which advance step by step together."""

    stages: list[Stage]
    cycle: bool

    def heard(self, netlist: IntegerNetlist) -> set[str]:
        """Populations outside that any of its stages reads."""
        own = {name for stage in self.stages for name in stage.names}
        first = [stage.names[0] for stage in self.stages]
        return {q.pre for name in first for q in netlist.incoming[name]} - own


def grouped(netlist: IntegerNetlist) -> list[Component]:
    """Components in order; populations with the same input, or its negative, share a stage."""
    found: list[Component] = []
    known: dict[object, tuple[Stage, int]] = {}
    late = delays(netlist)
    for names in netlist.schedule.components:
        if isinstance(netlist.by_name[names[0]].model, Input):
            continue
        if any(is_inner(netlist, q) for name in names for q in netlist.incoming[name]):
            found.append(Component([Stage([name], [1]) for name in names], True))
            continue
        key, sign = _heard(netlist, late, names[0])
        if key in known:
            stage, first_sign = known[key]
            stage.names.append(names[0])
            stage.signs.append(sign * first_sign)
            continue
        stage = Stage([names[0]], [1])
        if key is not None:
            known[key] = stage, sign
        found.append(Component([stage], False))
    return found


def is_inner(netlist: IntegerNetlist, projection: IntegerProjection) -> bool:
    """Whether both ends lie in one component."""
    component_of = netlist.schedule.component_of
    return component_of[projection.pre] == component_of[projection.post]


def delays(netlist: IntegerNetlist) -> dict[int, int]:
    """Steps of each projection, by its ``id``."""
    return {id(q): d for q, d in zip(netlist.projections, netlist.schedule.delays, strict=True)}


def _heard(netlist: IntegerNetlist, late: dict[int, int], name: str) -> tuple[object, int]:
    """Key of a population's input up to its sign, and the sign; None: never shared."""
    population = netlist.by_name[name]
    incoming = netlist.incoming[name]
    if isinstance(population.model, MaxPool) or not incoming:
        return None, 1
    weights = [q.connectivity.weight for q in incoming]
    first = next((w.flat[np.flatnonzero(w)[0]] for w in weights if w.any()), 1)
    sign = -1 if first < 0 and min(int(w.min(initial=0)) for w in weights) >= -INT16 else 1
    key = tuple(
        (
            q.pre,
            late[id(q)],
            type(q.connectivity),
            _geometry(q),
            hashlib.sha256((weight * sign).tobytes()).digest(),
        )
        for q, weight in zip(incoming, weights, strict=True)
    )
    return (netlist.schedule.depth[name], population.shape, key), sign


def _geometry(projection: IntegerProjection) -> object:
    """Geometry of a connectivity, and the exponents."""
    connectivity = projection.connectivity
    parts: list[object] = [np.asarray(projection.exponent).tobytes(), projection.exponent.shape]
    for name in connectivity.__dataclass_fields__:
        value = getattr(connectivity, name)
        if name != "weight":
            parts.append(value.tobytes() if isinstance(value, np.ndarray) else value)
    return (*parts, connectivity.weight.shape)
