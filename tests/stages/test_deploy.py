"""``deploy``: its steps are the public stages; a finished one runs again only if it must."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("brian2")

from torch import nn  # noqa: E402

import neurodeploy as nd  # noqa: E402
from neurodeploy.cli import run  # noqa: E402
from neurodeploy.ir.lock import LOCK_FILE, locked  # noqa: E402
from neurodeploy.render.deployed import deployed_parts  # noqa: E402
from neurodeploy.stages import board_steps, keeping  # noqa: E402
from neurodeploy.stages.deployed import Deployed, read_deployed  # noqa: E402
from neurodeploy.stages.verdict import verdict  # noqa: E402
from neurodeploy.targets.registry import TARGETS  # noqa: E402
from tests.conftest import ROOT  # noqa: E402

MODEL = """
from torch import nn
from parts import layers


def net():
    return nn.Sequential(*layers())
"""
PARTS = """
from torch import nn


def layers():
    return nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 4)
"""
STAGES = ("convert", "quantize", "evaluate", "verdict", "compile", "verify", "estimate_energy")
OPTIONS: dict[str, Any] = {
    "weights": "net.pt",
    "calibration_data": "train.npz",
    "target": "brian2",
    "method": "graded",
    "timesteps": 2,
    "samples": 20,
    "verify_samples": 2,
    "energy_samples": 4,
}
"""loihi1 sends binary spikes alone: it refuses what graded makes, and loihi2 takes it."""


def module() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 4))


def page(thing: object, data: object, path: Path, **_: object) -> None:
    """Stands in for the page, which takes longer than everything else here."""
    path.write_text("<html></html>")


def deploy(output: str | Path = "mine", **changed: Any) -> Deployed:
    options = {"board": "loihi1,loihi2", **OPTIONS, **changed}
    return nd.deploy("net.py:net", "test.npz", output=output, **options)


@dataclass(frozen=True)
class Workshop:
    """A folder, and what its deployment's verification came to."""

    folder: Path
    verified: nd.Verification


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Files of a network and its data, and a finished deploy of it."""
    folder = tmp_path_factory.mktemp("deploy")
    rng = np.random.default_rng(0)
    for name in ("train", "test"):
        x = rng.integers(0, 256, (40, 1, 6, 6)) / 255
        np.savez(folder / f"{name}.npz", x=x.astype(np.float32), y=rng.integers(0, 4, 40))
    (folder / "net.py").write_text(MODEL)
    (folder / "parts.py").write_text(PARTS)
    torch.save(module().state_dict(), folder / "net.pt")
    verify, results = board_steps.verify, []

    def kept(*given: Any, **options: Any) -> nd.Verification:
        results.append(verify(*given, **options))
        return results[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(board_steps, "report", page)
        patch.setattr(board_steps, "verify", kept)
        deploy()
    return Workshop(folder, *results)


@pytest.fixture
def place(workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the workshop, in which the test works; what takes long is not done again."""
    folder = tmp_path / "workshop"
    shutil.copytree(workshop.folder, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(board_steps, "report", page)
    monkeypatch.setattr(board_steps, "verify", lambda *_, **__: workshop.verified)
    return folder


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each stage is called from here on."""
    counts: Counter[str] = Counter()

    def counted(name: str, stage: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(stage)
        def call(*given: Any, **options: Any) -> Any:
            counts[name] += 1
            return stage(*given, **options)

        return call

    for name in STAGES:
        monkeypatch.setattr(board_steps, name, counted(name, getattr(board_steps, name)))
    return counts


def test_each_step_keeps_what_its_stage_gives(place: Path) -> None:
    deployed = read_deployed("mine")
    assert deployed.record.finished
    assert [str(step) for step in deployed.steps] == [
        "loihi1 convert",
        "loihi1 evaluate-real",
        "loihi1 quantize",
        "loihi1 verdict",
        "loihi2 convert",
        "loihi2 evaluate-real",
        "loihi2 quantize",
        "loihi2 verdict",
        "loihi2 compile brian2",
        "loihi2 evaluate",
        "loihi2 verify brian2",
        "loihi2 energy",
        "report",
    ]
    real, integer = deployed.real("loihi2"), deployed.network("loihi2")
    compiled = deployed.deployment("loihi2", "brian2")
    assert real is not None
    assert integer is not None
    assert compiled is not None
    data = nd.Samples("test.npz")
    expected = {
        ("evaluate-real", None): nd.evaluate(real, data, 20),
        ("evaluate", None): nd.evaluate(integer, data, 20),
        ("verdict", None): verdict(integer, "loihi2"),
        ("compile", "brian2"): compiled,
        ("verify", "brian2"): nd.verify(compiled, "reference,engine", data, 2),
        ("energy", None): nd.estimate_energy(integer, "loihi2", data, 4),
    }
    for (name, target), result in expected.items():
        kept = deployed.result(deployed.step(name, "loihi2", target))
        assert kept == json.loads(json.dumps(result.to_dict())), name
    assert deployed.exact
    assert deployed.board("loihi2").name == "loihi2"
    assert deployed.record.arguments["weights"] == "net.pt"


def test_a_board_that_cannot_run_it_tells_why_and_what_would_help(place: Path) -> None:
    deployed = read_deployed("mine")
    refused = deployed.refusal("loihi1")
    assert refused is not None
    assert refused.name == "verdict"
    assert "board loihi1 cannot run it" in refused.line
    assert "'neurodeploy convert --board loihi1'" in refused.line
    assert deployed.refusal("loihi2") is None
    assert deployed.compiled("loihi1") == ()
    assert deployed.compiled("loihi2") == ("brian2",)
    shown = deployed._repr_html_()
    assert "<td" in shown
    assert "cannot run it" in shown
    judged = deployed.result(refused)
    assert judged is not None
    assert not judged["fits"]


def test_the_source_of_a_refused_board_is_the_source(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was refused before it was evaluated showed the spiking network's accuracy as it."""
    measured = {"accuracy": {"2": 0.5}, "source_accuracy": 0.75}
    deployed = read_deployed("mine")
    assert deployed.step("evaluate", "loihi1") is None
    monkeypatch.setattr(
        Deployed,
        "result",
        lambda _, step: measured if step is not None and step.name == "evaluate-real" else None,
    )
    assert deployed.source_accuracy("loihi1") == 0.75
    measured["source_accuracy"] = None  # type: ignore[assignment]
    assert deployed.source_accuracy("loihi1") == 0.5


def test_a_target_of_one_board_leaves_the_others_as_they_are(place: Path) -> None:
    crossbar = {"method": "rate", "timesteps": 4, "input": "spikes", "decode": "counts"}
    boards = {"board": "loihi1,truenorth", "target": "truenorth", "weight_bits": 3}
    deployed = deploy("two", **boards, **crossbar)
    assert deployed.compiled("loihi1") == ()
    assert deployed.step("energy", "loihi1").status == "done"
    assert deployed.compiled("truenorth") == ("truenorth",)
    assert deployed.step("energy", "truenorth").status == "done"


def test_nothing_runs_twice(place: Path, calls: Counter[str]) -> None:
    before = read_deployed("mine").record
    lines: list[str] = []
    assert deploy(tell=lines.append).record == before
    assert not calls
    assert len(lines) == len(before.steps)
    assert all(line.split()[0] == "kept" for line in lines)
    # To name what is the default anyway changes nothing.
    deploy(seed=0, device="cpu")
    assert not calls


def test_what_was_interrupted_goes_on(
    place: Path, calls: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(board_steps, "verify", interrupted)
        with pytest.raises(KeyboardInterrupt):
            deploy("new", board="loihi2")
    assert calls == {"convert": 1, "quantize": 1, "evaluate": 2, "verdict": 1, "compile": 1}
    assert not read_deployed("new").record.finished
    calls.clear()
    deployed = deploy("new", board="loihi2")
    assert calls == {"verify": 1, "estimate_energy": 1}
    assert deployed.record.finished
    assert deployed.exact


@pytest.mark.parametrize(
    ("changed", "runs", "told"),
    [
        ({"samples": 10}, {"evaluate": 3}, "samples changed"),
        ({"verify_samples": 3}, {"verify": 1}, "samples changed"),
        ({"board": "loihi2"}, {}, None),
        (
            {"weight_bits": 6},
            {
                "quantize": 2,
                "verdict": 2,
                "compile": 1,
                "evaluate": 1,
                "verify": 1,
                "estimate_energy": 1,
            },
            "weight bits",
        ),
    ],
)
def test_a_changed_option_runs_what_depends_on_it(
    place: Path,
    calls: Counter[str],
    changed: dict[str, Any],
    runs: dict[str, int],
    told: str | None,
) -> None:
    lines: list[str] = []
    deploy(tell=lines.append, **changed)
    assert calls == runs
    again = [line for line in lines if "(again:" in line and "  report:" not in line]
    assert any(str(told) in line for line in again) if told else not again
    # The steps of a board that was not asked for are there when it is asked for again.
    calls.clear()
    deploy(**{k: v for k, v in changed.items() if k != "board"})
    assert not calls
    # And back: a file of another name was removed with the step that wrote it.
    deploy()
    assert calls == runs


def test_changed_files_run_again(place: Path, calls: Counter[str]) -> None:
    lines: list[str] = []
    (place / "mine" / "loihi2.ndn").write_bytes(b"")
    deploy(tell=lines.append)
    # The same network again: nothing behind it has to run.
    assert calls == {"convert": 1}
    assert any("loihi2.ndn changed" in line for line in lines)
    calls.clear()
    (place / "mine" / "loihi2-brian2" / "brian2.json").unlink()
    deploy()
    assert calls == {"compile": 1}
    calls.clear()
    # What the network's file imports is a part of it.
    (place / "parts.py").write_text(PARTS + "\n")
    lines.clear()
    deploy(tell=lines.append)
    assert calls == {"convert": 2}
    assert any("(again: model changed)" in line for line in lines)
    calls.clear()
    torch.manual_seed(2)
    torch.save(nn.Sequential(*module()[:3], nn.Linear(48, 4)).state_dict(), "net.pt")
    deploy()
    assert calls["convert"] == calls["quantize"] == 2
    assert calls["verify"] == 1


KILLED = """
import os, signal, sys
from neurodeploy.ir import files
from neurodeploy.stages import board_steps, keeping
import neurodeploy as nd

def dies(*arguments, **keywords):
    os.kill(os.getpid(), signal.SIGKILL)

where, board, output, options = sys.argv[1], sys.argv[2], sys.argv[3], eval(sys.argv[4])
points = {
    "a result half written": (files.os, "replace"),
    "a deployment half written": (files, "_replace_directory"),
    "a step not noted": (keeping, "file_digest"),
}
if where == "a step not noted":
    board_steps.compile = lambda *a, **k: setattr(keeping, "file_digest", dies) or real(*a, **k)
    real = nd.compile
else:
    owner, name = points[where]
    kept = getattr(owner, name)
    def at(source, path, *more):
        if str(path).endswith((".json", "-brian2")) and not str(path).endswith("deploy.json"):
            dies()
        return kept(source, path, *more)
    setattr(owner, name, at)
nd.deploy("net.py:net", "test.npz", board, output, **options)
"""


@pytest.mark.parametrize(
    "where", ["a result half written", "a deployment half written", "a step not noted"]
)
def test_killed_in_the_middle_of_a_step(place: Path, calls: Counter[str], where: str) -> None:
    changed = {"energy_samples": 3} if where == "a result half written" else {}
    if not changed:
        (place / "mine" / "loihi2-brian2" / "brian2.json").unlink()
    child = subprocess.run(
        [sys.executable, "-c", KILLED, where, "loihi2", "mine", repr({**OPTIONS, **changed})],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert child.returncode == -9, child.stderr
    before = read_deployed("mine").record
    assert not before.finished
    assert len(before.steps) == (7 if changed else 4)
    deployed = deploy(board="loihi2", **changed)
    assert deployed.record.finished
    # What was written whole again is what the earlier run had noted.
    runs = {"a result half written": "estimate_energy", "a deployment half written": "compile"}
    assert list(calls.elements()) == ([runs[where]] if where in runs else [])
    assert not list((place / "mine").rglob(".*"))


def test_an_error_after_a_file_leaves_no_folder_that_is_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(net: nd.Network, path: Path) -> None:
        net.save(path)
        raise nd.UsageError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(board_steps, "save", fails)
        with pytest.raises(nd.UsageError, match="the disk is full"):
            deploy("new", board="loihi2")
    assert not (place / "new").exists()


def test_only_its_own_files_are_replaced(place: Path) -> None:
    other = place / "other"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    with pytest.raises(nd.UsageError, match=r"other content, notes.txt; choose a new or empty one"):
        deploy(other)
    with pytest.raises(nd.UsageError, match="other content, "):
        deploy(place / "mine" / "loihi2-brian2")
    with pytest.raises(nd.UsageError, match=r"net.py: is a file; choose a folder"):
        deploy("net.py")
    # Beside the steps, the user's files are left alone; in their place, they are told.
    (place / "mine" / "notes.txt").write_text("mine")
    (place / "mine" / "loihi2-int4.ndn").write_text("mine")
    with pytest.raises(nd.UsageError, match=r"loihi2-int4.ndn: is no file of this deploy"):
        deploy(board="loihi2", weight_bits=4)
    assert (place / "mine" / "loihi2-int4.ndn").read_text() == "mine"
    deploy()
    assert (place / "mine" / "notes.txt").read_text() == "mine"
    (place / "mine" / "link").symlink_to(place / "net.py")
    with pytest.raises(nd.UsageError, match="link: a symbolic link"):
        deploy()


def test_two_at_once_are_not_mixed(place: Path, calls: Counter[str]) -> None:
    told = f"mine: process {os.getpid()} is writing here; wait until it ends, or choose another"
    before = (place / "mine" / "deploy.json").read_bytes()
    with locked(place / "mine"), pytest.raises(nd.UsageError, match=told):
        deploy(samples=3)
    assert (place / "mine" / "deploy.json").read_bytes() == before
    # What holds a new folder has not begun a step yet, or was killed before.
    with locked(place / "new"), pytest.raises(nd.UsageError, match="is writing here"):
        deploy("new")
    assert not (place / "new").exists()
    assert not calls
    (place / "new" / "steps").mkdir(parents=True)
    (place / "new" / LOCK_FILE).write_text("process 1 on another")
    assert deploy("new", board="loihi2").exact
    assert not list((place / "new").rglob(".*"))


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"board": "loihi3"}, "unknown board 'loihi3'"),
        ({"board": "loihi2,loihi2"}, "two boards are called 'loihi2'"),
        ({"board": []}, "an empty list of boards"),
        ({"board": "loihi2,"}, "board 'loihi2,': an empty name"),
        ({"weight_bits": 1}, "weight bits 1: expected 2 to 8"),
        ({"target": "loihi2"}, "unknown target 'loihi2': that is a chip"),
        ({"target": "truenorth"}, "target truenorth does not run board loihi1 or loihi2"),
        ({"calibration_data": None}, "an .npz file has no training split"),
        ({"calibration_data": "gone.npz"}, "gone.npz"),
        ({"calibration_data": "train.npz#norm=0/1", "norm": "mnist"}, "names one as well"),
        ({"norm": "cifar10"}, "normalization of 3 channels"),
        ({"weights": "gone.pt"}, "gone.pt"),
        ({"method": "rat"}, "did you mean 'rate'"),
        ({"colour": "red"}, "no option 'colour'"),
        ({"samples": 0}, "samples 0: at least 1"),
        ({"samples": "5"}, "samples '5': expected a whole number"),
        ({"target": 5}, "got a value of type int; pass names of targets as target"),
    ],
)
def test_what_is_wrong_is_one_line_and_leaves_nothing(
    place: Path, changed: dict[str, Any], reason: str
) -> None:
    with pytest.raises(nd.NeurodeployError) as told:
        deploy("new", **changed)
    assert reason in str(told.value)
    assert "\n" not in str(told.value)
    assert not (place / "new").exists()


@pytest.mark.parametrize("model", ["net.pt", "mine", "net.py:", ":net", "gone.py:net", "a.b:net"])
def test_what_is_no_network_is_told(place: Path, model: str) -> None:
    options = {k: v for k, v in OPTIONS.items() if k != "weights"}
    with pytest.raises(nd.NeurodeployError, match="model"):
        nd.deploy(model, "test.npz", "loihi2", "new", **options)
    assert not (place / "new").exists()


def test_data_of_another_network_end_the_run(place: Path) -> None:
    np.savez("large.npz", x=np.zeros((9, 1, 9, 9), np.float32), y=np.zeros(9, int))
    with pytest.raises(nd.ConversionError, match="is --data what the network was trained on"):
        deploy("new", calibration_data="large.npz")
    assert not (place / "new").exists()


def test_objects_instead_of_files(
    place: Path, calls: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    train, test = nd.Samples("train.npz"), nd.Samples("test.npz")
    with pytest.raises(nd.UsageError, match="name calibration_data as well"):
        nd.deploy(module(), test, "loihi2", "new")
    few = {k: v for k, v in OPTIONS.items() if k not in ("weights", "calibration_data")}
    for _ in range(2):
        deployed = nd.deploy(module(), test, "loihi2", "new", calibration_data=train, **few)
    assert calls["convert"] == 1
    assert deployed.record.arguments["model"] == "Sequential"
    with pytest.raises(nd.UsageError, match="norm 'mnist' is for data that a text names"):
        nd.deploy(module(), test, "loihi2", "new", calibration_data=train, norm="mnist", **few)


def test_auto_chooses_for_each_board(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def refuses(*_: object, **options: Any) -> None:
        asked.append(options)
        raise nd.CapacityError("too wide; convert with --max-pooling identity")

    monkeypatch.setattr(board_steps, "convert", refuses)
    deployed = deploy("new", method="auto", timesteps=None, max_loss=2)
    assert [options["board"].name for options in asked] == ["loihi1", "loihi2"]
    assert {options["target"] for options in asked} == {"brian2"}
    assert {options["max_loss"] for options in asked} == {2}
    lines = [step.line for step in deployed.steps if step.name == "convert"]
    assert lines == ["too wide; convert with --max-pooling identity"] * 2
    assert [step.status for step in deployed.steps] == ["refused", "refused", "left out"]
    assert not (place / "new" / "report.html").exists()
    # A refusal is a result as well.
    deploy("new", method="auto", timesteps=None, max_loss=2)
    assert len(asked) == 2


def test_what_auto_measured_a_network_with_is_what_it_gets(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = nd.convert(
        module(),
        nd.Samples("train.npz"),
        method="rate",
        timesteps=4,
        input="spikes",
        decode="counts",
    )
    widths = {"weight_bits": 3, "state_bits": 19, "max_fraction_bits": 0}
    chosen = {"method": "rate", "timesteps": 4, "text": "loses nothing", "spikes": 7.0}
    chosen |= {"quantization": widths, "options": {"split": "approximate"}}
    told = {**net.provenance, "auto": {"met": True, "chosen": chosen}}
    monkeypatch.setattr(board_steps, "convert", lambda *_, **__: replace(net, provenance=told))
    deployed = deploy("new", board="truenorth", target=None, method="auto", timesteps=None)
    lines = {step.name: step.line for step in deployed.steps}
    assert lines["convert"] == "rate at T = 4 loses nothing, 7 spikes an inference"
    assert lines["quantize"].startswith("weights of 3 bits")
    network = deployed.network("truenorth")
    assert network is not None
    assert {p.weight_bits for p in network.integer.projections} == {3}
    assert (place / "new" / "truenorth-int3.ndn").is_file()
    compiled = deployed.result(deployed.step("compile", "truenorth", "truenorth"))
    assert compiled is not None
    assert compiled["options"]["split"] == "approximate"
    # Whether it fits, only its compilation tells.
    assert "verdict" not in lines
    assert "per inference on" in lines["energy"]


COMMAND = ["deploy", "net.py:net", "net.pt", "--data", "test.npz", "--calibration-data"]
COMMAND += ["train.npz", "--target", "brian2", "--method", "graded", "--timesteps", "2"]
COMMAND += ["--samples", "20", "--verify-samples", "2", "--energy-samples", "4", "-o", "mine"]


def test_on_the_command_line(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*COMMAND, "--board", "loihi1,loihi2", "--json"]) == 0
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    assert told["answers"]["loihi1"] == "cannot run it"
    assert told["answers"]["loihi2"].startswith("fits")
    assert told["exact"]
    assert [step["status"] for step in told["steps"]].count("refused") == 1
    assert all(step["result"] is not None for step in told["steps"][:-1])
    # The folder was made from Python, with the same options.
    assert printed.err.count("kept") == len(told["steps"])

    assert run([*COMMAND, "--board", "loihi2"]) == 0
    out = capsys.readouterr().out
    assert "brian2 exact" in out
    commands = [line.strip() for line in out.partition("next:")[2].splitlines() if "mine/" in line]
    assert f"neurodeploy inspect mine{os.sep}loihi2-int8.ndn" in commands[1]
    # No more samples than there are known to be.
    given = [line.partition("--samples ")[2].split()[0] for line in commands[2:]]
    assert given == ["20", "20", "20", "5"]
    assert run(commands[1].split()[1:]) == 0
    capsys.readouterr()

    assert run([*COMMAND, "--board", "loihi1"]) == 2
    printed = capsys.readouterr()
    assert "cannot run it" in printed.out
    assert printed.err.splitlines()[-1] == (
        "neurodeploy: error: deploy: board loihi1 cannot run the network; the reason is told above"
    )
    assert run([*COMMAND, "--board", "loihi2", "--weights", "net.pt"]) == 2
    assert "leave one out" in capsys.readouterr().err


def test_the_error_stands_in_the_table_where_answers_are_no_classes(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = Deployed.result

    def values(deployed: Deployed, step: Any) -> dict[str, Any] | None:
        found = result(deployed, step)
        if step is None or not step.name.startswith("evaluate"):
            return found
        error = {"2": {"output": {"mean": 0.01, "worst": 0.021}}}
        return {**found, "accuracy": {"2": None}, "source_accuracy": None, "relative_error": error}

    monkeypatch.setattr(Deployed, "result", values)
    table, *reasons = deployed_parts(read_deployed("mine"))
    assert table.columns[:4] == ("board", "verdict", "error", "verified")
    assert table.cells[1][2] == "2.1 %"
    assert reasons[-1].startswith("error: of the worst output against the source network's")


def test_a_mismatch_is_status_1(
    workshop: Workshop,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    false = replace(workshop.verified, mismatches={"reference": {"relu_1": 3}})
    monkeypatch.setattr(board_steps, "verify", lambda *_, **__: false)
    assert run([*COMMAND, "--board", "loihi2", "--verify-samples", "1"]) == 1
    out = capsys.readouterr().out
    assert "NOT EXACT: 3 mismatches" in out
    assert "brian2 NOT EXACT" in out


def test_warnings_are_told_again_where_a_step_is_kept(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert = board_steps.convert

    def warns(*given: Any, **options: Any) -> nd.Network:
        keeping.warn_user("take care")
        return convert(*given, **options)

    monkeypatch.setattr(board_steps, "convert", warns)
    for _ in range(2):
        with pytest.warns(nd.NeurodeployWarning, match="take care"):
            deployed = deploy(board="loihi2", seed=3)
    step = deployed.step("convert", "loihi2")
    assert step is not None
    assert "take care" in step.warnings


def test_software_that_is_missing_leaves_out_and_runs_once_it_is_there(
    place: Path, monkeypatch: pytest.MonkeyPatch, calls: Counter[str]
) -> None:
    target = TARGETS.get("brian2")
    with monkeypatch.context() as patch:
        patch.setattr(target, "unavailable", classmethod(lambda _: "brian2 is not installed"))
        deployed = deploy(board="loihi2")
        step = deployed.step("verify", "loihi2", "brian2")
        assert step is not None
        assert (step.status, step.line) == ("left out", "brian2 is not installed")
    calls.clear()
    assert deploy(board="loihi2").exact
    assert calls["verify"] == 1
