"""ONNX networks against the evaluator of the onnx package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="ONNX files are read with the onnx package")
pytest.importorskip("torch", reason="analog graphs are evaluated with torch")
from onnx import TensorProto, helper  # noqa: E402

from neurodeploy.errors import DataError, FileFormatError, UnsupportedLayerError  # noqa: E402
from neurodeploy.source.onnx.check import check_onnx  # noqa: E402
from neurodeploy.source.onnx.frontend import analog_from_onnx  # noqa: E402
from neurodeploy.source.onnx.loader import load_onnx  # noqa: E402
from tests.source.onnx_files import (  # noqa: E402
    RNG,
    SHAPE,
    ints,
    node,
    scales,
    weight,
    written,
)

CASES: dict[str, tuple[Any, dict[str, Any], tuple[int, ...]]] = {
    "einsum of all axes": (
        node("Einsum", "w", equation="...w,wd->...d"),
        {"w": weight(6, 3)},
        SHAPE,
    ),
    "einsum without a result": (
        node("Einsum", "w", equation="ach,hd"),
        {"w": weight(7, 3)},
        (2, 7),
    ),
    "einsum of one, summed": (node("Einsum", equation="nchw->nw"), {}, SHAPE),
    "einsum of one, turned": (node("Einsum", equation="n...w->nw..."), {}, SHAPE),
    "conv": (node("Conv", "w", "b"), {"w": weight(4, 2, 3, 3), "b": weight(4)}, SHAPE),
    "conv groups": (
        node("Conv", "w", group=2, dilations=[2, 1], strides=[1, 2], pads=[2, 1, 0, 1]),
        {"w": weight(4, 1, 3, 3)},
        SHAPE,
    ),
    "conv same upper": (
        node("Conv", "w", auto_pad="SAME_UPPER", strides=[2, 2]),
        {"w": weight(3, 2, 4, 3)},
        SHAPE,
    ),
    "conv same lower": (node("Conv", "w", auto_pad="SAME_LOWER"), {"w": weight(3, 2, 2, 2)}, SHAPE),
    "conv1d": (node("Conv", "w", pads=[1, 0]), {"w": weight(3, 2, 3)}, (2, 9)),
    "gemm": (
        node("Gemm", "w", "b", transB=1, alpha=0.5, beta=2.0),
        {"w": weight(4, 6), "b": weight(4)},
        (6,),
    ),
    "gemm scalar bias": (node("Gemm", "w", "b"), {"w": weight(6, 4), "b": weight(1)}, (6,)),
    "matmul": (node("MatMul", "w"), {"w": weight(6, 4)}, (6,)),
    "add": (node("Add", "c"), {"c": weight(2, 1, 1)}, SHAPE),
    "mul": (node("Mul", "c"), {"c": weight(1, 2, 1, 1)}, SHAPE),
    "div": (node("Div", "c"), {"c": np.float32(4).reshape(())}, SHAPE),
    "sub": (helper.make_node("Sub", ["c", "x"], ["y"]), {"c": weight(2, 7, 6)}, SHAPE),
    "batch norm": (
        node("BatchNormalization", "s", "b", "m", "v", epsilon=1e-3),
        {"s": weight(2), "b": weight(2), "m": weight(2), "v": np.abs(weight(2))},
        SHAPE,
    ),
    "relu6": (
        node("Clip", "low", "high"),
        {"low": np.float32(0).reshape(()), "high": np.float32(0.5).reshape(())},
        SHAPE,
    ),
    "max pool": (
        node("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1),
        {},
        SHAPE,
    ),
    "average pool": (
        node("AveragePool", kernel_shape=[3, 2], strides=[2, 2], pads=[1, 1, 1, 1]),
        {},
        SHAPE,
    ),
    "average pool, more padding than half of its kernel": (
        node("AveragePool", kernel_shape=[3, 3], pads=[2, 2, 2, 2]),
        {},
        SHAPE,
    ),
    "max pool, more padding than half of its kernel": (
        node("MaxPool", kernel_shape=[3, 2], strides=[2, 2], pads=[2, 1, 2, 1]),
        {},
        SHAPE,
    ),
    "average pool with padding": (
        node("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
        {},
        SHAPE,
    ),
    "global average pool": (node("GlobalAveragePool"), {}, SHAPE),
    "global max pool": (node("GlobalMaxPool"), {}, SHAPE),
    "reduce mean": (node("ReduceMean", axes=[2, 3], keepdims=0), {}, SHAPE),
    "flatten": (node("Flatten"), {}, SHAPE),
    "reshape": (node("Reshape", "s"), {"s": ints(0, -1, 7)}, SHAPE),
    "unsqueeze": (node("Unsqueeze", "a"), {"a": ints(1)}, (5, 4)),
    "squeeze": (node("Squeeze", "a"), {"a": ints(2, 3)}, (5, 1, 1)),
    "slice": (
        node("Slice", "from", "to", "axes", "steps"),
        {"from": ints(0, 1), "to": ints(2**40, -1), "axes": ints(1, -2), "steps": ints(1, 2)},
        SHAPE,
    ),
    "pad": (node("Pad", "p"), {"p": ints(0, 1, 2, 0, 0, 1, 0, 3)}, SHAPE),
    "identity transpose": (node("Transpose", perm=[0, 2, 1, 3]), {}, (1, 5, 4)),
    "softmax": (node("Softmax", axis=1), {}, (6,)),
    "log softmax": (node("LogSoftmax", axis=-1), {}, (6,)),
    "dropout": (node("Dropout"), {}, SHAPE),
    "conv transpose": (
        node("ConvTranspose", "w", "b", strides=[2, 3], pads=[1, 0, 1, 0], output_padding=[1, 2]),
        {"w": weight(2, 4, 3, 3), "b": weight(4)},
        SHAPE,
    ),
    "conv transpose, more cut before": (
        node("ConvTranspose", "w", strides=[2, 2], pads=[1, 0, 0, 1]),
        {"w": weight(2, 3, 3, 4)},
        SHAPE,
    ),
    "conv transpose to a shape": (
        node("ConvTranspose", "w", strides=[2, 2], output_shape=[14, 13]),
        {"w": weight(2, 3, 3, 4)},
        SHAPE,
    ),
    "conv transpose same upper": (
        node("ConvTranspose", "w", strides=[2, 2], auto_pad="SAME_UPPER"),
        {"w": weight(2, 3, 3, 3)},
        SHAPE,
    ),
    "conv transpose 1d": (
        node("ConvTranspose", "w", group=2, dilations=[2], pads=[1, 1]),
        {"w": weight(2, 3, 3)},
        (2, 9),
    ),
    "resize half pixel": (node("Resize", "", "s"), {"s": scales(2, 3)}, SHAPE),
    "resize asymmetric": (
        node("Resize", "", "s", coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
        {"s": scales(3, 1)},
        SHAPE,
    ),
    "resize by corners": (
        node("Resize", "", "s", coordinate_transformation_mode="align_corners"),
        {"s": scales(2, 2)},
        SHAPE,
    ),
    "leaky relu": (node("LeakyRelu", alpha=0.2), {}, SHAPE),
    "leaky relu by default": (node("LeakyRelu"), {}, SHAPE),
    "prelu": (node("PRelu", "a"), {"a": np.float32([[[0.1]], [[0.3]]])}, SHAPE),
    "prelu of one slope": (node("PRelu", "a"), {"a": np.float32([0.25])}, SHAPE),
    "sigmoid": (node("Sigmoid"), {}, SHAPE),
    "tanh": (node("Tanh"), {}, SHAPE),
    "hard-swish": (node("HardSwish"), {}, SHAPE),
    "hard-sigmoid": (node("HardSigmoid", alpha=1 / 6), {}, SHAPE),
    "hard-sigmoid by default": (node("HardSigmoid"), {}, SHAPE),
    "hard-sigmoid, steep": (node("HardSigmoid", alpha=2.0, beta=0.25), {}, SHAPE),
    "elu": (node("Elu"), {}, SHAPE),
    "softplus": (node("Softplus"), {}, SHAPE),
    "selu": (node("Selu"), {}, SHAPE),
    "transpose": (node("Transpose", perm=[0, 2, 1, 3]), {}, SHAPE),
    "padding": (node("Pad", "p", mode="reflect"), {"p": ints(0, 0, 1, 1, 0, 0, 1, 1)}, SHAPE),
    "edge padding": (node("Pad", "p", mode="edge"), {"p": ints(0, 0, 1, 1, 0, 0, 1, 1)}, SHAPE),
    "leaky relu of negative slope": (node("LeakyRelu", alpha=-0.1), {}, SHAPE),
    "slopes": (
        node("PRelu", "a"),
        {"a": np.full((7, 6), 0.5, np.float32) * (np.arange(6) > 2)},
        SHAPE,
    ),
    "elu of another scale": (node("Elu", alpha=2.0), {}, SHAPE),
    "erf": (node("Erf"), {}, SHAPE),
    "maximum": (node("Max", "c"), {"c": np.float32(1).reshape(())}, SHAPE),
    "minimum": (node("Min", "c"), {"c": np.float32(1).reshape(())}, SHAPE),
    "minimum of itself": (node("Min", "x"), {}, SHAPE),
    "pow": (node("Pow", "c"), {"c": np.float32(2).reshape(())}, SHAPE),
    "powers": (node("Pow", "c"), {"c": np.float32([2] * 6)}, SHAPE),
    "gemm and an activation": (
        node("Gemm", "w", "x", beta=0.5),
        {"w": weight(6, 6)},
        (6,),
    ),
    "cubic": (node("Resize", "", "s", mode="cubic"), {"s": scales(2, 2)}, SHAPE),
    "cubic inside": (
        node("Resize", "", "s", mode="cubic", exclude_outside=1, cubic_coeff_a=-0.5),
        {"s": scales(1.5, 0.6)},
        SHAPE,
    ),
    "linear resize": (node("Resize", "", "s", mode="linear"), {"s": scales(2, 2)}, SHAPE),
    "fraction": (node("Resize", "", "s"), {"s": scales(2, 1.5)}, SHAPE),
    "corners": (
        node("Resize", "", "s", coordinate_transformation_mode="align_corners"),
        {"s": scales(3, 3)},
        SHAPE,
    ),
    "half pixel floor": (node("Resize", "", "s", nearest_mode="floor"), {"s": scales(2, 2)}, SHAPE),
    "selu of other constants": (node("Selu", alpha=1.2, gamma=0.7), {}, SHAPE),
    "celu": (node("Celu", alpha=0.5), {}, SHAPE),
    "softsign": (node("Softsign"), {}, SHAPE),
    "abs": (node("Abs"), {}, SHAPE),
    "thresholded relu": (node("ThresholdedRelu", alpha=0.2), {}, SHAPE),
    "shrink": (node("Shrink", lambd=0.3, bias=0.3), {}, SHAPE),
    "clip": (
        node("Clip", "low", "high"),
        {"low": np.float32(-0.5).reshape(()), "high": np.float32(0.25).reshape(())},
        SHAPE,
    ),
    "max of three": (node("Max", "c", "x"), {"c": weight(2, 1, 1)}, SHAPE),
    "sum of a broadcast": (node("Sum", "c", "x"), {"c": weight(7, 1)}, SHAPE),
    "mean": (node("Mean", "x", "c"), {"c": weight(2, 7, 6)}, SHAPE),
    "gather": (node("Gather", "i", axis=1), {"i": ints(1, 0, 1)}, SHAPE),
    "tile": (node("Tile", "n"), {"n": ints(1, 2, 1, 3)}, SHAPE),
    "expand": (node("Expand", "n"), {"n": ints(1, 2, 3, 6)}, (2, 1, 6)),
    "space to depth": (node("SpaceToDepth", blocksize=2), {}, (2, 6, 4)),
    "depth to space": (node("DepthToSpace", blocksize=2, mode="CRD"), {}, (8, 3, 2)),
    "wrap padding": (node("Pad", "p", mode="wrap"), {"p": ints(0, 0, 1, 1, 0, 0, 1, 1)}, SHAPE),
    "padding with a half": (
        node("Pad", "p", "v"),
        {"p": ints(0, 0, 1, 1, 0, 0, 1, 1), "v": np.float32(0.5).reshape(())},
        SHAPE,
    ),
    "concat of itself along rows": (
        node("Concat", "x", axis=2),
        {},
        SHAPE,
    ),
    "reduce over channels": (node("ReduceMean", axes=[1], keepdims=1), {}, SHAPE),
    "reduce max over channels": (node("ReduceMax", axes=[1], keepdims=0), {}, SHAPE),
    "reduce min over rows": (node("ReduceMin", axes=[2], keepdims=1), {}, SHAPE),
    "reduce l1": (node("ReduceL1", axes=[2], keepdims=0), {}, SHAPE),
    "cumulative sum": (node("CumSum", "a", reverse=1, exclusive=1), {"a": np.array(2)}, SHAPE),
    "matmul with a vector": (node("MatMul", "w"), {"w": weight(6)}, SHAPE),
    "einsum of axes without letters": (
        node("Einsum", "w", equation="...w,wd->...d"),
        {"w": weight(6, 4)},
        SHAPE,
    ),
    "matmul on the last axis": (node("MatMul", "w"), {"w": weight(6, 4)}, SHAPE),
    "matmul from the left": (
        helper.make_node("MatMul", ["w", "x"], ["y"], name="/block/MatMul"),
        {"w": weight(3, 7)},
        SHAPE,
    ),
    "einsum": (
        node("Einsum", "w", equation="nchw,cwd->nhd"),
        {"w": weight(2, 6, 3)},
        SHAPE,
    ),
    "max pool padded on one side": (
        node("MaxPool", kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 0, 1]),
        {},
        SHAPE,
    ),
    "max pool same upper": (
        node("MaxPool", kernel_shape=[2, 2], strides=[2, 2], auto_pad="SAME_UPPER"),
        {},
        SHAPE,
    ),
    "average pool same upper": (
        node("AveragePool", kernel_shape=[2, 2], strides=[2, 2], auto_pad="SAME_UPPER"),
        {},
        SHAPE,
    ),
}


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("batch", ["n", 1, 3])
def test_one_operation(tmp_path: Path, case: str, batch: int | str) -> None:
    operation, constants, shape = CASES[case]
    network = load_onnx(written(tmp_path, [operation], constants, shape, batch))
    graph = analog_from_onnx(network, shape)
    x = RNG.uniform(-1, 1, (5, *shape)).astype(np.float32)
    assert check_onnx(graph, network, x) < 1e-5


@pytest.mark.parametrize("given", ["constants", "activations"])
@pytest.mark.parametrize("operator", ["ScatterElements", "ScatterND"])
def test_elements_in_the_place_of_others(tmp_path: Path, operator: str, given: str) -> None:
    index, size, how = np.zeros((1, 2, 2, 6), np.int64), (1, 2, 2, 6), {"axis": 2}
    index[:, :, 1] = 4
    if operator == "ScatterND":
        # Two rows of the second channel, as an assignment to a slice is exported.
        index, size, how = np.array([[[0, 1, 5], [0, 1, 2]]]), (1, 2, 6), {}
    nodes = [
        helper.make_node("Slice", ["x", "from", "to", "axes"], ["rows"]),
        helper.make_node("Reshape", ["rows", "size"], ["activations"]),
        helper.make_node(operator, ["x", "index", given], ["y"], **how),
    ]
    cut = {"from": ints(2), "to": ints(4 if len(size) == 4 else 3), "axes": ints(2)}
    constants = {**cut, "size": ints(*size), "index": index, "constants": weight(*size)}
    network = load_onnx(written(tmp_path, nodes, constants, SHAPE, 1))
    graph = analog_from_onnx(network, SHAPE)
    x = RNG.uniform(-1, 1, (5, *SHAPE)).astype(np.float32)
    assert check_onnx(graph, network, x) < 1e-6


def test_shape_chains_shared_weights_and_two_outputs(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["c", "x"], ["d"]),
        helper.make_node("Concat", ["d", "b"], ["y"], axis=1),
        helper.make_node("Split", ["d", "sizes"], ["e", "f"], axis=2),
        helper.make_node("Shape", ["f"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["n"]),
        helper.make_node("Unsqueeze", ["n", "zero1"], ["n1"]),
        helper.make_node("Concat", ["n1", "rest"], ["target"], axis=0),
        helper.make_node("Reshape", ["f", "target"], ["z"]),
        helper.make_node("Exp", ["w"], ["unused"]),
    ]
    constants = {
        "w": weight(2, 2, 3, 3),
        "sizes": ints(3, 4),
        "zero": np.array(0),
        "zero1": ints(0),
        "rest": ints(-1),
    }
    network = load_onnx(written(tmp_path, nodes, constants, outputs=("y", "z")))
    graph = analog_from_onnx(network, SHAPE, normalization=((0.1, 0.2), (0.5, 2.0)))
    assert [graph.node(name).shape for name in graph.outputs] == [(4, 7, 6), (48,)]
    assert check_onnx(graph, network, RNG.random((5, *SHAPE), np.float32)) < 1e-5


REFUSED = {
    "misspelt": (node("GlobalLpPool"), {}, "nearest: GlobalMaxPool"),
    "instance norm": (
        node("InstanceNormalization", "a", "b"),
        {"a": weight(2), "b": weight(2)},
        "statistics of the sample.*use batch norm",
    ),
    "product": (
        helper.make_node("MatMul", ["x", "x"], ["y"], name="/block/MatMul"),
        {},
        "product of two activations.*supported: docs/operators.md",
    ),
    "batch": (node("Reshape", "s"), {"s": ints(-1)}, "the batch is mixed"),
    "softmax": (node("Softmax", axis=3), {}, "expected the channels"),
    "cubes and a longer shape": (
        node("Pow", "c"),
        {"c": np.full((1,) * 5, 3, np.float32)},
        "differ",
    ),
    "floor": (node("Floor"), {}, r"'/block/Floor' \(Floor\): rounding outside"),
    "crop": (
        node("Resize", "r", "s", coordinate_transformation_mode="tf_crop_and_resize"),
        {"s": scales(2, 2), "r": np.zeros(8, np.float32)},
        "'tf_crop_and_resize'",
    ),
    "output padding": (
        node("ConvTranspose", "w", output_padding=[1, 0]),
        {"w": weight(2, 3, 3, 3)},
        r"output_padding \(1, 0\)",
    ),
    "output shape": (
        node("ConvTranspose", "w", output_shape=[40, 40]),
        {"w": weight(2, 3, 3, 3)},
        "larger than the result",
    ),
    "strides of 0": (
        node("Conv", "w", strides=[0, 1]),
        {"w": weight(2, 2, 3, 3)},
        r"strides \(0, 1\), expected 2 integers >= 1",
    ),
    "an infinite axis": (
        node("ReduceSum", "a"),
        {"a": np.array([np.inf], np.float32)},
        r"\[inf\], expected integers",
    ),
    "an infinite size": (
        node("Resize", "", "", "s"),
        {"s": np.array([np.inf], np.float32)},
        r"\[inf\], expected integers",
    ),
    "too few sizes": (node("Resize", "", "", "s"), {"s": ints(14, 12)}, r"sizes \[14, 12\] for 4"),
    "too few strides": (node("MaxPool", kernel_shape=[2, 2], strides=[2]), {}, r"strides \(2,\)"),
    "too few pads": (node("MaxPool", kernel_shape=[2, 2], pads=[1]), {}, "1 pads"),
    "an einsum of one term": (node("Einsum", "w", equation="nchw"), {"w": weight(6)}, "2 operands"),
    "an einsum of other sizes": (
        node("Einsum", "w", equation="nchw,wd->nchd"),
        {"w": weight(5, 3)},
        r"activations of \(2, 7, 6\) and \(5, 3\)",
    ),
    "an einsum of unknown axes": (
        node("Einsum", "w", equation="nchw,wd->nchz"),
        {"w": weight(6, 3)},
        "axes of the result",
    ),
    "an einsum of other axes": (
        node("Einsum", "w", equation="nc,c->n"),
        {"w": weight(2)},
        r"einsum 'nc,c->n' of operands with \[4, 1\] axes",
    ),
    "negative padding": (
        node("Conv", "w", pads=[-1, 0, 0, 0]),
        {"w": weight(2, 2, 3, 3)},
        "negative padding",
    ),
    "line of weights": (node("Conv", "w"), {"w": weight(3, 2, 3)}, "a weight of shape"),
    "padding of another name": (
        node("Conv", "w", auto_pad="SAME"),
        {"w": weight(2, 2, 3, 3)},
        "auto_pad 'SAME'",
    ),
    "transposed input": (node("Gemm", "w", transA=1), {"w": weight(2, 3)}, "transA"),
    "batch statistics": (
        node("BatchNormalization", *"abcd", training_mode=1),
        {name: np.ones(2, np.float32) for name in "abcd"},
        "training_mode",
    ),
    "lanczos": (node("Resize", "", "s", mode="lanczos"), {"s": scales(2, 2)}, "mode 'lanczos'"),
    "scattered sums": (
        node("ScatterElements", "i", "x", axis=1, reduction="max"),
        {"i": np.zeros((1, 2, 7, 6), np.int64)},
        "reduction='max'",
    ),
    "integers": (node("Cast", to=6), {}, "another type than float32"),
    "dropout": (
        node("Dropout", "r", "t"),
        {"r": np.float32(0.5), "t": np.array(True)},
        "dropout is active",
    ),
    "division": (node("Div", "c"), {"c": np.zeros(1, np.float32)}, "division by 0"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_by_name(tmp_path: Path, case: str) -> None:
    operation, constants, message = REFUSED[case]
    with pytest.raises(UnsupportedLayerError, match=message) as caught:
        analog_from_onnx(load_onnx(written(tmp_path, [operation], constants)), SHAPE)
    assert "\n" not in str(caught.value)


def test_softmax_over_all_that_is_behind_an_axis(tmp_path: Path) -> None:
    network = load_onnx(written(tmp_path, [node("Softmax", axis=1)], {}, opset=11))
    with pytest.raises(UnsupportedLayerError, match=r"axis 1 and all behind it .* channels alone"):
        analog_from_onnx(network, SHAPE)


def test_padded_weights(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Pad", ["w", "p"], ["wide"]),
        helper.make_node("Conv", ["x", "wide"], ["y"], pads=[1, 1, 1, 1]),
    ]
    constants = {"w": weight(16, 2, 3, 3), "p": ints(0, 0, 1, 1, 0, 0, 1, 1)}
    network = load_onnx(written(tmp_path, nodes, constants))
    graph = analog_from_onnx(network, SHAPE)
    assert check_onnx(graph, network, RNG.random((5, *SHAPE), np.float32)) < 1e-5


def test_other_samples(tmp_path: Path) -> None:
    network = load_onnx(written(tmp_path, [node("Relu")], {}))
    with pytest.raises(DataError, match=r"input 'x' has shape \(2, 7, 6\)"):
        analog_from_onnx(network, (1, 7, 6))


@pytest.mark.parametrize("keep", [0, 10, 60])
def test_truncated_files(tmp_path: Path, keep: int) -> None:
    path = written(tmp_path, [node("Conv", "w")], {"w": weight(4, 2, 3, 3)})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(FileFormatError) as caught:
        load_onnx(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [b"/block/Conv", b"w", b"n"])
def test_names_that_are_no_text(tmp_path: Path, name: bytes) -> None:
    path = written(tmp_path, [node("Conv", "w")], {"w": weight(4, 2, 3, 3)})
    at = b"%c%b" % (len(name), name)
    assert at in path.read_bytes()
    damaged = b"%c%b" % (len(name), b"\xe0" * len(name))
    path.write_bytes(path.read_bytes().replace(at, damaged))
    with pytest.raises(FileFormatError, match=r"no UTF-8 text \(b'\\xe0"):
        load_onnx(path)


def test_an_attribute_that_is_no_text(tmp_path: Path) -> None:
    nodes = [node("Conv", "w", auto_pad="VALID")]
    path = written(tmp_path, nodes, {"w": weight(4, 2, 3, 3)})
    path.write_bytes(path.read_bytes().replace(b"VALID", b"\xe0ALID"))
    with pytest.raises(UnsupportedLayerError, match=r"\\xe0ALID"):
        analog_from_onnx(load_onnx(path), SHAPE)


def external(folder: Path, location: str, length: int | None = None) -> Path:
    values = weight(4, 2, 3, 3)
    path = written(folder, [node("Conv", "w")], {"w": values})
    model = onnx.load_model_from_string(path.read_bytes())
    tensor = model.graph.initializer[0]
    (folder / "net.data").write_bytes(values.tobytes())
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("length", str(length or values.nbytes))):
        tensor.external_data.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())
    return path


def test_weights_in_a_file_beside_the_network(tmp_path: Path) -> None:
    network = load_onnx(external(tmp_path, "net.data"))
    graph = analog_from_onnx(network, SHAPE)
    assert check_onnx(graph, network, RNG.random((2, *SHAPE), np.float32)) < 1e-5


@pytest.mark.parametrize("location", ["../net.data", "/etc/hostname", "a/../net.data", "", ".."])
def test_weights_elsewhere_are_refused(tmp_path: Path, location: str) -> None:
    with pytest.raises(FileFormatError, match="expected a file in its own folder"):
        load_onnx(external(tmp_path, location))


def test_weights_behind_a_link_or_too_short_are_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/hostname")
    with pytest.raises(FileFormatError, match="not a file beside it"):
        load_onnx(external(tmp_path, "link"))
    with pytest.raises(FileFormatError, match="do not belong together"):
        load_onnx(external(tmp_path, "net.data", length=10**6))


def test_weights_that_are_not_finite(tmp_path: Path) -> None:
    values = weight(4, 2, 3, 3)
    values[0, 0, 0, 0] = np.nan
    with pytest.raises(FileFormatError, match="holds 1 NaN or infinite values of 72 in 'w'"):
        load_onnx(written(tmp_path, [node("Conv", "w")], {"w": values}))


def test_a_network_with_channels_last_takes_images_with_channels_first(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Transpose", ["x"], ["c"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["c", "w"], ["y"]),
    ]
    network = load_onnx(written(tmp_path, nodes, {"w": weight(4, 3, 2, 2)}, (6, 5, 3)))
    x = RNG.uniform(0, 1, (9, 3, 6, 5)).astype(np.float32)
    graph = analog_from_onnx(network, (3, 6, 5), normalization=((0.5, 0.4, 0.3), (0.2, 0.2, 0.2)))
    assert check_onnx(graph, network, x) < 1e-5
    # The permutation of the file undoes that of the input.
    assert [node.op.kind for node in graph.nodes] == ["input", "normalize", "conv2d"]
    same = analog_from_onnx(network, (6, 5, 3))
    assert check_onnx(same, network, x.transpose(0, 2, 3, 1)) < 1e-5


def test_channels_last_data_of_a_network_with_channels_first(tmp_path: Path) -> None:
    path = written(tmp_path, [node("Conv", "w")], {"w": weight(4, 3, 2, 2)}, (3, 6, 5))
    with pytest.raises(DataError, match="add #layout=NHWC"):
        analog_from_onnx(load_onnx(path), (6, 5, 3))
    with pytest.raises(DataError, match=r"save x.reshape\(len\(x\), 3, 6, 5\) if that is their"):
        analog_from_onnx(load_onnx(path), (90,))
