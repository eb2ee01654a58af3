"""Modules with spiking layers as linear maps between populations.

A spiking layer is an operator of its own in the exported program, at which the graph of a step is
cut: what the layer hears is an output of the analog graph, what it sends an input. What is left is
the network between populations, read as every other network is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import torch
from torch import fx

from neurodeploy.errors import ConversionError
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.numerics.threads import single_threaded_torch
from neurodeploy.source.analog import AnalogGraph, Input, Reshape
from neurodeploy.source.evaluation.compare import compared, entering
from neurodeploy.source.lowering import (
    LOWERINGS,
    GraphBuilder,
    Normalization,
    activation,
    reachable,
)
from neurodeploy.source.torch.exported_program import BATCH
from neurodeploy.source.torch.frontend import lowered_values
from neurodeploy.source.torch.site import Site
from neurodeploy.source.torch.step_graph import GIVEN
from neurodeploy.source.torch.step_values import StateOf
from neurodeploy.source.torch.steps import POPULATION, Step

TOLERANCE = 1e-3
"""Of the largest value: single precision, added up in another order."""
_LIBRARY: Any = torch.library.Library("neurodeploy", "DEF")  # type: ignore[no-untyped-call]
_LIBRARY.define(
    "population(Tensor x, Tensor[] states, str name, int call, int n, str layout, bool own)"
    " -> Tensor[]"
)


_LIBRARY.impl(
    "population",
    lambda x, states, name, call, n, *_: [torch.zeros_like(x) for _ in range(1 + n)],
    "CompositeExplicitAutograd",
)
# A call changes the state of its layer: none is left out, also where nothing reads its spikes.
fx.node.has_side_effect(torch.ops.neurodeploy.population.default)

population: Any = torch.ops.neurodeploy.population
"""A call of a spiking layer while a module is exported.

Parameters
----------
x : tensor
    What arrives.
states : sequence of tensor
    States that the module hands over; none where it begins.
name : str
    Path of the layer in the module.
call : int
    How often the layer was called before.
n : int
    States that it returns beside its spikes.
layout : {"step", "time", "batch", "flat"}
    Whether a call is one step, ``[T, N, ...]``, ``[N, T, ...]`` or ``[N T, ...]``.
own : bool
    Whether it keeps its states itself from call to call.
"""


def _refuse_population(site: Site, **_: Any) -> NoReturn:
    site.refuse("spiking layers are read by 'neurodeploy import', not converted")


LOWERINGS[POPULATION] = _refuse_population
_EXPECTED = ", expected what depends on the input"


@dataclass(frozen=True, slots=True)
class SpikingGraph:
    """A module as populations and the analog graph between them.

    Parameters
    ----------
    graph : AnalogGraph
        From what is given and what populations send to what they hear and what is returned.
    sent : mapping of input of the graph to (layer or None, steps ago)
        None: what is given.
    hears : mapping of layer to output of the graph
        The path of a population and what arrives at it.
    returned : tuple of (node of the graph or StateOf, how it reads its steps)
    steps : int
        Steps that a call of the module computes.
    """

    graph: AnalogGraph
    sent: Mapping[str, tuple[str | None, int]]
    hears: Mapping[str, str]
    returned: tuple[tuple[str | StateOf, str], ...]
    steps: int


def _expect_same(
    step: Step, graph: AnalogGraph, inputs: Sequence[str], ends: Sequence[fx.Node]
) -> None:
    """Hold the graph to the step that it was read from, on values drawn at random.

    Many are 0, and all of one sample, as spikes are: functions may be others there alone.
    """
    random = np.random.default_rng(0)
    x = {}
    for name in graph.inputs:
        drawn = random.standard_normal((BATCH, *graph.node(name).shape), np.float32)
        x[name] = drawn * random.integers(0, 2, drawn.shape)
        x[name][0] = 0

    def outputs(part: Mapping[str, AnyArray]) -> list[AnyArray]:
        given = dict(zip(inputs, map(torch.as_tensor, entering(graph, part)), strict=True))
        with single_threaded_torch():
            found = step.computed(given)
        return [found[end].numpy() for end in ends]

    compared(graph, x, outputs, TOLERANCE, "torch module", chunk=BATCH)


def cut(step: Step, name: str, normalization: Normalization | None = None) -> SpikingGraph:
    """Lower one step of a module, behind a normalization where one is given.

    Raises
    ------
    UnsupportedLayerError
        For operations that are not converted, by name.
    ConversionError
        If nothing that is returned depends on the input, or the graph computes something else than
        the step does.
    """
    builder = GraphBuilder()
    sent: dict[str, tuple[str | None, int]] = {}
    arriving, named = [], {}
    shapes = {n.name: n.meta["val"].shape[1:] for n in step.program.nodes if n.op == "placeholder"}
    for key in step.program.inputs:
        origin, lag = step.sent[key]
        given = origin == GIVEN
        called = f"{origin or 'input'}.before" if lag else origin or "input"
        ref = builder.add(called, Input(tuple(shapes[key])), (), None)
        sent[ref.name] = (None if given else origin, lag)
        named[ref.name] = key
        arriving.append(builder.normalized(ref, normalization) if given else ref)
    values = lowered_values(step.program, builder, arriving)
    hears, ending = {}, {}
    for layer, (node, source) in step.layers.items():
        heard = activation(values[node], f"{layer}: is", _EXPECTED)
        # What several populations hear is an output for each of them.
        current = builder.add(f"{layer}.input", Reshape(heard.shape), (heard,), source)
        hears[layer] = current.name
        ending[current.name] = node
    returned: list[tuple[str | StateOf, str]] = []
    for what, how in step.returned:
        if isinstance(what, StateOf):
            returned.append((what, how))
        else:
            end = activation(values[what], "output: is", _EXPECTED).name
            returned.append((end, how))
            ending[end] = what
    if not returned:
        raise ConversionError(
            "the module returns constants, expected spikes or what they add up to"
        )
    leaving = list(dict.fromkeys(r for r, _ in returned if isinstance(r, str)))
    ends = [*leaving, *hears.values()]
    nodes = reachable(builder.nodes, ends)
    inputs = tuple(node.name for node in nodes if isinstance(node.op, Input))
    if not any(sent[key][0] is None for key in inputs):
        raise ConversionError("nothing in the module depends on its input")
    graph = AnalogGraph(name, nodes, inputs, tuple(ends))
    _expect_same(
        step, graph, [named[key] for key in inputs], [ending[end] for end in graph.outputs]
    )
    kept = {key: sent[key] for key in inputs}
    return SpikingGraph(graph, kept, hears, tuple(returned), step.steps)
