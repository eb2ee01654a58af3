"""Networks of snnTorch."""

from __future__ import annotations

from typing import Any

import snntorch as snn
import torch
import torch.nn.functional as F
from torch import nn

from tests.exchange.frameworks.comparison import Case, at_once, stepwise
from tests.exchange.frameworks.parts import normed, scaled


def with_states(module: nn.Module, x: torch.Tensor) -> None:
    """Call a module whose states its caller holds."""
    states = [torch.zeros(0, dtype=x.dtype)] * module.n_states
    for now in x:
        _, *states = module(now, *states)


class Layers(nn.Module):
    """Two layers of one kind of neuron, whose states the caller holds."""

    def __init__(self, first: nn.Module, second: nn.Module, n: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(20, 30)
        self.lif1 = first
        self.fc2 = nn.Linear(30, 10)
        self.lif2 = second
        self.n_states = 2 * n
        self.n = n
        for fc, gain in ((self.fc1, 3.0), (self.fc2, 4.0)):
            fc.weight.data *= gain

    def forward(self, x: torch.Tensor, *states: torch.Tensor) -> Any:
        one = states[: self.n] or self.lif1.reset_mem()
        spikes, *first = self.lif1(self.fc1(x), *_as_tuple(one))
        two = states[self.n :] or self.lif2.reset_mem()
        out, *second = self.lif2(self.fc2(spikes), *_as_tuple(two))
        return out, *first, *second


def _as_tuple(states: Any) -> Any:
    return states if isinstance(states, tuple) else (states,)


class Recurrent(nn.Module):
    """Layers that hear themselves; their spikes are among their states."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.fc1 = nn.Linear(20, 30)
        self.lif1 = first
        self.fc2 = nn.Linear(30, 10)
        self.lif2 = second
        for fc, gain in ((self.fc1, 3.0), (self.fc2, 4.0)):
            fc.weight.data *= gain
        for lif in (first, second):
            if isinstance(lif.recurrent, nn.Linear):
                lif.recurrent.weight.data *= 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.lif2(self.fc2(self.lif1(self.fc1(x))))


def convolutional() -> nn.Module:
    hidden = {"init_hidden": True}
    return nn.Sequential(
        scaled(nn.Conv2d(2, 6, 3, padding=1), 3.0),
        snn.Leaky(beta=0.8, **hidden),
        nn.AvgPool2d(2),
        scaled(nn.Conv2d(6, 8, 3, stride=2, bias=False), 8.0),
        snn.Leaky(beta=0.9, threshold=0.8, reset_mechanism="zero", **hidden),
        nn.Flatten(),
        scaled(nn.Linear(8, 5), 4.0),
        snn.Leaky(beta=0.7, output=True, **hidden),
    )


class Pooled(nn.Module):
    """Maxima of spikes and of currents."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = scaled(nn.Conv2d(2, 6, 3, padding=1), 3.0)
        self.lif1 = snn.Leaky(beta=0.8, init_hidden=True)
        self.conv2 = scaled(nn.Conv2d(6, 6, 3, padding=1), 2.0)
        self.bn2 = normed(6)
        self.lif2 = snn.Leaky(beta=0.9, threshold=2.0, init_hidden=True)
        self.fc = scaled(nn.Linear(24, 5), 2.0)
        self.lif3 = snn.Leaky(beta=0.9, init_hidden=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        spikes = F.max_pool2d(self.lif1(self.conv1(x)), 2)
        current = F.max_pool2d(self.bn2(self.conv2(spikes)), 2)
        return self.lif3(self.fc(self.lif2(current).flatten(1)))


class Block(nn.Module):
    """A residual block: currents add up before the second neuron, or spikes after it."""

    def __init__(self, channels: int, sew: bool) -> None:
        super().__init__()
        self.sew = sew
        self.conv1 = scaled(nn.Conv2d(channels, channels, 3, padding=1, bias=False), 2.0)
        self.bn1 = normed(channels)
        self.lif1 = snn.Leaky(beta=0.5, init_hidden=True)
        self.conv2 = scaled(nn.Conv2d(channels, channels, 3, padding=1, bias=False), 2.0)
        self.bn2 = normed(channels)
        self.lif2 = snn.Leaky(beta=0.5, init_hidden=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn2(self.conv2(self.lif1(self.bn1(self.conv1(x)))))
        return self.lif2(y) + x if self.sew else self.lif2(y + x)


class Residual(nn.Module):
    """A residual network."""

    def __init__(self, sew: bool) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(2, 6, 3, padding=1, bias=False), normed(6))
        self.lif = snn.Leaky(beta=0.7, init_hidden=True)
        self.blocks = nn.Sequential(Block(6, sew), Block(6, sew))
        self.fc = nn.Linear(6, 5)
        self.out = snn.Leaky(beta=0.9, threshold=0.3, init_hidden=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.blocks(self.lif(self.stem(x)))
        return self.out(self.fc(F.adaptive_avg_pool2d(y, 1).flatten(1)))


class Looped(nn.Module):
    """The loop of snnTorch's tutorials, over the steps of what enters."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = scaled(nn.Linear(20, 30), 3.0)
        self.lif1 = snn.Leaky(beta=0.9)
        self.fc2 = scaled(nn.Linear(30, 10), 4.0)
        self.lif2 = snn.Synaptic(alpha=0.4, beta=0.8, threshold=1.5)

    def forward(self, x: torch.Tensor) -> Any:
        mem1 = self.lif1.init_leaky()
        syn2, mem2 = self.lif2.init_synaptic()
        spikes, membranes = [], []
        for step in range(x.size(0)):
            spk1, mem1 = self.lif1(self.fc1(x[step]), mem1)
            spk2, syn2, mem2 = self.lif2(self.fc2(spk1), syn2, mem2)
            spikes.append(spk2)
            membranes.append(mem2)
        return torch.stack(spikes), torch.stack(membranes)


class Feedback(nn.Module):
    """Two layers that hear each other's spikes of the step before, and what the second fires."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = scaled(nn.Linear(20, 30), 3.0)
        self.lif1 = snn.Leaky(beta=0.8)
        self.fc2 = scaled(nn.Linear(30, 10), 4.0)
        self.lif2 = snn.Leaky(beta=0.9, reset_mechanism="zero")
        self.back = scaled(nn.Linear(10, 30), 4.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mem1, mem2 = self.lif1.reset_mem(), self.lif2.reset_mem()
        spk1 = torch.zeros(x.shape[1], 30)
        spk2 = torch.zeros(x.shape[1], 10)
        total = torch.zeros(x.shape[1], 10)
        for now in x:
            before = spk1
            spk1, mem1 = self.lif1(self.fc1(now) + self.back(spk2), mem1)
            spk2, mem2 = self.lif2(self.fc2(before), mem2)
            total = total + spk2
        return total


class Delayed(nn.Module):
    """Spikes that a loop keeps for five steps and for one, and the input of the step before."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = scaled(nn.Linear(20, 30), 3.0)
        self.before = scaled(nn.Linear(20, 30), 2.0)
        self.lif1 = snn.Leaky(beta=0.8)
        self.fc2 = scaled(nn.Linear(30, 10), 4.0)
        self.late = scaled(nn.Linear(30, 10), 4.0)
        self.lif2 = snn.Leaky(beta=0.9)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mem1, mem2, out = self.lif1.reset_mem(), self.lif2.reset_mem(), []
        kept = [torch.zeros(x.shape[1], 30)] * 5
        given = torch.zeros_like(x[0])
        for now in x:
            spk1, mem1 = self.lif1(self.fc1(now) + self.before(given), mem1)
            given = now
            spk2, mem2 = self.lif2(self.fc2(kept[-1]) + self.late(kept.pop(0)), mem2)
            kept.append(spk1)
            out.append(spk2)
        return torch.stack(out)


def leaky(**options: Any) -> nn.Module:
    return snn.Leaky(**{"beta": 0.9, **options})


CASES = [
    Case("lif", lambda: Layers(leaky(), leaky(beta=0.5), 1), (20,), with_states),
    Case(
        "lif_zero",
        lambda: Layers(
            leaky(reset_mechanism="zero"), leaky(reset_mechanism="zero", reset_delay=False), 1
        ),
        (20,),
        with_states,
    ),
    Case(
        "lif_none",
        lambda: Layers(leaky(reset_mechanism="none", threshold=3.0), leaky(threshold=2.0), 1),
        (20,),
        with_states,
    ),
    Case(
        "lapicque",
        lambda: Layers(
            snn.Lapicque(beta=0.8, threshold=0.2),
            snn.Lapicque(R=2.0, C=2.0, threshold=0.6, reset_mechanism="zero"),
            1,
        ),
        (20,),
        with_states,
    ),
    Case(
        "synaptic",
        lambda: Layers(
            snn.Synaptic(alpha=0.5, beta=0.7, threshold=2.0),
            snn.Synaptic(alpha=0.8, beta=0.6, threshold=2.0, reset_mechanism="zero"),
            2,
        ),
        (20,),
        with_states,
    ),
    Case(
        "synaptic_zero",
        lambda: Layers(
            snn.Synaptic(alpha=0.5, beta=0.7, reset_mechanism="zero", reset_delay=False),
            snn.Synaptic(alpha=0.8, beta=0.6, threshold=2.0, reset_mechanism="none"),
            2,
        ),
        (20,),
        with_states,
    ),
    Case(
        "recurrent",
        lambda: Recurrent(
            snn.RLeaky(beta=0.8, linear_features=30, init_hidden=True),
            snn.RLeaky(beta=0.6, all_to_all=False, V=torch.rand(10) - 0.8, init_hidden=True),
        ),
        (20,),
        stepwise,
    ),
    Case(
        "recurrent_zero",
        lambda: Recurrent(
            snn.RLeaky(beta=0.8, linear_features=30, init_hidden=True, reset_mechanism="zero"),
            snn.RSynaptic(
                alpha=0.5, beta=0.6, linear_features=10, init_hidden=True, reset_mechanism="zero"
            ),
        ),
        (20,),
        stepwise,
    ),
    Case(
        "beta_per_neuron",
        lambda: Layers(
            leaky(beta=torch.rand(30), threshold=torch.rand(30) + 0.5),
            leaky(beta=torch.rand(10), learn_beta=True, graded_spikes_factor=0.5),
            1,
        ),
        (20,),
        with_states,
    ),
    Case("loop", Looped, (20,), at_once),
    Case("feedback", Feedback, (20,), at_once),
    Case("delayed", Delayed, (20,), at_once),
    Case("convolutional", convolutional, (2, 8, 8), stepwise),
    Case("max_pooled", Pooled, (2, 8, 8), stepwise),
    Case("batch_normalized", lambda: Residual(sew=False), (2, 6, 6), stepwise),
    Case("sew", lambda: Residual(sew=True), (2, 6, 6), stepwise),
]
