"""Boards as text: every constant with its basis and source, unknown ones by name."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from neurodeploy.hardware.boards.abilities import ABILITIES, Ability
from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.boards.constant import BASES, Constant
from neurodeploy.hardware.boards.description import LIMITS
from neurodeploy.hardware.boards.interval import NOTHING, Interval
from neurodeploy.hardware.boards.records import OVERHEADS, STATIC_POWER, BoardKind, SynapseFormat
from neurodeploy.render.quantities import with_bar
from neurodeploy.render.text import render_table

Row = tuple[str, str, str, str]
_TOLD_FIRST = ("description", "kind", "partitioned_by")


def render_boards(boards: Sequence[Board]) -> str:
    """One line per board."""
    rows = [
        (
            board.name,
            board.kind,
            board.grid.chips,
            board.grid.n_cores,
            _static(board),
            board.description,
        )
        for board in boards
    ]
    return render_table(("board", "kind", "chips", "cores", "static power", "what it is"), rows)


def _static(board: Board) -> str:
    """Static power by what it is paid for."""
    terms: dict[str, Interval] = {}
    for term in board.static.values():
        if term.account == "share":
            terms[term.per] = terms.get(term.per, NOTHING) + term.power.interval
    return ", ".join(f"{with_bar(w, 'W')} a {per}" for per, w in terms.items()) or "unknown"


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


def render_limits(boards: Sequence[Board]) -> str:
    """Limits and abilities of the boards of each kind, a column each."""
    return "\n\n".join(
        _limits_table(kind, [b for b in boards if b.kind == kind])
        for kind in dict.fromkeys(b.kind for b in boards)
    )


def _limits_table(kind: BoardKind, boards: Sequence[Board]) -> str:
    def told(value: object) -> str:
        return "unknown" if value is None else str(value)

    rows = [(name, *(told(b.limits.get(name)) for b in boards)) for name in LIMITS[kind]]
    rows += [
        (what, *(_able(b.neurons.get(name)) for b in boards))
        for name, what in ABILITIES.items()
        if any(name in b.neurons for b in boards)
    ]
    return render_table((f"{kind} cores", *(b.name for b in boards)), rows)


def _able(ability: Ability | None) -> str:
    if ability is None:
        return "unknown"
    if not ability.compartments:
        return "no"
    many = f"{ability.compartments} compartments" if ability.compartments > 1 else "yes"
    return f"{many} (assumed)" if ability.basis == "assumed" else many


def board_toml(board: Board) -> str:
    """A board file to start from: everything about ``board``, under a name of its own."""
    told = board.to_dict()
    lines = [
        f"# Copied from {board.name}. Change what is yours, and say where it is from:",
        f"# value is likely, low and high its interval, basis {' | '.join(BASES)}, and",
        '# a source in words, such as source = "my measurement". Leave out what is not known;',
        "# zeros are claims.",
        f"name = {json.dumps('my-' + board.name)}",
        *(f"{key} = {json.dumps(v)}" for key, v in told.items() if key in _TOLD_FIRST),
    ]
    for key, table in told.items():
        if not isinstance(table, dict):
            continue
        rows = [f"{k} = {_toml(v)}" for k, v in table.items() if v != {}]
        lines += ["", f"[{key}]", *rows] if rows else []
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)


def board_rows(board: Board) -> Iterator[Row]:
    """Key, value, basis and source of every limit and constant of a board's kind."""
    for name in LIMITS[board.kind]:
        yield _row(f"limits.{name}", board.limits.get(name))
    for name, ability in board.neurons.items():
        how = (
            f"{_able(ability)}: {ability.construction}" if ability.construction else _able(ability)
        )
        yield f"neurons.{name}", how, ability.basis, ability.source
    for name, cost in board.events.items():
        if cost.unknown is not None:
            yield f"events.{name}", "unknown", "", cost.unknown
            continue
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
    for name in OVERHEADS if board.tick is None and board.excludes is None else board.overheads:
        yield _row(f"timing.{name}", board.overheads.get(name))
    if board.excludes is not None:
        yield "timing", "leaves out", "", board.excludes
    for name, term in board.static.items():
        key = f"{STATIC_POWER}.{name} (per {term.per}, in {term.account})"
        yield _row(key, term.power)
    if not board.static:
        yield _row(STATIC_POWER, None)


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
    error = constant.leave_one_out
    basis = constant.basis if error is None else f"{constant.basis}, {100 * error:.0f} % off"
    return key, str(constant), basis, constant.source
