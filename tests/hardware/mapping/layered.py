"""Small convolutional networks of any size, with weights that do not matter."""

from __future__ import annotations

import numpy as np

from neurodeploy.ir.connectivity import Conv, Dense
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Output, Population
from neurodeploy.ir.neurons import Input, IntegerNeuron

ZERO = np.int64(0)


def layered(
    size: int = 16, channels: tuple[int, ...] = (8, 8, 16), classes: int = 10
) -> IntegerNetlist:
    """Convolutions of 3 x 3, every second one with stride 2, and a dense layer."""
    neuron = IntegerNeuron(np.int64(5), ZERO, ZERO)
    populations = [Population("in", (2, size, size), Input("spikes", 0, 1))]
    projections = []
    for i, c in enumerate(channels):
        pre = populations[-1]
        step = 1 + i % 2
        window = Window(pre.shape[1:], (3, 3), (step, step), ((1, 1), (1, 1)), (1, 1))
        conv = Conv(np.ones((c, pre.shape[0], 3, 3), dtype=np.int64), pre.shape[0], window)
        populations.append(Population(f"c{i}", conv.post_shape, neuron))
        projections.append(IntegerProjection(pre.name, f"c{i}", conv))
    last = populations[-1]
    dense = Dense(np.ones((classes, last.size), dtype=np.int64), last.shape)
    populations.append(Population("out", (classes,), neuron))
    projections.append(IntegerProjection(last.name, "out", dense))
    outputs = (Output("out", "counts"),)
    return IntegerNetlist("layered", tuple(populations), tuple(projections), outputs, 4)
