"""What torch exports to ONNX equals the torch module, or is refused in one line."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="ONNX files are read with the onnx package")
torch = pytest.importorskip("torch", reason="the files are made with torch")

import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

from neurodeploy.errors import UnsupportedLayerError  # noqa: E402
from neurodeploy.source.analog import AnalogGraph  # noqa: E402
from neurodeploy.source.evaluation.in_torch import evaluate  # noqa: E402
from neurodeploy.source.onnx.check import check_onnx  # noqa: E402
from neurodeploy.source.onnx.frontend import analog_from_onnx  # noqa: E402
from neurodeploy.source.onnx.loader import load_onnx  # noqa: E402
from neurodeploy.source.torch.frontend import analog_from_torch  # noqa: E402

C2 = (4, 5, 6)
C1 = (4, 7)


class Calls(nn.Module):
    """Calls a function of its input."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Any) -> Any:
        return self.function(x)


def exported(folder: Path, module: nn.Module, shape: tuple[int, ...], opset: int = 17) -> Path:
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            torch.zeros(3, *shape),
            content,
            dynamo=False,
            opset_version=opset,
            input_names=["x"],
            output_names=["y"],
            dynamic_axes={"x": {0: "n"}, "y": {0: "n"}},
        )
    path = folder / "net.onnx"
    path.write_bytes(content.getvalue())
    return path


def samples(shape: tuple[int, ...]) -> Any:
    return np.random.default_rng(1).uniform(-6, 6, (5, *shape)).astype(np.float32)


def kinds(graph: AnalogGraph) -> list[str]:
    return [getattr(node.op, "name", node.op.kind) for node in graph.nodes[1:]]


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)


LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], list[str]]] = {
    "transposed convolution": (
        lambda: nn.ConvTranspose2d(4, 4, 3, 2, 1, 1, groups=2),
        C2,
        ["conv_transpose2d"],
    ),
    "transposed convolution, dilated": (
        lambda: nn.ConvTranspose2d(4, 2, (2, 3), (3, 2), 0, (2, 1), dilation=2, bias=False),
        C2,
        ["conv_transpose2d"],
    ),
    "transposed convolution 1d": (
        lambda: nn.ConvTranspose1d(4, 3, 4, 2, 1),
        C1,
        ["conv_transpose1d"],
    ),
    "upsampling": (lambda: nn.Upsample(scale_factor=(2, 3)), C2, ["upsample"]),
    "upsampling to a size": (lambda: nn.Upsample((10, 6)), C2, ["upsample"]),
    "upsampling by shape": (
        lambda: Calls(lambda x: F.interpolate(x, size=(x.shape[2] * 2, x.shape[3] * 4))),
        C2,
        ["upsample"],
    ),
    "upsampling 1d": (lambda: nn.Upsample(scale_factor=3), C1, ["upsample"]),
    "upsampling by 1": (
        lambda: nn.Sequential(nn.Upsample(scale_factor=1), nn.ReLU()),
        C2,
        ["relu"],
    ),
    "leaky relu": (lambda: nn.LeakyReLU(0.1), C2, ["leaky_relu"]),
    "prelu": (nn.PReLU, C2, ["leaky_relu"]),
    "prelu by channel": (lambda: nn.PReLU(4), C2, ["leaky_relu"]),
    "sigmoid": (nn.Sigmoid, C2, ["sigmoid"]),
    "tanh": (nn.Tanh, C1, ["tanh"]),
    "hard-sigmoid": (nn.Hardsigmoid, C2, ["hardsigmoid"]),
    "elu": (nn.ELU, C2, ["elu"]),
    "softplus": (nn.Softplus, C2, ["softplus"]),
    "silu": (nn.SiLU, C2, ["silu"]),
    "silu before a sum": (lambda: Calls(lambda x: x * torch.sigmoid(x) + x), C2, ["silu", "add"]),
    "hard-swish": (nn.Hardswish, C2, ["hardswish"]),
    "hard-swish by gate": (lambda: Calls(lambda x: F.hardsigmoid(x) * x), C2, ["hardswish"]),
    "hard-swish of relu6": (lambda: Calls(lambda x: x * F.relu6(x + 3) / 6), C2, ["hardswish"]),
    "hard-swish, gate divided": (
        lambda: Calls(lambda x: (F.relu6(x + 3) / 6) * x),
        C2,
        ["hardswish"],
    ),
    "gelu": (nn.GELU, C2, ["gelu"]),
    "gelu tanh": (lambda: nn.GELU(approximate="tanh"), C2, ["gelu_tanh"]),
    "gelu of a sum": (lambda: Calls(lambda x: F.gelu(x + 1)), C2, ["add_constant", "gelu"]),
    "qcfs": (
        lambda: Calls(lambda x: torch.floor(torch.clamp(x / 0.5, 0, 1) * 8 + 0.5) / 8 * 0.5),
        C2,
        ["scale", "quantized_relu", "scale", "scale", "scale"],
    ),
    "qcfs, floor before clamp": (
        lambda: Calls(lambda x: torch.clamp(torch.floor(x / 0.5 * 8 + 0.5) / 8, 0, 1) * 0.5),
        C2,
        ["quantized_relu", "scale", "scale", "scale"],
    ),
    "qcfs, floor before clamp to levels": (
        lambda: Calls(lambda x: torch.clamp(torch.floor(F.relu(x) * 4), 0, 3)),
        C2,
        ["quantized_relu", "scale"],
    ),
    "bilinear": (
        lambda: nn.Upsample(scale_factor=2, mode="bilinear"),
        C2,
        ["along_axis", "along_axis"],
    ),
    "fraction": (lambda: nn.Upsample(size=(7, 9)), C2, ["gather"]),
    "reflect": (
        lambda: nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")),
        C2,
        ["gather", "conv2d"],
    ),
    "replicate": (
        lambda: nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, padding_mode="replicate")),
        C2,
        ["gather", "conv2d"],
    ),
    "elu of another scale": (
        lambda: nn.ELU(0.5),
        C2,
        ["x 0 max x 0 min 1.0 mul expm1 0.5 mul add 1.0 mul"],
    ),
    "growing below zero": (lambda: nn.LeakyReLU(1.5), C2, ["leaky_relu"]),
    "gate by another": (
        lambda: Calls(lambda x: x * torch.sigmoid(x + 1)),
        C2,
        ["x x 1.0 add sigmoid mul"],
    ),
    "mish": (nn.Mish, C2, ["x x softplus tanh mul"]),
    "error function": (lambda: Calls(torch.erf), C2, ["x erf"]),
    "half a gelu": (lambda: Calls(lambda x: (1 + torch.erf(x)) * x), C2, ["x erf 1.0 add x mul"]),
    "square": (lambda: Calls(lambda x: F.relu(x**2)), C2, ["x 2.0 pow", "relu"]),
}


@pytest.mark.parametrize("case", LAYERS)
def test_equals_torch(tmp_path: Path, case: str) -> None:
    build, shape, expected = LAYERS[case]
    module = build().eval()
    x = samples(shape)
    with torch.no_grad():
        theirs = module(torch.tensor(x)).numpy()
    network = load_onnx(exported(tmp_path, module, shape))
    read = analog_from_onnx(network, shape)
    assert check_onnx(read, network, x) < 1e-5
    for graph in (read, analog_from_torch(module, shape)):
        (ours,) = evaluate(graph, x).values()
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
        assert kinds(graph) == expected


@pytest.mark.parametrize("case", ["qcfs", "qcfs, floor before clamp"])
def test_levels_are_exact_where_a_value_lies_on_a_step(tmp_path: Path, case: str) -> None:
    module = LAYERS[case][0]()
    x = (np.arange(120, dtype=np.float32).reshape(1, *C2) - 40) / 64
    network = load_onnx(exported(tmp_path, module, C2))
    for graph in (analog_from_onnx(network, C2), analog_from_torch(module, C2)):
        (ours,) = evaluate(graph, x).values()
        np.testing.assert_array_equal(ours, module(torch.tensor(x)))


@pytest.mark.parametrize("form", ["none", "tanh"])
def test_gelu_as_one_operator(tmp_path: Path, form: str) -> None:
    module = nn.GELU(approximate=form)
    network = load_onnx(exported(tmp_path, module, C2, opset=20))
    graph = analog_from_onnx(network, C2)
    assert [node.op_type for node in network.model.graph.node] == ["Gelu"]
    (ours,) = evaluate(graph, samples(C2)).values()
    np.testing.assert_allclose(ours, module(torch.tensor(samples(C2))), rtol=1e-5, atol=1e-5)


def test_softplus_of_another_scale_is_exported_with_two_factors(tmp_path: Path) -> None:
    graph = analog_from_onnx(load_onnx(exported(tmp_path, nn.Softplus(2), C2)), C2)
    assert kinds(graph) == ["scale", "softplus", "scale"]


def test_nearest_exact(tmp_path: Path) -> None:
    module = nn.Upsample(scale_factor=2, mode="nearest-exact")
    x = samples(C2)
    (ours,) = evaluate(analog_from_torch(module, C2), x).values()
    np.testing.assert_array_equal(ours, module(torch.tensor(x)))


REFUSED: dict[str, tuple[Callable[[], nn.Module], tuple[str, ...]]] = {
    "floor": (lambda: Calls(lambda x: F.relu(torch.floor(x))), ("Floor", "rounding outside")),
    "floor beyond zero": (
        lambda: Calls(lambda x: torch.clamp(torch.floor(x + 1.5), 0, 4) + torch.floor(x - 1)),
        ("Floor", "rounding outside"),
    ),
    "levels": (
        lambda: Calls(lambda x: torch.clamp(torch.floor(x * 4 + 0.5), 0, 3.5)),
        ("Clip", "3.5 levels"),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_one_line(tmp_path: Path, case: str) -> None:
    build, says = REFUSED[case]
    network = load_onnx(exported(tmp_path, build(), C2))
    with pytest.raises(UnsupportedLayerError) as caught:
        analog_from_onnx(network, C2)
    message = str(caught.value)
    assert "\n" not in message
    for text in says:
        assert text in message, message
