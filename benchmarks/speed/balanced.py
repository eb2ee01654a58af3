"""The source network with a spiking neuron in the place of every ReLU, for the peers.

All peers get the same one. Batch norms are folded; every layer's weights are scaled so that the
99.9th percentile of the activations on training images is one threshold (Rueckauer et al. 2017,
doi 10.3389/fnins.2017.00682); neurons integrate, fire at 1 and are reset by subtraction. What
comes before the first neurons sees a constant image, and is computed once. Where layers are added
they share one scale, so that deep residual networks need many steps for right answers (ResNet-20:
hundreds); the time of a step is the same whatever is emitted.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.fx import Graph, GraphModule, Interpreter, Node
from torch.nn import functional

from benchmarks.speed.source import folded

PERCENTILE = 99.9
LINEAR = (nn.Conv2d, nn.Linear)
KEPT = (*LINEAR, nn.ReLU, nn.MaxPool2d, nn.AvgPool2d, nn.Flatten)


class NoNeuron(Exception):
    """The network has an activation for which no peer has a neuron."""


@dataclass(frozen=True, slots=True)
class Halves:
    """The network around its first neurons.

    Parameters
    ----------
    before : GraphModule
        From images to the current of the first neurons.
    after : GraphModule
        From this current to the scores; modules ``spiking_0`` and so on stand for the neurons.
    neurons : int
        How many of these there are.
    """

    before: GraphModule
    after: GraphModule
    neurons: int

    def with_neurons(self, make: Callable[[int], nn.Module]) -> GraphModule:
        """The second half with neurons of its own; number 0 sees the constant current."""
        own = copy.deepcopy(self.after)
        for i in range(self.neurons):
            setattr(own, f"spiking_{i}", make(i))
        return own.eval()


def halves(network: nn.Module, calibration: torch.Tensor) -> Halves:
    """Fold, balance and cut.

    Raises
    ------
    NoNeuron
        For other activations than ReLU.
    """
    model = folded(network)
    for module in model.modules():
        if not isinstance(module, (*KEPT, GraphModule)) and not list(module.children()):
            kind = type(module).__name__
            raise NoNeuron(f"no spiking neuron for {kind}, and no conversion of it")
    _balance(model, calibration)
    return _cut(model)


def _is_relu(model: GraphModule, node: Node) -> bool:
    if node.op == "call_module":
        return isinstance(model.get_submodule(str(node.target)), nn.ReLU)
    return node.op == "call_function" and node.target in (functional.relu, torch.relu)


def _is_linear(model: GraphModule, node: Node) -> bool:
    return node.op == "call_module" and isinstance(model.get_submodule(str(node.target)), LINEAR)


class _Watch(Interpreter):
    """Runs a network and keeps a percentile of what every ReLU gives."""

    def __init__(self, model: GraphModule) -> None:
        super().__init__(model)
        self.seen: dict[Node, float] = {}

    def run_node(self, n: Node) -> object:
        out = super().run_node(n)
        if _is_relu(self.module, n):
            assert isinstance(out, torch.Tensor)
            rank = max(1, round(out.numel() * PERCENTILE / 100))
            self.seen[n] = float(out.flatten().kthvalue(rank).values)
        return out


def _balance(model: GraphModule, calibration: torch.Tensor) -> None:
    """Divide activations by a scale per group of values that are added or passed on as they are."""
    parent: dict[Node, Node] = {}

    def group(node: Node) -> Node:
        while parent.setdefault(node, node) is not node:
            node = parent[node]
        return node

    watch = _Watch(model)
    with torch.no_grad():
        watch.run(calibration)
    for node in model.graph.nodes:
        if not _is_linear(model, node):
            for other in node.all_input_nodes:
                if node.op != "output":
                    parent[group(node)] = group(other)
    scales: dict[Node, float] = {}
    for relu, high in watch.seen.items():
        scales[group(relu)] = max(scales.get(group(relu), 0.0), high)
    for node in model.graph.nodes:
        if not _is_linear(model, node):
            continue
        enters = scales.get(group(node.all_input_nodes[0]), 1.0) or 1.0
        leaves = scales.get(group(node), 1.0) or 1.0
        layer = model.get_submodule(str(node.target))
        assert isinstance(layer, LINEAR)
        with torch.no_grad():
            layer.weight *= enters / leaves
            if layer.bias is not None:
                layer.bias /= leaves


def _cut(model: GraphModule) -> Halves:
    relus = [n for n in model.graph.nodes if _is_relu(model, n)]
    current = relus[0].all_input_nodes[0]
    before, after = Graph(), Graph()
    first: dict[Node, Node] = {}
    second = {current: after.placeholder("current")}
    for node in model.graph.nodes:
        if current not in first:
            first[node] = before.node_copy(node, lambda n: first[n])
        elif node in relus:
            args = (second[node.all_input_nodes[0]],)
            second[node] = after.call_module(f"spiking_{relus.index(node)}", args)
        else:
            second[node] = after.node_copy(node, lambda n: second[n])
    before.output(first[current])
    holder = copy.deepcopy(model)
    for i in range(len(relus)):
        holder.add_module(f"spiking_{i}", nn.Identity())
    return Halves(GraphModule(holder, before), GraphModule(holder, after), len(relus))
