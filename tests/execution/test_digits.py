"""Digits and pairs of integers in bytes, against plain loops."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from neurodeploy.execution.pytorch.digits import (
    MAX_ROW,
    DigitMatrix,
    may_meet,
    n_digits,
    pair_sums,
)


def test_the_largest_pairs_of_one_sign() -> None:
    random = np.random.default_rng(0)
    for n in (1, 2, 3, 9, 40):
        weight = random.integers(-128, 128, (n, 60))
        for column, found in zip(weight.T, pair_sums(weight), strict=True):
            pairs = itertools.combinations([*column.tolist(), 0, 0], 2)
            alike = [abs(a) + abs(b) for a, b in pairs if a * b >= 0]
            assert found == max(alike)


@pytest.mark.parametrize(
    ("weight", "low", "high", "meets"),
    [
        # Pairs of 127 + 127 meet numbers up to 1: 254 (1 + 128) is one below 2^15.
        ([[127], [127]], 0, 1, True),
        ([[127], [127]], 0, 2, False),
        ([[127], [-128]], 0, 64, True),
        ([[127], [-128]], 0, 65, False),
        ([[-128], [-128]], -64, 0, False),
        ([[-128], [-127]], -64, 0, True),
        ([[1], [1]], -64, 64, True),
        ([[1], [1]], -65, 0, False),
    ],
)
def test_what_meets_a_column(weight: list[list[int]], low: int, high: int, meets: bool) -> None:
    assert may_meet(np.array(weight), low, high) is meets


@pytest.mark.parametrize("base", [64, 256])
def test_balanced_digits_reach_as_far_as_their_sum(base: int) -> None:
    for n in range(1, 5):
        ones = sum(base**i for i in range(n))
        low, high = -(base // 2) * ones, (base // 2 - 1) * ones
        assert n_digits(low, high, base) == n
        assert n_digits(low - 1, high, base) == n + 1
        assert n_digits(low, high + 1, base) == n + 1


@pytest.mark.parametrize("most", [1, 127, 128, 32767, 32768, 10**6])
@pytest.mark.parametrize(
    "payload", [(0, 1), (-32, 31), (0, 64), (-40, 40), (-2080, 2015), (0, 9999)]
)
def test_products_are_exact_at_the_ends(most: int, payload: tuple[int, int]) -> None:
    random = np.random.default_rng(1)
    low, high = payload
    weight = random.choice(np.array([-most, most, most - 1, 0]), (12, 5))
    x = random.choice(np.array([low, high, 0, high - 1]), (30, 12)).clip(low, high)
    x[0], x[1] = low, high
    matrix = DigitMatrix(weight, payload)
    given = torch.tensor(x, dtype=torch.int32)
    found = matrix.multiply(matrix.digits(given))
    np.testing.assert_array_equal(found.numpy(), x @ weight)
    assert (found.dtype == torch.int32) or np.abs(weight).sum(0).max() * 128 >= 2**20
    bias = np.arange(5)
    carried = matrix.carry(bias)
    assert carried is (matrix.lowered != 0 and bool((weight.sum(0) != 0).any()))
    into = torch.empty(30, 5, dtype=torch.int64)
    matrix.multiply_into(into, matrix.digits(given))
    np.testing.assert_array_equal(into.numpy(), x @ weight + bias * carried)


def test_a_bias_beyond_32_bits_is_not_carried() -> None:
    weight = np.full((3, 2), 127)
    for bias, carried in ((2**31 - 1 - 2 * 3 * 127 * 64, True), (2**31 - 1, False)):
        matrix = DigitMatrix(weight, (0, 64))
        assert matrix.dtype == torch.int32
        assert matrix.carry(np.array([0, bias])) is carried


def test_a_row_adds_up_in_32_bits() -> None:
    assert MAX_ROW * 255 * 128 < 2**31 <= (MAX_ROW + 1) * 255 * 128
