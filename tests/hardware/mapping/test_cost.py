"""Costs of placements against packets that walk one hop at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurodeploy.hardware.boards.grid import Grid
from neurodeploy.hardware.cut.flows import CoreFlows
from neurodeploy.hardware.place.annealing import Potential
from neurodeploy.hardware.place.congestion import PricedLinks
from neurodeploy.hardware.place.cost import HopCosts, link_loads, placement_cost
from tests.hardware.mapping.boards import board, grid

Tile = tuple[int, int]


def walk(start: Tile, end: Tile) -> list[tuple[Tile, Tile]]:
    """Links that a packet takes, one after the other: first along x, then along y."""
    here, links = list(start), []
    for axis in (0, 1):
        while here[axis] != end[axis]:
            before = (here[0], here[1])
            here[axis] += 1 if end[axis] > here[axis] else -1
            links.append((before, (here[0], here[1])))
    return links


def flows_of(n: int, rng: np.random.Generator, most: int = 50) -> CoreFlows:
    pairs = np.flatnonzero(rng.random(n * n) < 0.3)
    source, target = np.divmod(pairs, n)
    return CoreFlows(
        n, source, target, rng.integers(1, most, pairs.size), np.zeros(n, dtype=np.int64), False
    )


def placed(n: int, where: Grid, rng: np.random.Generator) -> np.ndarray:
    return where.positions(rng.permutation(where.n_cores)[:n])


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    chips=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    tiles=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    cores_per_tile=st.integers(1, 2),
)
def test_every_hop_border_and_link_is_counted(
    seed: int, chips: tuple[int, int], tiles: tuple[int, int], cores_per_tile: int
) -> None:
    where = grid(chips, tiles, cores_per_tile)
    rng = np.random.default_rng(seed)
    n = min(where.n_cores, 9)
    flows, positions = flows_of(n, rng), placed(n, where, rng)
    on = board(where)
    used: dict[tuple[Tile, Tile], int] = {}
    joules = 0.0
    hops = crossings = 0
    for s, t, packets in zip(flows.source, flows.target, flows.packets.tolist(), strict=True):
        here, there = tuple(positions[s].tolist()), tuple(positions[t].tolist())
        joules += 1.7e-12 * packets
        for a, b in walk(here, there):  # type: ignore[arg-type]
            used[a, b] = used.get((a, b), 0) + packets
            hops += packets
            across = any(a[i] // tiles[i] != b[i] // tiles[i] for i in (0, 1))
            crossings += packets * across
            joules += packets * ((3e-12 if a[1] == b[1] else 4e-12) + 50e-12 * across)
    cost = placement_cost(flows, positions, on)
    assert (cost.hops, cost.crossings, cost.packets) == (hops, crossings, flows.total)
    assert cost.energy == pytest.approx(joules, rel=1e-12)
    assert cost.unit == "J"
    assert cost.busiest_link == max(used.values(), default=0)
    assert cost.time_s == pytest.approx(5e-9 * cost.busiest_link, rel=1e-12)
    loads = link_loads(flows, positions, on)
    for (a, b), packets in used.items():
        along = loads.east if b[0] > a[0] else loads.west
        if a[0] == b[0]:
            along = loads.north if b[1] > a[1] else loads.south
            assert along[a[0], min(a[1], b[1])] == packets
        else:
            assert along[a[1], min(a[0], b[0])] == packets
    total = sum(int(x.sum()) for x in (loads.east, loads.west, loads.north, loads.south))
    assert total == hops


def test_priced_ways_are_sums_over_their_links() -> None:
    where, rng = grid((2, 2), (3, 2)), np.random.default_rng(4)
    on = board(where)
    positions = where.positions(np.arange(where.n_cores))
    flows = flows_of(where.n_cores, rng)
    loads = link_loads(flows, positions, on)
    each = [x.astype(float) for x in (loads.east, loads.west, loads.north, loads.south)]
    priced = PricedLinks.of(each, positions, HopCosts.of(on))
    busiest = placement_cost(flows, positions, on).busiest_link
    for a in range(where.n_cores):
        for b in range(where.n_cores):
            expected = 0.0
            for (x0, y0), (x1, y1) in walk(tuple(positions[a]), tuple(positions[b])):
                if y0 == y1:
                    load = (loads.east if x1 > x0 else loads.west)[y0, min(x0, x1)]
                else:
                    load = (loads.north if y1 > y0 else loads.south)[x0, min(y0, y1)]
                expected += 1.0 + 8.0 * (load / busiest) ** 3
            found = priced.cost(np.array([a]), np.array([b]))[0]
            assert found == pytest.approx(expected, rel=1e-12)


def test_potentials_give_the_energy_of_a_way() -> None:
    where = grid((3, 2), (2, 3))
    on = board(where)
    positions = where.positions(np.arange(where.n_cores))
    x, y = HopCosts.of(on).potentials(on)
    metric = Potential(x[positions[:, 0]], y[positions[:, 1]])
    a, b = (i.reshape(-1) for i in np.meshgrid(*[np.arange(where.n_cores)] * 2))
    way = where.hops_between(positions[a], positions[b])
    expected = way.x * 3e-12 + way.y * 4e-12 + way.crossings * 50e-12
    np.testing.assert_allclose(metric.cost(a, b), expected, rtol=1e-12, atol=1e-24)


def test_unknown_hop_energies_count_hops() -> None:
    costs = HopCosts.of(board(hops=None, crossing=None))
    assert (costs.packet, costs.x, costs.y, costs.crossing, costs.unit) == (0, 1, 1, 1, "hops")
    unknown_border = HopCosts.of(board(crossing=None))
    assert unknown_border.unit == "J"
    assert unknown_border.crossing == unknown_border.y == 4e-12
    assert unknown_border.notes == ()
    several = HopCosts.of(board(grid((2, 1)), crossing=None))
    assert several.notes == ("a chip border counts as one hop more: what it takes is unknown",)
    assert "in hops" in HopCosts.of(board(hops=None)).notes[0]


def test_unknown_energies_of_packets_are_told() -> None:
    on = board()
    events = {**on.events, "packets": replace(on.events["packets"], energy=None)}
    costs = HopCosts.of(replace(on, events=events))
    assert (costs.packet, costs.unit) == (0.0, "J")
    assert costs.notes == ("packets cost nothing but their ways: their energies are unknown",)


def test_links_of_one_known_latency_are_priced_alike() -> None:
    on = board(grid((1, 1), (3, 3)))
    events = {**on.events, "hops_y": replace(on.events["hops_y"], latency=None)}
    costs = HopCosts.of(replace(on, events=events))
    assert costs.latency_x is not None
    assert costs.latency_y is None
    loads = [np.full((3, 2), 7.0) for _ in range(4)]
    priced = PricedLinks.of(loads, on.grid.positions(np.arange(9)), costs)
    np.testing.assert_array_equal(priced.east, priced.north)
    assert priced.east[0, 1] == 9.0


def test_the_busiest_core_counts_where_it_is_known() -> None:
    rng = np.random.default_rng(0)
    flows, positions = flows_of(5, rng), placed(5, grid(), rng)
    slow = placement_cost(flows, positions, board(), np.array([0.0, 2.0, 1.0, 0.0, 0.0]))
    assert slow.time_s == 2.0
    quick = placement_cost(flows, positions, board(), np.full(5, 1e-12))
    assert quick.time_s == quick.busiest_link * 5e-9
