"""What is made large: each case takes a size and does, step by step, what users do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import neurodeploy as nd
from neurodeploy.datasets.samples import Samples
from neurodeploy.execution import run_engine
from neurodeploy.ir.encoding import Encoding
from neurodeploy.network import Network
from neurodeploy.testing import NetlistBuilder

Steps = Iterator[str]
"""Names of the steps, each yielded when it is done."""


def synapses(size: int, folder: Path) -> Steps:
    """Listed synapses: 1000 of each neuron, drawn."""
    rng = np.random.default_rng(0)
    n = max(size // 1000, 1000)
    post, pre = (rng.integers(0, n, size) for _ in range(2))
    keys = np.unique(post * n + pre)
    post, pre = keys // n, keys % n
    weight = rng.integers(-3, 4, keys.size)
    weight[weight == 0] = 1
    connectivity = nd.Sparse(weight, post, pre, (n,), (n,))
    builder = NetlistBuilder(T=8).input("x", (n,)).neurons("y", (n,), threshold=40)
    network = Network(builder.connect("x", "y", connectivity).output())
    yield from _stored_and_run(network, folder)


def timesteps(size: int, folder: Path) -> Steps:
    """T of a small network."""
    builder = NetlistBuilder(T=size).input("x", (1, 8, 8))
    network = Network(builder.conv(4, kernel=3, threshold=40).dense(10).output())
    yield from _stored_and_run(network, folder, samples=4)


def layers(size: int, folder: Path) -> Steps:
    """Layers in a row, of 16 neurons that see all."""
    builder = NetlistBuilder(T=8).input("x", (16,))
    for _ in range(size):
        builder.dense(16, threshold=20)
    network = Network(builder.output())
    yield from _stored_and_run(network, folder)
    nd.compile(network, "brian2").save(folder / "brian")
    yield "compile for Brian2"
    nd.load(folder / "brian")
    yield "load the deployment"


def neurons(size: int, folder: Path) -> Steps:
    """A population, every neuron with a synapse of its own."""
    builder = NetlistBuilder(T=4).input("x", (1, size // 1000, 1000))
    network = Network(builder.conv(np.ones((1, 1, 1, 1), int), threshold=2).output())
    yield from _stored_and_run(network, folder, samples=1)


def samples(size: int, folder: Path) -> Steps:
    """Samples of 6400 numbers in a memory map: 25.6 GB for a million."""
    path = folder / "x.npy"
    # Holes: nothing is stored, and everything is read.
    np.lib.format.open_memmap(path, "w+", np.float32, (size, 1, 80, 80)).flush()
    yield "write"
    data = Samples(np.load(path, mmap_mode="r"), np.zeros(size, np.int64))
    yield "check"
    builder = NetlistBuilder(T=1).input("x", (1, 80, 80), kind="current", high=255)
    netlist = builder.dense(10).output()
    network = Network(netlist, encodings={"x": Encoding("current", 255, 0.0, 1.0)})
    nd.evaluate(network, data)
    yield "evaluate"


def _stored_and_run(network: Network, folder: Path, samples: int = 2) -> Steps:
    yield "build"
    network.save(folder / "net.ndn")
    yield "save"
    loaded = nd.load(folder / "net.ndn")
    assert isinstance(loaded, Network)
    yield "load"
    netlist = loaded.integer
    (entry,) = netlist.inputs
    shape = (samples, netlist.timesteps, *entry.shape)
    raster = np.random.default_rng(1).integers(0, 2, shape, dtype=np.int64)
    run_engine(netlist, {entry.name: raster}, record=[netlist.outputs[0].population])
    yield "run"


CASES: dict[str, tuple[Callable[[int, Path], Steps], tuple[int, int, int]]] = {
    "listed synapses": (synapses, (10**5, 10**6, 10**7)),
    "timesteps": (timesteps, (10**3, 10**4, 10**5)),
    "layers": (layers, (20, 200, 2000)),
    "neurons": (neurons, (10**5, 10**6, 10**7)),
    "samples": (samples, (10**4, 10**5, 10**6)),
}
"""Name -> the case and its sizes."""
