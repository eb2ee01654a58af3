"""Networks of Norse."""

from __future__ import annotations

from typing import Any

import norse.torch as norse
import torch
from norse.torch.functional.lif_box import LIFBoxParameters
from norse.torch.functional.reset import reset_subtract
from torch import nn

from tests.exchange.frameworks.comparison import Case, at_once
from tests.exchange.frameworks.parts import normed, scaled


def with_state(module: nn.Module, x: torch.Tensor) -> None:
    """Call a module once a step with the states that it returned."""
    state = None
    for now in x:
        _, state = module(now, state)


def dense(first: nn.Module, second: nn.Module, gain: float = 20.0) -> nn.Module:
    return norse.SequentialState(
        scaled(nn.Linear(20, 30), gain), first, scaled(nn.Linear(30, 10), gain), second
    )


def parameters(**values: Any) -> norse.LIFParameters:
    return norse.LIFParameters(**{k: torch.as_tensor(v) for k, v in values.items()})


def box(**values: Any) -> nn.Module:
    return norse.LIFBoxCell(LIFBoxParameters(**values))


class Pooled(nn.Module):
    """A convolutional network that holds its states itself."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(2, 6, 3, padding=1, bias=False)
        self.bn1 = normed(6)
        self.lif1 = box(tau_mem_inv=torch.tensor(600.0))
        self.pool = nn.MaxPool2d(2)
        self.conv2 = scaled(nn.Conv2d(6, 8, 3, padding=1), 6.0)
        self.lif2 = norse.LIFCell(parameters(tau_mem_inv=400.0, tau_syn_inv=300.0))
        self.fc = scaled(nn.Linear(32, 5), 3.0)
        self.out = norse.LIFCell(parameters(tau_mem_inv=400.0))

    def forward(self, x: torch.Tensor, state: Any = None) -> Any:
        one, two, three = state or (None, None, None)
        y, one = self.lif1(self.bn1(self.conv1(x)), one)
        y, two = self.lif2(self.conv2(self.pool(y)), two)
        y, three = self.out(self.fc(self.pool(y).flatten(1)), three)
        return y, (one, two, three)


class OverTime(nn.Module):
    """Layers that take all steps, and the membranes of the last at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = scaled(nn.Linear(20, 30), 20.0)
        self.lif1 = norse.LIF(parameters(tau_mem_inv=200.0))
        self.fc2 = scaled(nn.Linear(30, 10), 6.0)
        self.lif2 = norse.LIFRecurrent(10, 12, p=parameters(tau_mem_inv=500.0))
        self.out = norse.LI()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, _ = self.lif1(self.fc1(x))
        y, _ = self.lif2(self.fc2(y))
        y, _ = self.out(y)
        return y[-1]


CASES = [
    Case(
        "lif_box",
        lambda: dense(
            box(tau_mem_inv=torch.tensor(200.0)),
            box(v_leak=torch.tensor(0.2), v_reset=torch.tensor(-0.1)),
        ),
        (20,),
        with_state,
    ),
    Case(
        "lif_box_subtract",
        lambda: dense(
            box(reset_method=reset_subtract),
            box(v_th=torch.tensor(0.8), reset_method=reset_subtract),
        ),
        (20,),
        with_state,
    ),
    Case(
        "synaptic",
        lambda: dense(
            norse.LIFCell(parameters(tau_mem_inv=100.0)),
            norse.LIFCell(parameters(v_leak=0.1, v_th=0.7, v_reset=-0.2)),
        ),
        (20,),
        with_state,
    ),
    Case("integrate", lambda: dense(norse.IAFCell(), norse.IAFCell(), 3.0), (20,), with_state),
    Case(
        "recurrent",
        lambda: norse.SequentialState(
            norse.LIFRecurrentCell(20, 30, p=parameters(tau_mem_inv=300.0)),
            scaled(nn.Linear(30, 12), 4.0),
            norse.LIFRecurrentCell(12, 10, p=parameters(tau_mem_inv=500.0)),
        ),
        (20,),
        with_state,
    ),
    Case("over_time", OverTime, (20,), at_once, layout="time"),
    Case("max_pooled", Pooled, (2, 8, 8), with_state),
]
