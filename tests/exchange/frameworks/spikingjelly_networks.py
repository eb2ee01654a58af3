"""Networks of SpikingJelly."""

from __future__ import annotations

import torch
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import nn

from tests.exchange.frameworks.comparison import Case, at_once, stepwise
from tests.exchange.frameworks.parts import normed, scaled


def dense(first: nn.Module, second: nn.Module) -> nn.Module:
    return nn.Sequential(
        scaled(layer.Linear(20, 30), 5.0), first, scaled(layer.Linear(30, 10), 9.0), second
    )


def convolutional(maximum: bool) -> nn.Module:
    pool = layer.MaxPool2d if maximum else layer.AvgPool2d
    return nn.Sequential(
        layer.Conv2d(2, 6, 3, padding=1, bias=False),
        normed(6, layer.BatchNorm2d),
        neuron.IFNode(surrogate_function=surrogate.ATan()),
        pool(2),
        scaled(layer.Conv2d(6, 8, 3, padding=1, bias=False), 2.0),
        normed(8, layer.BatchNorm2d),
        neuron.LIFNode(tau=1.5, decay_input=False, detach_reset=True),
        pool(2),
        layer.Flatten(),
        scaled(layer.Linear(32, 5), 20.0),
        neuron.ParametricLIFNode(init_tau=2.5, v_reset=None),
    )


def several_steps(module: nn.Module) -> nn.Module:
    """The module in step mode m."""
    functional.set_step_mode(module, "m")
    return module


class Block(nn.Module):
    """A spike-element-wise block: spikes are added up."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = layer.SeqToANNContainer(
            scaled(nn.Conv2d(channels, channels, 3, padding=1, bias=False), 2.0), normed(channels)
        )
        self.sn1 = neuron.IFNode(step_mode="m")
        self.conv2 = layer.SeqToANNContainer(
            scaled(nn.Conv2d(channels, channels, 3, padding=1, bias=False), 2.0), normed(channels)
        )
        self.sn2 = neuron.LIFNode(step_mode="m", v_reset=-0.25)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.sn2(self.conv2(self.sn1(self.conv1(x)))) + x
        return found


class SpikeElementWise(nn.Module):
    """A residual network of such blocks, and its readout."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = several_steps(
            nn.Sequential(layer.Conv2d(2, 6, 3, padding=1), normed(6, layer.BatchNorm2d))
        )
        self.sn = neuron.IFNode(step_mode="m")
        self.blocks = nn.Sequential(Block(6), Block(6))
        self.head = several_steps(
            nn.Sequential(
                layer.AdaptiveAvgPool2d(1), layer.Flatten(), scaled(layer.Linear(6, 5), 8.0)
            )
        )
        self.out = neuron.LIFNode(tau=2.0, v_threshold=0.4, step_mode="m")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.out(self.head(self.blocks(self.sn(self.stem(x)))))
        return found


class Direct(nn.Module):
    """The same image in every step, and the mean of what comes out."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.net = several_steps(
            nn.Sequential(
                layer.Conv2d(2, 6, 3, padding=1, bias=False),
                normed(6, layer.BatchNorm2d),
                neuron.IFNode(),
                layer.MaxPool2d(2, 2),
                layer.Flatten(),
                scaled(layer.Linear(96, 5), 3.0),
                neuron.LIFNode(tau=2.0),
            )
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.net(x.unsqueeze(0).repeat(self.steps, 1, 1, 1, 1)).mean(0)
        return found


def first_image(module: nn.Module, x: torch.Tensor) -> None:
    """Call a module that takes one image for all steps."""
    module.steps = len(x)
    module(x[0])


CASES = [
    Case("lif", lambda: dense(neuron.LIFNode(tau=2.0), neuron.LIFNode(tau=3.0)), (20,), stepwise),
    Case(
        "lif_soft",
        lambda: dense(
            neuron.LIFNode(tau=2.0, v_reset=None), neuron.LIFNode(v_reset=None, decay_input=False)
        ),
        (20,),
        stepwise,
    ),
    Case(
        "lif_reset_value",
        lambda: dense(
            neuron.LIFNode(tau=2.0, v_reset=0.2),
            neuron.ParametricLIFNode(init_tau=1.7, v_reset=-0.3, v_threshold=1.3),
        ),
        (20,),
        stepwise,
    ),
    Case("integrate", lambda: dense(neuron.IFNode(), neuron.IFNode(v_reset=None)), (20,), stepwise),
    Case("convolutional", lambda: convolutional(False), (2, 8, 8), stepwise),
    Case("max_pooled", lambda: convolutional(True), (2, 8, 8), stepwise),
    Case(
        "several_steps",
        lambda: several_steps(convolutional(True)),
        (2, 8, 8),
        at_once,
        layout="time",
    ),
    Case("sew", SpikeElementWise, (2, 6, 6), at_once, layout="time"),
    Case(
        "direct",
        lambda: Direct(25),
        (2, 8, 8),
        first_image,
        layout="time",
        options=(("input", "current"), ("levels", 1)),
    ),
]
