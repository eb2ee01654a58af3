"""Boards as text: every constant with its basis and source, unknown ones by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from neurodeploy.hardware.boards.board import STATIC_POWER, Board, SynapseFormat
from neurodeploy.hardware.boards.constant import Constant
from neurodeploy.hardware.boards.description import LIMITS
from neurodeploy.render.text import render_table

Row = tuple[str, str, str, str]


def render_boards(boards: Sequence[Board]) -> str:
    """One line per board."""
    rows = [
        (
            board.name,
            board.kind,
            board.grid.chips,
            board.grid.n_cores,
            "known" if board.static_power is not None else "unknown",
            board.description,
        )
        for board in boards
    ]
    return render_table(("board", "kind", "chips", "cores", "static power", "what it is"), rows)


def render_board(board: Board) -> str:
    """Everything about one board."""
    grid = board.grid
    parts = [
        f"{board.name}: {board.description}",
        f"{grid.chips_x} x {grid.chips_y} chips x {grid.tiles_x} x {grid.tiles_y} tiles x "
        f"{grid.cores_per_tile} = "
        f"{grid.n_cores} cores of kind {board.kind} ({grid.basis}: {grid.source})",
        render_table(("constant", "value", "basis", "source"), list(board_rows(board))),
    ]
    storage = board.synapses
    if storage is not None:
        sharing = "stored once per core" if storage.shared_convolution else "stored per synapse"
        parts.append(
            f"synapse memory: {storage.index_bits} index + {storage.delay_bits} delay + weight "
            f"bits per synapse, {storage.block_overhead_bits} bits per block of "
            f"{storage.block_synapses}, words of {storage.word_bits} bits, convolution kernels "
            f"{sharing}, {_axons(storage)} ({storage.basis}: {storage.source})"
        )
    return "\n\n".join(parts)


def board_rows(board: Board) -> Iterator[Row]:
    """Key, value, basis and source of every limit and constant of a board's kind."""
    for name in LIMITS[board.kind]:
        yield _row(f"limits.{name}", board.limits.get(name))
    for name, cost in board.events.items():
        if cost.included_in is None:
            yield _row(f"events.{name}.energy", cost.energy)
        else:
            yield f"events.{name}.energy", f"in {cost.included_in}", "", cost.source or ""
        if board.tick is None:
            key = f"events.{name}.latency"
            if cost.latency is None and cost.included_in not in (None, STATIC_POWER):
                yield key, f"in {cost.included_in}", "", cost.source or ""
            else:
                yield _row(key, cost.latency)
    if board.tick is not None:
        yield _row("timing.tick", board.tick)
    elif isinstance(board.barrier, tuple):
        for entry in board.barrier:
            yield _row(board.barrier_key(entry.tiles), entry.time)
    else:
        yield _row("timing.barrier", board.barrier)
    yield _row(f"{STATIC_POWER}.power (per {board.static_power_per})", board.static_power)


def _axons(storage: SynapseFormat) -> str:
    if storage.channels_per_axon == 1:
        return "an axon per source neuron"
    return (
        f"an axon for up to {storage.channels_per_axon} channels of a position, which takes "
        f"{storage.shared_axon_slots} output axons"
    )


def _row(key: str, constant: Constant | None) -> Row:
    if constant is None:
        return key, "unknown", "", ""
    return key, str(constant), constant.basis, constant.source
