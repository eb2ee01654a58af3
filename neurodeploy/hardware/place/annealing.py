"""Local search: swaps of cores in batches, accepted as in simulated annealing.

Kirkpatrick, Gelatt, Vecchi 1983, Science 220, 671-680, with many disjoint swaps at a time: the
change of each is computed exactly for the placement at the start of its round, as if it came
alone. Rounds take a fixed number of draws from one generator, so the result depends on the seed and
the number of rounds; only where a time limit binds does it depend on the machine.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from neurodeploy.hardware.cut.flows import CoreFlows
from neurodeploy.hardware.place.region import Region
from neurodeploy.ir.arrays import AnyArray, FloatArray, IntArray

_FEWEST, _MOST, _PER_CORE = 100, 3000, 30
_MOVES, _CHANGES = 10_000_000, 80_000_000


class Metric(Protocol):
    """Cost of one packet's way between two slots."""

    @property
    def symmetric(self) -> bool:
        """Whether the way back costs the same."""

    def cost(self, source: IntArray, target: IntArray) -> FloatArray:
        """Cost of the ways from slots to slots."""


@dataclass(frozen=True, slots=True, eq=False)
class Potential:
    """Ways that cost the same in both directions and in every row and column.

    Parameters
    ----------
    x, y : float ``[n_slots]``
        Potential of each slot's column and row.
    """

    x: FloatArray
    y: FloatArray
    symmetric: bool = True

    def cost(self, source: IntArray, target: IntArray) -> FloatArray:
        """Cost of the ways from slots to slots."""
        way: FloatArray = np.abs(self.x[source] - self.x[target])
        way += np.abs(self.y[source] - self.y[target])
        return way


@dataclass(frozen=True, slots=True)
class SearchBudget:
    """Length of the search.

    Parameters
    ----------
    rounds : int or None
        0: no search; None: as many as take some seconds, by the numbers of cores and of pairs.
    seconds : float or None
        None: no limit of time.
    """

    rounds: int | None = None
    seconds: float | None = 6.0

    def rounds_for(self, flows: CoreFlows) -> int:
        """Rounds to run at most."""
        if self.rounds is not None:
            return self.rounds
        work = min(_MOVES // max(1, flows.n_cores), _CHANGES // max(1, flows.source.size))
        return max(_FEWEST, min(_MOST, _PER_CORE * flows.n_cores, work))


@dataclass(frozen=True, slots=True)
class Cooling:
    """Temperatures in units of the mean cost of a hop of a pair, and how far swaps reach.

    Parameters
    ----------
    hot, cold : float
    reach : float
        Tiles along each axis at the start; 1 at the end.
    share : float
        Of the cores, that a round tries to move.
    """

    hot: float
    cold: float
    reach: float
    share: float


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Result of a search.

    Parameters
    ----------
    slot : int64 ``[n_cores]``
        The best assignment met.
    cost : float
    rounds : int
        Rounds run.
    out_of_time : bool
        The limit of time bound before the rounds were over.
    """

    slot: IntArray
    cost: float
    rounds: int
    out_of_time: bool


_CHECK_EVERY = 25


class _Graph:
    """Flows as neighbour lists, without those of a core to itself."""

    def __init__(self, flows: CoreFlows, symmetric: bool) -> None:
        n = flows.n_cores
        apart = flows.source != flows.target
        source, target = flows.source[apart], flows.target[apart]
        weight = flows.packets[apart].astype(np.float64)
        self.source, self.target, self.weight = source, target, weight
        here, there = np.concatenate([source, target]), np.concatenate([target, source])
        both = np.concatenate([weight, weight])
        outward = np.repeat([True, False], source.size)
        if symmetric:
            key, which = np.unique(here * n + there, return_inverse=True)
            both = np.bincount(which, both, minlength=key.size)
            here, there = np.divmod(key, n)
        else:
            order = np.argsort(here, kind="stable")
            here, there, both, outward = here[order], there[order], both[order], outward[order]
        self.first = np.searchsorted(here, np.arange(n + 1))
        self.degree = np.diff(self.first)
        self.neighbour, self.packets, self.outward = there, both, outward
        self.drawn_by = np.concatenate([[0.0], np.cumsum(both)])

    def edges_of(self, cores: IntArray) -> tuple[IntArray, IntArray]:
        """Edges of several cores, and for each the place of its core among ``cores``."""
        degree = self.degree[cores]
        own = np.repeat(np.arange(cores.size), degree)
        before = np.cumsum(degree) - degree
        return np.arange(own.size) + (self.first[cores] - before)[own], own

    def some_neighbour(self, cores: IntArray, draw: FloatArray) -> IntArray:
        """A neighbour of each core, by packets; the core itself where it has none."""
        low, high = self.drawn_by[self.first[cores]], self.drawn_by[self.first[cores + 1]]
        edge = np.searchsorted(self.drawn_by, low + draw * (high - low), side="right") - 1
        # A draw at the very end rounds into the next core's list.
        edge = np.clip(edge, self.first[cores], self.first[cores + 1] - 1)
        found: IntArray = np.where(
            self.degree[cores] > 0, self.neighbour[np.maximum(edge, 0)], cores
        )
        return found


class _Tiles:
    """Slots on every tile of the region's bounding box."""

    def __init__(self, region: Region) -> None:
        low = region.position.min(axis=0)
        self.position = region.position - low
        self.size = self.position.max(axis=0) + 1
        tile = self.position[:, 0] * self.size[1] + self.position[:, 1]
        order = np.argsort(tile, kind="stable")
        self.slots = order
        n_tiles = int(self.size.prod())
        self.first = np.searchsorted(tile[order], np.arange(n_tiles))
        self.count = np.bincount(tile, minlength=n_tiles)

    def some_slot(self, position: IntArray, draw: FloatArray) -> IntArray:
        """A slot on each tile; -1 outside the region."""
        inside = ((position >= 0) & (position < self.size)).all(axis=1)
        tile = np.where(inside, position[:, 0] * self.size[1] + position[:, 1], 0)
        count = np.where(inside, self.count[tile], 0)
        which = self.first[tile] + (draw * count).astype(np.int64)
        return np.where(count > 0, self.slots[np.minimum(which, self.slots.size - 1)], -1)


def anneal(
    flows: CoreFlows,
    region: Region,
    slot: IntArray,
    metric: Metric,
    schedule: Cooling,
    budget: SearchBudget,
    seed: int,
) -> Found:
    """Swap cores of a placement until the budget is spent.

    Parameters
    ----------
    flows : CoreFlows
    region : Region
    slot : int64 ``[n_cores]``
        The slot of every core to start from.
    metric : Metric
        What is to become small: packets times the cost of their ways.
    schedule : Cooling
    budget : SearchBudget
    seed : int
    """
    graph, tiles = _Graph(flows, metric.symmetric), _Tiles(region)
    slot = slot.copy()
    core_on = np.empty_like(slot)
    core_on[slot] = np.arange(slot.size)

    def total() -> float:
        return float(graph.weight @ metric.cost(slot[graph.source], slot[graph.target]))

    best, least = slot.copy(), total()
    most = budget.rounds_for(flows)
    if most == 0 or graph.source.size == 0 or slot.size < 2:
        return Found(best, least, 0, False)
    scale = graph.weight.mean() * _hop_cost(metric, tiles)
    rng = np.random.default_rng(seed)
    batch = max(1, int(slot.size * schedule.share))
    began, rounds, out_of_time = time.monotonic(), 0, False
    while rounds < most and not out_of_time:
        progress = rounds / most
        if budget.seconds is not None:
            passed = (time.monotonic() - began) / budget.seconds
            out_of_time = passed >= 1.0
            progress = max(progress, min(passed, 1.0))
        heat = scale * schedule.hot * (schedule.cold / schedule.hot) ** progress
        reach = max(1.0, schedule.reach * (1.0 - progress) ** 2)
        mover = rng.permutation(slot.size)[:batch]
        wanted = _wanted(graph, tiles, slot, mover, reach, rng)
        draws = rng.random((2, batch))
        goal = tiles.some_slot(wanted, draws[0])
        given = goal >= 0
        mover, partner, luck = mover[given], core_on[goal[given]], draws[1][given]
        alone = _disjoint(mover, partner, slot.size)
        mover, partner, luck = mover[alone], partner[alone], luck[alone]
        change = _change(graph, metric, slot, mover, partner)
        taken = change < -heat * np.log(np.maximum(luck, 1e-300))
        mover, partner = mover[taken], partner[taken]
        slot[mover], slot[partner] = slot[partner], slot[mover]
        core_on[slot[mover]], core_on[slot[partner]] = mover, partner
        rounds += 1
        if rounds % _CHECK_EVERY == 0 or rounds == most:
            now = total()
            if now < least:
                best, least = slot.copy(), now
    return Found(best, least, rounds, out_of_time)


def _hop_cost(metric: Metric, tiles: _Tiles) -> float:
    """Mean cost of a hop over the region, of ways from its first slot."""
    far = np.arange(1, len(tiles.position))
    hops = np.abs(tiles.position[far] - tiles.position[0]).sum(axis=1)
    if not hops.any():
        return 1.0
    cost = metric.cost(np.zeros_like(far), far)
    return float(cost.sum() / hops.sum())


def _wanted(
    graph: _Graph,
    tiles: _Tiles,
    slot: IntArray,
    mover: IntArray,
    reach: float,
    rng: np.random.Generator,
) -> IntArray:
    """Tiles to move to: next to something a core talks to, or near where it is."""
    draws = rng.random((4, mover.size))
    friend = graph.some_neighbour(mover, draws[0])
    joining = draws[1] < 0.5
    start = tiles.position[slot[np.where(joining, friend, mover)]]
    width = np.where(joining, 1.0, reach)[:, None]
    step = np.rint((2.0 * draws[2:].T - 1.0) * (width + 0.4999)).astype(np.int64)
    wanted: IntArray = start + step
    return wanted


def _disjoint(mover: IntArray, partner: IntArray, n: int) -> AnyArray:
    """Mask of pairs of which no core takes part in two: the first in order has it."""
    rank = np.arange(mover.size)
    claim = np.full(n, mover.size)
    np.minimum.at(claim, mover, rank)
    np.minimum.at(claim, partner, rank)
    alone: AnyArray = (claim[mover] == rank) & (claim[partner] == rank) & (mover != partner)
    return alone


def _change(
    graph: _Graph, metric: Metric, slot: IntArray, mover: IntArray, partner: IntArray
) -> FloatArray:
    """Change of the total cost by each swap alone."""
    cores, others = np.concatenate([mover, partner]), np.concatenate([partner, mover])
    edge, own = graph.edges_of(cores)
    neighbour = graph.neighbour[edge]
    here, there = slot[cores][own], slot[others][own]
    at = slot[neighbour]
    # The other core of the swap is met where it will be.
    after = np.where(neighbour == others[own], here, at)
    if metric.symmetric:
        cost = metric.cost(there, after) - metric.cost(here, at)
    else:
        out = graph.outward[edge]
        cost = metric.cost(np.where(out, there, after), np.where(out, after, there))
        cost -= metric.cost(np.where(out, here, at), np.where(out, at, here))
    change = np.bincount(own, graph.packets[edge] * cost, minlength=cores.size)
    # An edge between the two stands in both lists.
    mutual = neighbour == others[own]
    twice = np.bincount(own[mutual], (graph.packets[edge] * cost)[mutual], minlength=cores.size)
    each: FloatArray = change - 0.5 * twice
    return each[: mover.size] + each[mover.size :]
