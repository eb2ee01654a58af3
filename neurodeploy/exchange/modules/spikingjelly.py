"""The neurons of SpikingJelly 2.0.0, by their attributes.

All fire at the threshold. ``v_reset`` is where they start, what a leak returns to and what a spike
leaves; with None a spike takes the threshold off and the leak goes to 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from neurodeploy.exchange.modules.layer import Behaviour, Kind, Layer, decay_of
from neurodeploy.ir.arrays import FloatArray


def _neuron(layer: Layer, share: FloatArray, decay_input: bool) -> Behaviour:
    """Neurons that lose ``share`` of the distance to their resting value in a step."""
    module = layer.module
    layer.fires_at(module.surrogate_function, at=True)
    if not module.v_threshold > 0:
        raise layer.refuse(f"v_threshold {module.v_threshold:g}; expected above 0")
    neuron: dict[str, Any] = {
        "threshold": np.asarray(float(module.v_threshold)),
        "membrane_decay": layer.even(decay_of(layer, 1.0 - share, "1 - 1 / tau")),
        "reset": "subtract",
    }
    if module.v_reset is not None:
        rest = float(module.v_reset)
        neuron |= {"reset": "zero", "initial_membrane": np.asarray(rest)}
        neuron["bias"] = share * rest
        if rest:
            neuron |= {"reset": "value", "reset_value": np.asarray(rest)}
    gain = share if decay_input else np.ones(layer.shape)
    return Behaviour(neuron, np.asarray(gain), np.ones(layer.shape))


def _integrate(layer: Layer) -> Behaviour:
    return _neuron(layer, np.zeros(layer.shape), decay_input=False)


def _leaky(layer: Layer) -> Behaviour:
    share = layer.values(1.0 / layer.module.tau, "1 / tau")
    return _neuron(layer, share, layer.module.decay_input)


def _parametric(layer: Layer) -> Behaviour:
    share = layer.values(torch.sigmoid(layer.module.w), "sigmoid(w)")
    return _neuron(layer, share, layer.module.decay_input)


def _layout(module: Any) -> str:
    return "time" if module.step_mode == "m" else "step"


KINDS = {
    "IFNode": Kind(_integrate, layout=_layout),
    "LIFNode": Kind(_leaky, layout=_layout),
    "ParametricLIFNode": Kind(_parametric, layout=_layout),
}
"""Class -> how it is read."""
