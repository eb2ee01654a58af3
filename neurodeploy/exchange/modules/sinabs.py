"""The neurons of sinabs 3.1.3, by their attributes.

All fire at the threshold, by default as many spikes in a step as thresholds fit into the membrane.
A current decays with what has arrived: ``i <- alpha (i + x)``. The floor follows the reset.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import nn

from neurodeploy.exchange.modules.layer import Behaviour, Kind, Layer, decay_of

MOST_SPIKES = 255
"""Spikes that a neuron sends in a step where sinabs has no limit; more are sent later."""


def _spikes(layer: Layer) -> int:
    """Most spikes in one step."""
    function = layer.module.spike_fn
    name = getattr(function, "__name__", type(function).__name__)
    if function is None:
        raise layer.refuse("spike_fn None: it sends its membrane, and only spikes travel")
    if name == "SingleSpike":
        return 1
    if name == "MultiSpike":
        return MOST_SPIKES
    if name == "MaxSpike":
        most = function.max_num_spikes_per_bin
        return MOST_SPIKES if most is None else int(most)
    raise layer.refuse(f"spike_fn {name}; known: SingleSpike, MultiSpike, MaxSpike")


def _reset(layer: Layer) -> dict[str, Any]:
    function = layer.module.reset_fn
    name = type(function).__name__
    if name == "MembraneSubtract":
        taken = function.subtract_value
        threshold = layer.values(layer.module.spike_threshold, "spike_threshold")
        if taken is not None and (layer.values(taken, "subtract_value") != threshold).any():
            raise layer.refuse("MembraneSubtract of another value than the threshold")
        return {"reset": "subtract"}
    if name == "MembraneReset":
        if function.reset_value:
            raise layer.refuse(
                f"MembraneReset({function.reset_value:g}): sinabs adds its value in every step, "
                "spike or not; use 0"
            )
        return {"reset": "zero"}
    raise layer.refuse(f"reset_fn {name}; known: MembraneSubtract, MembraneReset")


def _neuron(layer: Layer) -> Behaviour:
    module = layer.module
    kept = layer.values(module.alpha_mem_calculated, "alpha_mem")
    threshold = layer.values(module.spike_threshold, "spike_threshold")
    if not (threshold > 0).all():
        raise layer.refuse(f"spike_threshold {threshold.min():g}; expected above 0")
    most = _spikes(layer)
    neuron: dict[str, Any] = {
        "threshold": layer.even(threshold),
        "membrane_decay": layer.even(decay_of(layer, kept, "alpha_mem")),
        "payload_max": most,
        **_reset(layer),
    }
    if module.min_v_mem is not None:
        floor = layer.values(module.min_v_mem, "min_v_mem")
        if (floor > 0).any():
            raise layer.refuse(f"min_v_mem {floor.max():g}; expected 0 or below")
        neuron["floor"] = layer.even(floor)
    gain = 1.0 - kept if module.norm_input else np.ones(layer.shape)
    alpha = module.alpha_syn_calculated
    if alpha is not None:
        synapse = layer.values(alpha, "alpha_syn")
        neuron["current_decay"] = layer.even(decay_of(layer, synapse, "alpha_syn"))
        gain = gain * synapse
    notes: tuple[str, ...] = ()
    if most == MOST_SPIKES:
        notes = (
            f"{layer.name}: at most {MOST_SPIKES} spikes in a step, where sinabs has no limit",
        )
    recurrent: nn.Module | None = getattr(module, "rec_connect", None)
    return Behaviour(neuron, np.asarray(gain), np.ones(layer.shape), recurrent, True, notes)


KINDS = {
    **{
        name: Kind(_neuron, layout=lambda module: "batch")
        for name in ("IAF", "IAFRecurrent", "LIF", "LIFRecurrent")
    },
    **{name: Kind(_neuron, layout=lambda module: "flat") for name in ("IAFSqueeze", "LIFSqueeze")},
}
"""Class -> how it is read."""
