"""One tiny network as text after each pass. Its numbers are exact in single precision.

After an intended change: NEURODEPLOY_WRITE_GOLDEN=1 python -m pytest
tests/conversion/test_golden.py, and read the difference.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="conversion needs torch")

from neurodeploy.conversion.method import convert_graph
from neurodeploy.conversion.methods.rate import RateCoding
from neurodeploy.ir.encoding import Encoding
from neurodeploy.ir.netlist import RealNetlist
from neurodeploy.ir.printer import print_netlist
from neurodeploy.ir.reference import run_reference
from neurodeploy.quantization.integers import Quantization
from neurodeploy.source import analog
from neurodeploy.source.analog import AnalogGraph, AnalogNode

GOLDEN = Path(__file__).parent.parent / "golden"


def source_network() -> AnalogGraph:
    """Normalization, a padded convolution, pooling, a shortcut and two classes."""
    eighths = np.arange(-8, 8) / 8
    kernel = np.resize(eighths, (2, 1, 3, 3))
    image, pooled = (2, 4, 4), (2, 2, 2)
    nodes = (
        AnalogNode("x", analog.Input((1, 4, 4)), (), (1, 4, 4)),
        AnalogNode("norm", analog.Normalize([0.5], [0.25]), ("x",), (1, 4, 4)),
        AnalogNode("conv", analog.Conv2d(kernel, [0.25, 0.5], padding=1), ("norm",), image),
        AnalogNode("relu", analog.ReLU(), ("conv",), image),
        AnalogNode("pool", analog.MaxPool((2, 2), (2, 2)), ("relu",), pooled),
        AnalogNode(
            "mix",
            analog.Conv2d(np.resize([0.375, -0.125, 0.25, 0.5], (2, 2, 1, 1))),
            ("pool",),
            pooled,
        ),
        AnalogNode("relu2", analog.ReLU(), ("mix",), pooled),
        AnalogNode("sum", analog.Add(), ("relu2", "pool"), pooled),
        AnalogNode("flat", analog.Reshape((8,)), ("sum",), (8,)),
        AnalogNode(
            "classes", analog.Linear(np.resize(eighths, (2, 8)), [0.125, 0.0]), ("flat",), (2,)
        ),
    )
    return AnalogGraph("golden", nodes, ("x",), ("classes",))


def converted(decode: str) -> RealNetlist:
    samples = (np.arange(8 * 16) * 7 % 16 / 16).reshape(8, 1, 4, 4).astype(np.float32)
    method = RateCoding(16, "max", decode=decode, bias_correction=0)
    encoding = Encoding("current", 16, 0.0, 1.0, (0.5,), (0.25,))
    netlist, _, _ = convert_graph(source_network(), method, samples, encoding, run_reference)
    return netlist


def check(name: str, text: str) -> None:
    file = GOLDEN / f"{name}.txt"
    if os.environ.get("NEURODEPLOY_WRITE_GOLDEN"):
        file.write_text(text)
    assert text == file.read_text()


@pytest.mark.parametrize("decode", ["membrane", "counts"])
def test_after_convert(decode: str) -> None:
    check(f"convert_{decode}", print_netlist(converted(decode)))


@pytest.mark.parametrize("bits", [3, 8])
def test_after_quantize(bits: int) -> None:
    integer, _ = Quantization(bits)(converted("membrane"))
    check(f"quantize_{bits}", print_netlist(integer))
