"""``inspect --engine``: which kernels a netlist takes here, or why it takes none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import neurodeploy as nd
from neurodeploy.cli import run
from neurodeploy.execution.native import library
from neurodeploy.ir.connectivity import Dense, identity
from neurodeploy.network import Network
from neurodeploy.testing.parts import integrator, net, neuron, project, spikes


@pytest.fixture
def file(tmp_path: Path) -> str:
    weight = np.array([[3, -2, 1], [1, 2, 3]])
    layers = [spikes("in", (3,)), neuron("a", (2,), 4), neuron("b", (2,), 5)]
    links = [
        project("in", "a", Dense(weight, (3,))),
        project("in", "b", Dense(-weight, (3,))),
        project("a", "out", identity((2,))),
        # A second one between the same two is a line of its own.
        project("a", "out", Dense(np.full((2, 2), 2**15 - 1), (2,)), bits=16),
    ]
    netlist = net("small", [*layers, integrator("out", (2,))], links, ["out"])
    path = tmp_path / "net.ndn"
    nd.save(Network(netlist), path)
    return str(path)


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(["inspect", *arguments]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


@pytest.mark.skipif(not library.available(), reason="the native library is not built")
def test_kernels_are_told(
    file: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEURODEPLOY_ISA", "portable")
    engine = json.loads(told(capsys, file, "--engine", "--json"))["engine"]
    assert engine == {
        "native": True,
        "reason": None,
        "isa": "portable",
        "state_bits": 32,
        "merged": 1,
        "projections": [
            {"pre": "in", "post": "a", "kernel": "rows, 16-bit"},
            {"pre": "in", "post": "b", "kernel": "rows, 16-bit"},
            {"pre": "a", "post": "out", "kernel": "place by place"},
            {"pre": "a", "post": "out", "kernel": "rows, 32-bit"},
        ],
    }
    lines = told(capsys, file, "--engine").splitlines()
    assert (
        "engine: native kernels (portable), states of 32 bits, "
        "1 population shares the sums of another"
    ) in lines
    assert [line.split("  ")[0] for line in lines[-4:]] == ["in -> a", "in -> b", *["a -> out"] * 2]
    assert "engine" not in told(capsys, file)
    assert "engine" not in json.loads(told(capsys, file, "--json"))


def test_why_there_are_none_is_told(
    file: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEURODEPLOY_NATIVE", "0")
    line = told(capsys, file, "--engine").splitlines()[-1]
    assert line.startswith("engine: the native library is turned off (NEURODEPLOY_NATIVE=0); unset")
    assert "Integer netlists run " in line
    engine = json.loads(told(capsys, file, "--engine", "--json"))["engine"]
    assert (engine["native"], engine["projections"]) == (False, None)
    assert line == f"engine: {engine['reason']}"


def test_kernels_that_are_unknown_are_an_error(
    file: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEURODEPLOY_ISA", "mmx")
    expected = 0 if not library.library_path().exists() else 2
    assert run(["inspect", file, "--engine"]) == expected
    if expected:
        assert "NEURODEPLOY_ISA=mmx: kernels that are unknown" in capsys.readouterr().err


def test_text_that_is_made_for_diff_has_no_engine(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["inspect", file, "--text", "--engine"]) == 2
    assert "--engine is not part of --text" in capsys.readouterr().err
