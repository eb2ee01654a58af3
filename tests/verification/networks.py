"""Small netlists with known runs, and one that every target can compile."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from neurodeploy.datasets import Samples
from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense
from neurodeploy.ir.encoding import Encoding
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Output, Population
from neurodeploy.ir.neurons import Input, IntegerNeuron
from neurodeploy.network import Network

SAMPLES = 3
SHAPE = (1, 4, 4)


def neuron(threshold: Any, bias: Any = 0, initial: Any = 0, **fields: Any) -> IntegerNeuron:
    """Integrate-and-fire neurons; a threshold of None never fires."""
    theta = None if threshold is None else np.asarray(threshold)
    return IntegerNeuron(
        theta, bias=np.asarray(bias), initial_membrane=np.asarray(initial), **fields
    )


def project(
    pre: str, post: str, connectivity: Connectivity, delay: int | None = None, bits: int = 3
) -> IntegerProjection:
    return IntegerProjection(pre, post, connectivity, delay, np.asarray(0), bits)


def layered(
    *, reset: str = "subtract", initial: int = 2, membrane: bool = False, timesteps: int = 12
) -> IntegerNetlist:
    """Input, convolution ``a``, dense ``b``, dense ``out`` with a skip from ``a`` (delay 2).

    Weights of 3 bits and at most 25 inputs to a neuron: it fits crossbar cores.
    """
    rng = np.random.default_rng(5)

    def weight(*shape: int) -> IntArray:
        return rng.integers(-1, 4, shape)

    patch = Window((4, 4), (2, 2), (1, 1), ((0, 0), (0, 0)), (1, 1))
    fields = {"reset": reset}
    v0 = np.full(5, initial)
    if membrane:
        last = neuron(None, [1, 0, -1, 0, 2], v0)
    else:
        last = neuron([9, 8, 11, 10, 9], 0, v0, **fields)
    populations = (
        Population("in", SHAPE, Input("spikes", 0, 1)),
        Population("a", (2, 3, 3), neuron([6, 7], 0, initial, **fields)),
        Population("b", (7,), neuron(rng.integers(9, 13, 7), 0, initial, **fields)),
        Population("out", (5,), last),
    )
    projections = (
        project("in", "a", Conv(weight(2, 1, 2, 2), 1, patch)),
        project("a", "b", Dense(weight(7, 18), (2, 3, 3))),
        project("b", "out", Dense(weight(5, 7), (7,))),
        project("a", "out", Dense(weight(5, 18), (2, 3, 3))),
    )
    output = Output("out", "membrane" if membrane else "counts")
    return IntegerNetlist("layered", populations, projections, (output,), timesteps)


def packed(netlist: IntegerNetlist) -> Network:
    """With a rate encoding of its input."""
    return Network(netlist, {"in": Encoding("rate", 255, 0.0, 1.0)})


def dataset(samples: int = SAMPLES, seed: int = 1) -> Samples:
    """Random images in [0, 1] and labels."""
    rng = np.random.default_rng(seed)
    x = rng.random((samples, *SHAPE)).astype(np.float32)
    y = rng.integers(0, 5, samples)
    return Samples(x, y, name="random")


def with_model(netlist: IntegerNetlist, name: str, **changes: Any) -> IntegerNetlist:
    """A netlist with other quantities in one population."""
    populations = tuple(
        replace(p, model=replace(p.model, **changes)) if p.name == name else p  # type: ignore[type-var]
        for p in netlist.populations
    )
    return replace(netlist, populations=populations)


def with_projection(netlist: IntegerNetlist, index: int, *new: IntegerProjection) -> IntegerNetlist:
    """A netlist with one projection replaced by others."""
    projections = list(netlist.projections)
    projections[index : index + 1] = new
    return replace(netlist, projections=tuple(projections))


def first_difference(
    netlist: IntegerNetlist, a: Any, b: Any
) -> tuple[int, int, str, tuple[int, ...]] | None:
    """Sample, step, population and neuron, found by plain loops over two runs."""
    order = [n for n in netlist.schedule.order if not isinstance(netlist.by_name[n].model, Input)]
    deepest = max(netlist.schedule.depth.values())
    samples = len(next(iter(a.spikes.values())))
    for sample in range(samples):
        for step in range(netlist.timesteps + deepest):
            for name in order:
                t = step - netlist.schedule.depth[name]
                if not 0 <= t < netlist.timesteps:
                    continue
                fires = netlist.by_name[name].model.threshold is not None
                x, y = ((r.spikes if fires else r.membranes)[name][sample, t] for r in (a, b))
                different = np.argwhere(x != y)
                if len(different):
                    return sample, step, name, tuple(int(i) for i in different[0])
    return None
