"""Small ONNX files that ask for more memory than there is, refused before it is taken."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="ONNX files are read with the onnx package")
pytest.importorskip("torch", reason="analog graphs are evaluated with torch")
from onnx import helper

from neurodeploy.errors import FileFormatError, UnsupportedLayerError
from neurodeploy.source.evaluation.in_torch import evaluate
from neurodeploy.source.onnx.check import check_onnx
from neurodeploy.source.onnx.frontend import analog_from_onnx
from neurodeploy.source.onnx.loader import load_onnx
from tests.source.onnx_files import SHAPE, ints, node, scales, weight, written


def bomb_layer(*names: str, **how: Any) -> Any:
    made = node(*names, **how)
    made.name = "bomb"
    return made


def bomb(operator: str, *inputs: str, **how: Any) -> list[Any]:
    return [helper.make_node(operator, inputs, ["c"], name="bomb", **how), node("Add", "c")]


def doubled(constant: str, n: int = 23) -> list[Any]:
    names = [constant, *(f"bomb{i}" for i in range(n))]
    made = [
        helper.make_node("Concat", [a, a], [b], axis=0 if constant == "c" else 1, name=b)
        for a, b in itertools.pairwise(names)
    ]
    return [*made, node("Add", names[-1]) if constant == "c" else node("Neg")]


SIDE = 2**15
LINES = {"a": weight(SIDE, 1), "b": weight(1, SIDE)}

BOMBS: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "spread both ways": (bomb("Expand", "a", "s"), {**LINES, "s": ints(1, SIDE)}),
    "of any size": (bomb("ConstantOfShape", "s"), {"s": ints(2**20, 2**20)}),
    "of every size": (bomb("ConstantOfShape", "s"), {"s": ints(*[2**62] * 40)}),
    "sum of lines": (bomb("Add", "a", "b"), LINES),
    "choice of lines": (bomb("Where", "d", "a", "b"), {**LINES, "d": np.array([True])}),
    "product of lines": (bomb("MatMul", "a", "b"), LINES),
    "elements": (bomb("Gather", "a", "i", axis=1), {**LINES, "i": np.zeros(SIDE, np.int64)}),
    "parts": (
        bomb("GatherND", "b", "i"),
        {**LINES, "i": np.zeros((SIDE, 1), np.int64)},
    ),
    "range": (
        bomb("Range", "i", "j", "k"),
        {"i": ints(0)[0], "j": ints(2**40)[0], "k": ints(1)[0]},
    ),
    "repeated": (bomb("Tile", "a", "s"), {**LINES, "s": ints(1, SIDE)}),
    "padded": (bomb("Pad", "a", "s"), {**LINES, "s": ints(0, 0, 0, SIDE)}),
    "centered": (bomb("CenterCropPad", "a", "s", axes=[1]), {**LINES, "s": ints(SIDE)}),
    "doubled": (doubled("c"), {"c": weight(8)}),
    "doubled activations": (
        [*doubled("x", 20)[:-1], helper.make_node("Neg", ["bomb19"], ["y"])],
        {},
    ),
    "windows far out": ([bomb_layer("Conv", "w", pads=[2**15] * 4)], {"w": weight(2, 2, 3, 3)}),
    "windows beyond": ([bomb_layer("Conv", "w", pads=[2**62] * 4)], {"w": weight(2, 2, 3, 3)}),
    "wide windows": (
        [bomb_layer("AveragePool", kernel_shape=[2**31, 2], pads=[2**31, 0, 0, 0])],
        {},
    ),
    "a wide last window": (
        [bomb_layer("MaxPool", kernel_shape=[2**40, 2], strides=[2**41, 1], ceil_mode=1)],
        {},
    ),
    "wide strides": (
        [bomb_layer("ConvTranspose", "w", strides=[30000, 30000])],
        {"w": weight(2, 2, 3, 3)},
    ),
    "resized": ([bomb_layer("Resize", "", "s", mode="linear")], {"s": scales(3e4, 3e4)}),
    "repeated activations": ([bomb_layer("Tile", "s")], {"s": ints(1, 1, 2**20, 1)}),
    "expanded activations": ([bomb_layer("Expand", "s")], {"s": ints(2**40, 1, 1, 1, 1)}),
    "padded activations": ([bomb_layer("Pad", "s")], {"s": ints(0, 2**40, 0, 0, 0, 0, 0, 0)}),
    "spread activations": (
        [
            helper.make_node("GlobalAveragePool", ["x"], ["m"]),
            helper.make_node("Add", ["m", "a"], ["n"]),
            helper.make_node("Add", ["n", "b"], ["y"], name="bomb"),
        ],
        LINES,
    ),
}


@pytest.mark.parametrize("case", BOMBS)
def test_what_would_fill_the_memory(tmp_path: Path, case: str) -> None:
    nodes, constants = BOMBS[case]
    network = load_onnx(written(tmp_path, nodes, constants, opset=18))
    with pytest.raises(UnsupportedLayerError, match=r"'bomb\d*' .* elements, at most \d+ fit"):
        analog_from_onnx(network, SHAPE)


@pytest.mark.parametrize("values", [np.array(["a"]), np.ones(6, np.complex64)])
def test_constants_that_are_no_real_numbers(tmp_path: Path, values: Any) -> None:
    network = load_onnx(written(tmp_path, [node("Mul", "k")], {"k": values}))
    with pytest.raises(UnsupportedLayerError, match="expected an array of real numbers"):
        analog_from_onnx(network, SHAPE)


def test_what_nothing_needs_is_not_made(tmp_path: Path) -> None:
    nodes = [*bomb("ConstantOfShape", "s")[:1], node("Neg")]
    network = load_onnx(written(tmp_path, nodes, {"s": ints(2**40)}))
    graph = analog_from_onnx(network, SHAPE)
    assert check_onnx(graph, network, weight(3, *SHAPE)) == 0


def test_more_samples_at_a_time_than_fit(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="takes 65536 samples at a time, at most 16384"):
        load_onnx(written(tmp_path, [node("Relu")], {}, batch=2**16))


def function(name: str, *operators: str) -> Any:
    """Operators in a row; those of one letter are functions."""
    names = ["a", *(f"{name}{i}" for i in range(len(operators) - 1)), "b"]
    nodes = [
        helper.make_node(operator, [a], [b], domain="own" * (len(operator) == 1))
        for operator, (a, b) in zip(operators, itertools.pairwise(names), strict=True)
    ]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    return helper.make_function("own", name, ["a"], ["b"], nodes, opsets)


def calls(folder: Path, *functions: Any) -> Path:
    call = helper.make_node("A", ["x"], ["y"], domain="own")
    return written(folder, [call, helper.make_node("Neg", ["x"], ["z"])], {}, functions=functions)


def test_functions_of_the_file(tmp_path: Path) -> None:
    path = calls(tmp_path, function("A", "B", "Neg", "B"), function("B", "Relu", "Neg"))
    network = load_onnx(path)
    graph = analog_from_onnx(network, SHAPE)
    x = weight(3, *SHAPE)
    assert check_onnx(graph, network, x) == 0
    (y,) = evaluate(graph, x).values()
    assert (y == -np.maximum(x, 0)).all()


LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
FUNCTIONS: dict[str, tuple[tuple[Any, ...], str]] = {
    "doubled": (
        (*(function(a, b, b) for a, b in itertools.pairwise(LETTERS)), function("Z", "Relu")),
        r"function 'own:K. becomes \d+ nodes, at most \d+,",
    ),
    "of itself": ((function("A", "B"), function("B", "Relu", "A")), "'own:A' calls itself"),
}


@pytest.mark.parametrize("case", FUNCTIONS)
def test_functions_without_end(tmp_path: Path, case: str) -> None:
    functions, message = FUNCTIONS[case]
    with pytest.raises(FileFormatError, match=message):
        load_onnx(calls(tmp_path, *functions))
