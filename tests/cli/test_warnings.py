"""What calibration left silent is told once, in one line."""

from __future__ import annotations

import warnings

import pytest

torch = pytest.importorskip("torch")

import neurodeploy as nd  # noqa: E402
from neurodeploy.cli import run  # noqa: E402

MODEL = """
import torch
from torch import nn

def make():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 10))
    with torch.no_grad():
        net[1].bias[3] = -1000.0
    return net
"""
TEXT = "relu_2: 1 of 8 channels silent on all calibration images"


def test_python_gets_a_warning_at_its_own_line() -> None:
    space: dict[str, object] = {}
    exec(MODEL, space)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        nd.convert(space["make"](), "digits", method="graded", timesteps=2)  # type: ignore[operator]
    told = [w for w in caught if w.category is nd.NeurodeployWarning]
    (warning,) = [w for w in told if str(w.message).startswith(TEXT)]
    assert {w.filename for w in told} == {__file__}
    assert warning.filename == __file__


def test_the_command_prints_it_once(
    tmp_path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(MODEL)
    given = ("--data", "digits", "--method", "graded", "--samples", "3", "--timesteps", "1,2")
    for _ in range(2):
        assert run(["evaluate", "net.py:make", *given]) == 0
        lines = capsys.readouterr().err.splitlines()
        assert [line for line in lines if "silent" in line] == [
            f"warning: {TEXT}, their thresholds are guesses; use more or other images"
        ]
