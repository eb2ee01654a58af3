"""Small ONNX files for the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

SHAPE = (2, 7, 6)
RNG = np.random.default_rng(0)


def weight(*shape: int) -> Any:
    return RNG.normal(size=shape).astype(np.float32)


def ints(*values: int) -> Any:
    return np.array(values, np.int64)


def scales(*values: float) -> Any:
    return np.array([1, 1, *values], np.float32)


def written(
    folder: Path,
    nodes: list[Any],
    constants: dict[str, Any],
    shape: tuple[int, ...] = SHAPE,
    batch: int | str = "n",
    outputs: tuple[str, ...] = ("y",),
    opset: int = 17,
    functions: tuple[Any, ...] = (),
) -> Path:
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, *shape])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, []) for name in outputs],
        [numpy_helper.from_array(v, k) for k, v in constants.items()],
    )
    domains = {node.domain: 1 for node in nodes} | {"": opset}
    imports = [helper.make_opsetid(domain, number) for domain, number in domains.items()]
    model = helper.make_model(graph, opset_imports=imports, ir_version=9, functions=functions)
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def node(operator: str, *inputs: str, **attributes: Any) -> Any:
    return helper.make_node(
        operator, ["x", *inputs], ["y"], name=f"/block/{operator}", **attributes
    )
