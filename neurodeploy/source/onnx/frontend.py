"""Analog graphs from ONNX networks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

import neurodeploy.source.onnx.elementwise  # importing them fills the table of operators
import neurodeploy.source.onnx.layers  # noqa: F401
from neurodeploy.errors import ConversionError, DataError, NetlistError, first_line
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.source import moving
from neurodeploy.source.analog import AnalogGraph, Concat, Input, Normalize, Shape, Softmax
from neurodeploy.source.lowering import Deferred, GraphBuilder, Ref, unsupported
from neurodeploy.source.onnx.loader import OnnxNetwork
from neurodeploy.source.onnx.lowering import (
    ONNX_LOWERINGS,
    ONNX_TAKES_DEFERRED,
    OnnxSite,
    Value,
)
from neurodeploy.source.torch.frontend import Normalization, reachable

_FOLDED = frozenset(
    {
        *("Abs", "Add", "Cast", "CastLike", "Ceil", "Concat", "Constant", "ConstantOfShape"),
        *("Div", "Equal", "Exp", "Expand", "Flatten", "Floor", "Gather", "Identity", "Log", "Max"),
        *("Min", "Mod", "Mul", "Neg", "Pow", "Range", "Reciprocal", "ReduceProd", "ReduceSum"),
        *("Reshape", "Slice", "Split", "Sqrt", "Squeeze", "Sub", "Transpose", "Unsqueeze"),
        *("Where", "DequantizeLinear", "QuantizeLinear"),
    }
)
"""Operators that are computed where they do not depend on the network's input."""

MOVES = frozenset(
    {
        *("Concat", "DepthToSpace", "Expand", "Flatten", "Gather", "GatherElements", "GatherND"),
        *("Pad", "Reshape", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose"),
        *("Trilu", "Unsqueeze", "CenterCropPad", "ReverseSequence"),
    }
)
"""Operators that only move elements about: they are run on the numbers of the elements."""

_MAX_CONSTANT = 2**26
"""Elements of a computed constant: a small file must not fill the memory."""


def analog_from_onnx(
    network: OnnxNetwork,
    sample_shape: Shape | Mapping[str, Shape],
    name: str = "network",
    normalization: Normalization | None = None,
) -> AnalogGraph:
    """Convert an ONNX network to an analog graph.

    Parameters
    ----------
    network : OnnxNetwork
    sample_shape : tuple of int or mapping
        Shape of one sample, channels first; of several inputs by the file's names for them. They
        name the inputs of the graph, a single one is ``input``.
    name : str
    normalization : (mean, std), optional
        Per channel; put before the network.

    Raises
    ------
    UnsupportedLayerError
        For any operator that is not converted; the message names the node, the operator and what
        is supported.
    DataError
        If the samples do not have the shape that the file declares.
    """
    shapes = sample_shape if isinstance(sample_shape, Mapping) else {"input": sample_shape}
    _expect_shapes(network, shapes)
    builder = GraphBuilder()
    values: dict[str, Value] = {**network.constants}
    names = []
    for given, (key, shape) in zip(network.inputs, shapes.items(), strict=True):
        ref = builder.add(key, Input(shape), (), None)
        names.append(ref.name)
        if normalization is not None:
            op = Normalize(*normalization)  # type: ignore[arg-type]
            ref = builder.add("normalize", op, (ref,), None)
        values[given] = ref
    needed = _needed(network)
    for i, node in enumerate(network.model.graph.node):
        if i in needed:
            _lower(node, network, values, builder)
    outputs = tuple(_output(out, values) for out in network.outputs)
    if len(set(outputs)) != len(outputs):
        raise ConversionError(f"{network.path}: the network returns the same activations twice")
    nodes = reachable(builder.nodes, outputs)
    unused = [key for key in names if key not in {made.name for made in nodes}]
    if unused:
        raise ConversionError(f"{network.path}: no output depends on the input {unused[0]!r}")
    for made in nodes:
        inner = [n for n in made.inputs if isinstance(builder.node(builder.result(n)).op, Softmax)]
        if inner:
            raise ConversionError(
                f"{network.path}: softmax {inner[0]!r} in the middle of the network, used by"
                f" {made.name!r}; only an output can be one"
            )
    return AnalogGraph(name, nodes, tuple(names), outputs)


def _expect_shapes(network: OnnxNetwork, shapes: Mapping[str, Shape]) -> None:
    if len(shapes) != len(network.inputs):
        raise DataError(
            f"{network.path}: takes {len(network.inputs)} inputs ({', '.join(network.inputs)}), the"
            f" data have {len(shapes)}"
        )
    for name, own, shape in zip(network.inputs, network.shapes, shapes.values(), strict=True):
        fits = len(own) == len(shape) and all(
            a is None or a == b for a, b in zip(own, shape, strict=True)
        )
        if not fits:
            raise DataError(
                f"{network.path}: input {name!r} has shape {own} without the batch, the samples"
                f" have {shape}; use the data that it was trained on"
            )


def _needed(network: OnnxNetwork) -> set[int]:
    """Positions of the nodes on which the outputs depend."""
    wanted = set(network.outputs)
    found = set()
    for i, node in reversed(list(enumerate(network.model.graph.node))):
        if wanted.intersection(node.output):
            found.add(i)
            wanted.update(node.input)
    return found


def _lower(
    node: Any, network: OnnxNetwork, values: dict[str, Value], builder: GraphBuilder
) -> None:
    taken = tuple(values.get(name) if name else None for name in node.input)
    site = OnnxSite(
        name=node.name or next(iter(node.output)),
        # Names of a foreign domain can hold anything, line ends as well.
        operator=node.op_type if node.op_type.isidentifier() else repr(node.op_type),
        values=taken,
        attributes=_attributes(node),
        builder=builder,
        batch=network.batch,
        opset=network.opset,
        n_outputs=len(node.output),
    )
    if node.domain not in ("", "ai.onnx"):
        site.refuse(f"operators of {node.domain!r} are not converted")
    results: Any
    if node.op_type == "Shape":
        results = _shape(site)
    elif not any(isinstance(value, Ref | Deferred) for value in taken):
        results = _folded(node, site, network)
    elif node.op_type not in ONNX_LOWERINGS and node.op_type not in MOVES:
        site.refuse(unsupported(node.op_type, (*ONNX_LOWERINGS, *MOVES)))
    else:
        for value in taken:
            if isinstance(value, Deferred) and node.op_type not in ONNX_TAKES_DEFERRED:
                value.refuse()
        try:
            if node.op_type in MOVES:
                results = _moved(node, site, network)
            else:
                results = ONNX_LOWERINGS[node.op_type](site)
        except NetlistError as error:
            site.refuse(str(error))
    results = results if isinstance(results, tuple) else (results,)
    # What an operator can return beside its result (masks, indices) is missing for who uses it.
    values.update(zip(node.output, results, strict=False))


def _attributes(node: Any) -> dict[str, Any]:
    from onnx import helper, numpy_helper

    found: dict[str, Any] = {}
    for attribute in node.attribute:
        value = helper.get_attribute_value(attribute)
        if attribute.type == attribute.TENSOR:
            value = np.asarray(numpy_helper.to_array(value))
        found[attribute.name] = value.decode() if isinstance(value, bytes) else value
    return found


def _shape(site: OnnxSite) -> AnyArray:
    value = site.values[0]
    if value is None:
        site.refuse("has no input")
    value = value.base if isinstance(value, Deferred) else value
    shape = (site.batch, *value.shape) if isinstance(value, Ref) else value.shape
    stop = site.get("end", None)
    return np.array(shape, np.int64)[site.get("start", 0) : stop]


def _folded(node: Any, site: OnnxSite, network: OnnxNetwork) -> tuple[AnyArray, ...]:
    """Compute a value that does not depend on the network's input."""
    if node.op_type not in _FOLDED:
        site.refuse("not converted, even of constants")
    if node.op_type in ("ConstantOfShape", "Expand"):
        sizes = site.array(len(node.input) - 1)
        if sizes.size and np.prod(sizes.astype(np.float64)) > _MAX_CONSTANT:
            site.refuse(f"a constant of shape {sizes.tolist()}")
    if node.op_type == "Range":
        start, limit, delta = (float(site.array(i)) for i in range(3))
        if not delta or (limit - start) / delta > _MAX_CONSTANT:
            site.refuse("a range without end")
    try:
        return _run(node, network, list(site.values))
    except Exception as error:
        return site.refuse(f"cannot be computed: {first_line(error, 120)}")


def _run(node: Any, network: OnnxNetwork, values: list[Any]) -> tuple[AnyArray, ...]:
    """One node alone, on arrays."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    feeds = {name: v for name, v in zip(node.input, values, strict=True) if name}
    none = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [node],
        "constant",
        [none(n, onnx.TensorProto.UNDEFINED, None) for n in feeds],
        [none(n, onnx.TensorProto.UNDEFINED, None) for n in node.output],
    )
    model = onnx.helper.make_model(graph, opset_imports=network.model.opset_import)
    return tuple(np.asarray(v) for v in ReferenceEvaluator(model).run(None, feeds))


def _moved(node: Any, site: OnnxSite, network: OnnxNetwork) -> Ref | tuple[Ref, ...]:
    """What an operator that only moves elements makes of its activations, result by result."""
    at = [i for i, value in enumerate(site.values) if isinstance(value, Ref)]
    refs = [site.data(i) for i in at]
    joins = site.operator == "Concat" and len(site.values) == len(refs) > 1
    if joins and site.get("axis", 1) % (len(refs[0].shape) + 1) == 1:
        return site.emit(Concat(), *refs)

    if site.operator in ("Expand", "Tile", "Pad"):
        own = [float(n) for n in (site.batch, *refs[0].shape)]
        given = [float(n) for n in site.ints(1, "pads") or [0]]
        if site.operator == "Pad":
            size = math.prod(n + max(map(abs, given)) for n in own)
        else:
            size = math.prod(given) * math.prod(own)
        if size > _MAX_CONSTANT * site.batch:
            site.refuse(f"{size:.0f} elements of {math.prod(own):.0f}")

    def run(arrays: list[AnyArray]) -> tuple[AnyArray, ...]:
        values = list(site.values)
        for i, array in zip(at, arrays, strict=True):
            values[i] = array
        return _run(node, network, values)

    n_results = None if site.n_outputs == 1 else site.n_outputs
    return moving.moved_apart(site, refs, site.batch, run, n_results)


def _output(name: str, values: Mapping[str, Value]) -> str:
    value = values.get(name)
    if isinstance(value, Deferred):
        value.refuse()
    if not isinstance(value, Ref):
        raise ConversionError(f"output {name!r} is a constant or not converted")
    return value.name
