"""Placement: which slot of the board each core of a mapping takes.

Candidates without search (row-column order, Hilbert curves, spatial tiles, coordinates from the
connections) are always among those compared, so that what is chosen is never worse in both energy
and time than any of them. The cheapest of them is then improved by swaps.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from neurodeploy.errors import UnknownNameError
from neurodeploy.hardware.cut.core_map import CoreMap
from neurodeploy.hardware.cut.flows import CoreFlows
from neurodeploy.hardware.place import layouts
from neurodeploy.hardware.place.annealing import Cooling, Potential, SearchBudget, anneal
from neurodeploy.hardware.place.congestion import relieve
from neurodeploy.hardware.place.cost import HopCosts, PlacementCost, placement_cost
from neurodeploy.hardware.place.region import Region, along_hilbert, index_order, near_square
from neurodeploy.ir.arrays import FloatArray, IntArray
from neurodeploy.numerics.pareto import undominated

Objective = Literal["energy", "time", "pareto", "none"]
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)

INDEX_ORDER = "index order"
LAYER_CURVE = "Hilbert, layer by layer"
PATCH_CURVE = "Hilbert, layers interleaved"
SPATIAL_TILES = "spatial tiles"
CONNECTIONS = "connections"
LEAST_ENERGY = "swaps for energy"
LEAST_TIME = "swaps for time"

_FEW_CORES = 2000


@dataclass(frozen=True, slots=True)
class Candidate:
    """One placement of a mapping.

    Parameters
    ----------
    name : str
        How it came about.
    mapping : CoreMap
        With its cores where this placement has them.
    cost : PlacementCost
    seconds : float
        Spent on finding it.
    rounds : int
        Of search.
    out_of_time : bool
        The limit of time ended the search before its rounds were over.
    """

    name: str
    mapping: CoreMap
    cost: PlacementCost
    seconds: float
    rounds: int = 0
    out_of_time: bool = False

    def to_dict(self, samples: int = 1) -> dict[str, Any]:
        """Figures as JSON values, per sample, without the mapping."""
        cost = self.cost
        return {
            "name": self.name,
            "cores": self.mapping.n_cores,
            "energy": cost.energy / samples,
            "energy_unit": cost.unit,
            "time_s": None if cost.time_s is None else cost.time_s / samples,
            "packets": cost.packets / samples,
            "hops": cost.hops / samples,
            "hops_per_packet": cost.hops_per_packet,
            "chip_crossings": cost.crossings / samples,
            "packets_over_busiest_link": cost.busiest_link / samples,
            "rounds": self.rounds,
            "out_of_time": self.out_of_time,
        }


@dataclass(frozen=True, slots=True)
class Placement:
    """The chosen placement among all that were compared.

    Parameters
    ----------
    objective : {"energy", "time", "pareto", "none"}
    chosen : Candidate
        For ``pareto``: the one of least energy on the front.
    candidates : tuple of Candidate
    measured : bool
        Packets of a run, or else of one spike of every neuron.
    """

    objective: Objective
    chosen: Candidate
    candidates: tuple[Candidate, ...]
    measured: bool

    @property
    def mapping(self) -> CoreMap:
        """The chosen mapping."""
        return self.chosen.mapping

    @property
    def front(self) -> tuple[Candidate, ...]:
        """Candidates that no other betters, by rising energy."""
        return pareto_front(self.candidates)

    def to_dict(self, samples: int = 1) -> dict[str, Any]:
        """Figures as JSON values, per sample, without the mappings."""
        return {
            "objective": self.objective,
            "packets_of": "a run" if self.measured else "one spike of every neuron",
            "assumptions": list(HopCosts.of(self.mapping.board).notes),
            "chosen": self.chosen.to_dict(samples),
            "candidates": [candidate.to_dict(samples) for candidate in self.candidates],
            "front": [candidate.to_dict(samples) for candidate in self.front],
        }


def pareto_front(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Candidates that no other betters in energy and time, by rising energy; one of equals."""
    return tuple(undominated(candidates, lambda c: (c.cost.key[0], -c.cost.key[1])))


def choose(
    candidates: Sequence[Candidate], objective: Objective, *, measured: bool = False
) -> Placement:
    """Pick by objective; ``none`` picks the first."""
    if objective == "none":
        chosen = candidates[0]
    elif objective == "time":
        chosen = min(candidates, key=lambda c: c.cost.key[::-1])
    else:
        chosen = min(candidates, key=lambda c: c.cost.key)
    return Placement(objective, chosen, tuple(candidates), measured)


def place(
    mapping: CoreMap,
    flows: CoreFlows,
    objective: str = "energy",
    *,
    budget: SearchBudget | None = None,
    seed: int = 0,
    core_seconds: FloatArray | None = None,
) -> Placement:
    """Choose the tiles of a mapping's cores.

    Parameters
    ----------
    mapping : CoreMap
        Where its cores lie does not matter.
    flows : CoreFlows
        Of :func:`neurodeploy.hardware.cut.flows.core_flows`.
    objective : {"energy", "time", "pareto", "none"}
        ``none``: row-column order.
    budget : SearchBudget, optional
    seed : int
    core_seconds : float ``[n_cores]``, optional
        Working time of every core over the same run, which counts for the time.

    Raises
    ------
    UnknownNameError
        For another objective.
    """
    wanted = objective_named(objective)
    budget = SearchBudget() if budget is None else budget
    board = mapping.board

    def candidate(
        name: str, region: Region, slot: IntArray, began: float, rounds: int = 0, late: bool = False
    ) -> Candidate:
        seconds = time.perf_counter() - began
        cost = placement_cost(flows, region.position[slot], board, core_seconds)
        moved = moved_mapping(mapping, region, slot)
        return Candidate(name, moved, cost, seconds, rounds, late)

    began = time.perf_counter()
    everywhere = np.arange(mapping.n_cores)
    candidates = [
        candidate(INDEX_ORDER, index_order(board.grid, mapping.n_cores), everywhere, began)
    ]
    if wanted == "none":
        return choose(candidates, wanted, measured=flows.measured)
    region = near_square(board.grid, mapping.n_cores)
    potentials = HopCosts.of(board).potentials(board)
    slots: list[IntArray] = []
    for name, layout in _layouts(mapping, flows, region, potentials, seed).items():
        began = time.perf_counter()
        slots.append(layout())
        candidates.append(candidate(name, region, slots[-1], began))
    start = min(zip(candidates[1:], slots, strict=True), key=lambda c: c[0].cost.key)[1]
    schedule = _schedule(region)
    x, y = region.position.T
    began = time.perf_counter()
    swapped = anneal(
        flows, region, start, Potential(potentials[0][x], potentials[1][y]), schedule, budget, seed
    )
    candidates.append(
        candidate(LEAST_ENERGY, region, swapped.slot, began, swapped.rounds, swapped.out_of_time)
    )
    if wanted in ("time", "pareto"):
        began = time.perf_counter()
        reach = min(schedule.reach, 3.0)
        relieved = relieve(flows, region, swapped.slot, board, reach, budget, seed)
        candidates += [
            candidate(LEAST_TIME, region, slot, began, relieved.rounds, relieved.out_of_time)
            for slot in relieved.slots
        ]
    return choose(candidates, wanted, measured=flows.measured)


def objective_named(name: str) -> Objective:
    """The objective of that name.

    Raises
    ------
    UnknownNameError
        If there is none.
    """
    for objective in OBJECTIVES:
        if objective == name:
            return objective
    raise UnknownNameError("objective", name, OBJECTIVES)


def _layouts(
    mapping: CoreMap,
    flows: CoreFlows,
    region: Region,
    potentials: tuple[FloatArray, FloatArray],
    seed: int,
) -> dict[str, Callable[[], IntArray]]:
    def patches() -> FloatArray:
        return layouts.patch_positions(mapping, flows)

    return {
        LAYER_CURVE: lambda: along_hilbert(region),
        PATCH_CURVE: lambda: layouts.patches_along_curve(region, patches()),
        SPATIAL_TILES: lambda: layouts.bisected(region, patches(), potentials),
        CONNECTIONS: lambda: layouts.bisected(
            region, layouts.connection_positions(flows, seed), potentials
        ),
    }


def _schedule(region: Region) -> Cooling:
    """Few cores are annealed from afar; many, only near where their layout has them."""
    if region.n_slots >= _FEW_CORES:
        return Cooling(hot=0.5, cold=0.05, reach=6.0, share=0.25)
    span = np.ptp(region.position, axis=0).max() + 1
    return Cooling(hot=4.0, cold=0.02, reach=max(1.0, span / 2), share=0.25)


def moved_mapping(mapping: CoreMap, region: Region, slot: IntArray) -> CoreMap:
    """The mapping with core k on slot ``slot[k]`` of the region."""
    places = np.concatenate([region.chip[slot, None], region.on_chip()[slot]], axis=1).tolist()
    return mapping.moved(places)
