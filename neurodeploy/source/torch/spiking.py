"""Modules with spiking layers as linear maps between populations.

A spiking layer is an operator of its own in the exported program (:data:`POPULATION`), which the
front end cuts: what it hears is an output of the analog graph, what it sends an input. What is left
is the network between its populations, read as every other network is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx

from neurodeploy.errors import ConversionError
from neurodeploy.source.analog import AnalogGraph, Input, Normalize, Reshape, Shape
from neurodeploy.source.lowering import LOWERINGS, Deferred, GraphBuilder, Ref, Site, Unconverted
from neurodeploy.source.torch.exported_program import ExportedProgram
from neurodeploy.source.torch.frontend import Normalization, lowered_values, reachable

POPULATION = "neurodeploy.population"
_LIBRARY: Any = torch.library.Library("neurodeploy", "DEF")  # type: ignore[no-untyped-call]
_LIBRARY.define("population(Tensor x, Tensor[] states, str name, int call, int n) -> Tensor[]")


def _results(
    x: torch.Tensor, states: list[torch.Tensor], name: str, call: int, n: int
) -> list[torch.Tensor]:
    return [torch.zeros_like(x) for _ in range(1 + n)]


_LIBRARY.impl("population", _results, "CompositeExplicitAutograd")


def population(
    x: torch.Tensor, states: Sequence[torch.Tensor], name: str, call: int, n: int
) -> list[torch.Tensor]:
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
    """
    found: list[torch.Tensor] = torch.ops.neurodeploy.population(x, list(states), name, call, n)
    return found


@dataclass(frozen=True, slots=True)
class State(Unconverted):
    """A state of a population after a step; it cannot be used in the network."""

    population: str
    index: int


@dataclass(frozen=True, slots=True)
class Cut:
    """A population in the graph.

    Parameters
    ----------
    name : str
        Path of the layer.
    hears, sends : str
        Output and input of the analog graph.
    source : str or None
        ``file.py:line`` of the call.
    """

    name: str
    hears: str
    sends: str
    source: str | None


class CuttingBuilder(GraphBuilder):
    """A graph builder that keeps where populations were cut out."""

    def __init__(self) -> None:
        super().__init__()
        self.cuts: dict[str, Cut] = {}


def _lower_population(
    site: Site, x: Any, states: Any, name: str, call: int, n: int
) -> tuple[Ref | Unconverted, ...]:
    builder, heard = site.builder, site.data(x)
    if not isinstance(builder, CuttingBuilder):
        site.refuse("spiking layers are read by 'neurodeploy import', not converted")
    if name in builder.cuts:
        site.refuse(
            f"{name!r} is called twice in a step, and both calls change its state; give every call "
            "a layer of its own"
        )
    # What several populations hear is an output for each of them.
    current = builder.add(f"{name}.input", Reshape(heard.shape), (heard,), site.source)
    spikes = builder.add(name, Input(heard.shape), (), site.source)
    builder.cuts[name] = Cut(name, current.name, spikes.name, site.source)
    return spikes, *(State(f"the states of {name!r}", name, i) for i in range(n))


LOWERINGS[POPULATION] = _lower_population


@dataclass(frozen=True, slots=True)
class SpikingGraph:
    """A module as populations and the analog graph between them.

    Parameters
    ----------
    graph : AnalogGraph
        From what is given and what populations send to what they hear and what is returned.
    given : tuple of str
        Its inputs that are no populations.
    cuts : mapping of layer to Cut
    outputs : tuple of str or State
        What the module returns: nodes of the graph, and states.
    """

    graph: AnalogGraph
    given: tuple[str, ...]
    cuts: Mapping[str, Cut]
    outputs: tuple[str | State, ...] = field(default=())


def cut(
    program: ExportedProgram,
    shapes: Mapping[str, Shape],
    name: str,
    normalization: Normalization | None = None,
) -> SpikingGraph:
    """Lower an exported program of one step.

    Parameters
    ----------
    program : ExportedProgram
        Of a module whose spiking layers call :func:`population`.
    shapes : mapping
        Shape of each of its inputs, without the batch.
    name : str
        Of the graph.
    normalization : (mean, std), optional
        Per channel; put before the module.

    Raises
    ------
    UnsupportedLayerError
        For operations that are not converted, by name.
    ConversionError
        If nothing that is returned depends on the input.
    """
    builder = CuttingBuilder()
    given = [builder.add(key, Input(shape), (), None) for key, shape in shapes.items()]
    entering = given
    if normalization is not None:
        mean, std = normalization
        entering = [
            builder.add("normalize", Normalize(mean, std), (ref,), None)  # type: ignore[arg-type]
            for ref in given
        ]
    values, _ = lowered_values(program, builder, entering)
    returned = [r for out in program.outputs if (r := _returned(out, values)) is not None]
    if not returned:
        raise ConversionError(
            "the module returns constants, expected spikes or what they add up to"
        )
    leaving = list(dict.fromkeys(r for r in returned if isinstance(r, str)))
    ends = [*leaving, *(c.hears for c in builder.cuts.values())]
    nodes = reachable(builder.nodes, ends)
    inputs = tuple(node.name for node in nodes if isinstance(node.op, Input))
    unused = [ref.name for ref in given if ref.name not in inputs]
    if unused:
        raise ConversionError(f"nothing in the module depends on its input {unused[0]!r}")
    graph = AnalogGraph(name, nodes, inputs, tuple(ends))
    return SpikingGraph(graph, tuple(r.name for r in given), builder.cuts, tuple(returned))


def _returned(out: Any, values: Mapping[fx.Node, Any]) -> str | State | None:
    """A result of the module; None for constants, such as the states of layers that have none."""
    value = values[out] if isinstance(out, fx.Node) else out
    if isinstance(value, Deferred):
        value.refuse()
    if isinstance(value, Ref):
        return value.name
    if isinstance(value, State):
        return value
    if isinstance(value, Unconverted):
        raise ConversionError(f"the module returns {value.what}, expected spikes")
    return None
