"""A two-layer network counted by hand, and what unknown constants do to its energy."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import numpy as np
import pytest

from neurodeploy.errors import CapacityError, UsageError
from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.boards.interval import ENDS, NOTHING, Interval
from neurodeploy.hardware.boards.loading import load_board
from neurodeploy.hardware.boards.records import ACCOUNTS, EVENTS
from neurodeploy.hardware.cut.partition import partition
from neurodeploy.hardware.price.activity import membranes_needed
from neurodeploy.hardware.price.cross_validation import cross_validate
from neurodeploy.hardware.price.estimate import estimate
from neurodeploy.hardware.price.measure import measure_activity, measure_traffic
from neurodeploy.hardware.price.operations import source_energy
from neurodeploy.hardware.price.report import EnergyReport
from neurodeploy.hardware.price.timing import step_loads
from neurodeploy.hardware.price.traffic import CoreTraffic, Traffic
from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.connectivity import Dense, Sparse
from neurodeploy.ir.netlist import (
    IntegerNetlist,
    IntegerProjection,
    Output,
    Population,
    RealNetlist,
    RealProjection,
)
from neurodeploy.ir.neurons import Input, IntegerNeuron, RealNeuron
from neurodeploy.ir.record import RunRecord, Stimulus
from neurodeploy.ir.reference import run_reference
from neurodeploy.render.energy import render_energy
from neurodeploy.render.quantities import with_prefix

ZERO = np.int64(0)
RASTER: IntArray = np.array([[[1, 0], [1, 1], [0, 0]]], dtype=np.int64)


def approx(joules: float) -> Interval:
    """An interval without a width."""
    return Interval(*(pytest.approx(joules, rel=1e-12) for _ in ENDS))


def neuron(theta: int) -> IntegerNeuron:
    return IntegerNeuron(np.int64(theta), ZERO, ZERO)


# in0 fires at t = 0, 1 and in1 at t = 1; a repeats its input; b adds both and fires at 2.
NET = IntegerNetlist(
    "two-layer",
    (
        Population("in", (2,), Input("spikes", 0, 1)),
        Population("a", (2,), neuron(1)),
        Population("b", (4,), neuron(2)),
    ),
    (
        IntegerProjection("in", "a", Dense(np.eye(2, dtype=np.int64), (2,))),
        IntegerProjection("a", "b", Dense(np.ones((4, 2), dtype=np.int64), (2,))),
    ),
    (Output("b", "counts"),),
    3,
)


def exact(value: float, unit: str) -> dict[str, Any]:
    """A constant without an error bar."""
    ends = {"low": value, "high": value}
    return {"value": value, "unit": unit, "basis": "assumed", "source": "a test"} | ends


def events_alone(board: str) -> dict[str, Any]:
    """The likely prices of a board's events, without overheads, static power and error bars."""
    data = load_board(board).events_alone().to_dict()
    for cost in data["events"].values():
        for constant in (cost.get("energy"), cost.get("latency")):
            if constant is not None:
                constant["low"] = constant["high"] = constant["value"]
    del data["neurons"]  # one compartment each, counted by hand
    return data


def board_dict(**edits: Any) -> dict[str, Any]:
    """Loihi 1 with 2 x 2 tiles of one core for two neurons each, and a barrier of 465 ns."""
    data = events_alone("loihi1")
    data["timing"] = {"barrier": exact(465, "ns"), "lockstep": True}
    data["timing"]["excludes"] = "everything else"
    data["grid"] |= {"tiles_x": 2, "tiles_y": 2, "cores_per_tile": 1}
    data["limits"]["neurons"]["value"] = 2
    return data | edits


def execute(netlist: Any) -> Any:
    def run(stimulus: Stimulus) -> RunRecord:
        return run_reference(netlist, stimulus, membranes=membranes_needed(netlist))

    return run


def report_of(data: dict[str, Any], raster: IntArray = RASTER) -> EnergyReport:
    board = Board.from_dict(data)
    mapping = partition(NET, board)
    traffic, _ = measure_traffic(mapping, NET, {"in": raster}, execute(NET))
    return estimate(traffic, board, network=NET.name, mapping=mapping)


HAND = {
    # 3 input spikes x 2 synapses on core 0; 3 spikes of a x 2 synapses on each core of b.
    "synops": 6 + 6 + 6,
    # Both of a at t = 0, 1: synapses of weight 0 are synapses, a1 has one from in0. All of
    # b at t = 0 (v = 1), 1 (fires, v = 1) and 2 (v = 1).
    "neuron_updates_active": 2 + 2 + 4 * 3,
    # 6 neurons in T + depth = 5 steps.
    "neuron_updates_inactive": 6 * 5 - 16,
    "spikes": 3 + 4,
    # 3 from the host; 3 spikes of a to two cores each.
    "packets": 3 + 6,
    # Core 0 lies at (0, 0), core 1 at (0, 1), core 2 at (1, 0).
    "hops_x": 3,
    "hops_y": 3,
    "chip_crossings": 0,
}
DYNAMIC_PJ = 18 * 23.6 + 16 * 81 + 14 * 52 + 9 * 1.7 + 3 * 3.0 + 3 * 4.0
# The neuron half of core 0 in steps 0, 1 and 2: idle and a packet of the host; both active, two
# packets of the host and two of a; both active and four packets of a. Then 2 active on cores 1, 2.
BUSY_NS = (2 * 5.3 + 2.1) + (2 * 8.4 + 4 * 2.1) + (2 * 8.4 + 4 * 2.1) + 2 * 8.4 + 2 * 8.4


def test_events_to_the_digit() -> None:
    report = report_of(board_dict())
    assert report.events == HAND
    assert [core.events["synops"] for core in report.cores_detail] == [6, 6, 6]
    assert [core.events["packets"] for core in report.cores_detail] == [9, 0, 0]
    assert report.host == {"host_spikes": 3, "host_writes": 0, "host_macs": 0}
    assert [(core.x, core.y) for core in report.cores_detail] == [(0, 0), (0, 1), (1, 0)]
    assert [core.holds for core in report.cores_detail] == ["a[0:2]", "b[0:2]", "b[2:4]"]


def test_energy_and_time_to_the_digit() -> None:
    report = report_of(board_dict())
    assert report.dynamic_j == pytest.approx(DYNAMIC_PJ * 1e-12, rel=1e-12)
    assert report.time_s == pytest.approx((BUSY_NS + 5 * 465) * 1e-9, rel=1e-12)
    assert report.energy_by_event_j["synops"] == approx(18 * 23.6e-12)
    assert "spikes" not in report.energy_by_event_j
    assert report.included_in == {"spikes": "neuron_updates_active"}
    energies = [core.energy_j for core in report.cores_detail]
    assert sum(e for e in energies if e is not None) == pytest.approx(report.dynamic_j)
    assert report.chips_detail()[0]["energy_j"] == pytest.approx(report.dynamic_j)


def test_loads_of_every_step() -> None:
    board = Board.from_dict(board_dict())
    mapping = partition(NET, board)
    loads = step_loads(mapping, NET, execute(NET)({"in": RASTER}))
    # Spikes of the input at t = 0, 1 are delivered in steps 0, 1; they make a active, and fire, in
    # steps 1, 2, and those spikes are delivered to b there. A synapse of weight 0 is one, too.
    assert loads.synops[0].T.tolist() == [[2, 4, 0, 0, 0], [0, 2, 4, 0, 0], [0, 2, 4, 0, 0]]
    # b keeps v = 1 after its window, the last two steps.
    assert loads.active[0].T.tolist() == [[0, 2, 2, 0, 0], [0, 0, 2, 2, 2], [0, 0, 2, 2, 2]]
    assert loads.packets[0].T.tolist() == [[1, 4, 4, 0, 0], [0] * 5, [0] * 5]
    assert loads.received[0].T.tolist() == [[1, 2, 0, 0, 0], [0, 1, 2, 0, 0], [0, 1, 2, 0, 0]]
    assert loads.tiles == 3


def test_a_core_is_as_slow_as_its_slower_half() -> None:
    data = board_dict()
    data["events"]["synops"]["latency"] = exact(100, "ns")
    report = report_of(data)
    busy_ns = 200 + 400 + 400 + 2 * 8.4 + 2 * 8.4
    assert report.time_s == pytest.approx((busy_ns + 5 * 465) * 1e-9, rel=1e-12)


def test_spikes_are_delivered_in_the_step_that_sends_them_whatever_their_delay() -> None:
    late = dataclasses.replace(NET.projections[1], delay=1)
    back = IntegerProjection("b", "a", Dense(np.ones((2, 4), dtype=np.int64), (4,)), 4)
    net = dataclasses.replace(NET, projections=(NET.projections[0], late, back))
    board = Board.from_dict(board_dict())
    mapping = partition(net, board)
    record = execute(net)({"in": RASTER})
    loads = step_loads(mapping, net, record)
    fired = (record.spikes["b"][0] != 0).sum(axis=1)
    assert fired.sum() > 0
    expected = np.zeros(net.n_steps, dtype=np.int64)
    for name, sent in (("in", RASTER[0].sum(1)), ("b", fired)):
        start = net.schedule.depth[name]
        expected[start : start + 3] += 2 * sent
    assert loads.synops[0, :, mapping.first["a"]].tolist() == expected.tolist()


def test_parallel_projections_share_packets_not_synops() -> None:
    one = Sparse(np.array([1]), np.array([0]), np.array([0]), (2,), (4,))
    extra = IntegerProjection("a", "b", one, 2)
    net = dataclasses.replace(NET, projections=(NET.projections[0], extra, NET.projections[1]))
    board = Board.from_dict(board_dict())
    mapping = partition(net, board)
    traffic, activity = measure_traffic(mapping, net, {"in": RASTER}, execute(net))
    # The listed synapse lies on core 1 only: a0 fires twice.
    assert activity.populations["a"].spikes.tolist() == [2, 1]
    assert [core.synops for core in traffic.cores] == [6, 6 + 2, 6]
    assert [core.packets for core in traffic.cores] == [3 + 6, 0, 0]


def test_figures_are_per_inference() -> None:
    one, three = report_of(board_dict()), report_of(board_dict(), np.repeat(RASTER, 3, axis=0))
    assert three.samples == 3
    assert three.events == one.events
    assert three.time_s == pytest.approx(one.time_s, rel=1e-12)
    assert three.dynamic_j == pytest.approx(one.dynamic_j, rel=1e-12)


def test_a_board_of_unknown_static_power_gives_a_total_without_upper_end() -> None:
    report = report_of(board_dict())
    assert report.static.is_open
    assert report.total.is_open
    assert not report.dynamic.is_open
    assert report.total.low == report.total_j == report.dynamic_j
    assert report.idle.is_open
    assert report.running_w is None
    assert report.unknown == ("static_power",)
    assert "energy at least 2.49 nJ (likely 2.49)" in render_energy(report, details=True)
    assert report.to_dict()["energy_per_inference_j"]["total"]["high"] is None


def static_power(per: str) -> dict[str, Any]:
    return {"chips": {"per": per, "power": exact(2.0, "mW")}}


@pytest.mark.parametrize(("per", "units"), [("board", 1), ("chip", 1), ("core", 3)])
def test_static_energy_is_power_times_time(per: str, units: int) -> None:
    report = report_of(board_dict(static_power=static_power(per)))
    assert report.static_j == pytest.approx(2e-3 * units * report.time_s, rel=1e-12)
    assert report.total_j == pytest.approx(report.static_j + report.dynamic_j, rel=1e-12)
    assert report.total.width == 0
    assert report.unknown == ()
    assert report.idle.likely == pytest.approx(2e-3 * units, rel=1e-12)
    assert report.running_w == pytest.approx(report.total_j / report.time_s, rel=1e-12)
    assert report.running_w > report.idle.likely
    told = report.to_dict()["power_w"]
    assert told == {"idle": report.idle.to_dict(), "running": report.running_w}
    text = render_energy(report, details=True)
    assert re.search(rf"^power idle +{2 * units} mW$", text, re.MULTILINE)
    assert "at least" not in text


def priced_crossings() -> dict[str, Any]:
    """Two chips of one column each, and a price of going from one to the other."""
    data = board_dict(static_power=static_power("chip"))
    data["grid"] |= {"chips": 2, "tiles_x": 1}
    costs = {"energy": exact(7.0, "pJ"), "latency": exact(1.0, "ns")}
    data["events"]["chip_crossings"] = costs
    return data


def test_crossings_between_chips_cost_on_top_of_hops() -> None:
    one, two = report_of(board_dict()), report_of(priced_crossings())
    assert two.chips == 2
    assert two.events == {**one.events, "chip_crossings": 3}
    assert two.energy_by_event_j["chip_crossings"] == approx(3 * 7e-12)
    assert two.dynamic_j == pytest.approx(one.dynamic_j + 3 * 7e-12, rel=1e-12)
    assert [core.events["chip_crossings"] for core in two.cores_detail] == [3, 0, 0]


@pytest.mark.parametrize("event", [e for e in EVENTS if e != "spikes"])
def test_a_deleted_energy_makes_the_total_unknown(event: str) -> None:
    data = priced_crossings()
    whole = report_of(data)
    del data["events"][event]["energy"]
    report = report_of(data)
    assert report.dynamic.is_open
    assert report.total.is_open
    assert report.unknown == (f"events.{event}.energy",)
    assert report.energy_by_event_j[event] is None
    told = whole.energy_by_event_j.items()
    rest = sum(j.likely for n, j in told if n != event and j is not None)
    assert report.total_j == pytest.approx(report.static_j + rest, rel=1e-12)
    assert report.total.low < whole.total.low
    assert "energy at least " in render_energy(report)
    as_json = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert as_json["energy_per_inference_j"]["total"]["high"] is None
    assert as_json["energy_by_event_j"][event] is None
    assert as_json["unknown"] == [f"events.{event}.energy"]


def test_a_deleted_inclusion_makes_the_total_unknown() -> None:
    data = board_dict()
    del data["events"]["spikes"]
    assert "events.spikes.energy" in report_of(data).unknown


@pytest.mark.parametrize(
    ("key", "known_ns"),
    [
        ("timing.barrier", BUSY_NS),
        ("events.synops.latency", 5 * 465),
        ("events.packets.latency", 5 * 465),
    ],
)
def test_a_deleted_time_makes_time_static_and_total_unknown(key: str, known_ns: float) -> None:
    data = board_dict(static_power=static_power("chip"))
    table = data
    *folders, last = key.split(".")
    for folder in folders:
        table = table[folder]
    del table[last]
    report = report_of(data)
    assert report.time.is_open
    assert report.static.is_open
    assert report.total.is_open
    assert report.unknown == (key,)
    # What is known of the time still draws its static power.
    assert report.time.low == pytest.approx(known_ns * 1e-9, rel=1e-12)
    assert report.total.low == pytest.approx(report.dynamic_j + 2e-3 * known_ns * 1e-9, rel=1e-12)
    assert "energy at least " in render_energy(report)


def test_static_power_of_a_board_is_paid_once_and_that_of_a_chip_for_each_in_use() -> None:
    data = priced_crossings()
    for per, units in (("board", 1), ("chip", 2), ("core", 3)):
        report = report_of(data | {"static_power": static_power(per)})
        assert report.static_j == pytest.approx(2e-3 * units * report.time_s, rel=1e-12)


def test_crossings_of_unknown_cost_make_the_total_a_bound_where_they_happen() -> None:
    data = priced_crossings()
    del data["events"]["chip_crossings"]
    report = report_of(data)
    crossings = "events.chip_crossings"
    assert report.unknown == (f"{crossings}.energy", f"{crossings}.latency")
    assert report.total.is_open
    assert report.time.is_open
    data["grid"] |= {"chips": 1, "tiles_x": 2}
    assert not report_of(data).total.is_open


# Constants of a board that tells everything apart, in pJ and ns.
FINE = {
    "synops_dense": (35.5, 3.8),
    "synops_sparse": (33.6, 4.7),
    "synops_convolution": (24.0, 3.1),
    "neuron_accesses": (51.2, 6.0),
    "neuron_updates_active": (21.6, 3.7),
    "spikes": (69.3, 30),
    "packets": (111, 5.1),
    "hops_x": (3.0, 4.1),
    "hops_y": (4.2, 6.5),
}


def test_sanafe_loihi_tells_everything_apart_to_the_digit() -> None:
    data = events_alone("sanafe-loihi")
    data["grid"] |= {"tiles_x": 2, "tiles_y": 2, "cores_per_tile": 1}
    data["limits"]["neurons"]["value"] = 2
    # The listed synapse, a0 to b0 with delay 2, adds 2 synops on core 1.
    one = Sparse(np.array([1]), np.array([0]), np.array([0]), (2,), (4,))
    extra = IntegerProjection("a", "b", one, 2)
    net = dataclasses.replace(NET, projections=(*NET.projections, extra))
    board = Board.from_dict(data)
    mapping = partition(net, board)
    traffic, activity = measure_traffic(mapping, net, {"in": RASTER}, execute(net))
    report = estimate(traffic, board, network=net.name, mapping=mapping)
    spikes = int(activity.populations["b"].spikes.sum())
    active = 4 + int(activity.populations["b"].active.sum())
    counts = {
        "synops_dense": 18,
        "synops_sparse": 2,
        "synops_convolution": 0,
        "neuron_accesses": 6 * net.n_steps,
        "neuron_updates_active": active,
        "spikes": 3 + spikes,
        "packets": 9,
        "hops_x": 3,
        "hops_y": 3,
    }
    assert {event: report.events[event] for event in counts} == counts
    assert report.events["synops"] == 20
    assert report.events["packets_received"] == 9
    expected = {event: counts[event] * FINE[event][0] * 1e-12 for event in counts}
    found = {n: j.likely for n, j in report.energy_by_event_j.items() if j is not None}
    assert found == pytest.approx({**expected, "chip_crossings": 0.0}, rel=1e-12)
    assert report.dynamic_j == pytest.approx(sum(expected.values()), rel=1e-12)
    assert report.unknown == ("static_power",)
    assert report.included_in == {
        "synops": "synops by kind",
        "neuron_updates_inactive": "neuron_accesses",
        "packets_received": "packets",
    }
    loads = step_loads(mapping, net, execute(net)({"in": RASTER}))
    busy = np.zeros(net.n_steps)
    for k in range(3):
        ns = {
            event: loads.count(event)[0, :, k] * FINE[event][1]
            for event in FINE
            if "hop" not in event
        }
        into = sum(v for e, v in ns.items() if "synops" in e) + loads.received[0, :, k] * 16
        busy = np.maximum(
            busy, np.maximum(into, sum(v for e, v in ns.items() if "synops" not in e))
        )
    # Three tiles in use: the barrier of two tiles and more.
    assert report.time_s == pytest.approx((busy.sum() + net.n_steps * 1000) * 1e-9, rel=1e-12)


def test_a_board_that_prices_synops_by_kind_needs_to_be_told_the_kind() -> None:
    with pytest.raises(UsageError, match="sanafe-loihi prices synops by kind, and 3000 of 3000"):
        estimate(crossbar_traffic(), load_board("sanafe-loihi"), network="crossbar")


def test_an_event_that_did_not_happen_needs_no_constant() -> None:
    data = board_dict(static_power=static_power("chip"))
    del data["events"]["hops_x"]["energy"]
    data["grid"] |= {"tiles_x": 1, "tiles_y": 3}
    report = report_of(data)
    assert report.events["hops_x"] == 0
    assert not report.total.is_open


def test_json_has_the_promised_keys() -> None:
    data = report_of(board_dict()).to_dict()
    assert set(data) >= {
        "board",
        "chips",
        "cores",
        "samples",
        "energy_per_inference_j",
        "time_per_inference_s",
        "events",
        "energy_by_event_j",
        "cores_detail",
        "unknown",
    }
    energy = data["energy_per_inference_j"]
    assert set(energy) >= {"static", "dynamic", "total", "account", "accounts", "widest_term"}
    assert set(energy["accounts"]) == set(ACCOUNTS)
    for told in (energy["total"], energy["dynamic"], data["time_per_inference_s"]):
        assert set(told) == set(ENDS)
    assert set(EVENTS) < set(data["events"])
    assert data["cores_detail"][0]["utilization"]["neurons"] == 1.0


def test_current_input_is_work_of_the_host() -> None:
    populations = (Population("in", (2,), Input("current", 0, 255)), *NET.populations[1:])
    net = dataclasses.replace(NET, populations=populations)
    board = Board.from_dict(board_dict())
    mapping = partition(net, board)
    pixels = np.array([[1, 0], [0, 0]])
    traffic, _ = measure_traffic(mapping, net, {"in": pixels}, execute(net))
    assert traffic.cores[0].synops == 0
    # Two biases per sample, from 2 x 2 multiply-accumulates.
    assert (traffic.host_spikes, traffic.host_writes, traffic.host_macs) == (0, 4, 8)
    # a0 fires in all three steps of the first sample, to two cores.
    assert traffic.cores[0].packets == 6
    report = estimate(traffic, board, network=net.name, mapping=mapping)
    assert "(host_macs: multiply-accumulates of the first layer, done once" in render_energy(
        report, details=True
    )
    assert "(host_macs" not in render_energy(report_of(board_dict()), details=True)


def crossbar_traffic(cores: int = 3) -> Traffic:
    parts = tuple(
        CoreTraffic(0, k, 0, f"core {k}", 256, synops=1000, neuron_updates_active=256 * 20,
                    spikes=50, packets=50, hops_x=50)
        for k in range(cores)
    )  # fmt: skip
    return Traffic(parts, samples=10, steps_per_sample=20)


def test_crossbar_cores_from_a_target() -> None:
    board = load_board("truenorth")
    report = estimate(crossbar_traffic(), board, network="crossbar")
    assert report.time_s == 20 * 1e-3
    assert report.static_j == pytest.approx(3 * 13.3e-6 * 20e-3, rel=1e-12)
    assert report.dynamic_j == pytest.approx(3 * 100 * 1.49e-12, rel=1e-12)
    assert report.total_j == pytest.approx(report.static_j + report.dynamic_j)
    assert report.unknown == ()
    # One chip: what a packet between chips costs is unknown, and not needed.
    assert report.energy_by_event_j == {"synops": report.dynamic, "chip_crossings": NOTHING}
    # A fixed tick, and the worst error of Esser's rows on both prices.
    assert report.time.width == 0
    assert report.total.high / report.total_j == pytest.approx(1.36, rel=0.01)
    assert report.included_in["neuron_updates_active"] == "static_power"


def test_a_board_that_tells_no_price_gives_counts() -> None:
    data = load_board("loihi2").to_dict()
    data["events"], data["timing"], data["static_power"] = {}, {}, {}
    board = Board.from_dict(data)
    mapping = partition(NET, board)
    traffic, _ = measure_traffic(mapping, NET, {"in": RASTER}, execute(NET))
    report = estimate(traffic, board, network="two-layer", mapping=mapping)
    assert all(figure.is_open for figure in (report.total, report.dynamic, report.time))
    assert report.total.low == report.time.low == 0.0
    assert {"static_power", "timing.management", "timing.injection"} < set(report.unknown)
    text = render_energy(report, details=True)
    assert "at least" not in text
    assert "energy unknown, time unknown per inference" in text


def test_the_dearest_cores_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    report = report_of(board_dict())
    dearest = max(report.cores_detail, key=lambda core: core.energy_j or 0.0)
    cheap = dataclasses.replace(
        dearest, core=7, holds="cheap[0:1]", energy_j=(dearest.energy_j or 0.0) / 2
    )
    busy = dataclasses.replace(cheap, events={**cheap.events, "synops": 1e6}, holds="busy[0:1]")
    monkeypatch.setattr("neurodeploy.render.energy.CORES_SHOWN", 2)
    text = render_energy(dataclasses.replace(report, cores_detail=(cheap, busy, dearest)), True)
    assert text.index(dearest.holds) < text.index("busy[0:1]")
    assert "cheap[0:1]" not in text
    assert "(1 core of less dynamic energy not shown; --json lists all)" in text
    unpriced = tuple(dataclasses.replace(core, energy_j=None) for core in (cheap, busy, dearest))
    text = render_energy(dataclasses.replace(report, cores_detail=unpriced), True)
    assert "busy[0:1]" in text
    assert "(1 core of fewer synops not shown" in text


def test_more_cores_than_the_board_has() -> None:
    data = load_board("truenorth").to_dict()
    data["grid"] |= {"tiles_x": 1, "tiles_y": 2}
    with pytest.raises(CapacityError, match="big: 3 cores exceed 2 of board truenorth"):
        estimate(crossbar_traffic(), Board.from_dict(data), network="big")


def test_source_network_by_multiply_accumulates() -> None:
    energy = source_energy({"conv": 600, "fc": 400})
    assert energy.macs == 1000
    assert energy.energy_j == pytest.approx({"mac_float32": 4.6e-9, "mac_int32": 3.2e-9})


def real_net(threshold: float) -> RealNetlist:
    def model(theta: float) -> RealNeuron:
        return RealNeuron(np.float64(theta), np.float64(0), np.float64(0))

    return RealNetlist(
        NET.name,
        (
            NET.populations[0],
            Population("a", (2,), model(1.0)),
            Population("b", (4,), model(threshold)),
        ),
        tuple(
            RealProjection(q.pre, q.post, Dense(q.connectivity.weight.astype(float), (2,)))
            for q in NET.projections
        ),
        NET.outputs,
        3,
    )


@pytest.mark.parametrize(("threshold", "difference"), [(2.0, 0.0), (1.5, -0.5), (9.0, None)])
def test_cross_validation_tells_the_difference_per_layer(
    threshold: float, difference: float | None
) -> None:
    real = real_net(threshold)
    integer_activity = measure_activity(NET, {"in": RASTER}, execute(NET))
    real_activity = measure_activity(real, {"in": RASTER}, execute(real))
    first, last = cross_validate(NET, integer_activity, real, real_activity)
    assert (first.population, first.spikes_integer, first.difference) == ("a", 3.0, 0.0)
    assert (first.synops_integer, first.synops_real) == (12.0, 12.0)
    assert (last.population, last.difference) == ("b", difference)
    board = Board.from_dict(board_dict())
    mapping = partition(NET, board)
    traffic, _ = measure_traffic(mapping, NET, {"in": RASTER}, execute(NET))
    report = estimate(
        traffic, board, network=NET.name, mapping=mapping, cross_validation=[first, last]
    )
    assert "real-valued" in render_energy(report, details=True)
    assert report.to_dict()["cross_validation"][1]["difference"] == difference


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0 J"), (6.65e-3, "6.65 mJ"), (2.46e-9, "2.46 nJ"), (1e-6, "1 uJ"), (3e-20, "3e-05 fJ")],
)
def test_quantities_carry_an_si_prefix(value: float, text: str) -> None:
    assert with_prefix(value, "J") == text
