from __future__ import annotations

import itertools

import pytest

from neurodeploy.targets.truenorth.basis import (
    digits,
    fewest_copies,
    find_values,
)

LOW, HIGH = -255, 255


def brute_sums(copies: tuple[int, ...], values: tuple[int, ...]) -> set[int]:
    choices = itertools.product(*(range(m + 1) for m in copies))
    return {sum(k * v for k, v in zip(choice, values, strict=True)) for choice in choices}


@pytest.mark.parametrize(("bits", "copies"), [(2, 2), (3, 3), (4, 4), (5, 6), (6, 8), (7, 10)])
def test_every_level_of_a_width_is_a_sum_of_copies(bits: int, copies: int) -> None:
    levels = frozenset(range(-(2 ** (bits - 1)), 2 ** (bits - 1))) - {0}
    basis = fewest_copies([levels], 4, LOW, HIGH, 16)
    assert basis is not None
    assert basis.n_copies == copies
    values = basis.values[levels]
    assert levels <= brute_sums(basis.copies, values)
    table = digits(basis.copies, values)
    for level in levels:
        assert sum(k * v for k, v in zip(table[level], values, strict=True)) == level


def test_eight_bits_need_at_least_thirteen_copies() -> None:
    levels = frozenset(range(-128, 128)) - {0}
    assert fewest_copies([levels], 4, LOW, HIGH, 12) is None
    basis = fewest_copies([levels], 4, LOW, HIGH, 16)
    assert basis is not None
    assert 13 <= basis.n_copies <= 14


def test_the_bases_of_the_contract_cover_their_widths() -> None:
    assert set(range(-16, 16)) <= brute_sums((1, 1, 2, 2), (1, 14, -2, -6))
    assert set(range(-31, 32)) <= brute_sums((1, 1, 3, 3), (1, -31, 2, 8))


def test_ternary_takes_one_synapse_per_weight() -> None:
    basis = fewest_copies([frozenset({-3, 3})], 4, LOW, HIGH, 16)
    assert basis is not None
    assert basis.n_copies == 2
    assert set(basis.values[frozenset({-3, 3})]) == {-3, 3}


def test_values_are_each_neurons_own() -> None:
    sets = [frozenset({-1, 1}), frozenset({-7, 100}), frozenset({5, 6, 11}), frozenset({2})]
    basis = fewest_copies(sets, 4, LOW, HIGH, 16)
    assert basis is not None
    assert basis.n_copies == 2
    for levels in sets:
        assert levels <= brute_sums(basis.copies, basis.values[levels])


@pytest.mark.parametrize(
    ("levels", "copies"),
    [({7}, 1), ({510}, 2), ({2, 4, 6}, 2), ({1, 2, 3, 4}, 3), ({-90, -7, 3, 11, 40}, 5)],
)
def test_few_levels_need_few_copies(levels: set[int], copies: int) -> None:
    basis = fewest_copies([frozenset(levels)], 4, LOW, HIGH, 16)
    assert basis is not None
    assert basis.n_copies == copies
    values = basis.values[frozenset(levels)]
    assert levels <= brute_sums(basis.copies, values)
    assert all(LOW <= v <= HIGH for v in values)


def test_a_value_beyond_the_weight_range_is_not_used() -> None:
    assert find_values(frozenset({256}), (1,), LOW, HIGH)[0] is None
    assert find_values(frozenset({255}), (1,), LOW, HIGH)[0] == (255,)
    assert fewest_copies([frozenset({1, 5000})], 4, LOW, HIGH, 16) is None


def test_no_levels_need_no_copies() -> None:
    basis = fewest_copies([frozenset()], 4, LOW, HIGH, 16)
    assert basis is not None
    assert basis.n_copies == 0
