"""The netlist of a module: what lies between its populations, with the neurons of its layers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from neurodeploy.conversion.lowering.affine import Affine, Term, population_term
from neurodeploy.conversion.lowering.context import (
    Blocks,
    Lowering,
    LoweringOptions,
    located,
    merged,
)
from neurodeploy.conversion.lowering.operators import OPERATIONS
from neurodeploy.errors import NetlistError, UnsupportedLayerError
from neurodeploy.exchange.assembly import Assembly, Link, spread_evenly
from neurodeploy.exchange.modules.layer import Behaviour
from neurodeploy.ir.arrays import FloatArray
from neurodeploy.ir.connectivity import Connectivity, Dense, Sparse, SumPool
from neurodeploy.ir.netlist import Output, RealNetlist
from neurodeploy.ir.neurons import Input, MaxPool, RealNeuron
from neurodeploy.source import analog
from neurodeploy.source.analog import AnalogGraph, AnalogNode
from neurodeploy.source.torch.spiking import SpikingGraph
from neurodeploy.source.torch.step_values import StateOf

_NO_NEURON = (
    analog.ReLU,
    analog.Clip,
    analog.LeakyReLU,
    analog.Function,
    analog.QuantizedReLU,
    analog.Softmax,
)


@dataclasses.dataclass(frozen=True, slots=True)
class Entering:
    """What enters: the model of its population, and what one of it counts in the module."""

    model: Input
    worth: float = 1.0


class _Exact(Lowering):
    """Linear layers are multiplied, never coded: between spiking layers nothing else fires."""

    def __init__(self, graph: AnalogGraph) -> None:
        super().__init__(graph, LoweringOptions(average_pooling="fold"))

    def coded(self, affine: Affine, name: str, source: str | None) -> Affine:
        """The expression itself."""
        return affine


class Building:
    """A netlist in parts, while the graph between its populations is read."""

    def __init__(
        self,
        spiking: SpikingGraph,
        behaviours: Mapping[str, Behaviour],
        recurrences: Mapping[str, AnalogGraph],
        entering: Entering,
    ) -> None:
        self.spiking, self.behaviours = spiking, behaviours
        self.recurrences, self.entering = recurrences, entering
        self.assembly = Assembly(integer=False)
        self.lowering = _Exact(spiking.graph)
        self.names: dict[str, str] = {}
        # Sources of terms that are a population some steps before: their names stand for both.
        self.earlier: dict[str, tuple[str, int]] = {}
        self.given: str | None = None

    def netlist(self, name: str, timesteps: int) -> tuple[RealNetlist, list[str]]:
        """The netlist, and what has to be told."""
        operations: dict[type, Any] = dict(OPERATIONS)
        operations |= {analog.Input: self.source, analog.MaxPool: self.maximum}
        operations |= dict.fromkeys(_NO_NEURON, self.no_neuron)
        for layer, heard in self.spiking.hears.items():
            self.population(layer, self.spiking.graph.node(heard).shape)
        for node in self.spiking.graph.nodes:
            taken = [self.lowering.tensors[source] for source in node.inputs]
            self.lowering.tensors[node.name] = operations[type(node.op)](self.lowering, node, taken)
        for layer, heard in self.spiking.hears.items():
            self.connect(layer, merged(self.lowering.tensors[heard], layer))
        self.outputs()
        self.expect_time_in_cycles()
        found = self.assembly.netlist(name, timesteps, 1e-3)
        assert isinstance(found, RealNetlist)
        notes = [note for behaviour in self.behaviours.values() for note in behaviour.notes]
        return found, [*notes, *self.assembly.notes]

    def population(self, layer: str, shape: tuple[int, ...]) -> None:
        """The neurons of a layer, without what arrives at them."""
        told = dict(self.behaviours[layer].neuron)
        zero = np.zeros(())
        bias = told.pop("bias", zero)
        neuron = {"bias": spread_evenly(bias, shape), "initial_membrane": zero, **told}
        name = self.names[layer] = self.assembly.free_name(layer)
        try:
            self.assembly.add(name, shape, RealNeuron(**neuron))
        except NetlistError as error:
            raise UnsupportedLayerError(f"{layer}: {error}") from error

    def source(self, lowering: Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
        """What enters the graph: data, or the spikes of a population, perhaps of a step before."""
        layer, lag = self.spiking.sent[node.name]
        if layer is None:
            name, worth = self.data(node), np.asarray(self.entering.worth)
        else:
            name, worth = self.names[layer], self.behaviours[layer].worth
        model: Any = self.assembly.populations[name].model
        if not isinstance(model, Input) and model.threshold is None:
            self.expect_unheard(node, str(layer))
        source = name
        if lag:
            source = f"{name}@{lag}"
            self.earlier[source] = (name, lag)
        if not getattr(model, "low", 0) < 0 and not getattr(model, "signed", False):
            lowering.ceiling[source] = np.inf
        term = population_term(source, node.shape)
        return (term if (worth == 1).all() else term.scaled(worth),)

    def data(self, node: AnalogNode) -> str:
        """The population of what enters."""
        if self.given is None:
            self.given = self.assembly.free_name("input")
            self.assembly.add(self.given, node.shape, self.entering.model)
        return self.given

    def expect_unheard(self, node: AnalogNode, layer: str) -> None:
        """A membrane may be returned; nothing else hears it."""
        if self.spiking.graph.consumers(node.name):
            raise UnsupportedLayerError(
                f"{layer}: sends its membrane, and only spikes travel between populations; "
                "let it be what the module returns"
            )

    def no_neuron(self, lowering: Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
        """What is computed on values: between spiking layers there are sums and maxima alone."""
        block = merged(taken[0], node.name)
        if isinstance(node.op, analog.ReLU) and lowering.is_non_negative(block):
            return taken[0]
        if isinstance(node.op, analog.Softmax):
            return taken[0]
        raise UnsupportedLayerError(
            f"{located(node)}: {node.op.kind} between spiking layers: no neuron of the network "
            "computes it; put a spiking layer there, or leave it out"
        )

    def maximum(self, lowering: Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
        """Max-pooling of what a step brings."""
        op: Any = node.op
        block = merged(taken[0], node.name)
        window = op.window(block.shape)
        pooled = self.any_spike(block, window, node)
        if pooled is not None:
            return (pooled,)
        channels = block.shape[0]
        rows = block.bias.reshape(channels, -1)
        even = bool((rows == rows[:, :1]).all())
        bare = dataclasses.replace(block, bias=np.zeros(block.shape)) if even else block
        signed = not lowering.is_non_negative(bare)
        model = MaxPool(channels, window, "now", signed)
        name = self.assembly.free_name(node.name)
        self.assembly.add(name, model.output_shape, model)
        self.project(name, bare, block.shape)
        if not even:
            self.constant_into(name, bare.bias)
        found = population_term(name, model.output_shape)
        if not signed:
            lowering.ceiling[name] = np.inf
        return (found.shifted(rows[:, 0]) if even else found,)

    def any_spike(self, block: Affine, window: Any, node: AnalogNode) -> Affine | None:
        """The maximum of binary spikes: a neuron that fires where one of them arrives."""
        if len(block.terms) != 1 or block.bias.any():
            return None
        (term,) = block.terms
        origin, lag = self.origin(term)
        source = self.assembly.populations[origin]
        model: Any = source.model
        binary = (
            (model.low, model.high) == (0, 1)
            if isinstance(model, Input)
            else isinstance(model, RealNeuron) and model.payload_max == 1 and not model.signed
        )
        worth = term.scale[:1]
        plain = (
            term.connectivity is None
            and term.source_shape == block.shape
            and (term.scale == worth).all()
            and worth[0] > 0
        )
        if not binary or not plain or source.is_current_input:
            return None
        layer = SumPool(np.ones(block.shape[0]), window)
        name = self.assembly.free_name(node.name)
        one = np.ones(())
        fires = RealNeuron(one, np.zeros(()), np.zeros(()), reset="zero", membrane_decay=1.0)
        self.assembly.add(name, layer.post_shape, fires)
        self.assembly.links.append(Link(origin, name, layer, lag))
        self.lowering.ceiling[name] = 1.0
        return population_term(name, layer.post_shape).scaled(worth[0])

    def connect(self, layer: str, heard: Affine) -> None:
        """Projections into a layer's population, its gain in the weights."""
        behaviour = self.behaviours[layer]
        name = self.names[layer]
        weighed = heard.scaled(behaviour.gain)
        self.project(name, weighed, heard.shape)
        constant = weighed.bias
        if behaviour.recurrent is not None:
            own = self.recurrence(layer).scaled(behaviour.gain)
            self.project(name, own, heard.shape, lag=1)
            if behaviour.late_recurrence and own.bias.any():
                self.constant_into(name, own.bias, delay=1)
            else:
                constant = constant + own.bias
        if not constant.any():
            return
        model = self.assembly.populations[name].model
        assert isinstance(model, RealNeuron)
        if model.has_current_memory:
            # A current adds it up, so that it needs a source that sends in every step.
            self.constant_into(name, constant)
        else:
            self.assembly.add_bias(name, constant)

    def recurrence(self, layer: str) -> Affine:
        """What a layer's own spikes of the step before add to its input."""
        graph = self.recurrences[layer]
        lowering = _Exact(graph)
        name = self.names[layer]
        operations: dict[type, Any] = {**OPERATIONS, analog.MaxPool: self.no_neuron}
        operations |= dict.fromkeys(_NO_NEURON, self.no_neuron)
        for node in graph.nodes:
            if isinstance(node.op, analog.Input):
                worth = self.behaviours[layer].worth
                own: Blocks = (population_term(name, node.shape).scaled(worth),)
            else:
                taken = [lowering.tensors[source] for source in node.inputs]
                own = operations[type(node.op)](lowering, node, taken)
            lowering.tensors[node.name] = own
        shape = self.assembly.populations[name].shape
        return merged(lowering.tensors[graph.outputs[0]], layer).reshaped(shape)

    def project(self, post: str, affine: Affine, shape: tuple[int, ...], lag: int = 0) -> None:
        """A link for every term, of ``lag`` steps more than it tells."""
        for term in affine.terms:
            pre, steps = self.origin(term)
            map_ = _connectivity(term, shape)
            self.assembly.links.append(Link(pre, post, map_, steps + lag))

    def origin(self, term: Term) -> tuple[str, int]:
        """The population of a term, and how many steps before it sends."""
        return self.earlier.get(term.source, (term.source, 0))

    def expect_time_in_cycles(self) -> None:
        """Every projection takes a step inside a cycle: those of no step are refused."""
        component = self.assembly.cycles()
        for link in self.assembly.links:
            if component[link.pre] != component[link.post] or link.delay:
                continue
            members = [n for n in self.assembly.populations if component[n] == component[link.pre]]
            inner = [x for x in self.assembly.links if {x.pre, x.post} <= set(members)]
            raise UnsupportedLayerError(
                f"cycle {' -> '.join([*members, members[0]])}: {link.pre} -> {link.post} takes no "
                f"step in the module, and one here: {len(members)} populations need "
                f"{len(members)} steps in all, it has {sum(x.delay for x in inner)}; let "
                f"{link.post} hear the spikes of the step before"
            )

    def constant_into(self, post: str, constant: FloatArray, delay: int = 0) -> None:
        """The same values in every step, from the population that fires in each."""
        weight = constant.reshape(-1, 1)
        index = np.arange(constant.size)
        each: Connectivity = Dense(weight, (1,))
        if constant.ndim > 1:
            each = Sparse(weight[:, 0], index, np.zeros_like(index), (1,), constant.shape)
        self.assembly.links.append(Link(self.assembly.constant(), post, each, delay))

    def outputs(self) -> None:
        """What the module returns, as what is read."""
        returned = [r for r, _ in self.spiking.returned]
        values = list(dict.fromkeys(r for r in returned if isinstance(r, str)))
        states = [r for r in returned if isinstance(r, StateOf)]
        heard = {link.pre for link in self.assembly.links}
        layers = {value: self.spiking.sent.get(value, (None, 0))[0] for value in values}
        ends = [v for v in values if (n := layers[v]) is None or self.names[n] not in heard]
        single = {r for r, how in self.spiking.returned if how == "last" and self.spiking.steps > 1}
        for value in ends or values:
            self.output(value)
            layer = layers[value]
            fires = layer is None or self.behaviours[layer].neuron["threshold"] is not None
            if value in single and fires:
                self.assembly.notes.append(
                    f"{layer or value}: the module returns its last step alone, here all steps of "
                    "a sample count"
                )
        if not values:
            self.membranes(states)
        hidden = [str(layers[v]) for v in values if v not in (ends or values)]
        if hidden:
            self.assembly.notes.append(
                f"{', '.join(hidden)}: returned, but heard by other layers: no output here"
            )

    def output(self, node: str) -> None:
        """Spikes that are counted, or what arrives, added up over a sample."""
        affine = merged(self.lowering.tensors[node], node)
        plain = len(affine.terms) == 1 and affine.terms[0].connectivity is None
        if plain and not affine.bias.any():
            (term,) = affine.terms
            population = self.assembly.populations[self.origin(term)[0]]
            even = (term.scale == term.scale[0]).all() and term.scale[0] > 0
            if even and isinstance(population.model, RealNeuron):
                reads = "membrane" if population.model.threshold is None else "counts"
                self.read(population.name, reads)
                return
        name = self.assembly.free_name("output")
        zero = np.zeros(())
        bias = spread_evenly(affine.bias, affine.shape)
        self.assembly.add(name, affine.shape, RealNeuron(None, bias, zero, reset="none"))
        self.project(name, affine, affine.shape)
        self.read(name, "membrane")
        self.assembly.notes.append(f"{node}: what arrives is added up over a sample")

    def read(self, population: str, decode: str) -> None:
        """An output, once."""
        if population not in {o.population for o in self.assembly.outputs}:
            self.assembly.outputs.append(Output(population, decode))  # type: ignore[arg-type]

    def membranes(self, states: list[StateOf]) -> None:
        """States alone are returned: of integrators they are read, of others spikes are."""
        for layer in dict.fromkeys(state.layer for state in states):
            name = self.names[layer]
            model = self.assembly.populations[name].model
            assert isinstance(model, RealNeuron)
            self.read(name, "membrane" if model.threshold is None else "counts")
            if model.threshold is not None:
                self.assembly.notes.append(
                    f"{layer}: its membrane is returned; a neuron that fires is read by its spikes"
                )


def _connectivity(term: Term, shape: tuple[int, ...]) -> Connectivity:
    """The map of a term, from its population to neurons of ``shape``."""
    if term.connectivity is not None:
        return term.connectivity
    index = np.arange(term.scale.size)
    return Sparse(term.scale, index, index, term.source_shape, shape)
