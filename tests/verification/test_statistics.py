"""Intervals and exact tests of counts, and errors relative to the spread of what is right."""

from __future__ import annotations

import math

import numpy as np
import pytest

from neurodeploy.verification.spread import Spread
from neurodeploy.verification.statistics import Paired, at_least, wilson


def test_the_interval_of_a_share() -> None:
    # 81 of 263: Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson(20, 20)[1] == 1.0


def test_the_tail_of_a_binomial_is_the_sum_of_its_terms() -> None:
    for n, count, share in ((12, 5, 0.3), (7, 0, 0.2), (9, 9, 0.5)):
        terms = [math.comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(count, n + 1)]
        assert at_least(count, n, share) == pytest.approx(sum(terms))


def test_only_samples_that_tell_the_networks_apart_count() -> None:
    few, many = Paired(50, 2, 1), Paired(5000, 2, 1)
    assert few.p == many.p == 1.0
    assert Paired(1000, 10, 0).p == pytest.approx(2 / 2**10)
    assert (few.loss, many.loss) == (2.0, 0.02)


def score(n: int, lost: int, won: int, difference: float) -> float:
    """Of a difference of two shares, its variance at the most likely shares that have it."""
    shares = np.linspace(max(0.0, -difference), (1 - difference) / 2, 400_001)[1:-1]
    with np.errstate(divide="ignore"):
        likelihood = lost * np.log(shares + difference) + won * np.log(shares)
        likelihood += (n - lost - won) * np.log(1 - 2 * shares - difference)
    q = shares[likelihood.argmax()]
    variance = (2 * q + difference - difference**2) / n
    return float(((lost - won) / n - difference) / np.sqrt(variance))


def test_the_interval_of_a_loss_is_where_the_score_is_that_of_95_percent() -> None:
    low, high = Paired(50, 12, 2).interval
    assert score(50, 12, 2, low / 100) == pytest.approx(1.96, abs=0.005)
    assert score(50, 12, 2, high / 100) == pytest.approx(-1.96, abs=0.005)
    assert Paired(256, 0, 0).interval == pytest.approx((-1.478, 1.478), abs=2e-3)
    mirrored = Paired(50, 2, 12).interval
    assert mirrored == pytest.approx((-high, -low))


def test_errors_are_relative_to_each_outputs_own_spread() -> None:
    rng = np.random.default_rng(0)
    right = rng.normal(size=(400, 3)) * [1.0, 10.0, 100.0] + [0.0, 5.0, 1e4]
    off = np.array([0.01, 2.0, 1.0])
    whole = Spread((3,))
    for part in range(0, 400, 70):
        whole.add(right[part : part + 70] + off, right[part : part + 70])
    error = whole.error
    assert error is not None
    expected = off / right.std(axis=0)
    assert error.index == (1,)
    assert error.worst == pytest.approx(expected[1])
    assert error.mean == pytest.approx(np.sqrt((expected**2).mean()))


def test_an_output_without_spread_tells_nothing() -> None:
    same = Spread((2,))
    same.add(np.full((50, 2), 0.3), np.full((50, 2), 0.1))
    assert same.error is None


def test_the_values_of_a_map_count_together() -> None:
    maps = Spread((2, 4, 4))
    right = np.random.default_rng(1).normal(size=(10, 2, 4, 4))
    maps.add(1.1 * right, right)
    assert maps.error is not None
    assert maps.error.worst == pytest.approx(0.1 * np.sqrt((right**2).mean()) / right.std())
    assert maps.error.index == ()
