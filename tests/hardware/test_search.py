"""Placement by the activity of a run."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.boards.constant import Constant
from neurodeploy.hardware.boards.interval import Interval
from neurodeploy.hardware.boards.records import StaticPower
from neurodeploy.hardware.cut.core_map import CoreMap
from neurodeploy.hardware.cut.flows import core_flows
from neurodeploy.hardware.cut.partition import partition
from neurodeploy.hardware.place.annealing import SearchBudget
from neurodeploy.hardware.place.placement import Placement, place
from neurodeploy.hardware.price import counted_cut
from neurodeploy.hardware.price.activity import Activity, PopulationActivity
from neurodeploy.hardware.price.counted_cut import CountedCut
from neurodeploy.hardware.price.traffic import Traffic, count_traffic
from neurodeploy.hardware.search import as_placed, place_by_activity, placed_traffic
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.neurons import Input
from tests.hardware.mapping.boards import board, grid, joules
from tests.hardware.small_networks import layered

NET = layered()
BOARD = board(grid((1, 1), (12, 12)), neurons=128)
SHORT = SearchBudget(40, None)


def uneven(netlist: IntegerNetlist, seed: int = 0, samples: int = 3) -> Activity:
    """Spikes in one corner of the image, far more than elsewhere."""
    rng = np.random.default_rng(seed)
    found = {}
    for population in netlist.populations:
        spikes = rng.poisson(0.2, population.shape)
        if len(population.shape) == 3:
            height, width = population.shape[1:]
            spikes[:, : height // 3, : width // 3] += rng.poisson(
                6.0, (population.shape[0], height // 3, width // 3)
            )
        spikes = spikes.astype(np.int64)
        active = np.zeros_like(spikes) if isinstance(population.model, Input) else spikes + 1
        found[population.name] = PopulationActivity(spikes, active)
    return Activity(found, samples, netlist.timesteps)


ACTIVITY = uneven(NET)
MAPPING = partition(NET, BOARD)


def dear_packets(start: Board) -> Board:
    packets = dataclasses.replace(start.events["packets"], energy=joules(5000.0))
    return dataclasses.replace(start, events={**start.events, "packets": packets})


@functools.cache
def placed(objective: str) -> Placement:
    return place_by_activity(MAPPING, NET, ACTIVITY, objective, budget=SHORT)


def test_busy_seconds_are_written_out() -> None:
    traffic = count_traffic(MAPPING, NET, ACTIVITY)
    found = CountedCut(MAPPING, NET, ACTIVITY).core_seconds
    assert found is not None
    # Loihi 1: updates 8.4 and 5.3 ns, packets 2.1 ns, synops 3.5 ns, and the barrier.
    barrier = BOARD.barrier_at(MAPPING.tiles_in_use)
    assert barrier is not None
    barriers = barrier.si * traffic.steps_per_sample * traffic.samples
    for core, seconds in zip(traffic.cores, found, strict=True):
        sending = core.neuron_updates_active * 8.4 + core.neuron_updates_inactive * 5.3
        sending += core.packets * 2.1
        expected = max(sending, core.synops * 3.5) * 1e-9 + barriers
        assert seconds == pytest.approx(expected, rel=1e-12)


def test_unknown_latencies_leave_the_time_to_the_links() -> None:
    events = dict(BOARD.events)
    events["synops"] = dataclasses.replace(events["synops"], latency=None)
    silent = dataclasses.replace(BOARD, events=events)
    mapping = partition(NET, silent)
    assert CountedCut(mapping, NET, ACTIVITY).core_seconds is None
    placement = place_by_activity(mapping, NET, ACTIVITY, "time", budget=SHORT)
    assert placement.chosen.cost.time_s == pytest.approx(placement.chosen.cost.busiest_link * 5e-9)
    assert {c.mapping.n_cores for c in placement.candidates} == {mapping.n_cores}


def test_energy_takes_the_cut_with_fewer_packets_on_the_same_chips() -> None:
    # With packets as cheap as Loihi's they are not worth more cores.
    assert placed("energy").mapping.tilings == MAPPING.tilings
    dear = dear_packets(BOARD)
    mapping = partition(NET, dear)
    frugal = place_by_activity(mapping, NET, ACTIVITY, budget=SHORT)
    spikes = ACTIVITY.spikes()
    assert frugal.mapping.tilings != mapping.tilings
    assert frugal.chosen.cost.packets < core_flows(mapping, NET, spikes).total
    assert frugal.mapping.n_chips == mapping.n_chips
    full = dear_packets(board(grid((1, 1), (mapping.n_cores, 1)), neurons=128))
    crowded = place_by_activity(partition(NET, full), NET, ACTIVITY, budget=SHORT)
    assert crowded.mapping.n_cores == mapping.n_cores
    by_core = dataclasses.replace(
        dear, static={"cores": StaticPower(Constant(1.0, "mW", "assumed", "a test"), "core")}
    )
    paid = place_by_activity(partition(NET, by_core), NET, ACTIVITY, budget=SHORT)
    assert paid.mapping.n_cores == mapping.n_cores
    silent = board(BOARD.grid, hops=None, neurons=128)
    unknown = place_by_activity(partition(NET, silent), NET, ACTIVITY, budget=SHORT)
    assert unknown.mapping.tilings == MAPPING.tilings
    assert unknown.to_dict()["assumptions"]
    nothing = place_by_activity(MAPPING, NET, ACTIVITY, "none")
    assert nothing.mapping.cores == MAPPING.cores


def test_time_spreads_the_work_over_more_cores() -> None:
    frugal = placed("energy")
    quick = placed("time")
    assert frugal.measured
    assert quick.mapping.n_cores > MAPPING.n_cores
    assert quick.chosen.cost.key[1] < 0.7 * frugal.chosen.cost.key[1]
    busy = CountedCut(quick.mapping, NET, ACTIVITY).core_seconds
    assert busy is not None
    assert busy.max() == pytest.approx(quick.chosen.cost.time_s, rel=1e-12)
    front = placed("pareto").front
    assert len({c.mapping.n_cores for c in front}) > 1
    assert front[0].cost.energy <= frugal.chosen.cost.energy
    chosen = quick.chosen.cost.key
    for candidate in quick.candidates:
        energy, time = candidate.cost.key
        assert (energy, time) == chosen or energy > chosen[0] or time > chosen[1]


def test_every_cut_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[CoreMap] = []

    def count(mapping: CoreMap, netlist: IntegerNetlist, activity: Activity) -> Traffic:
        counted.append(mapping)
        return count_traffic(mapping, netlist, activity)

    monkeypatch.setattr(counted_cut, "count_traffic", count)
    place_by_activity(MAPPING, NET, ACTIVITY, "time", budget=SearchBudget(0, None))
    assert counted[0] is MAPPING
    assert len(counted) > 1
    assert len({id(mapping) for mapping in counted}) == len(counted)


def test_a_full_board_is_cut_no_finer() -> None:
    full = board(grid((1, 1), (MAPPING.n_cores, 1)), neurons=128)
    placement = place_by_activity(partition(NET, full), NET, ACTIVITY, "time", budget=SHORT)
    assert {c.mapping.n_cores for c in placement.candidates} == {MAPPING.n_cores}


def test_cuts_that_the_board_has_no_cores_for_are_left_out() -> None:
    # What a little more room saves in output axons is not found by every preference.
    limits = {"neurons": 128, "input_axons": 4096, "output_axons": 64}
    n_cores = partition(NET, board(grid((1, 1), (60, 60)), **limits)).n_cores
    mapping = partition(NET, board(grid((1, 1), (n_cores, 1)), **limits))
    placement = place_by_activity(mapping, NET, ACTIVITY, "time", budget=SearchBudget(0, None))
    assert {c.mapping.n_cores for c in placement.candidates} == {n_cores}


def test_events_follow_the_chosen_mapping() -> None:
    before = count_traffic(MAPPING, NET, ACTIVITY).with_busy_time(Interval.exactly(0.5))
    again: list[int] = []

    def measure(mapping: object) -> Traffic:
        again.append(1)
        return before

    spikes = ACTIVITY.spikes()
    frugal = place(MAPPING, core_flows(MAPPING, NET, spikes), "energy", budget=SHORT)
    after = placed_traffic(before, MAPPING, frugal, NET, ACTIVITY, measure)
    assert not again
    assert after.busy_s == Interval.exactly(0.5)
    was, now = before.events(), after.events()
    moved = {"hops_x", "hops_y", "chip_crossings"}
    assert {k: v for k, v in was.items() if k not in moved} == {
        k: v for k, v in now.items() if k not in moved
    }
    assert now["hops_x"] + now["hops_y"] == frugal.chosen.cost.hops
    assert now["hops_x"] + now["hops_y"] < was["hops_x"] + was["hops_y"]
    given = as_placed(frugal.mapping, NET, ACTIVITY)
    assert given.chosen.cost.energy == frugal.chosen.cost.energy
    quick = placed("time")
    assert placed_traffic(before, MAPPING, quick, NET, ACTIVITY, measure) is before
    assert again
