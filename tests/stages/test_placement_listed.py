"""Energy, placement and placement files of a recurrent network that is cut by its graph."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

import neurodeploy as nd
from neurodeploy.datasets import Samples
from neurodeploy.hardware import search
from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.boards.constant import Constant
from neurodeploy.hardware.boards.grid import Grid
from neurodeploy.hardware.boards.loading import load_board
from neurodeploy.hardware.cut.assignment import Assignment, Cut
from neurodeploy.hardware.cut.graph.graph_partition import available
from neurodeploy.hardware.cut.partition import Preference, partition
from neurodeploy.hardware.cut.tiling import Tiling
from neurodeploy.hardware.place.placement_file import load_placement
from neurodeploy.ir.encoding import Encoding
from neurodeploy.network import Network
from tests.hardware.small_networks import recurrent, ring

pytestmark = pytest.mark.skipif(available() is None, reason="no partitioner is installed")

NET = Network(recurrent(96, ring(96)), {"in": Encoding("rate", 255, 0.0, 1.0)})


def board() -> Board:
    start = load_board("loihi1").events_alone()
    # Of two compartments each, as the chip builds the soft reset: 12 neurons a core.
    limits = dict(start.limits) | {"neurons": Constant(24, "1", "assumed", "a test")}
    return dataclasses.replace(start, grid=Grid(2, 2, 2, 2, 1, "assumed", "a test"), limits=limits)


def dataset() -> Samples:
    rng = np.random.default_rng(2)
    x, y = rng.random((3, 4)).astype(np.float32), rng.integers(0, 2, 3)
    return Samples(x, y, name="random")


@pytest.mark.parametrize("objective", ["energy", "time", "pareto", "none"])
def test_a_graph_is_placed_and_its_file_gives_the_same_report(
    tmp_path: Path, objective: str
) -> None:
    path = tmp_path / "place.json"
    saved = nd.estimate_energy(NET, board(), dataset(), objective=objective, save_placement=path)
    entry = json.loads(path.read_text(encoding="utf-8"))["populations"][0]
    assert (entry["name"], len(entry["part"])) == ("a", 96)
    if objective in ("energy", "none"):
        assert saved.cores == 1 + len(entry["cores"]) == 9
    assert isinstance(load_placement(path, NET.integer, board()).tilings["a"], Assignment)
    again = nd.estimate_energy(NET, board(), dataset(), placement=path)
    assert again.events == saved.events
    assert again.time_s == pytest.approx(saved.time_s)
    assert again.cores_detail == saved.cores_detail


def test_what_depends_on_places_alone_changes() -> None:
    reports = {
        objective: nd.estimate_energy(NET, board(), dataset(), objective=objective)
        for objective in ("energy", "time", "none")
    }

    def hops(objective: str) -> int:
        events = reports[objective].events
        return events["hops_x"] + events["hops_y"]

    assert hops("energy") < hops("none")
    for event in ("synops", "spikes", "packets", "neuron_updates_active"):
        assert reports["energy"].events[event] == reports["none"].events[event]
    for event in ("synops", "spikes", "neuron_updates_active"):
        assert reports["energy"].events[event] == reports["time"].events[event]


def test_time_spreads_a_graph_over_more_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    frugal = nd.estimate_energy(NET, board(), dataset(), objective="energy")
    quick = nd.estimate_energy(NET, board(), dataset(), objective="time")
    assert quick.cores > frugal.cores
    assert quick.time_s is not None
    assert frugal.time_s is not None
    assert quick.time_s < frugal.time_s
    # A large graph keeps its cut; what it feeds can still be spread.
    monkeypatch.setattr(search, "_MOST_SYNAPSES", 96)
    kept = nd.estimate_energy(NET, board(), dataset(), objective="time")
    assert kept.cores in (9, 10)


def test_known_cuts_with_enough_cores_are_taken() -> None:
    small = partition(NET.integer, board()).tilings["a"]
    large = partition(NET.integer, board(), Preference(least={"a": 12})).tilings["a"]
    assert (small.n_tiles, large.n_tiles) == (8, 12)

    def taken(least: int, *known: Cut) -> Cut:
        preference = Preference(least={"a": least}, known={"a": known})
        return partition(NET.integer, board(), preference).tilings["a"]

    assert taken(1, large, small) is small
    assert taken(9, large, small) is large
    assert taken(9, small).n_tiles == 9
    whole = Tiling((96,), (96,))
    assert taken(1, whole).n_tiles == 8


def test_the_bound_holds() -> None:
    mapping = partition(NET.integer, board())
    assert mapping.bounds["a"].cores == len(mapping.cores_of("a")) == 8
