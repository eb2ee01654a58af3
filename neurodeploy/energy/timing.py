"""Time of a step on boards without a fixed tick: the busiest core, then the barrier.

For every step of every sample::

    busy(core) = max(updates(core) + sent(core), received(core))
    updates    = active * latency(active update) + inactive * latency(inactive update)
    sent       = packets sent * latency(packet)
    received   = synops * latency(synop)
    step       = max over cores of busy + barrier

the "simple" timing of SANA-FE (Boyle et al. 2025, IEEE TCAD, doi 10.1109/TCAD.2025.3537971): the
two halves of a core overlap, flights over the mesh hide behind them. A spike's synops fall into the
step in which it arrives; samples follow each other, so what arrives after the last step counts in
the first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurodeploy.boards.board import Board
from neurodeploy.energy.activity import active_updates, first_arrivals
from neurodeploy.energy.traffic import reaches_of, sum_held
from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.neurons import MaxPool
from neurodeploy.ir.record import RunRecord
from neurodeploy.mapping.allocation import Mapping
from neurodeploy.mapping.reach import merge

_LATENCIES = ("synops", "neuron_updates_active", "neuron_updates_inactive", "packets")


@dataclass(frozen=True, slots=True)
class StepLoads:
    """Events per sample, step and core: int64 ``[B, T + max depth, n_cores]`` each.

    Parameters
    ----------
    synops, active, packets : array
        ``packets``: sent by the core; those of the host are not among them.
    neurons : array ``[n_cores]``
    """

    synops: IntArray
    active: IntArray
    packets: IntArray
    neurons: IntArray


def step_loads(mapping: Mapping, netlist: IntegerNetlist, record: RunRecord) -> StepLoads:
    """Count the events of every step of a run with all spikes and membranes recorded."""
    T, plan = record.timesteps, netlist.schedule
    samples = next(iter(record.spikes.values())).shape[0]
    n_steps = T + plan.max_depth
    shape = (samples, n_steps, mapping.n_cores)
    synops, active, packets = (np.zeros(shape, dtype=np.int64) for _ in range(3))
    for name in mapping.first:
        cores = _span(mapping, name)
        window = slice(plan.depth[name], plan.depth[name] + T)
        population = netlist.by_name[name]
        updates = active_updates(population, record).astype(np.int64)
        active[:, window, cores] = mapping.tilings[name].sum_by_tile(updates)
        if isinstance(population.model, MaxPool):
            since = first_arrivals(netlist, population, record)
            steps = np.arange(T).reshape(-1, *(1,) * len(population.input_shape))
            held = (steps >= since[:, None]).astype(np.int64)
            active[:, window, cores] += sum_held(mapping, netlist, name, held)
    delays: dict[tuple[str, str], list[int]] = {}
    for projection, delay in zip(netlist.projections, plan.delays, strict=True):
        delays.setdefault((projection.pre, projection.post), []).append(delay)
    for pre, post, reaches in reaches_of(mapping, netlist):
        spikes = (record.spikes[pre] != 0).astype(np.int64)
        for part, delay in zip(reaches, delays[pre, post], strict=True):
            arriving = part.synops(spikes)
            steps = (plan.depth[pre] + delay + np.arange(T)) % n_steps
            for t, step in enumerate(steps):
                synops[:, step, _span(mapping, post)] += arriving[:, t]
        if pre in mapping.first:
            sent = spikes * merge(reaches).destinations()
            window = slice(plan.depth[pre], plan.depth[pre] + T)
            packets[:, window, _span(mapping, pre)] += mapping.tilings[pre].sum_by_tile(sent)
    neurons = np.array([core.neurons for core in mapping.cores], dtype=np.int64)
    return StepLoads(synops, active, packets, neurons)


def _span(mapping: Mapping, name: str) -> slice:
    cores = mapping.cores_of(name)
    return slice(cores.start, cores.stop)


def unknown_latencies(board: Board) -> list[str]:
    """Constants that the time of a step needs and the board does not give."""
    if board.tick is not None:
        return []
    missing = [
        f"events.{name}.latency" for name in _LATENCIES if board.events[name].latency is None
    ]
    return missing + ([] if board.barrier is not None else ["timing.barrier"])


def busy_seconds(loads: StepLoads, board: Board) -> float | None:
    """Working time of the busiest core, summed over steps and samples; None if unknown.

    The barrier is not included.
    """
    seconds: list[float] = []
    for name in _LATENCIES:
        latency = board.events[name].latency
        if latency is None:
            return None
        seconds.append(latency.si)
    synop, active, inactive, packet = seconds
    updates = loads.active * active + (loads.neurons - loads.active) * inactive
    busy = np.maximum(updates + loads.packets * packet, loads.synops * synop)
    return float(busy.max(axis=2).sum())
