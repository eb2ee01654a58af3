"""Search for less time per step: ways over busy links are made dear, round after round.

The price of a link is 1 plus a penalty that rises steeply towards the busiest one, and a placement
is searched for in which packets take cheap ways; then loads are counted anew
(negotiated congestion: McMurchie and Ebeling 1995, FPGA, 111-117, with the routes fixed and the
ends free).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.cut.flows import CoreFlows
from neurodeploy.hardware.place.annealing import Cooling, SearchBudget, anneal
from neurodeploy.hardware.place.cost import HopCosts, link_loads, placement_cost
from neurodeploy.hardware.place.region import Region
from neurodeploy.ir.arrays import FloatArray, IntArray
from neurodeploy.numerics.pareto import undominated

_TURNS = 30
_STEEPNESS = 3
_PENALTY = 8.0
_FRESH = 0.3
_HOT, _COLD, _SHARE = 0.1, 0.02, 0.25


@dataclass(frozen=True, slots=True, eq=False)
class PricedLinks:
    """Ways under dimension-ordered routing, where every link has a price of its own.

    Parameters
    ----------
    position : int64 ``[n_slots, 2]``
        Joint coordinates.
    east, west : float ``[height, width]``
        Price of all links in the row up to a column, in either direction.
    north, south : float ``[width, height]``
        Price of all links in the column up to a row.
    """

    position: IntArray
    east: FloatArray
    west: FloatArray
    north: FloatArray
    south: FloatArray
    symmetric: bool = False

    @classmethod
    def of(cls, loads: list[FloatArray], position: IntArray, costs: HopCosts) -> PricedLinks:
        """Prices by loads to the east, west, north and south, in the time that links take.

        All links are taken to be equally slow where the board does not tell it of both axes.
        """
        slow_x, slow_y = costs.latency_x, costs.latency_y
        if slow_x is None or slow_y is None:
            slow_x = slow_y = 1.0
        slow = (slow_x, slow_x, slow_y, slow_y)
        longest = max(float(load.max(initial=0.0)) * s for load, s in zip(loads, slow, strict=True))
        scale = 1.0 / longest if longest else 0.0
        east, west, north, south = (
            _prices(load, s * scale) for load, s in zip(loads, slow, strict=True)
        )
        return cls(position, east, west, north, south)

    def cost(self, source: IntArray, target: IntArray) -> FloatArray:
        """Cost of the ways from slots to slots."""
        (x0, y0), (x1, y1) = self.position[source].T, self.position[target].T
        along_x = np.where(
            x1 > x0,
            self.east[y0, x1] - self.east[y0, x0],
            self.west[y0, x0] - self.west[y0, x1],
        )
        along_y = np.where(
            y1 > y0,
            self.north[x1, y1] - self.north[x1, y0],
            self.south[x1, y0] - self.south[x1, y1],
        )
        way: FloatArray = along_x + along_y
        return way


def _prices(load: FloatArray, scale: float) -> FloatArray:
    """Sum of the prices of all links before each tile of a line."""
    price = 1.0 + _PENALTY * (load * scale) ** _STEEPNESS
    before = np.zeros((load.shape[0], 1))
    return np.concatenate([before, np.cumsum(price, axis=1)], axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class Relieved:
    """Assignments met on the way to less time, none of them worse than another in both.

    Parameters
    ----------
    slots : tuple of int64 ``[n_cores]``
        By rising energy.
    rounds : int
    out_of_time : bool
    """

    slots: tuple[IntArray, ...]
    rounds: int
    out_of_time: bool


def relieve(
    flows: CoreFlows,
    region: Region,
    slot: IntArray,
    board: Board,
    reach: float,
    budget: SearchBudget,
    seed: int,
) -> Relieved:
    """Move packets away from busy links, starting from the assignment ``slot``."""
    costs = HopCosts.of(board)
    most = budget.rounds_for(flows)
    turn = SearchBudget(
        -(-most // _TURNS), None if budget.seconds is None else budget.seconds / _TURNS
    )
    schedule = Cooling(_HOT, _COLD, reach, _SHARE)
    met = [(placement_cost(flows, region.position[slot], board).key, slot)]
    loads: list[FloatArray] | None = None
    rounds, late = 0, False
    for number in range(_TURNS if most else 0):
        links = link_loads(flows, region.position[slot], board)
        now = [
            load.astype(np.float64) for load in (links.east, links.west, links.north, links.south)
        ]
        # Links that were busy before stay dear, or two placements would take turns.
        if loads is not None:
            now = [_FRESH * new + (1.0 - _FRESH) * old for new, old in zip(now, loads, strict=True)]
        loads = now
        prices = PricedLinks.of(loads, region.position, costs)
        found = anneal(flows, region, slot, prices, schedule, turn, seed + number)
        slot, rounds, late = found.slot, rounds + found.rounds, late or found.out_of_time
        met.append((placement_cost(flows, region.position[slot], board).key, slot))
    front = undominated(met, lambda m: (m[0][0], -m[0][1]))
    return Relieved(tuple(assignment for _, assignment in front), rounds, late)
