"""State of the lowering of an analog graph: tensors, populations and their properties."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from neurodeploy.conversion.lowering.activation_graph import (
    ActivationGraph,
    InputLayer,
    Layer,
    LinearProduct,
    OutputLayer,
    ReluLayer,
    Rewrite,
    sources,
)
from neurodeploy.conversion.lowering.affine import Affine, population_term
from neurodeploy.conversion.lowering.units import MAX_UNITS
from neurodeploy.errors import UnknownNameError, UnsupportedLayerError, UsageError
from neurodeploy.ir.connectivity import Sparse
from neurodeploy.source import analog
from neurodeploy.source.analog import AnalogGraph, AnalogNode

MaxPooling = Literal["exact", "winner", "identity"]
Leaky = Literal["units", "imbalanced"]
AveragePooling = Literal["auto", "spiking", "fold"]
LinearCode = Literal["rails", "signed"]

# A tensor is a row of channel blocks: concatenation needs no synapses, and the layers that take
# it pick their columns. Most tensors are a single block.
Blocks = tuple[Affine, ...]


@dataclass(frozen=True, slots=True)
class LoweringOptions:
    """Choices that change which populations exist.

    Parameters
    ----------
    max_pooling : {"exact", "winner", "identity"}
        The accumulated maximum, or the winner by accumulated count, as a population kind of its
        own, or ``max(a, b) = b + relu(a - b)`` out of plain neurons.
    average_pooling : {"auto", "spiking", "fold"}
        A population of its own, or folded into the next linear layer; ``auto`` folds global
        pooling, where the fold costs few synapses and saves a layer of rate coding
        (:mod:`neurodeploy.conversion.lowering.separation`).
    leaky : {"units", "imbalanced"}
        Leaky ReLU as two rectified populations, ``relu(x) - slope relu(-x)``, or as one signed one.
    activation_units : int
        Saturating units that stand for one smooth activation.
    spiking_maximum : bool
        Whether the result of ``identity`` pooling is a population of its own: convolutions behind
        it keep their shared weights.
    linear : {"rails", "signed"}
        What codes a linear layer that is not multiplied into the next one: a pair of rectified
        populations, or a signed one.
    population_cost : int
        Times the usual number of synapses that such a population has to save: codes that lose more
        in every population are worth more of them.
    """

    max_pooling: MaxPooling = "exact"
    average_pooling: AveragePooling = "auto"
    leaky: Leaky = "units"
    activation_units: int = 6
    spiking_maximum: bool = False
    linear: LinearCode = "rails"
    population_cost: int = 1

    def __post_init__(self) -> None:
        for what, choice, known in (
            ("max pooling", self.max_pooling, get_args(MaxPooling)),
            ("average pooling", self.average_pooling, get_args(AveragePooling)),
            ("leaky", self.leaky, get_args(Leaky)),
            ("linear", self.linear, get_args(LinearCode)),
        ):
            if choice not in known:
                raise UnknownNameError(what, choice, known)
        if not 2 <= self.activation_units <= MAX_UNITS:
            raise UsageError(f"activation units {self.activation_units}: expected 2 to {MAX_UNITS}")


class Lowering:
    """The state of one lowering: layers so far, and every tensor as blocks of expressions."""

    def __init__(self, graph: AnalogGraph, options: LoweringOptions) -> None:
        self.graph = graph
        self.options = options
        self.layers: list[Layer] = []
        self.names: set[str] = set()
        # Populations that are never negative, with the most that they can be.
        self.ceiling: dict[str, float] = {}
        self.rewrites: list[Rewrite] = []
        self.tensors: dict[str, Blocks] = {}
        self.products: list[LinearProduct] = []

    def run(self, operations: Mapping[type, Operation]) -> ActivationGraph:
        """Lower all nodes with the operation of each kind."""
        for node in self.graph.nodes:
            taken = [self.tensors[name] for name in node.inputs]
            self.tensors[node.name] = operations[type(node.op)](self, node, taken)
        for name in self.graph.outputs:
            affine = merged(self.tensors[name], name)
            # Softmax keeps the order of the classes: the node before it is the answer.
            node = self.graph.node(name)
            source = node.inputs[0] if isinstance(node.op, analog.Softmax) else name
            label = self.unique("output" if len(self.graph.outputs) == 1 else f"output_{name}")
            self.layers.append(OutputLayer(label, affine, source))
        layers = _reachable(self.layers)
        kept = {layer.name for layer in layers}
        rewrites = (r for r in self.rewrites if {t.source for t in r.affine.terms} <= kept)
        return ActivationGraph(self.graph.name, layers, tuple(rewrites), tuple(self.products))

    def unique(self, name: str) -> str:
        """A population name that is legal and free."""
        base = re.sub(r"[^A-Za-z0-9_.\-]", "_", name)
        candidate, i = base, 2
        while candidate in self.names:
            candidate, i = f"{base}_{i}", i + 1
        self.names.add(candidate)
        return candidate

    def populate(
        self, affine: Affine, name: str, source: str | None, maximum: float | None = None
    ) -> Affine:
        """A rectifying population of ``affine``; none where it would change nothing."""
        if self.is_rectified(affine, maximum):
            return affine
        return self.rectify(affine, name, source, maximum)

    def rectify(
        self,
        affine: Affine,
        name: str,
        source: str | None,
        maximum: float | None = None,
        **more: Any,
    ) -> Affine:
        """A population of ``affine``, in any case; ``more``: further fields of :class:`ReluLayer`.

        Rectifying unless it has a ``slope``.
        """
        layer = ReluLayer(self.unique(name), affine, source, maximum, **more)
        self.layers.append(layer)
        if layer.slope is None:
            self.ceiling[layer.name] = math.inf if maximum is None else maximum
        return population_term(layer.name, layer.shape)

    def rails(self, affine: Affine, name: str) -> Affine:
        """Value that may be negative, as a population and the constant subtracted from it."""
        negative = affine.scaled(np.array(-1.0))
        above = self.rectify(affine, name, None, part_of=name)
        below = self.rectify(negative, f"{name}_negative", None, part_of=name)
        return above.plus(below.scaled(np.array(-1.0)))

    def coded(self, affine: Affine, name: str, source: str | None) -> Affine:
        """A linear expression as populations, rectified where that changes nothing."""
        if self.is_non_negative(affine):
            return self.populate(affine, name, source)
        if self.options.linear == "rails":
            return self.rails(affine, name)
        return self.rectify(affine, name, source, slope=np.ones(affine.shape[0]))

    def is_rectified(self, affine: Affine, maximum: float | None = None) -> bool:
        """Whether the expression is one population within [0, maximum] as it is."""
        return (
            len(affine.terms) == 1
            and affine.terms[0].is_identity
            and not affine.bias.any()
            and affine.terms[0].source in self.ceiling
            and (maximum is None or self.ceiling[affine.terms[0].source] <= maximum)
        )

    def is_non_negative(self, affine: Affine) -> bool:
        """Whether no input can make the expression negative."""
        for term in affine.terms:
            weights = term.scale if term.connectivity is None else term.connectivity.weight
            if term.source not in self.ceiling or (weights < 0).any():
                return False
        return not (affine.bias < 0).any()


def _reachable(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    needed = {layer.name for layer in layers if isinstance(layer, OutputLayer | InputLayer)}
    for layer in reversed(layers):
        if layer.name in needed:
            needed |= sources(layer)
    return tuple(layer for layer in layers if layer.name in needed)


def located(node: AnalogNode) -> str:
    """A node and where it comes from, for messages."""
    return f"{node.name} ({node.source})" if node.source else node.name


def refuse(node: AnalogNode, why: str) -> UnsupportedLayerError:
    """The error for a node that rate coding cannot express."""
    return UnsupportedLayerError(f"{located(node)}: {node.op.kind}: {why}")


def merged(blocks: Blocks, where: str) -> Affine:
    """A row of channel blocks as one expression, for the node called ``where``."""
    if len(blocks) == 1:
        return blocks[0]
    channels = sum(b.shape[0] for b in blocks)
    shape = (channels, *blocks[0].shape[1:])
    total = Affine(shape, (), np.zeros(shape))
    first = 0
    for block in blocks:
        size = math.prod(block.shape)
        at = first * math.prod(shape[1:])
        index = np.arange(size)
        embed = Sparse(np.ones(size), index + at, index, block.shape, shape)
        total = total.plus(block.mapped(embed, where))
        first += block.shape[0]
    return total


Operation = Callable[[Lowering, AnalogNode, list[Blocks]], Blocks]
