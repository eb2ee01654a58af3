"""Board descriptions: strict reading of TOML tables, and the way back."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, cast

from neurodeploy.errors import BoardError
from neurodeploy.hardware.boards.abilities import ABILITIES, Ability
from neurodeploy.hardware.boards.board import (
    COUNTED,
    EVENTS,
    STATIC_POWER,
    SYNOPS_BY_KIND,
    BarrierEntry,
    Board,
    BoardKind,
    EventCost,
    SynapseFormat,
)
from neurodeploy.hardware.boards.constant import BASES, Basis, Constant, Quantity, constant_fault
from neurodeploy.hardware.boards.grid import Grid

NEUROCORE_LIMITS: tuple[str, ...] = (
    "neurons",
    "input_axons",
    "output_axons",
    "synapse_memory_bits",
    "weight_bits",
    "signed_weight_bits",
    "weight_exponent_max",
    "delay_max",
    "payload_bits",
    "state_bits",
    "threshold_mantissa_bits",
    "threshold_exponent",
    "bias_mantissa_max",
    "bias_exponent_max",
    "threshold_profiles",
    "compartment_profiles",
    "synapse_formats",
)
CROSSBAR_LIMITS: tuple[str, ...] = (
    "axons",
    "neurons",
    "axon_types",
    "weight_bits",
    "weight_min",
    "weight_max",
    "delay_max",
    "destinations",
    "membrane_bits",
    "membrane_floor",
    "leak_min",
    "leak_max",
    "threshold_min",
    "threshold_max",
    "initial_membrane_min",
    "initial_membrane_max",
)
LIMITS: dict[str, tuple[str, ...]] = {"neurocore": NEUROCORE_LIMITS, "crossbar": CROSSBAR_LIMITS}
REQUIRED_LIMITS: dict[str, tuple[str, ...]] = {
    "neurocore": ("neurons",),
    "crossbar": CROSSBAR_LIMITS,
}
SIGNED_LIMITS = frozenset(
    {
        "weight_min",
        "weight_max",
        "membrane_floor",
        "leak_min",
        "leak_max",
        "initial_membrane_min",
        "initial_membrane_max",
        "threshold_exponent",
        "bias_exponent_max",
    }
)

_TOP = (
    "name",
    "description",
    "kind",
    "sources",
    "grid",
    "limits",
    "neurons",
    "synapses",
    "events",
    "timing",
    STATIC_POWER,
)
_Table = dict[str, Any]
BARRIER_TABLE = "barrier_by_tiles"
TIMINGS = ("tick", "barrier", BARRIER_TABLE)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Checks tables of one file; every failure names the file and the key."""

    origin: str
    sources: dict[str, str]

    def fail(self, key: str, reason: str) -> BoardError:
        return BoardError(f"{self.origin}: {key}: {reason}")

    def table(
        self,
        value: object,
        key: str,
        allowed: Collection[str],
        required: Collection[str] = (),
    ) -> _Table:
        if not isinstance(value, dict):
            raise self.fail(key, f"got {value!r}; expected a table")
        unknown = sorted(str(k) for k in value if k not in allowed)
        if unknown:
            raise self.fail(
                f"{key}.{unknown[0]}" if key else unknown[0],
                f"unknown key; known: {', '.join(allowed)}",
            )
        missing = [k for k in required if k not in value]
        if missing:
            raise self.fail(f"{key}.{missing[0]}" if key else missing[0], "missing; add it")
        return value

    def text(self, table: _Table, name: str, key: str) -> str:
        value = table.get(name)
        if not isinstance(value, str) or not value.strip():
            raise self.fail(f"{key}.{name}".lstrip("."), f"got {value!r}; expected a text")
        return value

    def whole(self, table: _Table, name: str, key: str, least: int) -> int:
        value = table.get(name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.fail(f"{key}.{name}", f"got {value!r}; expected a whole number")
        if value < least:
            raise self.fail(f"{key}.{name}", f"{value} is below {least}")
        return value

    def source(self, table: _Table, key: str) -> str:
        text = self.text(table, "source", key)
        if text in self.sources:
            return self.sources[text]
        if " " not in text and (near := get_close_matches(text, self.sources, 1)):
            raise self.fail(
                f"{key}.source",
                f"{text!r} is neither a citation nor a key of [sources]; did you mean {near[0]!r}?",
            )
        return text

    def basis(self, table: _Table, key: str) -> Basis:
        value = table.get("basis")
        if value not in BASES:
            raise self.fail(f"{key}.basis", f"{value!r}; expected one of {', '.join(BASES)}")
        return cast(Basis, value)

    def constant(self, value: object, key: str, quantity: Quantity) -> Constant | None:
        if value is None:
            return None
        required = ["value", "basis", "source"] + (["unit"] if quantity != "count" else [])
        table = self.table(value, key, ("value", "unit", "basis", "source"), required)
        unit = table.get("unit", "1")
        fault = constant_fault(table["value"], unit, table["basis"], quantity)
        if fault:
            raise self.fail(key, fault)
        return Constant(table["value"], unit, table["basis"], self.source(table, key))


def parse(data: object, origin: str) -> Board:
    """Read a board description; see :meth:`Board.from_dict`."""
    bare = _Reader(origin, {})
    top = bare.table(data, "", _TOP, ("name", "description", "kind", "grid", "limits"))
    given = top.get("sources", {})
    if not isinstance(given, dict):
        raise bare.fail("sources", f"got {given!r}; expected a table")
    reader = _Reader(origin, {k: bare.text(given, k, "sources") for k in given})
    kind = top["kind"]
    if kind not in LIMITS:
        raise reader.fail("kind", f"{kind!r}; expected one of {', '.join(LIMITS)}")
    timing = reader.table(top.get("timing", {}), "timing", TIMINGS)
    if len(timing) > 1:
        both = " and ".join(name for name in TIMINGS if name in timing)
        raise reader.fail("timing", f"both {both}; a step is as long as one of them says")
    static = reader.table(top.get(STATIC_POWER, {}), STATIC_POWER, ("per", "power"))
    per = static.get("per", "chip")
    if per not in ("core", "chip", "board"):
        raise reader.fail(f"{STATIC_POWER}.per", f"{per!r}; expected 'core', 'chip' or 'board'")
    return Board(
        name=reader.text(top, "name", ""),
        description=reader.text(top, "description", ""),
        kind=cast(BoardKind, kind),
        grid=_grid(reader, top["grid"]),
        limits=_limits(reader, top["limits"], kind),
        neurons=_abilities(reader, top.get("neurons"), kind),
        events=_events(reader, top.get("events", {})),
        synapses=_synapses(reader, top.get("synapses"), kind),
        tick=reader.constant(timing.get("tick"), "timing.tick", "time"),
        barrier=_barrier(reader, timing),
        static_power=reader.constant(static.get("power"), f"{STATIC_POWER}.power", "power"),
        static_power_per=per,
    )


def _grid(reader: _Reader, value: object) -> Grid:
    sizes = ("tiles_x", "tiles_y", "cores_per_tile")
    keys = ("chips", "chips_x", "chips_y", *sizes, "basis", "source")
    table = reader.table(value, "grid", keys, (*sizes, "basis", "source"))
    counts = {name: reader.whole(table, name, "grid", 1) for name in sizes}
    chips_x, chips_y = _chips(reader, table)
    basis, source = reader.basis(table, "grid"), reader.source(table, "grid")
    return Grid(chips_x, chips_y, **counts, basis=basis, source=source)


def _chips(reader: _Reader, table: _Table) -> tuple[int, int]:
    arranged = [name for name in ("chips_x", "chips_y") if name in table]
    if not arranged:
        if "chips" not in table:
            raise reader.fail("grid.chips", "missing; add it, or chips_x and chips_y")
        return reader.whole(table, "chips", "grid", 1), 1
    if len(arranged) == 1:
        other = "chips_y" if arranged == ["chips_x"] else "chips_x"
        raise reader.fail(f"grid.{other}", f"missing; {arranged[0]} needs it")
    chips_x, chips_y = (reader.whole(table, name, "grid", 1) for name in arranged)
    if "chips" in table:
        chips = reader.whole(table, "chips", "grid", 1)
        if chips != chips_x * chips_y:
            raise reader.fail(
                "grid.chips", f"{chips} is not {chips_x} x {chips_y} (chips_x x chips_y); drop it"
            )
    return chips_x, chips_y


def _barrier(reader: _Reader, timing: _Table) -> Constant | tuple[BarrierEntry, ...] | None:
    if BARRIER_TABLE not in timing:
        return reader.constant(timing.get("barrier"), "timing.barrier", "time")
    key, rows = f"timing.{BARRIER_TABLE}", timing[BARRIER_TABLE]
    if not isinstance(rows, list) or not rows:
        raise reader.fail(key, f"got {rows!r}; expected a list of tables, one at least")
    entries: list[BarrierEntry] = []
    for index, row in enumerate(rows):
        place = f"{key}[{index}]"
        table = reader.table(row, place, ("tiles", "value", "unit", "basis", "source"), ("tiles",))
        tiles = reader.whole(table, "tiles", place, 1)
        if not entries and tiles != 1:
            raise reader.fail(f"{place}.tiles", f"{tiles}; the first entry has to start at 1")
        if entries and tiles <= entries[-1].tiles:
            raise reader.fail(
                f"{place}.tiles",
                f"{tiles} overlaps the entry from {entries[-1].tiles}; list them in rising order",
            )
        time = {k: v for k, v in row.items() if k != "tiles"} or None
        entries.append(BarrierEntry(tiles, reader.constant(time, place, "time")))
    return tuple(entries)


def _limits(reader: _Reader, value: object, kind: str) -> dict[str, Constant]:
    table = reader.table(value, "limits", LIMITS[kind], REQUIRED_LIMITS[kind])
    limits: dict[str, Constant] = {}
    for name in table:
        key = f"limits.{name}"
        limit = reader.constant(table[name], key, "count")
        assert limit is not None  # TOML has no null
        if name not in SIGNED_LIMITS and limit.value < 1:
            raise reader.fail(key, f"{limit.value} is below 1")
        limits[name] = limit
    return limits


def _abilities(reader: _Reader, value: object, kind: str) -> dict[str, Ability]:
    if value is None:
        return {}
    if kind != "neurocore":
        raise reader.fail("neurons", f"{kind} cores say it all in limits; remove the table")
    found = {}
    for name, given in reader.table(value, "neurons", ABILITIES).items():
        key = f"neurons.{name}"
        required = ("compartments", "basis", "source")
        table = reader.table(given, key, (*required, "construction"), required)
        compartments = reader.whole(table, "compartments", key, 0)
        construction = table.get("construction")
        if construction is not None or compartments > 1:
            construction = reader.text(table, "construction", key)
        found[name] = Ability(
            compartments, reader.basis(table, key), reader.source(table, key), construction
        )
    return found


def _synapses(reader: _Reader, value: object, kind: str) -> SynapseFormat | None:
    if value is None:
        return None
    if kind != "neurocore":
        raise reader.fail("synapses", f"a {kind} board has no synapse memory; remove the table")
    names = tuple(f.name for f in dataclasses.fields(SynapseFormat))
    alone = {"channels_per_axon": 1, "shared_axon_slots": 1}
    needed = tuple(n for n in names if n not in alone)
    table = alone | reader.table(value, "synapses", names, needed)
    least = {
        "index_bits": 0,
        "delay_bits": 0,
        "block_synapses": 1,
        "block_overhead_bits": 0,
        "word_bits": 1,
        **alone,
    }
    shared = table["shared_convolution"]
    if not isinstance(shared, bool):
        raise reader.fail("synapses.shared_convolution", f"got {shared!r}; expected true or false")
    return SynapseFormat(
        **{name: reader.whole(table, name, "synapses", low) for name, low in least.items()},
        shared_convolution=shared,
        basis=reader.basis(table, "synapses"),
        source=reader.source(table, "synapses"),
    )


def _events(reader: _Reader, value: object) -> dict[str, EventCost]:
    table = reader.table(value, "events", COUNTED)
    by_kind = [name for name in SYNOPS_BY_KIND if name in table]
    if by_kind and "synops" in table:
        raise reader.fail(
            f"events.{by_kind[0]}", "overlaps events.synops; price synops whole or by kind"
        )
    told = [name for name in EVENTS if name != "synops" or not by_kind]
    told += SYNOPS_BY_KIND if by_kind else ()
    told += [name for name in COUNTED if name in table and name not in told]
    told.sort(key=COUNTED.index)
    costs = {name: _event(reader, name, table.get(name, {}), told) for name in told}
    for name, cost in costs.items():
        if cost.included_in is None or cost.included_in == STATIC_POWER:
            continue
        other = costs[cost.included_in]
        if other.included_in is not None:
            raise reader.fail(
                f"events.{name}.included_in", f"{cost.included_in} is itself included elsewhere"
            )
    return costs


def _event(reader: _Reader, name: str, value: object, told: Collection[str]) -> EventCost:
    key = f"events.{name}"
    table = reader.table(value, key, ("energy", "latency", "included_in", "source"))
    latency = reader.constant(table.get("latency"), f"{key}.latency", "time")
    if "included_in" not in table:
        if "source" in table:
            raise reader.fail(f"{key}.source", "belongs into energy or latency")
        return EventCost(reader.constant(table.get("energy"), f"{key}.energy", "energy"), latency)
    if "energy" in table:
        raise reader.fail(key, "has both energy and included_in; keep one")
    container = table["included_in"]
    if container == name or container not in (*told, STATIC_POWER):
        raise reader.fail(
            f"{key}.included_in",
            f"{container!r}; expected another event of this board or {STATIC_POWER!r}",
        )
    return EventCost(None, latency, container, reader.source(table, key))


def describe(board: Board) -> dict[str, Any]:
    """The board as JSON values; :func:`parse` reads them back to an equal board."""
    description: dict[str, Any] = {
        "name": board.name,
        "description": board.description,
        "kind": board.kind,
        "grid": _describe_grid(board.grid),
        "limits": {name: dataclasses.asdict(limit) for name, limit in board.limits.items()},
        "events": {
            name: {k: v for k, v in dataclasses.asdict(cost).items() if v is not None}
            for name, cost in board.events.items()
        },
        "timing": _describe_timing(board),
        STATIC_POWER: {"per": board.static_power_per},
    }
    if board.neurons:
        description["neurons"] = {
            name: {k: v for k, v in dataclasses.asdict(ability).items() if v is not None}
            for name, ability in board.neurons.items()
        }
    if board.synapses is not None:
        description["synapses"] = dataclasses.asdict(board.synapses)
    if board.static_power is not None:
        description[STATIC_POWER]["power"] = dataclasses.asdict(board.static_power)
    return description


def _describe_grid(grid: Grid) -> _Table:
    table = dataclasses.asdict(grid)
    if grid.chips_y > 1:
        return table
    # A row of chips is told by their number alone.
    return {"chips": grid.chips} | {k: v for k, v in table.items() if not k.startswith("chips_")}


def _describe_timing(board: Board) -> _Table:
    if board.tick is not None:
        return {"tick": dataclasses.asdict(board.tick)}
    if isinstance(board.barrier, tuple):
        times = [{} if e.time is None else dataclasses.asdict(e.time) for e in board.barrier]
        rows = zip(board.barrier, times, strict=True)
        return {BARRIER_TABLE: [{"tiles": entry.tiles, **time} for entry, time in rows]}
    return {} if board.barrier is None else {"barrier": dataclasses.asdict(board.barrier)}
