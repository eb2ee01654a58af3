"""Conversion does not hear of what a process has set for PyTorch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import neurodeploy as nd
from neurodeploy.ir.netlist import IntegerNetlist
from tests.execution.test_process_settings import SETTINGS, Settings

FACTORY = f"{__file__}:network"


def network() -> nn.Module:
    torch.manual_seed(0)
    layers = (nn.Conv2d(1, 4, 3, dilation=2), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
    return nn.Sequential(*layers, nn.Linear(64, 3)).eval()


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_the_netlist_is_the_same(settings: Settings, tmp_path: Path) -> None:
    x = np.random.default_rng(0).random((40, 1, 8, 8)).astype(np.float32)
    data = tmp_path / "data.npz"
    np.savez(data, x=x, y=np.arange(40) % 3)

    def integer() -> IntegerNetlist:
        real = nd.convert(FACTORY, str(data), method="rate", timesteps=4)
        return nd.quantize(real, 8).integer

    outside = integer()
    with settings():
        inside = integer()
    for ours, theirs in zip(inside.projections, outside.projections, strict=True):
        np.testing.assert_array_equal(ours.connectivity.weight, theirs.connectivity.weight)
    for ours, theirs in zip(inside.populations, outside.populations, strict=True):
        assert ours.model == theirs.model
