"""Board descriptions: strict reading of TOML tables, and the way back."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any, cast

from neurodeploy.hardware.boards.abilities import ABILITIES, Ability
from neurodeploy.hardware.boards.constant import Constant
from neurodeploy.hardware.boards.grid import Grid
from neurodeploy.hardware.boards.largest import BITS, BLOCK, CORES, COUNT, above, largest_limit
from neurodeploy.hardware.boards.reader import Reader, Table
from neurodeploy.hardware.boards.records import (
    COUNTED,
    EVENTS,
    OVERHEADS,
    PAID_FOR,
    STATIC_POWER,
    SYNOPS_BY_KIND,
    BarrierEntry,
    BoardFields,
    BoardKind,
    EventCost,
    StaticPower,
    SynapseFormat,
)

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
    "partitioned_by",
)
BARRIER_TABLE = "barrier_by_tiles"
_CONSTANT = tuple(field.name for field in dataclasses.fields(Constant))
TIMINGS = ("tick", "barrier", BARRIER_TABLE)
HALVES = ("overlap", "add")


def parse(data: object, origin: str) -> BoardFields:
    """Read a board description; see ``Board.from_dict``."""
    bare = Reader(origin, {})
    top = bare.table(data, "", _TOP, ("name", "description", "kind", "grid", "limits"))
    given = top.get("sources", {})
    if not isinstance(given, dict):
        raise bare.fail("sources", f"got {given!r}; expected a table")
    reader = Reader(origin, {k: bare.text(given, k, "sources") for k in given})
    kind = reader.one_of(top["kind"], tuple(LIMITS), "kind")
    timing = _timing(reader, top.get("timing", {}))
    return BoardFields(
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
        overheads={
            name: found
            for name in OVERHEADS
            if (found := reader.constant(timing.get(name), f"timing.{name}", "time")) is not None
        },
        excludes=reader.text(timing, "excludes", "timing") if "excludes" in timing else None,
        halves_add=timing.get("halves") == "add",
        lockstep=timing.get("lockstep", False),
        static=_static(reader, top.get(STATIC_POWER, {})),
        partitioned_by=reader.text(top, "partitioned_by", "") if "partitioned_by" in top else None,
    )


def _timing(reader: Reader, value: object) -> Table:
    table = reader.table(value, "timing", (*TIMINGS, *OVERHEADS, "halves", "lockstep", "excludes"))
    told = [name for name in TIMINGS if name in table]
    if len(told) > 1:
        raise reader.fail(
            "timing", f"both {' and '.join(told)}; a step is as long as one of them says"
        )
    if not isinstance(table.get("lockstep", False), bool):
        raise reader.fail("timing.lockstep", f"got {table['lockstep']!r}; expected true or false")
    beside = [name for name in (*OVERHEADS, "halves", "lockstep") if name in table]
    if "tick" in table and beside:
        raise reader.fail(f"timing.{beside[0]}", "is part of a tick; leave it out")
    reader.one_of(table.get("halves", "overlap"), HALVES, "timing.halves")
    return table


def _static(reader: Reader, value: object) -> dict[str, StaticPower]:
    if not isinstance(value, dict):
        raise reader.fail(STATIC_POWER, f"got {value!r}; expected a table")
    found = {}
    for name, given in value.items():
        key = f"{STATIC_POWER}.{name}"
        table = reader.table(given, key, ("power", "per", "account"), ("power", "per"))
        for field, known in (("per", PAID_FOR), ("account", ("share", "chip"))):
            if field in table:
                reader.one_of(table[field], known, f"{key}.{field}")
        power = reader.constant(table["power"], f"{key}.power", "power")
        if power is None:
            raise reader.fail(f"{key}.power", "missing; add it")
        found[name] = StaticPower(power, table["per"], table.get("account", "share"))
    return found


def _grid(reader: Reader, value: object) -> Grid:
    sizes = ("tiles_x", "tiles_y", "cores_per_tile")
    keys = ("chips", "chips_x", "chips_y", *sizes, "basis", "source")
    table = reader.table(value, "grid", keys, (*sizes, "basis", "source"))
    counts = {name: reader.whole(table, name, "grid", 1, CORES) for name in sizes}
    chips_x, chips_y = _chips(reader, table)
    basis, source = reader.basis(table, "grid"), reader.source(table, "grid")
    grid = Grid(chips_x, chips_y, **counts, basis=basis, source=source)
    if grid.n_cores > CORES:
        raise reader.fail("grid", f"cores of the board: {above(grid.n_cores, CORES)}")
    return grid


def _chips(reader: Reader, table: Table) -> tuple[int, int]:
    arranged = [name for name in ("chips_x", "chips_y") if name in table]
    if not arranged:
        if "chips" not in table:
            raise reader.fail("grid.chips", "missing; add it, or chips_x and chips_y")
        return reader.whole(table, "chips", "grid", 1, CORES), 1
    if len(arranged) == 1:
        other = "chips_y" if arranged == ["chips_x"] else "chips_x"
        raise reader.fail(f"grid.{other}", f"missing; {arranged[0]} needs it")
    chips_x, chips_y = (reader.whole(table, name, "grid", 1, CORES) for name in arranged)
    if "chips" in table:
        chips = reader.whole(table, "chips", "grid", 1)
        if chips != chips_x * chips_y:
            raise reader.fail(
                "grid.chips", f"{chips} is not {chips_x} x {chips_y} (chips_x x chips_y); drop it"
            )
    return chips_x, chips_y


def _barrier(reader: Reader, timing: Table) -> Constant | tuple[BarrierEntry, ...] | None:
    if BARRIER_TABLE not in timing:
        return reader.constant(timing.get("barrier"), "timing.barrier", "time")
    key, rows = f"timing.{BARRIER_TABLE}", timing[BARRIER_TABLE]
    if not isinstance(rows, list) or not rows:
        raise reader.fail(key, f"got {rows!r}; expected a list of tables, one at least")
    entries: list[BarrierEntry] = []
    for index, row in enumerate(rows):
        place = f"{key}[{index}]"
        table = reader.table(row, place, ("tiles", *_CONSTANT), ("tiles",))
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


def _limits(reader: Reader, value: object, kind: str) -> dict[str, Constant]:
    table = reader.table(value, "limits", LIMITS[kind], REQUIRED_LIMITS[kind])
    limits: dict[str, Constant] = {}
    for name in table:
        key = f"limits.{name}"
        limit = reader.constant(table[name], key, "count")
        if limit is None:
            raise reader.fail(key, "missing; leave the key out if it is unknown")
        if name not in SIGNED_LIMITS and limit.value < 1:
            raise reader.fail(key, f"{limit.value} is below 1")
        if abs(limit.value) > (most := largest_limit(name, kind)):
            raise reader.fail(key, above(int(limit.value), most))
        limits[name] = limit
    return limits


def _abilities(reader: Reader, value: object, kind: str) -> dict[str, Ability]:
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


def _synapses(reader: Reader, value: object, kind: str) -> SynapseFormat | None:
    if value is None:
        return None
    if kind != "neurocore":
        raise reader.fail("synapses", f"a {kind} board has no synapse memory; remove the table")
    names = tuple(f.name for f in dataclasses.fields(SynapseFormat))
    alone = {"channels_per_axon": 1, "shared_axon_slots": 1}
    needed = tuple(n for n in names if n not in alone)
    table = alone | reader.table(value, "synapses", names, needed)
    ends = {
        "index_bits": (0, BITS),
        "delay_bits": (0, BITS),
        "block_synapses": (1, BLOCK),
        "block_overhead_bits": (0, COUNT),
        "word_bits": (1, COUNT),
        **dict.fromkeys(alone, (1, COUNT)),
    }
    shared = table["shared_convolution"]
    if not isinstance(shared, bool):
        raise reader.fail("synapses.shared_convolution", f"got {shared!r}; expected true or false")
    return SynapseFormat(
        **{name: reader.whole(table, name, "synapses", *both) for name, both in ends.items()},
        shared_convolution=shared,
        basis=reader.basis(table, "synapses"),
        source=reader.source(table, "synapses"),
    )


def _events(reader: Reader, value: object) -> dict[str, EventCost]:
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


def _event(reader: Reader, name: str, value: object, told: Collection[str]) -> EventCost:
    key = f"events.{name}"
    table = reader.table(value, key, ("energy", "latency", "included_in", "source", "unknown"))
    latency = reader.constant(table.get("latency"), f"{key}.latency", "time")
    if "unknown" in table:
        if len(table) > 1:
            raise reader.fail(f"{key}.unknown", "says why there is no price, and there is one")
        return EventCost(unknown=reader.text(table, "unknown", key))
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


def describe(board: BoardFields) -> dict[str, Any]:
    """The board as JSON values; :func:`parse` reads them back to an equal board."""
    description: dict[str, Any] = {
        "name": board.name,
        "description": board.description,
        "kind": board.kind,
        "grid": _describe_grid(board.grid),
        "limits": {name: _told(limit) for name, limit in board.limits.items()},
        "events": {name: _told(cost) for name, cost in board.events.items()},
        "timing": _describe_timing(board),
        STATIC_POWER: {name: _told(term) for name, term in board.static.items()},
        "partitioned_by": board.partitioned_by,
    }
    if board.neurons:
        description["neurons"] = {name: _told(able) for name, able in board.neurons.items()}
    if board.synapses is not None:
        description["synapses"] = dataclasses.asdict(board.synapses)
    return {key: value for key, value in description.items() if value is not None}


def _told(record: Any) -> Table:
    """A record as a table of what it has."""
    table = dataclasses.asdict(record)
    return {
        key: {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else value
        for key, value in table.items()
        if value is not None
    }


def _describe_grid(grid: Grid) -> Table:
    table = dataclasses.asdict(grid)
    if grid.chips_y > 1:
        return table
    # A row of chips is told by their number alone.
    return {"chips": grid.chips} | {k: v for k, v in table.items() if not k.startswith("chips_")}


def _describe_timing(board: BoardFields) -> Table:
    table: Table = {name: _told(constant) for name, constant in board.overheads.items()}
    if board.excludes is not None:
        table["excludes"] = board.excludes
    if board.lockstep:
        table["lockstep"] = True
    if board.halves_add:
        table["halves"] = "add"
    if board.tick is not None:
        return {"tick": _told(board.tick)} | table
    if isinstance(board.barrier, tuple):
        times = [{} if e.time is None else _told(e.time) for e in board.barrier]
        rows = zip(board.barrier, times, strict=True)
        return {BARRIER_TABLE: [{"tiles": e.tiles, **time} for e, time in rows]} | table
    return table if board.barrier is None else {"barrier": _told(board.barrier)} | table
