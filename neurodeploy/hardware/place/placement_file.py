"""Placement files: how a netlist is cut and where its cores lie, as JSON.

::

    {"neurodeploy_placement": 1, "network": "lenet", "board": "loihi1",
     "populations": [{"name": "conv1", "shape": [6, 28, 28], "box": [6, 4, 28],
                      "cores": [[chip, x, y], ...]}, ...]}

``box``: the largest box of the population along each axis; boxes follow each other in C order, and
so do their cores. A population with listed synapses can have ``part`` instead: for every neuron, in
C order, which of the ``cores`` holds it. A file says nothing of weights: it fits every netlist of
the same shape.
"""

from __future__ import annotations

import json
import reprlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from neurodeploy.errors import FileFormatError
from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.cut.assignment import Assignment, Cut
from neurodeploy.hardware.cut.core_map import CoreMap
from neurodeploy.hardware.cut.demand import RESOURCE_WORDS, RESOURCES, is_listed
from neurodeploy.hardware.cut.partition import check_board, mapping_of
from neurodeploy.hardware.cut.tiling import Tiling
from neurodeploy.hardware.place.placement_table import SUFFIX, entries_of_table, table_of
from neurodeploy.ir.files import write_bytes_whole
from neurodeploy.ir.netlist import IntegerNetlist, Population
from neurodeploy.ir.neurons import Input
from neurodeploy.ir.population import is_line
from neurodeploy.loading.files import LARGEST_TEXT, parsed_json, read_bytes

_KEY = "neurodeploy_placement"
_VERSION = 1
_AGAIN = "save a new one with --save-placement"


def save_placement(mapping: CoreMap, path: str | Path) -> None:
    """Write a mapping to a placement file, or to a table where the path ends in ``.csv``.

    Raises
    ------
    UsageError
        If the path cannot be written.
    """
    if Path(path).suffix == SUFFIX:
        write_bytes_whole(Path(path), table_of(mapping).encode())
        return
    populations = [
        {
            "name": name,
            "shape": list(cut.shape),
            **_described(cut),
            "cores": [
                [core.chip, core.x, core.y]
                for core in (mapping.cores[k] for k in mapping.cores_of(name))
            ],
        }
        for name, cut in ((name, mapping.tilings[name]) for name in mapping.first)
    ]
    head = {_KEY: _VERSION, "network": mapping.network, "board": mapping.board.name}
    lines = ",\n".join(json.dumps(population) for population in populations)
    text = f'{json.dumps(head)[:-1]}, "populations": [\n{lines}\n]}}\n'
    write_bytes_whole(Path(path), text.encode())


def _described(cut: Cut) -> dict[str, list[int]]:
    if isinstance(cut, Assignment):
        return {"part": cut.part.tolist()}
    return {"box": list(cut.tile)}


def load_placement(path: str | Path, netlist: IntegerNetlist, board: Board) -> CoreMap:
    """Read a placement file or table (``.csv``) for a netlist and a board.

    Raises
    ------
    FileFormatError
        In one line, if the file is none or does not fit: population or core, what it has against
        what the netlist or the board has, and the remedy.
    CapacityError, UsageError
        As :func:`neurodeploy.hardware.cut.partition.partition`.
    """
    path = Path(path)
    check_board(netlist, board)
    table = path.suffix == SUFFIX
    entries = entries_of_table(path, netlist, board) if table else _entries(path, board)
    cuts: dict[str, Cut] = {}
    expected = [p for p in netlist.populations if not isinstance(p.model, Input)]
    names = {p.name for p in expected}
    for name in entries:
        if name not in names:
            raise _misfit(path, name, "a population that", f"{netlist.name} does not have")
    for population in expected:
        entry = entries.get(population.name)
        if entry is None:
            raise _misfit(path, population.name, "missing; the file has", _listed(entries))
        shape = list(population.shape)
        if entry["shape"] != shape:
            raise _misfit(path, population.name, f"shape {entry['shape']}, expected", str(shape))
        if "part" in entry:
            if not table and not is_listed(netlist, population):
                raise _misfit(
                    path, population.name, "part, but no listed synapses; expected", "a box"
                )
            cuts[population.name] = _assignment(path, population, entry)
        else:
            cuts[population.name] = _tiling(path, population, entry)
    mapping = mapping_of(netlist, board, cuts)
    placed = mapping.moved([place for name in mapping.first for place in entries[name]["cores"]])
    _check_places(path, placed)
    _check_limits(path, placed)
    return placed


def _tiling(path: Path, population: Population, entry: dict[str, Any]) -> Tiling:
    box, shape = entry["box"], list(population.shape)
    if len(box) != len(shape) or any(not 1 <= b <= n for b, n in zip(box, shape, strict=False)):
        raise _misfit(
            path, population.name, f"box {box}, expected", f"1 to {shape} along each axis"
        )
    tiling = Tiling(population.shape, tuple(box))
    if len(entry["cores"]) != tiling.n_tiles:
        raise _misfit(
            path,
            population.name,
            f"{len(entry['cores'])} cores, expected",
            f"{tiling.n_tiles} for boxes of {box} of {shape}",
        )
    return tiling


def _assignment(path: Path, population: Population, entry: dict[str, Any]) -> Assignment:
    part, n_cores = entry["part"], len(entry["cores"])
    if len(part) != population.size:
        raise _misfit(
            path, population.name, f"part of {len(part)} neurons, expected", str(population.size)
        )
    wrong = [k for k in part if not 0 <= k < n_cores]
    if wrong:
        numbers = f"0 to {n_cores - 1}" if n_cores else "no cores"
        raise _misfit(path, population.name, f"part {reprlib.repr(wrong[0])}, expected", numbers)
    empty = set(range(n_cores)).difference(part)
    if empty:
        raise _misfit(
            path, f"{population.name}, core {min(empty)}", "no neuron in part, expected", "some"
        )
    return Assignment(population.shape, np.array(part, dtype=np.int64))


def _entries(path: Path, board: Board) -> dict[str, dict[str, Any]]:
    """The populations of a file, with everything of the right type."""
    content = read_bytes(path, "a placement file (JSON)", LARGEST_TEXT)
    data = parsed_json(content, f"{path}: not a placement file, or truncated; {_AGAIN}")
    if not isinstance(data, dict) or _KEY not in data:
        raise FileFormatError(f"{path}: not a placement file: no key {_KEY!r}; {_AGAIN}")
    if data[_KEY] != _VERSION:
        raise FileFormatError(
            f"{path}: {_KEY} {data[_KEY]!r}, this version reads {_VERSION}; {_AGAIN}"
        )
    if data.get("board") != board.name:
        raise FileFormatError(
            f"{path}: made for board {data.get('board')!r}, not {board.name!r}; name that board or "
            f"{_AGAIN}"
        )
    populations = data.get("populations")
    if not isinstance(populations, list):
        raise FileFormatError(f"{path}: populations: expected a list; {_AGAIN}")
    found: dict[str, dict[str, Any]] = {}
    for number, entry in enumerate(populations):
        where = f"{path}: populations[{number}]"
        if not isinstance(entry, dict) or not is_line(entry.get("name")):
            raise FileFormatError(f"{where}: expected a table with a name; {_AGAIN}")
        name = entry["name"]
        if "box" in entry and "part" in entry:
            raise _misfit(path, name, "both box and part, expected", "one of them")
        for key in ("shape", "part" if "part" in entry else "box"):
            value = entry.get(key)
            if not _whole_list(value):
                raise _misfit(path, name, f"{key} {reprlib.repr(value)}, expected", "whole numbers")
        cores = entry.get("cores")
        if not isinstance(cores, list):
            raise _misfit(path, name, f"cores {reprlib.repr(cores)}, expected", "a list")
        for k, place in enumerate(cores):
            if not _whole_list(place) or len(place) != 3:
                raise _misfit(
                    path, f"{name}, core {k}", f"{reprlib.repr(place)}, expected", "[chip, x, y]"
                )
        if name in found:
            raise _misfit(path, name, "listed", "twice")
        found[name] = entry
    return found


def _whole_list(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(v, int) and not isinstance(v, bool) for v in value
    )


def _check_places(path: Path, mapping: CoreMap) -> None:
    """Every core on a tile that exists, no tile with more cores than it has."""
    grid = mapping.board.grid
    taken: Counter[tuple[int, int, int]] = Counter()
    for core in mapping.cores:
        where = f"{core.slices[0]}"
        for what, value, end in (
            ("chip", core.chip, grid.chips),
            ("x", core.x, grid.tiles_x),
            ("y", core.y, grid.tiles_y),
        ):
            if not 0 <= value < end:
                raise _misfit(
                    path,
                    where,
                    f"{what} {value}, board {mapping.board.name} has",
                    f"0 to {end - 1}",
                )
        place = core.chip, core.x, core.y
        taken[place] += 1
        if taken[place] > grid.cores_per_tile:
            raise _misfit(
                path,
                where,
                f"core {taken[place]} on tile {list(place)}, a tile of {mapping.board.name} has",
                str(grid.cores_per_tile),
            )


def _check_limits(path: Path, mapping: CoreMap) -> None:
    for core in mapping.cores:
        for resource in RESOURCES:
            limit, used = mapping.board.limit(resource), core.usage()[resource]
            if limit is not None and used > limit:
                raise _misfit(
                    path,
                    str(core.slices[0]),
                    f"{used} {RESOURCE_WORDS[resource]}, a core of {mapping.board.name} has",
                    str(limit),
                )


def _misfit(path: Path, where: str, got: str, expected: str) -> FileFormatError:
    return FileFormatError(f"{path}: {where}: {got} {expected}; {_AGAIN}")


def _listed(entries: dict[str, dict[str, Any]]) -> str:
    shown = list(entries)[:6]
    more = len(entries) - len(shown)
    return (", ".join(shown) or "none") + f" and {more} more" * bool(more)
