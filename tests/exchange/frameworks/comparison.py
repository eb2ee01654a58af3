"""Every spike of a framework's network against those of its import.

Run as ``.venv-bench/bin/python -m tests.exchange.frameworks FRAMEWORK ...``: one JSON line a case.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

import neurodeploy as nd
from neurodeploy.ir.neurons import RealNeuron
from neurodeploy.ir.reference import run_reference

NEAR = 1e-5
"""Thresholds within which rounding to single precision may decide."""


@dataclass(frozen=True)
class Case:
    """A network, what enters it, and how its framework runs it.

    ``drive(module, x)`` gets ``x`` of shape ``[T, B, *shape]``. A layer's outputs are recorded call
    by call: ``step`` (one a step), ``time`` (``[T, B, ...]``), ``batch`` (``[B, T, ...]``) or
    ``flat`` (``[B T, ...]``).
    """

    name: str
    build: Callable[[], nn.Module]
    shape: tuple[int, ...]
    drive: Callable[[nn.Module, torch.Tensor], Any]
    layout: str = "step"
    density: float = 0.3
    options: tuple[tuple[str, Any], ...] = ()


@dataclass
class Result:
    """What was found; ``rates`` are spikes per neuron and step of each layer."""

    framework: str
    case: str
    timesteps: int
    samples: int
    spikes: int
    differing: int
    rates: dict[str, float]
    samples_single: int
    farthest_single: float


def stepwise(module: nn.Module, x: torch.Tensor) -> None:
    """Call a module once a step."""
    for now in x:
        module(now)


def at_once(module: nn.Module, x: torch.Tensor) -> None:
    """Call a module that takes all steps, or loops over them, ``[T, B, ...]``."""
    module(x)


def in_double(module: nn.Module) -> nn.Module:
    """The module in double precision, where spikes that it makes in single precision are too."""
    module = module.double()

    def cast(_: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(
            g.double() if torch.is_tensor(g) and g.is_floating_point() else g for g in given
        )

    for part in module.modules():
        part.register_forward_pre_hook(cast)
    return module


def recorded(case: Case, module: nn.Module, x: torch.Tensor, layers: list[str]) -> dict[str, Any]:
    """Spikes ``[B, T, ...]`` of every layer as the framework makes them."""
    calls: dict[str, list[torch.Tensor]] = {name: [] for name in layers}
    parts = dict(module.named_modules())

    def keep(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, given: Any, out: Any) -> None:
            calls[name].append((out[0] if isinstance(out, tuple) else out).detach().clone())

        return hook

    handles = [parts[name].register_forward_hook(keep(name)) for name in layers]
    with torch.no_grad():
        case.drive(module, x)
    for handle in handles:
        handle.remove()
    T, B = x.shape[:2]
    found = {}
    for name, made in calls.items():
        if case.layout == "step":
            assert len(made) == T, (name, len(made))
            spikes = torch.stack(made, 1)
        elif case.layout == "time":
            spikes = made[0].transpose(0, 1)
        elif case.layout == "flat":
            spikes = made[0].unflatten(0, (B, T))
        else:
            spikes = made[0]
        worth = getattr(parts[name], "graded_spikes_factor", torch.tensor(1.0)).detach()
        found[name] = (spikes / worth).numpy()
    return found


def compare(framework: str, case: Case, timesteps: int, samples: int, seed: int = 0) -> Result:
    """Run a case in double and in single precision beside its import."""
    torch.manual_seed(seed)
    module = case.build().eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = nd.import_network(module, shape=case.shape, timesteps=timesteps, **dict(case.options))
    random = np.random.default_rng(seed)
    x = (random.random((samples, timesteps, *case.shape)) < case.density).astype(np.int64)
    current = net.netlist.by_name["input"].is_current_input
    if current:
        x[:] = x[:, :1]
    layers = list(net.provenance["exchange"]["layers"])
    record = run_reference(net.netlist, {"input": x[:, 0] if current else x}, membranes=layers)
    state = {name: value.clone() for name, value in module.state_dict().items()}
    given = torch.tensor(np.moveaxis(x, 1, 0), dtype=torch.float32)
    single = recorded(case, module, given, layers)
    torch.manual_seed(seed)
    again = case.build().eval()
    again.load_state_dict(state, strict=False)
    double = recorded(case, in_double(again), given.double(), layers)
    integrators = [n for n in layers if net.netlist.by_name[n].is_integrator]
    layers = [n for n in layers if n not in integrators]
    differing = sum(int((double[name] != record.spikes[name]).sum()) for name in layers)
    for name in integrators:
        # What is read is a membrane: doubles, added up in another order.
        differing += int((abs(double[name] - record.membranes[name]) > 1e-9).sum())
    count, farthest = first_differences(net.netlist, record, single, layers)
    return Result(
        framework,
        case.name,
        timesteps,
        samples,
        int(sum(abs(double[name]).sum() for name in layers)),
        differing,
        {name: float(np.mean(double[name] != 0)) for name in layers},
        count,
        farthest,
    )


def first_differences(
    netlist: Any, record: Any, single: dict[str, Any], layers: list[str]
) -> tuple[int, float]:
    """Samples in which single precision gives other spikes, and how far the first is from firing.

    The distance is that of the membrane from the next number of thresholds, in thresholds.
    """
    order = sorted(layers, key=lambda name: netlist.schedule.depth[name])
    count, farthest = 0, 0.0
    samples = record.spikes[order[0]].shape[0]
    membranes = {name: before_reset(netlist, record, name) for name in order}
    for b in range(samples):
        wrong = {name: record.spikes[name][b] != single[name][b] for name in order}
        steps = [int(np.argmax(w.reshape(len(w), -1).any(1))) for w in wrong.values() if w.any()]
        if not steps:
            continue
        count += 1
        first = min(steps)
        name = next(name for name in order if wrong[name][first].any())
        model = netlist.by_name[name].model
        theta = netlist.by_name[name].spread(model.threshold)
        fits = membranes[name][b, first] / theta
        off = np.abs(fits - np.maximum(np.rint(fits), 1))[wrong[name][first]]
        farthest = max(farthest, float(off.max()))
    return count, farthest


def before_reset(netlist: Any, record: Any, name: str) -> Any:
    """Membranes as they were compared, ``[B, T, ...]``."""
    population = netlist.by_name[name]
    model = population.model
    assert isinstance(model, RealNeuron)
    plan = netlist.schedule
    after = record.membranes[name]
    T = after.shape[1]
    arriving = np.zeros_like(after)
    for projection, delay in zip(netlist.projections, plan.delays, strict=True):
        if projection.post != name:
            continue
        late = delay - (plan.depth[name] - plan.depth[projection.pre])
        sent = record.spikes[projection.pre]
        if sent.shape[1] != T:
            sent = np.broadcast_to(sent[:, :1], (len(sent), T, *sent.shape[2:]))
        for t in range(late, T):
            arriving[:, t] += projection.connectivity.apply(sent[:, t - late])
    du = population.spread(np.asarray(model.current_decay))
    dv = population.spread(np.asarray(model.membrane_decay))
    theta = population.spread(model.threshold)
    u = np.zeros_like(after[:, 0])
    v = np.broadcast_to(population.spread(model.initial_membrane), u.shape)
    found = np.zeros_like(after)
    for t in range(T):
        u = u * (1 - du) + arriving[:, t]
        found[:, t] = v * (1 - dv) + u + population.spread(model.bias)
        if model.reset == "subtract-next" and t:
            found[:, t] -= theta * record.spikes[name][:, t - 1]
        v = after[:, t]
    return found


def line(result: Result) -> dict[str, Any]:
    """As JSON values."""
    return asdict(result)
