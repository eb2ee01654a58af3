"""``deploy`` of spiking networks that are not converted: imported ones, and ``.ndn`` files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("h5py")
pytest.importorskip("brian2")

import neurodeploy as nd
from neurodeploy.cli import run
from neurodeploy.render.deployed import deployed_parts, render_next
from neurodeploy.stages import board_steps
from neurodeploy.stages.deployed import Deployed
from tests.exchange.files import chain, lif, node, write_nir

FEW: dict[str, Any] = {
    "target": "brian2",
    "samples": 20,
    "verify_samples": 1,
    "energy_samples": 2,
}


def page(thing: object, data: object, path: Path, **_: object) -> None:
    """Stands in for the page, which takes longer than everything else here."""
    path.write_text("<html></html>")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A NIR file, and data."""
    folder = tmp_path_factory.mktemp("networks")
    rng = np.random.default_rng(0)
    layers = [
        part
        for n, m in ((6, 5), (5, 3))
        for part in (
            node("Affine", weight=rng.normal(0.4, 0.5, (m, n)), bias=np.zeros(m)),
            lif(m, beta=0.75),
        )
    ]
    write_nir(folder / "net.nir", chain(*layers, size=(6,), out=(3,)))
    np.savez(
        folder / "test.npz",
        x=(rng.integers(0, 256, (20, 6)) / 255).astype(np.float32),
        y=rng.integers(0, 3, 20),
    )
    return folder


@pytest.fixture
def place(files: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(files)
    monkeypatch.setattr(board_steps, "report", page)
    return files


def imported(**options: Any) -> nd.Network:
    given = {"dynamics": "snntorch", "reset": "zero", "timesteps": 6, **options}
    return nd.import_network("net.nir", **given)


def deploy(model: Any, data: Any, output: Path, **changed: Any) -> Deployed:
    return nd.deploy(model, data, output=output, **{"board": "loihi2", **FEW, **changed})


def test_an_imported_network_is_loaded_quantized_and_measured(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = imported(input="rate")
    net.save(tmp_path / "net.ndn")
    deployed = deploy(net, "test.npz", tmp_path / "out")
    assert [str(step) for step in deployed.steps] == [
        "loihi2 load",
        "loihi2 evaluate-real",
        "loihi2 quantize",
        "loihi2 verdict",
        "loihi2 compile brian2",
        "loihi2 evaluate",
        "loihi2 verify brian2",
        "loihi2 energy",
        "report",
    ]
    assert deployed.exact
    real, whole = deployed.real("loihi2"), deployed.network("loihi2")
    assert real is not None
    assert whole is not None
    assert real.netlist == net.netlist
    assert whole.netlist == net.quantize(8, fit="loihi2").netlist
    # The real-valued netlist stands in the place of the source network.
    measured = deployed.result(deployed.step("evaluate", "loihi2"))
    assert measured is not None
    assert measured["source_accuracy"] is None
    assert deployed.source_accuracy("loihi2") == nd.evaluate(real, "test.npz", 20).accuracy
    assert "source: the real-valued netlist" in "\n\n".join(deployed_parts(deployed))
    assert "diagnose" not in render_next(deployed, "test.npz")
    # A board of the user's own is known by its file alone.
    assert " --board my/b.toml " in render_next(deployed, "test.npz", boards="my/b.toml")
    # As a file, it is the same network: every step is kept.
    command = ["deploy", str(tmp_path / "net.ndn"), "--data", "test.npz", "--board", "loihi2"]
    command += ["--target", "brian2", "--samples", "20", "--verify-samples", "1"]
    command += ["--energy-samples", "2", "-o", str(tmp_path / "out")]
    assert run(command) == 0
    printed = capsys.readouterr()
    assert printed.out.count("kept ") == len(deployed.steps)
    assert "no --weights" not in printed.err
    lines: list[str] = []
    deploy(imported(input="rate", timesteps=7), "test.npz", tmp_path / "out", tell=lines.append)
    assert "(again: network changed)" in lines[0]


def test_a_quantized_network_is_deployed_as_it_is(place: Path, tmp_path: Path) -> None:
    net = imported(input="rate").quantize(6, fit="loihi2")
    deployed = deploy(net, "test.npz", tmp_path / "out")
    assert [step.name for step in deployed.steps[:2]] == ["load", "verdict"]
    assert (tmp_path / "out" / "loihi2-int6.ndn").is_file()
    whole = deployed.network("loihi2")
    assert whole is not None
    assert whole.netlist == net.netlist
    assert deployed.real("loihi2") is None
    assert deployed.exact
    told = json.loads((tmp_path / "out" / "steps" / "loihi2-energy.json").read_text())
    assert told == json.loads(
        json.dumps(nd.estimate_energy(net, "loihi2", "test.npz", 2).to_dict())
    )


def test_events_are_data_of_spiking_networks(place: Path, tmp_path: Path) -> None:
    def recordings(seed: int) -> nd.EventSamples:
        rng = np.random.default_rng(seed)
        every = [{"t": np.arange(6) * 1000, "x": rng.integers(0, 6, 6)} for _ in range(20)]
        found: nd.EventSamples = nd.Samples.events(
            every, dt="1ms", size=6, labels=rng.integers(0, 3, 20)
        )
        return found

    lines: list[str] = []
    first = deploy(imported(), recordings(0), tmp_path / "out", tell=lines.append)
    assert first.exact
    lines.clear()
    deploy(imported(), recordings(0), tmp_path / "out", tell=lines.append)
    assert {line.split()[0] for line in lines} == {"kept"}
    lines.clear()
    deploy(imported(), recordings(1), tmp_path / "out", tell=lines.append)
    again = [line.split()[3].rstrip(":") for line in lines if "(again: data changed)" in line]
    assert again == ["evaluate-real", "verdict", "evaluate", "verify", "energy"]
    with pytest.raises(nd.UsageError, match="no training split; name calibration_data as well"):
        deploy(imported(), recordings(0), tmp_path / "few", weight_bits=4)
    few = deploy(
        imported(), recordings(0), tmp_path / "few", weight_bits=4, calibration_data=recordings(1)
    )
    assert few.exact


@pytest.mark.parametrize(
    ("model", "changed", "reason"),
    [
        ("real", {"method": "rate"}, "method 'rate': .* is converted already; leave it out"),
        ("real", {"weights": "w.pt"}, "weights 'w.pt': .* is converted already"),
        ("real", {"norm": "mnist"}, "norm 'mnist': .* is converted already"),
        ("real", {"calibration_data": "test.npz"}, "nothing of .* is calibrated, or rounded"),
        ("whole", {"weight_bits": 4}, "weight_bits 4: .* is quantized already; leave it out"),
        ("whole", {"weight_bits": 4, "calibration_data": "test.npz"}, "is quantized already"),
        ("net.nir", {}, "net.nir is a spiking network; 'neurodeploy import net.nir -o net.ndn'"),
        ("gone.ndn", {}, "gone.ndn: no such file"),
        ("spikes", {}, "has no encoded input; give events"),
    ],
)
def test_what_a_spiking_network_is_not_asked_is_told_before_anything_is_written(
    place: Path, tmp_path: Path, model: str, changed: dict[str, Any], reason: str
) -> None:
    given: Any = model
    if model in ("real", "whole"):
        net = imported(input="rate")
        given = net if model == "real" else net.quantize()
    elif model == "spikes":
        given = imported()
    with pytest.raises(nd.NeurodeployError, match=reason) as told:
        deploy(given, "test.npz", tmp_path / "out", **changed)
    assert "\n" not in str(told.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("verb", ["convert", "sweep"])
def test_a_spiking_network_is_not_converted_again(place: Path, tmp_path: Path, verb: str) -> None:
    imported(input="rate").save(tmp_path / "net.ndn")
    stage = getattr(nd, verb)
    with pytest.raises(nd.UsageError, match=rf"{verb}: .*net.ndn is converted already"):
        stage(tmp_path / "net.ndn", "digits")
    with pytest.raises(nd.UsageError, match=rf"{verb}: net.nir is a spiking network"):
        stage("net.nir", "digits")
