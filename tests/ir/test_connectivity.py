"""Connectivity: the expanded synapses against the map itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurodeploy.errors import NetlistError
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, Sparse, SumPool, identity
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.linear_map import exact_matmul
from tests.ir.strategies import connectivities, seeds, windows


def matrix(c: Connectivity) -> np.ndarray:
    post, pre, weight = c.to_coo()
    full = np.zeros((int(np.prod(c.post_shape)), int(np.prod(c.pre_shape))), dtype=weight.dtype)
    np.add.at(full, (post, pre), weight)
    return full


@given(connectivities(), seeds)
@settings(max_examples=150)
def test_apply_equals_its_synapses(c: Connectivity, seed: int) -> None:
    x = np.random.default_rng(seed).integers(-50, 50, (2, *c.pre_shape))
    want = x.reshape(2, -1) @ matrix(c).T
    got = c.apply(x)
    assert got.shape == (2, *c.post_shape)
    assert got.dtype == np.int64
    np.testing.assert_array_equal(got.reshape(2, -1), want)


@given(connectivities())
@settings(max_examples=150)
def test_closed_forms_equal_counts(c: Connectivity) -> None:
    post, pre, weight = c.to_coo()
    n_post, n_pre = int(np.prod(c.post_shape)), int(np.prod(c.pre_shape))
    pairs = post * n_pre + pre
    assert np.unique(pairs).size == pairs.size == weight.size
    assert c.n_synapses == weight.size
    assert c.fan_in().shape == c.post_shape
    assert c.fan_out().shape == c.pre_shape
    np.testing.assert_array_equal(c.fan_in().reshape(-1), np.bincount(post, minlength=n_post))
    np.testing.assert_array_equal(c.fan_out().reshape(-1), np.bincount(pre, minlength=n_pre))
    full, (up, down) = matrix(c), c.row_sums()
    np.testing.assert_array_equal(up.reshape(-1), np.maximum(full, 0).sum(axis=1))
    np.testing.assert_array_equal(down.reshape(-1), np.minimum(full, 0).sum(axis=1))


@given(connectivities(real=True), seeds)
@settings(max_examples=60)
def test_scale_channels_scales_rows(c: Connectivity, seed: int) -> None:
    scale = np.random.default_rng(seed).uniform(0.5, 2.0, c.post_shape[0])
    per_row = np.repeat(scale, int(np.prod(c.post_shape)) // c.post_shape[0])
    np.testing.assert_allclose(matrix(c.scale_channels(scale)), matrix(c) * per_row[:, None])


@given(windows())
@settings(max_examples=100)
def test_window_counts_are_consistent(w: Window) -> None:
    assert w.taps_per_input().sum() == w.taps_per_output().sum()
    assert w.taps_per_output().max() <= w.n_taps
    if not w.is_spaced and not any(map(any, w.padding)):
        assert (w.taps_per_output() == w.n_taps).all()


def test_convolution_is_a_cross_correlation() -> None:
    w = Window((3,), (2,), (1,), ((0, 0),), (1,))
    c = Conv(np.array([[[1, 10]]]), 1, w)
    np.testing.assert_array_equal(c.apply(np.array([[[1, 2, 3]]])), [[[21, 32]]])


def test_exact_where_doubles_are_not() -> None:
    big = 2**53
    c = Dense(np.array([[1, 1]]), (2,))
    np.testing.assert_array_equal(c.apply(np.array([[big, 1]])), [[big + 1]])


def test_identity_per_channel() -> None:
    c = identity((2, 3), np.array([4, 5]))
    np.testing.assert_array_equal(c.apply(np.ones((1, 2, 3), int)), [[[4] * 3, [5] * 3]])


W2 = Window((4, 4), (3, 3), (1, 1), ((0, 0), (0, 0)), (1, 1))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Dense(np.ones((2, 3)), (4,)), "does not fit inputs"),
        (lambda: Dense(np.ones(3), (3,)), "expected 2 axes"),
        (lambda: Dense(np.array([[np.nan]]), (1,)), "not finite"),
        (lambda: Dense(np.array([[np.inf]]), (1,)), "not finite"),
        (lambda: Dense(np.array([["a"]]), (1,)), "dtype"),
        (lambda: Conv(np.ones((2, 1, 3, 3)), 2, W2), "does not fit 2 input channels"),
        (lambda: Conv(np.ones((3, 1, 3, 3)), 2, W2, groups=2), "does not divide"),
        (lambda: Conv(np.ones((2, 1, 2, 3)), 1, W2), "against kernel"),
        (lambda: Sparse(np.ones(1), [2], [0], (1,), (2,)), "post index outside 0..1"),
        (lambda: Sparse(np.ones(1), [0], [-1], (1,), (2,)), "pre index outside 0..0"),
        (lambda: Sparse(np.ones(2), [0, 0], [0, 0], (1,), (1,)), "listed twice"),
        (lambda: Sparse(np.ones(1), [0.0], [0], (1,), (1,)), "expected integers"),
        (lambda: Window((4,), (5,), (1,), ((0, 0),), (1,)), "larger than the padded input"),
        (lambda: Window((4,), (2,), (0,), ((0, 0),), (1,)), "at least 1"),
        (lambda: Window((4,), (2,), (1,), ((0, -1),), (1,)), "negative padding"),
        (lambda: Window((4, 4, 4), (2,), (1,), ((0, 0),), (1,)), "3 spatial axes"),
        (lambda: Dense(np.ones((1, 1)), (1,)).with_weight(np.ones((2, 1))), "expected (1, 1)"),
    ],
)
def test_contradictions_are_refused(build: object, message: str) -> None:
    with pytest.raises(NetlistError) as caught:
        build()  # type: ignore[operator]
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@given(connectivities(), st.data())
@settings(max_examples=30)
def test_weights_are_private_and_read_only(c: Connectivity, data: st.DataObject) -> None:
    assert not c.weight.flags.writeable
    assert c == c.with_weight(c.weight.copy())
    if c.weight.size:
        other = c.weight.copy()
        other.reshape(-1)[0] += 1
        assert c != c.with_weight(other)


def test_sumpool_equals_its_depthwise_convolution() -> None:
    pool = SumPool(np.array([2, -3]), W2)
    x = np.random.default_rng(0).integers(0, 9, (2, 2, 4, 4))
    np.testing.assert_array_equal(pool.apply(x), pool.as_depthwise().apply(x))


def test_a_wrong_product_of_the_library_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(-99, 99, (2, 5, 7)), rng.integers(-99, 99, (3, 2, 7, 11))
    want = np.einsum("gij,bgjk->bgik", a, b)
    np.testing.assert_array_equal(exact_matmul(a, b), want)
    true = np.matmul

    def wrong(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        product = true(x, y)
        if product.dtype.kind == "f":
            product[..., -1, -1] += 1
        return product

    monkeypatch.setattr(np, "matmul", wrong)
    np.testing.assert_array_equal(exact_matmul(a, b), want)
