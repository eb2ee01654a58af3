"""A workshop with small networks, and the one way in which bad input may end."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the networks of these tests are made with torch")

from neurodeploy.cli import run  # noqa: E402

NETWORKS = """
import torch
from torch import nn

class Scaled(nn.Module):
    def forward(self, x):
        return torch.nn.functional.layer_norm(x, x.shape[1:])

def tiny(width=4, classes=10, hidden=nn.ReLU):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, width, 3, stride=2, padding=1), hidden(), nn.Flatten(),
        nn.Linear(16 * width, classes),
    )

def unsupported():
    return tiny(hidden=Scaled)

def few_classes():
    return tiny(classes=5)

def wide():
    return tiny(width=5)

def colour():
    return nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 10))

def crossbar():
    return tiny(width=2)

def large():
    return tiny(width=20)
"""

Refused = Callable[..., str]


def in_folder(folder: Path, *arguments: str) -> None:
    """Run a command that must succeed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run(list(arguments)) == 0


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Networks, weights, netlists and deployments, made once."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "nets.py").write_text(NETWORKS)
    namespace: dict[str, Callable[[], torch.nn.Module]] = {}
    exec(NETWORKS, namespace)
    torch.save(namespace["tiny"]().state_dict(), folder / "tiny.pt")
    few = ("--calibration-samples", "40")
    convert = (
        "convert",
        "nets.py:tiny",
        "--data",
        "digits",
        "--method",
        "rate",
        "--timesteps",
        "4",
        *few,
    )
    in_folder(folder, *convert, "--weights", "tiny.pt", "-o", "net.ndn")
    in_folder(folder, "quantize", "net.ndn", "-o", "net8.ndn")
    for factory, name in (("crossbar", "spiking"), ("large", "large")):
        in_folder(
            folder,
            *(
                "convert",
                f"nets.py:{factory}",
                "--data",
                "digits",
                "--method",
                "rate",
                "--timesteps",
                "4",
                *few,
            ),
            *("--input", "spikes", "--decode", "counts", "-o", f"{name}.ndn"),
        )
        in_folder(folder, "quantize", f"{name}.ndn", "--weight-bits", "3", "-o", f"{name}3.ndn")
    in_folder(folder, "compile", "spiking3.ndn", "--target", "truenorth", "-o", "cores")
    in_folder(folder, "compile", "net8.ndn", "--target", "brian2", "-o", "brian")
    return folder


@pytest.fixture
def workshop(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of everything, as the working directory."""
    folder = tmp_path / "workshop"
    shutil.copytree(made, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    return folder


def snapshot(folder: Path) -> dict[str, str]:
    """Every file and folder with a digest of its content."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else ""
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture
def refused(workshop: Path, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Run a command that must end with status 2, one line, and nothing written."""

    def check(*arguments: str | Path, out: bool = False) -> str:
        before = snapshot(workshop)
        capsys.readouterr()
        status = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert status == 2, captured.err
        assert bool(captured.out) == out
        lines = captured.err.splitlines()
        assert len(lines) == 1, captured.err
        assert lines[0].startswith("neurodeploy: error: ")
        assert "Traceback" not in lines[0]
        assert len(lines[0]) < 500
        assert snapshot(workshop) == before
        return lines[0].removeprefix("neurodeploy: error: ")

    return check
