"""A board: its grid of cores, its limits, and what its events cost."""

from __future__ import annotations

import importlib.resources
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from neurodeploy.boards.constant import Basis, Constant
from neurodeploy.errors import BoardError, FileFormatError, UnknownNameError
from neurodeploy.ir.files import read_bytes

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found,unused-ignore]

BoardKind = Literal["neurocore", "crossbar"]

EVENTS: tuple[str, ...] = (
    "synops",
    "neuron_updates_active",
    "neuron_updates_inactive",
    "spikes",
    "packets",
    "hops_x",
    "hops_y",
)
"""What an energy estimate counts; the same names in board files and in reports."""

STATIC_POWER = "static_power"
"""Name of the static term among the things a total needs."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Cores of a board: ``chips`` chips of ``tiles_x`` x ``tiles_y`` tiles.

    Tile t of a chip lies at ``(t // tiles_y, t % tiles_y)``.
    """

    chips: int
    tiles_x: int
    tiles_y: int
    cores_per_tile: int
    basis: Basis
    source: str

    @property
    def cores_per_chip(self) -> int:
        """Cores of one chip."""
        return self.tiles_x * self.tiles_y * self.cores_per_tile

    @property
    def n_cores(self) -> int:
        """Cores of the board."""
        return self.chips * self.cores_per_chip

    def tile_of(self, core: int) -> tuple[int, int, int]:
        """``(chip, x, y)`` of a core, numbered chip by chip, tile by tile."""
        chip, within = divmod(core, self.cores_per_chip)
        x, y = divmod(within // self.cores_per_tile, self.tiles_y)
        return chip, x, y


@dataclass(frozen=True, slots=True)
class EventCost:
    """What one event costs.

    Parameters
    ----------
    energy, latency : Constant or None
        None: unknown, unless ``included_in`` names where it is contained.
    included_in : str or None
        Another event, or ``static_power``, whose constant already contains this one.
    source : str or None
        Of ``included_in``.
    """

    energy: Constant | None = None
    latency: Constant | None = None
    included_in: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class SynapseFormat:
    """How a neurocore stores synapses: per input axon, in blocks, in memory words.

    An axon with n synapses of w weight bits takes, for every block of up to ``block_synapses``,
    ``n (w + index_bits + delay_bits) + block_overhead_bits`` bits, rounded up to ``word_bits``.

    ``shared_convolution``: axons of equal fan-out pattern can point to one stored kernel.
    """

    index_bits: int
    delay_bits: int
    block_synapses: int
    block_overhead_bits: int
    word_bits: int
    shared_convolution: bool
    basis: Basis
    source: str

    def bits_per_axon(self, n_synapses: int, weight_bits: int) -> int:
        """Bits of synapse memory of one axon with ``n_synapses`` synapses."""
        full, rest = divmod(n_synapses, self.block_synapses)
        bits = full * self._block(self.block_synapses, weight_bits)
        return bits + (self._block(rest, weight_bits) if rest else 0)

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
        Every name of :data:`EVENTS`.
    synapses : SynapseFormat or None
        Of neurocores.
    tick : Constant or None
        Fixed duration of a time step, where a board has one.
    barrier : Constant or None
        Synchronization at the end of a step, where steps end when the busiest core is done.
    static_power : Constant or None
    static_power_per : {"core", "chip"}
        What ``static_power`` is paid for: every core in use, or every chip in use.
    """

    name: str
    description: str
    kind: BoardKind
    grid: Grid
    limits: Mapping[str, Constant]
    events: Mapping[str, EventCost]
    synapses: SynapseFormat | None = None
    tick: Constant | None = None
    barrier: Constant | None = None
    static_power: Constant | None = None
    static_power_per: Literal["core", "chip"] = "chip"

    def limit(self, name: str) -> int | None:
        """The limit ``name``; None if it is unknown."""
        found = self.limits.get(name)
        return None if found is None else int(found.value)

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

    def to_dict(self) -> dict[str, Any]:
        """The board as JSON values, of the same form as its TOML file."""
        from neurodeploy.boards.description import describe

        return describe(self)

    @classmethod
    def from_dict(cls, data: object, origin: str = "board") -> Board:
        """Read what :meth:`to_dict` or a TOML file gives; ``origin`` names it in errors.

        Raises
        ------
        BoardError
            With ``origin``, the key and the reason.
        """
        from neurodeploy.boards.description import parse

        return parse(data, origin)


def board_names() -> list[str]:
    """Names of the boards that come with neurodeploy."""
    folder = importlib.resources.files("neurodeploy.boards")
    return sorted(f.name[: -len(".toml")] for f in folder.iterdir() if f.name.endswith(".toml"))


def load_board(name_or_path: str | Path) -> Board:
    """Read a board by name, or a user's own from a ``.toml`` file.

    Raises
    ------
    UnknownNameError
        For a name that does not exist.
    BoardError
        For a file that is missing, not TOML, or describes no board.
    """
    text = str(name_or_path)
    if text in board_names():
        resource = importlib.resources.files("neurodeploy.boards") / f"{text}.toml"
        return _read(resource.read_bytes(), f"{text}.toml")
    if text.endswith(".toml") or "/" in text or isinstance(name_or_path, Path):
        try:
            content = read_bytes(Path(text), "a board description (TOML)")
        except FileFormatError as error:
            raise BoardError(str(error)) from error
        return _read(content, text)
    if Path(text).exists():
        raise BoardError(
            f"{text}: unknown board or not a TOML file; name a board ({', '.join(board_names())}) "
            "or a file that ends in .toml"
        )
    raise UnknownNameError("board", text, board_names())


def _read(content: bytes, origin: str) -> Board:
    try:
        data = tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise BoardError(f"{origin}: not a TOML file: {reason}; mend the file") from error
    return Board.from_dict(data, origin)
