from __future__ import annotations

import dataclasses
import itertools
import json
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurodeploy.errors import UnknownNameError
from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.cut.core_map import CoreMap
from neurodeploy.hardware.cut.flows import CoreFlows, core_flows
from neurodeploy.hardware.cut.partition import partition
from neurodeploy.hardware.place import annealing
from neurodeploy.hardware.place.annealing import Cooling, Metric, Potential, SearchBudget, anneal
from neurodeploy.hardware.place.congestion import PricedLinks
from neurodeploy.hardware.place.cost import HopCosts, link_loads, placement_cost
from neurodeploy.hardware.place.layouts import bisected, patch_positions
from neurodeploy.hardware.place.placement import (
    INDEX_ORDER,
    LEAST_ENERGY,
    LEAST_TIME,
    SPATIAL_TILES,
    Placement,
    choose,
    pareto_front,
    place,
)
from neurodeploy.hardware.place.region import near_square
from tests.hardware.mapping.boards import board, grid
from tests.hardware.mapping.test_cost import flows_of
from tests.hardware.small_networks import layered

NET = layered()
SHORT = SearchBudget(rounds=150, seconds=None)


def mapped(on: Board, neurons: int = 64) -> tuple[CoreMap, CoreFlows]:
    limit = dataclasses.replace(on.limits["neurons"], value=neurons)
    mapping = partition(NET, dataclasses.replace(on, limits={**on.limits, "neurons": limit}))
    return mapping, core_flows(mapping, NET)


def expect_legal(mapping: CoreMap) -> None:
    where = mapping.board.grid
    tiles = Counter((core.chip, core.x, core.y) for core in mapping.cores)
    assert max(tiles.values()) <= where.cores_per_tile
    for chip, x, y in tiles:
        assert 0 <= chip < where.chips
        assert 0 <= x < where.tiles_x
        assert 0 <= y < where.tiles_y
    for name, tiling in mapping.tilings.items():
        seen = np.zeros(tiling.shape, dtype=int)
        for k in mapping.cores_of(name):
            (part,) = mapping.cores[k].slices
            assert part.population == name
            seen[tuple(slice(a, b) for a, b in part.ranges)] += 1
        assert (seen == 1).all()
    for core in mapping.cores:
        for resource, used in core.usage().items():
            limit = mapping.board.limit(resource)
            assert limit is None or used <= limit


GRIDS = [
    grid((1, 1), (12, 12)),
    grid((1, 1), (8, 4), 4),
    grid((3, 2), (3, 3), 2),
    grid((4, 4), (2, 2), 3),
]


@pytest.mark.parametrize("where", GRIDS, ids=str)
@pytest.mark.parametrize("objective", ["energy", "time", "pareto", "none"])
def test_placements_are_legal_deterministic_and_never_worse(where, objective: str) -> None:
    mapping, flows = mapped(board(where))
    first = place(mapping, flows, objective, budget=SHORT, seed=3)
    again = place(mapping, flows, objective, budget=SHORT, seed=3)
    assert first.to_dict() == again.to_dict()
    assert first.mapping.to_dict() == again.mapping.to_dict()
    for candidate in first.candidates:
        expect_legal(candidate.mapping)
        positions = candidate.mapping.positions()
        assert placement_cost(flows, positions, mapping.board) == candidate.cost
        assert candidate.mapping.n_chips == -(-mapping.n_cores // where.cores_per_chip)
        energy, time = candidate.cost.key
        chosen = first.chosen.cost.key
        assert chosen[0] <= energy or chosen[1] <= time
        assert (energy, time) == chosen or energy > chosen[0] or time > chosen[1]
    json.dumps(first.to_dict(), allow_nan=False)


def test_each_objective_gets_the_best_of_its_own() -> None:
    mapping, flows = mapped(board(grid((2, 2), (4, 4))))
    by_energy = place(mapping, flows, "energy", budget=SHORT)
    by_time = place(mapping, flows, "time", budget=SHORT)
    front = place(mapping, flows, "pareto", budget=SHORT).front
    assert by_energy.chosen.cost.energy == min(c.cost.energy for c in by_energy.candidates)
    assert by_time.chosen.cost.time_s == min(c.cost.key[1] for c in by_time.candidates)
    assert by_time.chosen.cost.time_s <= by_energy.chosen.cost.key[1]  # type: ignore[operator]
    for a, b in itertools.pairwise(front):
        assert a.cost.energy < b.cost.energy
        assert a.cost.key[1] > b.cost.key[1]
    names = {c.name for c in by_energy.candidates}
    assert {INDEX_ORDER, SPATIAL_TILES, LEAST_ENERGY} <= names
    assert LEAST_TIME not in names
    assert place(mapping, flows, "none").mapping.cores == mapping.cores


def test_swaps_better_what_they_start_from() -> None:
    mapping, flows = mapped(board(grid((1, 1), (12, 12))), neurons=32)
    placement = place(mapping, flows, budget=SearchBudget(600, None))
    cost = {c.name: c.cost for c in placement.candidates}
    assert cost[LEAST_ENERGY].energy < 0.9 * cost[SPATIAL_TILES].energy
    assert cost[SPATIAL_TILES].energy < 0.9 * cost[INDEX_ORDER].energy
    assert placement.chosen.rounds == 600
    assert star_bound(flows) <= cost[LEAST_ENERGY].hops_per_packet


def star_bound(flows: CoreFlows) -> float:
    """Hops per packet if every core could have its partners nearest to it."""
    total = 0.0
    for core in range(flows.n_cores):
        weights = np.zeros(flows.n_cores)
        for a, b in ((flows.source, flows.target), (flows.target, flows.source)):
            np.add.at(weights, b[a == core], flows.packets[a == core])
        weights[core] = 0
        heavy = np.sort(weights[weights > 0])[::-1]
        rings = np.repeat(np.arange(1, 60), 4 * np.arange(1, 60))[: heavy.size]
        total += float(heavy @ rings) / 2
    return total / flows.total


def test_dear_borders_are_crossed_less() -> None:
    where = grid((2, 2), (6, 6))
    cheap, flows = mapped(board(where, crossing=0.001), neurons=32)
    dear, _ = mapped(board(where, crossing=500.0), neurons=32)
    budget = SearchBudget(800, None)
    crossings = [place(m, flows, budget=budget).chosen.cost.crossings for m in (cheap, dear)]
    assert crossings[1] < crossings[0]


def test_a_limit_of_time_that_binds_is_told() -> None:
    mapping, flows = mapped(board(grid((1, 1), (12, 12))))
    hurried = place(mapping, flows, budget=SearchBudget(10**9, 0.05)).chosen
    assert hurried.out_of_time
    assert hurried.to_dict()["out_of_time"] is True
    assert hurried.rounds < 10**9
    expect_legal(hurried.mapping)
    assert not place(mapping, flows, budget=SHORT).chosen.out_of_time


def test_the_busiest_core_hides_the_links() -> None:
    mapping, flows = mapped(board())
    busy = np.zeros(mapping.n_cores)
    busy[3] = 1.0
    placement = place(mapping, flows, "time", budget=SHORT, core_seconds=busy)
    # All take the same time: the one of least energy among them.
    assert {c.cost.time_s for c in placement.candidates} == {1.0}
    assert placement.chosen.cost.energy == min(c.cost.energy for c in placement.candidates)


def test_an_unknown_objective_names_those_that_exist() -> None:
    mapping, flows = mapped(board())
    with pytest.raises(UnknownNameError, match="unknown objective 'speed'; known: energy, none, "):
        place(mapping, flows, "speed")


def test_the_front_drops_what_is_worse_in_both() -> None:
    mapping, flows = mapped(board())
    one = place(mapping, flows, "none").chosen

    def at(energy: float, time: float):
        cost = dataclasses.replace(one.cost, energy=energy, time_s=time)
        return dataclasses.replace(one, cost=cost, name=f"{energy} {time}")

    given_points = [at(3, 1), at(1, 3), at(2, 2), at(2, 3), at(1, 4), at(3, 1)]
    assert [c.name for c in pareto_front(given_points)] == ["1 3", "2 2", "3 1"]


def test_one_core_and_no_packets_are_placed() -> None:
    tiny = layered(4, (2,), 3)
    mapping = partition(tiny, board())
    placement = place(mapping, core_flows(mapping, tiny), "pareto", budget=SHORT)
    assert placement.chosen.cost.hops == placement.chosen.cost.packets == placement.chosen.cost.hops
    alone = layered(4, (), 3)
    single = partition(alone, board())
    placed: Placement = place(single, core_flows(single, alone), "pareto", budget=SHORT)
    assert placed.mapping.n_cores == 1
    assert placed.chosen.cost.hops_per_packet == 0.0


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), priced=st.booleans())
def test_the_change_of_a_swap_is_exact(seed: int, priced: bool) -> None:
    rng = np.random.default_rng(seed)
    on = board(grid((2, 2), (3, 2), 2))
    n = 30
    region, flows = near_square(on.grid, n), flows_of(n, rng)
    slot = rng.permutation(n)
    metric: Metric
    if priced:
        loads = link_loads(flows, region.position[slot], on)
        each = [x.astype(float) for x in (loads.east, loads.west, loads.north, loads.south)]
        metric = PricedLinks.of(each, region.position, HopCosts.of(on))
    else:
        x, y = HopCosts.of(on).potentials(on)
        metric = Potential(x[region.position[:, 0]], y[region.position[:, 1]])

    def total(assigned: np.ndarray) -> float:
        way = metric.cost(assigned[flows.source], assigned[flows.target])
        return math.fsum(flows.packets * way)

    graph = annealing._Graph(flows, metric.symmetric)
    a, b = rng.choice(n, size=(2, 5), replace=False)
    changes = annealing._change(graph, metric, slot, a, b)
    for i in range(5):
        swapped = slot.copy()
        swapped[[a[i], b[i]]] = slot[[b[i], a[i]]]
        expected = total(swapped) - total(slot)
        assert changes[i] == pytest.approx(expected, rel=1e-9, abs=1e-9 * abs(total(slot)))


def test_annealing_keeps_an_assignment_and_its_own_best() -> None:
    rng = np.random.default_rng(1)
    on = board(grid((2, 2), (3, 2), 2))
    region, flows = near_square(on.grid, 40), flows_of(40, rng)
    x, y = HopCosts.of(on).potentials(on)
    metric = Potential(x[region.position[:, 0]], y[region.position[:, 1]])
    start = rng.permutation(40)
    before = start.copy()
    schedule = Cooling(hot=5.0, cold=0.01, reach=4.0, share=0.5)
    found = anneal(flows, region, start, metric, schedule, SearchBudget(500, None), 0)
    np.testing.assert_array_equal(start, before)
    assert sorted(found.slot) == list(range(40))

    def total(assigned: np.ndarray) -> float:
        return float(flows.packets @ metric.cost(assigned[flows.source], assigned[flows.target]))

    assert found.cost == pytest.approx(total(found.slot), rel=1e-9)
    assert found.cost < 0.8 * total(start)
    other = anneal(flows, region, start, metric, schedule, SearchBudget(500, None), 1)
    assert other.slot.tolist() != found.slot.tolist()
    assert anneal(flows, region, start, metric, schedule, SearchBudget(0, None), 0).rounds == 0


def test_objectives_choose_by_their_own_figure() -> None:
    mapping, flows = mapped(board())
    one = place(mapping, flows, "none").chosen

    def at(name: str, energy: float, time: float | None):
        cost = dataclasses.replace(one.cost, energy=energy, time_s=time, busiest_link=int(energy))
        return dataclasses.replace(one, cost=cost, name=name)

    candidates = [at("first", 5, 5), at("quick", 4, 1), at("frugal", 1, 4), at("slow", 1, 6)]
    chosen = {o: choose(candidates, o).chosen.name for o in ("energy", "time", "pareto", "none")}
    assert chosen == {"energy": "frugal", "time": "quick", "pareto": "frugal", "none": "first"}
    # Without times, packets over the busiest link stand for them.
    untimed = [at("first", 5, None), at("quick", 2, None)]
    assert choose(untimed, "time").chosen.name == "quick"


@pytest.mark.parametrize("where", GRIDS, ids=str)
def test_cores_with_the_coordinates_of_slots_are_laid_on_them(where) -> None:
    on = board(where)
    region = near_square(where, where.n_cores)
    potentials = HopCosts.of(on).potentials(on)
    wanted = region.position / region.position.max()
    slot = bisected(region, wanted, potentials)
    assert sorted(slot) == list(range(region.n_slots))
    np.testing.assert_array_equal(region.position[slot], region.position)


def test_patches_have_their_places_and_dense_layers_lie_amid_theirs() -> None:
    mapping, flows = mapped(board(grid((1, 1), (12, 12))))
    place_of = patch_positions(mapping, flows)
    assert (place_of > 0).all()
    assert (place_of < 1).all()
    for k in mapping.cores_of("c0"):
        (_, rows, columns) = mapping.cores[k].slices[0].ranges
        assert place_of[k].tolist() == [sum(columns) / 32, sum(rows) / 32]
    (out,) = mapping.cores_of("out")
    assert place_of[out] == pytest.approx([0.5, 0.5], abs=0.05)
