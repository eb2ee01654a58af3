"""Board descriptions: strict reading of TOML tables, and the way back."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, cast

from neurodeploy.boards.board import (
    EVENTS,
    STATIC_POWER,
    Board,
    BoardKind,
    EventCost,
    Grid,
    SynapseFormat,
)
from neurodeploy.boards.constant import BASES, Basis, Constant, Quantity, constant_fault
from neurodeploy.errors import BoardError

NEUROCORE_LIMITS: tuple[str, ...] = (
    "neurons",
    "input_axons",
    "output_axons",
    "synapse_memory_bits",
    "weight_bits",
    "delay_max",
    "payload_bits",
    "state_bits",
    "threshold_mantissa_bits",
    "threshold_exponent",
    "bias_mantissa_max",
    "bias_exponent_max",
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
    "synapses",
    "events",
    "timing",
    STATIC_POWER,
)
_Table = dict[str, Any]


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
        if " " not in text:
            known = ", ".join(sorted(self.sources)) or "none"
            raise self.fail(
                f"{key}.source", f"{text!r} is neither a citation nor a key of [sources] ({known})"
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
    timing = reader.table(top.get("timing", {}), "timing", ("tick", "barrier"))
    if len(timing) > 1:
        raise reader.fail("timing", "both tick and barrier; a step is as long as one of them says")
    static = reader.table(top.get(STATIC_POWER, {}), STATIC_POWER, ("per", "power"))
    per = static.get("per", "chip")
    if per not in ("core", "chip"):
        raise reader.fail(f"{STATIC_POWER}.per", f"{per!r}; expected 'core' or 'chip'")
    return Board(
        name=reader.text(top, "name", ""),
        description=reader.text(top, "description", ""),
        kind=cast(BoardKind, kind),
        grid=_grid(reader, top["grid"]),
        limits=_limits(reader, top["limits"], kind),
        events=_events(reader, top.get("events", {})),
        synapses=_synapses(reader, top.get("synapses"), kind),
        tick=reader.constant(timing.get("tick"), "timing.tick", "time"),
        barrier=reader.constant(timing.get("barrier"), "timing.barrier", "time"),
        static_power=reader.constant(static.get("power"), f"{STATIC_POWER}.power", "power"),
        static_power_per=per,
    )


def _grid(reader: _Reader, value: object) -> Grid:
    sizes = ("chips", "tiles_x", "tiles_y", "cores_per_tile")
    keys = (*sizes, "basis", "source")
    table = reader.table(value, "grid", keys, keys)
    counts = {name: reader.whole(table, name, "grid", 1) for name in sizes}
    return Grid(**counts, basis=reader.basis(table, "grid"), source=reader.source(table, "grid"))


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


def _synapses(reader: _Reader, value: object, kind: str) -> SynapseFormat | None:
    if value is None:
        return None
    if kind != "neurocore":
        raise reader.fail("synapses", f"a {kind} board has no synapse memory; remove the table")
    names = tuple(f.name for f in dataclasses.fields(SynapseFormat))
    table = reader.table(value, "synapses", names, names)
    least = {
        "index_bits": 0,
        "delay_bits": 0,
        "block_synapses": 1,
        "block_overhead_bits": 0,
        "word_bits": 1,
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
    table = reader.table(value, "events", EVENTS)
    costs = {name: _event(reader, name, table.get(name, {})) for name in EVENTS}
    for name, cost in costs.items():
        if cost.included_in is None or cost.included_in == STATIC_POWER:
            continue
        other = costs[cost.included_in]
        if other.included_in is not None:
            raise reader.fail(
                f"events.{name}.included_in", f"{cost.included_in} is itself included elsewhere"
            )
    return costs


def _event(reader: _Reader, name: str, value: object) -> EventCost:
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
    if container == name or container not in (*EVENTS, STATIC_POWER):
        raise reader.fail(
            f"{key}.included_in",
            f"{container!r}; expected another event or {STATIC_POWER!r}",
        )
    return EventCost(None, latency, container, reader.source(table, key))


def describe(board: Board) -> dict[str, Any]:
    """The board as JSON values; :func:`parse` reads them back to an equal board."""
    description: dict[str, Any] = {
        "name": board.name,
        "description": board.description,
        "kind": board.kind,
        "grid": dataclasses.asdict(board.grid),
        "limits": {name: dataclasses.asdict(limit) for name, limit in board.limits.items()},
        "events": {
            name: {k: v for k, v in dataclasses.asdict(cost).items() if v is not None}
            for name, cost in board.events.items()
        },
        "timing": {
            name: dataclasses.asdict(value)
            for name, value in (("tick", board.tick), ("barrier", board.barrier))
            if value is not None
        },
        STATIC_POWER: {"per": board.static_power_per},
    }
    if board.synapses is not None:
        description["synapses"] = dataclasses.asdict(board.synapses)
    if board.static_power is not None:
        description[STATIC_POWER]["power"] = dataclasses.asdict(board.static_power)
    return description
