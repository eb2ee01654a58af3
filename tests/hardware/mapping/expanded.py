"""Counting with every synapse written out: slow, and independent of the closed forms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.boards.loading import load_board
from neurodeploy.hardware.boards.records import COUNTED
from neurodeploy.hardware.cut.core_map import CoreAllocation, CoreMap
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.connectivity import Conv, Dense, Sparse, SumPool
from neurodeploy.ir.netlist import IntegerNetlist, Population
from neurodeploy.ir.neurons import Input, IntegerNeuron, MaxPool
from neurodeploy.ir.record import RunRecord

KINDS = {Dense: "dense", Conv: "convolution", SumPool: "convolution", Sparse: "sparse"}


def small_board(
    chips: int = 1000,
    grid: dict[str, int] | None = None,
    compartments: int | None = None,
    **limits: int,
) -> Board:
    """Loihi 1 with other limits and many chips, or with another ``grid``; axons not shared.

    A neuron is one compartment, or so many with soft reset.
    """
    data = load_board("loihi1").to_dict()
    soft = data.pop("neurons")["reset_subtract"]
    if compartments is not None:
        data["neurons"] = {"reset_subtract": soft | {"compartments": compartments}}
    data["synapses"] |= {"channels_per_axon": 1, "shared_axon_slots": 1}
    data["grid"]["chips"] = chips
    if grid is not None:
        del data["grid"]["chips"]
        data["grid"] |= grid
    data["limits"] |= {
        name: {"value": value, "basis": "assumed", "source": "a test"}
        for name, value in limits.items()
    }
    # The conformance netlists use weights of up to 16 bits.
    data["limits"].pop("weight_bits")
    return Board.from_dict(data)


def held_cells(population: Population, outputs: AnyArray) -> AnyArray:
    """Flat indices of ``input_shape`` that a core with these neurons holds."""
    model = population.model
    if not isinstance(model, MaxPool):
        return outputs
    windows = SumPool(np.ones(model.channels, dtype=np.int64), model.window).as_depthwise()
    post, pre, _ = windows.to_coo()
    cells = np.unravel_index(pre[np.isin(post, outputs)], population.input_shape)
    axes = [np.unique(np.unravel_index(outputs, population.shape)[0])]
    for axis in cells[1:]:
        axes.append(np.arange(axis.min(), axis.max() + 1) if axis.size else np.arange(0))
    flat = np.ravel_multi_index(np.ix_(*axes), population.input_shape)
    return flat.reshape(-1)


@dataclass
class Expanded:
    """Synapses of a mapped netlist from source neurons to cores."""

    netlist: IntegerNetlist
    mapping: CoreMap

    def __post_init__(self) -> None:
        self.neurons: dict[str, list[tuple[int, AnyArray]]] = {}
        for core, allocation in enumerate(self.mapping.cores):
            for part in allocation.slices:
                shape = self.netlist.by_name[part.population].shape
                entry = (core, part.indices(shape))
                self.neurons.setdefault(part.population, []).append(entry)
        self.fan_out = [self._fan_out(i) for i in range(len(self.netlist.projections))]

    def _fan_out(self, index: int) -> AnyArray | None:
        """``[n_pre, n_cores]``; None if the synapses are not on the chip."""
        projection = self.netlist.projections[index]
        model = self.netlist.by_name[projection.pre].model
        if isinstance(model, Input) and model.kind == "current":
            return None
        post, pre, _ = projection.connectivity.to_coo()
        n_pre = self.netlist.by_name[projection.pre].size
        counts = np.zeros((n_pre, self.mapping.n_cores), dtype=np.int64)
        population = self.netlist.by_name[projection.post]
        for core, outputs in self.neurons[projection.post]:
            held = np.isin(post, held_cells(population, outputs))
            np.add.at(counts[:, core], pre[held], 1)
        return counts

    def usage(self, board: Board) -> list[dict[str, int]]:
        """Resources per core; memory without shared kernels."""
        n = self.mapping.n_cores
        used = [dict.fromkeys(("neurons", "memory", "input", "output"), 0) for _ in range(n)]
        for name, parts in self.neurons.items():
            population = self.netlist.by_name[name]
            for core, outputs in parts:
                used[core]["neurons"] += outputs.size * self._compartments(population)
                if isinstance(population.model, MaxPool):
                    used[core]["neurons"] += held_cells(population, outputs).size
        assert board.synapses is not None
        for projection, counts in zip(self.netlist.projections, self.fan_out, strict=True):
            if counts is None:
                continue
            for core in range(n):
                used[core]["input"] += int((counts[:, core] > 0).sum())
                used[core]["memory"] += sum(
                    board.synapses.bits_per_axon(int(k), projection.weight_bits)
                    for k in counts[:, core]
                )
            for core, outputs in self.neurons.get(projection.pre, []):
                used[core]["output"] += int((counts[outputs] > 0).sum())
        return used

    def _compartments(self, population: Population) -> int:
        """Of one neuron: those with soft reset take what the board says."""
        model, told = population.model, self.mapping.board.neurons
        soft = isinstance(model, IntegerNeuron) and model.fires and model.reset == "subtract"
        return told["reset_subtract"].compartments if soft and "reset_subtract" in told else 1

    def events(self, record: RunRecord) -> list[dict[str, int]]:
        """Events per core of a run."""
        n, T = self.mapping.n_cores, record.timesteps
        found = [dict.fromkeys(COUNTED, 0) for _ in range(n)]
        samples = next(iter(record.spikes.values())).shape[0]
        spiked = {p: (s != 0).reshape(samples, T, -1).sum((0, 1)) for p, s in record.spikes.items()}
        where = self.mapping.cores
        for name, parts in self.neurons.items():
            active = self._active(name, record)
            for core, outputs in parts:
                found[core]["spikes"] += int(spiked[name][outputs].sum())
                busy = int(active[outputs].sum()) * self._compartments(self.netlist.by_name[name])
                busy += self._held_active(name, outputs, record)
                updates = where[core].neurons * samples * self.netlist.n_steps
                found[core]["neuron_accesses"] += updates
                found[core]["neuron_updates_active"] += busy
                found[core]["neuron_updates_inactive"] += updates - busy
        routes: dict[tuple[str, str], AnyArray] = {}
        for projection, counts in zip(self.netlist.projections, self.fan_out, strict=True):
            if counts is None:
                continue
            kind = f"synops_{KINDS[type(projection.connectivity)]}"
            for core in range(n):
                for event in ("synops", kind):
                    found[core][event] += int(spiked[projection.pre] @ counts[:, core])
            pair = (projection.pre, projection.post)
            routes[pair] = routes.get(pair, np.zeros_like(counts)) + counts
        for (pre, _), counts in routes.items():
            if pre not in self.neurons:
                for core in range(n):
                    for event in ("packets", "packets_received"):
                        found[core][event] += int(spiked[pre] @ (counts[:, core] > 0))
                continue
            for source, outputs in self.neurons[pre]:
                for core in range(n):
                    sent = int(spiked[pre][outputs] @ (counts[outputs, core] > 0))
                    found[source]["packets"] += sent
                    found[core]["packets_received"] += sent
                    for event, times in self._walk(where[source], where[core]).items():
                        found[source][event] += sent * times
        return found

    def _walk(self, start: CoreAllocation, end: CoreAllocation) -> dict[str, int]:
        """Hops of one packet, taken one after the other: first east or west, then north or south.

        Chips fill the board column by column, and so do tiles a chip.
        """
        grid = self.mapping.board.grid
        on_board = [(cx, cy) for cx in range(grid.chips_x) for cy in range(grid.chips_y)]

        def coordinates(core: CoreAllocation) -> list[int]:
            cx, cy = on_board[core.chip]
            return [cx * grid.tiles_x + core.x, cy * grid.tiles_y + core.y]

        here, there = coordinates(start), coordinates(end)
        walked = dict.fromkeys(("hops_x", "hops_y", "chip_crossings"), 0)
        for axis, event, size in ((0, "hops_x", grid.tiles_x), (1, "hops_y", grid.tiles_y)):
            while here[axis] != there[axis]:
                chip = here[axis] // size
                here[axis] += 1 if there[axis] > here[axis] else -1
                walked[event] += 1
                walked["chip_crossings"] += here[axis] // size != chip
        return walked

    def _active(self, name: str, record: RunRecord) -> AnyArray:
        population = self.netlist.by_name[name]
        v, s = record.membranes[name], record.spikes[name]
        reached = self._reached(population, record)
        total = np.zeros(population.shape, dtype=np.int64)
        model = population.model
        for b in range(v.shape[0]):
            before = np.zeros(population.shape, dtype=np.int64)
            bias = before
            if isinstance(model, IntegerNeuron):
                before = population.spread(model.initial_membrane)
                bias = population.spread(model.bias) + self._from_host(population, record)[b]
            first, last = self._window(name)
            # Cores know no windows: they update before and behind them as well.
            total += first * ((before != 0) | (bias != 0))
            total += last * ((v[b, -1] != 0) | (bias != 0))
            for t in range(record.timesteps):
                busy = (before != 0) | (v[b, t] != 0) | (s[b, t] != 0) | (bias != 0)
                # The outputs of a pool have no synapses; its accumulators have.
                total += busy | (reached[b, t] if isinstance(model, IntegerNeuron) else False)
                before = v[b, t]
        return total.reshape(-1)

    def _held_active(self, name: str, outputs: AnyArray, record: RunRecord) -> int:
        population = self.netlist.by_name[name]
        if not isinstance(population.model, MaxPool):
            return 0
        touched = self._reached(population, record)
        touched |= (self._from_host(population, record) != 0)[:, None]
        ever = np.logical_or.accumulate(touched, axis=1)
        held = ever.reshape(*ever.shape[:2], -1)[:, :, held_cells(population, outputs)]
        first, last = self._window(name)
        host = (self._from_host(population, record) != 0).reshape(len(held), -1)
        always = host[:, held_cells(population, outputs)]
        return int(held.sum() + last * held[:, -1].sum() + first * always.sum())

    def _window(self, name: str) -> tuple[int, int]:
        """Steps before the window of a population, and steps after it."""
        plan = self.netlist.schedule
        return plan.depth[name], plan.max_depth - plan.depth[name]

    def _reached(self, population: Population, record: RunRecord) -> AnyArray:
        """``[B, T, *input_shape]``: a spike takes one of its synapses, whatever their weights."""
        plan, T = self.netlist.schedule, record.timesteps
        samples = record.membranes[population.name].shape[0]
        found = np.zeros((samples, T, *population.input_shape), dtype=bool)
        flat = found.reshape(samples, T, -1)
        for index, (projection, delay) in enumerate(
            zip(self.netlist.projections, plan.delays, strict=True)
        ):
            if projection.post != population.name or self.fan_out[index] is None:
                continue
            post, pre, _ = projection.connectivity.to_coo()
            for t in range(T):
                emitted = plan.depth[population.name] + t - delay - plan.depth[projection.pre]
                if 0 <= emitted < T:
                    spikes = record.spikes[projection.pre][:, emitted].reshape(samples, -1)
                    sample, synapse = np.nonzero(spikes[:, pre])
                    flat[sample, t, post[synapse]] = True
        return found

    def _from_host(self, population: Population, record: RunRecord) -> AnyArray:
        """``[B, *input_shape]``: what ``current`` inputs add in every step."""
        samples = record.membranes[population.name].shape[0]
        total = np.zeros((samples, *population.input_shape), dtype=np.int64)
        for index, projection in enumerate(self.netlist.projections):
            if projection.post == population.name and self.fan_out[index] is None:
                total += projection.synaptic_input(record.spikes[projection.pre][:, 0])
        return total
