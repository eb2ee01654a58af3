"""The whole path through the commands, on a small network and the embedded digits."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="convert needs torch")

import neurodeploy as nd  # noqa: E402
from neurodeploy.cli import run  # noqa: E402
from neurodeploy.cli.quantize import quantized  # noqa: E402

NETWORK = """
import torch
from torch import nn

def tiny():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, stride=2, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(12, 10),
    )
"""
CONVERT = (
    "convert",
    "nets.py:tiny",
    "--method",
    "rate",
    "--data",
    "digits",
    "--calibration-samples",
    "40",
)

NOTE = "note: no --weights: the network is used as the factory makes it\n"

Command = Callable[..., str]


def besides_the_source(err: str) -> str:
    """What is printed but of the untrained source network and of auto."""
    known = ("source network: ", "warning: source network: ", "auto: ", "warning: auto: ")
    lines = err.splitlines(keepends=True)
    return "".join(x for x in lines if not (x.startswith(known) or "below 0.98" in x))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("path")
    (folder / "nets.py").write_text(NETWORK)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run([*CONVERT, "--timesteps", "8", "-o", "net.ndn"]) == 0
        assert run(["quantize", "net.ndn", "--weight-bits", "6,output=4", "-o", "net6.ndn"]) == 0
        assert run(["compile", "net6.ndn", "--target", "brian2", "-o", "brian"]) == 0
    return folder


@pytest.fixture
def command(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Run a command; return what it printed."""
    monkeypatch.chdir(folder)

    def call(*arguments: str, status: int = 0, gives_up: str = "") -> str:
        capsys.readouterr()
        code = run(list(arguments))
        captured = capsys.readouterr()
        printed = besides_the_source(captured.err)
        if gives_up:
            # Layer and bits; what they leave is at hand, and the remedy.
            assert printed.startswith(f"warning: {gives_up} weight bits are given up for the width")
            assert printed.count("\n") == 1
            printed = ""
        assert (code, printed) == (status, NOTE * (arguments[0] == "convert"))
        return captured.out

    return call


@pytest.fixture
def result(command: Command) -> Callable[..., dict[str, Any]]:
    """Run a command with ``--json``; return what it printed."""

    def call(*arguments: str, **expected: Any) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(command(*arguments, "--json", **expected))
        return value

    return call


def test_convert_tells_what_it_made(command: Command, folder: Path) -> None:
    out = command(*CONVERT, "--timesteps", "8", "-o", "again.ndn")
    assert out.startswith("tiny: real-valued netlist, T = 8, depth 3, ")
    assert out.endswith("wrote again.ndn\n")


def test_the_same_command_writes_the_same_bytes(command: Command, folder: Path) -> None:
    command(*CONVERT, "--timesteps", "8", "-o", "same.ndn")
    first = (folder / "same.ndn").read_bytes()
    command(*CONVERT, "--timesteps", "8", "-o", "same.ndn")
    assert (folder / "same.ndn").read_bytes() == first


def test_options_of_the_method_and_the_encoding_reach_the_file(result: Any) -> None:
    made = result(
        *(*CONVERT, "--timesteps", "6", "--input", "poisson", "--decode", "counts"),
        *("--normalization", "percentile", "--percentile", "99", "--scope", "layer"),
        *("--reset", "zero", "--initial-membrane", "0.25", "--max-pooling", "identity"),
        *(
            "--bias-correction",
            "2",
            "--input-levels",
            "32",
            "--seed",
            "5",
            "--name",
            "other",
            "-o",
            "other.ndn",
        ),
    )
    provenance = made["provenance"]
    assert provenance["method"] == {
        "name": "rate",
        "timesteps": 6,
        "normalization": "percentile",
        "scope": "layer",
        "percentile": 99.0,
        "range_floor": 0.0,
        "reset": "zero",
        "levels": 0,
        "initial_membrane": 0.25,
        "decode": "counts",
        "max_pooling": "identity",
        "average_pooling": "auto",
        "leaky": "units",
        "activation_units": 6,
        "bias_correction": 2,
        "membrane_correction": 0,
        "threshold_search": False,
        "weight_correction": False,
    }
    (encoding,) = made["encodings"].values()
    assert (encoding["encoder"], encoding["levels"], encoding["seed"]) == ("poisson", 32, 5)
    assert (made["name"], made["timesteps"], provenance["seed"]) == ("other", 6, 5)
    assert made["outputs"][0]["decode"] == "counts"
    assert provenance["calibration"] == {"data": "digits", "split": "train", "indices": [[0, 39]]}


def test_auto_takes_the_shortest_run_within_the_budget_and_says_why(
    result: Any, command: Command, folder: Path
) -> None:
    few = ("convert", "nets.py:tiny", "--data", "digits", "--calibration-samples", "40")
    made = result(*few, "--max-loss", "5", "-o", "auto.ndn")
    told = made["provenance"]["auto"]
    assert told["met"]
    assert told["judged_samples"] == 512
    assert (made["provenance"]["method"]["name"], made["timesteps"]) == ("graded", 1)
    board = ("--board", "loihi1", "--max-pooling", "identity")
    binary = result(*few, "--max-loss", "30", *board, "-o", "binary.ndn")
    told = binary["provenance"]["auto"]
    assert binary["provenance"]["method"]["name"] == "rate"
    assert [t["refused"] is None for t in told["tried"]][:3] == [False] * 3
    short = result(*few, "--max-loss", "0", "--max-timesteps", "1", "-o", "short.ndn")
    told = short["provenance"]["auto"]
    assert told["met"] or "allow more --max-timesteps" in told["reason"]


def test_a_budget_is_for_auto(folder: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(folder)
    assert run([*CONVERT, "--max-loss", "1", "-o", "x.ndn"]) == 2
    assert "max_loss 1.0: is for --method auto, got rate" in capsys.readouterr().err


def test_weights_that_were_not_given_are_recorded(
    command: Command, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = nd.load(folder / "net6.ndn").provenance["source"]
    assert source == {"model": "nets.py:tiny", "name": "tiny", "weights": None}
    assert "\n    weights: none\n" in command("inspect", "net6.ndn")
    namespace: dict[str, Any] = {}
    exec(NETWORK, namespace)
    torch.save(namespace["tiny"]().state_dict(), folder / "given.pt")
    assert run([*CONVERT, "--weights", "given.pt", "-o", "given.ndn"]) == 0
    assert besides_the_source(capsys.readouterr().err) == ""
    assert nd.load(folder / "given.ndn").provenance["source"]["weights"] == "given.pt"


def test_set_reaches_the_method_too(result: Any) -> None:
    made = result(*CONVERT, "--set", "percentile=98", "-o", "set.ndn")
    assert made["provenance"]["method"]["percentile"] == 98.0


def test_every_command_is_recorded(result: Any) -> None:
    commands = result("inspect", "brian")["provenance"]["commands"]
    assert [c[1] for c in commands] == ["convert", "quantize", "compile"]
    assert commands[1] == [
        *("neurodeploy", "quantize", "net.ndn", "--weight-bits", "6,output=4", "-o", "net6.ndn")
    ]


def test_quantize_reports_layer_by_layer(command: Command, result: Any) -> None:
    report = result("quantize", "net.ndn", "--weight-bits", "6,output=4", "-o", "q.ndn")["report"]
    assert {row["layer"]: row["weight_bits"] for row in report} == {"relu_1": 6, "output": 4}
    assert all(row["weight_snr_db"] > 5 for row in report)
    shown = command("quantize", "net.ndn", "--max-fraction-bits", "0", "-o", "q.ndn")
    assert "SNR/dB" in shown
    assert "(fraction bits: bits of the membrane below one weight step)" in shown
    assert "lost" not in shown
    narrow = ("quantize", "net.ndn", "--state-bits", "10", "-o", "q.ndn")
    few = command(*narrow, gives_up="relu_1: up to 7 of 8")
    assert "bits  lost  levels" in few
    assert "\n(lost: weight bits given up to keep the states in their width; fraction" in few


def test_quantize_rounds_against_data(command: Command, result: Any) -> None:
    few = ("quantize", "net.ndn", "--weight-bits", "3", "-o", "q.ndn")
    against = (*few, "--data", "digits", "--calibration-samples", "30")
    found = result(*against)
    assert found["calibration"] == {"data": "digits", "split": "train", "indices": [[0, 29]]}
    for row in found["report"]:
        assert row["compensated"]
        assert row["input_snr_db"] > row["weight_snr_db"]
    shown = command(*against)
    assert "input SNR/dB" in shown
    assert "\n(input SNR: on samples that weights were rounded against; fraction bits" in shown
    assert result(*few, gives_up="output: up to 1 of 3")["calibration"] is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--calibration-samples", "30"), "--calibration-samples: of no data; give --data SPEC"),
        (("--data", "digits@test"), "calibration reads training images only"),
    ],
)
def test_quantize_refuses_other_data(
    folder: Path, monkeypatch, capsys, options: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(folder)
    assert run(["quantize", "net.ndn", "-o", "never.ndn", *options]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert not Path("never.ndn").exists()


def test_models_of_few_bits_are_rounded_against_their_calibration_data(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    net = nd.load("net.ndn")
    for text, expected in (("8", None), ("8,output=4", "digits"), ("3", "digits")):
        made = quantized(net, text, "digits", None).provenance["quantization"]
        assert (made["calibration"] or {"data": None})["data"] == expected


def test_run_writes_outputs_and_spikes(command: Command, result: Any, folder: Path) -> None:
    out = command("run", "brian", "--data", "digits", "--samples", "6", "-o", "out.npz")
    assert "accuracy: " in out
    told = result("run", "brian", "--data", "digits", "--samples", "6")
    with np.load(folder / "out.npz", allow_pickle=False) as arrays:
        assert arrays["outputs"].shape == (6, 10)
        assert (arrays["outputs"].argmax(axis=1) == arrays["classes"]).all()
        assert told["accuracy"] == (arrays["classes"] == arrays["labels"]).mean()
        assert arrays["spikes.relu_1"].shape == (6, 8, 3, 4, 4)
        assert arrays["spikes.relu_1"].dtype == np.int8
        assert np.count_nonzero(arrays["spikes.relu_1"]) == told["spikes"]["relu_1"] > 0
    assert (
        told["spikes_per_inference"]
        == (told["spikes"]["relu_1"] + told["spikes"]["max_pool_2"]) / 6
    )


def test_run_in_several_parts_is_the_same(
    command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from neurodeploy.execution import batches

    def arrays() -> dict[str, Any]:
        command("run", "brian", "--data", "digits", "--samples", "5", "-o", "parts.npz")
        with np.load(folder / "parts.npz") as found:
            return dict(found)

    whole = arrays()
    monkeypatch.setattr(batches, "BATCH_BYTES", 2 * 8 * 8 * (64 + 48 + 12 + 10))
    parts = arrays()
    assert whole.keys() == parts.keys()
    assert all(np.array_equal(whole[name], parts[name]) for name in whole)


def test_verify_is_exact_and_ends_with_0(command: Command, result: Any) -> None:
    data = ("--against", "reference,engine", "--data", "digits", "--samples", "3")
    told = result("verify", "brian", *data)
    assert told["exact"] is True
    assert told["first_divergence"] is None
    assert told["mismatches"]["reference"] == {"relu_1": 0, "max_pool_2": 0, "output": 0}
    assert told["compared_neuron_steps"]["relu_1"] == 3 * 8 * 48
    assert "exact: 0 mismatches against reference, engine in" in command("verify", "brian", *data)


def test_verify_ends_with_1_on_a_mismatch(command: Command, result: Any, folder: Path) -> None:
    import shutil

    from safetensors.numpy import load_file, save_file

    shutil.copytree(folder / "brian", folder / "changed")
    path = folder / "changed" / "brian2.safetensors"
    arrays = load_file(path)
    name = "netlist.projections.0.connectivity.weight"
    weights = arrays[name].copy()
    weights //= 2
    save_file({**arrays, name: weights}, path)
    arguments = ("verify", "changed", "--against", "reference", "--data", "digits", "--no-check")
    told = result(*arguments, "--samples", "3", status=1)
    assert told["exact"] is False
    assert told["mismatches"]["reference"]["relu_1"] > 0
    first = told["first_divergence"]
    assert (first["population"], first["executor"]) == ("relu_1", "reference")
    assert first["membrane"]["deployment"] != first["membrane"]["executor"]
    out = command(*arguments, "--samples", "3", status=1)
    assert f"reference: first divergence at step {first['step']} of sample" in out
    assert "NOT exact" in out.splitlines()[-1]


def test_verify_notes_that_a_target_is_compared_with_itself(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    arguments = ["verify", "brian", "--data", "digits", "--samples", "1", "--against"]
    assert run([*arguments, "brian2"]) == 0
    (note,) = capsys.readouterr().err.splitlines()
    assert note.startswith("note: the deployment was compared with a fresh compilation")
    assert run([*arguments, "reference"]) == 0
    assert besides_the_source(capsys.readouterr().err) == ""


def test_evaluate_a_file(command: Command, result: Any) -> None:
    told = result("evaluate", "net6.ndn", "--data", "digits", "--samples", "50")
    assert told["samples"] == 50
    assert told["timesteps"] == [8]
    assert list(told["prefix_accuracy"]) == [str(t) for t in range(1, 9)]
    assert told["prefix_accuracy"]["8"] == told["accuracy"]["8"]
    assert told["agreement"]["8"] > 0.8
    assert {"source_accuracy", "spikes_per_inference", "tie_share"} <= set(told)
    assert "agreement" in command("evaluate", "net6.ndn", "--data", "digits", "--samples", "50")


def test_evaluate_converts_anew_for_every_number_of_steps(result: Any, folder: Path) -> None:
    torch.manual_seed(1)
    namespace: dict[str, Any] = {}
    exec(NETWORK, namespace)
    torch.save(namespace["tiny"]().state_dict(), folder / "tiny.pt")
    told = result(
        *("evaluate", "nets.py:tiny", "--weights", "tiny.pt", "--data", "digits#first=60"),
        *("--timesteps", "8,16", "--weight-bits", "6,output=4", "--calibration-samples", "40"),
        *("--method", "rate"),
    )
    assert told["samples"] == 60
    assert set(told["accuracy"]) == {"8", "16"}
    # What a model of few bits is rounded against, a file is told.
    few = ("--weight-bits", "6,output=4", "--data", "digits")
    result("quantize", "net.ndn", *few, "-o", "against.ndn")
    single = result("evaluate", "against.ndn", "--data", "digits#first=60")
    assert told["accuracy"]["8"] == single["accuracy"]["8"]
    assert told["spikes_per_inference"]["8"] == single["spikes_per_inference"]["8"]


def test_inspect(command: Command, result: Any) -> None:
    told = result("inspect", "net6.ndn")
    conv, pool, dense = told["projections"]
    assert (conv["synapses"], conv["parameters"], conv["weight_bits"]) == (363, 27, 6)
    assert (pool["synapses"], dense["synapses"], dense["weight_bits"]) == (48, 120, 4)
    assert (told["synapses"], told["parameters"]) == (363 + 48 + 120, 27 + 48 + 120)
    assert (told["neurons"], told["inputs"], told["depth"]) == (48 + 12 + 10, 64, 3)
    assert "deployment" not in told
    real = result("inspect", "net.ndn", "--engine")["engine"]
    assert real["reason"] == "a real-valued netlist: it runs on PyTorch"
    assert len(result("inspect", "brian", "--engine")["engine"]) == len(real)
    assert result("inspect", "brian")["deployment"]["target"] == "brian2"
    shown = command("inspect", "brian")
    assert "deployment for target brian2" in shown
    assert "neurodeploy convert nets.py:tiny" in shown


def test_inspect_text_is_the_printed_netlist(command: Command, folder: Path) -> None:
    from neurodeploy.ir.printer import print_netlist

    network: Any = nd.load(folder / "net6.ndn")
    assert command("inspect", "net6.ndn", "--text") == print_netlist(network.netlist)
    assert command("inspect", "brian", "--text") == print_netlist(network.netlist)


def test_check_says_that_it_fits(command: Command) -> None:
    out = command("compile", "net6.ndn", "--target", "brian2", "--check")
    assert out == "tiny: target brian2 computes it exactly\n"


def test_compile_options_reach_the_deployment(result: Any) -> None:
    told = result(
        *("compile", "net6.ndn", "--target", "brian2", "--option", "max-synapses=99", "-o", "b99")
    )
    assert told["options"]["max_synapses"] == 99


def test_targets_and_methods(command: Command, result: Any) -> None:
    found = result("targets")["targets"]
    assert list(found) == ["lava", "lava-stock", "brian2", "truenorth"]
    assert found["truenorth"]["available"] is True
    assert found["truenorth"]["default_board"] == "truenorth"
    assert found["brian2"]["options"]["codegen"] == "numpy"
    help_ = found["lava"]["option_help"]["execution"]
    assert help_["values"] == "auto|in-process|worker"
    assert help_["meaning"].startswith("Where Lava runs")
    assert all(
        help_["values"] and help_["meaning"]
        for target in found.values()
        for help_ in target["option_help"].values()
    )
    assert "|".join(("auto", "copies", "splitters")) in command("targets")
    assert result("methods")["methods"]["rate"]["options"]["normalization"] == "mse"
    for name in ("targets", "methods"):
        assert command(name).splitlines()[0].split()[0] == name.rstrip("s")
