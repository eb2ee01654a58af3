"""Fan-in beyond a core: partial sums as bursts, exact in every step, or refused with numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from neurodeploy.errors import CapacityError, NetlistError
from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.price.estimate import estimate
from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.connectivity import Conv, SumPool, identity
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.reference import run_reference
from neurodeploy.network import Network
from neurodeploy.targets.loading import load_deployment
from neurodeploy.targets.truenorth.cores import ARRAY_FILE
from neurodeploy.targets.truenorth.deployment import TrueNorthDeployment
from neurodeploy.targets.truenorth.layers import extract
from neurodeploy.targets.truenorth.limits import CrossbarLimits
from neurodeploy.targets.truenorth.split.bursts import cut_layer, in_units, units
from neurodeploy.targets.truenorth.target import TrueNorthTarget
from neurodeploy.targets.truenorth.units import SUM
from tests.targets.truenorth.crossbar_nets import (
    chain,
    dense,
    netlist,
    neurons,
    project,
    random_netlist,
    raster,
    small_board,
    spike_input,
)
from tests.targets.truenorth.splits import LARGER, SMALL, assert_exact, compiled, layer_of, wide


def test_random_netlists_equal_the_reference() -> None:
    split = cyclic = relayed = fired = ramped = 0
    for seed in range(60):
        try:
            net = random_netlist(seed)
        except NetlistError:
            continue  # a pooling window larger than its input
        rng = np.random.default_rng(seed)
        board = small_board(axons=int(rng.integers(7, 16)), neurons=int(rng.integers(4, 24)))
        for fan_out in ("auto", "splitters"):
            options = TrueNorthTarget().complete_options({"split": "exact", "fan_out": fan_out})
            if TrueNorthTarget().check(net, board, options):
                continue
            deployment = compiled(net, board, fan_out=fan_out)
            if deployment.readout.period == 1:
                continue
            deployment = assert_exact(net, board, raster(net, 2, seed=seed), fan_out=fan_out)
            split += 1
            cyclic += bool(net.schedule.cyclic)
            relayed += bool(deployment.readout.lag.any())
            fired += int(deployment.events["spikes"].sum()) > 0
            ramped += bool((deployment.readout.mark == SUM).any())
    assert split > 15
    assert min(cyclic, relayed, fired, ramped) > 3


def test_cells_that_stand_apart_are_split_exactly() -> None:
    split = 0
    for seed in range(70):
        try:
            net = random_netlist(seed, spaced=True)
        except NetlistError:
            continue
        board = small_board(axons=8 + seed % 7, neurons=5 + seed % 17)
        if TrueNorthTarget().check(net, board, {"split": "exact", "fan_out": "auto"}):
            continue
        deployment = compiled(net, board)
        if deployment.readout.period > 1:
            assert_exact(net, board, raster(net, 2, seed=seed))
            links = [q.connectivity for q in net.projections]
            split += any(isinstance(c, Conv | SumPool) and c.window.is_spaced for c in links)
    assert split > 3


@pytest.mark.parametrize("reset", ["subtract", "zero"])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"bias": [3, -2, 0, 60, -300, 1]},
        {"initial_membrane": [0, 30, -9, 8, 9, 100]},
        {"threshold": [1, 2, 40, 9, 9, 500], "bias": -1},
    ],
    ids=["plain", "bias", "start", "threshold"],
)
def test_one_layer_in_partial_sums(reset: str, fields: dict[str, Any]) -> None:
    net = wide(reset=reset, **fields)
    deployment = assert_exact(net)
    layer = layer_of(deployment, "a")
    assert layer["partial_cores"] > 1
    assert layer["burst"] == deployment.readout.period > 1
    assert layer_of(deployment, "out")["burst"] == 0
    assert deployment.readout.mark.any()


def test_weights_of_one_sign_take_one_rail() -> None:
    net = chain(np.full((4, 50), 3), threshold=60, timesteps=6)
    deployment = assert_exact(net)
    assert set(np.unique(deployment.readout.mark)) == {0, 1}
    # In units of the common factor 3, no chunk holds more inputs than a core has axons.
    assert layer_of(deployment, "a")["burst"] <= 24


def test_sums_count_in_units_of_a_neurons_common_factor() -> None:
    weight = np.array([[3, -6, 9, 0], [1, 2, -4, 5], [0, 0, 0, 0]])
    limits = CrossbarLimits.from_board(SMALL)
    chunk = np.array([0, 0, 1, 1])
    for exponent in (0, 4):
        layer = extract(chain(weight, exponent=exponent), "a")
        unit = units(layer, limits)
        assert unit.tolist() == [3 << exponent, 1 << exponent, 1]
        cut = cut_layer(in_units(layer, unit), chunk, unit)
        assert cut.sums[0].tolist() == [[1, 2], [3, 0], [0, 0]]
        assert cut.sums[1].tolist() == [[3, 0], [5, 4], [0, 0]]
        assert (cut.burst, cut.rails.tolist()) == (5, [3, 3, 0])
        assert cut.rise.tolist() == [12 << exponent, 8 << exponent, 0]
        assert cut.fall.tolist() == [6 << exponent, 4 << exponent, 0]


def test_a_factor_beyond_the_weight_range() -> None:
    weight = np.random.default_rng(1).integers(-1, 2, (4, 40))
    net = chain(weight, exponent=9, threshold=9000, timesteps=2)
    deployment = assert_exact(net, small_board(axons=100, neurons=40))
    # 512 exceeds the values of an axon; a spike is worth its largest factor that does not.
    assert set(np.unique(np.abs(deployment.cores.weight))) >= {4, 128}


@pytest.mark.parametrize("delay", [None, 1, 3])
def test_recurrence(delay: int | None) -> None:
    rng = np.random.default_rng(3)
    net = netlist(
        [
            spike_input("in", 30),
            neurons("a", 5, threshold=20, bias=1, initial_membrane=3),
            neurons("b", 4, threshold=3),
        ],
        [
            project("in", "a", dense(rng.integers(-1, 2, (5, 30)))),
            project("a", "a", dense(rng.integers(-1, 2, (5, 5))), delay),
            project("a", "b", dense(rng.integers(-2, 4, (4, 5)))),
            project("b", "a", dense(rng.integers(-1, 2, (5, 4))), delay),
        ],
        12,
    )
    board = small_board(axons=24, neurons=24, delay_max=63)
    assert assert_exact(net, board).readout.period > 1


def test_a_cycle_longer_than_a_burst_makes_the_period_longer() -> None:
    net = netlist(
        [spike_input("in", 40), neurons("a", 2, threshold=20)],
        [
            project("in", "a", dense(np.random.default_rng(5).integers(-1, 2, (2, 40)))),
            project("a", "a", dense([[0, 1], [1, 1]])),
        ],
    )
    deployment = assert_exact(net, small_board(axons=24, neurons=12))
    # The partial sums of a step need the last spike of the step before, one tick after its burst.
    assert deployment.readout.period == layer_of(deployment, "a")["burst"] + 1


def test_a_convolution_and_a_skip_connection() -> None:
    rng = np.random.default_rng(4)
    around = Window((5, 5), (3, 3), (1, 1), ((1, 1),) * 2, (1, 1))
    point = Window((5, 5), (1, 1), (1, 1), ((0, 0),) * 2, (1, 1))
    net = netlist(
        [
            spike_input("in", 4, 5, 5),
            neurons("a", (4, 5, 5), threshold=8, bias=[1, 0, -2, 3]),
            neurons("b", (4, 5, 5), threshold=2),
            neurons("c", (4, 5, 5), threshold=3),
        ],
        [
            project("in", "a", Conv(rng.integers(-3, 4, (4, 4, 3, 3)), 4, around)),
            project("a", "b", identity((4, 5, 5))),
            project("b", "c", Conv(rng.integers(-1, 2, (4, 4, 1, 1)), 4, point)),
            project("a", "c", identity((4, 5, 5))),
            project("in", "c", Conv(np.ones((4, 4, 1, 1), dtype=np.int64), 4, point)),
        ],
        6,
    )
    deployment = assert_exact(net, small_board(axons=40, neurons=32))
    assert [layer["burst"] > 0 for layer in deployment.layers] == [True, False, False]
    used = deployment.utilization()
    assert used["core_bound"] <= used["cores"] <= 1.3 * used["core_bound"]


def test_time_is_told_in_ticks() -> None:
    net = wide()
    deployment = compiled(net)
    used = deployment.utilization()
    period, burst = used["ticks_per_step"], layer_of(deployment, "a")["burst"]
    assert period == burst
    # The inputs arrive in tick 1, "a" compares a burst later, "out" one tick after it.
    assert used["ticks_per_sample"] == (net.timesteps - 1) * period + 1 + burst + 1 + 1
    assert used["inference_s"] == pytest.approx(used["ticks_per_sample"] * 1e-3)
    whole = TrueNorthTarget().compile(Network(net), None, {"split": "exact"}).utilization()
    assert (whole["ticks_per_step"], whole["ticks_per_sample"]) == (1, net.timesteps + 2)


def test_traffic_counts_partial_sums_and_gates() -> None:
    net = chain(np.random.default_rng(0).integers(-4, 4, (6, 40)), threshold=9, timesteps=10)
    deployment = compiled(net)
    stimulus = raster(net, 3)
    expected = run_reference(net, stimulus)
    deployment.run(stimulus)
    traffic = deployment.traffic()
    partial = [core for core in traffic.cores if core.holds == "partial sums of a"]
    assert len(partial) == layer_of(deployment, "a")["partial_cores"]
    # Every partial sum is sent as so many spikes, and every spike is one packet and one synop.
    sums = partial_sums(deployment, net, stimulus["in"])
    assert sum(core.spikes for core in partial) == sum(core.packets for core in partial) - sum(
        int(deployment.events["host_in"][i])
        for i, core in enumerate(traffic.cores)
        if core in partial
    )
    assert sum(core.spikes for core in partial) == sums
    finals = [core for core in traffic.cores if core.holds == "a"]
    gates = (
        3
        * 10
        * sum(
            int(deployment.cores.crossing(i)[axon].sum())
            for i, core in enumerate(traffic.cores)
            if core.holds == "a"
            for axon in gate_axons(deployment, i)
        )
    )
    assert gates > 0
    copies = len(finals)
    assert sum(core.synops for core in finals) == sums * copies // copies + gates
    assert traffic.steps_per_sample == deployment.utilization()["ticks_per_sample"]
    report = estimate(traffic, SMALL, network="net")
    assert report.time_s == pytest.approx(deployment.utilization()["inference_s"])
    assert int(expected.spikes["a"].sum()) == sum(core.spikes for core in finals)


def gate_axons(deployment: TrueNorthDeployment, core: int) -> list[int]:
    """Axons of a core that constant lines of the host reach."""
    cores = deployment.cores
    lines = [b.first for b in cores.lines if b.kind == "constant"]
    return [
        int(cores.line_axon[k])
        for line in lines
        for k in range(int(cores.line_start[line]), int(cores.line_start[line + 1]))
        if int(cores.line_core[k]) == core
    ]


def partial_sums(deployment: TrueNorthDeployment, net: IntegerNetlist, spikes: IntArray) -> int:
    """Sum of all positive partial sums, from the inputs that each partial neuron hears."""
    cores, total = deployment.cores, 0
    block = next(b for b in cores.lines if b.kind == "raster" and b.name == "in")
    line_of = np.repeat(np.arange(cores.line_start.size - 1), np.diff(cores.line_start))
    for core, place in zip(*np.nonzero(deployment.readout.mark), strict=True):
        inputs = {
            int(line) - block.first
            for line, c, axon in zip(line_of, cores.line_core, cores.line_axon, strict=True)
            if c == core and cores.crossing(int(core))[axon, place]
        }
        weight = net.projections[0].connectivity.weight[deployment.readout.neuron[core, place]]
        heard = sorted(inputs)
        sums = spikes[..., heard] @ weight[heard] * int(deployment.readout.mark[core, place])
        total += int(np.maximum(sums, 0).sum())
    return total


def test_idle_ticks_are_passed_over_without_a_difference() -> None:
    net = wide(bias=[1, -3, 0, 2, 5, -7])
    deployment, stimulus = compiled(net), raster(net, 3)
    passed = deployment.run(stimulus)
    events = deployment.events
    # Watched membranes make every core of these populations run tick by tick.
    watched = deployment.run(stimulus, membranes=["a", "out"])
    for name, spikes in watched.spikes.items():
        np.testing.assert_array_equal(spikes, passed.spikes[name])
    for name, counts in deployment.events.items():
        np.testing.assert_array_equal(counts, events[name], name)


@pytest.mark.parametrize(
    ("array", "value"), [("weight", 1), ("threshold", 1), ("floor", -9), ("initial", 2)]
)
def test_a_changed_partial_neuron_is_found(tmp_path: Path, array: str, value: int) -> None:
    net = wide(threshold=3)
    stimulus = raster(net, 12)
    folder = tmp_path / "net"
    compiled(net).save(folder)
    expected = run_reference(net, stimulus)
    busiest = int(expected.spikes["a"].sum(axis=(0, 1)).argmax())
    deployment = load_deployment(folder)
    assert isinstance(deployment, TrueNorthDeployment)
    np.testing.assert_array_equal(deployment.run(stimulus).spikes["a"], expected.spikes["a"])
    arrays = load_file(folder / ARRAY_FILE)
    edited = arrays[array].copy()
    where = (deployment.readout.mark == 1) & (deployment.readout.neuron == busiest)
    edited[where] += np.asarray(value, dtype=edited.dtype)
    save_file({**arrays, array: edited}, folder / ARRAY_FILE)
    found = load_deployment(folder, check=False).run(stimulus)
    differs = (found.spikes["a"] != expected.spikes["a"]).any(axis=(0, 1))
    assert np.flatnonzero(differs).tolist() == [busiest]


def refusal(net: IntegerNetlist, board: Board = SMALL, **options: Any) -> str:
    with pytest.raises(CapacityError) as caught:
        compiled(net, board, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_burst_above_the_limit_is_refused() -> None:
    net = wide(200)
    burst = layer_of(compiled(net, LARGER), "a")["burst"]
    shorter = assert_exact(net, LARGER, max_ticks_per_step=burst - 1)
    assert 1 < shorter.readout.period < burst
    text = refusal(net, LARGER, max_ticks_per_step=2)
    assert "a: largest partial sum, the ticks of every step (max_ticks_per_step):" in text
    assert "against 2; quantize with fewer --weight-bits, or compile with max_ticks" in text


def test_more_partial_sums_than_axons_are_refused() -> None:
    net = chain(np.random.default_rng(0).choice([-2, -1, 1, 2], (2, 900)), threshold=9)
    assert "a: fan-in 900 in partial sums: axons of a final neuron and its gate" in refusal(net)


def test_a_board_with_three_axon_types_has_none_left_for_gates() -> None:
    text = refusal(wide(), small_board(axons=48, neurons=12, axon_types=3))
    assert "axon types 4 against 3; choose a board with more axon types" in text


def test_a_layer_too_large_for_any_split_is_refused_before_it_is_cut() -> None:
    board = small_board(axons=4, neurons=4)
    board = type(board)(**{**_fields(board), "grid": type(board.grid)(**_grid(board))})
    text = refusal(chain(np.ones((20, 40), dtype=int), threshold=9), board)
    assert "800 synapses on crossbars of 4 x 4: cores at least 50 against 4" in text


def _fields(board: Board) -> dict[str, Any]:
    return {name: getattr(board, name) for name in board.__dataclass_fields__}


def _grid(board: Board) -> dict[str, Any]:
    grid = {name: getattr(board.grid, name) for name in board.grid.__dataclass_fields__}
    return {**grid, "tiles_x": 2, "tiles_y": 2}


def test_without_the_option_the_refusal_names_it() -> None:
    with pytest.raises(CapacityError, match='or compile with split="exact"'):
        TrueNorthTarget().compile(Network(wide()), SMALL)
