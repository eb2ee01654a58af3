"""Small networks of any size, with weights that do not matter."""

from __future__ import annotations

import numpy as np

from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.connectivity import Sparse
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.testing import NetlistBuilder


def _ones(*shape: int) -> IntArray:
    return np.ones(shape, dtype=np.int64)


def layered(
    size: int = 16, channels: tuple[int, ...] = (8, 8, 16), classes: int = 10
) -> IntegerNetlist:
    """Convolutions of 3 x 3, every second one with stride 2, and a dense layer."""
    b = NetlistBuilder(T=4, name="layered").input("in", (2, size, size))
    for i, c in enumerate(channels):
        weight = _ones(c, b.last.shape[0], 3, 3)
        b.conv(weight, stride=1 + i % 2, padding=1, name=f"c{i}", threshold=5)
    return b.dense(_ones(classes, b.last.size), name="out", threshold=5).output()


def ring(n: int, seed: int = 0, reach: int = 3) -> Sparse:
    """Neurons on a ring whose numbers are shuffled, each with its next ``reach`` neighbours."""
    number = np.random.default_rng(seed).permutation(n)
    pre = np.repeat(np.arange(n), reach)
    post = (pre + np.tile(np.arange(1, reach + 1), n)) % n
    return Sparse(_ones(pre.size), number[post], number[pre], (n,), (n,))


def recurrent(n: int, connectivity: Sparse) -> IntegerNetlist:
    """Four inputs to every neuron, ``connectivity`` among them, two outputs."""
    b = NetlistBuilder(T=4, name="recurrent").input("in", 4)
    b.dense(_ones(n, 4), name="a", threshold=3).connect("a", "a", connectivity, delay=2)
    return b.dense(_ones(2, n), name="b", threshold=3).output()
