"""NIR graphs that are written: the same netlist read back, and what others make of them."""

from __future__ import annotations

import dataclasses
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurodeploy as nd
from neurodeploy.cli import run as command
from neurodeploy.errors import (
    FileFormatError,
    UnknownNameError,
    UnsupportedLayerError,
    UsageError,
)
from neurodeploy.exchange.dynamics import DYNAMICS
from neurodeploy.exchange.nir_layers import layers
from neurodeploy.exchange.readers import READERS
from neurodeploy.ir.connectivity import Conv, Dense, Sparse, SumPool, identity
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import Output, Population, RealNetlist, RealProjection
from neurodeploy.ir.neurons import Input, RealNeuron
from neurodeploy.ir.reference import run_reference
from neurodeploy.testing import NetlistBuilder
from neurodeploy.testing.cases import CASES, case
from tests.exchange.files import chain, imported, integrate, lif, node
from tests.exchange.test_import import native_network, whole_network

h5py = pytest.importorskip("h5py", reason="NIR is HDF5")

NO_NODE = ("max-pooling", "hears nothing", "that are no dense layer and no convolution")


@pytest.mark.parametrize("name", sorted(CASES)[::2])
def test_every_netlist_comes_back_as_it_was_or_is_refused_by_name(
    name: str, tmp_path: Path
) -> None:
    netlist = case(name).netlist
    path = tmp_path / "net.nir"
    try:
        nd.Network(netlist).export("nir", path)
    except UnsupportedLayerError as error:
        told = (*NO_NODE, "ahead of the main path", "gains of steps")
        assert any(text in str(error) for text in told)  # noqa: PT017
        assert not path.exists()
        return
    assert nd.import_network(path).netlist == netlist


def test_most_netlists_are_written(tmp_path: Path) -> None:
    written = 0
    names = sorted(CASES)[1::4]
    for name in names:
        try:
            nd.Network(case(name).netlist).export("nir", tmp_path / "net.nir")
        except UnsupportedLayerError:
            continue
        written += 1
    assert written > 0.6 * len(names)


def test_a_converted_network_keeps_its_encodings_and_its_t(tmp_path: Path) -> None:
    import torch

    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 3, 3, padding=1), torch.nn.ReLU(), torch.nn.Flatten(),
        torch.nn.Linear(3 * 36, 4),
    )  # fmt: skip
    data = (np.random.default_rng(0).random((16, 1, 6, 6), dtype=np.float32), np.zeros(16, int))
    net = nd.convert(model, data, method="rate", timesteps=8)
    for one in (net, net.quantize()):
        found = one.export("nir", tmp_path / "net.nir")
        again = nd.import_network(found.path)
        assert again.netlist == one.netlist
        assert again.encodings == one.encodings
    assert nd.import_network(found.path, timesteps=5).netlist.timesteps == 5


@pytest.mark.parametrize(
    "dynamics", ["snntorch-zero", "norse", "spikingjelly", "lava", "nengo", "exact", "sinabs-2023"]
)
@pytest.mark.parametrize("leak", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("slow", [False, True])
def test_the_graph_alone_is_read_by_each_dynamics_as_what_was_written(
    tmp_path: Path, dynamics: str, leak: float, slow: bool
) -> None:
    """Without the metadata: weights, decays, thresholds and biases of the same netlist."""
    rules = DYNAMICS[dynamics]
    reset = "zero" if rules.reset == "file" else rules.reset
    random = np.random.default_rng(1)
    model = RealNeuron(
        np.array([1.0, 1.5, 0.75]),
        np.zeros(()) if slow else np.array([0.1, 0.0, -0.1]),
        np.zeros(()),
        reset=reset,  # type: ignore[arg-type]
        strict=rules.compare == ">",
        payload_max=rules.multi_spike,
        membrane_decay=leak,
        current_decay=0.5 if slow else 1.0,
        floor=-np.array([1.0, 1.5, 0.75]) if rules.floor and not (slow or leak) else None,
    )
    netlist = RealNetlist(
        "net",
        (Population("x", (4,), Input("spikes", 0, 1)), Population("a", (3,), model)),
        (RealProjection("x", "a", Dense(random.normal(size=(3, 4)), (4,))),),
        (Output("a", "counts"),),
        30,
    )
    dt = None if rules.dt else 1e-3
    path = tmp_path / "net.nir"
    nd.Network(netlist).export("nir", path, dynamics=dynamics, dt=dt)
    assert nd.import_network(path).netlist == netlist
    read = nd.import_network(path, dynamics=dynamics, dt=dt, timesteps=30).netlist
    x = (random.random((5, 30, 4)) < 0.5).astype(np.int64)
    mine, theirs = (run_reference(n, {"x": x}) for n in (netlist, read))
    assert mine.spikes["a"].any()
    np.testing.assert_array_equal(mine.spikes["a"], theirs.spikes["a"])


def test_what_came_from_sinabs_goes_back_to_it(tmp_path: Path) -> None:
    content = chain(
        node("Affine", weight=np.eye(3, 4), bias=np.full(3, 0.25)),
        integrate(3),
        size=(4,),
        out=(3,),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = imported(tmp_path, content, "sinabs")
    lost = net.export("nir", tmp_path / "back.nir", dynamics="sinabs").lost
    assert lost["sinabs 3.1.3"] == ()
    assert "b: resets to zero where the network subtracts the threshold" in lost["Norse 1.1.0"]
    assert "b: has no floor" in lost["Norse 1.1.0"]


@pytest.mark.parametrize("content", [whole_network, native_network])
def test_real_netlists_with_delays_floors_and_feedback_come_back(tmp_path: Path, content) -> None:
    dynamics = "sinabs" if content is whole_network else "snntorch"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = imported(tmp_path, content(), dynamics, timesteps=40)
    for one in (net, net.quantize(8, bias_correction=False)):
        found = one.export("nir", tmp_path / "again.nir")
        assert nd.import_network(found.path).netlist == one.netlist
        # Nothing of it is silent: each reader is told about.
        assert all(found.lost.values())


def _padded(a: int, b: int) -> Conv:
    window = Window((7, 6), (3, 2), (2, 1), ((a, b), (0, 1)), (1, 1))
    return Conv(np.random.default_rng(2).normal(size=(4, 1, 3, 2)), 2, window, 2)


def test_cells_that_stand_apart_are_refused() -> None:
    window = Window((3, 4), (2, 2), (1, 1), ((1, 1), (1, 1)), (1, 1), (2, 2))
    one = np.ones((2, *window.output_size))
    for link in (SumPool(np.ones(2), window), Conv(np.ones((2, 2, 2, 2)), 2, window)):
        with pytest.raises(UnsupportedLayerError, match=r"a->b: NIR has no node .* \(2, 2\) apart"):
            layers(link, one, one, "a->b")


def _shortcut() -> Sparse:
    """Every second place, into the middle of more channels."""
    index = np.arange(2 * 6 * 6).reshape(2, 6, 6)[:, ::2, ::2].reshape(-1)
    post = np.arange(2 * 3 * 3) + 9
    return Sparse(np.full(18, 0.5), post, index, (2, 6, 6), (4, 3, 3))


@pytest.mark.parametrize(
    "connectivity",
    [
        _padded(0, 2), _padded(2, 0), _padded(1, 1),
        Dense(np.random.default_rng(3).normal(size=(5, 12)), (3, 2, 2)),
        SumPool(np.array([0.5, 0.25]), Window((5, 5), (2, 2), (2, 2), ((0, 1), (0, 1)), (1, 1))),
        identity((3, 4, 4), np.array([0.5, 1.0, 2.0])),
        identity((3, 2), 1.0),
        _shortcut(),
        Sparse(np.array([1.5, -2.0]), np.array([0, 2]), np.array([3, 1]), (2, 2), (3,)),
    ],
    ids=str,
)  # fmt: skip
def test_every_kind_of_synapses_keeps_what_it_computes(tmp_path: Path, connectivity: Any) -> None:
    pre, post = connectivity.pre_shape, connectivity.post_shape
    bias = np.linspace(-0.5, 0.5, post[0])
    one = isinstance(connectivity, Sparse) and (connectivity.weight == 1).all()
    neuron = RealNeuron(
        np.array(1.0), np.zeros(()) if one else bias, np.zeros(()), reset="zero", strict=True
    )
    netlist = RealNetlist(
        "net",
        (Population("x", pre, Input("spikes", 0, 1)), Population("a", post, neuron)),
        (RealProjection("x", "a", connectivity),),
        (Output("a", "counts"),),
        20,
    )
    path = tmp_path / "net.nir"
    lost = nd.Network(netlist).export("nir", path, dynamics="norse").lost
    assert lost["Norse 1.1.0"] == ()
    read = nd.import_network(path, dynamics="norse", timesteps=20).netlist
    x = (np.random.default_rng(0).random((3, 20, *pre)) < 0.5).astype(np.int64)
    mine, theirs = (run_reference(n, {"x": x}).spikes["a"] for n in (netlist, read))
    assert mine.any()
    np.testing.assert_array_equal(mine, theirs)


def _small(**options: Any) -> NetlistBuilder:
    values = {"threshold": 60, "reset": "zero", **options}
    return NetlistBuilder(T=12).input("x", (8,)).dense(5, name="a", **values)


@pytest.mark.parametrize(
    ("options", "framework", "text"),
    [
        ({}, "snnTorch 1.0.0", "does not read IF"),
        ({"reset": "subtract"}, "Norse 1.1.0", "a: resets to zero where the network subtracts"),
        ({"payload_max": 3}, "Norse 1.1.0", "a: sends one spike a step at most"),
        ({"negative_threshold": 60}, "Norse 1.1.0", "a: has no negative spikes"),
        (
            {"membrane_decay": 512},
            "SpikingJelly 2.0.0",
            "a: decays that are not rounded toward zero",
        ),
        ({"initial_membrane": 3}, "Norse 1.1.0", "a: another initial membrane"),
        ({"floor": -60}, "Norse 1.1.0", "a: has no floor"),
        ({"refractory": 2}, "Norse 1.1.0", "a: has no refractory period"),
        ({"threshold": None, "reset": "none"}, "Norse 1.1.0", "does not read I"),
        ({"threshold": [50, 60, 50, 60, 50]}, "SpikingJelly 2.0.0", "a: wants one v_threshold"),
        ({"saturation": 2**20}, "Norse 1.1.0", "a: has no saturation"),
        ({}, "sinabs 3.1.3", "a: has a floor of minus the threshold"),
        ({"current_decay": 2048, "bias": 3}, "SpikingJelly 2.0.0", "a: has another bias, or none"),
    ],
)
def test_what_readers_lose_is_told(
    tmp_path: Path, options: dict[str, Any], framework: str, text: str
) -> None:
    netlist = _small(**options).output()
    lost = nd.Network(netlist).export("nir", tmp_path / "net.nir").lost[framework]
    assert any(told.startswith(text) for told in lost), lost


@pytest.mark.parametrize("dynamics", ["snntorch-zero", "spikingjelly"])
def test_a_reader_that_wants_one_threshold_gets_one(tmp_path: Path, dynamics: str) -> None:
    thresholds = np.random.default_rng(0).integers(20, 400, 50)
    netlist = NetlistBuilder(T=12).input("x", (8,)).dense(50, threshold=thresholds, reset="zero")
    lost = nd.Network(netlist.output()).export("nir", tmp_path / "n.nir", dynamics=dynamics).lost
    (told,) = (lost[r.title] for r in READERS if r.dynamics.name == dynamics)
    assert told == ()


@pytest.mark.parametrize("missing", ["input", "output"])
def test_a_graph_needs_both_ends(tmp_path: Path, missing: str) -> None:
    netlist = _small().output()
    if missing == "output":
        netlist = dataclasses.replace(netlist, outputs=())
    else:
        alone = tuple(p for p in netlist.populations if p.name != "x")
        netlist = dataclasses.replace(netlist, populations=alone, projections=())
    with pytest.raises(UnsupportedLayerError, match=f"net: has no {missing}, and NIR needs one"):
        nd.Network(netlist).export("nir", tmp_path / "net.nir")


def test_a_skip_ahead_of_the_main_path_is_refused(tmp_path: Path) -> None:
    netlist = _small().dense(5, threshold=60).dense(4, name="c", threshold=60).output()
    early = nd.IntegerProjection("x", "c", Dense(np.ones((4, 8), dtype=np.int64), (8,)), 1)
    netlist = dataclasses.replace(netlist, projections=(*netlist.projections, early))
    with pytest.raises(UnsupportedLayerError, match="x->c: a delay of 1 brings spikes 2 steps"):
        nd.Network(netlist).export("nir", tmp_path / "net.nir")


def test_a_graph_that_was_changed_is_not_taken_for_the_netlist(tmp_path: Path) -> None:
    path = tmp_path / "net.nir"
    nd.Network(_small().output()).export("nir", path)
    with h5py.File(path, "a") as file:
        file["node/nodes/a/v_threshold"][...] += 1
    with pytest.raises(FileFormatError, match="the graph was changed since neurodeploy wrote it"):
        nd.import_network(path)
    assert nd.import_network(path, dynamics="norse").netlist.timesteps == 100
    with h5py.File(path, "a") as file:
        del file["node/metadata/neurodeploy"]
        file["node/metadata/neurodeploy"] = "{"
    with pytest.raises(FileFormatError, match="damaged metadata of neurodeploy"):
        nd.import_network(path)


def test_options_that_contradict_the_metadata_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.nir"
    nd.Network(_small().output()).export("nir", path)
    with pytest.raises(UsageError, match="an input of a file that neurodeploy wrote"):
        nd.import_network(path, input_high=3)
    with pytest.raises(UsageError, match="dt of a file that neurodeploy wrote"):
        nd.import_network(path, dt=1e-3)


def test_the_command_writes_and_tells(tmp_path: Path, capsys) -> None:
    source, out = tmp_path / "net.ndn", tmp_path / "net.nir"
    nd.save(nd.Network(_small().output()), source)
    assert command(["export", str(source), "--to", "nir", "-o", str(out)]) == 0
    told = capsys.readouterr().out
    assert "Norse 1.1.0: reads it with the same spikes" in told
    assert "sinabs 3.1.3: reads it with other spikes, or not at all" in told
    first = out.read_bytes()
    assert command(["export", str(source), "--to", "nir", "-o", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["lost"]["Norse 1.1.0"] == []
    assert out.read_bytes() == first


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--to", "onnx", "-o", "net.onnx"], "unknown format 'onnx'; known: brian2, net"),
        (["--to", "nir", "-o", "net.net"], "net.net: choose a name that ends in .nir"),
        (["--to", "nir", "-o", "net.nir", "--dynamics", "brian"], "unknown dynamics 'brian'"),
        (["--to", "nir", "-o", "net.nir", "--dt", "-1"], "dt -1.0: expected a positive time"),
        (["--to", "nir", "-o", "no/net.nir"], "cannot write here"),
        (["-o", "net.nir"], "Missing option '--to'"),
        (["--to", "nir"], "Missing option '-o' / '--output'"),
    ],
)
def test_wrong_options_are_one_line(tmp_path: Path, monkeypatch, capsys, options, text) -> None:
    monkeypatch.chdir(tmp_path)
    nd.save(nd.Network(_small().output()), tmp_path / "net.ndn")
    assert command(["export", "net.ndn", *options]) == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert len(told) == 1
    assert text in told[0]
    with pytest.raises((UnknownNameError, UsageError)):
        nd.export(lif(), "nir", "net.nir")  # type: ignore[arg-type]
