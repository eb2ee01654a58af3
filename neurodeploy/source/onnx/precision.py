"""ONNX files of another floating-point type, as the same networks in float32."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from neurodeploy.errors import warn_user

_OTHERS = ("FLOAT16", "BFLOAT16", "DOUBLE")


def to_float32(model: Any, where: str) -> None:
    """Make a network whose inputs are of another floating-point type one of float32.

    Half precision is a part of single precision: its weights stay what they are, and what the
    network computes is rounded less. Of double precision, weights are rounded once. A line tells.
    """
    from onnx import TensorProto, numpy_helper

    others = {TensorProto.DataType.Value(name): name for name in _OTHERS}
    values = (*model.graph.input, *model.graph.output)
    found = {others.get(v.type.tensor_type.elem_type) for v in model.graph.input} - {None}
    if not found:
        return
    for value in values:
        if value.type.tensor_type.elem_type in others:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    # The types in between follow from these.
    del model.graph.value_info[:]
    for tensor in _tensors(model.graph):
        if tensor.data_type in others:
            array = np.asarray(numpy_helper.to_array(tensor)).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name in ("to", "dtype") and attribute.i in others:
                attribute.i = TensorProto.FLOAT
    warn_user(f"{where}: computes in {' and '.join(sorted(map(str, found)))}; taken in FLOAT")


def _tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield from attribute.tensors
            if attribute.HasField("t"):
                yield attribute.t
