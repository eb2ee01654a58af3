"""Integer products through floating point: exact, and confirmed where the library is not."""

from __future__ import annotations

import numpy as np
import pytest

from neurodeploy.errors import NeurodeployWarning
from neurodeploy.numerics import products
from neurodeploy.numerics.products import Product

RNG = np.random.default_rng(3)


@pytest.mark.parametrize("largest", [1, 2**14, 2**40, 2**62])
def test_a_product_is_that_of_integers_modulo_64_bits(largest: int) -> None:
    weight = RNG.integers(-127, 128, (2, 5, 70))
    x = RNG.integers(-largest, largest + 1, (3, 2, 70, 9))
    expected = np.einsum("gmk,lgkn->lgmn", weight, x)
    product = Product(weight)(x)
    assert product.dtype == np.int64
    np.testing.assert_array_equal(product, expected)
    np.testing.assert_array_equal(Product(weight)(x, largest), expected)


def test_no_columns_and_no_rows() -> None:
    assert Product(np.zeros((0, 4), np.int64))(np.ones((4, 2), np.int8)).shape == (0, 2)
    assert Product(np.ones((3, 0), np.int64))(np.ones((0, 2), np.int8)).tolist() == [[0, 0]] * 3


@pytest.mark.parametrize("wrong", [1, -1, 2**20])
def test_one_wrong_entry_is_found(monkeypatch: pytest.MonkeyPatch, wrong: int) -> None:
    def faulty(weight: np.ndarray, x: np.ndarray) -> np.ndarray:
        product = np.matmul(weight, x)
        product[3, 11] += wrong
        return product

    monkeypatch.setattr(products, "_floating", faulty)
    weight, x = RNG.integers(-9, 10, (6, 40)), RNG.integers(0, 2, (40, 30))
    with pytest.warns(NeurodeployWarning, match="multiplies integers wrongly on this machine"):
        product = Product(weight)(x)
    np.testing.assert_array_equal(product, np.einsum("mk,kn->mn", weight, x))
