"""Time of a step on boards without a fixed tick: the busiest core, then the barrier.

For every step of every sample::

    busy(core) = max(neurons(core) + sent(core), received(core)), their sum where halves take turns
    neurons    = N * latency(access) + active * latency(active update)
                 + inactive * latency(inactive update) + spikes * latency(spike)
    sent       = packets sent * latency(packet)
    received   = packets received * latency(packet received) + synops * latency(synop)
    step       = max over cores of busy + barrier(tiles in use)

where cores are in lockstep. What silicon does is not known: no run takes less than its busiest core
works, which is the likely time, and the sum over steps of what the busiest one of each works is the
upper end. Where activity comes in bursts the two are far apart.

the "simple" timing of SANA-FE (Boyle et al. 2025, IEEE TCAD, doi 10.1109/TCAD.2025.3537971): the
two halves of a core overlap, flights over the mesh hide behind them. What else takes time
(management, resets, the host) is told in :mod:`neurodeploy.hardware.price.terms`. Terms that a
board does not tell apart are 0, their time stands in the term that contains them. A step ends when
all its spikes are delivered, so a spike's packets and synops fall into the step that sends it;
delays pass in the dendrites of the receiver. A packet of the host is sent at the core that receives
it.
"""

from __future__ import annotations

from collections import abc
from dataclasses import dataclass

import numpy as np

from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.boards.interval import ENDS, Interval
from neurodeploy.hardware.boards.records import COUNTED, SYNAPSE_KINDS, SYNOPS_BY_KIND
from neurodeploy.hardware.cut.core_map import CoreMap
from neurodeploy.hardware.cut.flows import reaches_of
from neurodeploy.hardware.cut.reach import merge
from neurodeploy.hardware.price.activity import active_updates, first_held
from neurodeploy.hardware.price.traffic import sum_held, synapse_kinds
from neurodeploy.ir.arrays import AnyArray, FloatArray
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.neurons import MaxPool
from neurodeploy.ir.record import RunRecord

NEURON_HALF: tuple[str, ...] = (
    "neuron_accesses",
    "neuron_updates_active",
    "neuron_updates_inactive",
    "spikes",
    "packets",
)
"""Events whose time adds up in the half of a core that updates neurons and sends."""

RECEIVING_HALF: tuple[str, ...] = ("packets_received", "synops", *SYNOPS_BY_KIND)
"""Events whose time adds up in the half of a core that receives; ways take no core's time."""


@dataclass(frozen=True, slots=True)
class StepLoads:
    """Events per sample, step and core: ``[B, T + max depth, n_cores]`` each.

    int64 where a run was counted, float where they are expectations
    (:mod:`neurodeploy.hardware.price.analytic`).

    Parameters
    ----------
    neurons : array ``[n_cores]``
    active, spikes, packets : array
        ``packets``: sent by the core; those of the host at the core that receives them.
    received : array
        Packets that reach the core, those of the host as well.
    synops_by_kind : mapping of kind to array
    tiles : int
        Tiles in use.
    """

    neurons: AnyArray
    active: AnyArray
    spikes: AnyArray
    packets: AnyArray
    received: AnyArray
    synops_by_kind: abc.Mapping[str, AnyArray]
    tiles: int

    @property
    def synops(self) -> AnyArray:
        """Synops of all kinds."""
        total: AnyArray = np.sum(list(self.synops_by_kind.values()), axis=0)
        return total

    def count(self, event: str) -> AnyArray:
        """The load of one event that takes time."""
        match event:
            case "neuron_accesses":
                return np.broadcast_to(self.neurons, self.active.shape)
            case "neuron_updates_active":
                return self.active
            case "neuron_updates_inactive":
                return self.neurons - self.active
            case "spikes":
                return self.spikes
            case "packets":
                return self.packets
            case "packets_received":
                return self.received
            case "synops":
                return self.synops
            case _:
                return self.synops_by_kind[event.removeprefix("synops_")]


def step_loads(mapping: CoreMap, netlist: IntegerNetlist, record: RunRecord) -> StepLoads:
    """Count the events of every step of a run with all spikes and membranes recorded."""
    T = record.timesteps

    def active(name: str) -> AnyArray:
        population, tiling = netlist.by_name[name], mapping.tilings[name]
        updates = active_updates(netlist, population, record).astype(np.int64)
        total: AnyArray = tiling.sum_by_tile(updates)
        if isinstance(population.model, MaxPool):
            since = first_held(netlist, population, record)
            around = (1,) * len(population.input_shape)
            steps = np.arange(T + netlist.schedule.max_depth).reshape(-1, *around)
            held = (steps >= since[:, None]).astype(np.int64)
            total = total + sum_held(mapping, netlist, name, held)
        return total * mapping.board.compartments(population)

    def spikes(name: str) -> AnyArray:
        return np.asarray(record.spikes[name] != 0, dtype=np.int64)

    samples = next(iter(record.spikes.values())).shape[0]
    return loads_of(mapping, netlist, (samples, T), spikes, active)


def loads_of(
    mapping: CoreMap,
    netlist: IntegerNetlist,
    window: tuple[int, int],
    spikes_of: abc.Callable[[str], AnyArray],
    active_of: abc.Callable[[str], AnyArray],
    summed: int | None = None,
) -> StepLoads:
    """The events of all populations, each in the window of the one that spikes; updates in all.

    Parameters
    ----------
    mapping : CoreMap
    netlist : IntegerNetlist
    window : (int, int)
        Samples and T.
    spikes_of : callable
        Emissions of a population, ``[B, T, *shape]``, or ``[*shape]`` in sum.
    active_of : callable
        Active updates of its cores, ``[B, T + max depth, n_tiles]``, or ``[n_tiles]`` in sum.
    summed : int, optional
        Counts are sums of so many samples, which all steps share alike.
    """
    samples, T = window
    depth, kinds = netlist.schedule.depth, synapse_kinds(netlist)
    shape = (samples, T + netlist.schedule.max_depth, mapping.n_cores)
    dtype = np.int64 if summed is None else np.float64
    active, fired, packets, received = (np.zeros(shape, dtype=dtype) for _ in range(4))
    synops: dict[str, AnyArray] = {kind: np.zeros(shape, dtype=dtype) for kind in SYNAPSE_KINDS}

    def add(into: AnyArray, window_of: str, cores_of: str, load: AnyArray) -> None:
        first, cores = depth[window_of], mapping.cores_of(cores_of)
        part = into[:, first : first + T, cores.start : cores.stop]
        part += load if summed is None else load / T

    for name in mapping.first:
        cores, updates = mapping.cores_of(name), active_of(name)
        everywhere: AnyArray = active[:, :, cores.start : cores.stop]
        if summed is None:
            everywhere += updates
        else:
            # As many of a sum as the window holds lie in it, the others around it.
            held = np.array([mapping.cores[k].neurons for k in cores]) * (T * summed)
            inside = np.minimum(updates, held)
            around = (updates - inside) / max(1, netlist.schedule.max_depth)
            everywhere += around
            everywhere[:, depth[name] : depth[name] + T] += inside / T - around
        add(fired, name, name, mapping.tilings[name].sum_by_tile(spikes_of(name)))
    for pre, post, reaches in reaches_of(mapping, netlist):
        spikes = spikes_of(pre)
        for reach, kind in zip(reaches, kinds[pre, post], strict=True):
            add(synops[kind], pre, post, reach.synops(spikes))
        arriving = merge(reaches)
        reaching = arriving.packets(spikes)
        add(received, pre, post, reaching)
        if pre in mapping.first:
            sent = mapping.tilings[pre].sum_by_tile(spikes * arriving.destinations())
            add(packets, pre, pre, sent)
        else:
            add(packets, pre, post, reaching)
    neurons = np.array([core.neurons for core in mapping.cores], dtype=np.int64) * (summed or 1)
    return StepLoads(neurons, active, fired, packets, received, synops, mapping.tiles_in_use)


def unknown_latencies(board: Board, tiles: int) -> list[str]:
    """Constants that the time of a step on ``tiles`` tiles needs and the board does not give."""
    if board.tick is not None:
        return []
    missing = [
        f"events.{name}.latency"
        for name in COUNTED
        if name in (*NEURON_HALF, *RECEIVING_HALF) and board.latency(name) is None
    ]
    known = board.barrier_at(tiles) is not None
    return missing + ([] if known else [board.barrier_key(tiles)])


def busy_interval(loads: StepLoads, board: Board) -> Interval | None:
    """Working time of the busiest core, summed over samples; None if unknown.

    In lockstep that of each step; else that of a whole sample, with that of each step as the upper
    end.
    """
    found: dict[str, float] = {}
    for end in ENDS:
        busy = busy_by_core(loads, board.at(end))
        if busy is None:
            return None
        each_step = board.lockstep or end == "high"
        longest = busy.max(axis=2).sum() if each_step else busy.sum(axis=1).max(axis=1).sum()
        found[end] = float(longest)
    return Interval(**found)


def busy_by_core(loads: StepLoads, board: Board) -> FloatArray | None:
    """Working time of every core in every step, ``[B, steps, n_cores]``; None if unknown."""
    return working_time(board, loads.count, loads.active.shape)


def working_time(
    board: Board, count: abc.Callable[[str], AnyArray], shape: tuple[int, ...]
) -> FloatArray | None:
    """Working time of cores, from their ``count`` of each event; None if a latency is unknown."""
    halves = []
    for events in (NEURON_HALF, RECEIVING_HALF):
        total: FloatArray = np.zeros(shape)
        for event in events:
            latency = board.latency(event)
            if latency is None:
                return None
            if latency:
                total += count(event) * latency
        halves.append(total)
    return np.add(*halves) if board.halves_add else np.maximum(*halves)
