"""Cores, energy and time of a point, from its frozen assumptions and a board's constants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from benchmarks.energy_validation.networks import build, rates
from benchmarks.energy_validation.points import Deployment, Point
from neurodeploy.hardware.boards.board import Board, EventCost, StaticPower, load_board
from neurodeploy.hardware.boards.constant import Constant
from neurodeploy.hardware.cut.core_map import CoreMap
from neurodeploy.hardware.cut.partition import partition
from neurodeploy.hardware.price.analytic import estimated_activity, expected_traffic
from neurodeploy.hardware.price.estimate import estimate
from neurodeploy.hardware.price.report import EnergyReport
from neurodeploy.ir.netlist import IntegerNetlist

# Counts are whole numbers; of so many inferences together they are as fine as anyone can see.
SAMPLES = 1000

NEURON_EVENTS = ("neuron_accesses", "neuron_updates_active", "neuron_updates_inactive")


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a point is predicted to take at one factor of its rates.

    ``dynamic_j`` is told apart by kind of event; ``overhead_j`` is the alternative of points.toml
    over the predicted time, and not part of ``energy_j``. Where events are ``unpriced`` (counts by
    event), ``energy_j`` is what is known: at least.
    """

    constants: str
    factor: float
    cores: int
    chips: int
    steps: int
    time_s: float
    barrier_s: float
    static_w: float
    static_j: float
    dynamic_j: Mapping[str, float]
    overhead_j: float
    hops_per_packet: float
    unpriced: Mapping[str, float]

    @property
    def energy_j(self) -> float:
        return self.static_j + sum(self.dynamic_j.values())

    def figure(self, name: str) -> float:
        """The predicted value of a measured figure."""
        return {
            "cores": float(self.cores),
            "chips": float(self.chips),
            "energy": self.energy_j,
            "time": self.time_s,
        }[name]


def deployed_board(deployment: Deployment, constants: str) -> Board:
    """The chips of a deployment, with the compartments that a neuron takes and static power.

    The points say themselves what a neuron takes, in cores and in energy: the board's own
    abilities, which tell it of other netlists, would count it twice.
    """
    board = load_board(constants)
    grid = replace(board.grid, chips_x=deployment.chips_x, chips_y=deployment.chips_y)
    neurons = board.limits["neurons"]
    held = replace(neurons, value=int(neurons.value) // deployment.compartments, basis="derived")
    static = deployment.static
    return replace(
        board,
        grid=grid,
        neurons={},
        limits={**board.limits, "neurons": held},
        events=_with_resting(board, deployment.compartments - 1),
        static={"chips": StaticPower(Constant(static.power_w, "W", "measured", static.source))},
        overheads={},
        excludes="all but events and the barrier",
    )


def _with_resting(board: Board, further: int) -> dict[str, EventCost]:
    """Costs of neurons that take ``further`` compartments, which rest in every step."""
    priced = dict(board.events)
    if "neuron_accesses" in priced:
        resting, updated = priced["neuron_accesses"], ["neuron_accesses"]
    else:
        resting = priced["neuron_updates_inactive"]
        updated = ["neuron_updates_active", "neuron_updates_inactive"]
    for event in updated:
        cost = priced[event]
        priced[event] = replace(
            cost,
            energy=_added(cost.energy, resting.energy, further),
            latency=_added(cost.latency, resting.latency, further),
        )
    return priced


def _added(cost: Constant | None, resting: Constant | None, times: int) -> Constant:
    assert cost is not None  # both boards price their neurons
    assert resting is not None
    assert cost.unit == resting.unit
    ends = {
        name: getattr(cost, name) + times * getattr(resting, name)
        for name in ("value", "low", "high")
    }
    return replace(cost, **ends, basis="derived")


def predict(point: Point, constants: str, factors: tuple[float, ...]) -> list[Prediction]:
    """Predictions of a point at every factor of its rates, on one mapping."""
    board = deployed_board(point.board, constants)
    netlist = build(point)
    mapping = partition(netlist, board)
    return [_predict(point, netlist, mapping, constants, factor) for factor in factors]


def _predict(
    point: Point, netlist: IntegerNetlist, mapping: CoreMap, constants: str, factor: float
) -> Prediction:
    activity = estimated_activity(netlist, rates(point, netlist, factor), SAMPLES)
    report = estimate(
        expected_traffic(mapping, netlist, activity),
        mapping.board,
        network=point.name,
        mapping=mapping,
    )
    barrier = mapping.board.barrier_at(len({(c.chip, c.x, c.y) for c in mapping.cores}))
    assert barrier is not None
    hops = report.events["hops_x"] + report.events["hops_y"]
    alternative = point.board.alternative
    units = report.chips if alternative.per == "chip" else 1
    return Prediction(
        constants,
        factor,
        report.cores,
        report.chips,
        report.steps,
        report.time_s,
        barrier.si * report.steps,
        point.board.static.power_w * report.chips,
        report.static_j,
        _by_kind(report),
        alternative.power_w * units * report.time_s,
        hops / report.events["packets"],
        _unpriced(report),
    )


def _by_kind(report: EnergyReport) -> dict[str, float]:
    found = {"neurons": 0.0, "synops": 0.0, "messages": 0.0}
    for event, energy in report.energy_by_event_j.items():
        if energy is None:
            continue
        if event in NEURON_EVENTS:
            found["neurons"] += energy.likely
        elif event.startswith("synops"):
            found["synops"] += energy.likely
        else:
            found["messages"] += energy.likely
    return found


def _unpriced(report: EnergyReport) -> dict[str, float]:
    return {e: report.events[e] for e, cost in report.energy_by_event_j.items() if cost is None}
