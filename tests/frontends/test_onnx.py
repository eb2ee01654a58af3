"""ONNX networks against the evaluator of the onnx package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="ONNX files are read with the onnx package")
pytest.importorskip("torch", reason="analog graphs are evaluated with torch")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from neurodeploy.errors import DataError, FileFormatError, UnsupportedLayerError  # noqa: E402
from neurodeploy.frontends.onnx_check import check_onnx  # noqa: E402
from neurodeploy.frontends.onnx_frontend import analog_from_onnx  # noqa: E402
from neurodeploy.frontends.onnx_loader import load_onnx  # noqa: E402

SHAPE = (2, 7, 6)
RNG = np.random.default_rng(0)


def weight(*shape: int) -> Any:
    return RNG.normal(size=shape).astype(np.float32)


def ints(*values: int) -> Any:
    return np.array(values, np.int64)


def written(
    folder: Path,
    nodes: list[Any],
    constants: dict[str, Any],
    shape: tuple[int, ...] = SHAPE,
    batch: int | str = "n",
    outputs: tuple[str, ...] = ("y",),
    opset: int = 17,
) -> Path:
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, *shape])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, []) for name in outputs],
        [numpy_helper.from_array(v, k) for k, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def node(operator: str, *inputs: str, **attributes: Any) -> Any:
    return helper.make_node(
        operator, ["x", *inputs], ["y"], name=f"/block/{operator}", **attributes
    )


CASES: dict[str, tuple[Any, dict[str, Any], tuple[int, ...]]] = {
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
}


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("batch", ["n", 1, 3])
def test_one_operation(tmp_path: Path, case: str, batch: int | str) -> None:
    operation, constants, shape = CASES[case]
    network = load_onnx(written(tmp_path, [operation], constants, shape, batch))
    graph = analog_from_onnx(network, shape)
    x = RNG.uniform(-1, 1, (5, *shape)).astype(np.float32)
    assert check_onnx(graph, network, x) < 1e-5


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
    "unknown": (node("Erf"), {}, r"'/block/Erf' \(Erf\): not converted.*supported: Add, "),
    "misspelt": (node("LpPool", kernel_shape=[2, 2]), {}, "nearest: MaxPool"),
    "transpose": (node("Transpose", perm=[0, 2, 1, 3]), {}, "reorders the data"),
    "batch": (node("Reshape", "s"), {"s": ints(-1)}, "the batch is mixed"),
    "padding": (node("Pad", "p", mode="reflect"), {"p": ints(0, 0, 1, 1, 0, 0, 1, 1)}, "reflect"),
    "softmax": (node("Softmax", axis=3), {}, "expected the channels"),
    "division": (node("Div", "c"), {"c": np.zeros(1, np.float32)}, "division by 0"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_by_name(tmp_path: Path, case: str) -> None:
    operation, constants, message = REFUSED[case]
    with pytest.raises(UnsupportedLayerError, match=message) as caught:
        analog_from_onnx(load_onnx(written(tmp_path, [operation], constants)), SHAPE)
    assert "\n" not in str(caught.value)


def test_a_constant_as_large_as_it_likes(tmp_path: Path) -> None:
    nodes = [helper.make_node("ConstantOfShape", ["s"], ["c"], name="bomb"), node("Add", "c")]
    network = load_onnx(written(tmp_path, nodes, {"s": ints(2**20, 2**20)}))
    with pytest.raises(UnsupportedLayerError, match=r"'bomb' .*a constant of shape"):
        analog_from_onnx(network, SHAPE)


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
