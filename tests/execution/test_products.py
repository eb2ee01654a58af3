"""Every map of the PyTorch engine by itself: equal to its connectivity, with biases and shifts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from neurodeploy.execution.order import channels_first, channels_last, grid, neuron_order
from neurodeploy.execution.pytorch import products
from neurodeploy.execution.pytorch.float_products import float_product
from neurodeploy.execution.pytorch.integer_products import _groups_together, integer_product
from neurodeploy.execution.pytorch.products import Product
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, Sparse, SumPool, identity
from neurodeploy.testing.parts import window

RANDOM = np.random.default_rng(0)


def drawn(*size: int) -> Any:
    return RANDOM.integers(-9, 10, size)


def convolution(c_in: int, c_out: int, place: Any, groups: int = 1) -> Conv:
    return Conv(drawn(c_out, c_in // groups, *place.kernel), c_in, place, groups)


def listed(n_post: int, n_pre: int, most: int) -> Sparse:
    """Some to ``most`` synapses of each neuron."""
    pairs = [(i, j) for i in range(n_post) for j in RANDOM.permutation(n_pre)[: i % most + 1]]
    post, pre = np.array(pairs).T
    return Sparse(drawn(len(post)), post, pre, (n_pre,), (n_post,))


LINE, LOPSIDED = window((9,), 3, padding=1), window((9,), 3, padding=[(2, 0)])
MAPS: dict[str, Connectivity] = {
    "dense": Dense(drawn(5, 24), (2, 3, 4)),
    "line": convolution(2, 3, LINE),
    "line, more on one side": convolution(2, 3, LOPSIDED),
    "line with holes": convolution(2, 3, window((9,), 2, 3, 2, 4)),
    "plane": convolution(2, 3, window((5, 6), (3, 2), padding=[1, 0])),
    "plane, padded by two": convolution(2, 3, window((5, 6), (3, 5), padding=[1, 2])),
    "plane, strided": convolution(2, 3, window((5, 6), (2, 3), (2, 1))),
    "plane, uneven": convolution(2, 4, window((5, 6), (2, 3), (1, 2), [(0, 1), (2, 1)], (2, 1))),
    "plane with holes": convolution(2, 4, window((7, 6), (2, 3), (2, 1), [1, 1], (3, 2))),
    "long runs": convolution(70, 3, window((4, 4), 3, padding=1)),
    "groups": convolution(6, 9, window((4, 5), 2), 3),
    "many groups": convolution(40, 40, window((4, 5), (2, 1)), 40),
    "line, apart": convolution(2, 3, window((5,), 4, padding=[(2, 3)], spacing=3)),
    "plane, apart": convolution(2, 3, window((4, 3), (4, 3), padding=[2, (1, 2)], spacing=(2, 3))),
    "plane, apart along one axis": convolution(2, 3, window((4, 3), 2, (1, 2), 1, 1, (2, 1))),
    "plane, apart, strided with holes": convolution(
        4, 6, window((4, 5), (3, 2), (3, 2), [(3, 2), (0, 1)], (2, 3), (2, 4)), 2
    ),
    "plane, further apart than the kernel": convolution(2, 3, window((3, 3), 2, spacing=4)),
    "repeated cells": SumPool(drawn(3), window((3, 4), (2, 3), padding=[1, 2], spacing=(2, 3))),
    "pool of a line": SumPool(drawn(3), window((9,), 3, 2, [(1, 0)])),
    "pool": SumPool(drawn(3), window((5, 6), (2, 3), (2, 1), [(0, 1), (1, 0)], (1, 2))),
    "cells as they are": identity((2, 3)),
    "cells times": identity((2, 3), np.array([2, -3])),
    "few synapses": listed(7, 9, 4),
    "many synapses": listed(9, 9, 8),
    "no synapses": Sparse(np.zeros(0, int), np.zeros(0, int), np.zeros(0, int), (4,), (3,)),
}


def applied(product: Product, connectivity: Connectivity, x: Any, dtype: torch.dtype) -> Any:
    rows = channels_last(x, connectivity.pre_shape)
    given = torch.tensor(np.ascontiguousarray(rows), dtype=dtype)
    before = given.clone()
    found = product(given)
    total = torch.full_like(found, 5)
    product.add_to(total, given)
    assert torch.equal(total, found + 5)
    assert torch.equal(given, before)
    assert found.dtype == product.dtype
    return channels_first(found.numpy(), connectivity.post_shape)


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_maps_of_floats(name: str, dtype: torch.dtype) -> None:
    connectivity = MAPS[name].with_weight(MAPS[name].weight.astype(np.float64))
    x = RANDOM.integers(-4, 5, (3, *connectivity.pre_shape)).astype(np.float64)
    product = float_product(connectivity, dtype)
    # Whole numbers: sums are exact.
    np.testing.assert_array_equal(applied(product, connectivity, x, dtype), connectivity.apply(x))
    bias = np.arange(1.0, connectivity.post_shape[0] + 1)
    if product.carry_bias(bias, connectivity.post_shape):
        lead = bias.reshape(-1, *(1,) * (len(connectivity.post_shape) - 1))
        expected = connectivity.apply(x) + lead
        np.testing.assert_array_equal(applied(product, connectivity, x, dtype), expected)
    else:
        plain = not isinstance(connectivity, Conv) or not connectivity.window.is_spaced
        assert not (isinstance(connectivity, Dense | Conv) and plain)


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("shifts", ["none", "alike", "of channels"])
@pytest.mark.parametrize("payload", [(0, 1), (-3, 3), (-200, 1000)])
def test_maps_of_integers(name: str, shifts: str, payload: tuple[int, int]) -> None:
    connectivity = MAPS[name]
    shape = connectivity.post_shape
    exponent = {
        "none": np.zeros((), int),
        "alike": np.array(2),
        "of channels": np.arange(shape[0]) % 3,
    }[shifts]
    low, high = payload
    x = RANDOM.integers(low, high + 1, (3, *connectivity.pre_shape))
    x[0], x[1] = low, high
    lead = exponent.reshape(-1, *(1,) * (len(shape) - 1)) if exponent.ndim else exponent
    expected = connectivity.apply(x) << lead
    for bias in (np.arange(1, shape[0] + 1), np.arange(np.prod(shape)).reshape(shape)):
        product = integer_product(connectivity, exponent, payload, torch.int32)
        found = applied(product, connectivity, x, torch.int16)
        np.testing.assert_array_equal(found, expected)
        if product.carry_bias(bias, shape):
            full = bias if bias.shape == shape else bias.reshape(-1, *(1,) * (len(shape) - 1))
            found = applied(product, connectivity, x, torch.int16)
            np.testing.assert_array_equal(found, expected + full)


def test_a_convolution_carries_a_bias_of_channels_alone() -> None:
    conv = MAPS["plane"]
    shape = conv.post_shape
    alike = np.broadcast_to(np.array([4, 5, 6])[:, None, None], shape)
    other = alike.copy()
    other[1, 0, 0] += 1
    for make in (
        lambda: integer_product(conv, np.zeros((), int), (0, 1), torch.int32),
        lambda: float_product(conv.with_weight(conv.weight * 1.0), torch.float64),
    ):
        assert make().carry_bias(alike, shape)
        assert not make().carry_bias(other, shape)


def test_long_lists_are_summed_by_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "MAX_DENSE_ENTRIES", 0)
    # One neuron that hears all among those that hear few.
    post = np.concatenate([np.repeat(np.arange(30), 5), np.full(40, 30)])
    pre = np.concatenate([(np.arange(150) * 7) % 40, np.arange(40)])
    link = Sparse(drawn(190), post, pre, (40,), (32,))
    x = RANDOM.integers(-5, 6, (4, 40))
    product = integer_product(link, np.zeros((), int), (-5, 5), torch.int32)
    assert type(product).__name__ == "SparseProduct"
    np.testing.assert_array_equal(applied(product, link, x, torch.int16), link.apply(x))
    real = link.with_weight(link.weight * 1.0)
    made = float_product(real, torch.float64)
    assert type(made).__name__ == "SparseProduct"
    rows = torch.tensor(x, dtype=torch.float64)
    np.testing.assert_array_equal(made(rows).numpy(), real.apply(x * 1.0))


@pytest.mark.parametrize(
    ("channels", "groups", "together"),
    [(6, 3, 3), (40, 40, 20), (64, 2, 1), (64, 4, 2), (66, 2, 1), (32, 32, 32), (128, 1, 1)],
)
def test_groups_share_a_block(channels: int, groups: int, together: int) -> None:
    conv = Conv(np.ones((groups, channels // groups, 1), int), channels, window((2,), 1), groups)
    assert _groups_together(conv) == together


def test_channels_of_a_place_lie_side_by_side() -> None:
    assert neuron_order((2, 3)).tolist() == [0, 3, 1, 4, 2, 5]
    assert [grid(shape) for shape in ((4,), (4, 3), (4, 3, 2))] == [(1, 1), (1, 3), (3, 2)]
    x = np.arange(24).reshape(2, 2, 2, 3)
    rows = channels_last(x, (2, 2, 3))
    assert rows[0].tolist() == [0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11]
    np.testing.assert_array_equal(channels_first(rows, (2, 2, 3)), x)
