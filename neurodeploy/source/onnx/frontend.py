"""Analog graphs from ONNX networks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import zip_longest
from typing import Any

import numpy as np

import neurodeploy.source.onnx.layers  # importing them fills the table of operators
import neurodeploy.source.onnx.quantized
import neurodeploy.source.operators  # noqa: F401
from neurodeploy.errors import DataError, first_line
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.source import moving
from neurodeploy.source.analog import AnalogGraph, Concat, Gather, Input, Shape
from neurodeploy.source.lowering import (
    ONNX_LOWERINGS,
    Deferred,
    GraphBuilder,
    Normalization,
    Ref,
    activation,
    lowers,
    unsupported,
)
from neurodeploy.source.onnx.loader import OnnxNetwork, channels_last, fits
from neurodeploy.source.onnx.lowering import OnnxSite, Value
from neurodeploy.source.onnx.quantized import QONNX, folded

MOVES = frozenset(
    {
        *("Concat", "DepthToSpace", "Expand", "Flatten", "Gather", "GatherElements", "GatherND"),
        *("Pad", "Reshape", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose"),
        *("Trilu", "Unsqueeze", "CenterCropPad", "ReverseSequence"),
    }
)
"""Operators that only move elements about: they are run on the numbers of the elements."""

_FOLDED = MOVES | {
    *("Abs", "Add", "And", "Cast", "CastLike", "Ceil", "Clip", "Constant", "ConstantOfShape"),
    *("Cos", "CumSum", "DequantizeLinear", "Div", "Equal", "Exp", "Floor", "Greater"),
    *("GreaterOrEqual", "Identity", "Less", "LessOrEqual", "Log", "MatMul", "Max", "Min", "Mod"),
    *("Mul", "Neg", "Not", "Or", "Pow", "QuantizeLinear", "Range", "Reciprocal", "ReduceMax"),
    *("ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "Relu", "Round", "ScatterElements"),
    *("ScatterND", "Sigmoid", "Sign", "Sin", "Sqrt", "Sub", "Sum", "Tanh", "Where", "Xor"),
}
"""Operators that are computed where they do not depend on the network's input."""

_WITHOUT_EFFECT = ("consumed_inputs", "momentum", "seed", "ratio", "spatial", "storage_order")
"""Attributes that change nothing in a network that is only evaluated."""

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
    entries = zip(network.inputs, network.shapes, shapes.items(), strict=True)
    for given, own, (key, shape) in entries:
        ref = builder.add(key, Input(shape), (), None)
        names.append(ref.name)
        ref = builder.normalized(ref, normalization)
        if channels_last(own, shape):
            index = np.moveaxis(np.arange(math.prod(shape)).reshape(shape), 0, -1)
            ref = builder.add("channels_last", Gather(index), (ref,), None)
        values[given] = ref
    needed = _needed(network)
    for i, node in enumerate(network.model.graph.node):
        if i in needed:
            _lower(node, network, values, builder)
    outputs = [
        activation(values.get(out), f"output {out!r} is", " or not converted").name
        for out in network.outputs
    ]
    return builder.graph(name, names, outputs, f"{network.path}: the network")


def _expect_shapes(network: OnnxNetwork, shapes: Mapping[str, Shape]) -> None:
    if len(shapes) != len(network.inputs):
        raise DataError(
            f"{network.path}: takes {len(network.inputs)} inputs ({', '.join(network.inputs)}), the"
            f" data have {len(shapes)}"
        )
    for name, own, shape in zip(network.inputs, network.shapes, shapes.values(), strict=True):
        if not fits(own, shape) and not channels_last(own, shape):
            last = len(shape) == 3 and fits(own, (shape[2], *shape[:2]))
            remedy = "add #layout=NHWC to them" if last else "use the data that it was trained on"
            raise DataError(
                f"{network.path}: input {name!r} has shape {own} without the batch, the samples"
                f" have {shape}; {remedy}"
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
    taken = [values.get(name) if name else None for name in node.input]
    at = [i for i, value in enumerate(taken) if isinstance(value, Ref)]

    def run(arrays: list[AnyArray]) -> tuple[AnyArray, ...]:
        given: list[Any] = list(taken)
        for i, array in zip(at, arrays, strict=True):
            given[i] = array
        return _run(node, network, given)

    site = OnnxSite(
        node=node.name or next(iter(node.output)),
        # Names of a foreign domain can hold anything, line ends as well.
        operator=node.op_type if node.op_type.isidentifier() else repr(node.op_type),
        builder=builder,
        batch=network.batch,
        refs=tuple(value for value in taken if isinstance(value, Ref)),
        n_results=None if len(node.output) == 1 else len(node.output),
        run=run,
        opset=network.opset,
    )
    attributes = _attributes(node)
    if node.domain not in ("", "ai.onnx", QONNX):
        site.refuse(f"operators of {node.domain!r} are not converted")
    results: Any
    if node.op_type in ("Shape", "Size"):
        results = _shape(site, taken[0], **attributes)
    elif not any(isinstance(value, Ref | Deferred) for value in taken):
        if node.domain == QONNX and node.op_type in ("Quant", "BipolarQuant"):
            results = folded(node.op_type, [site.array(v) for v in taken], **attributes)
        else:
            results = _folded(site, taken, attributes)
    elif node.op_type not in ONNX_LOWERINGS:
        site.refuse(unsupported(node.op_type, ONNX_LOWERINGS))
    else:
        for name in _WITHOUT_EFFECT:
            attributes.pop(name, None)
        results = site.lowered(ONNX_LOWERINGS[node.op_type], *taken, **attributes)
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
        if isinstance(value, bytes):
            # What is no text is the value of no attribute that is known.
            value = value.decode(errors="backslashreplace")
        found[attribute.name] = value
    return found


def _shape(site: OnnxSite, value: Value, start: int = 0, end: int | None = None) -> AnyArray:
    if value is None:
        site.refuse("has no input")
    value = value.base if isinstance(value, Deferred) else value
    shape = (site.batch, *value.shape) if isinstance(value, Ref) else value.shape
    if site.operator == "Size":
        return np.asarray(math.prod(shape))
    return np.array(shape, np.int64)[start:end]


def _grown(operator: str, shape: Iterable[int], amounts: Any) -> float:
    """How many elements an operator makes, at most, of an array of ``shape``."""
    own = [float(n) for n in shape]
    sizes = [abs(float(n)) for n in np.ravel(amounts)]
    if operator == "Pad":
        return math.prod(n + 2 * max(sizes, default=0) for n in own)
    if operator == "Expand":
        return math.prod(map(max, zip_longest(own[::-1], sizes[::-1], fillvalue=1.0)))
    return math.prod(own + sizes)


def _folded(site: OnnxSite, taken: list[Any], attributes: dict[str, Any]) -> tuple[AnyArray, ...]:
    """Compute a value that does not depend on the network's input."""
    if site.operator not in _FOLDED:
        site.refuse("not converted, even of constants")
    if site.operator in ("ConstantOfShape", "Expand", "Tile", "Pad"):
        shape = () if site.operator == "ConstantOfShape" else site.array(taken[0]).shape
        amounts = attributes.get("pads", taken[min(1, len(taken) - 1)])
        if _grown(site.operator, shape, amounts) > _MAX_CONSTANT:
            by = f"{list(shape)} by " if shape else ""
            site.refuse(f"a constant of shape {by}{np.ravel(amounts).tolist()}")
    if site.operator == "Range":
        start, limit, delta = (float(site.array(value)) for value in taken)
        if not delta or (limit - start) / delta > _MAX_CONSTANT:
            site.refuse("a range without end")
    assert site.run is not None
    try:
        return site.run([])
    except Exception as error:
        return site.refuse(f"cannot be computed: {first_line(error, 120)}")


def _run(node: Any, network: OnnxNetwork, values: list[Any]) -> tuple[AnyArray, ...]:
    """One node alone, on arrays."""
    from onnx import GraphProto, ValueInfoProto
    from onnx.reference import ReferenceEvaluator

    feeds = {name: v for name, v in zip(node.input, values, strict=True) if name}
    given, made = ([ValueInfoProto(name=n) for n in names] for names in (feeds, node.output))
    graph = GraphProto(node=[node], name="alone", input=given, output=made)
    opsets = {o.domain: o.version for o in network.model.opset_import}
    return tuple(np.asarray(v) for v in ReferenceEvaluator(graph, opsets).run(None, feeds))


@lowers(onnx=MOVES)
def _lower_move(site: OnnxSite, *values: Any, axis: int = 1, **given: Any) -> Any:
    """All of :data:`MOVES`: result by result, where an operator has several."""
    refs = site.refs
    joins = site.operator == "Concat" and len(values) == len(refs) > 1
    if joins and axis % (len(refs[0].shape) + 1) == 1:
        return site.emit(Concat(), *refs)
    if site.operator in ("Expand", "Tile", "Pad"):
        own = (site.batch, *refs[0].shape)
        amounts = given.get("pads", values[1] if len(values) > 1 else [0])
        size = _grown(site.operator, own, site.ints(amounts))
        if size > _MAX_CONSTANT * site.batch:
            site.refuse(f"{size:.0f} elements of {math.prod(own):.0f}")
    return moving.moved_apart(site)
