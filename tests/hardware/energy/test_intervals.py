"""Error bars: from the constants of a board file to every figure that they enter, and no other."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.boards.interval import ENDS, NOTHING, Interval, widest
from neurodeploy.hardware.boards.loading import load_board
from neurodeploy.hardware.boards.records import ACCOUNTS
from neurodeploy.hardware.cut.partition import partition
from neurodeploy.hardware.cut.windows import active_outside
from neurodeploy.hardware.price.activity import membranes_needed
from neurodeploy.hardware.price.estimate import estimate
from neurodeploy.hardware.price.measure import measure_traffic
from neurodeploy.hardware.price.report import EnergyReport, EstimateError
from neurodeploy.ir.bounds import prove_bounds
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.reference import run_reference
from neurodeploy.render.energy import render_energy
from neurodeploy.render.quantities import with_bar
from neurodeploy.testing import NetlistBuilder

T = 6


def network(kind: Any = "spikes", **options: Any) -> IntegerNetlist:
    rng = np.random.default_rng(3)
    weights = [rng.integers(-3, 9, shape) for shape in ((40, 16), (30, 40))]
    net = NetlistBuilder(T=T, name="two").input("x", (16,), kind=kind)
    options = {"threshold": 12, "reset": "zero"} | options
    return net.dense(weights[0], **options).dense(weights[1], **options).output()


def report_on(data: dict[str, Any], net: IntegerNetlist | None = None, **told: Any) -> EnergyReport:
    net = network() if net is None else net
    board = Board.from_dict(data)
    x = np.random.default_rng(4).integers(0, 2, (3, T, 16))
    if net.inputs[0].is_current_input:
        x = x[:, 0]
    mapping = partition(net, board)
    traffic, _ = measure_traffic(
        mapping, net, {"x": x}, lambda s: run_reference(net, s, membranes=membranes_needed(net))
    )
    return estimate(traffic, board, network="two", mapping=mapping, **told)


def loihi(chips: int = 1, neurons: int = 20) -> dict[str, Any]:
    data = load_board("loihi1").to_dict()
    data["limits"]["neurons"]["value"] = neurons
    data["grid"] |= {"chips": chips, "tiles_x": 1, "tiles_y": 2 if chips > 1 else 8}
    data["grid"]["cores_per_tile"] = 1
    data["timing"]["lockstep"] = True
    return data


def constants(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Keys of every constant that has an interval."""
    if isinstance(data, dict) and "low" in data:
        yield path
    elif isinstance(data, dict | list):
        for key, value in data.items() if isinstance(data, dict) else enumerate(data):
            yield from constants(value, (*path, key))


def at(data: Any, path: tuple[Any, ...]) -> dict[str, Any]:
    for key in path:
        data = data[key]
    found: dict[str, Any] = data
    return found


# What each constant enters, on a board of one chip and a network of injected spikes.
ENTERS = {
    "energy": {"dynamic", "share", "chip"},
    "latency": {"time", "share", "chip"},
    "timing": {"time", "share", "chip"},
    "x86": {"share", "chip"},
    "x86_code": {"share", "chip"},
    "cores": {"share", "chip"},
    "chips": {"chip"},
}
PATHS = [path for path in constants(loihi()) if path[0] != "limits"]


def figures(report: EnergyReport) -> dict[str, Interval]:
    return {"time": report.time, **report.accounts}


@pytest.mark.parametrize("path", PATHS, ids=lambda path: ".".join(map(str, path)))
def test_a_constant_widened_widens_every_figure_it_enters_and_no_other(path: Any) -> None:
    before = report_on(loihi())
    data = loihi()
    constant = at(data, path)
    constant["low"], constant["high"] = constant["low"] / 2, constant["high"] * 2 + 1e-3
    after = report_on(data)
    wider = {n for n, f in figures(after).items() if f.width > figures(before)[n].width}
    kind = path[1] if path[0] == "static_power" else path[0]
    expected = ENTERS[path[2] if kind == "events" else kind]
    used = before.events
    if kind == "events" and not used[path[1]]:
        expected = set()
    # The mapping takes five tiles or so: one entry of the table is used, and latencies matter
    # where they are those of the longer half of the busiest core.
    if path[1] == "barrier_by_tiles" or path[-1] == "latency":
        assert wider in (set(), expected)
    else:
        assert wider == expected
    likely = {n: f.likely for n, f in figures(after).items()}
    assert likely == {n: f.likely for n, f in figures(before).items()}


def test_ends_are_those_of_the_constants() -> None:
    """A board whose constants stand at one end gives that end of every figure."""
    report = report_on(loihi())
    for end in ENDS:
        moved = loihi()
        for path in PATHS:
            constant = at(moved, path)
            value = constant["value"] if end == "likely" else constant[end]
            # A constant of zero is none.
            constant |= dict.fromkeys(("value", "low", "high"), value or 1e-30)
        fixed = figures(report_on(moved))
        for name, figure in figures(report).items():
            assert fixed[name].width == pytest.approx(0.0, abs=1e-25)
            assert fixed[name].likely == pytest.approx(getattr(figure, end), rel=1e-9)


def test_accounts_hold_one_another() -> None:
    dynamic, share, chip = (report_on(loihi(), account=name) for name in ACCOUNTS)
    assert dynamic.accounts == share.accounts == chip.accounts
    assert [r.total for r in (dynamic, share, chip)] == list(share.accounts.values())
    assert dynamic.total == share.dynamic
    assert dynamic.static == NOTHING
    watts = 18e-3 + 3e-3 + share.cores * 0.44e-3
    assert share.static_j == pytest.approx(watts * share.time_s)
    assert chip.total_j - share.total_j == pytest.approx(29e-3 * share.time_s)
    assert chip.idle.likely == pytest.approx(watts + 29e-3)
    text = render_energy(chip, details=True)
    assert "energy, chip (events and the whole chip)" in text
    assert "widest term: " in text


def test_times_are_sums_of_their_terms() -> None:
    report = report_on(loihi())
    terms = report.time_by_term
    assert terms["management"] == Interval(3.4e-6, 0.0, 3.5e-6) * report.steps
    assert terms["reset of used cores"].high == pytest.approx(98e-6 * report.cores)
    assert terms["injection by the host"].likely == pytest.approx(4e-6 * report.host["host_spikes"])
    assert report.time_s == pytest.approx(sum(t.likely for t in terms.values()))
    assert report.widest_time_term in terms
    half, twice = report.time_at_cores[0.5], report.time_at_cores[2.0]
    busy, reset = terms["busiest core"].likely, terms["reset of used cores"].likely
    assert half.likely == pytest.approx(report.time_s + busy - reset / 2)
    assert twice.likely == pytest.approx(report.time_s - busy / 2 + reset)
    assert "at twice the cores" in render_energy(report)
    data = loihi()
    del data["partitioned_by"]
    assert "at twice the cores" not in render_energy(report_on(data), details=True)


def test_two_chips_have_no_upper_end() -> None:
    one, two = report_on(loihi()), report_on(loihi(chips=3))
    assert two.chips > 1
    assert not any(figure.is_open for figure in figures(one).values())
    assert all(figure.is_open for figure in figures(two).values())
    assert {"events.chip_crossings.energy", "events.chip_crossings.latency"} <= set(two.unknown)
    text = render_energy(two)
    assert "took 11 x the time" in text
    assert "energy at least " in text
    assert "energy at least " not in render_energy(one)
    assert two.to_dict()["time_per_inference_s"]["high"] is None


def test_what_the_host_writes_has_no_upper_end_on_loihi1_and_is_left_out_on_loihi2() -> None:
    written = report_on(loihi(), network("current"))
    assert written.unknown == ("timing.host_writes",)
    assert written.time.is_open
    assert written.total.is_open
    assert not written.dynamic.is_open
    data = loihi()
    data["timing"]["host_writes"] = copy.deepcopy(data["timing"]["injection"])
    assert not report_on(data, network("current")).time.is_open
    other = report_on(load_board("loihi2").to_dict(), network("current"))
    assert not other.total.is_open
    assert "left out of time and energy: input, output" in render_energy(other)


def test_powers_of_chips_in_use_and_of_all_chips() -> None:
    data = load_board("kapoho-point").to_dict()
    report = report_on(data, account="chip")
    assert report.chips == 1
    assert report.static_by_term["chips"].likely == pytest.approx(0.19 * report.time_s)
    assert report.static_by_term["idle_chips"].likely == pytest.approx(7 * 0.19 * report.time_s)
    report = report_on(data, account="share")
    assert set(report.static_by_term) == {"chips"}


def test_errors_of_counts_widen_what_rests_on_them() -> None:
    error = EstimateError(2, {"dynamic_energy": -0.1, "busiest_core": 0.2})
    exact, fast = report_on(loihi()), report_on(loihi(), estimate_error=error)
    assert fast.dynamic.likely == exact.dynamic.likely
    assert fast.dynamic.high == pytest.approx(1.1 * exact.dynamic.high)
    assert fast.dynamic.low == pytest.approx(0.9 * exact.dynamic.low)
    busy = exact.time_by_term["busiest core"]
    assert fast.time.high == pytest.approx(exact.time.high + 0.2 * busy.high)


def test_halves_that_take_turns_add_up() -> None:
    data = loihi()
    overlap = report_on(data).time_by_term["busiest core"].likely
    data["timing"]["halves"] = "add"
    assert overlap < report_on(data).time_by_term["busiest core"].likely < 2 * overlap


def test_cores_that_are_not_known_to_wait_for_each_other_in_every_step() -> None:
    locked = report_on(loihi()).time_by_term["busiest core"]
    data = loihi()
    del data["timing"]["lockstep"]
    free = report_on(data).time_by_term["busiest core"]
    assert free.low < locked.low
    assert free.likely < locked.likely
    assert free.high == locked.high
    # No less than the busiest core works.
    assert free.likely > 0.5 * locked.likely


def test_intervals() -> None:
    one = Interval(2.0, 1.0, 4.0)
    assert one + one == one * 2
    assert (one / 2).to_dict() == {"likely": 1.0, "low": 0.5, "high": 2.0}
    assert one.opened() == Interval(2.0, 1.0, math.inf)
    assert one.opened().to_dict()["high"] is None
    assert one.covers(4.0)
    assert not one.covers(4.1)
    assert widest({"a": one, "b": one.opened(), "c": Interval.exactly(9)}) == "b"
    assert widest({"c": Interval.exactly(9)}) is None


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (Interval(6.65e-3, 4.2e-3, 9e-3), "6.65 (4.2 .. 9) ms"),
        (Interval(6.65e-3, 0.0, 1.2), "6.65 (0 .. 1200) ms"),
        (Interval.exactly(1e-6), "1 us"),
        (Interval(2e-6, 1e-6, math.inf), "at least 1 us (likely 2)"),
        (Interval(0.0, 0.0, math.inf), "unknown"),
        (NOTHING, "0 s"),
        (None, "unknown"),
    ],
)
def test_bars_as_text(interval: Interval | None, text: str) -> None:
    assert with_bar(interval, "s") == text


@pytest.mark.parametrize(
    ("options", "early", "late"),
    [
        ({}, [], []),
        ({"bias": -3}, ["dense1", "dense2"], []),
        ({"bias": 6}, ["dense1", "dense2"], ["dense1"]),
        ({"initial_membrane": 12}, ["dense1", "dense2"], []),
        ({"reset": "subtract"}, [], ["dense1"]),
        ({"reset": "subtract", "threshold": 10_000}, [], []),
    ],
)
def test_neurons_that_could_active_outside_of_their_windows(
    options: dict[str, Any], early: list[str], late: list[str]
) -> None:
    net = network(**options)
    names = dict(zip(("dense1", "dense2"), [p.name for p in net.populations[1:]], strict=True))
    found = active_outside(net, prove_bounds(net))
    expected = [[names[n] for n in group] for group in (early, late)]
    assert list(found) == expected
