"""The neurons of Norse 1.1.0, by their parameters.

All fire above the threshold and integrate by forward Euler: ``v += dt / tau (v_leak - v + x)``. In
LIF a current takes what arrives first and decays after the membrane has heard it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from neurodeploy.exchange.modules.layer import Behaviour, Kind, Layer, decay_of

_STEPS = ("heaviside", "super", "triangle", "tanh", "circ", "heavi_erfc")


def _firing(layer: Layer) -> dict[str, Any]:
    p = layer.module.p
    if p.method not in _STEPS:
        raise layer.refuse(f"method {p.method!r}; known: {', '.join(_STEPS)}")
    threshold = layer.values(p.v_th, "v_th")
    reset = layer.values(p.v_reset, "v_reset")
    neuron: dict[str, Any] = {"threshold": layer.even(threshold), "strict": True, "reset": "zero"}
    if not (threshold > 0).all():
        raise layer.refuse(f"v_th {threshold.min():g}; expected above 0")
    how = getattr(getattr(p, "reset_method", None), "__name__", "reset_value")
    if how == "reset_subtract":
        neuron["reset"] = "subtract"
    elif how != "reset_value":
        raise layer.refuse(f"reset_method {how}; known: reset_value, reset_subtract")
    elif reset.any():
        neuron |= {"reset": "value", "reset_value": layer.even(reset)}
    return neuron


def _share(layer: Layer, rate: Any) -> Any:
    """``dt / tau``, as torch rounds it."""
    return layer.values(layer.module.dt * torch.as_tensor(rate), "dt / tau")


def _leaking(layer: Layer, neuron: dict[str, Any]) -> Behaviour:
    p = layer.module.p
    share = _share(layer, p.tau_mem_inv)
    leak = layer.values(p.v_leak, "v_leak")
    neuron["membrane_decay"] = layer.even(decay_of(layer, 1.0 - share, "1 - dt / tau_mem"))
    neuron["bias"] = share * leak
    neuron["initial_membrane"] = layer.even(leak)
    return Behaviour(neuron, share, np.ones(layer.shape))


def _box(layer: Layer) -> Behaviour:
    return _leaking(layer, _firing(layer))


def _with_current(layer: Layer, neuron: dict[str, Any]) -> Behaviour:
    found = _leaking(layer, neuron)
    taken = _share(layer, layer.module.p.tau_syn_inv)
    neuron["current_decay"] = layer.even(decay_of(layer, 1.0 - taken, "1 - dt / tau_syn"))
    return found


def _lif(layer: Layer) -> Behaviour:
    return _with_current(layer, _firing(layer))


class _Recurrence(nn.Module):
    """The recurrent weights of a layer as a layer of their own."""

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.linear = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
        self.linear.weight = nn.Parameter(weight.detach().float(), requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.linear(x)
        return found


def _lif_recurrent(layer: Layer) -> Behaviour:
    found = _lif(layer)
    recurrence = _Recurrence(layer.module.recurrent_weights)
    return Behaviour(found.neuron, found.gain, found.worth, recurrence)


def _iaf(layer: Layer) -> Behaviour:
    neuron = _firing(layer)
    neuron["initial_membrane"] = layer.even(layer.values(layer.module.p.v_reset, "v_reset"))
    return Behaviour(neuron, np.ones(layer.shape), np.ones(layer.shape))


def _integrator(layer: Layer) -> Behaviour:
    return _with_current(layer, {"threshold": None, "reset": "none"})


def _box_integrator(layer: Layer) -> Behaviour:
    return _leaking(layer, {"threshold": None, "reset": "none"})


def _weighted(module: Any, x: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.linear(x, module.input_weights)


def _over_time(module: Any) -> str:
    return "time"


KINDS = {
    "LIFCell": Kind(_lif, returns_state=True),
    "LIF": Kind(_lif, layout=_over_time, returns_state=True),
    "LIFRecurrentCell": Kind(_lif_recurrent, returns_state=True, enters=_weighted),
    "LIFRecurrent": Kind(_lif_recurrent, layout=_over_time, returns_state=True, enters=_weighted),
    "LIFBoxCell": Kind(_box, returns_state=True),
    "IAFCell": Kind(_iaf, returns_state=True),
    "IAF": Kind(_iaf, layout=_over_time, returns_state=True),
    "LICell": Kind(_integrator, returns_state=True),
    "LI": Kind(_integrator, layout=_over_time, returns_state=True),
    "LIBoxCell": Kind(_box_integrator, returns_state=True),
}
"""Class -> how it is read."""
