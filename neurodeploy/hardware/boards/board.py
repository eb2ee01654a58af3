"""A board: its grid of cores, its limits, and what its events cost."""

from __future__ import annotations

import copy
import functools
import importlib.resources
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from neurodeploy.errors import BoardError, FileFormatError, UnknownNameError
from neurodeploy.hardware.boards.abilities import Ability, compartments_of
from neurodeploy.hardware.boards.constant import Basis, Constant
from neurodeploy.hardware.boards.grid import Grid
from neurodeploy.hardware.boards.interval import End
from neurodeploy.ir.netlist import Population
from neurodeploy.loading.files import parsed_toml, read_bytes

BoardKind = Literal["neurocore", "crossbar"]

LARGEST_FILE = 2**20
"""Bytes of a board description."""

EVENTS: tuple[str, ...] = (
    "synops",
    "neuron_updates_active",
    "neuron_updates_inactive",
    "spikes",
    "packets",
    "hops_x",
    "hops_y",
    "chip_crossings",
)
"""Events that every board prices; the same names in board files and in reports."""

SYNAPSE_KINDS: tuple[str, ...] = ("dense", "sparse", "convolution")
"""How synapses are stored; ``synops_<kind>`` is an event of its own where a board prices it."""

SYNOPS_BY_KIND: tuple[str, ...] = tuple(f"synops_{kind}" for kind in SYNAPSE_KINDS)

FINER_EVENTS: dict[str, str] = {
    **dict.fromkeys(SYNOPS_BY_KIND, "synops"),
    "neuron_accesses": "neuron_updates_active and neuron_updates_inactive",
    "packets_received": "packets",
}
"""Events that a board may price apart, and what contains them where it does not.

``neuron_accesses`` counts every neuron in every step; with it an update costs what comes on top.
``synops`` is priced either as a whole or by kind.
"""

COUNTED: tuple[str, ...] = (*EVENTS, *FINER_EVENTS)
"""All that is counted per core."""

STATIC_POWER = "static_power"
"""Name of the static terms among the things a total needs."""

OVERHEADS: tuple[str, ...] = ("management", "reset", "injection", "host_writes")
"""Times beside the busiest core and the barrier: of every step; of every core in use, once a
sample; of every spike that the host injects; of every value that it writes for a sample."""

Account = Literal["dynamic", "share", "chip"]
ACCOUNTS: tuple[Account, ...] = get_args(Account)
"""Accounts of published energies: the events; used cores and processors too; the whole chip."""

PaidFor = Literal["core", "chip", "idle chip", "powered chip", "board"]
PAID_FOR: tuple[PaidFor, ...] = get_args(PaidFor)
"""Bases of static power: each core or chip in use, each chip of the board that is not, each
chip of the board, or once."""


@dataclass(frozen=True, slots=True)
class EventCost:
    """Cost of one event.

    Parameters
    ----------
    energy, latency : Constant or None
        None: unknown, unless ``included_in`` names where it is contained.
    included_in : str or None
        Another event, or ``static_power``, whose constant already contains this one: its energy,
        and its time unless ``latency`` gives it apart.
    source : str or None
        Of ``included_in``.
    unknown : str or None
        Of an event without a price: what is known of it all the same.
    """

    energy: Constant | None = None
    latency: Constant | None = None
    included_in: str | None = None
    source: str | None = None
    unknown: str | None = None


@dataclass(frozen=True, slots=True)
class StaticPower:
    """Power that is drawn whatever the network does.

    Parameters
    ----------
    power : Constant
    per : str
        One of :data:`PAID_FOR`.
    account : {"share", "chip"}
        The narrowest account that it belongs to.
    """

    power: Constant
    per: PaidFor = "chip"
    account: Account = "share"


@dataclass(frozen=True, slots=True)
class BarrierEntry:
    """Synchronization time of a step from this many tiles in use upwards; None: unknown."""

    tiles: int
    time: Constant | None


@dataclass(frozen=True, slots=True)
class SynapseFormat:
    """How a neurocore stores synapses: per input axon, in blocks, in memory words.

    An axon with n synapses of w weight bits takes, for every block of up to ``block_synapses``,
    ``n (w + index_bits + delay_bits) + block_overhead_bits`` bits, rounded up to ``word_bits``.

    ``shared_convolution``: axons of equal fan-out pattern can point to one stored kernel.
    ``channels_per_axon``: how many channels of one position an input axon can serve, each with
    synapses of its own (1: every source neuron takes an axon). ``shared_axon_slots``: entries of
    the table of output axons that such an axon takes; an axon of one neuron takes one.
    """

    index_bits: int
    delay_bits: int
    block_synapses: int
    block_overhead_bits: int
    word_bits: int
    shared_convolution: bool
    basis: Basis
    source: str
    channels_per_axon: int = 1
    shared_axon_slots: int = 1

    def bits_per_axon(self, n_synapses: int, weight_bits: int) -> int:
        """Bits of synapse memory of one axon with ``n_synapses`` synapses."""
        full, rest = divmod(n_synapses, self.block_synapses)
        bits = full * self._block(self.block_synapses, weight_bits)
        return bits + (self._block(rest, weight_bits) if rest else 0)

    def least_bits_per_synapse(self, weight_bits: int) -> float:
        """Fewest bits of memory per synapse, of axons of any size."""
        sizes = range(1, self.block_synapses + 1)
        return min(self.bits_per_axon(n, weight_bits) / n for n in sizes)

    def _block(self, n: int, weight_bits: int) -> int:
        bits = n * (weight_bits + self.index_bits + self.delay_bits) + self.block_overhead_bits
        return -(-bits // self.word_bits) * self.word_bits


@dataclass(frozen=True, slots=True)
class Board:
    """A chip or a board of chips.

    Parameters
    ----------
    name, description : str
    kind : {"neurocore", "crossbar"}
    grid : Grid
    limits : mapping of str to Constant
        What one core holds and what its numbers can be; a limit that is left out is unknown.
    events : mapping of event to EventCost
        The events that the board tells apart: every name of :data:`EVENTS` and those of
        :data:`FINER_EVENTS` that its file gives. Where it gives synops by kind, ``synops`` is
        missing here.
    synapses : SynapseFormat or None
        Of neurocores.
    tick : Constant or None
        Fixed duration of a time step, where a board has one.
    barrier : Constant or tuple of BarrierEntry or None
        Synchronization at the end of a step, where steps end when the busiest core is done; one
        time, or one by the number of tiles in use.
    overheads : mapping of str to Constant
        Times beside the busiest core and the barrier, by the names of :data:`OVERHEADS`.
    excludes : str or None
        What the times leave out; None: an overhead that is not given is unknown.
    halves_add : bool
        Whether a core's work on neurons and on what it receives takes turns; else they overlap.
    lockstep : bool
        Whether every step ends when the busiest core of it is done; else that is the upper end.
    static : mapping of str to StaticPower
        By name; none at all: unknown.
    partitioned_by : str or None
        A tool of the vendor that cuts networks into cores itself.
    neurons : mapping of ability to Ability
        What neurons of neurocores can do, by the names of
        :data:`neurodeploy.hardware.boards.abilities.ABILITIES`; what is left out is unknown.
    """

    name: str
    description: str
    kind: BoardKind
    grid: Grid
    limits: Mapping[str, Constant]
    events: Mapping[str, EventCost]
    synapses: SynapseFormat | None = None
    tick: Constant | None = None
    barrier: Constant | tuple[BarrierEntry, ...] | None = None
    overheads: Mapping[str, Constant] = field(default_factory=dict)
    excludes: str | None = None
    halves_add: bool = False
    lockstep: bool = False
    static: Mapping[str, StaticPower] = field(default_factory=dict)
    partitioned_by: str | None = None
    neurons: Mapping[str, Ability] = field(default_factory=dict)

    def limit(self, name: str) -> int | None:
        """The limit ``name``; None if it is unknown."""
        found = self.limits.get(name)
        return None if found is None else int(found.value)

    def __repr__(self) -> str:
        return f"Board({self.name}: {self.description})"

    def compartments(self, population: Population) -> int:
        """Compartments that one neuron of a population takes."""
        return compartments_of(population, self.neurons)

    def require_limit(self, name: str) -> int:
        """The limit ``name``.

        Raises
        ------
        BoardError
            If the board file does not give it.
        """
        value = self.limit(name)
        if value is None:
            raise BoardError(f"board {self.name}: limits.{name} is unknown; add it to the file")
        return value

    def container(self, event: str) -> str | None:
        """Event that contains the cost of ``event``; None if the board prices it by itself."""
        cost = self.events.get(event)
        if cost is not None:
            return cost.included_in
        return FINER_EVENTS.get(event, "synops by kind")

    def priced(self) -> tuple[str, ...]:
        """Events with an energy of their own, known or not."""
        return tuple(name for name, cost in self.events.items() if cost.included_in is None)

    def energy(self, event: str) -> float | None:
        """Joules that one ``event`` adds: 0 if another constant contains it, None if unknown."""
        cost = self.events.get(event)
        if cost is None or cost.included_in is not None:
            return 0.0
        return None if cost.energy is None else cost.energy.si

    def latency(self, event: str) -> float | None:
        """Seconds that one ``event`` adds: 0 if another event contains it, None if unknown."""
        cost = self.events.get(event)
        if cost is None:
            return 0.0
        if cost.latency is not None:
            return cost.latency.si
        return None if cost.included_in in (None, STATIC_POWER) else 0.0

    def barrier_at(self, tiles: int) -> Constant | None:
        """Synchronization time of a step with ``tiles`` tiles in use; None if unknown."""
        if self.barrier is None or isinstance(self.barrier, Constant):
            return self.barrier
        return self._entry(self.barrier, tiles).time

    def barrier_key(self, tiles: int) -> str:
        """Key of :meth:`barrier_at` in the board file."""
        if not isinstance(self.barrier, tuple):
            return "timing.barrier"
        first = self._entry(self.barrier, tiles).tiles
        return f"timing.barrier_by_tiles (from {first} tile{'s' * (first != 1)})"

    @staticmethod
    def _entry(barrier: tuple[BarrierEntry, ...], tiles: int) -> BarrierEntry:
        return max((e for e in barrier if e.tiles <= tiles), key=lambda e: e.tiles)

    def at(self, end: End) -> Board:
        """The board with one end of every constant's interval as its value."""

        def of(constant: Constant | None) -> Constant | None:
            return None if constant is None else constant.at(end)

        barrier = self.barrier
        if isinstance(barrier, tuple):
            barrier = tuple(replace(entry, time=of(entry.time)) for entry in barrier)
        return replace(
            self,
            events={
                name: replace(cost, energy=of(cost.energy), latency=of(cost.latency))
                for name, cost in self.events.items()
            },
            tick=of(self.tick),
            barrier=barrier if isinstance(barrier, tuple) else of(barrier),
            overheads={name: c.at(end) for name, c in self.overheads.items()},
            static={n: replace(s, power=s.power.at(end)) for n, s in self.static.items()},
        )

    def events_alone(self) -> Board:
        """The board as simulators count: events and barrier in lockstep, and nothing else."""
        excludes = "all but events and the barrier"
        return replace(self, overheads={}, excludes=excludes, lockstep=True, static={})

    def to_dict(self) -> dict[str, Any]:
        """The board as JSON values, of the same form as its TOML file."""
        from neurodeploy.hardware.boards.description import describe

        return describe(self)

    @classmethod
    def from_dict(cls, data: object, origin: str = "board") -> Board:
        """Read what :meth:`to_dict` or a TOML file gives; ``origin`` names it in errors.

        Raises
        ------
        BoardError
            With ``origin``, the key and the reason.
        """
        from neurodeploy.hardware.boards.description import parse

        return parse(data, origin)


def board_names() -> list[str]:
    """Names of the boards that come with neurodeploy."""
    folder = importlib.resources.files("neurodeploy.boards")
    return sorted(f.name[: -len(".toml")] for f in folder.iterdir() if f.name.endswith(".toml"))


def load_board(name_or_path: str | Path) -> Board:
    """Read a board by name, or a user's own from a ``.toml`` file.

    A file with ``extends = "NAME"`` starts from a board that comes with neurodeploy: tables that
    it gives replace those of that board, ``limits``, ``neurons``, ``static_power`` and ``sources``
    entry by entry.

    Raises
    ------
    UnknownNameError
        For a name that does not exist.
    BoardError
        For a file that is missing, not TOML, or describes no board.
    """
    text = str(name_or_path)
    if text in board_names():
        return Board.from_dict(_shipped(text), f"{text}.toml")
    if text.endswith(".toml") or "/" in text or isinstance(name_or_path, Path):
        try:
            content = read_bytes(Path(text), "a board description (TOML)", LARGEST_FILE)
            tables = parsed_toml(content, f"{text}: not a TOML file")
        except FileFormatError as error:
            raise BoardError(str(error)) from error
        return Board.from_dict(_extended(tables, text), text)
    if Path(text).exists():
        raise BoardError(
            f"{text}: unknown board or not a TOML file; name a board ({', '.join(board_names())}) "
            "or a file that ends in .toml"
        )
    raise UnknownNameError("board", text, board_names())


def _shipped(name: str) -> dict[str, Any]:
    """Tables of a board that comes with neurodeploy, for the caller alone."""
    return copy.deepcopy(_shipped_once(name))


@functools.cache
def _shipped_once(name: str) -> dict[str, Any]:
    resource = importlib.resources.files("neurodeploy.boards") / f"{name}.toml"
    return _extended(parsed_toml(resource.read_bytes(), f"{name}.toml"), f"{name}.toml")


def _extended(data: dict[str, Any], origin: str) -> dict[str, Any]:
    base = data.pop("extends", None)
    if base is None:
        return data
    if base not in board_names() or f"{base}.toml" == origin:
        known = ", ".join(board_names())
        raise BoardError(f"{origin}: extends: {base!r} is no board to start from; known: {known}")
    start = _shipped(base)
    for table in ("limits", "neurons", STATIC_POWER, "sources"):
        if isinstance(data.get(table), dict):
            data[table] = start.get(table, {}) | data[table]
    return {**start, **data}
