"""``neurodeploy demo``, shortened to one board: trained, deployed, and kept when it runs again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the demonstration trains with torch")

from neurodeploy.cli import run
from neurodeploy.stages import demo as demonstration
from neurodeploy.stages import demo_network as network
from neurodeploy.stages.deployed import read_deployed
from neurodeploy.targets.registry import TARGETS

TARGET_NAMES = ("lava", "brian2")


@pytest.mark.slow
@pytest.mark.lava
@pytest.mark.usefixtures("lava_python")
def test_the_demonstration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for target in TARGET_NAMES:
        reason = TARGETS.get(target).unavailable()
        if reason is not None:
            pytest.skip(reason)
    assert demonstration.BOARDS == ("loihi1", "loihi2", "truenorth")
    monkeypatch.setattr(network, "EPOCHS", 8)
    monkeypatch.setattr(demonstration, "BOARDS", ("loihi2",))
    folder = tmp_path / "demo"
    assert run(["demo", "-o", str(folder), "--json"]) == 0
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    assert "training a convolutional network on 1442 digits" in printed.err
    assert str(folder / "digits.pt") in printed.err
    assert told["answers"]["loihi2"].startswith("fits")
    assert told["exact"]

    deployed = read_deployed(folder / "digits")
    assert set(deployed.compiled("loihi2")) == set(TARGET_NAMES)
    for target in TARGET_NAMES:
        verified = deployed.result(deployed.step("verify", "loihi2", target))
        assert verified is not None
        assert verified["exact"]
        assert sum(verified["compared_neuron_steps"].values()) > 5 * (1024 + 512 + 64)
    measured = deployed.result(deployed.step("evaluate", "loihi2"))
    assert measured is not None
    assert measured["source_accuracy"] > 0.9
    assert next(iter(measured["accuracy"].values())) > measured["source_accuracy"] - 0.1
    priced = deployed.result(deployed.step("energy", "loihi2"))
    assert priced is not None
    assert priced["cores"] > 0

    def trained_again(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(network, "train", trained_again)
    assert run(["demo", "-o", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    kept = [line for line in lines if line.split()[:1] == ["kept"]]
    assert len(kept) == len(deployed.steps)
