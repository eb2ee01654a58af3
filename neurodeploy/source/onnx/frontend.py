"""Analog graphs from ONNX networks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

import neurodeploy.source.onnx.layers  # importing them fills the table of operators
import neurodeploy.source.onnx.quantized
import neurodeploy.source.operators  # noqa: F401
from neurodeploy.errors import ConversionError, DataError, first_line
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.source import moving
from neurodeploy.source.analog import AnalogGraph, Concat, Gather, Input, Shape
from neurodeploy.source.bounds import Budget, expect_few
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
from neurodeploy.source.onnx.bounds import MOST_CONSTANTS, TIMES_OWN, made
from neurodeploy.source.onnx.integer_operators import RUNTIME
from neurodeploy.source.onnx.loader import OnnxNetwork, channels_last, fits
from neurodeploy.source.onnx.lowering import OnnxSite, Value
from neurodeploy.source.onnx.quantized import QONNX, Levels, folded, levels_of

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
    *("BipolarQuant", "Quant"),
}
"""Operators that are computed where they do not depend on the network's input."""

_WITHOUT_EFFECT = ("consumed_inputs", "momentum", "seed", "ratio", "spatial", "storage_order")
"""Attributes that change nothing in a network that is only evaluated."""


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
    paid = sum(constant.size for constant in network.constants.values())
    budget = Budget(MOST_CONSTANTS + TIMES_OWN * paid, "constants")
    levels: dict[str, Levels] = {}
    for node in network.model.graph.node:
        _lower(node, network, values, builder, budget, levels)
    counted = next((out for out in network.outputs if out in levels), None)
    if counted is not None:
        raise ConversionError(
            f"{network.path}: output {counted!r} is integers, not what they stand for; end the "
            "network with DequantizeLinear"
        )
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
            sizes = [n for n in own if n is not None]
            if len(sizes) == len(own) and math.prod(sizes) == math.prod(shape) and not last:
                new = ", ".join(map(str, ("len(x)", *own)))
                remedy = f"save x.reshape({new}) if that is their order"
            raise DataError(
                f"{network.path}: input {name!r} has shape {own} without the batch, the samples"
                f" have {shape}; {remedy}"
            )


def _lower(
    node: Any,
    network: OnnxNetwork,
    values: dict[str, Value],
    builder: GraphBuilder,
    budget: Budget,
    levels: dict[str, Levels],
) -> None:
    taken = [values.get(name) if name else None for name in node.input]
    at = [i for i, value in enumerate(taken) if isinstance(value, Ref)]

    def run(arrays: list[AnyArray]) -> tuple[AnyArray, ...]:
        given: list[Any] = list(taken)
        for i, array in zip(at, arrays, strict=True):
            given[i] = array
        if node.domain == QONNX and node.op_type in ("Quant", "BipolarQuant"):
            return (folded(node.op_type, [site.array(v) for v in given], **attributes),)
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
        remedy = "; save the network without a runtime's optimizations" * (node.domain == RUNTIME)
        site.refuse(f"operators of {node.domain!r} are not converted{remedy}")
    kinds = [v.dtype.kind for v in taken if isinstance(v, np.ndarray) and v.dtype.kind in "OSUc"]
    if kinds or "sparse_value" in attributes:
        what = {"c": "a constant of complex numbers", "": "a sparse constant"}
        found = what.get("".join(kinds[:1]), "a constant of texts")
        site.refuse(f"{found}, expected an array of real numbers; export it as that")
    if node.op_type in ONNX_LOWERINGS:
        counts = levels_of(site, taken, [levels.get(name) for name in node.input])
        if counts is not None:
            levels.update(dict.fromkeys(node.output, counts))
    results: Any
    if node.op_type in ("Shape", "Size"):
        results = _shape(site, taken[0], **attributes)
    elif not any(isinstance(value, Ref | Deferred) for value in taken):
        results = site.lowered(_folded, taken, attributes, budget)
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


def _folded(
    site: OnnxSite, taken: list[Any], attributes: dict[str, Any], budget: Budget
) -> tuple[AnyArray, ...]:
    """Compute a value that does not depend on the network's input."""
    if site.operator not in _FOLDED:
        site.refuse("not converted, even of constants")
    shapes = [np.shape(value) for value in taken if value is not None]
    budget.expect(made(site.operator, shapes, taken, attributes))
    assert site.run is not None
    try:
        results = site.run([])
    except Exception as error:
        site.refuse(f"cannot be computed: {first_line(error, 120)}")
    size = sum(result.size for result in results)
    if site.operator == "Constant":
        budget.most += TIMES_OWN * size
    else:
        budget.spend(size)
    return results


def _run(node: Any, network: OnnxNetwork, values: list[Any]) -> tuple[AnyArray, ...]:
    """One node alone, on arrays."""
    from onnx import GraphProto, ValueInfoProto
    from onnx.reference import ReferenceEvaluator

    from neurodeploy.source.onnx.evaluated import Pad

    feeds = {name: v for name, v in zip(node.input, values, strict=True) if name}
    given, made = ([ValueInfoProto(name=n) for n in names] for names in (feeds, node.output))
    graph = GraphProto(node=[node], name="alone", input=given, output=made)
    opsets = {o.domain: o.version for o in network.model.opset_import}
    evaluator = ReferenceEvaluator(graph, opsets, new_ops=[Pad])
    return tuple(np.asarray(v) for v in evaluator.run(None, feeds))


@lowers(onnx=MOVES)
def _lower_move(site: OnnxSite, *values: Any, **given: Any) -> Any:
    """All of :data:`MOVES`: result by result, where an operator has several."""
    refs = site.refs
    joins = site.operator == "Concat" and len(values) == len(refs) > 1
    if joins and given.get("axis", 1) % (len(refs[0].shape) + 1) == 1:
        return site.emit(Concat(), *refs)
    shapes = [
        (site.batch, *value.shape) if isinstance(value, Ref) else np.shape(value)
        for value in values
        if value is not None
    ]
    size = made(site.operator, shapes, values, given)
    expect_few([size], f"makes of {site.batch} samples an activation", MOST_CONSTANTS)
    return moving.moved_apart(site)
