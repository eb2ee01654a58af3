"""Networks of sinabs."""

from __future__ import annotations

from typing import Any

import sinabs.layers as sl
import torch
from sinabs.activation import MaxSpike, MembraneReset, SingleSpike
from torch import nn

from tests.exchange.frameworks.comparison import Case
from tests.exchange.frameworks.parts import scaled


def flat(module: nn.Module, x: torch.Tensor) -> None:
    """Call a module that takes batch and time as one axis."""
    batch = x.shape[1]
    for part in module.modules():
        if isinstance(part, sl.SqueezeMixin):
            part.batch_size, part.num_timesteps = batch, -1
    module(x.transpose(0, 1).flatten(0, 1))


def batched(module: nn.Module, x: torch.Tensor) -> None:
    """Call a module that takes ``[B, T, ...]``."""
    module(x.transpose(0, 1))


def dense(first: nn.Module, second: nn.Module, gain: float = 2.5) -> nn.Module:
    return nn.Sequential(
        scaled(nn.Linear(20, 30), gain), first, scaled(nn.Linear(30, 10), gain), second
    )


def convolutional(**options: Any) -> nn.Module:
    given = {"batch_size": 1, **options}
    return nn.Sequential(
        scaled(nn.Conv2d(2, 6, 3, padding=1, bias=False), 2.0),
        sl.IAFSqueeze(min_v_mem=-1.0, **given),
        sl.SumPool2d(2),
        scaled(nn.Conv2d(6, 8, 3, padding=1, bias=False), 1.0),
        sl.IAFSqueeze(min_v_mem=-0.5, spike_threshold=torch.tensor(1.5), **given),
        nn.AvgPool2d(2),
        nn.Flatten(),
        scaled(nn.Linear(32, 5), 6.0),
        sl.LIFSqueeze(tau_mem=10.0, norm_input=False, **given),
    )


class Residual(nn.Module):
    """Spikes of two layers added up, maxima of several spikes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = scaled(nn.Conv2d(2, 6, 3, padding=1), 2.0)
        self.spk1 = sl.IAFSqueeze(batch_size=1)
        self.conv2 = scaled(nn.Conv2d(6, 6, 3, padding=1), 3.0)
        self.spk2 = sl.LIFSqueeze(tau_mem=5.0, norm_input=False, batch_size=1)
        self.merge = sl.Merge()
        self.pool = nn.MaxPool2d(2)
        self.fc = scaled(nn.Linear(54, 5), 2.0)
        self.spk3 = sl.IAFSqueeze(batch_size=1, min_v_mem=-1.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.spk1(self.conv1(x))
        second = self.spk2(self.conv2(first))
        found: torch.Tensor = self.spk3(self.fc(self.pool(self.merge(first, second)).flatten(1)))
        return found


CASES = [
    Case("integrate", lambda: dense(sl.IAF(), sl.IAF(min_v_mem=-1.0)), (20,), batched, "batch"),
    Case(
        "lif",
        lambda: dense(
            sl.LIF(tau_mem=10.0, norm_input=False), sl.LIF(tau_mem=3.0, min_v_mem=-0.5), 6.0
        ),
        (20,),
        batched,
        "batch",
    ),
    Case(
        "lif_per_neuron",
        lambda: dense(
            sl.LIF(tau_mem=torch.rand(30) * 9 + 1, norm_input=False, spike_fn=SingleSpike),
            sl.LIF(
                tau_mem=5.0,
                norm_input=False,
                spike_fn=MaxSpike(2),
                reset_fn=MembraneReset(),
                train_alphas=True,
            ),
            4.0,
        ),
        (20,),
        batched,
        "batch",
    ),
    Case(
        "synaptic",
        lambda: dense(
            sl.LIF(tau_mem=10.0, tau_syn=3.0),
            sl.LIF(tau_mem=5.0, tau_syn=2.0, norm_input=False),
            6.0,
        ),
        (20,),
        batched,
        "batch",
    ),
    Case(
        "recurrent",
        lambda: dense(
            sl.LIFRecurrent(tau_mem=8.0, rec_connect=nn.Linear(30, 30), norm_input=False),
            sl.IAFRecurrent(rec_connect=nn.Linear(10, 10), min_v_mem=-1.0),
        ),
        (20,),
        batched,
        "batch",
    ),
    Case("convolutional", convolutional, (2, 8, 8), flat, "flat"),
    Case("max_pooled_sums", Residual, (2, 6, 6), flat, "flat"),
]
