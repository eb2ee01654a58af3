"""Netlists of the points' layers, with random weights: shapes are all that counting needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.energy_validation.points import Point
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, SumPool, identity
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Output, Population
from neurodeploy.ir.neurons import Input, IntegerNeuron

PIXEL_MAX = 255
THRESHOLD = 512


class Stack:
    """A netlist under construction, layer upon layer.

    The host writes pixels as biases of the first population, which fires and lies on cores. All
    neurons behind it have a bias, folded batch normalization, and so are active in every step.
    """

    def __init__(self, point: Point) -> None:
        self._bits = point.weight_bits
        self._random = np.random.default_rng(0)
        pixels = Population("pixels", point.input_shape, _neuron(biased=False))
        self.populations = [
            Population("image", point.input_shape, Input("current", 0, PIXEL_MAX)),
            pixels,
        ]
        # The host's part: no synapses and no axons of a core.
        self.projections = [IntegerProjection("image", "pixels", identity(point.input_shape))]
        self.biases = 0

    @property
    def shape(self) -> tuple[int, ...]:
        return self.populations[-1].shape

    def add(
        self, name: str, link: Connectivity, *, biased: bool = True, fires: bool = True
    ) -> None:
        channels = link.post_shape[0]
        model = _neuron(biased=biased, fires=fires)
        before = self.populations[-1].name
        self.populations.append(Population(name, link.post_shape, model))
        self.projections.append(IntegerProjection(before, name, link, weight_bits=self._bits))
        self.biases += channels if biased else 0

    def weights(self, *shape: int) -> Any:
        limit = 2 ** (self._bits - 1)
        return self._random.integers(-limit, limit, shape)

    def conv(
        self, name: str, channels: int, kernel: int, stride: int, padding: Any, **options: Any
    ) -> None:
        groups = options.pop("groups", 1)
        c_in, height, width = self.shape
        around = (padding, padding) if isinstance(padding, int) else tuple(padding)
        window = Window((height, width), *_square(kernel, stride), (around, around), (1, 1))
        weight = self.weights(channels, c_in // groups, kernel, kernel)
        self.add(name, Conv(weight, c_in, window, groups), **options)

    def layer(self, number: int, layer: Mapping[str, Any]) -> None:
        kind = layer["kind"]
        fires = layer.get("fires", True)
        if kind == "conv":
            shape = (layer["channels"], layer["kernel"], layer["stride"], layer["padding"])
            self.conv(f"conv{number}", *shape, fires=fires)
        elif kind == "separable":
            # As Keras pads "same": behind the end where an even number is halved.
            padding = 1 if layer["stride"] == 1 else (0, 1)
            c_in = self.shape[0]
            self.conv(f"depth{number}", c_in, 3, layer["stride"], padding, groups=c_in)
            self.conv(f"point{number}", layer["channels"], 1, 1, 0, fires=fires)
        elif kind == "average":
            c_in, height, width = self.shape
            size = layer["kernel"]
            no = ((0, 0), (0, 0))
            window = Window((height, width), *_square(size, size), no, (1, 1))
            link = SumPool(np.ones(c_in, dtype=np.int64), window)
            self.add(f"average{number}", link, biased=False, fires=fires)
        elif kind == "dense":
            weight = self.weights(layer["channels"], int(np.prod(self.shape)))
            self.add(f"dense{number}", Dense(weight, self.shape), fires=fires)
        else:
            raise KeyError(f"layer kind {kind!r}")


def build(point: Point) -> IntegerNetlist:
    """The netlist of a point: its steps are those of its source, depth included."""
    stack = _stacked(point)
    answer = stack.populations[-1].name
    depth = len(stack.populations) - 1
    return IntegerNetlist(
        point.name,
        tuple(stack.populations),
        tuple(stack.projections),
        (Output(answer, "membrane"),),
        point.steps - depth,
    )


def counts(point: Point) -> dict[str, int]:
    """Neurons, parameters, weights and synapses, inputs left out."""
    stack = _stacked(point)
    links = [projection.connectivity for projection in stack.projections[1:]]
    weights = sum(link.n_parameters for link in links if not isinstance(link, SumPool))
    return {
        "neurons": sum(population.size for population in stack.populations[2:]),
        "parameters": weights + stack.biases,
        "weights": weights,
        "synapses": sum(link.n_synapses for link in links),
    }


def rates(point: Point, netlist: IntegerNetlist, factor: float = 1.0) -> dict[str, float]:
    """Rate of every population: that of the pixels, and one for all others."""
    pixels, hidden = (min(1.0, r * factor) for r in (point.input_rate, point.hidden_rate))
    others = {p.name: hidden for p in netlist.populations}
    return {**others, "image": 1.0, "pixels": pixels}


def _stacked(point: Point) -> Stack:
    stack = Stack(point)
    for number, layer in enumerate(point.layers, 1):
        stack.layer(number, layer)
    return stack


def _neuron(*, biased: bool, fires: bool = True) -> IntegerNeuron:
    threshold = np.array(THRESHOLD) if fires else None
    return IntegerNeuron(threshold, np.array(int(biased)), np.array(0))


def _square(kernel: int, stride: int) -> tuple[tuple[int, int], tuple[int, int]]:
    return (kernel, kernel), (stride, stride)
