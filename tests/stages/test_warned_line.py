"""Warnings name the line of the user that called, not one of neurodeploy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import neurodeploy as nd


def test_a_warning_is_at_the_line_that_called() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(16, 6), nn.ReLU(), nn.Linear(6, 3)).eval()
    random = np.random.default_rng(0)
    samples = nd.Samples(random.random((64, 1, 4, 4)).astype(np.float32), np.arange(64) % 3)
    with pytest.warns(nd.NeurodeployWarning) as found:
        nd.convert(module, samples, method="rate", timesteps=8)
    assert any("chance" in str(warning.message) for warning in found)
    assert {warning.filename for warning in found} == {__file__}
