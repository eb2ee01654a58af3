"""What SpikingJelly and sinabs make of a network, in the modes that they offer.

Both are called as their documentation does; nothing is repaired. The one thing done for them, in
rows of its own ("nn.ReLU"), is that ``F.relu`` calls, which neither sees, become modules.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


class Unconverted(Exception):
    """A peer returned without an error, and without a spiking neuron."""


@dataclass
class Running:
    """A converted network.

    Parameters
    ----------
    neurons : list of Module
        Whose outputs are the spikes.
    run : callable ``(images [B, ...], T) -> [B, classes]``
        From reset; the output summed over the steps.
    """

    neurons: list[nn.Module]
    run: Callable[[torch.Tensor, int], torch.Tensor]


Build = Callable[[nn.Module, torch.Tensor], Running]


def spikingjelly(**options: Any) -> Build:
    """``FXConverter`` with the rate-coding recipe, one step at a time as it is left."""

    def build(network: nn.Module, calibration: torch.Tensor) -> Running:
        from spikingjelly.activation_based.ann2snn.recipes import RateCodingRecipe

        return _spikingjelly(RateCodingRecipe(_loader(calibration, 128), **options), network)

    return build


def spikingjelly_balanced(passes: int = 20) -> Build:
    """``FXConverter`` with local threshold balancing, which needs several passes to settle."""

    def build(network: nn.Module, calibration: torch.Tensor) -> Running:
        from spikingjelly.activation_based.ann2snn.recipes import LocalThresholdBalancingRecipe

        recipe = LocalThresholdBalancingRecipe(_loader(calibration, 32) * passes)
        return _spikingjelly(recipe, network)

    return build


def _loader(calibration: torch.Tensor, width: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    # All images in one batch are more than its percentile (torch.quantile) takes.
    return [(x, torch.zeros(len(x), dtype=torch.int64)) for x in calibration.split(width)]


def _spikingjelly(recipe: Any, network: nn.Module) -> Running:
    from spikingjelly.activation_based import functional
    from spikingjelly.activation_based.ann2snn import FXConverter
    from spikingjelly.activation_based.neuron.base_node import BaseNode

    spiking = FXConverter(recipe).convert(network).eval()
    neurons = _some([m for m in spiking.modules() if isinstance(m, BaseNode)], network)

    def run(x: torch.Tensor, timesteps: int) -> torch.Tensor:
        functional.reset_net(spiking)
        out = spiking(x)
        for _ in range(timesteps - 1):
            out = out + spiking(x)
        return torch.as_tensor(out)

    return Running(neurons, run)


def sinabs(spikes: str) -> Build:
    """``from_model``; ``spikes`` names the spike function, MultiSpike being the default."""

    def build(network: nn.Module, calibration: torch.Tensor) -> Running:
        import sinabs.activation
        from sinabs.from_torch import from_model
        from sinabs.layers import StatefulLayer

        spiking = from_model(
            network,
            input_shape=tuple(calibration.shape[1:]),
            batch_size=1,
            spike_fn=getattr(sinabs.activation, spikes),
        ).spiking_model.eval()
        neurons = _some([m for m in spiking.modules() if isinstance(m, StatefulLayer)], network)

        def run(x: torch.Tensor, timesteps: int) -> torch.Tensor:
            for neuron in neurons:
                neuron.reset_states()  # type: ignore[operator]
                neuron.batch_size = len(x)  # type: ignore[assignment]
            out = spiking(x.repeat_interleave(timesteps, dim=0))
            return torch.as_tensor(out).view(len(x), timesteps, -1).sum(1)

        return Running(neurons, run)

    return build


def _some(neurons: list[nn.Module], network: nn.Module) -> list[nn.Module]:
    if not neurons:
        kept = sorted({type(m).__name__ for m in network.modules() if _is_activation(m)})
        left = ", ".join(kept) or "functional ReLU"
        raise Unconverted(f"returns without an error but makes no spiking neuron: {left} is kept")
    return neurons


def _is_activation(module: nn.Module) -> bool:
    return type(module).__module__ == "torch.nn.modules.activation"


def with_relu_modules(network: nn.Module) -> nn.Module | None:
    """The network with its functional ReLUs as modules; None if it has none."""
    from torch.fx import symbolic_trace

    traced = symbolic_trace(copy.deepcopy(network))
    calls = [n for n in traced.graph.nodes if n.target is nn.functional.relu]
    for k, node in enumerate(calls):
        traced.add_submodule(f"relu_{k}", nn.ReLU())
        with traced.graph.inserting_after(node):
            module = traced.graph.call_module(f"relu_{k}", (node.args[0],))
        node.replace_all_uses_with(module)
        traced.graph.erase_node(node)
    traced.recompile()
    return traced.eval() if calls else None


MODES: dict[str, dict[str, Build]] = {
    "spikingjelly": {
        "99.9 %": spikingjelly(mode="99.9%"),
        "max": spikingjelly(mode="Max"),
        "max / 2": spikingjelly(mode=0.5),
        "channel, half threshold": spikingjelly(
            mode="99.9%", channel_wise=True, half_threshold=True
        ),
        "channel, half threshold, pool first": spikingjelly(
            mode="99.9%", channel_wise=True, half_threshold=True, pre_spike_maxpool=True
        ),
        "local threshold balancing": spikingjelly_balanced(),
    },
    "sinabs": {"multi-spike": sinabs("MultiSpike"), "single spike": sinabs("SingleSpike")},
}
