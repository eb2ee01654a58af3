"""Energy from files, folders and objects: which board, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import neurodeploy as nd
from neurodeploy.errors import CapacityError, NetlistError, UnknownNameError, UsageError
from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.boards.loading import load_board
from neurodeploy.ir.connectivity import identity
from neurodeploy.ir.encoding import Encoding
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Output, Population
from neurodeploy.ir.neurons import Input, IntegerNeuron
from neurodeploy.network import Network
from neurodeploy.stages.smallest_board import smallest_board
from tests.quantization.netlists import small_network
from tests.verification.networks import dataset, layered, packed


def test_the_same_from_an_object_a_file_and_a_folder(tmp_path: Path) -> None:
    net = packed(layered())
    nd.save(net, tmp_path / "net.ndn")
    deployment = nd.compile(net, "brian2")
    nd.save(deployment, tmp_path / "out")
    wanted = nd.estimate_energy(net, "loihi1", dataset())
    for source in (tmp_path / "net.ndn", str(tmp_path / "out"), deployment):
        assert nd.estimate_energy(source, "loihi1", dataset()) == wanted


def test_a_deployment_brings_its_board() -> None:
    net = packed(layered())
    deployment = nd.compile(net, "truenorth")
    found = nd.estimate_energy(deployment, None, dataset())
    assert found == nd.estimate_energy(net, "truenorth", dataset())
    for thing in (net, nd.compile(net, "brian2")):
        with pytest.raises(UsageError, match="energy: name a board"):
            nd.estimate_energy(thing, None, dataset())


def tiny(kind: str) -> Board:
    """A board of one core."""
    board = load_board(kind)
    return replace(
        board,
        name=f"tiny-{kind}",
        grid=replace(board.grid, tiles_x=1, tiles_y=1, cores_per_tile=1),
    )


def test_several_boards_are_priced_as_each_of_them_and_refusals_are_named() -> None:
    net = packed(layered())
    asked = ["truenorth", tiny("loihi1"), "loihi1", "sanafe-loihi"]
    found = nd.estimate_energy(net, asked, dataset(), 3)
    assert found.boards == ("truenorth", "tiny-loihi1", "loihi1", "sanafe-loihi")
    assert list(found.reports) == ["truenorth", "loihi1", "sanafe-loihi"]
    for name, report in found.reports.items():
        assert report == nd.estimate_energy(net, name, dataset(), 3)
    assert list(found.refused) == ["tiny-loihi1"]
    assert "cores exceed 1 of board tiny-loihi1" in str(found.refused["tiny-loihi1"])
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))["boards"]
    assert list(told) == list(found.boards)
    assert told["loihi1"] == found.reports["loihi1"].to_dict()
    assert told["tiny-loihi1"]["refused"] == str(found.refused["tiny-loihi1"])
    assert told["tiny-loihi1"]["verdict"]["fits"] is False


def test_a_network_is_run_once_for_all_boards_of_neurocores() -> None:
    done: list[int] = []
    nd.estimate_energy(
        packed(layered()),
        ("loihi1", "kapoho-bay", "sanafe-loihi"),
        dataset(),
        3,
        progress=lambda n, of: done.append(n),
    )
    assert done == [3]


def test_a_board_that_cannot_hold_it_names_the_smallest_that_can() -> None:
    net = packed(layered())
    with pytest.raises(
        CapacityError,
        match=r"cores exceed 1 of board tiny-loihi1 \(most by .*; the smallest board that holds it "
        r"is loihi1$",
    ) as caught:
        nd.estimate_energy(net, tiny("loihi1"), dataset())
    assert "\n" not in str(caught.value)
    with pytest.raises(CapacityError, match=r"against 1;.*the smallest .* is truenorth$"):
        nd.estimate_energy(net, tiny("truenorth"), dataset())


def test_where_no_board_holds_it_every_reason_is_given() -> None:
    net = packed(layered())
    with pytest.raises(CapacityError) as caught:
        nd.estimate_energy(net, [tiny("loihi1"), tiny("truenorth")], dataset())
    line = str(caught.value)
    assert "none of 2 boards runs it" in line
    assert "tiny-loihi1: " in line
    assert "tiny-truenorth: " in line
    assert line.endswith("the smallest board that holds it is truenorth")
    assert "\n" not in line


def test_the_smallest_board_has_the_fewest_chips() -> None:
    small = packed(layered())
    assert smallest_board(small, {"neurocore"}) == "loihi1"
    assert smallest_board(small, {"crossbar"}) == "truenorth"
    assert smallest_board(small, ()) is None
    # More neurons than 128 cores of 1024 hold, and than 128 cores of 8192.
    assert smallest_board(large(128 * 1024 + 1), {"neurocore"}) == "loihi2"
    assert smallest_board(large(128 * 8192 + 1), {"neurocore"}) == "kapoho-point"


def test_a_network_that_no_board_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neurodeploy.stages.smallest_board.board_names", lambda: ["loihi1"])
    smaller = tiny("loihi1")
    monkeypatch.setattr("neurodeploy.stages.smallest_board.load_board", lambda name: smaller)
    with pytest.raises(
        CapacityError, match=r"; no neurocore board that comes with neurodeploy holds it as it is$"
    ):
        nd.estimate_energy(packed(layered()), smaller, dataset())


def large(neurons: int) -> Network:
    """One synapse per neuron and many neurons."""
    shape = (neurons,)
    spiking = IntegerNeuron(np.int64(1), np.int64(0), np.int64(0))
    netlist = IntegerNetlist(
        "large",
        (Population("in", shape, Input("spikes", 0, 1)), Population("a", shape, spiking)),
        (IntegerProjection("in", "a", identity(shape), weight_bits=2),),
        (Output("a", "counts"),),
        4,
    )
    return Network(netlist)


def test_one_objective_for_several_boards_and_no_placement_file(tmp_path: Path) -> None:
    net = packed(layered())
    found = nd.estimate_energy(net, ["loihi1", "truenorth"], dataset(), objective="none")
    assert found.reports["loihi1"] == nd.estimate_energy(net, "loihi1", dataset(), objective="none")
    assert found.reports["truenorth"] == nd.estimate_energy(net, "truenorth", dataset())
    for option in ("placement", "save_placement"):
        with pytest.raises(UsageError, match="2 boards and a placement file, which is for one"):
            nd.estimate_energy(
                net, ["loihi1", "loihi2"], dataset(), **{option: tmp_path / "placed.json"}
            )


def test_lists_of_boards_that_mean_nothing() -> None:
    net = packed(layered())
    with pytest.raises(UsageError, match="an empty list of boards"):
        nd.estimate_energy(net, [], dataset())
    with pytest.raises(UsageError, match="two boards are called 'loihi1'"):
        nd.estimate_energy(net, ["loihi1", "truenorth", "loihi1"], dataset())
    with pytest.raises(UnknownNameError, match="unknown board 'loihi9'"):
        nd.estimate_energy(net, ["loihi1", "loihi9"], dataset())


def test_what_cannot_be_priced() -> None:
    net = packed(layered())
    with pytest.raises(UnknownNameError, match="unknown board 'loihi9'"):
        nd.estimate_energy(net, "loihi9", dataset())
    with pytest.raises(UsageError, match="no real-valued netlist in the file to cross-validate"):
        nd.estimate_energy(net, "loihi1", dataset(), cross_validate=True)
    real = Network(small_network(timesteps=8), {"x": Encoding("rate", 16, 0.0, 1.0)})
    images = dataset().x.repeat(2, axis=1).repeat(2, axis=2).repeat(2, axis=3)
    with pytest.raises(NetlistError, match="run 'neurodeploy quantize' first"):
        nd.estimate_energy(real, "loihi1", nd.Samples(images, dataset().y))


def test_a_crossbar_deployment_keeps_its_options_on_another_board() -> None:
    net = packed(layered())
    board = load_board("truenorth")
    other = replace(board, name="other")
    deployment = nd.compile(net, "truenorth", fan_out="splitters")
    found = nd.estimate_energy(deployment, other, dataset())
    assert found.cores == deployment.utilization()["cores"]
    assert found.cores > nd.estimate_energy(net, other, dataset()).cores
