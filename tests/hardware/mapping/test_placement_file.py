from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurodeploy.errors import CapacityError, FileFormatError, UsageError
from neurodeploy.hardware.cut.assignment import Assignment, Cut
from neurodeploy.hardware.cut.flows import core_flows
from neurodeploy.hardware.cut.partition import mapping_of, partition
from neurodeploy.hardware.cut.tiling import Tiling
from neurodeploy.hardware.place.annealing import SearchBudget
from neurodeploy.hardware.place.placement import place
from neurodeploy.hardware.place.placement_file import load_placement, save_placement
from tests.hardware.mapping.boards import board, grid
from tests.hardware.mapping.layered import layered
from tests.hardware.mapping.recurrent import recurrent, ring

NET = layered()
BOARD = board(grid((2, 2), (4, 4), 2), neurons=100)


def saved(path: Path) -> dict[str, Any]:
    mapping = partition(NET, BOARD)
    placement = place(mapping, core_flows(mapping, NET), budget=SearchBudget(50, None))
    save_placement(placement.mapping, path)
    assert load_placement(path, NET, BOARD).to_dict() == placement.mapping.to_dict()
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    data = saved(tmp_path / "p.json")
    assert list(data) == ["neurodeploy_placement", "network", "board", "populations"]
    assert [p["name"] for p in data["populations"]] == ["c0", "c1", "c2", "out"]


def edit(data: dict[str, Any], key: str, value: Any) -> None:
    data["populations"][1][key] = value


def misplace(data: dict[str, Any], place: list[Any]) -> None:
    data["populations"][0]["cores"][2] = place


def crowd(data: dict[str, Any]) -> None:
    for k in range(3):
        data["populations"][0]["cores"][k] = [3, 1, 1]


BAD = [
    (lambda d: d["populations"].pop(1), r"c1: missing; the file has c0, c2, out; save a new one"),
    (
        lambda d: d["populations"].append({"name": "x", "shape": [1], "box": [1], "cores": []}),
        r"x: a population that layered does not have; save",
    ),
    (lambda d: edit(d, "shape", [8, 8, 9]), r"c1: shape \[8, 8, 9\], expected \[8, 8, 8\]; save"),
    (lambda d: edit(d, "box", [8, 4]), r"c1: box \[8, 4\], expected 1 to \[8, 8, 8\] along each"),
    (lambda d: edit(d, "box", [8, 0, 4]), r"c1: box \[8, 0, 4\], expected 1 to"),
    (lambda d: edit(d, "box", [8, 9, 4]), r"c1: box \[8, 9, 4\], expected 1 to"),
    (lambda d: edit(d, "box", "all"), r"c1: box 'all', expected whole numbers; save"),
    (lambda d: edit(d, "cores", 3), r"c1: cores 3, expected a list; save"),
    (
        lambda d: d["populations"][1]["cores"].pop(),
        r"c1: 5 cores, expected 6 for boxes of \[\d+, \d+, \d+\] of \[8, 8, 8\]; save",
    ),
    (lambda d: misplace(d, [4, 0, 0]), r"c0\[.*\]: chip 4, board loihi1 has 0 to 3; save"),
    (lambda d: misplace(d, [0, -1, 0]), r"c0\[.*\]: x -1, board loihi1 has 0 to 3; save"),
    (lambda d: misplace(d, [0, 0, 4]), r"c0\[.*\]: y 4, board loihi1 has 0 to 3; save"),
    (lambda d: misplace(d, [0, 0]), r"c0, core 2: \[0, 0\], expected \[chip, x, y\]; save"),
    (lambda d: misplace(d, [0, 0, 1.5]), r"c0, core 2: \[0, 0, 1.5\], expected \[chip, x, y\]"),
    (crowd, r"c0\[.*\]: core 3 on tile \[3, 1, 1\], a tile of loihi1 has 2; save a new one"),
    (lambda d: d.update(board="other"), r"made for board 'other', not 'loihi1'; name that board"),
    (lambda d: d.update(neurodeploy_placement=2), r"neurodeploy_placement 2, this version reads 1"),
    (lambda d: d.pop("neurodeploy_placement"), r"not a placement file: no key"),
    (lambda d: d.update(populations={}), r"populations: expected a list"),
    (lambda d: d["populations"].insert(0, 7), r"populations\[0\]: expected a table with a name"),
    (lambda d: d["populations"].append(d["populations"][0]), r"c0: listed twice"),
    (
        lambda d: d["populations"].append({**d["populations"][0], "name": "a\nb"}),
        r"populations\[\d\]: expected a table with a name",
    ),
    (lambda d: edit(d, "cores", "x" * 9999), r"c1: cores 'x+\.\.\.x+', expected a list; save"),
    (lambda d: misplace(d, [0] * 9999), r"c0, core 2: \[[0, ]+\.\.\.\], expected \[chip, x, y\]"),
]


@pytest.mark.parametrize(("spoil", "message"), BAD)
def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, spoil: Any, message: str) -> None:
    path = tmp_path / "p.json"
    data = saved(path)
    spoil(data)
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(FileFormatError, match=message) as caught:
        load_placement(path, NET, BOARD)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


LISTED = recurrent(96, ring(96))


def saved_part(path: Path) -> dict[str, Any]:
    part = np.random.default_rng(3).integers(0, 9, 96)
    cuts: dict[str, Cut] = {"a": Assignment((96,), part), "b": Tiling((2,), (1,))}
    mapping = mapping_of(LISTED, BOARD, cuts)
    placement = place(mapping, core_flows(mapping, LISTED), budget=SearchBudget(50, None))
    save_placement(placement.mapping, path)
    loaded = load_placement(path, LISTED, BOARD)
    assert loaded.to_dict() == placement.mapping.to_dict()
    assert loaded.tilings["a"].tile_of().tolist() == part.tolist()
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def edit_part(data: dict[str, Any], index: int, value: Any) -> None:
    data["populations"][0]["part"][index] = value


def empty_core(data: dict[str, Any], core: int) -> None:
    entry = data["populations"][0]
    entry["part"] = [0 if k == core else k for k in entry["part"]]


BAD_PARTS = [
    (lambda d: d["populations"][0]["part"].pop(), r"a: part of 95 neurons, expected 96; save"),
    (lambda d: edit_part(d, 7, 9), r"a: part 9, expected 0 to 8; save"),
    (lambda d: edit_part(d, 7, -1), r"a: part -1, expected 0 to 8; save"),
    (lambda d: edit_part(d, 7, 10**30), r"a: part 10+, expected 0 to 8; save"),
    (lambda d: edit_part(d, 7, 1.5), r"a: part \[.*\.\.\.\], expected whole numbers; save"),
    (lambda d: edit_part(d, 7, True), r"a: part \[.*\.\.\.\], expected whole numbers; save"),
    (lambda d: d["populations"][0].update(part=None), r"a: part None, expected whole numbers"),
    (lambda d: d["populations"][0].update(box=[12]), r"a: both box and part, expected one of them"),
    (lambda d: empty_core(d, 3), r"a, core 3: no neuron in part, expected some; save"),
    (lambda d: d["populations"][0]["cores"].clear(), r"a: part \d, expected no cores; save"),
    (
        lambda d: d["populations"][1].update(part=d["populations"][1].pop("box")),
        r"b: part, but no listed synapses; expected a box; save",
    ),
]


@pytest.mark.parametrize(("spoil", "message"), BAD_PARTS)
def test_a_part_that_does_not_fit_is_refused(tmp_path: Path, spoil: Any, message: str) -> None:
    path = tmp_path / "p.json"
    data = saved_part(path)
    spoil(data)
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(FileFormatError, match=message) as caught:
        load_placement(path, LISTED, BOARD)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < len(str(path)) + 120


def test_parts_that_do_not_fit_a_core_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    saved_part(path)
    message = r"a\[\d+, \d+, \d+, \.\.\. \d+ neurons\]: \d+ neurons, a core of loihi1 has 5; save"
    with pytest.raises(FileFormatError, match=message):
        load_placement(path, LISTED, board(BOARD.grid, neurons=5))


@pytest.mark.parametrize("content", [b"", b"[", b"\xff\xfe", b"3", b"[" * 100_000])
def test_what_is_no_json_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "p.json"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="not a placement file") as caught:
        load_placement(path, NET, BOARD)
    assert "\n" not in str(caught.value)


def test_boxes_that_do_not_fit_a_core_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    roomy = board(BOARD.grid, neurons=400)
    save_placement(partition(NET, roomy), path)
    message = r"c0\[0:8, .*\]: \d+ neurons, a core of loihi1 has 100; save a new one"
    with pytest.raises(FileFormatError, match=message):
        load_placement(path, NET, BOARD)


def test_other_failures_keep_their_names(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="no such file; expected a placement file"):
        load_placement(tmp_path / "none.json", NET, BOARD)
    with pytest.raises(UsageError, match="cannot write here"):
        save_placement(partition(NET, BOARD), tmp_path / "none" / "p.json")
    path = tmp_path / "p.json"
    saved(path)
    small = board(grid((1, 1), (2, 2), 2), neurons=100)
    with pytest.raises(CapacityError, match="cores exceed 8 of board loihi1"):
        load_placement(path, NET, small)
