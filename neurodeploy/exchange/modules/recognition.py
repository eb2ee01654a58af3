"""Spiking layers found in a module by class name and module path; no framework is imported."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn

from neurodeploy.errors import UnsupportedLayerError, UsageError
from neurodeploy.exchange.modules import norse, sinabs, snntorch, spikingjelly
from neurodeploy.exchange.modules.layer import Kind
from neurodeploy.source.torch.spiking import population

FRAMEWORKS: dict[str, tuple[dict[str, Kind], tuple[str, ...]]] = {
    "snntorch": (snntorch.KINDS, ("snntorch._neurons",)),
    "spikingjelly": (spikingjelly.KINDS, ("spikingjelly.activation_based.neuron",)),
    "sinabs": (sinabs.KINDS, ("sinabs.layers.iaf", "sinabs.layers.lif")),
    "norse": (norse.KINDS, ("norse.torch.module",)),
}
"""Top package -> classes that are read, and the packages that they are in."""

STATEFUL: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("snntorch._neurons", ()),
    ("spikingjelly.activation_based.neuron", ()),
    ("spikingjelly.activation_based.rnn", ()),
    ("spikingjelly.activation_based.layer.container", ("RecurrentContainer",)),
    ("spikingjelly.activation_based.layer.misc", ("SynapseFilter", "Delay")),
    ("sinabs.layers", ("ALIF", "ExpLeak", "SpikingMaxPooling2dLayer")),
    ("norse.torch.module", ("Cell", "LIF", "LSNN", "Izhikevich", "Recurrent", "Filter")),
)
"""Packages whose other classes have states: those whose names hold one of the words, if given."""

_BEGINNINGS = ("init_leaky", "init_synaptic", "init_lapicque", "init_rleaky", "init_rsynaptic")
_RESETS = ("reset", "reset_states")


class States(NamedTuple):
    """What stands for all states of a layer while a module is exported."""

    v: torch.Tensor
    i: torch.Tensor


@dataclass(slots=True)
class Found:
    """A spiking layer of a module.

    Parameters
    ----------
    name, framework : str
    module : Module
    kind : Kind
    answer : callable
        What its forward calls in place of the layer: the operator, or what takes its parameters.
    calls : int
        So far.
    """

    name: str
    framework: str
    module: Any
    kind: Kind
    answer: Callable[..., Any] = population
    calls: int = 0

    def __call__(self, x: torch.Tensor, *given: Any, **named: Any) -> Any:
        """The layer's forward while its module is exported."""
        if self.kind.enters is not None:
            x = self.kind.enters(self.module, x)
        states = [s for s in (*given, *named.values()) if s is not None]
        flat: list[torch.Tensor] = []
        for state in states:
            flat.extend(state if isinstance(state, tuple | list) else [state])
        left = [name for name in self.kind.states if name != "spk"]
        n = 2 if self.kind.returns_state else len(left)
        layout = self.kind.layout(self.module)
        own = not self.kind.returns_state
        spikes, *after = self.answer(x, flat, self.name, self.calls, n, layout, own)
        self.calls += 1
        if self.kind.returns_state:
            return spikes, States(*after)
        return spikes if self.kind.hides(self.module) else (spikes, *after)

    def beginning(self, *_: Any, **__: Any) -> Any:
        """States before the first step."""
        states = tuple(torch.zeros(0) for _ in self.kind.states)
        return states[0] if len(states) == 1 else states


def copied(module: nn.Module) -> nn.Module:
    """A copy whose states have no history: those that a run left behind cannot be copied."""
    memo: dict[int, Any] = {}
    for part in module.modules():
        for value in (*vars(part).values(), *part._buffers.values()):
            if isinstance(value, torch.Tensor) and not value.is_leaf:
                memo[id(value)] = value.detach().clone()
    try:
        for found in spiking_layers(module).values():
            _copied_plainly(found.module, memo)
        return copy.deepcopy(module, memo)
    except Exception as error:
        raise UsageError(f"the module cannot be copied: {error}") from error


def _copied_plainly(layer: Any, memo: dict[int, Any]) -> None:
    """Copy what a layer holds: the way in which sinabs copies its own loses recurrent weights."""
    if hasattr(type(layer), "__deepcopy__"):
        made = memo[id(layer)] = object.__new__(type(layer))
        made.__dict__.update(copy.deepcopy(layer.__dict__, memo))


def spiking_layers(module: nn.Module) -> dict[str, Found]:
    """Spiking layers of a module by their paths.

    Raises
    ------
    UnsupportedLayerError
        For a layer with a state that is not read, by name.
    """
    found: dict[str, Found] = {}
    inside: list[str] = []
    for name, part in module.named_modules():
        if any(name.startswith(f"{outer}.") for outer in inside):
            continue
        known = _known(name, part)
        if known is not None:
            found[name or "spikes"] = Found(name or "spikes", *known)
            inside.append(name)
    return found


def _known(name: str, part: Any) -> tuple[str, Any, Kind] | None:
    kinds = type(part).__mro__
    for i, cls in enumerate(kinds):
        framework = cls.__module__.partition(".")[0]
        if framework not in FRAMEWORKS:
            continue
        known, places = FRAMEWORKS[framework]
        here = cls.__module__
        if cls.__name__ in known and here.startswith(places):
            _expect_unchanged(name, kinds[:i], cls.__name__)
            return framework, part, known[cls.__name__]
        for place, words in STATEFUL:
            named = not words or any(word in cls.__name__ for word in words)
            if here.startswith(place) and named:
                raise UnsupportedLayerError(
                    f"{name or 'module'}: {framework}'s {cls.__name__} is not read; known: "
                    f"{', '.join(known)}"
                )
        return None
    return None


def _expect_unchanged(name: str, derived: tuple[type, ...], base: str) -> None:
    """Refuse a class of the user's own that computes something else than its base."""
    for cls in derived:
        changed = [k for k, v in vars(cls).items() if callable(v) and k != "__init__"]
        if changed:
            raise UnsupportedLayerError(
                f"{name} ({cls.__name__}): a {base} with a {changed[0]} of its own is not read; "
                f"use {base} as it is"
            )


def prepare(module: nn.Module, answer: Callable[..., Any] = population) -> None:
    """Let the spiking layers of a copied module call their operator instead of computing."""
    for found in spiking_layers(module).values():
        found.answer, layer = answer, found.module
        layer.forward = found
        for name in (*_BEGINNINGS, "reset_mem"):
            if hasattr(layer, name):
                setattr(layer, name, found.beginning)
        for name in _RESETS:
            if callable(getattr(layer, name, None)):
                setattr(layer, name, _nothing)


def _nothing(*_: Any, **__: Any) -> None:
    """What resetting the states of a layer does while it is exported."""
