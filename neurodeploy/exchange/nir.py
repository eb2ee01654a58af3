"""A NIR graph as a real-valued netlist, by the dynamics of a framework.

Every node with a state is a population; linear nodes between two of them are one linear map. What a
step adds to a membrane is folded into the weights: with e the part that a step takes (dt / tau or
1 - exp(-dt / tau)) and g the gain of an input, ``v <- (1 - e) v + g (W s + b) + e v_leak``.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurodeploy.errors import FileFormatError, NetlistError, UnsupportedLayerError, UsageError
from neurodeploy.exchange.assembly import Assembly, Link, composed, spread_evenly
from neurodeploy.exchange.dynamics import SHORT_TAU, Dynamics
from neurodeploy.exchange.left_over import may_leave_more
from neurodeploy.exchange.nir_graph import INTEGRATORS, PASSING, SPIKING, Graph, Node
from neurodeploy.exchange.nir_maps import Shapes, bias_of, linear_map, reshaping, scaling
from neurodeploy.ir.arrays import FloatArray
from neurodeploy.ir.connectivity import Connectivity, Dense, Sparse, identity
from neurodeploy.ir.netlist import Output, RealNetlist
from neurodeploy.ir.neurons import Input, RealNeuron

SNAP = 1e-5


@dataclass(frozen=True, slots=True)
class Signal:
    """What a population (None: the constant 1) sends, some steps later and through a map."""

    source: str | None
    delay: int
    map: Connectivity | None
    constant: FloatArray | None = None


def refusal(graph: Graph, dynamics: Dynamics) -> str | None:
    """Why a dynamics does not read a graph; None where it does."""
    for node in graph.nodes.values():
        if node.type in dynamics.refuses:
            why = dynamics.refuses[node.type]
            return f"{node.name}: {node.type} by dynamics {dynamics.name}: {why}"
        leak = node.parameters.get("v_leak")
        if dynamics.no_leak_potential and leak is not None and np.any(leak):
            return f"{node.name}: v_leak {np.max(np.abs(leak)):g}; {dynamics.name} has none but 0"
    return None


def nir_netlist(
    graph: Graph,
    dynamics: Dynamics,
    *,
    name: str,
    dt: float | None,
    timesteps: int,
    input_model: Input,
) -> tuple[RealNetlist, list[str]]:
    """The netlist, and what has to be told about how the file was read.

    Raises
    ------
    FileFormatError
        If nodes and edges do not fit together.
    UnsupportedLayerError
        If the dynamics has no reading of a node, or only spikes could carry what an edge does not.
    UsageError
        If a step is needed and none is given.
    """
    why = refusal(graph, dynamics)
    if why is not None:
        raise UnsupportedLayerError(f"{graph.where}: {why}; choose other --dynamics")
    try:
        return _Lowering(graph, dynamics, dt).netlist(name, timesteps, input_model)
    except RecursionError:
        raise FileFormatError(
            f"{graph.where}: too many linear nodes one behind the other; merge them"
        ) from None


class _Lowering:
    def __init__(self, graph: Graph, dynamics: Dynamics, dt: float | None) -> None:
        self.graph, self.dynamics = graph, dynamics
        self.shapes = Shapes(graph)
        self.assembly = Assembly(integer=False, every_step=dynamics.input_at == "t-1")
        self.names: dict[str, str] = {}
        self.cyclic = graph.cyclic()
        self.known: dict[str, list[Signal]] = {}
        self.open: list[str] = []
        self.step = 1.0 if dynamics.in_steps else dt or dynamics.dt
        self.dt = dt or dynamics.dt

    def refuse(self, name: str, why: str) -> FileFormatError:
        return self.shapes.refuse(name, why)

    def time_step(self, node: Node) -> float:
        if self.step is None:
            raise UsageError(
                f"{self.graph.where}: {node.name}: a {node.type} needs the length of a step, which "
                "NIR does not hold; give --dt S (many files are of 1e-4)"
            )
        return self.step

    def netlist(self, name: str, timesteps: int, model: Input) -> tuple[RealNetlist, list[str]]:
        for node in sorted(self.graph.nodes.values(), key=lambda n: n.type != "Input"):
            if node.type == "Input" or node.is_neuron:
                self.names[node.name] = self.assembly.free_name(node.name)
                self.population(node, model)
        for node in self.graph.nodes.values():
            if node.is_neuron:
                self.connect(node)
        for node in self.graph.nodes.values():
            if node.type == "Output":
                self.output(node)
        if self.dynamics.input_at == "t-1":
            self.shapes.note(
                "every layer is one step later than what it hears: windows take that out, and in "
                "the time of its own window a layer does what it did there"
            )
        netlist = self.assembly.netlist(name, timesteps, self.dt or 1e-3)
        assert isinstance(netlist, RealNetlist)
        self.tell_twice(netlist)
        return netlist, [*self.graph.notes, *self.shapes.notes, *self.assembly.notes]

    def tell_twice(self, netlist: RealNetlist) -> None:
        """Where snnTorch compares with something else than what it subtracts."""
        found = may_leave_more(netlist) if self.dynamics.name == "snntorch-same-step" else []
        if found:
            self.shapes.note(
                f"{', '.join(found)}: snnTorch 1.0.0 with reset_delay=False compares with twice "
                "the threshold after a spike that left more than one, which the weights do not "
                "rule out here: there its spikes are others"
            )

    def population(self, node: Node, model: Input) -> None:
        shape = self.shapes.leaving[node.name]
        chosen: Any = model if node.type == "Input" else self.neuron(node)
        try:
            self.assembly.add(self.names[node.name], shape, chosen)
        except NetlistError as error:
            raise self.refuse(node.name, f"{error}") from error

    def part(self, node: Node, tau: str) -> FloatArray:
        """The part of itself that a step takes of what decays with ``tau``."""
        times, step = self.shapes.spread(node, tau), self.time_step(node)
        if (times <= 0).any():
            raise self.refuse(node.name, f"{tau} {times.min():g}; expected above 0")
        if self.dynamics.integration == "exponential":
            return np.asarray(-np.expm1(-step / times))
        found = step / times
        # tau = dt is written by frameworks as a rounded number.
        found = np.where(np.abs(found - 1) < 1e-6, 1.0, found)
        if (found > 1).any():
            remedy = SHORT_TAU.get(self.dynamics.name, "use a smaller dt")
            raise self.refuse(
                node.name, f"{tau} {times.min():g} is shorter than a step of {step:g}; {remedy}"
            )
        return np.asarray(found)

    def gain(self, node: Node) -> FloatArray:
        """What an input counts in the membrane."""
        if node.type == "Threshold":
            return np.ones(self.shapes.leaving[node.name])
        r = self.shapes.spread(node, "r")
        kind: str = self.dynamics.gain
        if node.type in ("IF", "I"):
            how = self.dynamics.if_gain
            found = np.ones_like(r) if how == "one" else r
            return found * self.time_step(node) if how == "file" else found
        tau = "tau_mem" if node.type.startswith("Cuba") else "tau"
        if kind == "one":
            return np.ones_like(r)
        part = self.part(node, tau)
        if kind == "euler":
            part = np.asarray(self.time_step(node) / self.shapes.spread(node, tau))
        # Norse's own CubaLIF has r and w_in, its LIF neither.
        found = part if kind == "no-r" and tau == "tau" else part * r
        return self.snapped(found)

    def synapse_gain(self, node: Node) -> FloatArray:
        """What an input counts in the current of a Cuba neuron."""
        part = self.part(node, "tau_syn")
        if self.dynamics.gain == "euler":
            part = np.asarray(self.time_step(node) / self.shapes.spread(node, "tau_syn"))
        if "w_in" in node.parameters:
            part = part * self.shapes.spread(node, "w_in")
        return self.snapped(part)

    def snapped(self, gain: FloatArray) -> FloatArray:
        if not self.dynamics.snap:
            return gain
        return np.where(np.abs(gain - 1) <= SNAP, 1.0, gain)

    def neuron(self, node: Node) -> RealNeuron:
        """The neurons of a node; its weights take the gain."""
        shape = self.shapes.leaving[node.name]
        rules = self.dynamics
        zero = np.zeros(shape)
        values: dict[str, FloatArray] = {}
        leak = self.shapes.spread(node, "v_leak") if "v_leak" in node.parameters else zero
        start = leak if rules.start == "leak" else zero
        decay = zero
        if node.type in ("LIF", "LI"):
            decay = self.part(node, "tau")
        elif node.type in ("CubaLIF", "CubaLI"):
            decay = self.part(node, "tau_mem")
            values["current_decay"] = self.part(node, "tau_syn")
        elif node.type == "Threshold":
            decay = np.ones(shape)
        values["bias"] = decay * leak
        options: dict[str, Any] = {"threshold": None, "reset": "none"}
        if node.type in SPIKING:
            options, start = self.firing(node, start)
        values |= {"initial_membrane": start, "membrane_decay": decay}
        told = {key: spread_evenly(value, shape) for key, value in values.items()}
        try:
            return RealNeuron(**{**told, **options})
        except NetlistError as error:
            raise self.refuse(node.name, f"{error}") from error

    def firing(self, node: Node, start: FloatArray) -> tuple[dict[str, Any], FloatArray]:
        """What a node that fires has beyond its integration, and where its membrane starts."""
        shape, rules = self.shapes.leaving[node.name], self.dynamics
        key = "threshold" if node.type == "Threshold" else "v_threshold"
        theta = self.shapes.spread(node, key)
        options: dict[str, Any] = {
            "threshold": spread_evenly(theta, shape),
            "strict": rules.compare == ">",
            "reset": "none",
        }
        if node.type == "Threshold":
            return options, start
        options["payload_max"] = rules.multi_spike
        reset = self.shapes.spread(node, "v_reset") if "v_reset" in node.parameters else None
        if rules.start == "reset" and reset is not None:
            start = reset
        options["reset"] = rules.reset
        if rules.reset == "file":
            options["reset"] = "zero"
            if reset is None:
                self.shapes.note(f"{node.name}: the file has no v_reset: it is 0")
            elif reset.any():
                options |= {"reset": "value", "reset_value": spread_evenly(reset, shape)}
        elif reset is not None and reset.any():
            self.shapes.note(
                f"{node.name}: v_reset up to {np.abs(reset).max():g} in the file is not used by "
                f"dynamics {rules.name} (reset {rules.reset})"
            )
        if rules.floor is not None and (rules.leaky_floor or node.type == "IF"):
            options["floor"] = spread_evenly(rules.floor * theta, shape)
        return options, start

    def signals(self, name: str) -> list[Signal]:
        """What leaves a node, back to the populations that send it."""
        node = self.graph.nodes[name]
        if node.type in INTEGRATORS:
            after = self.graph.after(name)[0]
            raise UnsupportedLayerError(
                f"{self.graph.where}: {name} -> {after}: a {node.type} sends its membrane, and "
                "only spikes travel between populations; let it lead to the Output alone"
            )
        if name in self.names:
            return [Signal(self.names[name], 0, None)]
        if name in self.known:
            return self.known[name]
        if name in self.open:
            path = " -> ".join([*self.open[self.open.index(name) :], name])
            raise self.refuse(name, f"the cycle {path} has no neuron in it; put one there")
        self.open.append(name)
        found = self.through(node, self.heard(name))
        self.open.pop()
        self.known[name] = found
        return found

    def heard(self, name: str) -> list[Signal]:
        """What arrives at a node."""
        return [s for before in self.graph.before(name) for s in self.signals(before)]

    def through(self, node: Node, arriving: list[Signal]) -> list[Signal]:
        """Signals behind a linear node."""
        if node.type in (PASSING, "Output"):
            return arriving
        if node.type == "Delay":
            return self.later(node, arriving)
        own = linear_map(node, self.shapes.arriving[node.name], self.shapes)
        found = [self.mapped(s, own, node.name) for s in arriving]
        bias = bias_of(node, self.shapes.leaving[node.name], self.shapes)
        if bias is not None:
            late = self.dynamics.late_feedback and node.name in self.cyclic
            found.append(Signal(None, int(late), None, bias))
        return found

    def mapped(self, signal: Signal, own: Connectivity | None, where: str) -> Signal:
        if own is None:
            return signal
        if signal.constant is not None:
            return dataclasses.replace(signal, constant=own.apply(signal.constant[None])[0])
        return dataclasses.replace(signal, map=composed(own, signal.map, where))

    def later(self, node: Node, arriving: list[Signal]) -> list[Signal]:
        """Signals behind a Delay: one for every number of steps in it."""
        times = self.shapes.spread(node, "delay")
        steps = times / self.time_step(node) if times.any() else times
        whole = np.rint(steps)
        off = np.abs(steps - whole) > 1e-4
        if off.any() or (whole < 0).any():
            worst = float(steps[off | (whole < 0)][0])
            raise self.refuse(
                node.name, f"a delay of {worst:g} steps of {self.step:g}; expected whole steps >= 0"
            )
        found = []
        for k in np.unique(whole):
            mask = None if (whole == k).all() else _mask(whole == k)
            for signal in arriving:
                masked = self.mapped(signal, mask, node.name)
                found.append(dataclasses.replace(masked, delay=signal.delay + int(k)))
        return found

    def connect(self, node: Node) -> None:
        """Projections into a node's population, gains in the weights; constants as its bias."""
        gain = self.gain(node)
        slow = node.type in ("CubaLIF", "CubaLI")
        if slow:
            gain = gain * self.synapse_gain(node)
        self.project(self.names[node.name], node.name, self.heard(node.name), gain, slow)

    def project(
        self, post: str, where: str, signals: list[Signal], gain: FloatArray, slow: bool
    ) -> None:
        shape = gain.shape
        bias = np.zeros(shape)
        for signal in signals:
            if signal.constant is None:
                assert signal.source is not None
                weighed = _gained(signal.map, gain, where)
                self.assembly.links.append(Link(signal.source, post, weighed, signal.delay))
            elif slow or signal.delay:
                # A current with memory adds it up: it needs a source that sends in every step.
                weight = (gain * signal.constant).reshape(-1, 1)
                each: Connectivity = Dense(weight, (1,))
                if len(shape) > 1:
                    each = composed(reshaping((gain.size,), shape), each, where) or each
                self.assembly.links.append(Link(self.assembly.constant(), post, each, signal.delay))
            else:
                bias = bias + gain * signal.constant
        if bias.any():
            self.assembly.add_bias(post, bias)

    def output(self, node: Node) -> None:
        """How an Output is read: counts, a membrane, or the sum of what arrives."""
        source = self.read_directly(node)
        if source is not None:
            reads = "counts" if self.graph.nodes[source].type in SPIKING else "membrane"
            entry = Output(self.names[source], reads)  # type: ignore[arg-type]
            if entry.population in {o.population for o in self.assembly.outputs}:
                raise self.refuse(node.name, f"{source} leads to two Outputs; leave one out")
            self.assembly.outputs.append(entry)
            return
        shape = self.shapes.arriving[node.name]
        name = self.assembly.free_name(node.name)
        self.assembly.add(name, shape, RealNeuron(None, np.zeros(()), np.zeros(()), reset="none"))
        self.project(name, node.name, self.heard(node.name), np.ones(shape), False)
        self.assembly.outputs.append(Output(name, "membrane"))
        self.shapes.note(f"{node.name}: what arrives is added up over a sample")

    def read_directly(self, node: Node) -> str | None:
        """The one node of neurons whose values arrive as they are, in whatever shape."""
        name = node.name
        while True:
            before = self.graph.before(name)
            if len(before) != 1:
                return None
            (name,) = before
            found = self.graph.nodes[name]
            if found.is_neuron:
                return name
            if found.type not in (PASSING, "Flatten"):
                return None


def _mask(kept: Any) -> Connectivity:
    index = np.flatnonzero(kept.reshape(-1)).astype(np.int64)
    return Sparse(np.ones(index.size), index, index, kept.shape, kept.shape)


def _gained(connectivity: Connectivity | None, gain: FloatArray, where: str) -> Connectivity:
    """A map whose results count by the gain of each neuron."""
    shape = gain.shape
    even = spread_evenly(gain, shape)
    if connectivity is None:
        return identity(shape, even) if even.ndim <= 1 else scaling(gain)
    if even.ndim == 0 and even == 1:
        return connectivity
    if even.ndim <= 1:
        return connectivity.scale_channels(np.broadcast_to(even, shape[:1]))
    return composed(scaling(gain), connectivity, where) or connectivity
