"""Cost of a placement: energy of the mesh, and time of the busiest core or link.

Energy, over all pairs of cores::

    E = sum of packets * (e_packet + hops_x * e_x + hops_y * e_y + crossings * e_crossing)

in joules where the board gives the energies of hops; else in hops, with packets themselves free.
Where a board does not tell what crossing a chip border takes, it counts as one hop more. Time, over
the same packets, the larger of what is known::

    t = max(busiest core, packets over the busiest link * latency of a hop)

Routing is dimension-ordered: along x in the row of the source, then along y in the column of the
target. A link carries packets in one direction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.cut.flows import CoreFlows
from neurodeploy.ir.arrays import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class HopCosts:
    """Costs of hops on a board.

    Parameters
    ----------
    packet, x, y, crossing : float
        In ``unit``.
    unit : {"J", "hops"}
    latency_x, latency_y : float or None
        Seconds that a link is taken by one packet; None: unknown.
    notes : tuple of str
        What was assumed for what the board does not tell.
    """

    packet: float
    x: float
    y: float
    crossing: float
    unit: str
    latency_x: float | None
    latency_y: float | None
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, board: Board) -> HopCosts:
        """Costs of a board."""
        x, y, crossing = (board.energy(e) for e in ("hops_x", "hops_y", "chip_crossings"))
        known = x is not None and y is not None and x + y > 0
        slow_x, slow_y = (board.latency(e) or None for e in ("hops_x", "hops_y"))
        border: tuple[str, ...] = ()
        if board.grid.chips > 1 and (crossing is None or not known):
            border = ("a chip border counts as one hop more: what it takes is unknown",)
        if not known:
            notes = ("ways counted in hops: their energies are unknown", *border)
            return cls(0.0, 1.0, 1.0, 1.0, "hops", slow_x, slow_y, notes)
        assert x is not None
        assert y is not None
        priced = [board.energy(e) for e in ("packets", "packets_received")]
        free: tuple[str, ...] = ()
        if None in priced:
            free = ("packets cost nothing but their ways: their energies are unknown",)
        packet = sum(energy or 0.0 for energy in priced)
        over = max(x, y) if crossing is None else crossing
        return cls(packet, x, y, over, "J", slow_x, slow_y, (*border, *free))

    def potentials(self, board: Board) -> tuple[FloatArray, FloatArray]:
        """Cost of the way from column 0 to each column, from row 0 to each row.

        The cost between two tiles is the sum of the differences of their potentials.
        """
        grid = board.grid
        column, row = np.arange(grid.width), np.arange(grid.height)
        return (
            column * self.x + column // grid.tiles_x * self.crossing,
            row * self.y + row // grid.tiles_y * self.crossing,
        )


@dataclass(frozen=True, slots=True)
class PlacementCost:
    """Figures of one placement.

    Parameters
    ----------
    energy : float
        Of packets between cores, in ``unit``.
    unit : {"J", "hops"}
    time_s : float or None
        Busiest core or link, over all steps counted; one of them where the other is unknown, None
        where both are.
    packets, hops, crossings : int
    busiest_link : int
        Packets over it.
    """

    energy: float
    unit: str
    time_s: float | None
    packets: int
    hops: int
    crossings: int
    busiest_link: int

    @property
    def hops_per_packet(self) -> float:
        """Mean way of a packet between cores; 0 without packets."""
        return self.hops / self.packets if self.packets else 0.0

    @property
    def key(self) -> tuple[float, float]:
        """Energy and time; where no time is known, packets over the busiest link."""
        return self.energy, self.busiest_link if self.time_s is None else self.time_s


@dataclass(frozen=True, slots=True, eq=False)
class LinkLoads:
    """Packets over every link of the joint grid.

    Parameters
    ----------
    east, west : int64 ``[height, width - 1]``
        ``[y, x]``: from (x, y) to (x + 1, y), and back.
    north, south : int64 ``[width, height - 1]``
        ``[x, y]``: from (x, y) to (x, y + 1), and back.
    """

    east: IntArray
    west: IntArray
    north: IntArray
    south: IntArray

    @property
    def busiest_x(self) -> int:
        """Packets over the busiest link along x."""
        return max(int(loads.max(initial=0)) for loads in (self.east, self.west))

    @property
    def busiest_y(self) -> int:
        """Packets over the busiest link along y."""
        return max(int(loads.max(initial=0)) for loads in (self.north, self.south))


def link_loads(flows: CoreFlows, positions: IntArray, board: Board) -> LinkLoads:
    """Packets over every link; ``positions``: joint coordinates of every core."""
    grid = board.grid
    here, there = positions[flows.source], positions[flows.target]
    along_x = here[:, 1], here[:, 0], there[:, 0], grid.height, grid.width
    along_y = there[:, 0], here[:, 1], there[:, 1], grid.width, grid.height
    return LinkLoads(
        _line_loads(flows.packets, *along_x, up=True),
        _line_loads(flows.packets, *along_x, up=False),
        _line_loads(flows.packets, *along_y, up=True),
        _line_loads(flows.packets, *along_y, up=False),
    )


def _line_loads(
    packets: IntArray,
    line: IntArray,
    start: IntArray,
    stop: IntArray,
    n_lines: int,
    length: int,
    *,
    up: bool,
) -> IntArray:
    """Loads ``[n_lines, length - 1]`` of the links along lines, in one direction."""
    chosen = start < stop if up else start > stop
    low, high = np.minimum(start, stop)[chosen], np.maximum(start, stop)[chosen]
    change = np.zeros((n_lines, length), dtype=np.int64)
    np.add.at(change, (line[chosen], low), packets[chosen])
    np.add.at(change, (line[chosen], high), -packets[chosen])
    loads: IntArray = change.cumsum(axis=1)[:, :-1]
    return loads


def placement_cost(
    flows: CoreFlows,
    positions: IntArray,
    board: Board,
    core_seconds: FloatArray | None = None,
) -> PlacementCost:
    """Energy and time of a placement.

    Parameters
    ----------
    flows : CoreFlows
    positions : int64 ``[n_cores, 2]``
        Joint coordinates of every core's tile.
    board : Board
    core_seconds : float ``[n_cores]``, optional
        Working time of every core over the same run.
    """
    costs = HopCosts.of(board)
    way = board.grid.hops_between(positions[flows.source], positions[flows.target])
    x, y, crossings = (int(flows.packets @ hops) for hops in way)
    loads = link_loads(flows, positions, board)
    times = [] if core_seconds is None else [float(core_seconds.max(initial=0.0))]
    if costs.latency_x is not None and costs.latency_y is not None:
        times += [loads.busiest_x * costs.latency_x, loads.busiest_y * costs.latency_y]
    return PlacementCost(
        flows.total * costs.packet + x * costs.x + y * costs.y + crossings * costs.crossing,
        costs.unit,
        max(times, default=None),
        flows.total,
        x + y,
        crossings,
        max(loads.busiest_x, loads.busiest_y),
    )
