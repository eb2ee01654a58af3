"""What a Brian2 deployment is made of: groups of neurons, links between them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from neurodeploy.ir.arrays import IntArray, frozen
from neurodeploy.ir.bounds import prove_bounds
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Population
from neurodeploy.ir.neurons import Input, IntegerNeuron, MaxPool

GROUP_ARRAYS = ("threshold", "negative_threshold", "bias", "initial_membrane", "taps")
LINK_ARRAYS = ("source", "target", "weight")
Kind = Literal["current", "spikes", "neuron", "pool"]
KINDS: tuple[Kind, ...] = ("current", "spikes", "neuron", "pool")
_GAINS = ("input_gain", "firing_gain")


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """One population. Arrays that do not apply to its kind are None.

    Parameters
    ----------
    name, object : str
        Population and NeuronGroup.
    kind : {"current", "spikes", "neuron", "pool"}
    shape, input_shape : tuple of int
        Of the population, and what its Synapses target (differs for pools only).
    depth : int
        First step of the window.
    low, high : int
        Range of the emitted values.
    reset, payload_max, current_decay, membrane_decay, payload_code, memory, rule, gains
        As in :class:`neurodeploy.ir.neurons.IntegerNeuron` and ``MaxPool``.
    threshold, negative_threshold, bias, initial_membrane : int arrays ``[n]`` or None
    taps : int array ``[n_taps, n]`` or None
        Flat input cells of each pooled neuron; ``prod(input_shape)`` stands for a padded cell.
    """

    name: str
    object: str
    kind: Kind
    shape: tuple[int, ...]
    input_shape: tuple[int, ...]
    depth: int
    low: int
    high: int
    reset: str
    payload_max: int
    current_decay: int
    membrane_decay: int
    threshold: IntArray | None = None
    negative_threshold: IntArray | None = None
    bias: IntArray | None = None
    initial_membrane: IntArray | None = None
    taps: IntArray | None = None
    payload_code: str = "integer"
    memory: bool = False
    rule: str = "maximum"
    input_gain: tuple[int, ...] = ()
    firing_gain: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """Neurons of one sample."""
        return math.prod(self.shape)

    @property
    def emits(self) -> bool:
        """Whether the group emits anything."""
        return self.low < 0 or self.high > 0

    @property
    def signed(self) -> bool:
        """Whether negative spikes occur."""
        return self.low < 0

    @property
    def graded(self) -> bool:
        """Whether a spike needs more than its sign."""
        return self.low < -1 or self.high > 1


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """One projection: explicit synapses of one sample.

    Parameters
    ----------
    name, object : str
        ``pre->post`` of the netlist, and the Synapses.
    pre, post : str
        Objects of the groups.
    delay : int
        Steps, at least 1.
    source, target : int arrays ``[n_synapses]``
    weight : int array ``[n_synapses]``
        Exponents included.
    """

    name: str
    object: str
    pre: str
    post: str
    delay: int
    source: IntArray
    target: IntArray
    weight: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Everything that the Network is built from."""

    name: str
    timesteps: int
    dt: float
    groups: tuple[Group, ...]
    links: tuple[Link, ...]
    outputs: tuple[str, ...]

    @property
    def n_steps(self) -> int:
        """Steps that one sample takes."""
        return self.timesteps + max(g.depth for g in self.groups)

    @property
    def n_synapses(self) -> int:
        """Synapses of one sample."""
        return sum(link.weight.size for link in self.links)

    def group(self, name: str) -> Group:
        """The group of a population."""
        return next(g for g in self.groups if g.name == name)


def make_plan(netlist: IntegerNetlist) -> Plan:
    """Lower a netlist: names, delays, synapses one by one, quantities neuron by neuron."""
    taken: set[str] = set()
    timing = netlist.schedule
    bounds = prove_bounds(netlist)
    groups = []
    for p in netlist.populations:
        name = _identifier(p.name, taken)
        if isinstance(p.model, Input):
            emitted = (p.model.low, p.model.high)
        else:
            emitted = (bounds[p.name].spike_low, bounds[p.name].spike_high)
        groups.append(_group(p, name, timing.depth[p.name], *emitted))
    objects = {g.name: g.object for g in groups}
    links = tuple(
        _link(q, delay, _identifier(f"{objects[q.pre]}_to_{objects[q.post]}", taken), objects)
        for q, delay in zip(netlist.projections, timing.delays, strict=True)
    )
    outputs = tuple(o.population for o in netlist.outputs if o.reads_membrane)
    return Plan(netlist.name, netlist.timesteps, netlist.dt, tuple(groups), links, outputs)


# Endings of the names of monitors and of a pool's cells: two objects may not share a name.
_RESERVED = ("", "_cells", "_spikes", "_negative_spikes", "_membrane")


def _identifier(name: str, taken: set[str]) -> str:
    stem = re.sub(r"\W", "_", name, flags=re.ASCII)
    stem = stem if stem[0].isalpha() else f"p{stem}"
    candidate, n = stem, 1
    while any(candidate + ending in taken for ending in _RESERVED):
        n += 1
        candidate = f"{stem}_{n}"
    taken.update(candidate + ending for ending in _RESERVED)
    return candidate


def _group(p: Population, name: str, depth: int, low: int, high: int) -> Group:
    model = p.model
    plain = {"reset": "none", "payload_max": 1, "current_decay": 4096, "membrane_decay": 0}
    if isinstance(model, Input):
        shared: dict[str, Any] = {"kind": model.kind, **plain}
    elif isinstance(model, MaxPool):
        shared = {"kind": "pool", "taps": _taps(model), "rule": model.rule, **plain}
    else:
        assert isinstance(model, IntegerNeuron)
        shared = {k: getattr(model, k) for k in (*plain, "payload_code", "memory", *_GAINS)}
        shared["kind"] = "neuron"
        for quantity in model.quantities():
            shared[quantity] = frozen(p.spread(getattr(model, quantity)).reshape(-1))
    return Group(
        name=p.name,
        object=name,
        shape=p.shape,
        input_shape=p.input_shape,
        depth=depth,
        low=low,
        high=high,
        **shared,
    )


def _taps(model: MaxPool) -> IntArray:
    n_cells = math.prod(model.input_shape)
    cells = np.arange(n_cells, dtype=np.int64).reshape(model.input_shape)
    padded = model.window.pad(cells, n_cells)
    taps = []
    for _, where in model.window.taps():
        every_channel = (slice(None), *where)
        taps.append(padded[every_channel].reshape(-1))
    return np.stack(taps)


def _link(q: IntegerProjection, delay: int, name: str, objects: Mapping[str, str]) -> Link:
    post, pre, weight = q.connectivity.to_coo()
    shift = np.broadcast_to(q.shift(), q.connectivity.post_shape).reshape(-1)
    return Link(
        name=q.label,
        object=name,
        pre=objects[q.pre],
        post=objects[q.post],
        delay=delay,
        source=pre,
        target=post,
        weight=np.left_shift(weight, shift[post]),
    )


def describe(plan: Plan) -> dict[str, Any]:
    """Sizes, as JSON values."""
    return {
        "neurons": sum(g.size for g in plan.groups),
        "synapses": plan.n_synapses,
        "groups": {g.name: g.size for g in plan.groups},
        "links": {f"{q.name}#{i}": int(q.weight.size) for i, q in enumerate(plan.links)},
    }
