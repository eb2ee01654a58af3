"""The DVS-gesture network whose kernels, thresholds and input frame come with SANA-FE.

Four convolutions and a dense layer behind 1024 neurons that a frame drives as biases: 18,678
neurons and 3.5 million synapses.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.connectivity import Conv, Dense
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Output, Population
from neurodeploy.ir.neurons import IntegerNeuron

# The largest weight is 289 in magnitude: one bit more than Loihi's nine.
WEIGHT_BITS = 10


def dvs_gesture(timesteps: int) -> IntegerNetlist:
    """The network with its frame as biases of the first population; it needs no stimulus."""
    import sanafe

    file = Path(sanafe.__file__).parent / "examples" / "dvs_challenge.npz"
    arrays = {k: v.astype(np.int64) for k, v in np.load(file, allow_pickle=False).items()}

    def neuron(layer: int, bias: AnyArray | int = 0) -> IntegerNeuron:
        return IntegerNeuron(
            threshold=arrays["thresholds"][layer],
            bias=np.asarray(bias, dtype=np.int64),
            initial_membrane=np.int64(0),
        )

    side = 32
    frame = arrays["inputs"].reshape(1, side, side)
    populations = [Population("frame", frame.shape, neuron(0, frame))]
    projections = []

    def add(name: str, shape: tuple[int, ...], connectivity: Conv | Dense) -> None:
        pre = populations[-1].name
        projections.append(IntegerProjection(pre, name, connectivity, weight_bits=WEIGHT_BITS))
        populations.append(Population(name, shape, neuron(len(populations))))

    for layer in (1, 2, 3, 4):
        kernel = arrays[f"conv{layer}"].transpose(3, 2, 0, 1)
        stride = 2 if layer == 1 else 1
        window = Window((side, side), (3, 3), (stride, stride), ((0, 0), (0, 0)), (1, 1))
        side = window.output_size[0]
        shape = (kernel.shape[0], side, side)
        add(f"conv{layer}", shape, Conv(kernel, kernel.shape[1], window))
    # Its rows follow positions first, channels last.
    dense = arrays["dense1"].reshape(side, side, shape[0], -1).transpose(3, 2, 0, 1)
    add("dense", (dense.shape[0],), Dense(dense.reshape(dense.shape[0], -1), shape))
    return IntegerNetlist(
        "dvs-gesture",
        tuple(populations),
        tuple(projections),
        (Output("dense", "counts"),),
        timesteps,
    )
