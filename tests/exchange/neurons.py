"""Stand-ins for layers of frameworks: recognized as theirs, and computing what they tell."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class Leaky(nn.Module):
    """snnTorch's Leaky with its default reset: the threshold, off in the next step."""

    def __init__(self, beta: float = 0.9, threshold: float = 1.0, **options: Any) -> None:
        super().__init__()
        self.register_buffer("beta", torch.as_tensor(beta))
        self.register_buffer("threshold", torch.as_tensor(threshold))
        self.register_buffer("graded_spikes_factor", torch.as_tensor(1.0))
        self.register_buffer("reset_mechanism_val", torch.as_tensor(0))
        self.init_hidden = options.pop("init_hidden", False)
        self.output = self.inhibition = self.state_quant = False
        self.reset_delay = True
        self.mem: Any = None
        vars(self).update(options)

    def spike_grad(self, x: torch.Tensor) -> torch.Tensor:
        return (x > 0).to(x)

    def reset_mem(self) -> torch.Tensor:
        self.mem = None
        return torch.zeros(0)

    def forward(self, x: torch.Tensor, mem: torch.Tensor | None = None) -> Any:
        before = self.mem if mem is None else mem
        before = torch.zeros_like(x) if before is None or before.shape != x.shape else before
        reset = self.spike_grad(before - self.threshold)
        self.mem = self.beta * before + x - reset * self.threshold
        spikes = self.spike_grad(self.mem - self.threshold)
        return spikes if self.init_hidden else (spikes, self.mem)


class Alpha(nn.Module):
    """A layer of snnTorch that is not read."""


Leaky.__module__ = "snntorch._neurons.leaky"
Alpha.__module__ = "snntorch._neurons.alpha"
