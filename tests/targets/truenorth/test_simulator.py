"""The core simulator on hand-made cores: every rule of a tick, counted by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from neurodeploy.errors import DataError, ExecutionError, FileFormatError
from neurodeploy.hardware.boards.loading import load_board
from neurodeploy.network import Network
from neurodeploy.targets.truenorth.cores import HOST, NOWHERE, Cores, HostLines
from neurodeploy.targets.truenorth.simulator import CoreSimulator, components
from neurodeploy.targets.truenorth.target import TrueNorthTarget
from tests.targets.truenorth.crossbar_nets import dense, netlist, neurons, project, spike_input

AXONS, NEURONS, TYPES = 4, 3, 2


def blank(n_cores: int, ticks: int, lines: list[list[tuple[int, int]]], **changes: Any) -> Cores:
    """Cores without synapses; host line l of stimulus "in" reaches ``lines[l]``."""
    shape = (n_cores, NEURONS)
    targets = [t for line in lines for t in line]
    parts: dict[str, Any] = {
        "axon_type": np.zeros((n_cores, AXONS), np.uint8),
        "crossbar": np.zeros((n_cores, AXONS, NEURONS), np.uint8),
        "weight": np.zeros((*shape, TYPES), np.int16),
        "leak": np.zeros(shape, np.int32),
        "threshold": np.full(shape, 1, np.int32),
        "initial": np.zeros(shape, np.int32),
        "floor": np.full(shape, -20, np.int32),
        "reset": np.zeros(shape, np.uint8),
        "used": np.ones(shape, np.uint8),
        "dest_core": np.full(shape, NOWHERE, np.int32),
        "dest_axon": np.zeros(shape, np.int16),
        "dest_delay": np.ones(shape, np.uint8),
        "place": np.zeros((n_cores, 3), np.int32),
        "line_start": np.cumsum([0, *map(len, lines)]).astype(np.int64),
        "line_core": np.array([c for c, _ in targets], np.int32),
        "line_axon": np.array([a for _, a in targets], np.int16),
    }
    for name, value in changes.items():
        parts[name][...] = value
    parts["crossbar"] = np.packbits(parts["crossbar"], axis=2)
    block = HostLines("in", "raster", 0, len(lines), 0, 0, ticks)
    return Cores(AXONS, NEURONS, ticks, -20, 31, (block,), **parts)


def trains(runs: Any, core: int, neuron: int) -> list[int]:
    run = runs[core]
    return [int(s) for s in run.spikes[:, 0, run.stream[neuron]]]


def membranes(runs: Any, core: int, neuron: int) -> list[int]:
    run = runs[core]
    return [int(v) for v in run.membranes[:, 0, run.stream[neuron]]]


def one_sample(*lines: list[int]) -> dict[str, Any]:
    return {"in": np.array(lines, np.uint8).T[None]}


def test_types_leak_threshold_and_both_resets() -> None:
    crossbar = np.zeros((1, AXONS, NEURONS), np.uint8)
    crossbar[0, 0] = [1, 1, 0]
    crossbar[0, 1] = [0, 1, 1]
    weight = np.zeros((1, NEURONS, TYPES), np.int16)
    weight[0] = [[5, 0], [5, -3], [9, 2]]
    cores = blank(
        1,
        4,
        [[(0, 0)], [(0, 1)]],
        crossbar=crossbar,
        weight=weight,
        axon_type=[[0, 1, 0, 0]],
        threshold=[[4, 4, 3]],
        leak=[[0, 1, 0]],
        initial=[[0, 0, 1]],
        reset=[[0, 1, 0]],
    )
    runs, _ = CoreSimulator(cores).run(one_sample([1, 0, 1, 1], [0, 1, 1, 1]), membranes=[0])
    assert membranes(runs, 0, 0) == [1, 1, 2, 3]
    assert trains(runs, 0, 0) == [1, 0, 1, 1]
    assert membranes(runs, 0, 1) == [0, -2, 1, 0]  # 6 fires; -2; -2+5-3+1; 1+5-3+1 = 4 fires
    assert trains(runs, 0, 1) == [1, 0, 0, 1]
    assert membranes(runs, 0, 2) == [1, 0, 2, 1]
    assert trains(runs, 0, 2) == [0, 1, 0, 1]


def test_membranes_saturate_at_the_floor_and_the_ceiling() -> None:
    crossbar = np.zeros((1, AXONS, NEURONS), np.uint8)
    crossbar[0, 0] = 1
    weight = np.zeros((1, NEURONS, TYPES), np.int16)
    weight[0, :, 0] = [-15, 15, 0]
    cores = blank(1, 4, [[(0, 0)]], crossbar=crossbar, weight=weight, threshold=[[9, 100, 9]])
    runs, _ = CoreSimulator(cores).run(one_sample([1, 1, 1, 1]), membranes=[0])
    assert membranes(runs, 0, 0) == [-15, -20, -20, -20]
    assert membranes(runs, 0, 1) == [15, 30, 31, 31]


def ring() -> Cores:
    """Core 0 -> core 1 (delay 3) -> core 0 (delay 1); two neurons of core 0 share one axon."""
    crossbar = np.zeros((2, AXONS, NEURONS), np.uint8)
    crossbar[0, 0, :2] = 1  # from the host
    crossbar[0, 1, 2] = 1  # from core 1
    crossbar[1, 3, 0] = 1
    weight = np.zeros((2, NEURONS, TYPES), np.int16)
    weight[:, :, 0] = 1
    return blank(
        2,
        10,
        [[(0, 0)]],
        crossbar=crossbar,
        weight=weight,
        used=[[1, 1, 1], [1, 0, 0]],
        dest_core=[[1, 1, HOST], [0, NOWHERE, NOWHERE]],
        dest_axon=[[3, 3, 0], [1, 0, 0]],
        dest_delay=[[3, 3, 1], [1, 1, 1]],
        place=[[0, 2, 5], [0, 6, 4]],
    )


@pytest.mark.parametrize("closed", [False, True])
def test_delays_merging_and_hand_counted_events(closed: bool) -> None:
    cores = ring()
    if closed:  # the third neuron of core 0 listens to itself too
        dest_core, dest_axon = cores.dest_core.copy(), cores.dest_axon.copy()
        dest_core[0, 2], dest_axon[0, 2] = 0, 2
        cores = replace(cores, dest_core=dest_core, dest_axon=dest_axon)
    runs, events = CoreSimulator(cores).run(one_sample([1, 0, 1, 0, 0, 0, 0, 0, 0, 0]))
    assert trains(runs, 0, 0) == [1, 0, 1, 0, 0, 0, 0, 0, 0, 0]
    assert trains(runs, 1, 0) == [0, 0, 0, 1, 0, 1, 0, 0, 0, 0]  # two spikes on one axon are one
    assert trains(runs, 0, 2) == [0, 0, 0, 0, 1, 0, 1, 0, 0, 0]
    counted = {name: counts.tolist() for name, counts in events.items()}
    assert counted["host_in"] == [2, 0]
    assert counted["axon_events"] == [4, 2]  # the closed loop's axon has no synapse
    assert counted["synops"] == [2 * 2 + 2, 2]
    assert counted["spikes"] == [2 + 2 + 2, 2]
    assert counted["packets"] == ([6, 2] if closed else [4, 2])
    assert counted["hops_x"] == [4 * 4, 2 * 4]
    assert counted["hops_y"] == [4 * 1, 2 * 1]
    assert counted["chip_crossings"] == [0, 0]
    assert counted["host_out"] == ([0, 0] if closed else [2, 0])
    assert counted["updates_active"] == [6, 2]  # nothing rests on a membrane here
    assert counted["updates_inactive"] == [30 - 6, 10 - 2]


def test_hops_between_chips_and_crossings() -> None:
    cores = replace(ring(), place=np.array([[0, 2, 5], [3, 1, 4]], np.int32))
    # Chips of 8 x 6 tiles in two columns of two: chip 3 lies south-east of chip 0.
    positions = np.array([[2, 5, 0, 0], [8 + 1, 6 + 4, 1, 1]])
    stimulus = one_sample([1, 0, 1, 0, 0, 0, 0, 0, 0, 0])
    _, events = CoreSimulator(cores, positions).run(stimulus)
    counted = {name: counts.tolist() for name, counts in events.items()}
    assert counted["packets"] == [4, 2]
    assert counted["hops_x"] == [4 * 7, 2 * 7]
    assert counted["hops_y"] == [4 * 5, 2 * 5]
    assert counted["chip_crossings"] == [4 * 2, 2 * 2]
    with pytest.raises(FileFormatError, match="on several chips"):
        CoreSimulator(cores)


def test_cycles_of_cores_run_tick_by_tick() -> None:
    crossbar = np.zeros((2, AXONS, NEURONS), np.uint8)
    crossbar[0, :2, 0] = 1
    crossbar[1, 0, 0] = 1
    weight = np.ones((2, NEURONS, TYPES), np.int16)
    cores = blank(
        2,
        10,
        [[(0, 0)]],
        crossbar=crossbar,
        weight=weight,
        dest_core=[[1, -1, -1], [0, -1, -1]],
        dest_axon=[[0, 0, 0], [1, 0, 0]],
        dest_delay=[[2, 1, 1], [1, 1, 1]],
    )
    runs, _ = CoreSimulator(cores).run(one_sample([1, 0, 0, 0, 0, 0, 0, 0, 0, 0]))
    assert trains(runs, 0, 0) == [1, 0, 0, 1, 0, 0, 1, 0, 0, 1]
    assert trains(runs, 1, 0) == [0, 0, 1, 0, 0, 1, 0, 0, 1, 0]


def test_a_stimulus_that_does_not_fit() -> None:
    simulator = CoreSimulator(ring())
    with pytest.raises(DataError, match=r"the cores take \['in'\]"):
        simulator.run({"out": np.zeros((1, 10, 1), np.uint8)})
    with pytest.raises(DataError, match="expected \\(samples, steps, 1\\)"):
        simulator.run({"in": np.zeros((1, 10, 2), np.uint8)})


def test_components_of_a_core_graph() -> None:
    assert components([[], [0, 2], [1], [2]]) == [[0], [1, 2], [3]]
    assert components([[1], [2], [0], []]) == [[0, 1, 2], [3]]
    chain = [[i + 1] for i in range(3000)] + [[]]
    assert [c for (c,) in components(chain)] == list(range(3000, -1, -1))


def test_traffic_over_two_chips() -> None:
    board = load_board("truenorth")
    two = replace(board, grid=replace(board.grid, chips_y=2, tiles_x=1, tiles_y=1))
    net = netlist(
        [spike_input("in", 1), neurons("a", 1, threshold=1), neurons("b", 1, threshold=1)],
        [project("in", "a", dense([[1]])), project("a", "b", dense([[1]]))],
        4,
    )
    deployment = TrueNorthTarget().compile(Network(net), two)
    deployment.run({"in": np.ones((1, 4, 1), np.int64)})
    first, second = deployment.traffic().cores  # type: ignore[attr-defined]
    assert (first.chip, second.chip) == (0, 1)
    assert first.spikes == 4
    assert (first.hops_x, first.hops_y, first.chip_crossings) == (0, 4, 4)
    assert second.chip_crossings == 0


def test_traffic_of_a_two_layer_net_to_the_digit() -> None:
    net = netlist(
        [spike_input("in", 2), neurons("a", 2, threshold=2), neurons("b", 1, threshold=2)],
        [project("in", "a", dense([[2, 0], [2, 1]])), project("a", "b", dense([[1, 1]]))],
        4,
    )
    deployment = TrueNorthTarget().compile(Network(net))
    with pytest.raises(ExecutionError, match="call run"):
        deployment.traffic()  # type: ignore[attr-defined]
    spikes = np.zeros((2, 4, 2), np.int64)
    spikes[:, 0] = 1
    spikes[1, 2, 0] = 1
    deployment.run({"in": spikes})
    traffic = deployment.traffic()  # type: ignore[attr-defined]
    assert (traffic.samples, traffic.steps_per_sample) == (2, 4 + 2)
    first, second = traffic.cores
    # Levels 1 and 2 of neuron 1 are two types of one copy each; neuron 0 needs one of them.
    assert [first.holds, second.holds] == ["a", "b"]
    assert (first.neurons, second.neurons) == (2, 1)
    assert (first.spikes, second.spikes) == (2 + 4, 3)
    assert second.synops == 6
    assert second.packets == 0
    assert first.packets == 6 + traffic.host_spikes
    assert (first.hops_x, first.hops_y) == (0, 6)
    both = first.neuron_updates_active + first.neuron_updates_inactive
    assert both == 2 * (4 + 2) * 2


@pytest.mark.parametrize("kept", [[], [0], [1], [0, 1]])
def test_spikes_that_nobody_needs_are_let_go(kept: list[int]) -> None:
    stimulus = one_sample([1, 0, 1, 0, 0, 0, 0, 0, 0, 0])
    whole, events = CoreSimulator(ring()).run(stimulus)
    runs, same = CoreSimulator(ring()).run(stimulus, spikes=kept)
    for c in range(2):
        wanted = whole[c].spikes if c in kept else whole[c].spikes[:0]
        np.testing.assert_array_equal(runs[c].spikes, wanted)
    assert all(np.array_equal(same[name], counts) for name, counts in events.items())
