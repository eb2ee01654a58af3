"""Placement by what a run did: its packets, and how busy it kept every core.

The time of a candidate is that of its mean step, summed over the run: of the busiest core as in
:mod:`neurodeploy.energy.timing`, with the barrier, or of the busiest link
(:mod:`neurodeploy.mapping.placing.cost`). Beside the cut with the fewest cores stands one with
fewer packets, where the chips in use have cores for it and it saves enough; and where time
counts, cuts that spread the work over more cores, and cuts by channels instead of patches:
neighbouring pixels are busy together, the channels of a pixel less so. Cuts by a graph are kept,
or made again for more cores where that takes no more than seconds.
"""

from __future__ import annotations

from collections import abc
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from neurodeploy.boards.board import COUNTED, SYNOPS_BY_KIND, Board
from neurodeploy.energy.activity import Activity
from neurodeploy.energy.traffic import Traffic, count_traffic
from neurodeploy.errors import CapacityError
from neurodeploy.ir.arrays import FloatArray, IntArray
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.mapping.allocation import Mapping
from neurodeploy.mapping.demand import is_listed, on_chip
from neurodeploy.mapping.flows import CoreFlows, core_flows
from neurodeploy.mapping.listed_cut import known_cuts
from neurodeploy.mapping.partition import Preference, partition
from neurodeploy.mapping.placing.annealing import Budget
from neurodeploy.mapping.placing.cost import HopCosts
from neurodeploy.mapping.placing.placement import (
    Candidate,
    Placement,
    choose,
    current_placement,
    objective_named,
    place,
)

_RECEIVING = ("packets_received", "synops", *SYNOPS_BY_KIND)
_ON_THE_WAY = ("hops_x", "hops_y", "chip_crossings")
_SECONDS, _LEAST_SECONDS = 24.0, 1.0
_MOST_CUTS = 7
_SLACKS = (1.0, 1.5, 2.0)
_WORTHWHILE = 0.005
_HOPS = 2
"""Hops of a packet, about, before anything is placed."""
_HOT = 0.7
_GROWTH = 1.5
_MOST_SYNAPSES = 300_000
"""Of a population whose graph is cut for every number of cores: a second or two each."""


def place_by_activity(
    mapping: Mapping,
    netlist: IntegerNetlist,
    activity: Activity,
    objective: str = "energy",
    *,
    budget: Budget | None = None,
    seed: int = 0,
) -> Placement:
    """Choose where the cores of a mapping lie and, for what it gains, how the netlist is cut.

    Parameters
    ----------
    mapping : Mapping
        Of :func:`neurodeploy.mapping.partition.partition`.
    netlist : IntegerNetlist
    activity : Activity
    objective : {"energy", "time", "pareto", "none"}
    budget : Budget, optional
        For every search; if not given, all together take about half a minute at most.
    seed : int

    Raises
    ------
    UnknownNameError
        For another objective.
    """
    wanted = objective_named(objective)
    spikes = {name: counts.spikes for name, counts in activity.populations.items()}
    cuts = [mapping]
    if wanted != "none":
        traffic = count_traffic(mapping, netlist, activity).events()
        known = (n * (mapping.board.energy(event) or 0.0) for event, n in traffic.items())
        cuts += cuts_of_fewer_packets(mapping, netlist, spikes, sum(known))
    if wanted in ("time", "pareto"):
        cuts += cuts_of_less_time(mapping, netlist, activity)
    if budget is None:
        searches = len(cuts) * (2 if wanted in ("time", "pareto") else 1)
        budget = Budget(seconds=max(_LEAST_SECONDS, _SECONDS / searches))
    candidates: list[Candidate] = []
    for cut in cuts:
        flows = core_flows(cut, netlist, spikes)
        busy = core_seconds(cut, netlist, activity)
        found = place(cut, flows, wanted, budget=budget, seed=seed, core_seconds=busy)
        candidates += found.candidates
    return choose(candidates, wanted, measured=True)


def as_placed(mapping: Mapping, netlist: IntegerNetlist, activity: Activity) -> Placement:
    """Figures of a mapping whose places are given."""
    spikes = {name: counts.spikes for name, counts in activity.populations.items()}
    flows = core_flows(mapping, netlist, spikes)
    return current_placement(mapping, flows, "as given", core_seconds(mapping, netlist, activity))


def placed_traffic(
    traffic: Traffic,
    mapping: Mapping,
    placement: Placement,
    netlist: IntegerNetlist,
    activity: Activity,
    measure: Callable[[Mapping], Traffic],
) -> Traffic:
    """Events under the chosen placement, from those of the mapping that it started from.

    ``measure`` counts a run again, for a mapping that is cut otherwise: its steps take other times.
    """
    chosen = placement.mapping
    if chosen.tilings != mapping.tilings:
        return measure(chosen)
    return count_traffic(chosen, netlist, activity).with_busy_time(traffic.busy_s)


def core_seconds(
    mapping: Mapping, netlist: IntegerNetlist, activity: Activity
) -> FloatArray | None:
    """Working time of every core over a run, barriers included; None if unknown.

    By means over steps: of the two halves of a core the one that is longer on average.
    """
    board = mapping.board
    if board.tick is not None:
        return None
    traffic = count_traffic(mapping, netlist, activity)
    sending: FloatArray = np.zeros(mapping.n_cores)
    receiving: FloatArray = np.zeros(mapping.n_cores)
    for event in COUNTED:
        if event in _ON_THE_WAY:
            continue
        latency = board.latency(event)
        if latency is None:
            return None
        if latency:
            counts = np.array([getattr(core, event) for core in traffic.cores], dtype=np.float64)
            half = receiving if event in _RECEIVING else sending
            half += counts * latency
    busy: FloatArray = np.maximum(sending, receiving)
    tiles = len({(core.chip, core.x, core.y) for core in mapping.cores})
    return busy + _barriers(board, tiles) * traffic.steps_per_sample * traffic.samples


def _barriers(board: Board, tiles: int) -> float:
    barrier = board.barrier_at(tiles)
    return 0.0 if barrier is None else barrier.si


def cuts_of_fewer_packets(
    mapping: Mapping,
    netlist: IntegerNetlist,
    spikes: abc.Mapping[str, IntArray],
    dynamic_j: float,
) -> list[Mapping]:
    """The cut with the fewest packets, on as many chips, if what it saves is worth its cores.

    That is a two-hundredth of the dynamic energy. Where static power is paid by the core, only
    among cuts with as few cores; and none where the energies of hops are unknown.
    """
    board = mapping.board
    costs = HopCosts.of(board)
    if costs.unit != "J":
        return []
    room = mapping.n_chips * board.grid.cores_per_chip
    by_core = board.static_power is not None and board.static_power_per == "core"
    first = core_flows(mapping, netlist, spikes)
    best, fewest = None, first
    known = known_cuts(netlist, [mapping.tilings])
    for slack in (1.0,) if by_core else _SLACKS:
        try:
            cut = partition(netlist, board, Preference(slack=slack, spikes=spikes, known=known))
        except CapacityError:
            # More cores than the board has.
            break
        if cut.n_cores > room or (by_core and cut.n_cores > mapping.n_cores):
            break
        flows = core_flows(cut, netlist, spikes)
        if _packets(flows) < _packets(fewest):
            best, fewest = cut, flows
    each = costs.packet + _HOPS * max(costs.x, costs.y)
    saved = (_packets(first) - _packets(fewest)) * each
    return [best] if best is not None and saved >= _WORTHWHILE * dynamic_j else []


def _packets(flows: CoreFlows) -> int:
    return flows.total + int(flows.from_host.sum())


def cuts_of_less_time(
    mapping: Mapping, netlist: IntegerNetlist, activity: Activity
) -> list[Mapping]:
    """Cuts into ever more cores, of three kinds, each with less time per step than the one before.

    With the fewest input axons, with the fewest packets, and by channels.
    """
    found: list[Mapping] = []
    first = core_seconds(mapping, netlist, activity)
    if first is None:
        return found
    spikes = {name: counts.spikes for name, counts in activity.populations.items()}
    made = [mapping.tilings]
    for kind in (Preference(), Preference(slack=1.5, spikes=spikes), Preference(by_channels=True)):
        kind = replace(kind, known=known_cuts(netlist, made))
        current: Mapping | None = partition(netlist, mapping.board, kind)
        least = float(first.max())
        for _ in range(_MOST_CUTS):
            assert current is not None
            seconds = core_seconds(current, netlist, activity)
            assert seconds is not None
            if seconds.max() < least:
                least = float(seconds.max())
                found.append(current)
            made.append(current.tilings)
            kind = replace(kind, known=known_cuts(netlist, made))
            current = _spread(current, netlist, seconds, kind)
            if current is None:
                break
    return found


def _recut_in_time(netlist: IntegerNetlist, name: str) -> bool:
    """Whether a population is cut again within seconds: into boxes, or by a graph that is small."""
    if not is_listed(netlist, netlist.by_name[name]):
        return True
    incoming = [q for q in netlist.incoming[name] if on_chip(netlist, q)]
    return sum(q.connectivity.n_synapses for q in incoming) <= _MOST_SYNAPSES


def _spread(
    mapping: Mapping, netlist: IntegerNetlist, busy: FloatArray, kind: Preference
) -> Mapping | None:
    """The mapping with its busiest populations on more cores; None if there are none left."""
    fewest: dict[str, int] = {}
    for name, tiling in mapping.tilings.items():
        cores = mapping.cores_of(name)
        fewest[name] = tiling.n_tiles
        hot = busy[cores.start : cores.stop].max() > _HOT * busy.max()
        if hot and _recut_in_time(netlist, name):
            neurons = int(np.prod(tiling.shape))
            fewest[name] = min(neurons, int(tiling.n_tiles * _GROWTH) + 1)
    if fewest == {name: tiling.n_tiles for name, tiling in mapping.tilings.items()}:
        return None
    if sum(fewest.values()) > mapping.board.grid.n_cores:
        return None
    try:
        return partition(netlist, mapping.board, replace(kind, least=fewest))
    except CapacityError:
        # Uneven cuts can take more cores than asked for.
        return None
