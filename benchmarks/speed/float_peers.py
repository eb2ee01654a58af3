"""SpikingJelly, sinabs, snnTorch and Norse on the same trained network, in float32.

All run the network of ``balanced``, each with its own neurons and in its own form; SpikingJelly
also as its converter leaves the network. snnTorch and Norse know one step at a time and sequences:
the faster is taken and named.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import torch
from torch import nn

from benchmarks.conversion.peer_converters import with_relu_modules
from benchmarks.speed.balanced import Halves, NoNeuron, halves
from benchmarks.speed.contender import Contender
from benchmarks.speed.source import folded

Run = Callable[[], torch.Tensor]
Reset = Callable[[nn.Module], None]


class _Sequence(nn.Module):
    """Neurons of one layer over all steps, between layers that see ``[T * B, ...]``.

    ``dim`` is where the neurons want the steps: 0, or 1 behind the samples.
    """

    def __init__(self, neurons: nn.Module, timesteps: int, dim: int, constant: bool) -> None:
        super().__init__()
        self.neurons = neurons
        self.timesteps = timesteps
        self.dim = dim
        self.constant = constant

    def forward(self, current: torch.Tensor) -> torch.Tensor:
        if self.constant:
            sizes = [-1] * (current.dim() + 1)
            sizes[self.dim] = self.timesteps
            given = current.unsqueeze(self.dim).expand(sizes)
        elif self.dim == 0:
            given = current.unflatten(0, (self.timesteps, -1))
        else:
            given = current.unflatten(0, (-1, self.timesteps))
        spikes: torch.Tensor = self.neurons(given)
        return spikes.flatten(0, 1)


def _layer_by_layer(
    net: Halves, x: torch.Tensor, timesteps: int, make: Callable[[], nn.Module], reset: Reset, dim=0
) -> Run:
    after = net.with_neurons(lambda i: _Sequence(make(), timesteps, dim, constant=i == 0))
    steps = (timesteps, -1) if dim == 0 else (-1, timesteps)

    def run() -> torch.Tensor:
        with torch.no_grad():
            reset(after)
            out: torch.Tensor = after(net.before(x))
            return out.unflatten(0, steps).sum(dim)

    return run


def _step_by_step(
    net: Halves, x: torch.Tensor, timesteps: int, make: Callable[[], nn.Module], reset: Reset
) -> Run:
    after = net.with_neurons(lambda _: make())

    def run() -> torch.Tensor:
        with torch.no_grad():
            reset(after)
            current = net.before(x)
            out: torch.Tensor = after(current)
            for _ in range(timesteps - 1):
                out = out + after(current)
            return out

    return run


def _faster(runs: dict[str, Run]) -> tuple[str, Run]:
    seconds = {}
    for form, run in runs.items():
        run()
        begun = time.process_time()
        run()
        seconds[form] = time.process_time() - begun
    form = min(seconds, key=seconds.__getitem__)
    return form, runs[form]


def spikingjelly(network: nn.Module, net: Halves, x: torch.Tensor, T: int) -> tuple[str, Run]:
    from spikingjelly.activation_based import functional, neuron

    def make() -> nn.Module:
        return neuron.IFNode(v_reset=None, step_mode="m")

    return "multi-step", _layer_by_layer(net, x, T, make, functional.reset_net)


def spikingjelly_converted(
    network: nn.Module, net: Halves, x: torch.Tensor, T: int
) -> tuple[str, Run]:
    from spikingjelly.activation_based import functional
    from spikingjelly.activation_based.ann2snn import FXConverter
    from spikingjelly.activation_based.ann2snn.recipes import RateCodingRecipe

    # It sees modules only. Its loader yields (images, labels).
    source = with_relu_modules(folded(network)) or folded(network)
    loader = [(x, torch.zeros(len(x), dtype=torch.int64))]
    spiking = FXConverter(RateCodingRecipe(dataloader=loader, mode="99.9%")).convert(source)

    def run() -> torch.Tensor:
        with torch.no_grad():
            functional.reset_net(spiking)
            out: torch.Tensor = spiking(x)
            for _ in range(T - 1):
                out = out + spiking(x)
            return out

    return "as converted", run


def sinabs(network: nn.Module, net: Halves, x: torch.Tensor, T: int) -> tuple[str, Run]:
    from sinabs.layers import IAF, StatefulLayer

    def reset(model: nn.Module) -> None:
        for module in model.modules():
            if isinstance(module, StatefulLayer):
                module.reset_states()

    return "multi-spike", _layer_by_layer(net, x, T, IAF, reset, dim=1)


class _Recorded(nn.Module):
    """A snnTorch neuron over a sequence."""

    def __init__(self, neuron: nn.Module) -> None:
        super().__init__()
        self.neuron = neuron

    def forward(self, currents: torch.Tensor) -> torch.Tensor:
        return torch.stack([self.neuron(current) for current in currents])


def snntorch(network: nn.Module, net: Halves, x: torch.Tensor, T: int) -> tuple[str, Run]:
    from snntorch import Leaky

    def make() -> nn.Module:
        # A spike is reset in its own step, as in all others.
        neuron: nn.Module = Leaky(
            beta=1.0, init_hidden=True, reset_mechanism="subtract", reset_delay=False
        )
        return neuron

    def reset(model: nn.Module) -> None:
        for module in model.modules():
            if isinstance(module, Leaky):
                module.reset_mem()

    return _faster(
        {
            "step by step": _step_by_step(net, x, T, make, reset),
            "layer by layer": _layer_by_layer(net, x, T, lambda: _Recorded(make()), reset),
        }
    )


def norse(network: nn.Module, net: Halves, x: torch.Tensor, T: int) -> tuple[str, Run]:
    """Its IAF is reset to a value; this is the same step with its own reset by subtraction."""
    from norse.torch.functional.reset import reset_subtract
    from norse.torch.functional.threshold import threshold
    from norse.torch.module.snn import SNN, SNNCell

    one, none = torch.tensor(1.0), torch.tensor(0.0)

    def step(current: torch.Tensor, v: torch.Tensor, p: Any, dt: float) -> Any:
        v = v + current
        z = threshold(v - one, "heaviside", 100.0)
        return z, reset_subtract(z, v, none, one)

    class Cell(nn.Module):
        """One step, the state kept between calls."""

        def __init__(self) -> None:
            super().__init__()
            self.cell = SNNCell(step, lambda given: torch.zeros(()), None)
            self.state: torch.Tensor | None = None

        def forward(self, current: torch.Tensor) -> torch.Tensor:
            spikes, self.state = self.cell(current, self.state)
            return torch.as_tensor(spikes)

    class Layer(nn.Module):
        """All steps, from rest."""

        def __init__(self) -> None:
            super().__init__()
            self.layer = SNN(step, lambda given: torch.zeros(()), None)

        def forward(self, currents: torch.Tensor) -> torch.Tensor:
            return torch.as_tensor(self.layer(currents)[0])

    def reset(model: nn.Module) -> None:
        for module in model.modules():
            if isinstance(module, Cell):
                module.state = None

    return _faster(
        {
            "step by step": _step_by_step(net, x, T, Cell, reset),
            "layer by layer": _layer_by_layer(net, x, T, Layer, reset),
        }
    )


Build = Callable[[nn.Module, Halves, torch.Tensor, int], tuple[str, Run]]
PEERS: Sequence[tuple[str, str, str, Build]] = (
    ("spikingjelly", "SpikingJelly", "spikingjelly", spikingjelly),
    ("spikingjelly-converted", "SpikingJelly", "spikingjelly", spikingjelly_converted),
    ("sinabs", "sinabs", "sinabs", sinabs),
    ("snntorch", "snnTorch", "snntorch", snntorch),
    ("norse", "Norse", "norse", norse),
)


def float_peers(
    network: nn.Module, x: torch.Tensor, calibration: torch.Tensor, timesteps: int, keys: set[str]
) -> list[Contender]:
    """Every peer that was asked for and can be imported here; the others say why not."""
    wanted = [peer for peer in PEERS if peer[0] in keys]
    if not wanted:
        return []
    try:
        net = halves(network, calibration)
    except NoNeuron as error:
        return [Contender(key, title, None, str(error)) for key, title, _, _ in wanted]
    contenders = []
    for key, title, package, build in wanted:
        try:
            form, run = build(network, net, x, timesteps)
        except ImportError as error:
            why = f"{error}; set it up by python benchmarks/setup_peers.py"
            contenders.append(Contender(key, title, None, why))
        except Exception as error:  # whatever a peer refuses is its answer, and told
            said = (str(error).strip().splitlines() or ["no reason given"])[0]
            said = re.sub(r" at 0x[0-9a-f]+", "", said)
            why = f"{type(error).__name__}: {said}"
            contenders.append(Contender(key, f"{title} {version(package)}", None, why))
        else:
            name = f"{title} {version(package)}, {form}"
            contenders.append(Contender(key, name, run, scores=lambda out: out))
    return contenders
