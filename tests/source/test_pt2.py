"""Programs of torch.export: read whole, and never executed."""

from __future__ import annotations

import io
import json
import pickle
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="programs of torch.export are read with torch")
from torch import nn  # noqa: E402

from neurodeploy.errors import FileFormatError, NeurodeployError, UnsupportedLayerError  # noqa: E402
from neurodeploy.source.torch.check import check_analog  # noqa: E402
from neurodeploy.source.torch.frontend import analog_from_torch, input_names  # noqa: E402
from neurodeploy.source.torch.pt2 import load_pt2  # noqa: E402

SHAPE = (1, 8, 8)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.norm.running_mean += 0.1
        self.head = nn.Linear(64, 5)
        self.factor = torch.tensor(2.0)

    def forward(self, image: Any) -> Any:
        y = torch.relu(self.norm(self.conv(image))) * self.factor
        y = nn.functional.max_pool2d(y, 2)
        a, b = torch.split(y, [2, 2], 1)
        # None, as networks whose second classifier is there in training alone.
        return self.head(torch.cat([b, a], 1).view(image.shape[0], 64)), None, y


def save(folder: Path, module: nn.Module | None = None, dynamic: bool = False) -> Path:
    module = Net().eval() if module is None else module
    sizes = ({0: torch.export.Dim("n")},) if dynamic else None
    samples = torch.zeros(3 if dynamic else 1, *SHAPE)
    path = folder / "net.pt2"
    torch.export.save(torch.export.export(module, (samples,), dynamic_shapes=sizes), path)
    return path


def rewritten(path: Path, change: Callable[[str, bytes], bytes]) -> Path:
    """A copy of the archive with other contents."""
    content = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(content, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    path.write_bytes(content.getvalue())
    return path


@pytest.mark.parametrize("dynamic", [False, True])
def test_a_program_becomes_its_module_for_any_batch(tmp_path: Path, dynamic: bool) -> None:
    loaded = load_pt2(save(tmp_path, dynamic=dynamic))
    x = torch.rand(9, *SHAPE)
    for ours, theirs in zip(loaded(x), Net().eval()(x)[::2], strict=True):
        assert torch.equal(ours, theirs)
    assert input_names(loaded) == ("image",)
    graph = analog_from_torch(loaded, SHAPE)
    assert [node.name for node in graph.nodes][1:3] == ["conv", "norm"], "layers keep their names"
    assert check_analog(graph, loaded, np.random.rand(4, *SHAPE).astype(np.float32)) < 1e-6


class Bomb:
    """Unpickling it leaves a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


def test_pickled_weights_are_never_read(tmp_path: Path) -> None:
    mark = tmp_path / "executed"

    def change(name: str, content: bytes) -> bytes:
        if name.endswith("model_weights_config.json"):
            config = json.loads(content)
            config["config"]["conv.weight"]["use_pickle"] = True
            return json.dumps(config).encode()
        if name.endswith("/weight_0") or "sample_inputs" in name:
            return pickle.dumps(Bomb(mark))
        return content

    path = rewritten(save(tmp_path), change)
    with pytest.raises(FileFormatError, match=r"'conv.weight' pickled, which is never read"):
        load_pt2(path)
    assert not mark.exists()


def test_sample_inputs_are_not_read_at_all(tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    bomb = pickle.dumps(Bomb(mark))
    path = rewritten(save(tmp_path), lambda n, c: bomb if "sample_inputs" in n else c)
    load_pt2(path)
    assert not mark.exists()


def test_symbolic_sizes_are_not_evaluated(tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    code = f"__import__('pathlib').Path({str(mark)!r}).touch()"

    def change(name: str, content: bytes) -> bytes:
        if not name.endswith("models/model.json"):
            return content
        text = json.dumps(_with_expressions(json.loads(content), code))
        assert "pathlib" in text
        return text.encode()

    load_pt2(rewritten(save(tmp_path, dynamic=True), change))
    assert not mark.exists()


def _with_expressions(value: Any, code: str) -> Any:
    if isinstance(value, dict):
        return {
            k: code if k == "expr_str" else _with_expressions(v, code) for k, v in value.items()
        }
    return [_with_expressions(v, code) for v in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        ("torch.ops.aten.from_file.default", UnsupportedLayerError, "not converted"),
        (
            "torch.ops.aten.group_norm.default",
            UnsupportedLayerError,
            r"\(aten.group_norm\): not converted",
        ),
        ("torch.os.system", FileFormatError, "torch.ops.aten only"),
        ("torch.ops.aten.relu.nothing", FileFormatError, "does not have"),
    ],
)
def test_other_operators(
    tmp_path: Path, target: str, error: type[NeurodeployError], message: str
) -> None:
    def change(name: str, content: bytes) -> bytes:
        return content.replace(b"torch.ops.aten.relu.default", target.encode())

    with pytest.raises(error, match=message):
        load_pt2(rewritten(save(tmp_path), change))


class Layers(nn.Module):
    """Layers that are taken apart in a decomposed program."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(1, 4, 3, 2, 1)
        self.act = nn.Hardswish()
        self.line = nn.Conv1d(4, 3, 1)
        self.up = nn.ConvTranspose2d(4, 2, 3, 2, 1, 1)
        self.bound = nn.ReLU6()

    def forward(self, x: Any) -> Any:
        y = self.act(self.conv(x)) * 2
        return self.bound(self.up(y)), nn.functional.silu(self.line(y.flatten(2)))


def _decomposed(folder: Path, module: nn.Module, dynamic: bool = False) -> Path:
    given = {"dynamic_shapes": ({0: torch.export.Dim("batch")},)} if dynamic else {}
    example = torch.zeros(3 if dynamic else 1, *SHAPE)
    program = torch.export.export(module.eval(), (example,), **given)
    with warnings.catch_warnings():
        # Of torch about itself.
        warnings.simplefilter("ignore", FutureWarning)
        program = program.run_decompositions()
    torch.export.save(program, folder / "net.pt2")
    return folder / "net.pt2"


def test_decomposed_layers_are_recognized(tmp_path: Path) -> None:
    module = Layers()
    program = load_pt2(_decomposed(tmp_path, module))
    graph = analog_from_torch(program, SHAPE)
    kinds = [getattr(node.op, "name", node.op.kind) for node in graph.nodes]
    assert {"conv2d", "hardswish", "conv1d", "conv_transpose2d", "clip", "silu"} <= set(kinds)
    x = np.random.default_rng(0).normal(size=(3, *SHAPE)).astype(np.float32)
    assert check_analog(graph, module, x) < 1e-6


def test_rarer_spellings_are_read_from_a_decomposed_program(tmp_path: Path) -> None:
    module = Applied(lambda x: torch.lerp(torch.hstack([x, -x]), x.repeat(1, 2, 1, 1), 0.3))
    plain = tmp_path / "plain.pt2"
    torch.export.save(torch.export.export(module, (torch.zeros(1, *SHAPE),)), plain)
    with pytest.raises(UnsupportedLayerError, match=r"aten.hstack.*run_decompositions"):
        load_pt2(plain)
    graph = analog_from_torch(load_pt2(_decomposed(tmp_path, module)), SHAPE)
    x = np.random.default_rng(0).normal(size=(3, *SHAPE)).astype(np.float32)
    assert check_analog(graph, module, x) < 1e-6


class Applied(nn.Module):
    """A function after a convolution."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(1, 4, 3)
        self.function = function

    def forward(self, x: Any) -> Any:
        return self.function(self.conv(x))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: nn.functional.pad(x, (1, 1, 1, 1), mode="circular"),
        lambda x: x.permute(0, 2, 3, 1).flatten(1),
        lambda x: torch.roll(x, 1, 3),
        lambda x: nn.functional.prelu(x, torch.linspace(-0.5, 1.3, 4)),
        lambda x: nn.functional.hardshrink(x, 0.1),
        lambda x: nn.functional.softshrink(x, 0.1),
        nn.functional.logsigmoid,
        lambda x: nn.functional.linear(x.mean((2, 3)), torch.ones(3, 4), torch.arange(3.0)),
    ],
    ids=["circular", "permute", "roll", "prelu", "hardshrink", "softshrink", "log", "linear"],
)
def test_decomposed_functions_for_any_batch(tmp_path: Path, function: Callable[[Any], Any]) -> None:
    module = Applied(function)
    program = load_pt2(_decomposed(tmp_path, module, dynamic=True))
    graph = analog_from_torch(program, SHAPE)
    x = np.random.default_rng(0).normal(size=(5, *SHAPE)).astype(np.float32)
    assert check_analog(graph, module, x) < 1e-6


@pytest.mark.parametrize(
    ("write", "mode"),
    [
        *((save, mode) for mode in ("reflect", "replicate", "circular")),
        *((_decomposed, mode) for mode in ("reflect", "replicate")),
    ],
)
def test_paddings_other_than_zeros(
    tmp_path: Path, write: Callable[[Path, nn.Module], Path], mode: str
) -> None:
    module = nn.Sequential(nn.ReLU(), nn.Conv2d(1, 4, 3, padding=1, padding_mode=mode))
    program = load_pt2(write(tmp_path, module))
    graph = analog_from_torch(program, SHAPE)
    assert "gather" in {node.op.kind for node in graph.nodes}
    x = np.random.default_rng(0).normal(size=(3, *SHAPE)).astype(np.float32)
    assert check_analog(graph, module, x) < 1e-6


class Gradients(nn.Module):
    """Turns gradients off and on again, with sizes of the batch inside."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.head = nn.Conv2d(1, 4, 3), nn.Linear(144, 3)

    def forward(self, x: Any) -> Any:
        with torch.no_grad():
            y = torch.relu(self.conv(x))
            z = (y * 2).view(x.shape[0], -1)
            with torch.enable_grad():
                z = z + 1
        return self.head(y.flatten(1) + z)


@pytest.mark.parametrize("dynamic", [False, True])
def test_blocks_without_gradients_are_read(tmp_path: Path, dynamic: bool) -> None:
    module, x = Gradients().eval(), torch.rand(9, *SHAPE)
    path = save(tmp_path, module, dynamic)
    assert b"wrap_with_set_grad_enabled" in path.read_bytes()
    loaded = load_pt2(path)
    assert torch.equal(loaded(x)[0], module(x))
    assert check_analog(analog_from_torch(loaded, SHAPE), module, x.numpy()) < 1e-6


def test_other_blocks_are_refused_with_a_remedy(tmp_path: Path) -> None:
    old, new = b"higher_order.wrap_with_set_grad_enabled", b"higher_order.cond"
    path = rewritten(save(tmp_path, Gradients()), lambda n, c: c.replace(old, new))
    with pytest.raises(
        FileFormatError, match=r"order\.cond, .* export the module without autocast"
    ):
        load_pt2(path)


def test_names_cannot_smuggle_source_text(tmp_path: Path) -> None:
    def change(name: str, content: bytes) -> bytes:
        return content.replace(b'"image"', b'"image=print(1)"')

    with pytest.raises(FileFormatError, match="not laid out"):
        load_pt2(rewritten(save(tmp_path), change))


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9])
def test_truncated_files(tmp_path: Path, keep: float) -> None:
    path = save(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(FileFormatError, match=r"truncated or not a \.pt2 file") as caught:
        load_pt2(path)
    assert "\n" not in str(caught.value)


def test_weights_that_are_too_short(tmp_path: Path) -> None:
    path = rewritten(save(tmp_path), lambda n, c: c[:8] if n.endswith("/weight_0") else c)
    with pytest.raises(FileFormatError, match=r"'conv.weight' needs 144 bytes, has 8"):
        load_pt2(path)
    with pytest.raises(FileFormatError, match="no such file"):
        load_pt2(tmp_path / "nothing.pt2")
