"""The stage and the command: what they tell and record, and that what comes in goes all the way."""

from __future__ import annotations

import importlib.util
import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import neurodeploy as nd
from neurodeploy.cli import run as command
from neurodeploy.errors import DataError, FileFormatError, UsageError
from neurodeploy.exchange.dynamics import DYNAMICS
from neurodeploy.execution import run_engine
from neurodeploy.ir.encoding import encode
from neurodeploy.ir.reference import run_reference
from tests.exchange.files import chain, graph, imported, integrate, lif, node, write_nir

pytest.importorskip("h5py", reason="NIR is HDF5")


def test_the_command_writes_what_it_read_and_tells_how(tmp_path: Path, capsys) -> None:
    source = write_nir(tmp_path / "net.nir", chain(lif(v_threshold=np.array(1.0))))
    output = tmp_path / "net.ndn"
    given = ["import", str(source), "--dynamics", "snntorch", "-o", str(output)]
    assert command([*given, "--timesteps", "20", "--input-high", "3"]) == 0
    told = capsys.readouterr()
    assert "real-valued netlist, T = 20" in told.out
    assert "warning: net.nir: a: v_threshold is one number for 2" in told.err
    net = nd.load(output)
    assert net.netlist.inputs[0].model.high == 3
    exchange = net.provenance["exchange"]
    assert exchange["dynamics"]["reset"] == "subtract-next"
    assert exchange["notes"] == ["a: v_threshold is one number for 2"]
    assert net.provenance["commands"][0][:2] == ["neurodeploy", "import"]
    assert command([*given, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "real-valued"
    same = output.read_bytes()
    assert command([*given, "--json"]) == 0
    assert output.read_bytes() == same


@pytest.mark.parametrize("encoder", ["rate", "poisson"])
def test_values_become_spikes_of_a_network_in_a_file(tmp_path: Path, encoder: str) -> None:
    """Images too, row by row, as the layers flatten them that such networks begin with."""
    source = write_nir(tmp_path / "net.nir", chain(lif(4), size=(4,)))
    options = {"dynamics": "snntorch-zero", "timesteps": 12, "input": encoder, "levels": 15}
    net = nd.import_network(source, **options)
    x = np.random.default_rng(0).random((5, 1, 2, 2)).astype(np.float32)
    (found,) = net.encodings.values()
    assert (found.encoder, found.levels, found.low, found.high) == (encoder, 15, 0.0, 1.0)
    integer = net.quantize(8)
    raster = encode(found, x.reshape(5, 4), 12, np.arange(5))
    expected = run_reference(integer.netlist, {"input": raster}).spikes
    deployed = nd.run(integer.compile("brian2"), nd.Samples(x))
    for name, spikes in expected.items():
        np.testing.assert_array_equal(deployed.spikes[name], spikes)
    colours = nd.Samples(np.zeros((2, 2, 2, 1), np.float32))
    with pytest.raises(DataError, match="the network takes"):
        nd.run(integer.compile("brian2"), colours)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ([], "choose --dynamics snntorch"),
        (["--dynamics", "brian"], "unknown dynamics 'brian'"),
        (["--dynamics", "snntorch", "--reset", "hard"], "unknown reset 'hard'"),
        (["--dynamics", "snntorch", "--dt", "-1"], "dt -1.0: expected a positive time"),
        (["--dynamics", "sinabs", "--dt", "1e-3"], "sinabs counts in steps"),
        (["--dynamics", "snntorch", "--multi-spike", "0"], "multi_spike 0: expected at least 1"),
        (["--dynamics", "snntorch", "--floor", "1"], "floor 1: expected thresholds at or below 0"),
        (["--dynamics", "snntorch", "--saturation"], "saturation is for .net files"),
        (["--dynamics", "snntorch", "--timesteps", "0"], "timesteps 0: expected at least 1"),
        (["--dynamics", "snntorch", "--input", "light"], "unknown input 'light'"),
        (["--dynamics", "snntorch", "--input-low", "1"], "must contain 0"),
        (["--dynamics", "snntorch", "--levels", "15"], "levels 15: for values that become spikes"),
        (
            ["--dynamics", "snntorch", "--input", "rate", "--input-high", "3"],
            "values that become spikes are from 0 to 1",
        ),
    ],
)
def test_wrong_options_are_one_line(tmp_path: Path, capsys, options, text) -> None:
    source = write_nir(tmp_path / "net.nir", chain(lif()))
    assert command(["import", str(source), *options, "-o", str(tmp_path / "x.ndn")]) == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert len(told) == 1
    assert text in told[0]


def test_without_h5py_the_remedy_is_told(tmp_path: Path, monkeypatch) -> None:
    source = write_nir(tmp_path / "net.nir", chain(lif()))
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(FileFormatError, match=r"needs h5py; pip install 'neurodeploy\[exchange\]'"):
        nd.import_network(source, dynamics="snntorch")
    with pytest.raises(UsageError, match="import_network: "):
        nd.import_network(3)  # type: ignore[arg-type]


def whole_network():
    """IF neurons, weights of 8 bits exactly: a delay, several spikes a step, floors, a bias."""
    random = np.random.default_rng(3)

    def weight(*shape: int):
        found = random.integers(-127, 60, shape)
        found[:, [0, 1, 3]] = 127  # one in what each delay carries
        return found / 64

    return graph(
        {
            "input": node("Input", shape=[4]),
            "first": node("Affine", weight=weight(6, 4), bias=random.integers(-2, 3, 6) / 8),
            "a": integrate(6),
            "late": node("Delay", delay=np.array([2.0, 0, 0, 1, 2, 0])),
            "second": node("Linear", weight=weight(3, 6)),
            "b": integrate(3),
            "output": node("Output", shape=[3]),
        },
        [
            ("input", "first"),
            ("first", "a"),
            ("a", "late"),
            ("late", "second"),
            ("second", "b"),
            ("b", "output"),
        ],
    )


def native_network():
    """Leaky neurons that hear themselves, with a decay for each and a reset in the next step."""
    random = np.random.default_rng(4)
    tau = 1e-4 / (1 - random.uniform(0.5, 0.95, 5))
    cell = node(
        "CubaLIF",
        tau_syn=np.full(5, 2e-4),
        tau_mem=tau,
        r=tau * 1e4,
        v_leak=np.zeros(5),
        v_threshold=random.uniform(0.7, 1.5, 5),
        w_in=np.full(5, 2.0),
    )
    content = chain(
        node("Affine", weight=random.normal(size=(5, 4)), bias=random.normal(size=5) / 4),
        cell,
        node("Linear", weight=random.normal(size=(3, 5))),
        lif(3),
        size=(4,),
        out=(3,),
    )
    content["nodes"]["w"] = node(
        "Affine", weight=random.normal(size=(5, 5)) / 3, bias=np.ones(5) / 5
    )
    content["edges"] += [("b", "w"), ("w", "b")]
    return content


def test_quantization_of_few_bits_keeps_every_spike(tmp_path: Path) -> None:
    net = imported(tmp_path, whole_network(), "sinabs", timesteps=40)
    integer = net.quantize(8, bias_correction=False)
    x = (np.random.default_rng(0).random((5, 40, 4)) < 0.4).astype(np.int64)
    real, whole = (run_reference(n.netlist, {"input": x}).spikes for n in (net, integer))
    assert real["a"].max() > 1
    assert real["b"].any()
    for name in ("a", "b"):
        np.testing.assert_array_equal(whole[name], real[name])
    floor = integer.integer.by_name["a"].model
    np.testing.assert_array_equal(floor.floor, -floor.threshold)


@pytest.mark.parametrize("dynamics", ["snntorch", "norse", "spikingjelly-soft"])
def test_imported_networks_run_alike_on_every_executor(
    tmp_path: Path, lava_python: Path, dynamics: str
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nd.NeurodeployWarning)
        net = imported(tmp_path, native_network(), dynamics, dt=1e-4, timesteps=30).quantize(8)
    net.save(tmp_path / "net.ndn")
    net = nd.load(tmp_path / "net.ndn")
    x = (np.random.default_rng(0).random((3, 30, 4)) < 0.4).astype(np.int64)
    expected = run_reference(net.netlist, {"input": x}).spikes
    assert 0.02 < expected["b"].mean() < 0.9
    found = {"engine": run_engine(net.netlist, {"input": x}).spikes}
    if importlib.util.find_spec("brian2"):
        found["brian2"] = net.compile("brian2").run({"input": x}).spikes
    found["lava"] = net.compile("lava").run({"input": x}).spikes
    for where, spikes in found.items():
        for name in ("b", "d"):
            np.testing.assert_array_equal(spikes[name], expected[name], err_msg=f"{where} {name}")


def test_the_page_tells_of_every_dynamics(repository: Path) -> None:
    page = (repository / "docs" / "exchange.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1].strip(" `") for line in page.splitlines() if line.startswith("| `")]
    assert rows == ["--dynamics", *DYNAMICS]
