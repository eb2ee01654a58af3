"""Operators that the evaluator of the onnx package gets wrong: torch, the graph and the check."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="ONNX files are read with the onnx package")
torch = pytest.importorskip("torch", reason="analog graphs are evaluated with torch")
import torch.nn.functional as F  # noqa: E402

from neurodeploy.errors import FileFormatError  # noqa: E402
from neurodeploy.source.evaluation.in_torch import evaluate  # noqa: E402
from neurodeploy.source.onnx.check import check_onnx  # noqa: E402
from neurodeploy.source.onnx.frontend import analog_from_onnx  # noqa: E402
from neurodeploy.source.onnx.loader import load_onnx  # noqa: E402
from tests.source.onnx_files import RNG, SHAPE, node, scales, weight, written  # noqa: E402

STATISTICS = {"s": weight(2), "b": weight(2), "m": weight(2), "v": abs(weight(2))}
Truth = Callable[[Any], Any]
Case = tuple[Any, dict[str, Any], tuple[int, ...], int, Truth]


def normalized(x: Any) -> Any:
    return F.batch_norm(x, *(torch.tensor(STATISTICS[name]) for name in "mvsb"))


def larger(x: Any) -> Any:
    return x.repeat_interleave(2, 2).repeat_interleave(3, 3)


def pooled(pads: tuple[int, ...], *how: Any, **more: Any) -> Truth:
    def truth(x: Any) -> Any:
        pool = F.max_pool1d if x.ndim == 3 else F.max_pool2d
        return pool(F.pad(x, pads, value=-np.inf), *how, **more)

    return truth


def pool(**how: Any) -> Any:
    return node("MaxPool", **how)


TWO = {"kernel_shape": [2, 2], "strides": [2, 2]}
CASES: dict[str, Case] = {
    **{
        f"batch norm of opset {opset}": (
            node("BatchNormalization", *"sbmv"),
            STATISTICS,
            SHAPE,
            opset,
            normalized,
        )
        for opset in (6, 7, 8, 9, 13, 14, 15)
    },
    "largest of a line": (node("GlobalMaxPool"), {}, (3, 9), 17, lambda x: x.amax(2, True)),
    "largest of an image": (node("GlobalMaxPool"), {}, SHAPE, 17, lambda x: x.amax((2, 3), True)),
    "padded before": (
        pool(**TWO, auto_pad="SAME_LOWER"),
        {},
        SHAPE,
        17,
        pooled((0, 0, 1, 0), 2, 2),
    ),
    "padded behind": (
        pool(**TWO, auto_pad="SAME_UPPER"),
        {},
        SHAPE,
        17,
        pooled((0, 0, 0, 1), 2, 2),
    ),
    "not padded": (pool(**TWO, auto_pad="VALID"), {}, SHAPE, 17, pooled((0, 0), 2, 2)),
    "wide steps, padded": (
        pool(kernel_shape=[3, 3], strides=[2, 3], pads=[1, 1, 1, 1], ceil_mode=1),
        {},
        SHAPE,
        17,
        pooled((0, 0), 3, (2, 3), 1, ceil_mode=True),
    ),
    "spread windows": (
        pool(kernel_shape=[2, 3], dilations=[3, 2]),
        {},
        SHAPE,
        17,
        pooled((0, 0), (2, 3), 1, 0, (3, 2)),
    ),
    "windows of a line": (
        pool(kernel_shape=[3], pads=[1, 1], strides=[2]),
        {},
        (3, 9),
        17,
        pooled((0, 0), 3, 2, 1),
    ),
    "cut by a padding": (
        node("Pad", "p"),
        {"p": np.array([0, 0, -1, 2, 0, 0, -2, -1])},
        SHAPE,
        17,
        lambda x: F.pad(x, (2, -1, -1, -2)),
    ),
    "resize of opset 10": (node("Resize", "s"), {"s": scales(2, 3)}, SHAPE, 10, larger),
    "upsample of opset 9": (node("Upsample", "s"), {"s": scales(2, 3)}, SHAPE, 9, larger),
    "upsample of opset 7": (node("Upsample", scales=[1.0, 1.0, 2.0, 3.0]), {}, SHAPE, 7, larger),
}


@pytest.mark.parametrize("case", CASES)
def test_against_torch(tmp_path: Path, case: str) -> None:
    operation, constants, shape, opset, truth = CASES[case]
    network = load_onnx(written(tmp_path, [operation], constants, shape, opset=opset))
    graph = analog_from_onnx(network, shape)
    x = RNG.normal(size=(5, *shape)).astype(np.float32)
    assert check_onnx(graph, network, x) < 1e-6
    (y,) = evaluate(graph, x).values()
    np.testing.assert_allclose(y, truth(torch.tensor(x)), atol=1e-5)


def test_a_sparse_weight(tmp_path: Path) -> None:
    path = written(tmp_path, [node("MatMul", "k")], {}, (6,))
    model = onnx.load(path)
    values, at = np.array([1, 2, -1], np.float32), np.array([0, 5, 20])
    tensors = [onnx.numpy_helper.from_array(v, name) for v, name in ((values, "k"), (at, ""))]
    model.graph.sparse_initializer.append(onnx.helper.make_sparse_tensor(*tensors, [6, 4]))
    onnx.save(model, path)
    network = load_onnx(path)
    graph = analog_from_onnx(network, (6,))
    x = weight(5, 6)
    assert check_onnx(graph, network, x) < 1e-6
    full = np.zeros(24, np.float32)
    full[at] = values
    (y,) = evaluate(graph, x).values()
    np.testing.assert_allclose(y, x @ full.reshape(6, 4), atol=1e-6)
    model.graph.sparse_initializer[0].dims[0] = 2**40
    onnx.save(model, path)
    with pytest.raises(FileFormatError, match=r"sparse weight 'k': .* at most 67108864 fit"):
        load_onnx(path)
