"""Parts of a Brian2 Network: groups of neurons, links between them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.bounds import PopulationBounds, prove_bounds
from neurodeploy.ir.netlist import IntegerProjection, Population
from neurodeploy.ir.neurons import Input, IntegerNeuron, MaxPool
from neurodeploy.targets.timed import TimedNetlist


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """One population.

    Parameters
    ----------
    population : Population
    object : str
        Name of its NeuronGroup.
    depth : int
        First step of the window.
    low, high : int
        Range of the emitted values, proved.
    """

    population: Population
    object: str
    depth: int
    low: int
    high: int

    @property
    def name(self) -> str:
        """Name of the population."""
        return self.population.name

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the population."""
        return self.population.shape

    @property
    def size(self) -> int:
        """Neurons of one sample."""
        return self.population.size

    @property
    def kind(self) -> Literal["current", "spikes", "neuron", "pool"]:
        """Neuron model."""
        model = self.population.model
        if isinstance(model, Input):
            return model.kind
        return "pool" if isinstance(model, MaxPool) else "neuron"

    @property
    def neuron(self) -> IntegerNeuron | None:
        """The model of a group of neurons."""
        model = self.population.model
        return model if isinstance(model, IntegerNeuron) else None

    @property
    def n_cells(self) -> int:
        """Targets of its synapses in one sample: those of a pool are more than its neurons."""
        return math.prod(self.population.input_shape)

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

    def quantity(self, name: str) -> IntArray | None:
        """A quantity of each neuron, flat; None where it does not apply."""
        value = getattr(self.population.model, name, None)
        return None if value is None else self.population.spread(value).reshape(-1)


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """One projection.

    Parameters
    ----------
    projection : IntegerProjection
    object : str
        Name of its Synapses.
    pre, post : str
        Objects of the groups.
    """

    projection: IntegerProjection
    object: str
    pre: str
    post: str

    @property
    def name(self) -> str:
        """``pre->post`` of the netlist."""
        return self.projection.label

    @property
    def delay(self) -> int:
        """Steps, at least 1."""
        assert self.projection.delay is not None  # a timed netlist gives every delay
        return self.projection.delay

    def synapses(self) -> tuple[IntArray, IntArray, IntArray]:
        """Flat source, flat target and weight (exponent included) of every synapse."""
        q = self.projection
        post, pre, weight = q.connectivity.to_coo()
        shift = np.broadcast_to(q.shift(), q.connectivity.post_shape).reshape(-1)
        return pre, post, np.left_shift(weight, shift[post])


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Everything that the Network is built from: a compiled netlist under Brian2's names.

    ``endless``: for a stream, whose windows stay open and whose rasters come in pieces.
    """

    timed: TimedNetlist
    groups: tuple[Group, ...]
    links: tuple[Link, ...]
    endless: bool = False

    @property
    def timesteps(self) -> int:
        """T."""
        return self.timed.timesteps

    @property
    def dt(self) -> float:
        """Seconds per step."""
        return self.timed.netlist.dt

    @property
    def n_steps(self) -> int:
        """Steps that one sample takes."""
        return self.timesteps + self.timed.max_depth

    @property
    def n_synapses(self) -> int:
        """Synapses of one sample."""
        return sum(q.connectivity.n_synapses for q in self.timed.netlist.projections)

    def group(self, name: str) -> Group:
        """The group of a population."""
        return next(g for g in self.groups if g.name == name)


def make_plan(timed: TimedNetlist, steady: Mapping[str, PopulationBounds] | None = None) -> Plan:
    """Name the groups and links of a compiled netlist, and prove what they emit.

    ``steady`` are bounds for any number of steps, which make it a plan for streams.
    """
    taken: set[str] = set()
    bounds = prove_bounds(timed.netlist) if steady is None else steady
    groups = []
    for p in timed.populations:
        if isinstance(p.model, Input):
            emitted = (p.model.low, p.model.high)
        else:
            emitted = (bounds[p.name].spike_low, bounds[p.name].spike_high)
        groups.append(Group(p, _identifier(p.name, taken), timed.depth[p.name], *emitted))
    objects = {g.name: g.object for g in groups}
    links = tuple(
        Link(
            q,
            _identifier(f"{objects[q.pre]}_to_{objects[q.post]}", taken),
            objects[q.pre],
            objects[q.post],
        )
        for q in timed.netlist.projections
    )
    return Plan(timed, tuple(groups), links, endless=steady is not None)


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


def pool_taps(model: MaxPool) -> IntArray:
    """Flat input cells of each pooled neuron, ``[n_taps, n]``.

    ``prod(input_shape)`` stands for a padded cell.
    """
    n_cells = math.prod(model.input_shape)
    cells = np.arange(n_cells, dtype=np.int64).reshape(model.input_shape)
    padded = model.window.pad(cells, n_cells)
    taps = []
    for _, where in model.window.taps():
        every_channel = (slice(None), *where)
        taps.append(padded[every_channel].reshape(-1))
    return np.stack(taps)


def describe(plan: Plan) -> dict[str, Any]:
    """Sizes, as JSON values."""
    n_inputs = sum(g.size for g in plan.groups if isinstance(g.population.model, Input))
    return {
        "inputs": n_inputs,
        "neurons": sum(g.size for g in plan.groups) - n_inputs,
        "synapses": plan.n_synapses,
        "groups": {g.name: g.size for g in plan.groups},
        "links": {
            f"{q.name}#{i}": q.projection.connectivity.n_synapses for i, q in enumerate(plan.links)
        },
    }
