"""Networks in .pt2 and .onnx files that are not what they should be."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the networks of these tests are made with torch")

Refused = Callable[..., str]


def convert(model: str) -> tuple[str, ...]:
    return ("convert", model, "--data", "digits", "--method", "rate", "-o", "x.ndn")


@pytest.mark.parametrize("ending", ["pt2", "onnx"])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x08\x07" * 40, pickle.dumps([1])])
def test_files_that_hold_no_network(
    refused: Refused, workshop: Path, ending: str, content: bytes
) -> None:
    if ending == "onnx":
        pytest.importorskip("onnx", reason="ONNX files are read with the onnx package")
    path = workshop / f"net.{ending}"
    path.write_bytes(content)
    assert f"net.{ending}" in refused(*convert(path.name))


@pytest.mark.parametrize("ending", ["pt2", "onnx"])
def test_files_that_are_not_there(refused: Refused, workshop: Path, ending: str) -> None:
    if ending == "onnx":
        pytest.importorskip("onnx", reason="ONNX files are read with the onnx package")
    assert "no such file" in refused(*convert(f"none.{ending}"))
    (workshop / f"folder.{ending}").mkdir()
    assert "is a folder" in refused(*convert(f"folder.{ending}"))


def test_weights_beside_a_file_that_has_its_own(refused: Refused) -> None:
    assert "holds its weights" in refused(*convert("net.pt2"), "--weights", "tiny.pt")


def test_inputs_that_the_network_does_not_have(refused: Refused, workshop: Path) -> None:
    x = np.zeros((4, 1, 8, 8), np.float32)
    np.savez(workshop / "two.npz", left=x, right=x)
    arguments = ("convert", "nets.py:tiny", "--data", "two.npz", "--method", "rate", "-o", "x.ndn")
    assert "holds left, right, the network takes input" in refused(*arguments)
    assert "holds left, right, the network takes input" in refused(
        "run", "brian", "--data", "two.npz"
    )
