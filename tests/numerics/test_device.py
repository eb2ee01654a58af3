"""Where floats are computed: on the CPU, or on a GPU that PyTorch has; integers never move."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="devices are PyTorch's")

import neurodeploy as nd  # noqa: E402
from neurodeploy.errors import UsageError  # noqa: E402
from neurodeploy.execution.pytorch.engine import Engine  # noqa: E402
from neurodeploy.numerics import device  # noqa: E402
from neurodeploy.numerics.torch_state import plain_torch  # noqa: E402
from neurodeploy.testing import NetlistBuilder  # noqa: E402


def test_unknown_devices_are_refused_in_one_line() -> None:
    with (
        pytest.raises(UsageError, match=r"^device 'tpu': expected cpu or cuda$"),
        device.on_device("tpu"),
    ):
        pass
    model = torch.nn.Linear(3, 2)
    with pytest.raises(UsageError, match=r"^device 'gpu'"):
        nd.convert(model, np.zeros((4, 3), np.float32), method="graded", device="gpu")


def test_a_gpu_that_is_not_there_is_told(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with (
        pytest.raises(UsageError, match=r"^device cuda: PyTorch .* finds none here; leave"),
        device.on_device("cuda"),
    ):
        pass
    assert device.current_device() == "cpu"


def test_tensors_are_made_on_the_device_and_nowhere_else_afterwards() -> None:
    with plain_torch("meta"):
        assert torch.zeros(1).device.type == "meta"
        with plain_torch():
            assert torch.zeros(1).device.type == "cpu"
    assert torch.zeros(1).device.type == "cpu"


def test_integers_stay_on_the_cpu(monkeypatch) -> None:
    netlist = NetlistBuilder(T=3).input("x", (4,)).dense(2).output()
    monkeypatch.setattr(device, "_chosen", ["meta"])
    assert Engine(netlist).device == "cpu"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch has no CUDA device here")
def test_a_conversion_on_the_gpu_agrees_with_one_on_the_cpu() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 3)
    )
    x = np.random.default_rng(0).random((64, 1, 8, 8), np.float32)
    here, there = (nd.convert(model, x, method="graded", device=d) for d in device.DEVICES)
    for a, b in zip(here.netlist.projections, there.netlist.projections, strict=True):
        np.testing.assert_allclose(a.connectivity.weight, b.connectivity.weight, rtol=1e-4)
