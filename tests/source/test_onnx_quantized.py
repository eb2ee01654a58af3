"""ONNX files with quantized weights and activations, and of early opsets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the front end needs torch")
pytest.importorskip("onnx", reason="reading ONNX files needs onnx")

import onnx
from onnx import TensorProto, helper

from neurodeploy.errors import ConversionError, UnsupportedLayerError
from neurodeploy.source.analog import Linear, QuantizedReLU
from neurodeploy.source.evaluation.in_torch import evaluate
from neurodeploy.source.onnx.check import check_onnx
from neurodeploy.source.onnx.frontend import analog_from_onnx
from neurodeploy.source.onnx.loader import load_onnx
from tests.source.onnx_files import RNG, weight, written


def _pair(name: str, result: str, zero: str = "zero") -> list[object]:
    return [
        helper.make_node("QuantizeLinear", [name, "step", zero], ["q"], name="levels"),
        helper.make_node("DequantizeLinear", ["q", "step", zero], [result], name="units"),
    ]


WEIGHTS = {
    "w": RNG.integers(-127, 128, (4, 6)).astype(np.int8),
    "ws": np.float32([0.01, 0.02, 0.005, 0.01]),
    "wz": np.zeros(4, np.int8),
    "step": np.asarray(0.02, np.float32),
    "zero": np.asarray(0, np.uint8),
    "half": np.asarray(100, np.uint8),
}
NET = [
    helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], axis=0),
    helper.make_node("Gemm", ["x", "wd"], ["a"], transB=1),
]


def test_quantized_activations_are_levels_of_their_scale(tmp_path: Path) -> None:
    nodes = [*NET, helper.make_node("Relu", ["a"], ["r"]), *_pair("r", "y")]
    network = load_onnx(written(tmp_path, nodes, WEIGHTS, (6,), opset=13))
    graph = analog_from_onnx(network, (6,))
    linear, levels = graph.nodes[-2:]
    assert isinstance(linear.op, Linear)
    np.testing.assert_allclose(linear.op.weight, WEIGHTS["w"] * WEIGHTS["ws"][:, None], rtol=1e-6)
    assert isinstance(levels.op, QuantizedReLU)
    assert (round(levels.op.maximum, 6), levels.op.levels) == (5.1, 255)
    assert check_onnx(graph, network, RNG.uniform(-1, 1, (50, 6)).astype(np.float32)) < 0.02


def test_levels_without_a_zero_point_are_of_the_type_that_is_named(tmp_path: Path) -> None:
    for kind, found in ((0, [255]), (TensorProto.INT8, [127, 128]), (TensorProto.UINT16, [65535])):
        how = {"output_dtype": kind} if kind else {}
        nodes = [
            helper.make_node("QuantizeLinear", ["x", "step"], ["q"], **how),
            helper.make_node("DequantizeLinear", ["q", "step"], ["y"]),
        ]
        network = load_onnx(written(tmp_path, nodes, WEIGHTS, (6,), opset=21))
        graph = analog_from_onnx(network, (6,))
        levels = [node.op.levels for node in graph.nodes if isinstance(node.op, QuantizedReLU)]
        assert levels == found


def test_a_zero_point_makes_a_rail_for_either_sign(tmp_path: Path) -> None:
    nodes = [*NET, *_pair("a", "y", "half")]
    network = load_onnx(written(tmp_path, nodes, WEIGHTS, (6,), opset=13))
    graph = analog_from_onnx(network, (6,))
    levels = [node.op.levels for node in graph.nodes if isinstance(node.op, QuantizedReLU)]
    assert levels == [155, 100]
    assert check_onnx(graph, network, RNG.uniform(-1, 1, (50, 6)).astype(np.float32)) < 0.02


def test_levels_read_with_another_scale_are_refused(tmp_path: Path) -> None:
    nodes = [*NET, helper.make_node("Relu", ["a"], ["r"]), *_pair("r", "y")]
    nodes[-1].input[1] = "other"
    constants = {**WEIGHTS, "other": np.asarray(0.03, np.float32)}
    network = load_onnx(written(tmp_path, nodes, constants, (6,), opset=13))
    with pytest.raises(UnsupportedLayerError, match=r"a scale of 0.03 for levels of 0.02"):
        analog_from_onnx(network, (6,))


def test_opset_6_broadcasts_along_an_axis(tmp_path: Path) -> None:
    nodes = [helper.make_node("Add", ["x", "c"], ["y"], broadcast=1, axis=1)]
    network = load_onnx(written(tmp_path, nodes, {"c": weight(2)}, (2, 3, 4), opset=6))
    graph = analog_from_onnx(network, (2, 3, 4))
    assert check_onnx(graph, network, RNG.random((5, 2, 3, 4), np.float32)) < 1e-6
    shift = next(node.op for node in graph.nodes if node.op.kind == "add_constant")
    assert shift.value.shape == (2,)


def _qonnx(operator: str, inputs: list[str], result: str, **how: object) -> object:
    return helper.make_node(operator, inputs, [result], domain="qonnx.custom_op.general", **how)


def test_qonnx_rounds_weights_and_activations_to_any_number_of_bits(tmp_path: Path) -> None:
    constants = {
        "w": weight(4, 6),
        "ws": np.full((4, 1), 0.1, np.float32),
        "bs": np.asarray(0.25, np.float32),
        "as": np.asarray(0.2, np.float32),
        "none": np.asarray(0, np.float32),
        "four": np.asarray(4, np.float32),
        "three": np.asarray(3, np.float32),
    }
    nodes = [
        _qonnx("Quant", ["w", "ws", "none", "four"], "wq", signed=1, narrow=1),
        helper.make_node("Gemm", ["x", "wq"], ["a"], transB=1),
        helper.make_node("Relu", ["a"], ["r"]),
        _qonnx("Quant", ["r", "as", "none", "three"], "y", signed=0, narrow=0),
    ]
    network = load_onnx(written(tmp_path, nodes, constants, (6,), opset=13))
    graph = analog_from_onnx(network, (6,))
    linear, levels = graph.nodes[-2:]
    assert isinstance(linear.op, Linear)
    steps = linear.op.weight / 0.1
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-4)
    assert np.abs(steps).max() <= 7.001
    assert isinstance(levels.op, QuantizedReLU)
    assert (round(levels.op.maximum, 6), levels.op.levels) == (1.4, 7)
    assert check_onnx(graph, network, RNG.uniform(-1, 1, (50, 6)).astype(np.float32)) < 0.02


@pytest.mark.parametrize(
    ("mode", "bits", "expected"),
    [
        ("ROUND", 4, [-3, -2, -2, 2, 2, 3]),
        ("half_up", 4, [-3, -3, -2, 2, 3, 3]),
        ("HALF_DOWN", 4, [-3, -2, -2, 2, 2, 3]),
        ("floor", 4, [-3, -3, -2, 1, 2, 2]),
        ("CEIL", 4, [-2, -2, -1, 2, 3, 3]),
        ("UP", 4, [-3, -3, -2, 2, 3, 3]),
        ("DOWN", 4, [-2, -2, -1, 1, 2, 2]),
        ("ROUND", 1, [-1, -1, -1, 1, 1, 1]),
    ],
)
def test_qonnx_weights_are_rounded_as_it_says(
    tmp_path: Path, mode: str, bits: int, expected: list[int]
) -> None:
    """As QONNX does: of one bit with a sign there are but -1 and 1."""
    values = np.asarray([[-2.6, -2.5, -1.6, 1.6, 2.5, 2.6]], np.float32)
    constants = {"w": values * 0.5, "s": 0.5, "z": 0.0, "n": bits}
    nodes = [
        _qonnx("Quant", ["w", "s", "z", "n"], "q", signed=1, narrow=0, rounding_mode=mode),
        helper.make_node("Gemm", ["x", "q"], ["y"], transB=1),
    ]
    arrays = {name: np.asarray(value, np.float32) for name, value in constants.items()}
    network = load_onnx(written(tmp_path, nodes, arrays, (6,), opset=13))
    (linear,) = (n.op for n in analog_from_onnx(network, (6,)).nodes if isinstance(n.op, Linear))
    np.testing.assert_array_equal(linear.weight, np.float32([expected]) * 0.5)


@pytest.mark.parametrize(
    ("how", "zero", "says"),
    [
        ({"rounding_mode": "CEIL"}, 0.0, "rounding 'CEIL', expected one of"),
        ({"rounding_mode": "FLOOR"}, 0.0, "rounding 'FLOOR', expected one of"),
        ({}, 0.5, "a zero point of 0.5, expected a whole number"),
    ],
)
def test_qonnx_activations_that_no_levels_are(
    tmp_path: Path, how: dict[str, str], zero: float, says: str
) -> None:
    constants = {"s": 0.1, "z": zero, "n": 4}
    nodes = [_qonnx("Quant", ["x", "s", "z", "n"], "y", signed=1, narrow=0, **how)]
    arrays = {name: np.asarray(value, np.float32) for name, value in constants.items()}
    network = load_onnx(written(tmp_path, nodes, arrays, (6,), opset=13))
    with pytest.raises(UnsupportedLayerError, match=says):
        analog_from_onnx(network, (6,))


@pytest.mark.parametrize(
    ("mode", "bits", "domain", "operator"),
    [
        ("DOWN", 4, "qonnx.custom_op.general", "IntQuant"),
        ("ROUND", 1, "qonnx.custom_op.general", "Quant"),
        ("ROUND", 4, "onnx.brevitas", "Quant"),
    ],
)
def test_qonnx_activations_of_both_signs(
    tmp_path: Path, mode: str, bits: int, domain: str, operator: str
) -> None:
    constants = {"s": 0.1, "z": 0.0, "n": bits}
    how = {"signed": 1, "narrow": 0, "rounding_mode": mode}
    nodes = [helper.make_node(operator, ["x", "s", "z", "n"], ["y"], domain=domain, **how)]
    arrays = {name: np.asarray(value, np.float32) for name, value in constants.items()}
    network = load_onnx(written(tmp_path, nodes, arrays, (6,), opset=13))
    graph = analog_from_onnx(network, (6,))
    x = np.float32([[-0.95, -0.26, -0.03, 0.04, 0.37, 1.2]])
    found = evaluate(graph, x)[graph.outputs[0]]
    levels = {
        ("DOWN", 4): [-8, -2, 0, 0, 3, 7],
        ("ROUND", 1): [-1, -1, -1, 1, 1, 1],
        ("ROUND", 4): [-8, -3, 0, 0, 4, 7],
    }
    np.testing.assert_allclose(found, np.float32([levels[mode, bits]]) * 0.1, atol=1e-6)
    assert check_onnx(graph, network, x) <= 0.02


def test_qonnx_signs_of_activations(tmp_path: Path) -> None:
    nodes = [_qonnx("BipolarQuant", ["x", "size"], "y")]
    size = {"size": np.asarray(0.5, np.float32)}
    network = load_onnx(written(tmp_path, nodes, size, (6,), opset=13))
    graph = analog_from_onnx(network, (6,))
    assert check_onnx(graph, network, RNG.uniform(-1, 1, (20, 6)).astype(np.float32)) < 1e-5


def test_qonnx_signs_are_weights_of_one_size(tmp_path: Path) -> None:
    constants = {"w": weight(4, 6), "size": np.asarray(0.5, np.float32)}
    nodes = [
        _qonnx("BipolarQuant", ["w", "size"], "wq"),
        helper.make_node("Gemm", ["x", "wq"], ["y"], transB=1),
    ]
    network = load_onnx(written(tmp_path, nodes, constants, (6,), opset=13))
    graph = analog_from_onnx(network, (6,))
    (linear,) = (node.op for node in graph.nodes if isinstance(node.op, Linear))
    np.testing.assert_array_equal(linear.weight, np.where(constants["w"] >= 0, 0.5, -0.5))
    assert check_onnx(graph, network, RNG.uniform(-1, 1, (20, 6)).astype(np.float32)) < 1e-5


INTEGERS = {
    "xs": np.asarray(0.02, np.float32),
    "xz": np.asarray(100, np.uint8),
    "w": RNG.integers(0, 256, (3, 2, 1, 1)).astype(np.uint8),
    "ws": np.float32([0.01, 0.02, 0.005]),
    "wz": np.asarray([120, 128, 140], np.uint8),
    "ys": np.float32([0.05]),
    "yz": np.asarray(-10, np.int8),
    "b": RNG.integers(-500, 500, 3).astype(np.int32),
    "v": RNG.integers(-127, 128, (3, 4)).astype(np.int8),
    "vs": np.asarray(0.01, np.float32),
    "vz": np.zeros((), np.int8),
    "rows": np.asarray([0, 3], np.int64),
}


def test_operators_on_integers_are_those_on_what_they_stand_for(tmp_path: Path) -> None:
    """As ONNX Runtime writes them beside QDQ, its own domain and a bias in 32 bits included."""
    c, contrib = INTEGERS, {"domain": "com.microsoft"}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["xq"], **contrib),
        helper.make_node(
            "QLinearConv", ["xq", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"], ["c"]
        ),
        helper.make_node("Reshape", ["c", "rows"], ["r"]),
        helper.make_node("QGemm", ["r", "ys", "yz", "v", "vs", "vz"], ["g"], **contrib),
        helper.make_node("Relu", ["g"], ["y"]),
    ]
    network = load_onnx(written(tmp_path, nodes, INTEGERS, (2, 1, 1), opset=13))
    graph = analog_from_onnx(network, (2, 1, 1))
    x = RNG.uniform(-1, 1, (40, 2, 1, 1)).astype(np.float32)
    assert check_onnx(graph, network, x) < 0.02
    levels = np.clip(np.rint(x.reshape(40, 2) / 0.02) + 100, 0, 255) - 100
    weights = (c["w"][:, :, 0, 0].astype(int) - c["wz"][:, None]) * c["ws"][:, None]
    sums = levels * 0.02 @ weights.T + c["b"] * 0.02 * c["ws"]
    middle = (np.clip(np.rint(sums / 0.05) - 10, -128, 127) + 10) * 0.05
    expected = np.maximum(middle @ (c["v"] * 0.01), 0)
    found = evaluate(graph, x)[graph.outputs[0]]
    assert np.abs(found - expected).mean() < 1e-3 * expected.max()


@pytest.mark.parametrize(
    ("nodes", "says"),
    [
        (
            [("Add", "q q", "z"), ("DequantizeLinear", "z step half", "y")],
            "'z' .Add.: arithmetic on",
        ),
        (
            [("Pad", "q pads", "z"), ("DequantizeLinear", "z step half", "y")],
            "'z' .Pad.: arithmetic",
        ),
        ([("DequantizeLinear", "q step zero", "y")], "a zero point of 0 for levels around 100"),
        ([("DequantizeLinear", "q other half", "y")], "a scale of 0.03 for levels of 0.02"),
        ([("Identity", "q", "y")], "output 'y' is integers, not what they stand for"),
    ],
)
def test_integers_are_not_taken_for_what_they_stand_for(
    tmp_path: Path, nodes: list[tuple[str, str, str]], says: str
) -> None:
    pads = np.asarray([0, 1, 0, 1], np.int64)
    constants = {**WEIGHTS, "pads": pads, "other": np.asarray(0.03, np.float32)}
    constants["row"] = np.zeros((7, 2), np.uint8)
    axis = {"Concat": {"axis": 1}}
    made = [helper.make_node(o, t.split(), [r], **axis.get(o, {})) for o, t, r in nodes]
    first = helper.make_node("QuantizeLinear", ["x", "step", "half"], ["q"])
    network = load_onnx(written(tmp_path, [first, *made], constants, (6,), opset=21))
    with pytest.raises((ConversionError, UnsupportedLayerError), match=says):
        analog_from_onnx(network, (6,))


def test_an_output_need_not_say_its_shape(tmp_path: Path) -> None:
    path = written(tmp_path, [helper.make_node("Relu", ["x"], ["y"])], {})
    model = onnx.load(path)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    path.write_bytes(model.SerializeToString())
    assert load_onnx(path).outputs == ("y",)
