"""The neurons of snnTorch 1.0.0, by their attributes.

All fire above the threshold. With ``reset_delay`` (the default) ``subtract`` takes the threshold
off in the next step, after the decay; ``zero`` leaves nothing, and in all but Leaky it also loses
what the next step adds to the membrane.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import nn

from neurodeploy.exchange.modules.layer import Behaviour, Kind, Layer, decay_of
from neurodeploy.ir.arrays import FloatArray

_INHIBITION = "inhibition: only the neuron with the highest membrane fires; no neuron sees others"


def _common(layer: Layer, decay: FloatArray, waits: bool) -> dict[str, Any]:
    """What all classes share: threshold, comparison and reset."""
    module = layer.module
    if module.inhibition:
        raise layer.refuse(_INHIBITION)
    if module.state_quant:
        raise layer.refuse("state_quant rounds its states; train without, and quantize here")
    layer.fires_at(module.spike_grad, at=False)
    threshold = layer.values(module.threshold, "threshold")
    if not (threshold > 0).all():
        raise layer.refuse(f"threshold {threshold.min():g}; expected above 0")
    neuron: dict[str, Any] = {
        "threshold": layer.even(threshold),
        "strict": True,
        "membrane_decay": layer.even(decay),
    }
    how = ("subtract", "zero", "none")[int(module.reset_mechanism_val)]
    delayed = bool(getattr(module, "reset_delay", True))
    if how == "subtract" and not delayed:
        raise layer.refuse(
            "reset_delay=False with reset 'subtract': after a spike that leaves more than a "
            "threshold snnTorch compares with twice the threshold, which no neuron here does; use "
            "reset_delay=True or reset_mechanism='zero'"
        )
    neuron["reset"] = "subtract-next" if how == "subtract" else how
    if how == "zero" and delayed and waits:
        neuron["refractory"] = 1
    return neuron


def _worth(layer: Layer) -> FloatArray:
    return layer.values(layer.module.graded_spikes_factor, "graded_spikes_factor")


def _kept(layer: Layer, name: str) -> FloatArray:
    """A decay factor, which the forward clips to 0..1."""
    return np.clip(layer.values(getattr(layer.module, name), name), 0.0, 1.0)


def _leaky(layer: Layer, waits: bool = False) -> Behaviour:
    neuron = _common(layer, decay_of(layer, _kept(layer, "beta"), "beta"), waits)
    return Behaviour(neuron, np.ones(layer.shape), _worth(layer))


def _synaptic(layer: Layer) -> Behaviour:
    found = _leaky(layer, waits=True)
    found.neuron["current_decay"] = layer.even(decay_of(layer, _kept(layer, "alpha"), "alpha"))
    return found


def _recurrent(layer: Layer, synaptic: bool) -> Behaviour:
    found = _synaptic(layer) if synaptic else _leaky(layer, waits=True)
    return Behaviour(found.neuron, found.gain, found.worth, layer.module.recurrent)


def _lapicque(layer: Layer) -> Behaviour:
    module = layer.module
    rc = layer.values(module.R * module.C, "R C")
    step = layer.values(module.time_step, "time_step")
    neuron = _common(layer, decay_of(layer, 1.0 - step / rc, "1 - time_step / (R C)"), waits=True)
    gain = layer.values(module.R, "R") * (1.0 / rc) * step
    return Behaviour(neuron, gain, _worth(layer))


def _hides(module: nn.Module) -> bool:
    return bool(module.init_hidden and not module.output)


KINDS = {
    "Leaky": Kind(_leaky, ("mem",), _hides),
    "Lapicque": Kind(_lapicque, ("mem",), _hides),
    "Synaptic": Kind(_synaptic, ("syn", "mem"), _hides),
    "RLeaky": Kind(lambda layer: _recurrent(layer, False), ("spk", "mem"), _hides),
    "RSynaptic": Kind(lambda layer: _recurrent(layer, True), ("spk", "syn", "mem"), _hides),
}
"""Class -> how it is read."""
