"""What networks bring that were trained as spiking ones, drawn at random for any neuron."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from neurodeploy.ir.arrays import per_neuron
from neurodeploy.ir.neurons import IntegerNeuron, RealNeuron

Shape = tuple[int, ...]
WHOLE = 4096


def extended(
    rng: np.random.Generator, model: Any, shape: Shape, share: float = 0.5, decays: bool = True
) -> Any:
    """The model with some of: decays per neuron, other resets, floor, saturation, refractoriness.

    Neurons with memory or gains stay as they are; initial membranes move above a floor.
    """
    if model.memory or model.has_gains:
        return model
    real = isinstance(model, RealNeuron)

    def some() -> bool:
        return bool(rng.random() < share)

    def spread(low: int, high: int) -> Any:
        sizes: list[Shape] = [(), shape[:1], shape]
        values = rng.integers(low, high + 1, sizes[int(rng.integers(3))])
        return values / 3.0 if real else values

    more: dict[str, Any] = {}
    if decays and some():
        for name in ("current_decay", "membrane_decay"):
            if some():
                size = [shape[:1], shape][int(rng.integers(2))]
                drawn = rng.choice([0, 1, 60, 999, 2500, 4095, WHOLE], size)
                more[name] = drawn / WHOLE if real else drawn
    start = model.initial_membrane
    # Below every threshold of either side, if only just.
    top = 0 if model.threshold is None else int(np.ceil(model.threshold.min())) - 1
    bottom = -(2**30)
    if model.negative_threshold is not None:
        bottom = 1 - int(np.ceil(model.negative_threshold.min()))
    lowest = max(bottom, -60)
    if model.fires:
        if some():
            more["reset"] = ["value", "subtract-next"][int(rng.integers(2))]
            more["reset_value"] = None
        if more.get("reset", model.reset) == "value":
            more["reset_value"] = spread(lowest, max(lowest, min(top, 60)))
        if some():
            more["refractory"] = int(rng.integers(1, 4))
    if some():
        more["floor"] = floor = spread(lowest, min(0, max(lowest, top)))
        for value in (start, more.get("reset_value")):
            if value is not None:
                both = (per_neuron(np.asarray(x), shape) for x in (value, floor))
                raised = np.maximum(*both)
                if value is start:
                    start = raised
                else:
                    more["reset_value"] = raised
    if some():
        values = [start, more.get("reset_value"), more.get("floor")]
        held = [np.abs(v).max(initial=0) for v in values if v is not None]
        more["saturation"] = int(np.ceil(max(held))) + int(rng.integers(1, 200))
    if real and some():
        more["strict"] = True
    assert isinstance(model, RealNeuron | IntegerNeuron)
    return replace(model, initial_membrane=start, **more)
