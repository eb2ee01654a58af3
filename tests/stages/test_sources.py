"""What a MODEL can be: the same network from a module, a .pt2 file and an .onnx file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="networks are converted with torch")
from torch import nn  # noqa: E402

from neurodeploy import api  # noqa: E402
from neurodeploy.cli import run  # noqa: E402
from neurodeploy.errors import UsageError  # noqa: E402

SHAPE = (1, 6, 6)


@pytest.fixture
def module() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(108, 4)
    ).eval()


@pytest.fixture
def data(tmp_path: Path) -> str:
    path = tmp_path / "data.npz"
    np.savez(path, x=np.random.default_rng(0).random((12, *SHAPE), np.float32))
    return str(path)


def test_an_exported_program_converts_as_its_module(
    tmp_path: Path, module: nn.Module, data: str
) -> None:
    path = tmp_path / "net.pt2"
    torch.export.save(torch.export.export(module, (torch.zeros(1, *SHAPE),)), path)
    ours = api.convert(str(path), data, method="rate", timesteps=8)
    theirs = api.convert(module, data, method="rate", timesteps=8, name="net")
    assert ours.netlist == theirs.netlist
    assert ours.provenance["source"]["model"] == "net.pt2"
    assert len(ours.provenance["source"]["model_sha256"]) == 64
    with pytest.raises(UsageError, match="holds its weights"):
        api.convert(str(path), data, weights="w.pt")


def test_an_onnx_file_on_the_command_line(
    tmp_path: Path, module: nn.Module, data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    onnx = pytest.importorskip("onnx", reason="ONNX files are read with the onnx package")
    state = {k: v.numpy() for k, v in module.state_dict().items()}
    nodes = [
        onnx.helper.make_node("Conv", ["image", "0.weight", "0.bias"], ["a"], pads=[1] * 4),
        onnx.helper.make_node("Relu", ["a"], ["b"]),
        onnx.helper.make_node("Flatten", ["b"], ["c"]),
        onnx.helper.make_node("Gemm", ["c", "3.weight", "3.bias"], ["scores"], transB=1),
    ]
    floats = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        nodes,
        "net",
        [onnx.helper.make_tensor_value_info("image", floats, ["n", *SHAPE])],
        [onnx.helper.make_tensor_value_info("scores", floats, ["n", 4])],
        [onnx.numpy_helper.from_array(v, k) for k, v in state.items()],
    )
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9
    )
    path, out = tmp_path / "net.onnx", tmp_path / "net.ndn"
    path.write_bytes(model.SerializeToString())
    arguments = [str(path), "--data", data, "--method", "rate", "--timesteps", "8"]
    assert run(["convert", *arguments, "-o", str(out)]) == 0
    assert "no --weights" not in capsys.readouterr().err
    direct = api.convert(module, data, method="rate", timesteps=8)
    stimulus, _ = api.stimulus_for(direct, data)
    assert api.evaluate(out, data).spikes_per_inference == pytest.approx(
        api.evaluate(direct, data).spikes_per_inference
    )
    assert list(stimulus) == ["input"]
    assert run(["evaluate", str(path), "--data", data]) != 0
    assert "no training split; name the calibration data" in capsys.readouterr().err


@pytest.mark.parametrize(("macs", "compared"), [(4e9, 12), (0, 8)])
def test_a_network_that_takes_long_is_compared_on_fewer_samples(
    macs: float, compared: int, module: nn.Module, data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def call(self: nn.Module, x: torch.Tensor) -> torch.Tensor:
        seen.append(len(x))
        return nn.Sequential.__call__(self, x)

    module.__class__ = type("Network", (nn.Sequential,), {"__call__": call})
    monkeypatch.setattr("neurodeploy.stages.sources.CHECKED_MACS", macs)
    api.convert(module, data, method="rate", timesteps=8)

    assert {*seen} & {8, 12} == {compared}
