"""An approximation through the commands: named, told, and its deviation printed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="convert needs torch")

from neurodeploy.cli import run  # noqa: E402

NETWORK = """
import torch
from torch import nn

def wide():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 12, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(),
        nn.Linear(192, 12), nn.ReLU(), nn.Linear(12, 10),
    )
"""
CONVERT = (
    *("convert", "nets.py:wide", "--method", "rate", "--data", "digits", "--timesteps", "12"),
    *("--calibration-samples", "40", "--input", "spikes", "--decode", "counts", "-o", "net.ndn"),
)
QUANTIZE = ("quantize", "net.ndn", "--weight-bits", "4", "--max-fraction-bits", "0")
COMPILE = ("compile", "net4.ndn", "--target", "truenorth")
APPROXIMATE = ("--option", "split=approximate")

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("approximation")
    (folder / "nets.py").write_text(NETWORK)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run(list(CONVERT)) == 0
        assert run([*QUANTIZE, "-o", "net4.ndn"]) == 0
        assert run([*COMPILE, *APPROXIMATE, "-o", "cores"]) == 0
    return folder


@pytest.fixture
def command(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    monkeypatch.chdir(folder)

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(list(arguments))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_compile_names_what_it_approximates(command: Command) -> None:
    code, out, _ = command(*COMPILE, *APPROXIMATE, "-o", "again")
    assert code == 0
    (line,) = [line for line in out.splitlines() if line.startswith("approximated: ")]
    assert line.startswith("approximated: relu_4 in ")
    assert " chunks, a spike worth " in line
    assert line.endswith("(from calibration means); deviation: measured by `neurodeploy verify`")
    code, out, _ = command(*COMPILE, *APPROXIMATE, "--check")
    assert code == 0
    assert out.startswith("wide: target truenorth computes an approximation exactly: relu_4 in ")
    code, out, _ = command("inspect", "cores")
    assert line in out


def test_nothing_is_approximated_silently(command: Command) -> None:
    code, _, err = command(*COMPILE, "-o", "no")
    assert code == 2
    assert len(err.splitlines()) == 1
    assert 'or compile with split="exact" or split="approximate"' in err
    code, _, err = command(*COMPILE, "--option", "split=maybe", "-o", "no")
    assert code == 2
    assert err.splitlines() == [
        "neurodeploy: error: target truenorth: split 'maybe'; expected one of none, exact, "
        "approximate"
    ]


def test_verify_prints_and_tells_the_deviation(command: Command) -> None:
    verify = ("verify", "cores", "--against", "reference", "--data", "digits", "--samples", "6")
    code, out, _ = command(*verify)
    assert code == 0
    assert "deviation of the stated netlist, which was approximated, from the given one:" in out
    assert "same class as the given netlist: " in out
    assert out.splitlines()[-1].startswith("exact: 0 mismatches against reference in ")
    code, out, _ = command(*verify, "--json")
    told = json.loads(out)
    assert told["exact"] is True
    deviation = told["deviation"]
    assert set(deviation["populations"]) == {"relu_1", "relu_4", "output"}
    assert deviation["populations"]["relu_1"]["differing"] == 0
    assert deviation["populations"]["relu_4"]["differing"] > 0
    for name in ("top1", "accuracy_given", "accuracy_stated"):
        assert 0 <= deviation[name] <= 1


def test_energy_of_an_approximation(command: Command) -> None:
    energy = ("energy", "cores", "--board", "truenorth", "--data", "digits", "--samples", "2")
    code, out, _ = command(*energy, "--json")
    assert code == 0
    assert "truenorth" in out
    code, _, _ = command(*(a if a != "truenorth" else "ns16e" for a in energy))
    assert code == 0
