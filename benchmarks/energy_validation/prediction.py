"""Cores, energy and time of a point, from its frozen assumptions and a board's constants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from benchmarks.energy_validation.networks import build, rates
from benchmarks.energy_validation.points import Deployment, Point
from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.boards.constant import Constant
from neurodeploy.hardware.boards.interval import Interval
from neurodeploy.hardware.boards.loading import load_board
from neurodeploy.hardware.boards.records import Account, EventCost
from neurodeploy.hardware.cut.core_map import CoreMap
from neurodeploy.hardware.cut.partition import partition
from neurodeploy.hardware.price.analytic import estimated_activity, expected_traffic
from neurodeploy.hardware.price.estimate import estimate
from neurodeploy.ir.netlist import IntegerNetlist

# Counts are whole numbers; of so many inferences together they are as fine as anyone can see.
SAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a point is predicted to take at one factor of its rates; ``energy_j`` is the share."""

    constants: str
    factor: float
    cores: int
    chips: int
    accounts: Mapping[Account, Interval]
    time: Interval
    unknown: tuple[str, ...]

    def figure(self, name: str) -> float:
        """The predicted (likely) value of a measured figure."""
        return {
            "cores": float(self.cores),
            "chips": float(self.chips),
            "energy": self.accounts["share"].likely,
            "time": self.time.likely,
        }[name]


def deployed_board(deployment: Deployment, constants: str) -> Board:
    """The chips of a deployment, with the compartments that a neuron takes.

    The points say themselves what a neuron takes, in cores and in energy: the board's own
    abilities, which tell it of other netlists, would count it twice.
    """
    board = load_board(constants)
    grid = replace(board.grid, chips_x=deployment.chips_x, chips_y=deployment.chips_y)
    neurons = board.limits["neurons"]
    held = replace(neurons, value=int(neurons.value) // deployment.compartments, basis="derived")
    return replace(
        board,
        grid=grid,
        neurons={},
        limits={**board.limits, "neurons": held},
        events=_with_resting(board, deployment.compartments - 1),
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
    return Prediction(
        constants,
        factor,
        report.cores,
        report.chips,
        report.accounts,
        report.time,
        report.unknown,
    )
