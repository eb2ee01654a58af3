"""Channels that calibration never saw active: their thresholds are guesses, which is to be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from neurodeploy.conversion.lowering.activation_graph import ActivationGraph, ReluLayer
from neurodeploy.ir.arrays import FloatArray


@dataclass(frozen=True, slots=True)
class SilentChannels:
    """How many channels of a layer were zero on all calibration images."""

    layer: str
    silent: int
    channels: int


def silent_channels(
    graph: ActivationGraph, maxima: Mapping[str, FloatArray]
) -> tuple[SilentChannels, ...]:
    """Layers with silent channels, in order.

    Parameters
    ----------
    graph : ActivationGraph
    maxima : mapping
        Layer -> largest magnitude on the calibration data, ``[C]``.
    """
    # Differences inside a maximum, and parts of an activation, may be zero where it is not.
    differences = tuple(f"{rewrite.node}_max" for rewrite in graph.rewrites)
    found = []
    for layer in graph.layers:
        whole = isinstance(layer, ReluLayer) and layer.part_of is None
        if not whole or layer.name.startswith(differences):
            continue
        silent = int((maxima[layer.name] == 0).sum())
        if silent:
            found.append(SilentChannels(layer.name, silent, maxima[layer.name].size))
    return tuple(found)
