"""Names, source lines, the two tracers, and the comparison with the torch module."""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the torch front end needs torch")

import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

import neurodeploy as nd  # noqa: E402
from neurodeploy.errors import (  # noqa: E402
    ConversionError,
    DataError,
    FileFormatError,
    NetlistError,
    UsageError,
)
from neurodeploy.source.analog import AnalogGraph, Conv2d, Normalize, Slice  # noqa: E402
from neurodeploy.source.evaluation.record import analog_from_record, analog_to_record  # noqa: E402
from neurodeploy.source.torch.check import check_analog  # noqa: E402
from neurodeploy.source.torch.frontend import analog_from_torch  # noqa: E402
from neurodeploy.source.torch.loader import load_torch  # noqa: E402

SHAPE = (2, 6, 6)


class Block(nn.Module):
    """A residual block whose work is done in a method."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(2)
        self.stages = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.stages(self.residual(x))

    def residual(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(self.conv(x))
        return F.relu(y + x)


def _line_of(function, offset: int) -> str:
    return f"test_torch_frontend.py:{function.__code__.co_firstlineno + offset}"


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)
    torch.set_num_threads(1)


def _x(n: int = 4, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.random.default_rng(0).random((n, *shape), dtype=np.float32)


def test_names_follow_the_modules_and_sources_the_lines() -> None:
    graph = analog_from_torch(Block().eval(), SHAPE, "block")

    assert [(node.name, node.inputs) for node in graph.nodes] == [
        ("input", ()),
        ("conv", ("input",)),
        ("norm", ("conv",)),
        ("add", ("norm", "input")),
        ("relu", ("add",)),
        ("stages.0", ("relu",)),
        ("stages.1", ("stages.0",)),
    ]
    assert graph.node("norm").source == _line_of(Block.residual, 1)
    assert graph.node("add").source == _line_of(Block.residual, 2)
    assert graph.node("stages.1").source == _line_of(Block.forward, 1)
    assert (graph.name, graph.inputs, graph.outputs) == ("block", ("input",), ("stages.1",))


def test_names_in_a_sequential_tell_kind_and_index() -> None:
    module = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Dropout(), nn.Flatten()).eval()
    graph = analog_from_torch(module, SHAPE)
    assert [n.name for n in graph.nodes] == ["input", "conv2d_0", "relu_1", "reshape_3"]


def test_slices_along_several_dimensions_are_one_node() -> None:
    class Shortcut(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[:, :, 1::2, ::2][:, 1:, 1:]

    graph = analog_from_torch(Shortcut(), SHAPE)
    assert [n.op for n in graph.nodes[1:]] == [Slice(((1, 2, 1), (3, 6, 2), (0, 5, 2)))]


def test_normalization_is_part_of_the_network() -> None:
    module = nn.Conv2d(2, 3, 3, padding=1).eval()
    mean, std = (0.4, 0.5), (0.2, 0.3)
    graph = analog_from_torch(module, SHAPE, normalization=(mean, std))

    assert graph.nodes[1].op == Normalize(np.array(mean), np.array(std))
    assert check_analog(graph, module, _x()) < 1e-6
    with pytest.raises(NetlistError, match="expected 3 channels"):
        analog_from_torch(module, SHAPE, normalization=((0.1,) * 3, (0.2,) * 3))


def test_fx_is_the_fallback_and_keeps_the_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    export, calls = torch.export.export, []

    def fails_once(module, args):
        calls.append(type(module).__name__)
        if len(calls) == 1:
            raise RuntimeError("cannot follow")
        return export(module, args)

    monkeypatch.setattr(torch.export, "export", fails_once)
    module = Block().eval()
    graph = analog_from_torch(module, SHAPE)

    assert calls == ["Block", "GraphModule"]
    assert graph.node("add").source == _line_of(Block.residual, 2)
    assert check_analog(graph, module, _x()) < 1e-6


class CropsBySizesInTensors(nn.Module):
    """Half of the map, of a size that is computed in a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x)
        sizes = torch.tensor(y.shape[2:]) - torch.tensor((3, 2))
        ends = (sizes // 2).tolist()
        return F.relu(F.pad(y, [-ends[1], 0, -ends[0], 0]))


def test_sizes_that_are_computed_in_tensors_are_numbers() -> None:
    module = CropsBySizesInTensors().eval()
    graph = analog_from_torch(module, SHAPE)

    assert graph.nodes[-1].shape == (3, 5, 4)
    assert graph.nodes[-1].source == _line_of(CropsBySizesInTensors.forward, 4)
    assert check_analog(graph, module, _x()) < 1e-6


class TakesANumber(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :, int(x.max()) :]


class Branches(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.sum() > 0:
            return x
        return -x


class TwoInputs(nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x + y


class ReturnsNumber(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, int]:
        return F.relu(x), 3


class ReturnsTwice(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y = F.relu(x)
        return y, y.contiguous()


@pytest.mark.parametrize(
    ("module", "error", "says"),
    [
        (Branches(), ConversionError, _line_of(Branches.forward, 1)),
        (Branches(), ConversionError, "torch.export gave .*torch.fx gave .*control flow"),
        (TakesANumber(), ConversionError, "torch.export gave .*numbers taken from them"),
        (TwoInputs(), ConversionError, "does not run on an input of shape .*'y'"),
        (nn.Linear(5, 2), ConversionError, r"does not run on an input of shape \(2, 6, 6\)"),
        (ReturnsNumber(), ConversionError, "returns a constant"),
        (ReturnsTwice(), ConversionError, "same activations twice"),
        (nn.Conv2d(2, 2, 3).double(), UsageError, r"weight is torch.float64.*call .float\(\)"),
    ],
)
def test_what_cannot_be_traced_is_one_clear_line(
    module: nn.Module, error: type[Exception], says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(error, match=says) as caught:
        analog_from_torch(module, SHAPE)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def _with_op(graph: AnalogGraph, name: str, **changes: object) -> AnalogGraph:
    nodes = tuple(
        dataclasses.replace(n, op=dataclasses.replace(n.op, **changes)) if n.name == name else n
        for n in graph.nodes
    )
    return dataclasses.replace(graph, nodes=nodes)


def test_check_names_the_first_node_that_differs() -> None:
    module = Block().eval()
    graph = analog_from_torch(module, SHAPE, normalization=((0.5, 0.5), (0.2, 0.2)))
    wrong = _with_op(graph, "norm", bias=np.array([0.0, 0.01]))

    with pytest.raises(ConversionError) as caught:
        check_analog(wrong, module, _x())
    assert f"first node that differs is 'norm' ({_line_of(Block.residual, 1)})" in str(caught.value)


def test_check_sees_borders() -> None:
    module = nn.Conv2d(2, 3, 3, padding=1).eval()
    graph = analog_from_torch(module, SHAPE)
    op = graph.nodes[-1].op
    assert isinstance(op, Conv2d)
    shifted = _with_op(graph, "conv2d", padding=(2, 0, 1, 1))
    with pytest.raises(ConversionError, match="'conv2d'"):
        check_analog(shifted, module, _x())


class Cancels(nn.Module):
    """Takes away most of what a convolution gives: single precision leaves four digits."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)
        nn.init.constant_(self.conv.bias, 3e4)
        nn.init.constant_(self.norm.running_mean, 3e4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(x))


def test_check_allows_what_rounding_makes_and_nothing_else() -> None:
    module = Cancels().eval()
    graph = analog_from_torch(module, SHAPE)
    assert 1e-4 < check_analog(graph, module, _x()) < 1e-2
    wrong = _with_op(graph, "norm", bias=np.array([0.0, 0.0, 0.2]))
    with pytest.raises(ConversionError, match="differs from the torch module"):
        check_analog(wrong, module, _x())
    # With digits to spare, nothing is put down to rounding.
    nn.init.zeros_(module.conv.bias)
    nn.init.zeros_(module.norm.running_mean)
    graph = analog_from_torch(module, SHAPE)
    wrong = _with_op(graph, "norm", bias=np.array([0.0, 0.0, 1e-3]))
    with pytest.raises(ConversionError, match="first node that differs is 'norm'"):
        check_analog(wrong, module, _x())


def test_layers_in_place_are_exported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def traced_again(self, rules):
        raise AssertionError("traced again")

    monkeypatch.setattr(torch.export.ExportedProgram, "run_decompositions", traced_again)
    layers = (nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(True), nn.Hardtanh(0, 1, True))
    module = nn.Sequential(*layers, nn.Conv2d(3, 2, 1)).eval()
    graph = analog_from_torch(module, SHAPE)
    assert [n.op.kind for n in graph.nodes][3:5] == ["relu", "clip"]
    assert check_analog(graph, module, _x()) < 1e-6


class ScalesByBatch(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * x.shape[0]


def test_check_finds_dependence_on_the_batch_size() -> None:
    graph = analog_from_torch(ScalesByBatch(), SHAPE)
    with pytest.raises(ConversionError, match="depends on the batch size"):
        check_analog(graph, ScalesByBatch(), _x(5))


def test_check_refuses_nan_wrong_data_and_no_data() -> None:
    module = nn.ReLU()
    graph = analog_from_torch(module, SHAPE)
    with pytest.raises(DataError, match="NaN or infinite values in 1 of 1 samples, first in s"):
        check_analog(graph, module, np.full((1, *SHAPE), np.nan, np.float32))
    with pytest.raises(DataError, match=r"shape \(1, 6, 6\), expected \(samples, 2, 6, 6\)"):
        check_analog(graph, module, _x()[:1, 0])
    with pytest.raises(ConversionError, match="no samples"):
        check_analog(graph, module, _x(0))


INPUTS = {"mnist": (1, 28, 28), "cifar10": (3, 32, 32)}


@pytest.mark.parametrize(
    "name",
    ["mlp_mnist", "lenet_mnist", "cao_mnist", "grouped_mnist", "vgg_cifar10", "resnet20_cifar10"],
)
def test_zoo_equals_torch(name: str, shared_dir) -> None:
    models = shared_dir / "models"
    module = load_torch(f"{models / 'zoo.py'}:{name}", models / f"{name}.pt")
    shape = INPUTS[name.split("_")[1]]
    norms = sys.modules["neurodeploy_model_zoo"].INPUT_NORM
    graph = analog_from_torch(module, shape, name, norms.get(name))

    assert check_analog(graph, module, _x(9, shape)) <= 1e-5
    assert analog_from_record(*analog_to_record(graph)) == graph


@pytest.mark.parametrize("name", ["leaky_cifar10", "swish_cifar10"])
def test_zoo_networks_beyond_relu(name: str, shared_dir) -> None:
    models = shared_dir / "models"
    module = load_torch(f"{models / 'zoo.py'}:{name}", models / f"{name}.pt")
    graph = analog_from_torch(module, (3, 32, 32))
    assert check_analog(graph, module, _x(4, (3, 32, 32))) <= 1e-4
    assert analog_from_record(*analog_to_record(graph)) == graph


@pytest.mark.parametrize(
    ("module", "shape", "remedy"),
    [
        (nn.Conv2d(3, 2, 3), (8, 8, 3), "add #layout=NHWC to the data"),
        (nn.Conv2d(1, 2, 3), (8, 8), r"save x\[:, None\]: it runs with an axis of one channel"),
        (nn.Linear(64, 2), (1, 8, 8), r"save x.reshape\(len\(x\), -1\): it runs with flat samples"),
        (nn.Conv2d(3, 2, 3), (1, 8, 8), r"save x.repeat\(3, axis=1\): it runs with three channels"),
        (nn.Conv2d(4, 2, 3), (1, 8, 8), "is --data what the network was trained on"),
    ],
)
def test_data_in_another_form_are_named_with_the_remedy(
    module: nn.Module, shape: tuple[int, ...], remedy: str
) -> None:
    with pytest.raises(ConversionError, match=remedy):
        analog_from_torch(module, shape)


@pytest.mark.parametrize(
    "scripted", [torch.jit.script, lambda m: torch.jit.trace(m, torch.ones(2, 3))]
)
def test_torchscript_is_named(scripted) -> None:
    # A traced one has no signature that could tell its inputs.
    with pytest.raises(ConversionError, match=r"^TorchScript is not read; pass the module"):
        nd.convert(scripted(nn.Linear(3, 2)), np.ones((4, 3), np.float32), method="rate")


def test_a_module_without_values_is_named() -> None:
    for module, says in (
        (nn.Linear(3, 2, device="meta"), r"^Linear: 'weight' has no values \(device 'meta'\)"),
        (nn.LazyLinear(2), "^LazyLinear: 'weight' has no shape before the first call"),
    ):
        with pytest.raises(FileFormatError, match=says):
            nd.convert(module, np.ones((4, 3), np.float32), method="rate")


class Auxiliary(nn.Linear):
    """As networks whose second classifier is there in training alone."""

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor | None]:
        return {"aux": None, "out": super().forward(x)}


def test_results_that_are_none_are_left_out() -> None:
    module = Auxiliary(3, 2)
    graph = analog_from_torch(module, (3,))
    assert len(graph.outputs) == 1
    assert check_analog(graph, module, np.ones((4, 3), np.float32)) < 1e-6
