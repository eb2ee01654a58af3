"""Pipes, devices and files without end are refused in a line, whatever they stand for."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from neurodeploy.cli import run
from tests.bad_input.conftest import Refused

DIGITS = ("--data", "digits", "--samples", "1")
CONVERT = ("--data", "digits", "--method", "rate", "-o", "x.ndn")
ENERGY = ("energy", "net8.ndn", *DIGITS)
INPUTS: dict[str, tuple[str, ...]] = {
    "x.ndn": ("inspect", "{}"),
    "y.ndn": ("evaluate", "{}", *DIGITS),
    "z.ndn": ("quantize", "{}", "-o", "q.ndn"),
    "x.pt": ("convert", "nets.py:tiny", "--weights", "{}", *CONVERT),
    "x.pt2": ("convert", "{}", *CONVERT),
    "x.onnx": ("convert", "{}", *CONVERT),
    "x.py": ("convert", "{}:tiny", *CONVERT),
    "x.nir": ("import", "{}", "--dynamics", "exact", "--dt", "1e-4", "-o", "x.ndn"),
    "x.net": ("import", "{}", "--timesteps", "4", "-o", "x.ndn"),
    "x.npz": ("evaluate", "net8.ndn", "--data", "{}"),
    "data.py": ("evaluate", "net8.ndn", "--data", "{}:make"),
    "x.toml": (*ENERGY, "--board", "{}"),
    "y.toml": ("boards", "{}"),
    "x.json": (*ENERGY, "--board", "loihi2", "--placement", "{}"),
    "x.csv": (*ENERGY, "--board", "loihi2", "--placement", "{}"),
    **{
        f"x.{ending}": ("run", "brian", "--samples", "1", "--data", "events:{}#steps=4,size=4x4")
        for ending in ("bin", "aedat", "aedat4", "dat", "raw", "h5")
    },
    "labels.txt": ("run", "brian", "--data", "events:rec#steps=4,size=4x4,labels={}"),
    "folder/a/x.png": ("evaluate", "net8.ndn", "--data", "imagefolder:folder"),
    "mnist/t10k-images-idx3-ubyte": ("evaluate", "net8.ndn", "--data", "mnist:mnist"),
    "cifar/test_batch.bin": ("evaluate", "net8.ndn", "--data", "cifar10:cifar"),
    "brian/deployment.json": ("run", "brian", *DIGITS),
    "brian/brian2.json": ("run", "brian", "--no-check", *DIGITS),
    "brian/brian2.safetensors": ("run", "brian", "--no-check", *DIGITS),
    "brian/net.ndn": ("inspect", "brian"),
    "cores/cores.json": ("run", "cores", "--no-check", *DIGITS),
    "cores/cores.safetensors": ("run", "cores", "--no-check", *DIGITS),
    "cores/populations.json": ("run", "cores", "--no-check", *DIGITS),
    "cores/populations.safetensors": ("run", "cores", "--no-check", *DIGITS),
}
NEEDS = {".onnx": "onnx", ".nir": "h5py", ".net": "h5py", ".h5": "h5py", ".png": "PIL"}
"""Packages of optional formats, by the ending of their files."""


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    """What is read without end, or waited for, ends the test."""
    signal.alarm(60)
    yield
    signal.alarm(0)


@pytest.mark.parametrize("name", INPUTS)
def test_what_is_no_file(name: str, refused: Refused, workshop: Path) -> None:
    path = workshop / name
    if path.suffix in NEEDS:
        pytest.importorskip(NEEDS[path.suffix], reason="an optional format")
    recordings(workshop)
    path.parent.mkdir(parents=True, exist_ok=True)
    for make in (os.mkfifo, lambda p: p.symlink_to("/dev/zero")):
        path.unlink(missing_ok=True)
        make(path)
        assert path.name in refused(*(part.format(name) for part in INPUTS[name]))


@pytest.mark.parametrize("name", ["x.ndn", "x.toml", "x.json", "x.csv", "labels.txt", "x.onnx"])
def test_files_larger_than_what_they_stand_for(
    name: str, workshop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if name == "x.onnx":
        pytest.importorskip("onnx", reason="an optional format")
    recordings(workshop)
    with (workshop / name).open("wb") as file:
        file.truncate(2**43)
    assert run([part.format(name) for part in INPUTS[name]]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{name}: {2**43} bytes" in line


def recordings(workshop: Path) -> None:
    """A folder with one recording, for tables of labels."""
    (workshop / "rec").mkdir()
    (workshop / "rec" / "a.bin").write_bytes(bytes(5))
