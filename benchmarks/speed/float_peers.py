"""SpikingJelly and sinabs on the same trained network, in float32.

Both get the network with its batch norms folded, the same images and the same number of steps.
SpikingJelly is taken as its converter leaves it, step by step, and written by hand for its
multi-step mode, layer by layer, which is its fastest form on a CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from benchmarks.speed.contender import Contender, Run

Build = Callable[[nn.Module, torch.Tensor, int], Run]


def folded(network: nn.Sequential) -> nn.Sequential:
    """The network without its batch norms."""
    layers: list[nn.Module] = []
    for layer in network:
        if isinstance(layer, nn.BatchNorm2d):
            assert isinstance(layers[-1], nn.Conv2d)
            layers[-1] = fuse_conv_bn_eval(layers[-1], layer)
        else:
            layers.append(layer)
    return nn.Sequential(*layers).eval()


def spikingjelly_converted(network: nn.Module, x: torch.Tensor, timesteps: int) -> Run:
    from spikingjelly.activation_based import functional
    from spikingjelly.activation_based.ann2snn import FXConverter
    from spikingjelly.activation_based.ann2snn.recipes import RateCodingRecipe

    # Its loader yields (images, labels).
    loader = [(x, torch.zeros(len(x), dtype=torch.int64))]
    spiking = FXConverter(RateCodingRecipe(dataloader=loader, mode="99.9%")).convert(network)

    def run() -> None:
        functional.reset_net(spiking)
        out: Any = 0.0
        for _ in range(timesteps):
            out = out + spiking(x)

    return run


def spikingjelly_multi_step(network: nn.Module, x: torch.Tensor, timesteps: int) -> Run:
    from spikingjelly.activation_based import functional, layer, neuron

    layers: list[nn.Module] = []
    for module in network.children():
        if isinstance(module, nn.ReLU):
            layers.append(neuron.IFNode(v_reset=None, step_mode="m"))
        elif isinstance(module, nn.Conv2d | nn.Linear | nn.MaxPool2d | nn.Flatten):
            layers.append(layer.SeqToANNContainer(module))
    spiking = nn.Sequential(*layers).eval()

    def run() -> None:
        functional.reset_net(spiking)
        # The first convolution of a constant image need not be repeated here either.
        first = layers[0][0](x)  # type: ignore[index]
        spiking[1:](first.expand(timesteps, *first.shape)).sum(0)

    return run


def sinabs(network: nn.Module, x: torch.Tensor, timesteps: int) -> Run:
    from sinabs.from_torch import from_model

    spiking = from_model(
        network,
        input_shape=tuple(x.shape[1:]),
        batch_size=len(x),
        spike_threshold=torch.tensor(1.0),
    ).spiking_model.eval()
    repeated = x.repeat_interleave(timesteps, dim=0)

    def run() -> None:
        for module in spiking.modules():
            if hasattr(module, "reset_states"):
                module.reset_states()
        spiking(repeated).view(len(x), timesteps, -1).sum(1)

    return run


PEERS: Sequence[tuple[str, str, Build]] = (
    ("SpikingJelly {}, multi-step", "spikingjelly", spikingjelly_multi_step),
    ("SpikingJelly {}, as converted", "spikingjelly", spikingjelly_converted),
    ("sinabs {}", "sinabs", sinabs),
)


def float_peers(network: nn.Sequential, x: torch.Tensor, timesteps: int) -> list[Contender]:
    """Every peer that can be imported here; the others say why not."""
    contenders = []
    for title, package, build in PEERS:
        try:
            run = build(folded(network), x, timesteps)
            name = title.format(version(package))
        except ImportError as error:
            why = f"{error}; python benchmarks/setup_peers.py"
            contenders.append(Contender(title.format("").replace(" ,", ","), None, why))
        else:
            contenders.append(Contender(name, torch.no_grad()(run)))
    return contenders
