"""The search for a placement: what was asked for, the cuts compared, and the one chosen.

Placements are compared by what a run did: its packets, and how busy it kept every core.

The time of a candidate is that of its mean step, summed over the run: of the busiest core as in
:mod:`neurodeploy.hardware.price.timing`, with the barrier, or of the busiest link
(:mod:`neurodeploy.hardware.place.cost`). Beside the cut with the fewest cores stands one with
fewer packets, where the chips in use have cores for it and it saves enough; and where time
counts, cuts that spread the work over more cores, and cuts by channels instead of patches:
neighbouring pixels are busy together, the channels of a pixel less so. Cuts by a graph are kept,
or made again for more cores where that takes no more than seconds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from neurodeploy.errors import CapacityError, UsageError
from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.cut.core_map import CoreMap
from neurodeploy.hardware.cut.demand import is_listed, on_chip
from neurodeploy.hardware.cut.listed_cut import known_cuts
from neurodeploy.hardware.cut.partition import Preference, partition
from neurodeploy.hardware.place.annealing import SearchBudget
from neurodeploy.hardware.place.cost import HopCosts, placement_cost
from neurodeploy.hardware.place.placement import (
    Candidate,
    Placement,
    choose,
    objective_named,
    place,
)
from neurodeploy.hardware.place.placement_file import load_placement, save_placement
from neurodeploy.hardware.price.activity import Activity
from neurodeploy.hardware.price.counted_cut import CountedCut
from neurodeploy.hardware.price.traffic import Traffic, count_traffic
from neurodeploy.ir.arrays import FloatArray
from neurodeploy.ir.files import expect_writable
from neurodeploy.ir.netlist import IntegerNetlist

_SECONDS, _LEAST_SECONDS = 24.0, 1.0
_MOST_CUTS = 7
_SLACKS = (1.0, 1.5, 2.0)
_WORTHWHILE = 0.005
_HOPS = 2
"""Hops of a packet, about, before anything is placed."""
_HOT = 0.7
_GROWTH = 1.5
_MOST_SYNAPSES = 300_000
"""Limit for a population whose graph is cut for every number of cores: a second or two each."""


@dataclass(frozen=True, slots=True)
class PlacementRequest:
    """Request for the placement of a priced network's cores.

    Parameters
    ----------
    objective : str
        One of :data:`neurodeploy.hardware.place.placement.OBJECTIVES`.
    source, target : Path or None
        Placement files to read and to write.
    """

    objective: str
    source: Path | None
    target: Path | None

    @classmethod
    def checked(
        cls,
        boards: Sequence[Board],
        objective: str | None,
        source: str | Path | None,
        target: str | Path | None,
    ) -> PlacementRequest:
        """The request, if it makes sense for the boards.

        Raises
        ------
        UsageError
        """
        for name, path in {"placement": source, "save_placement": target}.items():
            if not isinstance(path, str | os.PathLike | None):
                raise UsageError(f"{name} {path!r}: pass the path of a placement file")
        given = {"objective": objective, "placement": source, "save_placement": target}
        named = [name for name, value in given.items() if value is not None]
        if named and all(board.kind == "crossbar" for board in boards):
            raise UsageError(
                f"board {boards[0].name}: {', '.join(named)}: the cores of crossbar boards are "
                "placed by 'neurodeploy compile'; leave it out"
            )
        if len(boards) > 1 and (source is not None or target is not None):
            raise UsageError(
                f"{len(boards)} boards and a placement file, which is for one; name one board"
            )
        if source is not None and objective is not None:
            raise UsageError("a placement file leaves nothing to choose; leave the objective out")
        if objective is not None:
            objective_named(objective)
        if target is not None:
            expect_writable(Path(target))
        return cls(
            objective or "energy",
            None if source is None else Path(source),
            None if target is None else Path(target),
        )

    def start(self, netlist: IntegerNetlist, board: Board) -> CoreMap:
        """The mapping to count a run on: that of the file, or one in row-column order."""
        if self.source is not None:
            return load_placement(self.source, netlist, board)
        return partition(netlist, board)

    def finish(
        self,
        traffic: Traffic,
        mapping: CoreMap,
        netlist: IntegerNetlist,
        activity: Activity,
        measure: Callable[[CoreMap], Traffic],
    ) -> tuple[Traffic, Placement]:
        """Place the cores by what the run did, count its events there, and write the file."""
        if self.source is not None:
            placement = as_placed(mapping, netlist, activity)
        else:
            placement = place_by_activity(mapping, netlist, activity, self.objective)
            traffic = placed_traffic(traffic, mapping, placement, netlist, activity, measure)
        if self.target is not None:
            save_placement(placement.mapping, self.target)
        return traffic, placement


def place_by_activity(
    mapping: CoreMap,
    netlist: IntegerNetlist,
    activity: Activity,
    objective: str = "energy",
    *,
    budget: SearchBudget | None = None,
) -> Placement:
    """Choose where the cores of a mapping lie and, for what it gains, how the netlist is cut.

    Parameters
    ----------
    mapping : CoreMap
        Of :func:`neurodeploy.hardware.cut.partition.partition`.
    netlist : IntegerNetlist
    activity : Activity
    objective : {"energy", "time", "pareto", "none"}
    budget : SearchBudget, optional
        For every search; if not given, all together take about half a minute at most, or a second
        each where they are many.

    Raises
    ------
    UnknownNameError
        For another objective.
    """
    wanted = objective_named(objective)
    first = CountedCut(mapping, netlist, activity)
    cuts = [first]
    if wanted != "none":
        cuts += cuts_of_fewer_packets(first)
    if wanted in ("time", "pareto"):
        cuts += cuts_of_less_time(first)
    if budget is None:
        searches = len(cuts) * (2 if wanted in ("time", "pareto") else 1)
        budget = SearchBudget(seconds=max(_LEAST_SECONDS, _SECONDS / searches))
    candidates: list[Candidate] = []
    for cut in cuts:
        found = place(
            cut.mapping,
            cut.flows,
            wanted,
            budget=budget,
            core_seconds=cut.core_seconds,
        )
        candidates += found.candidates
    return choose(candidates, wanted, measured=True)


def as_placed(mapping: CoreMap, netlist: IntegerNetlist, activity: Activity) -> Placement:
    """Figures of a mapping whose places are given."""
    given = CountedCut(mapping, netlist, activity)
    flows, board = given.flows, mapping.board
    cost = placement_cost(flows, mapping.positions(), board, given.core_seconds)
    return choose([Candidate("as given", mapping, cost, 0.0)], "none", measured=flows.measured)


def placed_traffic(
    traffic: Traffic,
    mapping: CoreMap,
    placement: Placement,
    netlist: IntegerNetlist,
    activity: Activity,
    measure: Callable[[CoreMap], Traffic],
) -> Traffic:
    """Events under the chosen placement, from those of the mapping that it started from.

    ``measure`` counts a run again, for a mapping that is cut otherwise: its steps take other times.
    """
    chosen = placement.mapping
    if chosen.tilings != mapping.tilings:
        return measure(chosen)
    return count_traffic(chosen, netlist, activity).with_busy_time(traffic.busy_s)


def cuts_of_fewer_packets(first: CountedCut) -> list[CountedCut]:
    """The cut with the fewest packets, on as many chips, if what it saves is worth its cores.

    That is a two-hundredth of the dynamic energy, as far as it is known. Where every core in use
    draws power or takes time to reset, only among cuts with as few cores; and none where the
    energies of hops are unknown.
    """
    mapping, netlist, board = first.mapping, first.netlist, first.mapping.board
    costs = HopCosts.of(board)
    if costs.unit != "J":
        return []
    room = mapping.n_chips * board.grid.cores_per_chip
    by_core = "reset" in board.overheads or any(p.per == "core" for p in board.static.values())
    best = first
    spikes, known = first.activity.spikes(), known_cuts(netlist, [mapping.tilings])
    for slack in (1.0,) if by_core else _SLACKS:
        cut = _cut_by(netlist, board, Preference(slack=slack, spikes=spikes, known=known))
        if cut is None or cut.n_cores > room or (by_core and cut.n_cores > mapping.n_cores):
            break
        counted = CountedCut(cut, netlist, first.activity)
        if counted.packets < best.packets:
            best = counted
    if best is first:
        return []
    saved = (first.packets - best.packets) * (costs.packet + _HOPS * max(costs.x, costs.y))
    dynamic = sum(n * (board.energy(event) or 0.0) for event, n in first.traffic.events().items())
    return [best] if saved >= _WORTHWHILE * dynamic else []


def cuts_of_less_time(first: CountedCut) -> list[CountedCut]:
    """Cuts into ever more cores, of three kinds, each with less time per step than the one before.

    With the fewest input axons, with the fewest packets, and by channels.
    """
    found: list[CountedCut] = []
    if first.core_seconds is None:
        return found
    netlist, board = first.netlist, first.mapping.board
    spikes, made = first.activity.spikes(), [first.mapping.tilings]
    for kind in (Preference(), Preference(slack=1.5, spikes=spikes), Preference(by_channels=True)):
        kind = replace(kind, known=known_cuts(netlist, made))
        mapping = _cut_by(netlist, board, kind)
        least = float(first.core_seconds.max())
        for _ in range(_MOST_CUTS):
            if mapping is None:
                break
            cut = CountedCut(mapping, netlist, first.activity)
            assert cut.core_seconds is not None
            # A cut over so many tiles that the board does not tell their barrier would seem fast.
            as_known = cut.has_barrier or not first.has_barrier
            if as_known and cut.core_seconds.max() < least:
                least = float(cut.core_seconds.max())
                found.append(cut)
            made.append(mapping.tilings)
            kind = replace(kind, known=known_cuts(netlist, made))
            mapping = _spread(mapping, netlist, cut.core_seconds, kind)
    return found


def _cut_by(netlist: IntegerNetlist, board: Board, preference: Preference) -> CoreMap | None:
    """The cut by a preference; None if it takes more cores than the board has."""
    try:
        return partition(netlist, board, preference)
    except CapacityError:
        return None


def _recut_in_time(netlist: IntegerNetlist, name: str) -> bool:
    """Whether a population is cut again within seconds: into boxes, or by a graph that is small."""
    if not is_listed(netlist, netlist.by_name[name]):
        return True
    incoming = [q for q in netlist.incoming[name] if on_chip(netlist, q)]
    return sum(q.connectivity.n_synapses for q in incoming) <= _MOST_SYNAPSES


def _spread(
    mapping: CoreMap, netlist: IntegerNetlist, busy: FloatArray, kind: Preference
) -> CoreMap | None:
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
    # Uneven cuts can take more cores than asked for.
    return _cut_by(netlist, mapping.board, replace(kind, least=fewest))
