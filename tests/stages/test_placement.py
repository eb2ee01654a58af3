"""Placements asked for by name or by file when energy is estimated."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import neurodeploy as nd
from neurodeploy.cli import run
from neurodeploy.errors import FileFormatError, UnknownNameError, UsageError
from neurodeploy.hardware.boards.loading import load_board
from neurodeploy.hardware.search import PlacementRequest
from neurodeploy.render.energy import render_energy
from tests.verification.networks import dataset, layered, packed

SMALL = """
name = "small"
extends = "loihi1"
description = "Loihi 1 with cores of four neurons, one to a tile, on four chips"

[grid]
chips_x = 2
chips_y = 2
tiles_x = 2
tiles_y = 3
cores_per_tile = 1
basis = "assumed"
source = "a test"

[limits]
neurons = { value = 4, basis = "assumed", source = "a test" }

[neurons]
reset_subtract = { compartments = 1, basis = "assumed", source = "a test" }
"""


@pytest.fixture
def small(tmp_path: Path) -> str:
    path = tmp_path / "small.toml"
    path.write_text(SMALL, encoding="utf-8")
    return str(path)


def test_energy_is_the_objective_where_none_is_named(small: str) -> None:
    net = packed(layered())
    default = nd.estimate_energy(net, small, dataset())
    assert default == nd.estimate_energy(net, small, dataset(), objective="energy")
    by_index = nd.estimate_energy(net, small, dataset(), objective="none")
    assert default.placement is not None
    assert by_index.placement is not None
    assert by_index.placement["chosen"]["name"] == "index order"
    assert default.placement["packets_of"] == "a run"

    def hops(report) -> float:
        return report.events["hops_x"] + report.events["hops_y"]

    assert hops(default) < hops(by_index)
    assert hops(default) == pytest.approx(default.placement["chosen"]["hops"], rel=1e-12)
    for event in ("synops", "spikes", "packets", "neuron_updates_active"):
        assert default.events[event] == by_index.events[event]
    assert default.time_s == by_index.time_s


def test_time_is_never_longer_by_the_objective_time(small: str) -> None:
    net = packed(layered())
    quick = nd.estimate_energy(net, small, dataset(), objective="time")
    frugal = nd.estimate_energy(net, small, dataset(), objective="energy")
    assert quick.placement is not None
    assert frugal.placement is not None
    assert quick.placement["chosen"]["time_s"] <= frugal.placement["chosen"]["time_s"]
    assert quick.cores >= frugal.cores


def test_a_placement_file_gives_the_same_report(small: str, tmp_path: Path) -> None:
    net, path = packed(layered()), tmp_path / "place.json"
    saved = nd.estimate_energy(net, small, dataset(), save_placement=path)
    again = nd.estimate_energy(net, small, dataset(), placement=path)
    assert again.events == saved.events
    assert again.cores_detail == saved.cores_detail
    assert again.placement is not None
    assert again.placement["chosen"]["name"] == "as given"


def test_what_makes_no_sense_is_refused(small: str, tmp_path: Path) -> None:
    net, path = packed(layered()), tmp_path / "place.json"
    with pytest.raises(UnknownNameError, match="unknown objective 'speed'"):
        nd.estimate_energy(net, small, dataset(), objective="speed")
    nd.estimate_energy(net, small, dataset(), save_placement=path)
    with pytest.raises(UsageError, match="leaves nothing to choose; leave the objective out"):
        nd.estimate_energy(net, small, dataset(), objective="time", placement=path)
    with pytest.raises(UsageError, match="board truenorth: objective, save_placement: the cores"):
        nd.estimate_energy(net, "truenorth", dataset(), objective="energy", save_placement=path)
    boards = [load_board(small), load_board("loihi1"), load_board("truenorth")]
    with pytest.raises(UsageError, match="3 boards and a placement file, which is for one; name"):
        PlacementRequest.checked(boards, None, path, None)
    assert PlacementRequest.checked(boards, "time", None, None).objective == "time"
    with pytest.raises(UsageError, match="cannot write here"):
        nd.estimate_energy(net, small, dataset(), save_placement=tmp_path / "no" / "p.json")
    with pytest.raises(FileFormatError, match="made for board 'small', not 'loihi1'"):
        nd.estimate_energy(net, "loihi1", dataset(), placement=path)


def test_the_report_tells_utilization_and_placement(small: str) -> None:
    report = nd.estimate_energy(packed(layered()), small, dataset())
    text = render_energy(report, details=True)
    assert "hops per packet, packets of a run" in text
    assert "of the lower bound of" in text
    rows = [line.split() for line in text.splitlines()]
    row = next(row for row in rows if row[:1] == ["a"])
    # 18 neurons on cores of four.
    assert row[1:4] == ["6", "5", "75.0"]
    layers = {layer["population"]: layer for layer in report.to_dict()["layers"]}
    assert layers["b"]["lower_bound"] == 2
    assert layers["b"]["binding"] == "neurons"
    crossbar = render_energy(nd.estimate_energy(packed(layered()), "truenorth", dataset()))
    assert "placement:" not in crossbar


def test_the_command_line(
    small: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    import numpy as np

    data = dataset()
    np.savez("data.npz", x=data.x, y=data.y)
    nd.save(packed(layered()), tmp_path / "net.ndn")
    command = ["energy", "net.ndn", "--board", small, "--data", "data.npz"]
    assert run([*command, "--save-placement", "place.json", "--json"]) == 0
    chosen = json.loads(capsys.readouterr().out)["placement"]["chosen"]
    assert run([*command, "--placement", "place.json", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)["placement"]["chosen"]
    assert again["hops"] == chosen["hops"]
    assert run([*command, "--objective", "pareto", "--details"]) == 0
    assert "objective pareto" in capsys.readouterr().out
    assert run([*command, "--objective", "speed"]) == 2
    assert "unknown objective 'speed'; known: energy, none, pareto, time" in capsys.readouterr().err
