"""Placements as tables: one neuron a line, as vendors' tools number cores.

::

    population,neuron,chip,core
    conv1,0,0,17

``neuron``: its number in C order; ``core``: on its chip, from 0, tile by tile. A table holds any
mapping, one that a tool made as well; what one core holds is of one population.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np

from neurodeploy.errors import FileFormatError
from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.cut.assignment import Assignment
from neurodeploy.hardware.cut.core_map import CoreMap
from neurodeploy.hardware.cut.tiling import Tiling
from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.netlist import IntegerNetlist, Population
from neurodeploy.ir.neurons import Input, MaxPool
from neurodeploy.loading.files import LARGEST_TEXT, read_bytes

COLUMNS = ("population", "neuron", "chip", "core")
SUFFIX = ".csv"


def table_of(mapping: CoreMap) -> str:
    """A mapping as the text of a table."""
    grid = mapping.board.grid
    used: dict[tuple[int, int, int], int] = {}
    lines = [",".join(COLUMNS)]
    numbers = []
    for core in mapping.cores:
        place = (core.chip, core.x, core.y)
        slot = used.get(place, 0)
        used[place] = slot + 1
        numbers.append((core.x * grid.tiles_y + core.y) * grid.cores_per_tile + slot)
    for name in mapping.first:
        cut, cores = mapping.tilings[name], mapping.cores_of(name)
        part = cut.part if isinstance(cut, Assignment) else cut.tile_of()
        for neuron, k in enumerate(part.tolist()):
            core = cores.start + k
            lines.append(f"{name},{neuron},{mapping.cores[core].chip},{numbers[core]}")
    return "\n".join(lines) + "\n"


def entries_of_table(
    path: Path, netlist: IntegerNetlist, board: Board
) -> dict[str, dict[str, Any]]:
    """The entries of a placement file (:mod:`neurodeploy.hardware.place.placement_file`).

    Boxes where the neurons of a population form them, a list of neurons elsewhere.

    Raises
    ------
    FileFormatError
        In one line, with the line of the file, what it has, what was expected and the remedy.
    """
    mapped = {p.name: p for p in netlist.populations if not isinstance(p.model, Input)}
    cores = {name: np.full(p.size, -1, dtype=np.int64) for name, p in mapped.items()}
    owner: dict[int, str] = {}
    for where, name, neuron, core in _rows(path, board):
        if name not in mapped:
            raise _fault(path, f"{where}: population {name!r}, {netlist.name} has", list(mapped))
        if neuron >= mapped[name].size:
            raise _fault(path, f"{where}: neuron {neuron} of {name}, it has", mapped[name].size)
        if cores[name][neuron] >= 0:
            raise _fault(path, f"{where}: neuron {neuron} of {name} stands", "twice")
        if owner.setdefault(core, name) != name:
            raise _fault(path, f"{where}: a core of {owner[core]}, expected", "one of its own")
        cores[name][neuron] = core
    for name, held in cores.items():
        if (held < 0).any():
            raise _fault(
                path,
                f"{name}: {int((held < 0).sum())} neurons missing, the first is",
                held.argmin(),
            )
    return {name: _entry(path, mapped[name], held, board) for name, held in cores.items()}


def _rows(path: Path, board: Board) -> Any:
    try:
        text = read_bytes(path, "a table of a placement (CSV)", LARGEST_TEXT).decode("utf-8")
        rows = list(csv.reader(io.StringIO(text)))
    except (UnicodeDecodeError, csv.Error) as error:
        raise _fault(path, "not a table:", " ".join(str(error).split())) from error
    if not rows or tuple(rows[0]) != COLUMNS:
        raise _fault(path, "line 1: expected", ",".join(COLUMNS))
    grid = board.grid
    for number, row in enumerate(rows[1:], 2):
        where = f"line {number}"
        if not row:
            continue
        if len(row) != len(COLUMNS) or not all(cell.strip().isdecimal() for cell in row[1:]):
            raise _fault(path, f"{where}: expected a name and three whole numbers, got", row)
        neuron, chip, core = (int(cell) for cell in row[1:])
        for what, value, end in (("chip", chip, grid.chips), ("core", core, grid.cores_per_chip)):
            if value >= end:
                has = f"{what} {value}, board {board.name} has"
                raise _fault(path, f"{where}: {has}", f"0 to {end - 1}")
        yield where, row[0], neuron, chip * grid.cores_per_chip + core


def _entry(path: Path, population: Population, held: IntArray, board: Board) -> dict[str, Any]:
    used, part = np.unique(held, return_inverse=True)
    entry: dict[str, Any] = {"name": population.name, "shape": list(population.shape)}
    found = _boxes(population, held)
    if found is None and isinstance(population.model, MaxPool):
        raise _fault(path, f"{population.name}: its neurons form no boxes, as those of pools", "do")
    if found is not None:
        entry["box"], used = list(found.tile), held[_first_of(found)]
    else:
        entry["part"] = part.tolist()
    entry["cores"] = [list(board.grid.tile_of(int(core))) for core in used]
    return entry


def _boxes(population: Population, held: IntArray) -> Tiling | None:
    """The grid of boxes that the cores hold, if they do."""
    first = np.flatnonzero(held == held[0])
    index = np.unravel_index(first, population.shape)
    tiling = Tiling(population.shape, tuple(int(axis.max()) + 1 for axis in index))
    boxes = held[_first_of(tiling)]
    whole = np.unique(boxes).size == tiling.n_tiles and (boxes[tiling.tile_of()] == held).all()
    return tiling if whole else None


def _first_of(tiling: Tiling) -> IntArray:
    """The first neuron of every box."""
    _, first = np.unique(tiling.tile_of(), return_index=True)
    return first


def _fault(path: Path, got: str, expected: object) -> FileFormatError:
    return FileFormatError(f"{path}: {got} {expected}; mend the table, or write one with "
                           "--save-placement FILE.csv")  # fmt: skip
