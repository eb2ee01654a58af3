"""``neurodeploy stream``: a recording that is longer than any sample, piece by piece."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import neurodeploy as nd
from neurodeploy.cli import run as command
from neurodeploy.datasets.events import pieces as module
from neurodeploy.datasets.events import recording
from neurodeploy.errors import UsageError
from neurodeploy.ir.decoding import decode
from neurodeploy.ir.reference import run_reference
from neurodeploy.testing import NetlistBuilder

STEPS = 95


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A network for samples of 20 steps, and a recording of 95."""
    build = NetlistBuilder(T=20, seed=2).input("camera", (2, 8, 8), high=2)
    build = build.conv(4, threshold=60, membrane_decay=500)
    net = build.dense(3, threshold=1500, membrane_decay=300, name="answer").output()
    nd.Network(net).save(tmp_path / "net.ndn")
    rng = np.random.default_rng(0)
    t = np.sort(rng.integers(0, STEPS * 1000, 3000))
    t[[0, -1]] = 0, STEPS * 1000 - 1
    x, y, p = rng.integers(0, 8, 3000), rng.integers(0, 8, 3000), rng.integers(0, 2, 3000)
    np.savez(tmp_path / "rec.npz", t=t, x=x, y=y, p=p)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def whole(folder: Path) -> tuple[np.ndarray, nd.Network]:
    net = nd.load(folder / "net.ndn")
    assert isinstance(net, nd.Network)
    samples = nd.Samples.events(folder / "rec.npz", dt="1ms", count="sum")
    return samples.raster(0, (2, 8, 8), STEPS, 2)[0], net


@pytest.mark.parametrize("every", [1, 20, 95, 200])
def test_pieces_are_the_raster(folder: Path, every: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where blocks of the file end within pieces, and pieces within blocks."""
    monkeypatch.setattr(recording, "BLOCK", 70)
    raster, _ = whole(folder)
    samples = nd.Samples.events(folder / "rec.npz", dt="1ms", count="sum")
    found = list(module.pieces(samples.recordings[0], samples.binning, (2, 8, 8), 2, every))
    assert [len(part) for part, _ in found[:-1]] == [every] * (len(found) - 1)
    np.testing.assert_array_equal(np.concatenate([part for part, _ in found]), raster)
    assert sum(lost for _, lost in found) == 3000 - raster.sum()


def test_pauses_are_silent_pieces(tmp_path: Path) -> None:
    one = {"t": np.array([0, 100, 55_000]), "x": np.array([0, 1, 2])}
    samples = nd.Samples.events(one, dt="1ms")
    found = list(module.pieces(samples.recordings[0], samples.binning, (3,), 1, 10))
    assert [int(part.sum()) for part, _ in found] == [2, 0, 0, 0, 0, 1]
    for options in ({"steps": 5}, {"dt": "1ms", "sort": True}):
        samples = nd.Samples.events(one, **options)
        with pytest.raises(UsageError, match="pieces follow the clock"):
            next(module.pieces(samples.recordings[0], samples.binning, (3,), 1, 10))


@pytest.mark.parametrize("executor", [None, "reference", "brian2"])
def test_the_command_equals_one_run(
    folder: Path, executor: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    if executor == "brian2":
        pytest.importorskip("brian2")
    raster, net = whole(folder)
    expected = run_reference(net.netlist, {"camera": raster[None]}, timesteps=STEPS)
    arguments = ["stream", "net.ndn", "--data", "events:rec.npz#dt=1ms,count=sum", "--every", "40"]
    more = [] if executor is None else ["--executor", executor]
    assert command([*arguments, *more, "-o", "out.npz"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"net on {executor or 'engine'}: 95 steps\n")
    assert "80..94" in shown
    assert ("end" in shown) == (executor == "brian2")
    with np.load("out.npz") as found:
        for name, spikes in expected.spikes.items():
            np.testing.assert_array_equal(found[f"spikes.{name}"], spikes)
    if executor is not None:
        return
    assert command([*arguments, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    (output,) = net.netlist.outputs
    np.testing.assert_array_equal(
        told["outputs"]["answer"], decode(net.netlist, output, expected)[0]
    )
    assert [(p["first"], p["steps"]) for p in told["pieces"]] == [(0, 40), (40, 40), (80, 15)]
    assert sum(p["spikes"]["answer"] for p in told["pieces"]) == expected.spikes["answer"].sum()
    assert told["lost"] == 3000 - raster.sum()


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nosuch.ndn", "--data", "rec.npz#dt=1ms"], "no such .ndn file or deployment folder"),
        (["net.ndn", "--data", "rec.npz"], "neither dt nor steps is given"),
        (["net.ndn", "--data", "nosuch.npz#dt=1ms"], "no such file or folder of events"),
        (["net.ndn", "--data", "rec.npz#dt=1ms", "--sample", "1"], "positions must lie in 0 ... 0"),
        (["net.ndn", "--data", "rec.npz#dt=1ms", "--executor", "gpu"], "executor of streams 'gpu'"),
        (["net.ndn", "--data", "rec.npz#dt=1ms,size=9x9"], "9 x 9 places"),
        (["net.ndn", "--data", "rec.npz#dt=1ms", "-o", "out.csv"], ".npz"),
    ],
)
def test_what_cannot_be_streamed_is_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["stream", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_one_value_decides_no_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = NetlistBuilder(T=4).input("x", (3,), kind="spikes")
    network = nd.Network(one.dense(np.full((1, 3), 40), threshold=60, membrane_decay=300).output())
    nd.save(network, tmp_path / "one.ndn")
    np.savez(tmp_path / "rec.npz", t=np.arange(4) * 1000, x=np.arange(4) % 3)
    data = f"events:{tmp_path / 'rec.npz'}#dt=1ms"
    assert command(["stream", str(tmp_path / "one.ndn"), "--data", data, "--json"]) == 0
    pieces = json.loads(capsys.readouterr().out)["pieces"]
    assert {value for piece in pieces for value in piece["classes"].values()} == {None}
    stream = network.stream()
    stream.step({"x": np.ones((1, 4, 3), np.int64)})
    with pytest.raises(UsageError, match=r"has shape \(1,\), which is no score of classes; read"):
        _ = stream.classes
