"""Written files, read and run by the frameworks themselves: every spike of 20 rasters."""

from __future__ import annotations

import dataclasses
import gzip
import os
import shutil
import subprocess
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

import neurodeploy as nd
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.reference import run_reference
from neurodeploy.testing import NetlistBuilder
from tests.exchange.files import chain, imported, lif, node
from tests.exchange.test_lava_dl import _block, _written, mnist_raster

pytest.importorskip("h5py", reason="NIR is HDF5")

DYNAMICS = {
    "snntorch": "snntorch-zero",
    "norse": "norse",
    "spikingjelly": "spikingjelly",
    "sinabs": "sinabs",
}
TITLES = {"snntorch": "snnTorch", "norse": "Norse", "spikingjelly": "SpikingJelly"}


def ran(
    python: Path, program: str, files: Mapping[Path, AnyArray], *arguments: str
) -> list[dict[str, AnyArray]]:
    """What a reader's program sends for the raster of each file."""
    for path, raster in files.items():
        np.savez(f"{path}.in.npz", raster=raster)
    done = subprocess.run(
        [python, Path(__file__).parent / program, *arguments, *map(str, files)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [dict(np.load(f"{path}.out.npz")) for path in files]


def rasters(netlist: nd.IntegerNetlist | nd.RealNetlist, n: int = 20, rate: float = 0.4):
    (entry,) = netlist.inputs
    shape = (n, netlist.timesteps, *entry.shape)
    return (np.random.default_rng(0).random(shape) < rate).astype(np.int64)


def convolutional(**neuron) -> nd.Network:
    """Convolution, a strided one padded at one end only, a dense layer; thresholds by channel."""
    netlist = (
        NetlistBuilder(T=12, seed=1)
        .input("x", (1, 6, 6))
        .conv(4, threshold=[60, 70, 50, 90], bias=np.array([3, -2, 1, 0]), **neuron)
        .dense(6, threshold=80, bias=2, **neuron)
        .output()
    )
    return nd.Network(netlist)


def recurrent(folder: Path, dynamics: str) -> nd.Network:
    """Leaky neurons that hear themselves, as the framework's own dynamics has them."""
    random = np.random.default_rng(2)
    # Norse does not count r, which makes an input count once.
    four, two = (4, 2) if dynamics == "norse" else (1, 1)
    content = chain(
        node("Linear", weight=four * random.normal(size=(6, 5))),
        lif(6, beta=0.75),
        node("Linear", weight=two * random.normal(size=(3, 6))),
        lif(3, beta=0.5),
        size=(5,),
        out=(3,),
    )
    content["nodes"]["w"] = node("Linear", weight=four * random.normal(size=(6, 6)) / 2)
    content["edges"] += [("b", "w"), ("w", "b")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return imported(folder, content, dynamics, dt=1e-4, timesteps=25)


@pytest.mark.parametrize("framework", ["snntorch", "norse", "spikingjelly"])
def test_unsigned_networks_with_zero_reset_keep_every_spike(
    frameworks_python: Path, tmp_path: Path, framework: str
) -> None:
    dynamics = DYNAMICS[framework]
    found = {}
    nets = {
        "conv": convolutional(reset="zero"),
        "recurrent": recurrent(tmp_path, dynamics),
    }
    for name, net in nets.items():
        path = tmp_path / f"{name}.nir"
        lost = net.export("nir", path, dynamics=dynamics).lost
        assert all(not told for title, told in lost.items() if title.startswith(TITLES[framework]))
        found[path] = rasters(net.netlist)
    sent = ran(frameworks_python, "nir_reader.py", found, framework)
    for net, x, spikes in zip(nets.values(), found.values(), sent, strict=True):
        entry = net.netlist.inputs[0].name
        expected = run_reference(net.netlist, {entry: x}).spikes
        assert len(spikes) == 2
        for node_name, values in spikes.items():
            name = node_name.removesuffix(".lif")
            assert 0.02 < values.mean() < 0.9
            np.testing.assert_array_equal(values.reshape(expected[name].shape), expected[name])


@pytest.mark.parametrize("environment", [".venv-bench", ".venv-sinabs"])
def test_sinabs_keeps_every_spike_of_its_own_kind(
    frameworks_python: Path, repository: Path, tmp_path: Path, environment: str
) -> None:
    """With nir 1.0.8, and with nir 1.0.4, which sinabs asks for."""
    python = repository / environment / "bin" / "python"
    net = convolutional(reset="subtract", payload_max=255, floor=-50)
    # Its floor is minus the threshold of each neuron.
    populations = tuple(
        dataclasses.replace(p, model=dataclasses.replace(p.model, floor=-p.model.threshold))
        if p.name != "x"
        else p
        for p in net.netlist.populations
    )
    net = nd.Network(dataclasses.replace(net.netlist, populations=populations))
    path = tmp_path / "net.nir"
    assert net.export("nir", path, dynamics="sinabs").lost["sinabs 3.1.3"] == ()
    x = rasters(net.netlist)
    (spikes,) = ran(python, "nir_reader.py", {path: x}, "sinabs")
    expected = run_reference(net.netlist, {"x": x}).spikes
    assert expected["conv_1"].max() > 1
    for name, values in spikes.items():
        np.testing.assert_array_equal(values.reshape(expected[name].shape), expected[name])


def test_what_is_told_to_be_lost_is(frameworks_python: Path, tmp_path: Path) -> None:
    net = convolutional(reset="zero")
    path = tmp_path / "net.nir"
    lost = net.export("nir", path, dynamics="sinabs").lost["sinabs 3.1.3"]
    assert any("subtracts the threshold where the network resets to zero" in t for t in lost)
    x = rasters(net.netlist, 3)
    (spikes,) = ran(frameworks_python, "nir_reader.py", {path: x}, "sinabs")
    expected = run_reference(net.netlist, {"x": x}).spikes["conv_1"]
    assert (spikes["conv_1"].reshape(expected.shape) != expected).any()


def test_the_nir_package_reads_and_writes_what_is_written(
    frameworks_python: Path, tmp_path: Path
) -> None:
    nets = [convolutional(reset="zero"), recurrent(tmp_path, "exact")]
    for i, net in enumerate(nets):
        net.export("nir", tmp_path / f"{i}.nir")
    code = (
        "import sys, nir\nfor path in sys.argv[1:]: nir.write(path + '.again.nir', nir.read(path))"
    )
    files = [str(tmp_path / f"{i}.nir") for i in range(len(nets))]
    subprocess.run([frameworks_python, "-c", code, *files], check=True, timeout=120)
    for path, net in zip(files, nets, strict=True):
        # Its metadata are kept, and the graph is the same.
        assert nd.import_network(f"{path}.again.nir").netlist == net.netlist


def _fixed_point() -> nd.Network:
    netlist = (
        NetlistBuilder(T=16, seed=3)
        .input("x", (2, 8, 8))
        .conv(4, threshold=[300, 200, 250, 260], reset="zero", bias=np.array([3, -2, 1, 0]))
        .conv(4, kernel=3, threshold=90, reset="zero", bias=np.arange(64).reshape(4, 4, 4) - 31)
        .dense(10, threshold=90, reset="zero", bias=5)
        .output()
    )
    return nd.Network(netlist)


def _with_decays_and_delays(folder: Path) -> nd.Network:
    """A dense network of lava-dl with a delay for every synapse, which is what is exported."""
    random = np.random.default_rng(5)
    cell = {"type": "CUBA", "iDecay": 2000, "vDecay": 900, "vThMant": 40}
    first = _block(
        random.integers(-100, 127, (8, 12)), neuron=cell, delay=random.integers(0, 4, (8, 12))
    )
    second = _block(
        random.integers(-100, 127, (5, 8)),
        neuron={**cell, "vThMant": 240},
        bias=np.array([3.0, 0, -2, 1, 0]),
    )
    path = _written(folder, first, second)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nd.import_network(path, timesteps=20)


def test_net_files_run_on_lava_by_netx_with_every_spike(
    lava_dl_python: Path, tmp_path: Path
) -> None:
    nets = [_fixed_point(), _with_decays_and_delays(tmp_path)]
    files = {}
    for i, net in enumerate(nets):
        net.export("net", tmp_path / f"{i}.net")
        files[tmp_path / f"{i}.net"] = rasters(net.netlist)
    sent = ran(lava_dl_python, "netx_reader.py", files)
    for net, x, found in zip(nets, files.values(), sent, strict=True):
        expected = run_reference(net.netlist, {net.netlist.inputs[0].name: x}).spikes
        layers = [p.name for p in net.netlist.populations[1:] if ".delay" not in p.name]
        assert len(found) == len(layers)
        for i, name in enumerate(layers):
            assert 0.02 < expected[name].mean() < 0.8
            np.testing.assert_array_equal(found[str(i)], expected[name])


def test_the_mnist_network_is_netx_s_on_lava(
    lava_dl_python: Path, shared_dir: Path, tmp_path: Path
) -> None:
    """After 20 steps membranes are clipped there, as ours are."""
    steps = 32
    source = shared_dir / "lava-dl" / "netx__mnist__trained_mnist_network.net"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = nd.import_network(source, timesteps=steps, saturation=True)
    with gzip.open(shared_dir / "data" / "mnist" / "t10k-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784)[:3]
    x = mnist_raster(images, steps)
    given, written = tmp_path / "given.net", tmp_path / "written.net"
    shutil.copy(source, given)
    net.export("net", written)
    record = run_reference(
        net.netlist, {"input": x}, membranes=[p.name for p in net.netlist.populations[1:]]
    )
    ends = [np.abs(v) == 2**23 - 1 for v in record.membranes.values()]
    assert any(end.any() for end in ends)
    assert not any(end[:, :20].any() for end in ends)
    for found in ran(lava_dl_python, "netx_reader.py", {given: x, written: x}):
        for i in range(3):
            expected = record.spikes[f"layer{i}"]
            assert expected.any()
            np.testing.assert_array_equal(found[str(i)], expected)
