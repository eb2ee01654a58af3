"""Energy of a digits network on three boards, and what few weight bits change in its counts."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="the counts come from the fast engine")

import neurodeploy as nd
from neurodeploy.cli import run
from neurodeploy.ir.reference import run_reference

SAMPLES = 6


@pytest.fixture(scope="module")
def folder(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One converted network in 2 and in 8 bits, and its deployment on crossbar cores."""
    folder = tmp_path_factory.mktemp("energy")
    net = nd.load(repository / "tests" / "py310" / "data" / "digits.ndn")
    for bits in (2, 8):
        nd.save(nd.quantize(net, bits), folder / f"net{bits}.ndn")
    nd.save(nd.compile(nd.load(folder / "net2.ndn"), "truenorth"), folder / "cores")
    return folder


@pytest.fixture
def energy(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Any]:
    monkeypatch.chdir(folder)

    def call(source: str, board: str, *options: str, as_json: bool = True) -> Any:
        capsys.readouterr()
        command = ["energy", source, "--board", board, "--data", "digits", *options]
        assert run([*command, "--samples", str(SAMPLES), *["--json"] * as_json]) == 0
        captured = capsys.readouterr()
        assert captured.err == ""
        return json.loads(captured.out) if as_json else captured.out

    return call


@pytest.mark.parametrize("board", ["loihi1", "truenorth"])
def test_boards_whose_constants_are_known(energy: Callable[..., Any], board: str) -> None:
    told = energy("net2.ndn", board)
    joules = told["energy_per_inference_j"]
    known = [v for v in told["energy_by_event_j"].values() if v is not None]
    assert joules["dynamic"] == pytest.approx(sum(known))
    assert joules["dynamic"] > 0
    assert joules["lower_bound"] <= (joules["total"] or math.inf)
    assert told["time_per_inference_s"] > 0
    assert told["cores"] == len(told["cores_detail"]) > 1
    for event, total in told["events"].items():
        if not event.startswith("host"):
            per_core = sum(core["events"][event] for core in told["cores_detail"])
            assert total == pytest.approx(per_core), event


def test_a_board_whose_constants_are_not(energy: Callable[..., Any]) -> None:
    told = energy("net2.ndn", "loihi2")
    assert told["energy_per_inference_j"]["total"] is None
    assert told["unknown"]
    assert told["events"]["synops"] == energy("net2.ndn", "loihi1")["events"]["synops"]
    assert re.search(r"energy per inference +unknown", energy("net2.ndn", "loihi2", as_json=False))


def test_counts_are_those_of_the_reference(energy: Callable[..., Any], folder: Path) -> None:
    from neurodeploy.api import stimulus_for

    net = nd.load(folder / "net2.ndn")
    stimulus, _ = stimulus_for(net, "digits", SAMPLES)
    spikes = run_reference(net.integer, stimulus).spikes
    fired = {n: (s != 0).sum(axis=(0, 1)) for n, s in spikes.items()}
    synops = sum(
        int((fired[q.pre] * q.connectivity.fan_out()).sum()) for q in net.integer.projections
    )
    told = energy("net2.ndn", "loihi1")["events"]
    assert told["synops"] == pytest.approx(synops / SAMPLES)
    hidden = sum(int(n.sum()) for name, n in fired.items() if name != "input")
    assert told["spikes"] == pytest.approx(hidden / SAMPLES)


def test_a_deployment_and_its_netlist_cost_the_same(energy: Callable[..., Any]) -> None:
    assert energy("cores", "truenorth")["events"] == energy("net2.ndn", "truenorth")["events"]


def test_cross_validation_shows_what_two_bits_change(energy: Callable[..., Any]) -> None:
    layers = {
        bits: {
            layer["population"]: layer
            for layer in energy(f"net{bits}.ndn", "loihi1", "--cross-validate")["cross_validation"]
        }
        for bits in (2, 8)
    }
    for name in ("relu_1", "relu_3", "output"):
        coarse, fine = layers[2][name], layers[8][name]
        assert coarse["spikes_real"] == fine["spikes_real"] > 0
        assert coarse["spikes_integer"] != coarse["spikes_real"]
        assert coarse["difference"] != 0
        expected = coarse["spikes_integer"] / coarse["spikes_real"] - 1
        assert coarse["difference"] == pytest.approx(expected)
        # Eight bits come several times closer, neuron by neuron.
        assert coarse["mean_neuron_difference"] > 3 * fine["mean_neuron_difference"]
    assert layers[2]["relu_1"]["synops_integer"] != layers[2]["relu_1"]["synops_real"]


def test_cross_validation_is_shown_layer_by_layer(energy: Callable[..., Any]) -> None:
    plain = energy("net2.ndn", "loihi1", as_json=False)
    shown = energy("net2.ndn", "loihi1", "--cross-validate", as_json=False)
    assert len(shown.splitlines()) >= len(plain.splitlines()) + 3
    for name in ("relu_1", "relu_3", "output"):
        assert shown.count(name) > plain.count(name)
