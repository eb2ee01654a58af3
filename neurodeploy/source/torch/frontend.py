"""Analog graphs from torch modules."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

import neurodeploy.source.operators  # importing them fills the table of operators
import neurodeploy.source.quantized
import neurodeploy.source.torch.layers
import neurodeploy.source.torch.movement  # noqa: F401
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.source.analog import AnalogGraph, Input, Shape
from neurodeploy.source.lowering import (
    LOWERINGS,
    REFUSED,
    Deferred,
    GraphBuilder,
    Mutated,
    Normalization,
    Ref,
    Unconverted,
    activation,
)
from neurodeploy.source.torch.exported_program import (
    BATCH,
    SHAPE_ONLY,
    ExportedProgram,
    calling_module,
    computed,
    expect_module,
    export,
    mapped,
    source_line,
)
from neurodeploy.source.torch.site import Site


@dataclass(frozen=True, slots=True)
class Lowered:
    """An analog graph with the exported program that it came from.

    ``origin``: name of a node of the program -> name of the analog node with the same value.
    """

    graph: AnalogGraph
    program: ExportedProgram
    origin: dict[str, str]


def analog_from_torch(
    module: nn.Module,
    example_shape: Shape | Mapping[str, Shape],
    name: str = "network",
    normalization: Normalization | None = None,
) -> AnalogGraph:
    """Convert a torch module to an analog graph.

    The module is taken in the mode it is in: active dropout and batch statistics are refused
    where they occur.

    Parameters
    ----------
    module : nn.Module
        Takes one float32 tensor of shape (N, *example_shape), or one per entry of the mapping.
    example_shape : tuple of int or mapping
        Shape of one sample, channels first; of a module with several inputs by their names, in
        the order of its parameters. They name the inputs of the graph, a single one is ``input``.
    name : str
        Name of the graph.
    normalization : (mean, std), optional
        Per channel; put before the module as part of the network.

    Raises
    ------
    UnsupportedLayerError
        For any operation that is not converted; the message names the node, the operator, its
        module and source line, the nearest that is converted, and what is supported.
    ConversionError
        If the module does not run on such an input or cannot be traced.
    UsageError
        If parameters are not float32.
    """
    return lower(module, example_shape, name, normalization).graph


def lower(
    module: nn.Module,
    example_shape: Shape | Mapping[str, Shape],
    name: str = "network",
    normalization: Normalization | None = None,
) -> Lowered:
    """Do the same as :func:`analog_from_torch` and tell where every node came from."""
    shapes = example_shape if isinstance(example_shape, Mapping) else {"input": example_shape}
    program = export(module, *shapes.values())
    builder = GraphBuilder()
    given = [builder.add(key, Input(shape), (), None) for key, shape in shapes.items()]
    names = tuple(shapes)
    given = [builder.normalized(ref, normalization) for ref in given]
    values = lowered_values(program, builder, given)
    results = [values[out] if isinstance(out, fx.Node) else out for out in program.outputs]
    outputs = [activation(v, "the module returns", ", expected activations").name for v in results]
    graph = builder.graph(name, names, outputs, "the module")
    kept = {made.name for made in graph.nodes}
    origin = {
        node.name: value.name
        for node, value in values.items()
        if isinstance(value, Ref) and value.name in kept
    }
    return Lowered(graph, program, origin)


def lowered_values(
    program: ExportedProgram, builder: GraphBuilder, given: Sequence[Ref]
) -> dict[fx.Node, Any]:
    """Lower every node of a program whose inputs are ``given``.

    Returns
    -------
    dict
        Node of the program -> activation, constant, or what cannot be used.
    """
    first = dict(zip(program.inputs, given, strict=True))
    values: dict[fx.Node, Any] = {}
    for node in program.nodes:
        site = _site(node, builder, values)
        values[node] = (
            first[node.name] if node.name in first else _value(node, site, program, values)
        )
        if isinstance(values[node], Ref):
            _expect_batch(site, values[node])
    return values


def input_names(module: nn.Module) -> tuple[str, ...]:
    """Names of the tensors that a module must be given: what its ``forward`` has no default for.

    Raises
    ------
    ConversionError
        For TorchScript.
    """
    expect_module(module)
    parameters = inspect.signature(module.forward).parameters.values()
    return tuple(
        p.name
        for p in parameters
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    )


def _site(node: fx.Node, builder: GraphBuilder, values: Mapping[fx.Node, Any]) -> Site:
    module, layer = calling_module(node)
    sources = [source for source in node.all_input_nodes if isinstance(values[source], Ref)]
    result: Any = node.meta.get("val")
    n_results = len(result) if isinstance(result, (tuple, list)) else None
    result = result[0] if n_results else result
    tensor = result if isinstance(result, torch.Tensor) else None
    return Site(
        node=node.name,
        operator=_operator_name(node.target),
        module=module,
        layer=layer,
        source=source_line(node),
        shape=() if tensor is None else tuple(tensor.shape),
        dtype=None if tensor is None else tensor.dtype,
        builder=builder,
        batch=BATCH,
        refs=tuple(values[source] for source in sources),
        n_results=n_results,
        run=_runner(node, sources, values),
    )


def _operator_name(target: Any) -> str:
    if isinstance(target, torch._ops.OpOverload):
        return str(target.overloadpacket)
    return str(getattr(target, "__name__", target))


def _value(node: fx.Node, site: Site, program: ExportedProgram, values: dict[fx.Node, Any]) -> Any:
    """Lower one node: an activation, a constant, or a tuple of them."""
    if node.op == "placeholder" and node.name in program.mutated:
        return Mutated(program.mutated[node.name])
    if node.op in ("placeholder", "get_attr"):
        # A random generator is none; what draws from it is refused.
        return program.held(node)
    args, kwargs = mapped(node, values.__getitem__)
    if node.target is operator.getitem:
        return args[0][args[1]]
    if not isinstance(node.target, torch._ops.OpOverload):
        site.refuse("not converted")
    used = [values[source] for source in node.all_input_nodes]
    for value in used:
        if isinstance(value, Unconverted):
            if site.operator.removeprefix("aten.") in REFUSED:
                site.refuse_operator()
            site.refuse(f"{value.what} are not converted")
    varies = any(isinstance(value, Ref | Deferred) for value in used)
    if site.operator.removeprefix("aten.") in SHAPE_ONLY or not varies:
        return _folded(node, site, values)
    lowering = LOWERINGS.get(site.operator)
    if lowering is None:
        site.refuse_operator()
    return site.lowered(lowering, **_bound(node.target, args, kwargs))


def _runner(
    node: fx.Node, sources: Sequence[fx.Node], values: Mapping[fx.Node, Any]
) -> Callable[[list[AnyArray]], tuple[AnyArray, ...]]:
    """The operator of a node, on arrays in place of the activations that it takes."""

    def run(arrays: list[AnyArray]) -> tuple[AnyArray, ...]:
        given = dict(zip(sources, map(torch.tensor, arrays), strict=True))
        result = computed(node, lambda n: given[n] if n in given else _double(values[n]))
        parts = result if isinstance(result, (tuple, list)) else (result,)
        return tuple(part.numpy() for part in parts)

    return run


def _double(value: Any) -> Any:
    """A constant of the type of what stands for activations."""
    real = isinstance(value, torch.Tensor) and value.is_floating_point()
    return value.double() if real else value


def _folded(node: fx.Node, site: Site, values: dict[fx.Node, Any]) -> Any:
    """Compute a value that does not depend on the network's input."""
    assert isinstance(node.target, torch._ops.OpOverload)
    if torch.Tag.nondeterministic_seeded in node.target.tags:
        site.refuse("random values in every call; call .eval(), and leave out what stays random")

    def concrete(source: fx.Node) -> Any:
        value = values[source]
        if isinstance(value, Mutated):
            site.refuse(f"buffer {value.buffer!r} changes in every call")
        if isinstance(value, Ref | Deferred):
            return torch.zeros(tuple(source.meta["val"].shape))
        return value

    return computed(node, concrete)


def _bound(target: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Arguments by schema name, defaults filled in; the first is called ``x``."""
    bound = {argument.name: argument.default_value for argument in target._schema.arguments}
    bound |= dict(zip(bound, args, strict=False)) | kwargs
    first = next(iter(bound))
    return {"x" if first in ("self", "input") else first: bound.pop(first), **bound}


def _expect_batch(site: Site, ref: Ref) -> None:
    """Every activation keeps the batch as its first dimension and stays float32."""
    if site.shape != (BATCH, *ref.shape):
        site.refuse(f"got shape {site.shape}, expected the batch first: (N, *{ref.shape})")
    levels = site.operator.startswith(("quantized_decomposed.", "aten.quantize_per_tensor"))
    if site.dtype not in (torch.float32, torch.bool) and not levels:
        site.refuse(f"the result is {site.dtype}, expected torch.float32")
