"""Networks of lava-dl against what lava-dl recorded, and what of them is refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

import neurodeploy as nd
from neurodeploy.errors import CapacityError, FileFormatError, UnsupportedLayerError, UsageError
from neurodeploy.execution import run_engine
from neurodeploy.ir.reference import run_reference
from tests.exchange.files import run, write_group

h5py = pytest.importorskip("h5py", reason="lava-dl writes HDF5")


def test_the_tiny_network_equals_its_golden_traces(shared_dir: Path) -> None:
    """slayer's traces begin one step later, in every layer."""
    folder = shared_dir / "lava-dl"
    net = nd.import_network(folder / "netx__tiny.net")
    assert net.netlist.timesteps == 64
    bias = np.load(folder / "netx__gts__tinynet__input_bias.npy").astype(np.int64)
    record = run_engine(net.netlist, {"input": bias.transpose(2, 1, 0)[None]}, timesteps=16)
    for name, file in (("layer0", "input"), ("layer1", "layer1"), ("layer2", "output")):
        golden = np.load(folder / f"netx__gts__tinynet__{file}.npy")[0].transpose(3, 0, 1, 2)
        assert golden.sum() > 50
        np.testing.assert_array_equal(record.spikes[name][0, :-1], golden[1:])


def _events(path: Path, steps: int, late: int = 0):
    events = np.load(path)
    raster = np.zeros((steps, 200), dtype=np.int64)
    raster[np.rint(events[:, 2]).astype(int) - late, events[:, 0].astype(int)] = 1
    return raster


def test_the_oxford_network_reproduces_its_ground_truth(shared_dir: Path) -> None:
    """All 10,178 spikes that slayer recorded, which fires at the threshold; Lava above it."""
    path = shared_dir / "lava-dl" / "netx__oxford__Trained__network.net"
    x = _events(shared_dir / "lava-dl" / "netx__oxford__input.npy", 1900)
    wanted = _events(shared_dir / "lava-dl" / "netx__oxford__ground_truth.npy", 1900, late=2)
    counts = {}
    for compare in (">=", ">"):
        net = nd.import_network(path, compare=compare, saturation=True, timesteps=1900)
        spikes = run_engine(net.netlist, {"input": x[None]}).spikes["layer1"][0]
        counts[compare] = int((spikes != wanted).sum())
    assert wanted.sum() == 10178
    assert counts[">="] == 0
    assert counts[">"] > 0


def test_the_mnist_network_needs_its_saturation_named(shared_dir: Path) -> None:
    path = shared_dir / "lava-dl" / "netx__mnist__trained_mnist_network.net"
    for steps, times in ((20, "5.0 x"), (32, "6.8 x")):
        with pytest.raises(CapacityError, match=rf"layer0: up to \d+ at T = {steps} .*\({times}\)"):
            nd.import_network(path, timesteps=steps)
    with pytest.warns(match="membranes are clipped to .-8388607"):
        net = nd.import_network(path, timesteps=20, saturation=True)
    assert net.netlist.by_name["layer0"].model.saturation == 2**23 - 1


@pytest.mark.slow
def test_the_mnist_network_keeps_its_accuracy(shared_dir: Path) -> None:
    """94.0 % of the first 2000 images as lava-dl's netx on Lava."""
    path = shared_dir / "lava-dl" / "netx__mnist__trained_mnist_network.net"
    net = nd.import_network(path, timesteps=20, saturation=True)
    folder = shared_dir / "data" / "mnist"
    with gzip.open(folder / "t10k-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784)[:2000]
    with gzip.open(folder / "t10k-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8)[:2000]
    raster = mnist_raster(images, 20)
    correct = 0
    for first in range(0, 2000, 250):
        part = slice(first, first + 250)
        spikes = run_engine(net.netlist, {"input": raster[part]}).spikes["layer2"]
        correct += int((spikes.sum(axis=1).argmax(axis=1) == labels[part]).sum())
    assert correct == 1880


@pytest.mark.parametrize("target", ["lava", "brian2"])
def test_the_mnist_network_runs_alike_on_its_targets(
    shared_dir: Path, lava_python: Path, target: str
) -> None:
    """At T = 32, where membranes are clipped: real Lava, and Brian2."""
    pytest.importorskip("brian2", reason="one of the targets")
    path = shared_dir / "lava-dl" / "netx__mnist__trained_mnist_network.net"
    net = nd.import_network(path, timesteps=32, saturation=True)
    with gzip.open(shared_dir / "data" / "mnist" / "t10k-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784)[:3]
    x = mnist_raster(images, 32)
    names = [p.name for p in net.netlist.populations[1:]]
    expected = run_engine(net.netlist, {"input": x}, membranes=names)
    assert any(np.abs(v).max() == 2**23 - 1 for v in expected.membranes.values())
    found = net.compile(target).run({"input": x}, membranes=names)
    for name in names:
        np.testing.assert_array_equal(found.spikes[name], expected.spikes[name])
        np.testing.assert_array_equal(found.membranes[name], expected.membranes[name])


def mnist_raster(images, steps):
    """Pixels as biases of Lava's LIF, as the tutorial of lava-dl feeds them."""
    v = np.zeros(images.shape, dtype=np.int64)
    raster = np.zeros((len(images), steps, images.shape[1]), dtype=np.int64)
    for t in range(steps):
        v += images
        raster[:, t] = v > 255
        v[v > 255] = 0
    return raster


def test_the_driving_network_is_read(shared_dir: Path) -> None:
    net = nd.import_network(shared_dir / "lava-dl" / "netx__pilotnet_snn__network.net")
    assert net.netlist.timesteps == 16
    shapes = [p.shape for p in net.netlist.populations]
    assert shapes[2:7] == [(24, 32, 99), (36, 15, 49), (48, 7, 24), (64, 4, 22), (64, 2, 20)]
    assert shapes[7:] == [(100,), (50,), (10,), (1,)]
    (output,) = net.netlist.outputs
    assert output.decode == "membrane"


def test_an_output_that_never_fires_is_read_by_its_membrane(tmp_path: Path) -> None:
    """Largest thresholds say so, where they are not reached; written again, it is the same."""
    weight = np.random.default_rng(0).integers(-50, 50, (3, 6)) * 2
    silent = {**CUBA, "iDecay": 4096, "vDecay": 0, "vThMant": 2**17 - 1}
    silent = {k: v if isinstance(v, str) else np.asarray(v) for k, v in silent.items()}
    path = _written(tmp_path, _block(np.eye(6) * 100), _block(weight, neuron=silent))
    with pytest.warns(match="layer1: never reaches its threshold, and is read by its membrane"):
        net = nd.import_network(path, timesteps=20)
    (output,) = net.netlist.outputs
    assert (output.population, output.decode) == ("layer1", "membrane")
    x = {"input": np.random.default_rng(1).integers(0, 2, (2, 20, 6))}
    whole = run_reference(net.netlist, x)
    heard = np.cumsum(whole.spikes["layer0"] @ weight.T << 6, axis=1)
    np.testing.assert_array_equal(whole.membranes["layer1"], heard)
    net.export("net", tmp_path / "again.net")
    with pytest.warns(match="is read by its membrane"):
        again = nd.import_network(tmp_path / "again.net", timesteps=20)
    np.testing.assert_array_equal(run_reference(again.netlist, x).membranes["layer1"], heard)
    with pytest.raises(CapacityError, match="--saturation"):
        nd.import_network(path, timesteps=2000)
    fires = nd.import_network(path, timesteps=2000, saturation=True)
    assert fires.netlist.outputs[0].decode == "counts"


CUBA = {"type": "CUBA", "iDecay": 1024, "vDecay": 128, "vThMant": 10, "refDelay": 1}


def _block(weights, **more):
    weight = np.asarray(weights, dtype=np.float32)
    layer = {
        "type": "dense",
        "shape": np.array([weight.shape[0]]),
        "weight": weight,
        "neuron": {k: v if isinstance(v, str) else np.asarray(v) for k, v in CUBA.items()},
    }
    return {
        **layer,
        **{k: v if isinstance(v, dict | str) else np.asarray(v) for k, v in more.items()},
    }


def _written(path: Path, *layers) -> Path:
    with h5py.File(path / "net.net", "w") as file:
        write_group(file.create_group("layer"), {str(i): x for i, x in enumerate(layers)})
    return path / "net.net"


def _lava(x, weight, delay, steps):
    """Lava's LIF behind a Dense with a delay for every synapse, in its own words."""
    u = np.zeros(len(weight), dtype=np.int64)
    v = np.zeros(len(weight), dtype=np.int64)
    out = []
    for t in range(steps):
        a = sum(
            weight[:, j] * np.where(t >= delay[:, j], x[t - delay[:, j], j], 0)
            for j in range(weight.shape[1])
        )
        u = np.trunc(u * (4096 - 1024) / 4096).astype(np.int64) + (a << 6)
        v = np.trunc(v * (4096 - 128) / 4096).astype(np.int64) + u
        spikes = v > 10 << 6
        v[spikes] = 0
        out.append(spikes)
    return np.array(out)


@pytest.mark.parametrize("per", ["target", "source", "synapse", "one"])
def test_delays_are_those_of_netx(tmp_path: Path, per: str) -> None:
    random = np.random.default_rng(1)
    weight = 2 * random.integers(-60, 100, (3, 5))
    delay = {
        "target": random.integers(0, 6, (3, 1)),
        "source": random.integers(0, 6, (1, 5)),
        "synapse": random.integers(0, 6, (3, 5)),
        "one": np.array([[4]]),
    }[per]
    given = delay if per == "synapse" else delay.reshape(-1)
    x = (random.random((1, 40, 5)) < 0.2).astype(np.int64)
    path = _written(tmp_path, _block(weight, delay=given))
    net = nd.import_network(path, timesteps=40)
    expected = _lava(x[0], weight, np.broadcast_to(delay, weight.shape), 40)
    assert expected.any()
    np.testing.assert_array_equal(run(net, x).spikes["layer0"][0], expected)


@pytest.mark.parametrize(
    ("layer", "error", "text"),
    [
        (_block([[1.0]], neuron={"type": "SDNN"}), UnsupportedLayerError, "a sigma-delta block"),
        (_block([[1.0]], neuron={"type": "RF"}), UnsupportedLayerError, "neurons of type 'RF'"),
        (_block([[1.0]], type="pool"), UnsupportedLayerError, "a block of type pool"),
        (_block([[1.0]], type="magic"), UnsupportedLayerError, "unknown block type 'magic'"),
        (_block([[1.5]]), FileFormatError, "weight is not made of whole numbers"),
        (_block([[1.0]], weight=np.ones((2, 2, 2))), FileFormatError, "weight of shape"),
        (_block([[1.0]], shape=[2**13, 2**13]), FileFormatError, "at most 2.24 values are read"),
        (_block([[1.0]], bias=np.ones(7)), FileFormatError, r"bias of shape \(7,\)"),
        (_block([[1.0, -3.0, 201.0]]), FileFormatError, "of which Lava drops the last bit"),
        (_block([[0.0, -129.0]]), FileFormatError, "of which Lava drops the last bit"),
        (_block([[0.0, -258.0]]), FileFormatError, "from -258 to 0, of which netx leaves nothing"),
        (_block([[-9.0, -257.0]]), FileFormatError, "from -257 to -9, of which netx leaves"),
        (_block([[9.0, 256.0]]), FileFormatError, "one sign it keeps -256 to 255; scale them"),
        (_block([[2.0]], delay=np.array([-1])), FileFormatError, "delay -1"),
    ],
)
def test_what_is_no_network_of_cuba_neurons_is_refused(tmp_path, layer, error, text) -> None:
    with pytest.raises(error, match=f"net.net: .*layer0: .*{text}"):
        nd.import_network(_written(tmp_path, layer))


def test_other_files_and_options_are_one_line(tmp_path: Path) -> None:
    path = _written(tmp_path, _block([[2.0]]))
    with pytest.raises(UsageError, match=r"reset: a \.net file is fixed point"):
        nd.import_network(path, reset="zero")
    with h5py.File(tmp_path / "other.net", "w") as file:
        file["x"] = 1
    with pytest.raises(FileFormatError, match="no lava-dl network: expected 'layer'"):
        nd.import_network(tmp_path / "other.net")
