"""An integer netlist as a program of the native engine: paths, memory.

Everything that the C code trusts is decided here: widths of sums from the proved intervals of rows,
and every index; and in :mod:`neurodeploy.execution.native.widths` those of states.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from neurodeploy.execution.native import structures
from neurodeploy.execution.native.grouping import Component, Stage, delays, grouped, is_inner
from neurodeploy.execution.native.links import plan_link
from neurodeploy.execution.native.plans import LinkPlan, aligned
from neurodeploy.execution.native.pooling import is_pooled
from neurodeploy.execution.native.rows import silent_link, window_cells
from neurodeploy.execution.native.slots import Slots
from neurodeploy.execution.native.widths import needs_64_bits
from neurodeploy.execution.order import channels_last, grid
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.bounds import PopulationBounds, prove_bounds, proved_range
from neurodeploy.ir.fixed_point import DECAY_ONE
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Population
from neurodeploy.ir.neurons import RESETS, IntegerNeuron, MaxPool

OF_STATES = {"scale", "by_tap", "own"}
"""Arrays of a link that have the width of states."""
NEURON, POOLS = 0, {"maximum": 1, "winner": 2, "now": 3}


@dataclass(slots=True)
class NativeProgram:
    """A program in memory, and what Python has to know of it.

    ``members`` are the populations that compute, in the order of ``nd_wanted``; ``inputs`` follow
    them. ``pooled``: pools that are run from a constant input. ``paths`` tells for every
    projection, in the netlist's order, the kernel that it takes. ``largest``: the largest magnitude
    that each population is proved to emit.
    """

    structure: structures.Program
    members: list[Population]
    inputs: list[Population]
    paths: list[str]
    wide: bool
    merged: int
    pooled: int
    largest: dict[str, int]
    keep: list[Any] = field(default_factory=list)


def build_program(
    netlist: IntegerNetlist,
    timesteps: int,
    bounds: Mapping[str, PopulationBounds] | None = None,
    *,
    tiles: bool = False,
) -> NativeProgram:
    """Compile a netlist.

    ``bounds``: proved ones that hold for more steps than ``timesteps``, where a sample has more.
    ``tiles``: for kernels that multiply in tiles.

    Raises
    ------
    CapacityError
        If a state or a payload is not proved to fit.
    """
    bounds = bounds or prove_bounds(netlist, timesteps)
    return _Builder(netlist, timesteps, bounds, tiles).build()


class _Builder:
    def __init__(
        self,
        netlist: IntegerNetlist,
        timesteps: int,
        bounds: Mapping[str, PopulationBounds],
        tiles: bool,
    ) -> None:
        self.netlist, self.T, self.bounds = netlist, timesteps, bounds
        self.keep: list[Any] = []
        self.wide = needs_64_bits(netlist, timesteps, bounds)
        self.state: Any = np.int64 if self.wide else np.int32
        self.delay = delays(netlist)
        self.plans = {
            id(q): plan_link(
                q,
                *proved_range(netlist.by_name[q.pre], self.bounds),
                tiles and self._changes(q),
            )
            for q in netlist.projections
        }

    def build(self) -> NativeProgram:
        """Order, slots, structures."""
        found = grouped(self.netlist)
        for component in found:
            for stage in component.stages if component.cycle else ():
                # All advance together: nothing is there yet that could be written out.
                for q in self.netlist.incoming[stage.names[0]]:
                    self.plans[id(q)] = self.plans[id(q)].of_events()
        slots = self._slots(found)
        members: list[Population] = []
        built = []
        pooled = set()
        for i, component in enumerate(found):
            parts = [self._stage(stage, slots, component.cycle) for stage in component.stages]
            parts[0].pooled = not self.wide and is_pooled(
                self.netlist, component, found[i + 1 : i + 2], self.T, self.plans, self._shift
            )
            if parts[0].pooled:
                pool = found[i + 1].stages[0].names[0]
                pooled |= {id(q) for q in self.netlist.incoming[pool]}
            members += [self.netlist.by_name[n] for s in component.stages for n in s.names]
            built.append(
                structures.Component(
                    n_stages=len(parts),
                    cycle=component.cycle,
                    stages=self._array(structures.Stage, parts),
                )
            )
        inputs = [
            structures.Input(
                slot=slots.of[p.name],
                current=p.is_current_input,
                rows=grid(p.shape)[0],
                width=grid(p.shape)[1],
                channels=p.shape[0],
            )
            for p in self.netlist.inputs
        ]
        structure = structures.Program(
            timesteps=self.T,
            wide=self.wide,
            n_slots=len(slots.entries),
            slot_entries=self._pointer(np.array(slots.entries, dtype=np.int64)),
            n_inputs=len(inputs),
            n_components=len(built),
            n_members=len(members),
            inputs=self._array(structures.Input, inputs),
            components=self._array(structures.Component, built),
            binary_slots=self._pointer(np.array(slots.binary, dtype=np.int64)),
        )
        return NativeProgram(
            structure,
            members,
            list(self.netlist.inputs),
            [
                "largest input of a window" if id(q) in pooled else self.plans[id(q)].path
                for q in self.netlist.projections
            ],
            self.wide,
            sum(len(stage.names) - 1 for component in found for stage in component.stages),
            len(pooled),
            {p.name: max(map(abs, proved_range(p, self.bounds))) for p in self.netlist.populations},
            self.keep,
        )

    def _changes(self, projection: IntegerProjection) -> bool:
        """Whether neurons hear something else in every step: what is the same is summed once."""
        pre, post = (self.netlist.by_name[name] for name in (projection.pre, projection.post))
        return not pre.is_current_input and isinstance(post.model, IntegerNeuron)

    def _is_binary(self, population: Population) -> bool:
        """Whether its spikes carry nothing: 1 is all that it ever emits."""
        return proved_range(population, self.bounds) == (0, 1)

    def _stage(self, stage: Stage, slots: Slots, cycle: bool) -> structures.Stage:
        population = self.netlist.by_name[stage.names[0]]
        shape = population.input_shape
        incoming = self.netlist.incoming[stage.names[0]]
        links = [self._link(q, slots, i, cycle) for i, q in enumerate(incoming)]
        if isinstance(population.model, MaxPool):
            pool_rows = _rows_of_windows(population.model.window)
            members = [self._pool(population, population.model, slots)]
        else:
            pool_rows = 0
            members = [
                self._neurons(self.netlist.by_name[name], sign, slots)
                for name, sign in zip(stage.names, stage.signs, strict=True)
            ]
        rows, width = grid(shape)
        return structures.Stage(
            rows=rows,
            width=width,
            channels=shape[0],
            n_links=len(links),
            n_members=len(members),
            links=self._array(structures.Link, links),
            members=self._array(structures.Member, members),
            pool_rows=pool_rows,
        )

    def _shift(self, projection: IntegerProjection) -> int:
        """Steps from one of the receiver to that of the source which it hears."""
        depth = self.netlist.schedule.depth
        late = self.delay[id(projection)]
        return depth[projection.post] - depth[projection.pre] - late

    def _link(
        self, projection: IntegerProjection, slots: Slots, place: int, cycle: bool
    ) -> structures.Link:
        """A link, the ``place``-th of its stage."""
        plan = self.plans[id(projection)]
        pre = self.netlist.by_name[projection.pre]
        link = self._link_of(projection, plan, slots.of[pre.name], pre.shape[0])
        # A current is summed once; in a cycle nobody knows yet how many will fire.
        changing = self._is_binary(pre) and not pre.is_current_input and not cycle
        silent = silent_link(projection, plan) if changing else None
        if silent is not None:
            slot = slots.silent(place, pre)
            own = self._link_of(projection, silent, slot, 2 * pre.shape[0] + 1)
            link.silent = self._array(structures.Link, [own])
        return link

    def _link_of(
        self, projection: IntegerProjection, plan: LinkPlan, slot: int, channels: int
    ) -> structures.Link:
        pre = self.netlist.by_name[projection.pre]
        return structures.Link(
            kind=plan.kind,
            source=slot,
            inner=is_inner(self.netlist, projection),
            constant=pre.is_current_input,
            shift=self._shift(projection),
            src_rows=grid(pre.shape)[0],
            src_width=grid(pre.shape)[1],
            src_channels=channels,
            **plan.numbers,
            **{
                name: self._pointer(array.astype(self.state) if name in OF_STATES else array)
                for name, array in plan.arrays.items()
            },
        )

    def _neurons(self, population: Population, sign: int, slots: Slots) -> structures.Member:
        model = population.model
        assert isinstance(model, IntegerNeuron)
        quantities = {
            "bias": model.bias,
            "v0": model.initial_membrane,
            "theta": model.threshold,
            "theta_neg": model.negative_threshold,
        }
        keep_u = DECAY_ONE - np.asarray(model.current_decay)
        keep_v = DECAY_ONE - np.asarray(model.membrane_decay)
        if model.extensions:
            lowest = np.asarray(np.iinfo(self.state).min)
            quantities |= {
                "keeps_u": keep_u,
                "keeps_v": keep_v,
                "reset_value": np.asarray(0) if model.reset_value is None else model.reset_value,
                "floor": lowest if model.floor is None else model.floor,
            }
        largest = int(np.iinfo(self.state).max)
        rows, width = grid(population.shape)
        by_row: dict[str, AnyArray] = {}
        for name, value in quantities.items():
            spread = population.spread(np.asarray(1) if value is None else value)
            by_row[name] = channels_last(spread, population.shape).reshape(rows, -1)
        uniform = all((own == own[0]).all() for own in by_row.values())
        pixels = [own.reshape(-1, population.shape[0]) for own in by_row.values()]
        by_channel = uniform and all((own == own[0]).all() for own in pixels)
        if uniform:
            by_row = {name: own[:1] for name, own in by_row.items()}
        return structures.Member(
            kind=NEURON,
            negated=sign < 0,
            out=slots.of[population.name] if model.fires else -1,
            binary=self._is_binary(population),
            rows=rows,
            width=width,
            channels=population.shape[0],
            is_signed=model.signed,
            memory=model.memory,
            payload_max=model.payload_max,
            power_of_two=model.payload_code == "power_of_two",
            reset=RESETS.index(model.reset),
            keep_u=int(keep_u.max()),
            keep_v=int(keep_v.max()),
            extended=bool(model.extensions),
            refractory=model.refractory,
            saturation=min(largest, int(model.saturation or largest)),
            spread=0 if uniform else width * population.shape[0],
            by_channel=by_channel,
            **{name: self._pointer(own.astype(self.state)) for name, own in by_row.items()},
            **self._gains(model, "input_gain", "firing_gain", "comparison"),
        )

    def _pool(self, population: Population, model: MaxPool, slots: Slots) -> structures.Member:
        cells = window_cells(model.window)
        return structures.Member(
            kind=POOLS[model.rule],
            out=slots.of[population.name],
            binary=self._is_binary(population),
            rows=grid(population.shape)[0],
            width=grid(population.shape)[1],
            channels=population.shape[0],
            n_cells=model.window.n_taps,
            four=model.rule == "maximum" and cells.shape[1] == 4 and bool((cells >= 0).all()),
            cells=self._pointer(cells),
            **self._gains(model, "input_gain"),
        )

    def _gains(self, model: IntegerNeuron | MaxPool, *names: str) -> dict[str, int]:
        """Gains of each step, where there are any."""
        given = {name: np.array(getattr(model, name), dtype=np.int64) for name in names}
        return {name: self._pointer(gains) for name, gains in given.items() if gains.size}

    def _slots(self, found: Sequence[Component]) -> Slots:
        """Memory for rasters, used again when the last reader is done."""
        slots = Slots(self.T)
        readers = {p.name: 0 for p in self.netlist.populations}
        for component in found:
            for name in component.heard(self.netlist):
                readers[name] += 1
        for population in self.netlist.inputs:
            slots.take(population, self._is_binary(population))
        for component in found:
            own = [name for stage in component.stages for name in stage.names]
            for name in own:
                population = self.netlist.by_name[name]
                model = population.model
                if isinstance(model, MaxPool) or (isinstance(model, IntegerNeuron) and model.fires):
                    slots.take(population, self._is_binary(population))
            for name in component.heard(self.netlist):
                readers[name] -= 1
                if readers[name] == 0:
                    slots.free(name)
            for name in own:
                if readers[name] == 0:
                    slots.free(name)
        return slots

    def _pointer(self, array: AnyArray) -> int:
        """Address of a copy in C-order that begins with a cache line and lives with the program."""
        kept = aligned(array.shape, array.dtype)
        kept[...] = array
        self.keep.append(kept)
        return int(kept.ctypes.data)

    def _array(self, kind: Any, parts: Sequence[Any]) -> int:
        array = (kind * len(parts))(*parts)
        self.keep.append(array)
        return ctypes.addressof(array)


def _rows_of_windows(window: Window) -> int:
    """Rows of cells under each row of windows, where every row of cells is under one; else 0."""
    if len(window.kernel) == 1:
        return 0
    kernel, stride = window.kernel[0], window.stride[0]
    exactly = (window.output_size[0] - 1) * stride + kernel <= window.input_size[0]
    alone = window.dilation[0] == 1 and kernel == stride and window.padding[0][0] == 0
    return kernel if exactly and alone else 0
