"""Gates, bias axons and rails by themselves: what they add up to, and the limits they keep."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from neurodeploy.ir.bounds import prove_bounds
from neurodeploy.targets.truenorth.prelude import MAX_BIAS_COPIES, _bias_axons, _quiet_leaks
from neurodeploy.targets.truenorth.split.bursts import pack_finals
from neurodeploy.targets.truenorth.split.gates import (
    bias_by_leak,
    excess,
    in_ranges,
    least_gate,
    solve_gate,
)
from neurodeploy.targets.truenorth.split.rails import (
    Sums,
    _candidates,
    _psi,
    axons_per_rail,
    expected_error,
)
from neurodeploy.targets.truenorth.target import TrueNorthTarget
from tests.targets.truenorth.crossbar_nets import LIMITS, chain


@pytest.mark.parametrize(("n", "period"), [(1, 5), (2, 5), (3, 4), (4, 9), (8, 7), (7, 1)])
def test_leaks_and_axons_add_up_to_any_bias(n: int, period: int) -> None:
    bias = np.arange(-40, 41)
    leak, more = bias_by_leak(bias, n, period)
    np.testing.assert_array_equal(n * more + period * leak, bias)
    assert ((leak > -n) & (leak <= 0)).all()


@pytest.mark.parametrize(
    ("name", "at", "by"),
    [
        ("leak", LIMITS.leak_min, -1),
        ("initial", LIMITS.initial_min, -1),
        ("initial", LIMITS.initial_max, 1),
        ("held", LIMITS.membrane_floor, -1),
    ],
)
def test_ranges_hold_at_their_ends(name: str, at: int, by: int) -> None:
    zero = np.zeros(2, int)
    for beyond in (0, by):
        given = {"leak": zero, "initial": zero, "held": zero, name: np.array([0, at + beyond])}
        assert in_ranges(**given, limits=LIMITS) is (beyond == 0)


def test_the_first_membrane_counts_among_the_lowest() -> None:
    low = replace(LIMITS, membrane_floor=-5, initial_min=-9)
    zero = np.zeros(1, int)
    assert in_ranges(zero, zero - 5, zero, low)
    assert not in_ranges(zero, zero - 6, zero, low)


def population(**fields: Any) -> Any:
    net = chain([[3, -2]], timesteps=4, **fields)
    return net.by_name["a"], prove_bounds(net)["a"]


@pytest.mark.parametrize(
    ("fields", "rise", "most"),
    [
        # theta - 1 is left at most, and what arrives lifts it: a gate takes so much.
        ({"threshold": 9, "reset": "zero"}, 0, 0),
        ({"threshold": 9, "reset": "zero"}, 5, 5),
        ({"threshold": 9, "reset": "zero", "initial_membrane": 20}, 0, 12),
        ({"threshold": 1}, 2, 2 + 8),
    ],
)
def test_what_a_gate_takes_from_a_membrane(fields: dict[str, Any], rise: int, most: int) -> None:
    cells, bounds = population(**fields)
    assert excess(cells, bounds, np.array([rise])).tolist() == [most]


def test_the_least_of_a_gate() -> None:
    none = np.array([0])
    assert least_gate(*population(threshold=9, reset="zero"), none, LIMITS) == (0, 0)
    assert least_gate(*population(threshold=9, reset="zero", bias=1), none, LIMITS) == (1, 1)
    for rise, copies in ((255, 1), (256, 2), (510, 2), (511, 3)):
        gate = least_gate(*population(threshold=9, reset="zero"), np.array([rise]), LIMITS)
        assert gate == (2, copies)


@pytest.mark.parametrize("bias", [0, 1, -3, 40])
@pytest.mark.parametrize("rise", [0, 7, 300, 900])
@pytest.mark.parametrize("period", [2, 5, 12])
def test_gates_add_the_bias_and_keep_quiet(bias: int, rise: int, period: int) -> None:
    cells, bounds = population(threshold=50, bias=bias, initial_membrane=4)
    moves, start = np.array([rise]), 3
    gate = solve_gate(cells, bounds, moves, moves, start, period, LIMITS)
    assert gate is not None
    n, hold, release = gate.copies, -gate.hold, gate.release
    assert (gate.n_types, gate.n_axons) == (
        int(hold.any()) + int(release.any()),
        n * (int(hold.any()) + int(release.any())),
    )
    if not n:
        assert not bias
        return
    assert math.gcd(n, period) == 1
    assert n * (release - hold) + period * gate.leak == bias
    assert n * hold >= excess(cells, bounds, moves)
    assert 0 <= hold <= 255
    assert release <= 255
    # At the first comparison, after its leaks and its release, it is v0 + b.
    assert gate.initial + (start + 1) * gate.leak + n * release == 4 + bias


def test_no_gate_fits_too_few_axons() -> None:
    cells, bounds = population(threshold=50)
    rise = np.array([1000])
    for axons, fits in ((3, False), (4, False), (5, True)):
        gate = solve_gate(cells, bounds, rise, rise, 3, 2, replace(LIMITS, axons=axons))
        # Four would do, but share a factor with the period.
        assert (gate is not None) is fits
    low = replace(LIMITS, membrane_floor=int(bounds.v_low.min()))
    none = np.array([0])
    quiet, proved = population(threshold=50, reset="zero")
    assert solve_gate(quiet, proved, none, none, 3, 2, low) is not None
    assert solve_gate(quiet, proved, none, none + 1, 3, 2, low) is None


@pytest.mark.parametrize("before", [1, 2, 5])
def test_quiet_leaks_are_all_that_keep_a_neuron_quiet(before: int) -> None:
    limits = replace(LIMITS, initial_min=-12, initial_max=15, membrane_floor=-12)
    for v0, theta, floor in itertools.product((-9, -1, 0, 3, 6, 9), (1, 6, 12), (-12, -3)):
        low, high = _quiet_leaks(np.array(v0), np.array(theta), np.array(floor), before, limits)

        def quiet(leak: int) -> bool:
            ticks = [v0 - leak * k for k in range(before)]  # noqa: B023
            first = v0 - leak * before  # noqa: B023
            return max(ticks) < theta and max(floor, -12) <= first <= 15  # noqa: B023

        # Above the floor in the last of them, it is in all.
        found = [leak for leak in range(-40, 41) if quiet(leak)]
        assert found == list(range(int(low), int(high) + 1)), (v0, theta, floor)


@pytest.mark.parametrize(
    ("rest", "values", "expected"),
    [
        ((3, 3), [3, 1], (0, 1, 3)),
        ((2, 2), [3, 1, 0, 0], (1, 2, 1)),
        ((6, 7), [3, 5, 9, 9], (0, 2, 3)),
        # A type of its own, with one copy where a weight reaches.
        ((7, 9), [1], (1, 1, 7)),
        ((-9, -7), [1], (1, 1, -7)),
        ((255, 255), [1], (1, 1, 255)),
        ((256, 256), [1], (1, 2, 128)),
        ((-255, -255), [1], (1, 1, -255)),
        ((64, 64), [1, 5, 7, 9], (0, 64, 1)),
        ((65, 65), [1, 0, 0, 0], None),
    ],
)
def test_axons_of_a_bias(
    rest: tuple[int, int], values: list[int], expected: tuple[int, int, int] | None
) -> None:
    found = _bias_axons(rest, np.array(values), LIMITS)
    if expected == (0, 64, 1):
        assert found is not None
        kind, copies, value = found
        assert (values[kind], copies * value) == (value, 64)
        assert copies <= MAX_BIAS_COPIES
    else:
        assert found == expected


def test_finals_share_cores_without_sharing_axons() -> None:
    def cores(axons: list[int], copies: list[int]) -> list[list[int]]:
        found = pack_finals(np.array(axons), np.array(copies), max_axons=10, max_neurons=4)
        return [core.tolist() for core in found]

    assert cores([5, 5, 5], [1, 1, 1]) == [[0, 1], [2]]
    assert cores([5, 6, 4], [1, 1, 1]) == [[0], [1, 2]]
    assert cores([1, 1, 1], [2, 2, 1]) == [[0, 0, 1, 1], [2]]
    # Copies that one core could hold stay together; more fill cores.
    assert cores([1, 1], [2, 3]) == [[0, 0], [1, 1, 1]]
    assert cores([1, 1], [1, 6]) == [[0, 1, 1, 1], [1, 1, 1]]
    assert cores([1], [9]) == [[0] * 4, [0] * 4, [0]]


def test_units_that_are_tried() -> None:
    assert _candidates(np.array([1, 3])).tolist() == [[1, 1, 1], [1, 2, 3]]
    assert _candidates(np.array([0])).tolist() == [[1]]
    assert _candidates(np.array([96]))[0].tolist() == list(range(1, 97))
    many = _candidates(np.array([97, 5000]))
    assert many.shape == (2, 96)
    assert many[:, [0, -1]].tolist() == [[1, 97], [1, 5000]]
    assert (np.diff(many, axis=1) >= 0).all()


def test_axons_of_a_rail() -> None:
    assert axons_per_rail(np.array([0, 1, 255, 256, 510, 511]), 255).tolist() == [1, 1, 1, 2, 2, 3]


def test_the_second_moment_of_what_exceeds() -> None:
    assert _psi(np.array([0.0]))[0] == pytest.approx(0.5)
    assert _psi(np.array([-20.0]))[0] == pytest.approx(401.0)
    assert _psi(np.array([20.0]))[0] == 0.0
    draws = np.random.default_rng(0).normal(size=200_000)
    for z in (-1.5, 0.7, 2.0):
        exact = np.square(np.maximum(draws - z, 0)).mean()
        assert _psi(np.array([z]))[0] == pytest.approx(exact, rel=0.05)


def test_negative_rails_are_positive_ones_of_the_sums_negated() -> None:
    random = np.random.default_rng(0)
    mean, variance = random.normal(size=(2, 5)), random.random((2, 5))
    bound = np.full((2, 5, 2), 9)
    turned = Sums(bound, -mean, variance)
    for unit in (1, 3, 8):
        found = expected_error(np.array(unit), Sums(bound, mean, variance), 1, 16)
        np.testing.assert_allclose(found, expected_error(np.array(unit), turned, 0, 16))
    # A sum that rises is far off on a rail that is too slow for it.
    rising = Sums(bound, np.full((2, 5), 4.0), variance)
    slow, quick = (expected_error(np.array(unit), rising, 0, 16) for unit in (1, 9))
    assert (slow > 100 * quick).all()
    assert (expected_error(np.array(1), rising, 1, 16) < quick).all()


def test_the_error_of_units_by_hand() -> None:
    bound = np.array([[[5, 0]]])
    assert expected_error(np.array(6), Sums(bound, None, None), 0, 8).tolist() == [[3.0]]
    assert expected_error(np.array(6), Sums(bound, None, None), 1, 8).tolist() == [[0.0]]
    sure = Sums(bound, np.array([[2.0]]), np.array([[0.0]]))
    # Two a step without any doubt: in units of 1 one of them is late in each of 8 steps.
    assert expected_error(np.array(1), sure, 0, 8)[0, 0] == pytest.approx(64 + 1 / 12, rel=1e-3)
    assert expected_error(np.array(3), sure, 0, 8)[0, 0] == pytest.approx(9 / 12, rel=1e-3)
    assert expected_error(np.array(5), sure, 0, 8)[0, 0] == pytest.approx(25 / 12, rel=1e-3)


def test_one_neuron_of_a_population_is_told() -> None:
    """The first of two that would act before the window."""
    net = chain([[1], [1]], threshold=3, initial_membrane=[3, 3], reset="zero")
    found = TrueNorthTarget().check(net, None, {})
    assert [v.where for v in found] == ["a"]
    assert "keeps neuron 0 quiet" in str(found[0])
