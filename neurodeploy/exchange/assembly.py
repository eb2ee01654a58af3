"""Populations and synapses while a foreign network is put together: names, delays, cycles.

Elsewhere a feed-forward edge takes no step. In a netlist it takes at least one, and the windows of
populations are shifted by it, so that each sees in its own time what it would see elsewhere. A
delay that the file gives has to stay within that time: a population in between repeats what it
hears so many steps later, by synapses onto itself, which shift no window.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from neurodeploy.errors import UnsupportedLayerError
from neurodeploy.ir.arrays import FloatArray
from neurodeploy.ir.composition import compose
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, Sparse
from neurodeploy.ir.netlist import IntegerNetlist, Output, Population, RealNetlist
from neurodeploy.ir.neurons import Input, IntegerNeuron, Neuron, RealNeuron
from neurodeploy.ir.projection import IntegerProjection, RealProjection

MAX_DELAY = 10_000
MAX_VALUES = 2**24
"""Neurons of a population, and values of a layer: shapes need no bytes in a file."""
_FORBIDDEN = set(" ,;=/\"'\\")


@dataclass(slots=True)
class Link:
    """Synapses with the steps that the file delays them by beyond what an edge takes."""

    pre: str
    post: str
    connectivity: Connectivity
    delay: int = 0
    exponent: int = 0
    weight_bits: int = 8


@dataclass(slots=True)
class Assembly:
    """A network in parts.

    ``integer`` tells which netlist it becomes, ``every_step`` whether each projection takes a step
    by itself, beside its delay.
    """

    integer: bool
    every_step: bool = field(default=False, kw_only=True)
    populations: dict[str, Population] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unit: str | None = None

    def free_name(self, wanted: str) -> str:
        """A legal name near one of the file that no population has."""
        text = "".join("_" if c in _FORBIDDEN or not c.isprintable() else c for c in wanted) or "_"
        name = self.unused(text)
        if name != wanted:
            self.notes.append(f"{wanted!r} is called {name} here")
        return name

    def unused(self, name: str) -> str:
        """The name, with a number behind it where a population has it already."""
        found, n = name, 1
        while found in self.populations:
            n += 1
            found = f"{name}.{n}"
        return found

    def add(self, name: str, shape: tuple[int, ...], model: Any, **options: Any) -> None:
        """Add a population."""
        self.populations[name] = Population(name, shape, model, **options)

    def neuron(self, **values: Any) -> RealNeuron | IntegerNeuron:
        """A neuron of the netlist's numbers, without bias and at 0 where not told otherwise."""
        zero: Any = 0 if self.integer else 0.0
        complete = {"bias": zero, "initial_membrane": zero, **values}
        return IntegerNeuron(**complete) if self.integer else RealNeuron(**complete)

    @property
    def one(self) -> Any:
        """1 in the numbers of the netlist."""
        return 1 if self.integer else 1.0

    def add_bias(self, name: str, values: FloatArray) -> None:
        """Let the neurons of a real-valued population gain ``[*shape]`` more in every step."""
        population = self.populations[name]
        model = population.model
        assert isinstance(model, RealNeuron)
        bias = spread_evenly(population.spread(model.bias) + values, population.shape)
        self.populations[name] = replace(population, model=replace(model, bias=bias))

    def relay(self, payload: int, signed: bool) -> RealNeuron | IntegerNeuron:
        """A neuron without memory that repeats the whole numbers that arrive."""
        return self.neuron(
            threshold=self.one,
            negative_threshold=self.one if signed else None,
            reset="zero",
            payload_max=payload,
            membrane_decay=4096 if self.integer else 1.0,
        )

    def constant(self) -> str:
        """A population of one neuron that fires in every step: made when first asked for."""
        if self.unit is None:
            self.unit = self.unused("one")
            model = self.neuron(threshold=self.one, bias=self.one, reset="zero")
            self.add(self.unit, (1,), model)
        return self.unit

    def cycles(self) -> dict[str, int]:
        """The strongly connected component of every population."""
        import networkx as nx

        graph = nx.DiGraph()
        graph.add_nodes_from(self.populations)
        graph.add_edges_from((link.pre, link.post) for link in self.links)
        found = enumerate(nx.strongly_connected_components(graph))
        return {name: i for i, members in found for name in members}

    def netlist(self, name: str, timesteps: int, dt: float) -> RealNetlist | IntegerNetlist:
        """The netlist, with delays that are kept by populations that repeat."""
        component = self.cycles()
        self._tell_cycles(component)
        inner: list[tuple[Link, int | None]] = []
        lines: dict[tuple[str, int], str] = {}
        for link in list(self.links):
            if link.delay > MAX_DELAY:
                raise UnsupportedLayerError(
                    f"{link.pre}->{link.post}: a delay of {link.delay} steps against {MAX_DELAY}; "
                    "use a longer dt"
                )
            if component[link.pre] == component[link.post]:
                inner.append((link, link.delay + 1 if self.every_step else max(1, link.delay)))
            elif link.delay:
                inner.extend(self._delayed(link, lines))
            else:
                inner.append((link, None))
        populations = tuple(self.populations.values())
        outputs = tuple(self.outputs)
        if self.integer:
            whole = tuple(
                IntegerProjection(
                    link.pre,
                    link.post,
                    link.connectivity,
                    delay,
                    np.asarray(link.exponent),
                    link.weight_bits,
                )
                for link, delay in inner
            )
            return IntegerNetlist(name, populations, whole, outputs, timesteps, dt)
        real = tuple(RealProjection(x.pre, x.post, x.connectivity, d) for x, d in inner)
        return RealNetlist(name, populations, real, outputs, timesteps, dt)

    def _tell_cycles(self, component: dict[str, int]) -> None:
        members: dict[int, list[str]] = {}
        for name in self.populations:
            members.setdefault(component[name], []).append(name)
        inner = [x for x in self.links if component[x.pre] == component[x.post]]
        longer = {component[x.pre] for x in inner if x.pre != x.post and not x.delay}
        own = {link.pre for link in self.links if link.pre == link.post and not link.delay}
        for name in sorted(own):
            self.notes.append(f"{name} -> {name}: spikes come back one step later")
        for names in members.values():
            if len(names) > 1 and component[names[0]] in longer:
                self._expect_time(names)
                path = " -> ".join([*names, names[0]])
                self.notes.append(f"cycle {path}: each of its projections takes a step")

    def _expect_time(self, members: list[str]) -> None:
        """Refuse a projection of no step between populations that reach each other."""
        import networkx as nx

        if self.every_step:
            return
        graph = nx.DiGraph()
        short = []
        for x in self.links:
            if x.pre in members and x.post in members and x.pre != x.post:
                known = graph.get_edge_data(x.pre, x.post, {"delay": x.delay})
                graph.add_edge(x.pre, x.post, delay=min(x.delay, known["delay"]))
                short += [] if x.delay else [x]
        path = [short[0].pre, *nx.shortest_path(graph, short[0].post, short[0].pre, "delay")]
        n, total = len(path) - 1, sum(graph.edges[e]["delay"] for e in itertools.pairwise(path))
        raise UnsupportedLayerError(
            f"cycle {' -> '.join(path)}: {path[0]} -> {path[1]} takes no step; every projection "
            f"takes one here, {n} in all against {total} by its delays; give each a Delay, or read "
            "every synapse with a step (--input-at t-1)"
        )

    def _delayed(
        self, link: Link, lines: dict[tuple[str, int], str]
    ) -> list[tuple[Link, int | None]]:
        """A link from a population that repeats ``pre`` some steps later, and what drives that."""
        pre = self.populations[link.pre]
        found: list[tuple[Link, int | None]] = []
        doubled = (2 * pre.shape[0], *pre.shape[1:])
        index = np.arange(pre.size, dtype=np.int64)
        ones = np.full(pre.size, self.one)
        key = (link.pre, link.delay)
        if key not in lines:
            name = lines[key] = self.free_name(f"{link.pre}.delay{link.delay}")
            low, high = _emitted(pre)
            self.add(name, doubled, self.relay(max(high, -low), low < 0))
            heard = Sparse(ones, index, index, pre.shape, doubled)
            again = Sparse(ones, index + pre.size, index, doubled, doubled)
            found.append((Link(link.pre, name, heard, weight_bits=2), None))
            found.append((Link(name, name, again, weight_bits=2), link.delay))
        later = _of_second_half(link.connectivity, doubled)
        held = Link(lines[key], link.post, later, 0, link.exponent, link.weight_bits)
        return [*found, (held, None)]


def _emitted(population: Population) -> tuple[int, int]:
    model = population.model
    if isinstance(model, Input):
        return model.low, model.high
    assert isinstance(model, Neuron)
    return (-model.payload_max if model.signed else 0), model.payload_max


def _of_second_half(connectivity: Connectivity, doubled: tuple[int, ...]) -> Connectivity:
    """The same map, of the second half of a population of twice the channels."""
    weight = connectivity.weight
    if isinstance(connectivity, Dense):
        return Dense(np.concatenate([np.zeros_like(weight), weight], axis=1), doubled)
    if isinstance(connectivity, Conv) and connectivity.groups == 1:
        wider = np.concatenate([np.zeros_like(weight), weight], axis=1)
        return Conv(wider, doubled[0], connectivity.window)
    n = math.prod(connectivity.pre_shape)
    if isinstance(connectivity, Sparse):
        post, pre = connectivity.post, connectivity.pre
        return Sparse(weight, post, pre + n, doubled, connectivity.post_shape)
    post, pre, values = connectivity.to_coo()
    return Sparse(values, post, pre + n, doubled, connectivity.post_shape)


def composed(
    second: Connectivity | None, first: Connectivity | None, where: str
) -> Connectivity | None:
    """``second . first`` where None stands for the identity."""
    if second is None or first is None:
        return first if second is None else second
    return compose(second, first, where)


def spread_evenly(values: Any, shape: Sequence[int]) -> Any:
    """Values of a population as few numbers as say them: one, one per channel, or one each."""
    full = np.broadcast_to(np.asarray(values), tuple(shape))
    first = full.reshape(-1)[0]
    if (full == first).all():
        return np.asarray(first)
    channels = full.reshape(full.shape[0], -1)
    if (channels == channels[:, :1]).all():
        return np.ascontiguousarray(channels[:, 0])
    return np.ascontiguousarray(full)
