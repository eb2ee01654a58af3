"""Quantized networks of torch.ao, as modules and as saved programs, and the operators of QONNX."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the front end needs torch")

from torch import nn  # noqa: E402
from torch.ao import quantization  # noqa: E402

from neurodeploy.errors import ConversionError  # noqa: E402
from neurodeploy.source.analog import AnalogGraph, Linear, QuantizedReLU  # noqa: E402
from neurodeploy.source.torch.check import check_analog  # noqa: E402
from neurodeploy.source.torch.frontend import analog_from_torch  # noqa: E402
from neurodeploy.source.torch.pt2 import load_pt2  # noqa: E402

SAMPLES = np.random.default_rng(0).random((50, 1, 8, 8)).astype(np.float32)


def quantized(convert: str) -> nn.Module:
    from torch.ao.quantization import quantize_fx

    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layers = (nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3))
        x = torch.tensor(SAMPLES)
        mapping = quantization.get_default_qconfig_mapping("fbgemm")
        prepared = quantize_fx.prepare_fx(nn.Sequential(*layers).eval(), mapping, (x,))
        prepared(x)
        found: nn.Module = getattr(quantize_fx, convert)(prepared)
    return found


def levels(graph: AnalogGraph) -> list[int]:
    return [node.op.levels for node in graph.nodes if isinstance(node.op, QuantizedReLU)]


@pytest.mark.parametrize(
    ("convert", "most"),
    [("convert_to_reference_fx", 255), ("_convert_to_reference_decomposed_fx", 127)],
)
def test_reference_modules_keep_scales_and_weights(convert: str, most: int) -> None:
    module = quantized(convert)
    graph = analog_from_torch(module, (1, 8, 8))
    assert check_analog(graph, module, SAMPLES) <= 0.02
    # The input, the rectified convolution (once: pooling keeps its levels), the output's two signs.
    found = levels(graph)
    assert found[:2] == [most, most]
    assert len(found) == 4
    assert sum(found[2:]) == most
    weight = next(node.op.weight for node in graph.nodes if isinstance(node.op, Linear))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        own = getattr(module, "4").get_weight().detach().dequantize().numpy()
    np.testing.assert_array_equal(weight, own)


def test_saved_programs_hold_quantization(tmp_path: Path) -> None:
    module = quantized("_convert_to_reference_decomposed_fx")
    batch = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(module, (torch.tensor(SAMPLES),), dynamic_shapes=batch)
    torch.export.save(program, tmp_path / "quantized.pt2")
    loaded = load_pt2(tmp_path / "quantized.pt2")
    graph = analog_from_torch(loaded, (1, 8, 8))
    assert check_analog(graph, loaded, SAMPLES) <= 0.02
    assert levels(graph)[:2] == [127, 127]


def test_integer_kernels_are_named_with_the_remedy() -> None:
    with pytest.raises(ConversionError, match=r"integer kernels.*convert_to_reference_fx"):
        analog_from_torch(quantized("convert_fx"), (1, 8, 8))


def test_training_with_fake_quantization() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(6, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            weight = torch.fake_quantize_per_tensor_affine(self.layer.weight, 0.01, 0, -8, 7)
            y = torch.relu(nn.functional.linear(x, weight, self.layer.bias))
            return torch.fake_quantize_per_tensor_affine(y, 0.05, 0, 0, 15)

    torch.manual_seed(0)
    module = Net().eval()
    graph = analog_from_torch(module, (6,))
    assert levels(graph) == [15]
    x = np.random.default_rng(1).random((40, 6)).astype(np.float32)
    assert check_analog(graph, module, x, 0.02) <= 0.02


class Prepared(nn.Module):
    """A residual block as torch.ao asks for one."""

    def __init__(self) -> None:
        super().__init__()
        self.quant, self.dequant = quantization.QuantStub(), quantization.DeQuantStub()
        self.conv, self.relu, self.head = nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Linear(4, 3)
        self.sum = torch.ao.nn.quantized.FloatFunctional()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.quant(x)
        x = self.sum.add(self.relu(self.conv(x)), x).mean((2, 3))
        return self.dequant(self.head(x))


def in_training(quantize: bool, observe: bool) -> nn.Module:
    torch.manual_seed(0)
    module = Prepared().train()
    module.qconfig = quantization.get_default_qat_qconfig("fbgemm")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found: nn.Module = quantization.prepare_qat(module) if quantize else module
        if not quantize:
            module.eval().qconfig = quantization.get_default_qconfig("fbgemm")
            found = quantization.prepare(module)
    for _ in range(3):
        found(torch.tensor(SAMPLES))
    if not observe:
        found.apply(quantization.disable_observer)
    return found.eval()


def test_networks_in_the_making_of_torch_ao() -> None:
    prepared = in_training(quantize=False, observe=True)
    graph = analog_from_torch(prepared, (1, 8, 8))
    assert levels(graph) == []
    assert check_analog(graph, prepared, SAMPLES) < 1e-5
    trained = in_training(quantize=True, observe=False)
    graph = analog_from_torch(trained, (1, 8, 8))
    assert levels(graph)[0] == 127
    assert check_analog(graph, trained, SAMPLES) <= 0.02
    with pytest.raises(ConversionError, match=r"^conv\..*still observes.*disable_observer"):
        analog_from_torch(in_training(quantize=True, observe=True), (1, 8, 8))


class Doubles(quantization.ObserverBase):
    """Calls itself an observer, and is none."""

    def __init__(self) -> None:
        super().__init__(torch.quint8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * x

    def calculate_qparams(self, **_: object) -> None:
        raise NotImplementedError


def test_layers_that_only_call_themselves_observers_stay() -> None:
    module = nn.Sequential(Doubles(), nn.ReLU())
    assert check_analog(analog_from_torch(module, (1, 8, 8)), module, SAMPLES) == 0


class Coarse(nn.Module):
    """Averages of few levels lie halfway between two of them; torch rounds those to even ones."""

    shift = 0.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.fake_quantize_per_tensor_affine(x, 1 / 15, 0, 0, 15).mean((2, 3))
        return torch.fake_quantize_per_tensor_affine(x + self.shift, 1 / 15, 0, 0, 15)


def test_levels_halfway_are_no_difference_but_shifted_ones_are() -> None:
    module, shifted = Coarse(), Coarse()
    shifted.shift = 0.03
    x = np.random.default_rng(0).random((60, 4, 2, 2)).astype(np.float32)
    graph = analog_from_torch(module, (4, 2, 2))
    assert 1e-3 < check_analog(graph, module, x) <= 0.02
    with pytest.raises(ConversionError, match="differs from the torch module"):
        check_analog(graph, shifted, x)
