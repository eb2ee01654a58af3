"""``neurodeploy demo``, shortened: both netlists through all their targets, and the table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the demonstration trains with torch")

from neurodeploy.cli import run
from neurodeploy.network import Network
from neurodeploy.render.demo import render_demo
from neurodeploy.stages import demo as demonstration
from neurodeploy.stages import demo_network as network
from neurodeploy.targets.folder import load_deployment
from neurodeploy.targets.registry import TARGETS

WAYS = {
    "spikes-3bit": ("lava", "brian2", "truenorth"),
    "current-8bit": ("lava", "brian2"),
}


@pytest.fixture
def shortened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "EPOCHS", 8)
    monkeypatch.setattr(demonstration, "VERIFIED_SAMPLES", 2)
    monkeypatch.setattr(demonstration, "PRICED_SAMPLES", 4)


@pytest.mark.slow
@pytest.mark.lava
@pytest.mark.usefixtures("shortened", "lava_python")
def test_the_demonstration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for target in ("lava", "brian2", "truenorth"):
        reason = TARGETS.get(target).unavailable()
        if reason is not None:
            pytest.skip(reason)
    assert run(["demo", "-o", str(tmp_path / "demo"), "--json"]) == 0
    outcomes = json.loads(capsys.readouterr().out)["outcomes"]
    assert {o["variant"]: tuple(o["mismatches"]) for o in outcomes} == WAYS
    for outcome in outcomes:
        assert set(outcome["mismatches"].values()) == {0}
        assert min(outcome["compared_neuron_steps"].values()) > 2 * 32 * (1024 + 512 + 64)
        accuracy = outcome["accuracy"]
        assert accuracy["source"] > 0.9
        assert accuracy["real"] > accuracy["source"] - 0.1
        assert accuracy["integer"] > accuracy["source"] - 0.15
        assert "loihi1" in outcome["energy"]
        for report in outcome["energy"].values():
            assert report["cores"] > 0
            assert report["time_per_inference_s"]["low"] > 0
    assert set(outcomes[0]["energy"]) == {"loihi1", "truenorth"}

    table = render_demo(outcomes)
    for variant, targets in WAYS.items():
        (row,) = (r for r in table.split("\n\n")[0].splitlines() if variant in r)
        assert row.count("0 of ") == len(targets)
    assert table.count("loihi1") == 2

    # One netlist of 3 bits went through all three targets.
    nets: list[Network] = [
        load_deployment(tmp_path / "demo" / f"spikes-3bit.{t}").network for t in WAYS["spikes-3bit"]
    ]
    assert nets[0].netlist == nets[1].netlist == nets[2].netlist
    assert {q.weight_bits for q in nets[0].integer.projections} == {3}
    fan_in = [int(q.connectivity.fan_in().max()) for q in nets[0].integer.projections]
    assert max(fan_in) <= 85
