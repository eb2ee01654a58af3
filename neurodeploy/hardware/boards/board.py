"""A board: its grid of cores, its limits, and what its events cost."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field, fields, replace
from typing import Any

from neurodeploy.errors import BoardError
from neurodeploy.hardware.boards.abilities import compartments_of
from neurodeploy.hardware.boards.constant import Constant
from neurodeploy.hardware.boards.description import describe, parse
from neurodeploy.hardware.boards.interval import End
from neurodeploy.hardware.boards.records import (
    FINER_EVENTS,
    STATIC_POWER,
    BarrierEntry,
    BoardFields,
)
from neurodeploy.ir.netlist import Population


@dataclass(frozen=True, slots=True, repr=False)
class Board(BoardFields):
    """A chip or a board of chips: what its file says, and what follows from it.

    Parameters
    ----------
    file : str or None
        Path of a user's own file that it was read from.
    """

    file: str | None = field(default=None, compare=False, kw_only=True)

    @property
    def asked_as(self) -> str:
        """What names it where a board is asked for: its name, or the path of its file."""
        return self.name if self.file is None else shlex.quote(self.file)

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
        return describe(self)

    @classmethod
    def from_dict(cls, data: object, origin: str = "board") -> Board:
        """Read what :meth:`to_dict` or a TOML file gives; ``origin`` names it in errors.

        Raises
        ------
        BoardError
            With ``origin``, the key and the reason.
        """
        found = parse(data, origin)
        return cls(**{f.name: getattr(found, f.name) for f in fields(found)})
