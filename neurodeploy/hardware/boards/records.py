"""What stands in a board file, as records: the grid, limits, and costs of events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from neurodeploy.hardware.boards.abilities import Ability
from neurodeploy.hardware.boards.constant import Basis, Constant
from neurodeploy.hardware.boards.grid import Grid

BoardKind = Literal["neurocore", "crossbar"]

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
class BoardFields:
    """What a board file says of a chip or a board of chips.

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
