"""Real-valued netlists that stress one thing of quantization each."""

from __future__ import annotations

import numpy as np

from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, identity
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import Output, Population, RealNetlist, RealProjection
from neurodeploy.ir.neurons import Input, MaxPool, RealNeuron


def neuron(threshold=1.0, bias=0.0, share=0.5, **rest) -> RealNeuron:
    """Soft reset from ``share`` thresholds on."""
    theta = None if threshold is None else np.asarray(threshold, dtype=np.float64)
    start = np.zeros(()) if theta is None else theta * share
    reset = "none" if theta is None else rest.pop("reset", "subtract")
    return RealNeuron(theta, np.asarray(bias, dtype=np.float64), start, reset=reset, **rest)


def feed_forward(
    *layers: tuple[str, tuple[int, ...], RealNeuron, dict[str, Connectivity]],
    shape: tuple[int, ...] = (6,),
    levels: int = 1,
    kind: str = "spikes",
    timesteps: int = 16,
) -> RealNetlist:
    """An input ``x`` and layers, each with its connectivities by source; the last is read."""
    low = -levels if kind == "current" else 0
    populations = [Population("x", shape, Input(kind, low, levels), np.array(1.0 / levels))]
    projections = []
    for name, size, model, sources in layers:
        worth = model.threshold if isinstance(model, RealNeuron) and model.fires else np.ones(())
        if worth is not None and worth.ndim > 1:
            worth = np.ones(())
        populations.append(Population(name, size, model, worth))
        projections += [RealProjection(pre, name, c) for pre, c in sources.items()]
    last = populations[-1]
    fires = not isinstance(last.model, RealNeuron) or last.model.fires
    output = Output(last.name, "counts" if fires else "membrane")
    return RealNetlist("net", tuple(populations), tuple(projections), (output,), timesteps)


def square(size: int, kernel: int, stride: int = 1, pad: int = 0) -> Window:
    return Window((size,) * 2, (kernel,) * 2, (stride,) * 2, ((pad, pad),) * 2, (1, 1))


def small_network(seed: int = 0, timesteps: int = 32, **entry) -> RealNetlist:
    """Convolution, exact max-pooling, a residual branch and an integrating output."""
    random = np.random.default_rng(seed)
    first = Conv(random.normal(size=(4, 2, 3, 3)), 2, square(8, 3, pad=1))
    second = Conv(random.normal(size=(4, 4, 3, 3)) * 0.3, 4, square(4, 3, pad=1))
    theta = random.uniform(2.0, 4.0, 4)
    return feed_forward(
        ("conv", (4, 8, 8), neuron(theta, random.normal(size=4) * 0.3), {"x": first}),
        ("pool", (4, 4, 4), MaxPool(4, square(8, 2, 2)), {"conv": identity((4, 8, 8), 1.0)}),
        (
            "block",
            (4, 4, 4),
            neuron(random.uniform(2.0, 4.0, 4), random.normal(size=(4, 4, 4)) * 0.2),
            {
                "pool": second.scale_inputs(theta),
                "x": Conv(random.normal(size=(4, 2, 2, 2)) * 0.5, 2, square(8, 2, 2)),
            },
        ),
        (
            "output",
            (5,),
            neuron(None, random.normal(size=5) * 0.2),
            {"block": Dense(random.normal(size=(5, 64)), (4, 4, 4))},
        ),
        shape=(2, 8, 8),
        timesteps=timesteps,
        **entry,
    )
