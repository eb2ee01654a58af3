"""From a netlist to the file of another framework."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from neurodeploy.errors import CapacityError, UnknownNameError, UsageError
from neurodeploy.exchange.sanafe import Chip, sanafe_text
from neurodeploy.exchange.writing import FORMATS, Content, written
from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.cut.partition import partition
from neurodeploy.ir.files import expect_writable, write_bytes_whole
from neurodeploy.json_values import Result
from neurodeploy.network import Network
from neurodeploy.notebook import Shown
from neurodeploy.stages.compile import chosen_board, compile
from neurodeploy.stages.load import opened_network, wrong_kind
from neurodeploy.targets.registry import usable_targets

PROGRAM_SUFFIX = ".py"
MAPPED, MAPPED_SUFFIX = "sanafe", ".yaml"
DEFAULT_BOARD = "sanafe-loihi"


@dataclass(frozen=True, slots=True, repr=False)
class Exported(Result, Shown):
    """A file that was written for other frameworks.

    Parameters
    ----------
    path : Path
    to : str
        Its format.
    notes : tuple of str
        What has to be told about it.
    lost : mapping of str to tuple of str
        Framework that reads the format -> what it reads otherwise than this network; empty where
        it gives the same spikes.
    """

    path: Path
    to: str
    notes: tuple[str, ...] = ()
    lost: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __repr__(self) -> str:
        exact = [name for name, told in self.lost.items() if not told]
        with_all = f", every spike in {', '.join(exact)}" if exact else ""
        return f"Exported({self.path}: {self.to}{with_all})"


def export(
    net: Network | str | Path,
    to: str,
    path: str | Path,
    *,
    dynamics: str | None = None,
    dt: float | None = None,
    board: str | Board | None = None,
) -> Exported:
    """Write a network for other frameworks.

    A NIR graph holds everything that NIR can say, and the whole netlist in its metadata: read back
    by ``import_network`` it is the same netlist. What frameworks that read NIR make of it otherwise
    is told for each.

    Parameters
    ----------
    net : Network or path
    to : str
        What to write: nir (a NIR graph), net (blocks in fixed point), sanafe (an architecture with
        the network mapped on it), or a target that runs as a program of its own.
    path : path
        The file.
    dynamics : str, optional
        Of a NIR graph: whose reading gives the network's spikes, such as snntorch-zero, norse or
        sinabs. [default: the equations of NIR by forward Euler]
    dt : float, optional
        Of a NIR graph: length of a step in seconds. [default: the framework's, else 1e-4]
    board : board, optional
        Of sanafe: whose cores the network is mapped on, and what they cost. [default:
        sanafe-loihi]

    Raises
    ------
    UnknownNameError
        For a format or dynamics that does not exist.
    UnsupportedLayerError
        For what the format cannot say, by name.
    UsageError
        For a path that does not end as files of the format do.
    """
    if not isinstance(path, str | os.PathLike):
        raise wrong_kind("export", path, "the network, the format, and the path of a file")
    network = opened_network(net, "export")
    path = Path(path)
    suffixes = {name: kind.suffix for name, kind in FORMATS.items()} | {MAPPED: MAPPED_SUFFIX}
    if to not in suffixes and to not in _programs():
        raise UnknownNameError("format", to, [*suffixes, *_programs()])
    suffix = suffixes.get(to, PROGRAM_SUFFIX)
    if path.suffix != suffix:
        raise UsageError(f"{path}: choose a name that ends in {suffix}")
    expect_writable(path)
    given = {"dynamics": dynamics, "dt": dt, "board": board}
    taken = {MAPPED: ("board",)}.get(to, ("dynamics", "dt") if to == "nir" else ())
    for name, value in given.items():
        if value is not None and name not in taken:
            raise UsageError(f"{name} {value}: {to} files have none; leave it out")
    if to == MAPPED:
        found = _mapped(network, chosen_board(board or DEFAULT_BOARD))
    elif to in FORMATS:
        found = written(to, (network.netlist, network.encodings), dynamics, dt)
    else:
        found = Content(compile(network, to).program())
    write_bytes_whole(path, found.content)
    return Exported(path, to, found.notes, found.lost)


def _programs() -> list[str]:
    """Targets whose deployments are also programs of their own."""
    return [name for name, target in usable_targets().items() if target.has_program]


def _mapped(network: Network, board: Board) -> Content:
    """An architecture with the cores and costs of a board, and the network cut into them."""
    mapping = partition(network.integer, board)
    grid, unknown = board.grid, set[str]()
    if mapping.n_chips > 1:
        raise CapacityError(
            f"{network.netlist.name}: takes {mapping.n_chips} chips of board {board.name}, and an "
            "architecture has one; use a smaller network"
        )

    def cost(event: str) -> tuple[float, float]:
        told = board.energy(event), board.latency(event)
        for what, value in zip(("energy", "latency"), told, strict=True):
            if value is None:
                unknown.add(f"{what} of {event}")
        return told[0] or 0.0, told[1] or 0.0

    seen: dict[int, int] = {}
    held = []
    for core in mapping.cores:
        tile = core.x * grid.tiles_y + core.y
        parts = {p.population: p.indices(_shape(network, p.population)) for p in core.slices}
        held.append((tile, seen.get(tile, 0), parts))
        seen[tile] = seen.get(tile, 0) + 1
    barrier = board.barrier_at(mapping.tiles_in_use)
    chip = Chip(
        board.name,
        grid.tiles_x,
        grid.tiles_y,
        grid.cores_per_tile,
        board.require_limit("neurons"),
        cost,
        0.0 if barrier is None else barrier.si,
        held,
    )
    text, notes = sanafe_text(network.integer, chip)
    if barrier is None:
        unknown.add("the end of a step")
    if unknown:
        notes.append(
            f"board {board.name} does not tell, written as 0: {', '.join(sorted(unknown))}"
        )
    notes.insert(0, f"{mapping.n_cores} cores of board {board.name}")
    return Content(text.encode(), tuple(notes))


def _shape(network: Network, population: str) -> tuple[int, ...]:
    return network.integer.by_name[population].shape
