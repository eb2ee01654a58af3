"""From a plan to the arrays of the chip, and who is who on it."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np

from neurodeploy.hardware.boards.board import Board
from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.targets.truenorth.cores import HOST, NOWHERE, ZERO, Cores, HostLines
from neurodeploy.targets.truenorth.fanout import HOST_PLACE, Destinations, RelayCore
from neurodeploy.targets.truenorth.plan import CorePlan
from neurodeploy.targets.truenorth.readout import Readout
from neurodeploy.targets.truenorth.units import (
    BIAS_KEY,
    DOWN_KEY,
    HOLD_KEY,
    RELEASE_KEY,
    UP_KEY,
    Unit,
)

_CONSTANT = {
    BIAS_KEY: "bias",
    HOLD_KEY: "hold",
    RELEASE_KEY: "release",
    UP_KEY: "up",
    DOWN_KEY: "down",
}
"""Keys of the host's own spikes, and what they are for."""


@dataclass(frozen=True, slots=True)
class _Numbering:
    """First core of each unit, and first of its splitter cores."""

    own: dict[str, int]
    relays: dict[str, int]
    n_cores: int


def assemble(plan: CorePlan, board: Board) -> tuple[Cores, Readout]:
    """Write the cores and the map from chip neurons to populations."""
    numbering = _number(plan)
    chip = _Chip(plan, numbering.n_cores, board)
    names = [n for n, u in plan.units.items() if n == u.population]
    for name, unit in plan.units.items():
        index = names.index(unit.population)
        chip.write_unit(unit, index, numbering.own[name])
        for i, core in enumerate(plan.relays.get(name, [])):
            chip.write_relay(core, index, numbering.relays[name] + i)
        _link(plan, chip, name, numbering)
    lines, start, line_core, line_axon = _host_lines(plan, numbering)
    limits = plan.limits
    cores = Cores(
        axons=limits.axons,
        neurons=limits.neurons,
        ticks=plan.ticks,
        membrane_floor=limits.membrane_floor,
        membrane_max=limits.membrane_max,
        lines=lines,
        crossbar=np.packbits(chip.crossbar, axis=2),
        line_start=start,
        line_core=line_core.astype(np.int32),
        line_axon=line_axon.astype(np.int16),
        **chip.arrays(),
    )
    readout = Readout(
        populations=tuple(names),
        starts=tuple(plan.timing.start[n] for n in names),
        timesteps=plan.netlist.timesteps,
        population=chip.population,
        neuron=chip.neuron,
        lag=chip.lag,
        mark=chip.mark,
        period=plan.timing.period,
    )
    return cores, readout


def _number(plan: CorePlan) -> _Numbering:
    own: dict[str, int] = {}
    relays: dict[str, int] = {}
    n = 0
    for name in plan.units:
        own[name] = n
        n += len(plan.packed[name])
        relays[name] = n
        n += len(plan.relays.get(name, []))
    return _Numbering(own, relays, n)


class _Chip:
    """The arrays of :class:`Cores` and of :class:`Readout` while they are written."""

    def __init__(self, plan: CorePlan, n_cores: int, board: Board) -> None:
        limits = plan.limits
        shape = (n_cores, limits.neurons)
        self.plan = plan
        self.crossbar = np.zeros((n_cores, limits.axons, limits.neurons), dtype=np.uint8)
        self.axon_type = np.zeros((n_cores, limits.axons), dtype=np.uint8)
        self.weight = np.zeros((*shape, limits.axon_types), dtype=np.int16)
        self.leak = np.zeros(shape, dtype=np.int32)
        self.threshold = np.ones(shape, dtype=np.int32)
        self.initial = np.zeros(shape, dtype=np.int32)
        self.floor = np.full(shape, limits.membrane_floor, dtype=np.int32)
        self.reset = np.zeros(shape, dtype=np.uint8)
        self.used = np.zeros(shape, dtype=np.uint8)
        self.dest_core = np.full(shape, NOWHERE, dtype=np.int32)
        self.dest_axon = np.zeros(shape, dtype=np.int16)
        self.dest_delay = np.ones(shape, dtype=np.uint8)
        self.place = _places(n_cores, board)
        self.population = np.full(shape, -1, dtype=np.int32)
        self.neuron = np.full(shape, -1, dtype=np.int32)
        self.lag = np.zeros(shape, dtype=np.uint8)
        self.mark = np.zeros(shape, dtype=np.int8)

    def arrays(self) -> dict[str, AnyArray]:
        """The arrays of :class:`Cores` that are kept as they are."""
        names = ("axon_type", "weight", "leak", "threshold", "initial", "floor", "reset", "used")
        more = ("place", "dest_core", "dest_axon", "dest_delay")
        return {name: getattr(self, name) for name in (*names, *more)}

    def write_unit(self, unit: Unit, index: int, first: int) -> None:
        bar, cells = unit.bar, unit.cells
        start = np.searchsorted(bar.neuron, np.arange(unit.size + 1))
        for c, packed in enumerate(self.plan.packed[unit.name], first):
            n, a = packed.neurons.size, packed.slots.size
            self.axon_type[c, :a] = bar.slot_type[packed.slots]
            axon_of = np.full(bar.slot_key.size, -1)
            axon_of[packed.slots] = np.arange(a)
            for place, j in enumerate(packed.neurons.tolist()):
                self.crossbar[c, axon_of[bar.slot[start[j] : start[j + 1]]], place] = 1
            self.weight[c, :n, : bar.values.shape[1]] = bar.values[packed.neurons]
            for field in fields(cells):
                getattr(self, field.name)[c, :n] = getattr(cells, field.name)[packed.neurons]
            self.mark[c, :n] = unit.mark[packed.neurons]
            self._claim(c, n, index, unit.owner[packed.neurons], 0)

    def write_relay(self, core: RelayCore, index: int, c: int) -> None:
        n = core.relay_axon.size
        self.crossbar[c, core.relay_axon, np.arange(n)] = 1
        self.weight[c, :n, 0] = 1
        self.reset[c, :n] = ZERO
        self._claim(c, n, index, core.axon_neuron[core.relay_axon], core.ticks)

    def _claim(self, c: int, n: int, index: int, neurons: IntArray, lag: int) -> None:
        self.used[c, :n] = 1
        self.population[c, :n] = index
        self.neuron[c, :n] = neurons
        self.lag[c, :n] = lag

    def send(self, core: IntArray, place: IntArray, to: IntArray, wanted: Destinations) -> None:
        """Give the chip neurons ``(core, place)`` their destinations, ``to`` as core numbers."""
        on_chip = to >= 0
        self.dest_core[core, place] = to
        self.dest_axon[core, place] = np.where(on_chip, wanted.axon, 0)
        self.dest_delay[core, place] = np.where(on_chip, wanted.ticks, 1)


def _places(n_cores: int, board: Board) -> AnyArray:
    """Chip, x and y of every core: row by row in a square, or in the grid's order over chips."""
    grid = board.grid
    side = math.isqrt(max(n_cores - 1, 0)) + 1
    if grid.cores_per_tile == 1 and side <= min(grid.tiles_x, grid.tiles_y):
        places = [(0, *divmod(c, side)) for c in range(n_cores)]
    else:
        places = [grid.tile_of(c) for c in range(n_cores)]
    return np.array(places, dtype=np.int32).reshape(n_cores, 3)


def _link(plan: CorePlan, chip: _Chip, name: str, numbering: _Numbering) -> None:
    """The k-th copy of each of a unit's neurons serves its k-th destination."""
    wanted, packed = plan.wanted[name], plan.packed[name]
    core = np.repeat(np.arange(len(packed)) + numbering.own[name], [p.neurons.size for p in packed])
    place = np.concatenate([np.arange(p.neurons.size) for p in packed])
    neuron = np.concatenate([p.neurons for p in packed])
    order = np.argsort(neuron, kind="stable")
    n = plan.units[name].size
    first_copy = np.searchsorted(neuron[order], np.arange(n))
    first_wish = np.searchsorted(wanted.neuron, np.arange(n))
    rank = np.arange(wanted.neuron.size) - first_wish[wanted.neuron]
    serving = order[first_copy[wanted.neuron] + rank]
    assert np.array_equal(neuron[serving], wanted.neuron), "fewer copies than destinations"
    chip.send(core[serving], place[serving], _cores_of(wanted, name, numbering), wanted)
    for i, relay_core in enumerate(plan.relays.get(name, [])):
        n_relays = relay_core.relay_axon.size
        c = np.full(n_relays, numbering.relays[name] + i)
        to = _cores_of(relay_core.onward, name, numbering)
        chip.send(c, np.arange(n_relays), to, relay_core.onward)


def _cores_of(wanted: Destinations, name: str, numbering: _Numbering) -> IntArray:
    first = [
        HOST if p == HOST_PLACE else numbering.relays[name] if p == "relay" else numbering.own[p]
        for p in wanted.post
    ]
    base = np.array(first, dtype=np.int64)[wanted.place]
    return np.where(base == HOST, HOST, base + wanted.core)


def _host_lines(
    plan: CorePlan, numbering: _Numbering
) -> tuple[tuple[HostLines, ...], IntArray, IntArray, IntArray]:
    """Blocks of lines for every input and window, and for the host's own spikes."""
    timing, netlist = plan.timing, plan.netlist
    period, T = timing.period, plan.netlist.timesteps
    firsts: dict[tuple[str, int, int], int] = {}
    blocks: list[HostLines] = []
    rows: list[IntArray] = []
    n_lines = 0
    for name, unit in plan.units.items():
        layer, keys = unit.layer, unit.bar.slot_key
        opens, compares = timing.arrive[name], timing.start[name]
        first = np.full(len(layer.sources) + len(_CONSTANT), -1)
        repeats = np.ones_like(first)
        for s, source in enumerate(layer.sources):
            if not plan.is_host(source.pre):
                continue
            offset = timing.travel(source.pre, name, source.delay) + timing.start[source.pre]
            block = (source.pre, offset, opens)
            if block not in firsts:
                firsts[block] = n_lines
                size, closes = netlist.by_name[source.pre].size, opens + (T - 1) * period + 1
                blocks.append(
                    HostLines(source.pre, "raster", n_lines, size, offset, opens, closes, period)
                )
                n_lines += size
            first[s] = firsts[block]
        for i, (key, what) in enumerate(_CONSTANT.items(), len(layer.sources)):
            if not (keys == key).any():
                continue
            first[i] = n_lines
            ticks = _host_ticks(plan, unit, key)
            repeats[i] = len(ticks)
            for at in (compares + late for late in ticks):
                closes = at + (T - 1) * period + 1
                blocks.append(
                    HostLines(f"{name}.{what}", "constant", n_lines, 1, at, at, closes, period)
                )
                n_lines += 1
        constants = len(layer.sources) + np.arange(len(_CONSTANT))
        source_of = np.concatenate([layer.key_source, constants])
        offset_of = np.concatenate([layer.key_neuron, np.zeros_like(constants)])
        own = {key: layer.key_source.size + i for i, key in enumerate(_CONSTANT)}
        entry = keys.copy()
        for key, index in own.items():
            entry[keys == key] = index
        for c, packed in enumerate(plan.packed[name], numbering.own[name]):
            wanted = entry[packed.slots]
            axon = np.flatnonzero(first[source_of[wanted]] >= 0)
            source = source_of[wanted[axon]]
            line = first[source] + offset_of[wanted[axon]]
            for again in range(int(repeats[source].max(initial=1))):
                more = repeats[source] > again
                rows.append(np.stack([line[more] + again, np.full(int(more.sum()), c), axon[more]]))
    table = np.concatenate([np.zeros((3, 0), dtype=np.int64), *rows], axis=1)
    table = table[:, np.argsort(table[0], kind="stable")]
    start = np.searchsorted(table[0], np.arange(n_lines + 1)).astype(np.int64)
    return tuple(blocks), start, table[1], table[2]


def _host_ticks(plan: CorePlan, unit: Unit, key: int) -> range:
    """Ticks of the host's own spikes in every step, after the comparison or the first lift."""
    split = plan.splits.get(unit.population)
    ramp = 0 if split is None or split.ramp is None else split.ramp.ticks
    return {
        BIAS_KEY: range(1),
        HOLD_KEY: range(1, 2),
        RELEASE_KEY: range(1),
        UP_KEY: range(ramp),
        DOWN_KEY: range(ramp, 2 * ramp + 1),
    }[key]
