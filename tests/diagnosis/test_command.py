"""``neurodeploy diagnose``: files and models, JSON, plots, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import neurodeploy as nd
from neurodeploy.cli import run
from neurodeploy.render.diagnosis import diagnosis_parts
from tests.diagnosis.networks import converted, dataset

FACTORY = """
import torch
from torch import nn

def small():
    torch.manual_seed(3)
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with data, a netlist and the factory of a model."""
    data = dataset("test", 16)
    np.savez(tmp_path / "data.npz", x=data.x, y=data.y)
    nd.save(nd.quantize(converted()), tmp_path / "net.ndn")
    (tmp_path / "model.py").write_text(FACTORY, encoding="utf-8")
    return tmp_path


def spec(folder: Path) -> str:
    return f"{folder / 'data.npz'}#range=0,1"


def test_a_netlist_with_plots(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    plots = files / "plots"
    command = ["diagnose", str(files / "net.ndn"), "--data", spec(files)]
    assert run([*command, "--plots", str(plots), "--samples", "9"]) == 0
    out = capsys.readouterr().out
    assert "9 samples, T = 8" in out
    assert "loses most itself: " in out
    names = ["1-relu_1.png", "2-max_pool_2.png", "3-relu_5.png", "4-output.png", "summary.png"]
    assert sorted(p.name for p in plots.iterdir()) == names
    assert all(p.read_bytes().startswith(b"\x89PNG") for p in plots.iterdir())
    before = sorted(files.iterdir())
    assert run([*command, "--plots", str(plots)]) == 2
    assert "other content, 1-relu_1.png; choose a new or empty one" in capsys.readouterr().err
    assert sorted(files.iterdir()) == before


def test_a_plot_that_fails_leaves_no_folder(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    from neurodeploy.render import diagnosis_plots

    found = nd.diagnose(files / "net.ndn", spec(files))

    def fail(*_: object) -> None:
        raise RuntimeError("no summary")

    monkeypatch.setattr(diagnosis_plots, "summary_figure", fail)
    before = sorted(files.iterdir())
    with pytest.raises(RuntimeError, match="no summary"):
        diagnosis_plots.write_plots(found, files / "plots")
    assert sorted(files.iterdir()) == before


def test_a_model_for_several_steps(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["diagnose", f"{files / 'model.py'}:small", "--data", spec(files), "--json"]
    options = ["--timesteps", "4,2", "--weight-bits", "4", "--method", "graded"]
    options += ["--calibration-data", spec(files)]
    assert run([*command, *options]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["timesteps"] == 4
    assert list(told["accuracy"]) == ["2", "4"]
    assert list(told["prefix_accuracy"]) == ["1", "2", "3", "4"]
    assert all(one["errors"]["weight_bits"] is not None for one in told["layers"])


@pytest.mark.parametrize(
    "options",
    [("--timesteps", "4"), ("--weight-bits", "8"), ("--method", "graded")],
    ids=lambda o: o[0],
)
def test_a_netlist_takes_no_conversion(
    files: Path, options: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["diagnose", str(files / "net.ndn"), "--data", spec(files), *options]) == 2
    assert f"diagnose: {options[0]} is for a model" in capsys.readouterr().err


def test_outputs_without_classes_are_shown_in_their_units() -> None:
    nets = [converted(T, outputs=1) for T in (8, 4)]
    found = nd.diagnose(nets[0], dataset("test", 12, labels=False), others=nets[1:])
    text = "\n\n".join(diagnosis_parts(found))
    assert "in the units of" in text
    assert "linear_6" in text
    assert "T = 4" in text
    assert "accuracy" not in text
