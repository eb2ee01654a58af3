"""Networks of published shapes, with random weights: mapping depends on shapes alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, SumPool
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Output, Population
from neurodeploy.ir.neurons import Input, IntegerNeuron

WEIGHT_BITS = 8
TIMESTEPS = 8


class Builder:
    """A netlist layer by layer, behind an image of ``size`` x ``size`` pixels."""

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self._rng = np.random.default_rng(0)
        self._populations = [Population("image", (3, size, size), Input("spikes", 0, 1))]
        self._projections: list[IntegerProjection] = []

    def layer(self, *incoming: tuple[str, Connectivity]) -> str:
        """A population with the sum of its incoming connections as input; returns its name."""
        name = f"l{len(self._populations)}"
        neuron = IntegerNeuron(np.array(100), np.array(0), np.array(0))
        shape = incoming[0][1].post_shape
        self._populations.append(Population(name, shape, neuron))
        self._projections += [
            IntegerProjection(pre, name, connectivity, weight_bits=WEIGHT_BITS)
            for pre, connectivity in incoming
        ]
        return name

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a population."""
        return next(p.shape for p in self._populations if p.name == name)

    def conv(
        self, pre: str, channels: int, kernel: int = 3, stride: int = 1, *, groups: int = 1
    ) -> tuple[str, Conv]:
        """A convolution that keeps the size, but for its stride."""
        c, height, width = self.shape(pre)
        half = kernel // 2
        window = Window((height, width), (kernel,) * 2, (stride,) * 2, ((half, half),) * 2, (1, 1))
        weight = self._rng.integers(-128, 128, (channels, c // groups, kernel, kernel))
        return pre, Conv(weight, c, window, groups)

    def average(self, pre: str, kernel: int, stride: int, padding: int = 0) -> tuple[str, SumPool]:
        """A pool of sums."""
        c, height, width = self.shape(pre)
        window = Window(
            (height, width), (kernel,) * 2, (stride,) * 2, ((padding, padding),) * 2, (1, 1)
        )
        return pre, SumPool(np.ones(c, dtype=np.int64), window)

    def dense(self, pre: str, neurons: int) -> tuple[str, Dense]:
        """All to all."""
        shape = self.shape(pre)
        weight = self._rng.integers(-128, 128, (neurons, int(np.prod(shape))))
        return pre, Dense(weight, shape)

    def classified(self, pre: str, *widths: int) -> IntegerNetlist:
        """Averages over the whole map, dense layers, and the netlist."""
        last = self.layer(self.average(pre, self.shape(pre)[1], 1))
        for width in widths:
            last = self.layer(self.dense(last, width))
        return IntegerNetlist(
            self.name,
            tuple(self._populations),
            tuple(self._projections),
            (Output(last, "counts"),),
            TIMESTEPS,
        )


def vgg16(size: int, widths: tuple[int, ...] = (4096, 4096, 1000)) -> IntegerNetlist:
    """VGG-16 (Simonyan and Zisserman 2015); the convolution after a pool has its stride instead."""
    net, last, stride = Builder(f"VGG-16 at {size}", size), "image", 1
    for block, (depth, channels) in enumerate(((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))):
        for i in range(depth):
            stride = 2 if block and not i else 1
            last = net.layer(net.conv(last, channels, stride=stride))
    return net.classified(last, *widths)


def resnet50(size: int = 224) -> IntegerNetlist:
    """ResNet-50 (He et al. 2016): bottlenecks with shortcuts; an average for the first pool."""
    net = Builder(f"ResNet-50 at {size}", size)
    last = net.layer(net.conv("image", 64, 7, 2))
    last = net.layer(net.average(last, 3, 2, 1))
    for block, (depth, width) in enumerate(((3, 64), (4, 128), (6, 256), (3, 512))):
        for i in range(depth):
            stride = 2 if block and not i else 1
            narrow = net.layer(net.conv(last, width, 1))
            spatial = net.layer(net.conv(narrow, width, 3, stride))
            if i:
                shortcut: tuple[str, Connectivity] = net.average(last, 1, 1)
            else:
                shortcut = net.conv(last, 4 * width, 1, stride)
            last = net.layer(net.conv(spatial, 4 * width, 1), shortcut)
    return net.classified(last, 1000)


def mobilenet(size: int = 224) -> IntegerNetlist:
    """MobileNet (Howard et al. 2017): depthwise and pointwise convolutions in turn."""
    net = Builder(f"MobileNet at {size}", size)
    last, channels = net.layer(net.conv("image", 32, 3, 2)), 32
    for out, stride in (
        *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
        *[(512, 1)] * 5,
        *((1024, 2), (1024, 1)),
    ):
        last = net.layer(net.conv(last, channels, 3, stride, groups=channels))
        last, channels = net.layer(net.conv(last, out, 1)), out
    return net.classified(last, 1000)


NETWORKS: dict[str, Callable[[], IntegerNetlist]] = {
    "vgg16-224": lambda: vgg16(224),
    "vgg16-32": lambda: vgg16(32),
    "resnet50": resnet50,
    "mobilenet": mobilenet,
}
SIZES = (6, 12, 24, 48, 96, 192)
"""Pixels along an image for VGG-16 without its wide dense layers: 1e4 to 1e7 neurons."""


def neurons_of(netlist: IntegerNetlist) -> int:
    """Neurons that lie on cores."""
    return sum(p.size for p in netlist.populations if not isinstance(p.model, Input))
