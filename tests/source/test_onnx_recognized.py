"""ONNX operators of several opsets, and activations that are spelled out in arithmetic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="ONNX files are read with the onnx package")
pytest.importorskip("torch", reason="analog graphs are evaluated with torch")
import onnx
from onnx import TensorProto, helper, numpy_helper

from neurodeploy.errors import NeurodeployWarning
from neurodeploy.source.analog import Conv2d, Upsample
from neurodeploy.source.evaluation.in_torch import evaluate
from neurodeploy.source.onnx.check import check_onnx
from neurodeploy.source.onnx.frontend import analog_from_onnx
from neurodeploy.source.onnx.loader import load_onnx
from tests.source.onnx_files import RNG, SHAPE, ints, node, scales, written


def _upsample(opset: int, operator: str = "Upsample") -> tuple[Any, dict[str, Any]]:
    if opset < 9:
        return node(operator, scales=[1.0, 1.0, 2.0, 3.0]), {}
    return node(operator, "s"), {"s": scales(2, 3)}


@pytest.mark.parametrize(("operator", "opset"), [("Upsample", 7), ("Upsample", 9), ("Resize", 10)])
def test_upsampling_of_earlier_opsets(tmp_path: Path, operator: str, opset: int) -> None:
    operation, constants = _upsample(opset, operator)
    graph = analog_from_onnx(
        load_onnx(written(tmp_path, [operation], constants, opset=opset)), SHAPE
    )
    x = RNG.random((3, *SHAPE), np.float32)
    (y,) = evaluate(graph, x).values()
    np.testing.assert_array_equal(y, x.repeat(2, axis=2).repeat(3, axis=3))


def test_resizing_of_named_axes(tmp_path: Path) -> None:
    operation = node("Resize", "", "s", axes=[3, 2])
    constants = {"s": np.float32([3, 2])}
    network = load_onnx(written(tmp_path, [operation], constants, opset=18))
    graph = analog_from_onnx(network, SHAPE)
    assert graph.nodes[-1].op == Upsample((2, 3))


def test_resizing_to_sizes(tmp_path: Path) -> None:
    operation = node("Resize", "", "", "n", nearest_mode="round_prefer_ceil")
    network = load_onnx(written(tmp_path, [operation], {"n": ints(1, 2, 14, 24)}, batch=1))
    graph = analog_from_onnx(network, SHAPE)
    assert graph.nodes[-1].op == Upsample((2, 4))
    assert check_onnx(graph, network, RNG.random((3, *SHAPE), np.float32)) == 0


@pytest.mark.parametrize(
    ("how", "constants"),
    [
        ({"mode": "linear", "antialias": 1}, {"s": np.float32([0.6, 0.4])}),
        ({"mode": "cubic", "antialias": 1}, {"s": np.float32([0.5, 1.5])}),
        ({"keep_aspect_ratio_policy": "not_larger"}, {"n": ints(14, 10)}),
        ({"keep_aspect_ratio_policy": "not_smaller", "mode": "linear"}, {"n": ints(4, 5)}),
    ],
)
def test_resizing_since_opset_18(
    tmp_path: Path, how: dict[str, Any], constants: dict[str, Any]
) -> None:
    given = ["s"] if "s" in constants else ["", "n"]
    operation = node("Resize", "", *given, axes=[2, 3], **how)
    network = load_onnx(written(tmp_path, [operation], constants, opset=18))
    graph = analog_from_onnx(network, SHAPE)
    assert check_onnx(graph, network, RNG.random((3, *SHAPE), np.float32)) < 1e-6


@pytest.mark.parametrize("form", ["none", "tanh"])
def test_gelu(tmp_path: Path, form: str) -> None:
    network = load_onnx(written(tmp_path, [node("Gelu", approximate=form)], {}, opset=20))
    graph = analog_from_onnx(network, SHAPE)
    assert check_onnx(graph, network, RNG.uniform(-4, 4, (5, *SHAPE)).astype(np.float32)) < 1e-5


def _chain(*steps: str) -> list[Any]:
    """``r = Operator(a, b)`` for every step ``r Operator a b``; - is an input left out."""
    nodes = []
    for step in steps:
        result, operator, *operands = step.split()
        given = ["" if operand == "-" else operand for operand in operands]
        nodes.append(helper.make_node(operator, given, [result], name=f"/{operator}_{result}"))
    return nodes


SPELLED: dict[str, tuple[list[Any], dict[str, float], list[str]]] = {
    "gelu, halved at the end": (
        _chain("a Div x root", "b Erf a", "c Add b one", "d Mul x c", "y Mul d half"),
        {"root": 2**0.5, "one": 1, "half": 0.5},
        ["gelu"],
    ),
    "gelu, halved in between": (
        _chain("a Mul x root", "b Erf a", "c Add one b", "d Mul half c", "y Mul d x"),
        {"root": 0.5**0.5, "one": 1, "half": 0.5},
        ["gelu"],
    ),
    "gelu, halved at first": (
        _chain("h Mul x half", "a Div x root", "b Erf a", "c Add b one", "y Mul h c"),
        {"root": 2**0.5, "one": 1, "half": 0.5},
        ["gelu"],
    ),
    "gelu tanh": (
        _chain(
            *("a Pow x three", "b Mul a k", "c Add x b", "d Mul c r", "e Tanh d", "f Add e one"),
            *("g Mul x f", "y Mul g half"),
        ),
        {"three": 3, "k": 0.044715, "r": (2 / np.pi) ** 0.5, "one": 1, "half": 0.5},
        ["gelu_tanh"],
    ),
    "silu": (_chain("a Sigmoid x", "y Mul a x"), {}, ["silu"]),
    "hard-swish": (
        _chain("a Add x three", "b Clip a zero six", "c Mul x b", "y Div c six"),
        {"three": 3, "zero": 0, "six": 6},
        ["hardswish"],
    ),
    "hard-swish, divided in between": (
        _chain("a Add three x", "b Clip a zero six", "c Mul b sixth", "y Mul c x"),
        {"three": 3, "zero": 0, "six": 6, "sixth": 1 / 6},
        ["hardswish"],
    ),
    "twice a hard-swish": (
        _chain("a Add three x", "b Clip a zero six", "c Mul b third", "y Mul c x"),
        {"three": 3, "zero": 0, "six": 6, "third": 1 / 3},
        ["hardswish", "scale"],
    ),
    "levels": (
        _chain("a Div x m", "b Clip a zero one", "c Mul b l", "d Add c half", "e Floor d")
        + _chain("f Div e l", "y Mul f m"),
        {"m": 1.5, "zero": 0, "one": 1, "l": 4, "half": 0.5},
        ["scale", "quantized_relu", "scale", "scale", "scale"],
    ),
    "levels, clipped twice": (
        _chain("a Clip x zero six", "b Mul a l", "c Floor b", "d Clip c zero top", "y Mul d half"),
        {"zero": 0, "six": 6, "l": 4, "top": 24, "half": 0.5},
        ["quantized_relu", "scale", "scale"],
    ),
    "clips of one side": (
        _chain("a Clip x zero", "y Clip a - three"),
        {"zero": 0, "three": 3},
        ["clip"],
    ),
    "minimum of a maximum": (
        _chain("a Max zero x", "y Min a three"),
        {"zero": 0, "three": 3},
        ["clip"],
    ),
    "levels, floor first": (
        _chain("c Mul x l", "d Add c half", "e Floor d", "f Div e l", "y Clip f zero three"),
        {"zero": 0, "three": 3, "l": 4, "half": 0.5},
        ["quantized_relu", "scale", "scale"],
    ),
}


@pytest.mark.parametrize("case", SPELLED)
def test_activations_spelled_out(tmp_path: Path, case: str) -> None:
    nodes, numbers, expected = SPELLED[case]
    constants = {name: np.float32(value).reshape(()) for name, value in numbers.items()}
    network = load_onnx(written(tmp_path, nodes, constants))
    graph = analog_from_onnx(network, SHAPE)
    assert [getattr(n.op, "name", n.op.kind) for n in graph.nodes[1:]] == expected
    assert check_onnx(graph, network, RNG.uniform(-5, 5, (5, *SHAPE)).astype(np.float32)) < 1e-5


@pytest.mark.parametrize("kind", ["FLOAT16", "BFLOAT16", "DOUBLE"])
def test_files_of_another_precision(tmp_path: Path, kind: str) -> None:
    """They are networks of float32, with the weights that they hold."""
    own = getattr(TensorProto, kind)
    kernel = RNG.standard_normal((3, 2, 3, 3)).astype(helper.tensor_dtype_to_np_dtype(own))
    nodes = [
        helper.make_node("Cast", ["x"], ["a"], to=own),
        helper.make_node("Conv", ["a", "w"], ["b"]),
        helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(kernel[0, 0, 0, :1])),
        helper.make_node("Add", ["b", "c"], ["y"]),
    ]
    path = written(tmp_path, nodes, {"w": kernel})
    model = onnx.load(path)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = own
    onnx.save(model, path)
    with pytest.warns(NeurodeployWarning, match=rf"net.onnx: computes in {kind}; taken in FLOAT$"):
        network = load_onnx(path)
    graph = analog_from_onnx(network, SHAPE)
    x = RNG.random((3, *SHAPE), np.float32)
    assert check_onnx(graph, network, x) < 1e-5
    (conv,) = (node.op for node in graph.nodes if isinstance(node.op, Conv2d))
    np.testing.assert_array_equal(conv.weight, kernel.astype(np.float32))
