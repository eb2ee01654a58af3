"""Placements as tables of neurons and cores, those of other tools included."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from neurodeploy.errors import FileFormatError
from neurodeploy.hardware.cut.assignment import Assignment
from neurodeploy.hardware.cut.flows import core_flows
from neurodeploy.hardware.cut.partition import partition
from neurodeploy.hardware.place.annealing import SearchBudget
from neurodeploy.hardware.place.placement import place
from neurodeploy.hardware.place.placement_file import load_placement, save_placement
from neurodeploy.hardware.price.activity import activity_from_record, membranes_needed
from neurodeploy.hardware.price.traffic import count_traffic
from neurodeploy.ir.reference import run_reference
from tests.conformance.cases import case
from tests.hardware.mapping.boards import board, grid
from tests.hardware.mapping.expanded import Expanded
from tests.hardware.small_networks import layered, recurrent, ring

NET = layered()
BOARD = board(grid((2, 2), (4, 4), 2), neurons=100)


@pytest.fixture
def lines(tmp_path: Path) -> list[str]:
    save_placement(partition(NET, BOARD), tmp_path / "start.csv")
    return (tmp_path / "start.csv").read_text().splitlines()


@pytest.mark.parametrize("net", [NET, recurrent(40, ring(40))], ids=["boxes", "listed"])
def test_what_is_saved_comes_back(tmp_path: Path, net: object) -> None:
    mapping = partition(net, BOARD)
    placed = place(mapping, core_flows(mapping, net), budget=SearchBudget(50, None)).mapping
    path = tmp_path / "p.csv"
    save_placement(placed, path)
    assert len(path.read_text().splitlines()) == 1 + sum(
        net.by_name[name].size for name in placed.first
    )
    again = load_placement(path, net, BOARD)
    assert [(c.chip, c.x, c.y) for c in again.cores] == [(c.chip, c.x, c.y) for c in placed.cores]
    assert again.to_dict()["cores"] == placed.to_dict()["cores"]


def test_any_mapping_of_another_tool_is_counted(tmp_path: Path) -> None:
    """Neurons dealt out to cores in turn, as no box could be; every event by hand."""
    c = case("conv2d_stack")
    net = c.netlist
    roomy = board(grid((1, 1), (8, 8), 4), neurons=400)
    start = partition(net, roomy)
    rows, core = ["population,neuron,chip,core"], 0
    for name in start.first:
        size, n = net.by_name[name].size, 3
        rows += [f"{name},{i},0,{core + i * 7 % 11 % n}" for i in range(size)]
        core += n
    path = tmp_path / "dealt.csv"
    path.write_text("\n".join(rows) + "\n")
    mapping = load_placement(path, net, roomy)
    assert sum(isinstance(cut, Assignment) for cut in mapping.tilings.values()) > 1
    record = run_reference(net, c.stimulus, membranes=membranes_needed(net))
    traffic = count_traffic(mapping, net, activity_from_record(net, record))
    for counted, expected in zip(traffic.cores, Expanded(net, mapping).events(record), strict=True):
        assert counted.events() == expected


BAD: list[tuple[Callable[[list[str]], object], str]] = [
    (lambda rows: rows.pop(0), "line 1: expected population,neuron,chip,core; mend the table"),
    (lambda rows: rows.insert(1, "c9,0,0,0"), r"line 2: population 'c9', layered has \['c0'"),
    (lambda rows: rows.insert(1, "c0,9999,0,0"), r"line 2: neuron 9999 of c0, it has \d+;"),
    (lambda rows: rows.append(rows[1]), r"neuron 0 of c0 stands twice;"),
    (lambda rows: rows.pop(3), "c0: 1 neurons missing, the first is 2;"),
    (lambda rows: rows.insert(1, "c0,0,7,0"), "line 2: chip 7, board loihi1 has 0 to 3;"),
    (lambda rows: rows.insert(1, "c0,0,0,99"), "line 2: core 99, board loihi1 has 0 to 31;"),
    (lambda rows: rows.insert(1, "c0,x,0,0"), "line 2: expected a name and three whole numbers"),
    (lambda rows: rows.insert(1, "c0,0"), "line 2: expected a name and three whole numbers"),
]


@pytest.mark.parametrize(("spoil", "message"), BAD)
def test_bad_tables(
    tmp_path: Path, lines: list[str], spoil: Callable[[list[str]], object], message: str
) -> None:
    spoil(lines)
    path = tmp_path / "bad.csv"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(FileFormatError, match=message) as caught:
        load_placement(path, NET, BOARD)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(path))


def test_a_core_of_two_populations_is_refused(tmp_path: Path, lines: list[str]) -> None:
    first = lines[1].rsplit(",", 2)[1:]
    other = next(k for k, row in enumerate(lines) if row.startswith("c1,"))
    lines[other] = ",".join([*lines[other].split(",")[:2], *first])
    path = tmp_path / "shared.csv"
    path.write_text("\n".join(lines))
    with pytest.raises(FileFormatError, match="a core of c0, expected one of its own"):
        load_placement(path, NET, BOARD)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "bytes.csv"
    path.write_bytes(b"\xff\xfe" + np.arange(9).tobytes())
    with pytest.raises(FileFormatError, match="not a table"):
        load_placement(path, NET, BOARD)
