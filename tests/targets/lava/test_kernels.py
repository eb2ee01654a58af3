"""Kernels and neurons of the own models against the definitions, number for number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, Sparse, SumPool
from neurodeploy.ir.fixed_point import trunc0_decay
from neurodeploy.ir.netlist import IntegerProjection, Population
from neurodeploy.ir.neurons import MaxPool
from neurodeploy.targets.lava.dynamics import Timing, _kept, lanes_for, state_of
from neurodeploy.targets.lava.kernels import SynapticSum
from tests.targets.lava.networks import window

RNG = np.random.default_rng(0)
ODD = window((7, 6), (3, 2), (2, 1), ((2, 0), (1, 3)), (1, 2))
APART = replace(window((3, 4), (3, 2), (2, 1), ((2, 0), (1, 3)), (1, 2)), spacing=(2, 3))
LINE = window((9,), (3,), (2,), ((1, 0),), (2,))


def _lowered(connectivity: Connectivity, exponent: int | np.ndarray = 0) -> SynapticSum:
    return SynapticSum(
        IntegerProjection("in", "out", connectivity, exponent=np.asarray(exponent), weight_bits=16)
    )


@pytest.mark.parametrize(
    "connectivity",
    [
        Dense(RNG.integers(-99, 99, (5, 24)), (2, 3, 4)),
        Conv(RNG.integers(-99, 99, (6, 2, 3, 2)), 4, ODD, groups=2),
        Conv(RNG.integers(-99, 99, (3, 2, 3)), 2, LINE),
        SumPool(RNG.integers(-9, 9, 4), ODD),
        Conv(RNG.integers(-99, 99, (6, 2, 3, 2)), 4, APART, groups=2),
        SumPool(RNG.integers(-9, 9, 4), APART),
        Sparse(
            RNG.integers(-9, 9, 30),
            (index := RNG.permutation(12 * 10)[:30]) % 12,
            index // 12,
            (2, 5),
            (3, 4),
        ),
    ],
    ids=["dense", "conv", "conv1d", "sumpool", "conv apart", "sumpool apart", "sparse"],
)
@pytest.mark.parametrize("scale", [1, 2**14, 2**31 - 1])
def test_sums(connectivity: Connectivity, scale: int) -> None:
    channels = connectivity.post_shape[0]
    exponent = np.arange(channels) % 4
    kernel = _lowered(connectivity, exponent)
    x = RNG.integers(-1, 2, (3, *connectivity.pre_shape)) * scale
    lead = exponent.reshape(-1, *(1,) * (len(connectivity.post_shape) - 1))
    expected = connectivity.apply(x) << lead
    for _ in range(2):  # the second answer is remembered
        np.testing.assert_array_equal(kernel(x), expected)
    assert kernel(x).dtype == np.int64
    np.testing.assert_array_equal(kernel(-x), -expected)
    assert not kernel(np.zeros_like(x)).any()


def test_decay_rounds_toward_zero() -> None:
    x = np.concatenate([np.arange(-9000, 9000), [-(2**23), 2**23]])
    for decay in (0, 1, 7, 2048, 4095, 4096):
        np.testing.assert_array_equal(_kept(x, np.asarray(4096 - decay)), trunc0_decay(x, decay))


def test_pool_counts_what_accumulated() -> None:
    pool = MaxPool(2, ODD)
    population = Population("pool", pool.output_shape, pool)
    state, total = state_of(population, 2), np.zeros((2, 2, 7, 6), dtype=np.int64)
    emitted = np.zeros((2, *pool.output_shape), dtype=np.int64)
    for _ in range(5):
        a = RNG.integers(0, 3, total.shape)
        total += a
        emitted += state.step(a)
        np.testing.assert_array_equal(emitted, pool.maximum(total))
        np.testing.assert_array_equal(state.v, emitted)


def test_timing() -> None:
    timing = Timing(timesteps=4, interval=6, samples=2, start_step=3)
    assert [timing.locate(step, 1) for step in (3, 4, 7, 8, 9, 10, 13, 14, 16)] == [
        None,
        (0, 0),
        (0, 3),
        None,
        None,
        (1, 0),
        (1, 3),
        None,
        None,
    ]
    free = Timing(None, 1, None, 1)
    assert free.locate(1, 1) is None
    assert free.locate(1000, 1) == (0, 998)


def test_lanes() -> None:
    assert lanes_for(10, 1000) == 10
    assert lanes_for(10, 2**20) == 1
    assert lanes_for(10, 2**17) == 5
    assert lanes_for(1, 2**30) == 1
