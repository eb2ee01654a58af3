"""Delays as other frameworks have them: within the time of the population that hears.

In its own window a population hears a spike ``d + depth(pre) - depth(post)`` steps after it was
sent. Populations that only repeat what they hear some steps later
(:mod:`neurodeploy.exchange.assembly`) become delays again.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurodeploy.errors import UnsupportedLayerError
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, Sparse
from neurodeploy.ir.netlist import IntegerNetlist, RealNetlist
from neurodeploy.ir.neurons import Neuron
from neurodeploy.ir.population import Population
from neurodeploy.ir.projection import IntegerProjection, Projection


@dataclass(frozen=True, slots=True)
class InOwnTime:
    """A netlist without populations that only repeat, and what every projection waits.

    Parameters
    ----------
    netlist : RealNetlist or IntegerNetlist
    steps : tuple of int
        Of every projection, in the order of the netlist: steps beyond an edge; in a cycle beyond
        the one that what comes back takes anyway, from 2 on the whole delay.
    """

    netlist: RealNetlist | IntegerNetlist
    steps: tuple[int, ...]


def in_own_time(netlist: RealNetlist | IntegerNetlist) -> InOwnTime:
    """A netlist as other frameworks see it.

    Raises
    ------
    UnsupportedLayerError
        If spikes overtake those of the main path, which nothing without windows can say.
    """
    waits = _waits(netlist)
    lines = {p.name: line for p in netlist.populations if (line := _line(netlist, p))}
    projections: list[Projection] = []
    steps: list[int] = []
    for q, wait in zip(netlist.projections, waits, strict=True):
        if q.post in lines:
            continue
        if q.pre in lines:
            first, k = lines[q.pre]
            half = _second_half(q.connectivity, netlist.by_name[first.pre].shape)
            assert half is not None
            projections.append(dataclasses.replace(q, pre=first.pre, connectivity=half, delay=None))
            wait += k + waits[netlist.projections.index(first)]
        else:
            projections.append(q)
        steps.append(wait)
    if not lines:
        return InOwnTime(netlist, tuple(steps))
    kept = tuple(p for p in netlist.populations if p.name not in lines)
    whole: Any = tuple(projections)
    return InOwnTime(
        dataclasses.replace(netlist, populations=kept, projections=whole), tuple(steps)
    )


def _waits(netlist: RealNetlist | IntegerNetlist) -> list[int]:
    plan = netlist.schedule
    component = plan.component_of
    found = []
    for q, delay in zip(netlist.projections, plan.delays, strict=True):
        later = delay + plan.depth[q.pre] - plan.depth[q.post]
        if component[q.pre] == component[q.post]:
            later = 0 if delay == 1 else delay
        if lag := netlist.by_name[q.pre].lag:
            raise UnsupportedLayerError(
                f"{q.pre}: listens for {lag} step{'s' * (lag > 1)} before it fires (gains of "
                "steps), which no other framework can say; convert with another --method"
            )
        if later < 0:
            raise UnsupportedLayerError(
                f"{q.label}: a delay of {delay} brings spikes {-later} steps ahead of the main "
                "path, which no other framework can say; leave the delay open"
            )
        found.append(later)
    return found


def _line(netlist: RealNetlist | IntegerNetlist, p: Population) -> tuple[Projection, int] | None:
    """What a population that only repeats hears, and how many steps later it says it."""
    incoming = netlist.incoming[p.name]
    if len(incoming) != 2 or p.name in {o.population for o in netlist.outputs}:
        return None
    own = [q for q in incoming if q.pre == p.name]
    other = [q for q in incoming if q.pre != p.name]
    if len(own) != 1 or len(other) != 1 or own[0].delay is None or not _repeats(p):
        return None
    (first,), (again,) = other, own
    n = netlist.by_name[first.pre].size
    heard, later = first.connectivity, again.connectivity
    index = np.arange(n)
    if not isinstance(heard, Sparse) or not isinstance(later, Sparse) or p.size != 2 * n:
        return None
    for sparse, shift in ((heard, 0), (later, n)):
        if not np.array_equal(sparse.pre, index) or not np.array_equal(sparse.post, index + shift):
            return None
        if (sparse.weight != 1).any():
            return None
    if any(np.any(q.exponent) for q in incoming if isinstance(q, IntegerProjection)):
        return None
    shape = netlist.by_name[first.pre].shape
    sent = [q for q in netlist.outgoing[p.name] if q.post != p.name]
    if any(_second_half(q.connectivity, shape) is None for q in sent):
        return None
    return first, again.delay or 1


def _repeats(p: Population) -> bool:
    model = p.model
    if not isinstance(model, Neuron) or model.threshold is None or model.extensions:
        return False
    one = type(model).whole_decay
    return (
        bool((p.spread(model.threshold) == 1).all())
        and not np.any(model.bias)
        and not np.any(model.initial_membrane)
        and model.reset == "zero"
        and getattr(model, "membrane_decay", None) == one
        and not model.has_current_memory
        and model.payload_code == "integer"
    )


def _second_half(connectivity: Connectivity, shape: tuple[int, ...]) -> Connectivity | None:
    """The map of the second half of twice the channels; None where the first half counts."""
    weight, n = connectivity.weight, math.prod(shape)
    if isinstance(connectivity, Dense):
        return None if weight[:, :n].any() else Dense(weight[:, n:], shape)
    if isinstance(connectivity, Conv):
        if connectivity.groups != 1 or weight[:, : shape[0]].any():
            return None
        return Conv(weight[:, shape[0] :], shape[0], connectivity.window)
    if isinstance(connectivity, Sparse) and (connectivity.pre >= n).all():
        post, pre = connectivity.post, connectivity.pre - n
        return Sparse(weight, post, pre, shape, connectivity.post_shape)
    return None
