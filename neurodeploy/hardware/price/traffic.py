"""Traffic: events per core, exact, from the activity of a run and a mapping.

Definitions, summed over all samples and all T + max depth steps of each:

- ``synops``: a spike times its synapses on the core (weights of zero are stored, and count);
  ``synops_dense``, ``synops_sparse``, ``synops_convolution`` are its parts by the kind of
  connectivity (:func:`synapse_kind`);
- ``neuron_updates_active``, ``neuron_updates_inactive``: every neuron of a core is updated in every
  step of a sample, inside its window or not, and every compartment that it is built of; which
  updates are active says
  :mod:`neurodeploy.hardware.price.activity`; ``neuron_accesses`` is their sum;
- ``spikes``: emissions of neurons on the core, of any payload;
- ``packets``: one per spike and destination core, at the core that sends it; packets that the host
  injects (``spikes`` inputs) stand at the core that receives them;
- ``packets_received``: the same packets at the cores that receive them;
- ``hops_x``, ``hops_y``: packets times the Manhattan distance between tiles over the joint grid of
  all chips, ``chip_crossings``: packets times the chip borders on that way
  (:class:`neurodeploy.hardware.boards.grid.Grid`), at the core that sends; packets of the host have
  none.

The host's own work is told apart: ``host_spikes`` counts the spikes that it injects,
``host_writes`` the biases that it writes once per sample for ``current`` inputs, which take time on
some boards; ``host_macs`` counts the multiply-accumulates that made those biases.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from neurodeploy.hardware.boards.interval import Interval
from neurodeploy.hardware.boards.records import COUNTED
from neurodeploy.hardware.cut.core_map import CoreMap
from neurodeploy.hardware.cut.demand import on_chip
from neurodeploy.hardware.cut.flows import reaches_of
from neurodeploy.hardware.cut.reach import merge
from neurodeploy.hardware.cut.tiling import Tiling, held_intervals
from neurodeploy.hardware.price.activity import Activity, PopulationActivity
from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.connectivity import Connectivity, Dense, Sparse
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.neurons import MaxPool


@dataclass(frozen=True, slots=True)
class CoreTraffic:
    """Events of one core over a whole run; targets with cores of their own build it too.

    Parameters
    ----------
    chip, x, y : int
        Where the core lies.
    holds : str
        What lies on it, for reports.
    neurons : int
    synops, neuron_updates_active, neuron_updates_inactive, spikes, packets, hops_x, hops_y : int
    chip_crossings, synops_dense, synops_sparse, synops_convolution, packets_received : int
        Targets that do not tell synops by kind leave the kinds at 0.
    """

    chip: int
    x: int
    y: int
    holds: str
    neurons: int
    synops: int = 0
    neuron_updates_active: int = 0
    neuron_updates_inactive: int = 0
    spikes: int = 0
    packets: int = 0
    hops_x: int = 0
    hops_y: int = 0
    chip_crossings: int = 0
    synops_dense: int = 0
    synops_sparse: int = 0
    synops_convolution: int = 0
    packets_received: int = 0

    @property
    def neuron_accesses(self) -> int:
        """Updates of neurons, active or not."""
        return self.neuron_updates_active + self.neuron_updates_inactive

    def events(self) -> dict[str, int]:
        """Counts by the names of :data:`neurodeploy.hardware.boards.records.COUNTED`."""
        return {name: getattr(self, name) for name in COUNTED}


@dataclass(frozen=True, slots=True)
class Traffic:
    """Events of a whole run.

    Parameters
    ----------
    cores : tuple of CoreTraffic
    samples : int
    steps_per_sample : int
        T + max depth (and the latency of the target, where it has one).
    host_spikes, host_writes, host_macs : int
    busy_s : Interval or None
        Seconds in which the busiest core works, summed over all steps of all samples; None where
        steps have a fixed length or latencies are unknown.
    """

    cores: tuple[CoreTraffic, ...]
    samples: int
    steps_per_sample: int
    host_spikes: int = 0
    host_writes: int = 0
    host_macs: int = 0
    busy_s: Interval | None = None

    def events(self) -> dict[str, int]:
        """Counts over all cores."""
        return {name: sum(getattr(core, name) for core in self.cores) for name in COUNTED}

    def with_busy_time(self, busy_s: Interval | None) -> Traffic:
        """The same with the time that the busiest core takes."""
        return replace(self, busy_s=busy_s)


def count_traffic(mapping: CoreMap, netlist: IntegerNetlist, activity: Activity) -> Traffic:
    """Events of every core of a mapping, in closed form per projection."""
    n = mapping.n_cores
    stored = [name for name in COUNTED if name != "neuron_accesses"]
    counts: dict[str, IntArray] = {name: np.zeros(n, dtype=np.int64) for name in stored}
    steps = activity.timesteps + netlist.schedule.max_depth
    neurons = np.array([core.neurons for core in mapping.cores], dtype=np.int64)
    for name in mapping.first:
        cores = mapping.cores_of(name)
        counts["spikes"][cores] = mapping.tilings[name].sum_by_tile(
            activity.populations[name].spikes
        )
        counts["neuron_updates_active"][cores] = active_by_tile(
            mapping, netlist, name, activity.populations[name]
        )
    updates = neurons * steps * activity.samples
    counts["neuron_updates_inactive"] = updates - counts["neuron_updates_active"]
    grid, positions = mapping.board.grid, mapping.positions()
    kinds = synapse_kinds(netlist)
    for pre, post, reaches in reaches_of(mapping, netlist):
        spikes = activity.populations[pre].spikes
        targets = mapping.cores_of(post)
        for part, kind in zip(reaches, kinds[pre, post], strict=True):
            synops = part.synops(spikes)
            counts["synops"][targets] += synops
            counts[f"synops_{kind}"][targets] += synops
        arriving = merge(reaches)
        received = arriving.packets(spikes)
        counts["packets_received"][targets] += received
        if pre not in mapping.first:
            counts["packets"][targets] += received
            continue
        sources = mapping.cores_of(pre)
        flow = arriving.flow(spikes, mapping.tilings[pre])
        senders, receivers = sources.start + flow.source, targets.start + flow.target
        np.add.at(counts["packets"], senders, flow.packets)
        way = grid.hops_between(positions[senders], positions[receivers])
        for name, hops in zip(("hops_x", "hops_y", "chip_crossings"), way, strict=True):
            np.add.at(counts[name], senders, flow.packets * hops)
    cores_traffic = tuple(
        CoreTraffic(
            core.chip,
            core.x,
            core.y,
            ", ".join(str(s) for s in core.slices),
            core.neurons,
            **{name: int(counts[name][k]) for name in stored},
        )
        for k, core in enumerate(mapping.cores)
    )
    return Traffic(cores_traffic, activity.samples, steps, *host_work(netlist, activity))


def synapse_kind(connectivity: Connectivity) -> str:
    """How a neurocore stores these synapses: one of the board's SYNAPSE_KINDS."""
    if isinstance(connectivity, Dense):
        return "dense"
    return "sparse" if isinstance(connectivity, Sparse) else "convolution"


def synapse_kinds(netlist: IntegerNetlist) -> dict[tuple[str, str], list[str]]:
    """Kinds of the on-chip projections by source and target, in the order of the netlist."""
    kinds: dict[tuple[str, str], list[str]] = {}
    for projection in netlist.projections:
        if on_chip(netlist, projection):
            kind = synapse_kind(projection.connectivity)
            kinds.setdefault((projection.pre, projection.post), []).append(kind)
    return kinds


def active_by_tile(
    mapping: CoreMap, netlist: IntegerNetlist, name: str, activity: PopulationActivity
) -> IntArray:
    """Active updates of a population's cores, accumulators of pools included: ``[n_tiles]``."""
    tiling = mapping.tilings[name]
    total: IntArray = tiling.sum_by_tile(activity.active)
    if activity.accumulators is not None:
        total = total + sum_held(mapping, netlist, name, activity.accumulators)
    return total * mapping.board.compartments(netlist.by_name[name])


def sum_held(mapping: CoreMap, netlist: IntegerNetlist, name: str, values: IntArray) -> IntArray:
    """Sum ``[..., *input_shape]`` of a pool over what each core holds: ``[..., n_tiles]``."""
    population, tiling = netlist.by_name[name], mapping.tilings[name]
    assert isinstance(population.model, MaxPool)
    assert isinstance(tiling, Tiling)  # of pools that is the only cut
    n_axes = len(population.shape)
    lead = values.ndim - n_axes
    for axis in range(n_axes):
        cut = held_intervals(population, axis, tiling.intervals(axis))
        parts = [
            values.take(range(a, b), axis=lead + axis).sum(axis=lead + axis, keepdims=True)
            for a, b in cut
        ]
        values = np.concatenate(parts, axis=lead + axis)
    return values.reshape(*values.shape[:lead], -1)


def host_work(netlist: IntegerNetlist, activity: Activity) -> tuple[int, int, int]:
    """``(host_spikes, host_writes, host_macs)`` of a run."""
    injected, macs = 0, 0
    written: set[str] = set()
    for population in netlist.inputs:
        if not population.is_current_input:
            injected += int(activity.populations[population.name].spikes.sum())
            continue
        for projection in netlist.outgoing[population.name]:
            written.add(projection.post)
            macs += projection.connectivity.n_synapses
    biases = sum(int(np.prod(netlist.by_name[name].input_shape)) for name in written)
    return injected, biases * activity.samples, macs * activity.samples
