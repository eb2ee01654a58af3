"""A netlist as a NIR graph, with parameters that a dynamics reads as its neurons.

With e the part of a membrane that a step takes, time constants are those from which the reader
finds e again, and r (or the weights) are such that an input counts as it is. What a projection
waits in the time of its target (:mod:`neurodeploy.exchange.own_time`) is a Delay. What NIR cannot
say is kept in the metadata (:mod:`neurodeploy.exchange.nir_metadata`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from neurodeploy.errors import UnsupportedLayerError
from neurodeploy.exchange.dynamics import Dynamics
from neurodeploy.exchange.hdf5 import Tree
from neurodeploy.exchange.nir_flat import laid_out
from neurodeploy.exchange.nir_graph import PASSING, Graph, Node
from neurodeploy.exchange.nir_layers import Layer, described, layers
from neurodeploy.exchange.own_time import in_own_time
from neurodeploy.exchange.readers import uniform_of
from neurodeploy.ir.arrays import AnyArray, FloatArray
from neurodeploy.ir.connectivity import Connectivity
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, RealNetlist
from neurodeploy.ir.neurons import Input, IntegerNeuron, MaxPool, Neuron
from neurodeploy.ir.population import Population
from neurodeploy.ir.projection import Projection

VERSION = "1.0.8"
STEP = 1e-4
"""Seconds of a step where nothing says another: what snnTorch and SpikingJelly take."""
EQUATION = Dynamics("nir", "the equation of NIR, by forward Euler", ">", "file", "euler", dt=STEP)
CELL, AGAIN = "lif", "w_rec"
"""Names in the graph around neurons that hear themselves: the neurons, and what comes back."""
ENDLESS = 2.0**40
"""Steps of a time constant where nothing decays: 1 less than float32 can tell."""


@dataclass(slots=True)
class Written:
    """A graph, and how the populations of the netlist stand in it.

    Parameters
    ----------
    graph : Graph
    netlist : RealNetlist or IntegerNetlist
        Without lines of delay, and some populations flat (:mod:`neurodeploy.exchange.nir_flat`).
    names : mapping of population to node
    unit : mapping of population to float array ``[*shape]``
        Membrane of the node over that of the population.
    constants : set of str
        Populations that fire in every step, and became biases.
    """

    graph: Graph
    netlist: RealNetlist | IntegerNetlist
    names: dict[str, str] = field(default_factory=dict)
    unit: dict[str, FloatArray] = field(default_factory=dict)
    constants: set[str] = field(default_factory=set)


def write_graph(
    netlist: RealNetlist | IntegerNetlist, dynamics: Dynamics | None, dt: float | None
) -> Written:
    """The graph of a netlist.

    Parameters
    ----------
    netlist : RealNetlist or IntegerNetlist
    dynamics : Dynamics or None
        Whose reading should give the netlist's spikes; None: :data:`EQUATION`.
    dt : float or None
        Length of a step in seconds; None: the dynamics' own.

    Raises
    ------
    UnsupportedLayerError
        For what no nodes of NIR can be, by name.
    """
    return _Writing(netlist, dynamics or EQUATION, dt).whole()


class _Writing:
    def __init__(
        self, netlist: RealNetlist | IntegerNetlist, rules: Dynamics, dt: float | None
    ) -> None:
        timed = in_own_time(netlist)
        self.netlist, self.rules = laid_out(timed.netlist), rules
        self.steps = {id(q): k for q, k in zip(self.netlist.projections, timed.steps, strict=True)}
        self.step = 1.0 if rules.in_steps else dt or rules.dt or STEP
        self.nodes: dict[str, Node] = {}
        self.edges: list[tuple[str, str]] = []
        self.entries: dict[str, str] = {}
        self.exits: dict[str, str] = {}
        self.written = Written(Graph(netlist.name, VERSION, self.nodes, (), ()), self.netlist)

    def whole(self) -> Written:
        netlist, written = self.netlist, self.written
        for what, has in (("input", netlist.inputs), ("output", netlist.outputs)):
            if not has:
                raise UnsupportedLayerError(f"{netlist.name}: has no {what}, and NIR needs one")
        written.constants = {p.name for p in netlist.populations if _is_constant(netlist, p)}
        for p in netlist.populations:
            if p.name in written.constants:
                continue
            if not isinstance(p.model, Input) and not netlist.incoming[p.name]:
                raise UnsupportedLayerError(
                    f"{p.name}: hears nothing, and is no constant: NIR has no source but Input"
                )
            self.population(p)
        for p in netlist.populations:
            if isinstance(p.model, Neuron) and p.name in written.names:
                self.connect(p, p.model)
                if self.exits[p.name] != written.names[p.name]:
                    # Last: what nirtorch runs last is what it takes for the output.
                    self.edges.append((written.names[p.name], self.exits[p.name]))
        for output in netlist.outputs:
            name = self.free("output" if len(netlist.outputs) == 1 else f"{output.population}_out")
            shape = netlist.by_name[output.population].shape
            self.add(name, "Output", shape=np.array(shape))
            self.edges.append((self.exits[output.population], name))
        written.graph = Graph(netlist.name, VERSION, self.nodes, tuple(self.edges), ())
        return written

    def free(self, wanted: str, group: str = "") -> str:
        """A name near the one wanted, of a graph or in one, that Python and every reader take."""
        stem = re.sub(r"\W", "_", wanted, flags=re.ASCII)
        name, n = group + stem, 1
        taken = {*self.nodes, *(node.partition(".")[0] for node in self.nodes)}
        while name in taken:
            n += 1
            name = f"{group}{stem}_{n}"
        return name

    def add(self, name: str, kind: str, **parameters: Any) -> None:
        self.nodes[name] = Node(name, kind, described(parameters))

    def population(self, p: Population) -> None:
        name = self.free(p.name)
        if isinstance(p.model, MaxPool):
            raise UnsupportedLayerError(
                f"{p.name}: NIR has no node for max-pooling; train with average pooling, or "
                "convert with maxima by plain neurons (--pooling identity)"
            )
        own = [q for q in self.netlist.incoming[p.name] if q.pre == p.name]
        if own and not any(self.steps[id(q)] for q in own):
            name = self.around(name, p)
        else:
            self.entries[p.name] = self.exits[p.name] = name
        self.written.names[p.name] = name
        if isinstance(p.model, Input):
            self.add(name, "Input", shape=np.array(p.shape))
            return
        self.written.unit[p.name] = self.unit(p, p.model)
        kind, values = self.neuron(p, p.model)
        self.add(name, kind, **values)

    def around(self, name: str, p: Population) -> str:
        """A graph around a population that hears itself, as snnTorch needs it; the node in it."""
        for kind, ends in (("Input", self.entries), ("Output", self.exits)):
            ends[p.name] = f"{name}.{kind.lower()}"
            self.add(ends[p.name], PASSING, shape=np.array(p.shape), of=kind)
        node = f"{name}.{CELL}"
        self.edges.append((self.entries[p.name], node))
        return node

    def threshold(self, p: Population, model: Neuron) -> FloatArray:
        """What a membrane is compared with: between whole numbers, where nothing is taken off."""
        assert model.threshold is not None
        theta: FloatArray = p.spread(model.threshold).astype(np.float64)
        whole = isinstance(model, IntegerNeuron)
        subtracts = model.reset in ("subtract", "subtract-next")
        return theta - 0.5 if whole and not subtracts else theta

    def unit(self, p: Population, model: Neuron) -> FloatArray:
        one = np.ones(p.shape)
        if not model.fires or "v_threshold" not in uniform_of(self.rules):
            return one
        theta = self.threshold(p, model)
        return one if (theta == theta.reshape(-1)[0]).all() else 1 / theta

    def tau(self, part: FloatArray) -> FloatArray:
        """The time constant of which a step takes a part."""
        if self.rules.integration == "euler":
            return self.step / np.maximum(part, 1 / ENDLESS)
        inner = np.clip(part, 2.0**-52, 1 - 2.0**-52)
        return np.asarray(np.where(part >= 1, self.step / 1000, -self.step / np.log1p(-inner)))

    def taken(self, part: FloatArray) -> FloatArray:
        """The part that a reader finds again."""
        found = self.step / self.tau(part)
        return found if self.rules.integration == "euler" else np.asarray(-np.expm1(-found))

    def resistance(self, part: FloatArray) -> FloatArray:
        """The r with which an input counts once."""
        kind = self.rules.gain
        if kind == "one":
            return np.ones_like(part)
        return self.tau(part) / self.step if kind == "euler" else 1 / self.taken(part)

    def neuron(self, p: Population, model: Neuron) -> tuple[str, dict[str, Any]]:
        membrane, current = parts(p, model)
        unit = self.written.unit[p.name]
        values: dict[str, Any] = {}
        slow = bool((current != 1).any())
        leaky = bool(membrane.any()) or "IF" in self.rules.refuses
        if slow:
            kind = "CubaLI"
            values["tau_syn"], values["tau_mem"] = self.tau(current), self.tau(membrane)
            values["r"], values["w_in"] = self.resistance(membrane), self.resistance(current)
        elif leaky:
            kind = "LI"
            values["tau"] = self.tau(membrane)
            own = self.rules.gain == "no-r"
            values["r"] = np.ones(p.shape) if own else self.resistance(membrane)
        else:
            kind = "I"
            values["r"] = np.full(p.shape, 1 / self.step if self.rules.if_gain == "file" else 1.0)
        if kind != "I":
            values["v_leak"] = np.zeros(p.shape)
        if not model.fires:
            return kind, values
        # A product with its inverse is not always 1, and its readers compare them.
        even = (unit != 1).any()
        values["v_threshold"] = np.ones(p.shape) if even else self.threshold(p, model)
        if model.reset_value is not None:
            # Where it is 0 it is left out, which nir 1.0.4 reads too.
            values["v_reset"] = p.spread(model.reset_value) * unit
        return f"{kind}F", values

    def connect(self, p: Population, model: Neuron) -> None:
        """Synapses into a population, and its bias where one of them or its leak can carry it."""
        netlist, name = self.netlist, self.written.names[p.name]
        node, unit = self.nodes[name], self.written.unit[p.name]
        membrane, current = parts(p, model)
        own = self.rules.gain == "no-r" and "tau" in node.parameters
        scale = unit / self.taken(membrane) if own else unit
        bias = p.spread(model.bias).astype(np.float64)
        slow = bool((current != 1).any())
        constant = np.zeros(p.shape) if slow else bias
        heard = []
        for q in netlist.incoming[p.name]:
            if q.pre in self.written.constants:
                constant = constant + weighed(q).apply(np.ones((1, 1)))[0]
            else:
                heard.append(q)
        left = constant * scale
        for q in heard:
            made, left = layers(weighed(q), scale, left, q.label)
            self.chain(q, made)
        rest = bias * unit if slow else left * unit / scale
        if rest.any() and "v_leak" in node.parameters and not self.rules.no_leak_potential:
            drawn = np.where(membrane > 0, rest / np.maximum(membrane, 1e-300), 0.0)
            self.nodes[name] = Node(name, node.type, {**node.parameters, "v_leak": drawn})

    def chain(self, q: Projection, made: list[Layer]) -> None:
        """Nodes of one projection between its two populations."""
        stem, group, inner = f"{q.pre}_to_{q.post}", "", self.written.names[q.post]
        before, after = self.exits[q.pre], self.entries[q.post]
        if q.pre == q.post and inner != after:
            before = after = inner
            group, stem = inner.removesuffix(CELL), AGAIN
        k = self.steps[id(q)]
        if k:
            shape = self.netlist.by_name[q.pre].shape
            made = [("Delay", {"delay": np.full(shape, k * self.step)}), *made]
        if not made and (before, after) in self.edges:
            # The same edge twice would count once.
            made = [("Scale", {"scale": np.ones(self.netlist.by_name[q.pre].shape)})]
        for kind, values in made:
            name = self.free(stem, group)
            self.add(name, kind, **values)
            self.edges.append((before, name))
            before = name
        self.edges.append((before, after))


def parts(p: Population, model: Neuron) -> tuple[FloatArray, FloatArray]:
    """Parts of membrane and current that a step takes, ``[*shape]`` each."""
    one = type(model).whole_decay
    membrane, current = (
        p.spread(np.asarray(getattr(model, name), dtype=np.float64)) / one
        for name in ("membrane_decay", "current_decay")
    )
    return membrane, current


def weighed(q: Projection) -> Connectivity:
    """A map with its real weights, exponents included."""
    weight: AnyArray = q.connectivity.weight.astype(np.float64)
    found = q.connectivity.with_weight(weight)
    if isinstance(q, IntegerProjection):
        factor = np.broadcast_to(2.0**q.exponent, q.connectivity.post_shape[:1])
        return found.scale_channels(factor)
    return found


def _is_constant(netlist: RealNetlist | IntegerNetlist, p: Population) -> bool:
    """Whether it is one neuron that hears nothing and fires once in every step."""
    model = p.model
    if not isinstance(model, Neuron) or netlist.incoming[p.name] or p.shape != (1,):
        return False
    if model.threshold is None or model.reset != "zero" or model.extensions or model.signed:
        return False
    start = p.spread(model.initial_membrane)
    rises = p.spread(model.bias) >= p.spread(model.threshold)
    twice = p.spread(model.bias) < 2 * p.spread(model.threshold)
    once = model.payload_max == 1 or bool(twice.all())
    return bool(rises.all()) and once and not start.any() and not model.leaks


def nir_tree(graph: Graph, metadata: Tree) -> Tree:
    """The content of a ``.nir`` file."""
    root = _nested(graph.nodes, graph.edges)
    return {"version": graph.version, "node": {**root, "metadata": metadata}}


def _nested(nodes: Mapping[str, Node], edges: Iterable[tuple[str, str]]) -> Tree:
    """Nodes and edges as one graph, those whose names have a point as graphs in it."""
    found: Tree = {}
    groups: dict[str, dict[str, Node]] = {}
    for name, node in nodes.items():
        group, _, inner = name.partition(".")
        if inner:
            groups.setdefault(group, {})[inner] = node
            continue
        values = {k: v for k, v in node.parameters.items() if k != "of"}
        found[name] = {"type": node.parameters.get("of", node.type), **values}
    inside: dict[str, list[tuple[str, str]]] = {group: [] for group in groups}
    outside = []
    for a, b in edges:
        (one, _, start), (other, _, end) = a.partition("."), b.partition(".")
        if start and end and one == other:
            inside[one].append((start, end))
        else:
            outside.append((one, other))
    for group, members in groups.items():
        found[group] = _nested(members, inside[group])
    pairs = np.array(outside, dtype=object).reshape(-1, 2)
    return {"type": "NIRGraph", "nodes": found, "edges": pairs}
