"""The page that ``deploy`` ends with: what it verified, its numbers, and what it refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurodeploy as nd
from neurodeploy.errors import FileFormatError
from neurodeploy.hardware.price.stored import stored_report, stored_verdict
from neurodeploy.render.page.cards import cards
from neurodeploy.render.page.values import Values
from neurodeploy.stages import report as stages_report
from neurodeploy.stages.deployed import read_deployed
from neurodeploy.stages.fingerprints import MeasuredOn
from neurodeploy.stages.kept_results import KeptResults
from neurodeploy.testing import NetlistBuilder
from neurodeploy.verification.stored import stored_evaluation, stored_verification


@pytest.fixture(scope="module")
def folder(small_data: nd.Samples, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch = pytest.importorskip("torch")
    pytest.importorskip("matplotlib")
    nn = torch.nn
    torch.manual_seed(1)
    found = tmp_path_factory.mktemp("deployed")
    x, y = small_data.x, small_data.y
    nd.deploy(
        nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 4, bias=False)),
        nd.Samples(x, y, split="test", name="stripes"),
        ["truenorth", "ns16e"],
        found / "mine",
        calibration_data=nd.Samples(x, y, split="train", name="stripes"),
        target="truenorth",
        weight_bits=3,
        samples=20,
        verify_samples=2,
        energy_samples=4,
        method="rate",
        timesteps=4,
        input="spikes",
        decode="counts",
    )
    return found / "mine"


def test_its_numbers_are_those_of_the_steps(folder: Path, small_data: nd.Samples) -> None:
    deployed = read_deployed(folder)
    report = nd.report(folder, nd.Samples(small_data.x, small_data.y, name="stripes"))
    assert [one.name for one in report.measured] == ["truenorth", "ns16e"]
    told = json.loads(json.dumps(report.to_dict()))
    for one in told["networks"]:
        board = one["name"]
        for name, step in (("integer", "evaluate"), ("spiking", "evaluate-real")):
            kept = deployed.result(deployed.step(step, board))
            assert kept is None or one["evaluations"][name] == kept
        kept = deployed.result(deployed.step("energy", board))
        assert kept is None or one["energy"]["boards"][board] == kept
        for target in deployed.compiled(board):
            kept = deployed.result(deployed.step("verify", board, target))
            assert one["verifications"][target] == kept
    assert told["networks"][0]["verifications"]["truenorth"]["exact"]
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "The boards beside each other" in page
    # The page that deploy wrote is the one of its folder.
    assert cards(report, Values(report.to_dict())) in page
    assert 'id="1-boards"' in page
    # The commands take the samples that deploy took.
    assert (
        "neurodeploy verify truenorth --against reference,engine --data stripes --samples 2" in page
    )
    assert "--board truenorth --data stripes --samples 4 --json" in page


def test_what_deploy_measured_is_not_measured_again(
    folder: Path, small_data: nd.Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    for name in ("evaluate", "verdict", "estimate_energy"):
        stage = getattr(stages_report, name)

        def counted(*given: Any, stage: Any = stage, name: str = name, **options: Any) -> Any:
            asked.append(name)
            return stage(*given, **options)

        monkeypatch.setattr(stages_report, name, counted)
    data = nd.Samples(small_data.x, small_data.y, split="test", name="stripes")
    taken = nd.report(folder, data)
    assert not asked
    # Of data that differ in anything, it measures: the same numbers, as the samples are the same.
    measured = nd.report(folder, nd.Samples(small_data.x, small_data.y, name="stripes"))
    assert asked == ["evaluate", "evaluate", "estimate_energy"] * 2
    assert taken.to_dict() == measured.to_dict()
    for one, other in zip(taken.measured, measured.measured, strict=True):
        assert set(one.evaluations) == {"spiking", "integer"}
        for kind, found in one.evaluations.items():
            assert found == other.evaluations[kind]
            for name in ("right", "source_right", "decided", "source_decided"):
                kept, again = getattr(found, name), getattr(other.evaluations[kind], name)
                np.testing.assert_array_equal(kept, again, strict=True)
        assert one.changed is not None
        assert other.changed is not None
        np.testing.assert_array_equal(one.changed.images, other.changed.images)
        assert one.energy == other.energy
        assert one.verdicts == other.verdicts
    asked.clear()
    nd.report(folder, data, samples=10)
    assert asked == ["evaluate", "evaluate"] * 2


def test_a_changed_network_is_measured(
    folder: Path, small_data: nd.Samples, tmp_path: Path
) -> None:
    other = shutil.copytree(folder, tmp_path / "other")
    data = nd.Samples(small_data.x, small_data.y, split="test", name="stripes")
    kept = KeptResults(read_deployed(other), "truenorth", MeasuredOn(data))
    first = data.first(20)
    assert kept.evaluation("spiking", first) is not None
    assert kept.evaluation("integer", first) is not None
    assert kept.energy(4) is not None
    assert kept.energy(3) is None
    assert kept.verdict() is not None
    whole = (other / "truenorth-int3.ndn").read_bytes()
    (other / "truenorth-int3.ndn").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    (other / "truenorth-truenorth" / "net.ndn").unlink()
    assert kept.evaluation("spiking", first) is not None
    assert kept.evaluation("integer", first) is None
    assert kept.energy(4) is None
    assert kept.verdict() is None
    answers = other / "steps" / "truenorth-evaluate-real.safetensors"
    answers.write_bytes(answers.read_bytes()[:-1])
    with pytest.raises(FileFormatError, match="was changed after it was written"):
        kept.evaluation("spiking", first)


@pytest.mark.parametrize("step", ["evaluate", "energy", "verdict"])
def test_a_result_that_contradicts_itself_is_refused(folder: Path, step: Any) -> None:
    deployed = read_deployed(folder)
    told = deployed.result(deployed.step(step, "truenorth"))
    assert told is not None
    steps = deployed.step("evaluate", "truenorth")
    assert steps is not None

    def stored(given: dict[str, Any]) -> Any:
        if step == "evaluate":
            labels = np.zeros(20, np.int64)
            return stored_evaluation(given, deployed.answers(steps), labels)
        return stored_report(given) if step == "energy" else stored_verdict(given)

    for name, value in told.items():
        with pytest.raises(FileFormatError):
            stored({k: v for k, v in told.items() if k != name})
        if not isinstance(value, str):
            with pytest.raises(FileFormatError):
                stored({**told, name: "another"})


def test_a_network_of_another_tool_tells_its_file() -> None:
    netlist = NetlistBuilder(T=2).input("x", (3,)).dense(2).output()
    source = {"name": "net", "file": "net<b>.nir", "sha256": "0a1b"}
    net = nd.Network(netlist, provenance={"source": source})
    page = nd.html(nd.report(net))
    assert "<dd>net&lt;b&gt;.nir, SHA-256 <code>0a1b</code></dd>" in page
    with pytest.raises(nd.UsageError, match="holds no source network to compare with"):
        nd.diagnose(net, np.zeros((1, 3), np.float32))


def test_some_of_its_boards(folder: Path) -> None:
    (one,) = nd.report(folder, board="ns16e").measured
    assert one.name == "ns16e"
    with pytest.raises(nd.UnknownNameError, match="known: ns16e, truenorth"):
        nd.report(folder, board="loihi1")


def test_a_changed_result_of_a_verification_is_refused(folder: Path) -> None:
    deployed = read_deployed(folder)
    net = deployed.network("truenorth")
    told = deployed.result(deployed.step("verify", "truenorth", "truenorth"))
    assert net is not None
    assert told is not None
    found = stored_verification(told, net.integer)
    assert found.to_dict() == told
    for changed in (
        {**told, "exact": False},
        {**told, "mismatches": 3},
        {**told, "compared_neuron_steps": {"absent": 1}},
        {k: v for k, v in told.items() if k != "spikes"},
    ):
        with pytest.raises(FileFormatError, match="verify again"):
            stored_verification(changed, net.integer)


def test_a_mismatch_comes_back_from_its_json(folder: Path) -> None:
    deployed = read_deployed(folder)
    deployment = deployed.deployment("truenorth", "truenorth")
    assert deployment is not None
    net = deployment.network
    told = deployed.result(deployed.step("verify", "truenorth", "truenorth"))
    assert told is not None
    name = next(iter(told["compared_neuron_steps"]))
    parted = {
        "executor": "engine",
        "sample": 0,
        "step": 2,
        "population": name,
        "neuron": [0, 1, 1],
        "spike": {"deployment": 1, "executor": 0},
        "membrane": {"deployment": 4, "executor": None},
    }
    told = {
        **told,
        "mismatches": {**told["mismatches"], "engine": {name: 1}},
        "divergences": {"engine": parted},
        "first_divergence": parted,
        "exact": False,
    }
    found = stored_verification(told, net.integer)
    assert not found.exact
    assert "first divergence at step 2 of sample 0" in str(found.first)


def test_a_board_without_a_network_says_why(folder: Path, tmp_path: Path) -> None:
    record = json.loads((folder / "deploy.json").read_text())
    record["boards"] = ["ns16e"]
    record["steps"] = [s for s in record["steps"] if s["board"] == "ns16e"][:1]
    record["steps"][0] |= {"status": "refused", "line": "no <code> fits", "files": {}}
    record["steps"][0]["result"] = None
    (tmp_path / "deploy.json").write_text(json.dumps(record))
    report = nd.report(tmp_path, nd.Samples(np.zeros((2, 1, 6, 6), dtype=np.float32)))
    assert report.refused == {"ns16e": "no <code> fits"}
    assert "no &lt;code&gt; fits" in nd.html(report)
