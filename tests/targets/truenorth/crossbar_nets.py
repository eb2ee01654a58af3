"""Netlists for the crossbar tests: small random ones, and the shape of grouped_mnist."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.boards.loading import load_board
from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, Sparse, SumPool, identity
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Output, Population
from neurodeploy.ir.neurons import Input, IntegerNeuron
from neurodeploy.targets.truenorth.limits import CrossbarLimits

LIMITS = CrossbarLimits.from_board(load_board("truenorth"))


def small_board(**limits: int) -> Board:
    """A board like truenorth with other limits."""
    board = load_board("truenorth")
    known = {k: replace(v, value=limits.get(k, v.value)) for k, v in board.limits.items()}
    return replace(board, limits=known)


def spike_input(name: str, *shape: int) -> Population:
    return Population(name, shape, Input("spikes", 0, 1))


def neurons(name: str, shape: tuple[int, ...] | int, **fields: Any) -> Population:
    """A population of linear neurons; scalars and lists become int64 arrays."""
    shape = (shape,) if isinstance(shape, int) else shape
    defaults: dict[str, Any] = {"threshold": 4, "bias": 0, "initial_membrane": 0}
    values = {**defaults, **fields}
    for key in ("threshold", "bias", "initial_membrane", "negative_threshold"):
        if values.get(key) is not None:
            values[key] = np.asarray(values[key], dtype=np.int64)
    return Population(name, shape, IntegerNeuron(**values))


def project(
    pre: str,
    post: str,
    connectivity: Connectivity,
    delay: int | None = None,
    exponent: Any = 0,
    bits: int = 8,
) -> IntegerProjection:
    return IntegerProjection(pre, post, connectivity, delay, np.asarray(exponent, np.int64), bits)


def dense(weight: Any) -> Dense:
    array = np.asarray(weight, dtype=np.int64)
    return Dense(array, (array.shape[1],))


def netlist(
    populations: list[Population],
    projections: list[IntegerProjection],
    timesteps: int = 8,
    output: str | None = None,
) -> IntegerNetlist:
    name = output or populations[-1].name
    return IntegerNetlist(
        "test", tuple(populations), tuple(projections), (Output(name, "counts"),), timesteps
    )


def chain(weight: Any, *, timesteps: int = 8, exponent: Any = 0, **fields: Any) -> IntegerNetlist:
    """An input, one dense layer, and a second layer that repeats its spikes."""
    layer = dense(weight)
    n = layer.post_shape[0]
    populations = [spike_input("in", layer.weight.shape[1]), neurons("a", n, **fields)]
    populations.append(neurons("out", n, threshold=1))
    projections = [
        project("in", "a", layer, exponent=exponent),
        project("a", "out", identity((n,))),
    ]
    return netlist(populations, projections, timesteps)


def raster(
    net: IntegerNetlist, batch: int, rate: float = 0.4, seed: int = 0
) -> dict[str, IntArray]:
    rng = np.random.default_rng(seed)
    return {
        p.name: (rng.random((batch, net.timesteps, *p.shape)) < rate).astype(np.int64)
        for p in net.inputs
    }


def grouped(
    seed: int = 0, timesteps: int = 16, levels: tuple[int, int] = (-4, 3)
) -> IntegerNetlist:
    """Layers and groups of grouped_mnist, random 3-bit weights, a ternary fourth layer."""
    rng = np.random.default_rng(seed)

    def conv(
        cin: int, size: int, cout: int, kernel: int, stride: int, groups: int, low: int
    ) -> Conv:
        high = levels[1] if low == levels[0] else 1
        window = Window((size,) * 2, (kernel,) * 2, (stride,) * 2, ((0, 0),) * 2, (1, 1))
        weight = rng.integers(low, high + 1, (cout, cin // groups, kernel, kernel))
        return Conv(weight, cin, window, groups)

    maps: list[Connectivity] = [
        conv(1, 28, 16, 4, 2, 1, levels[0]),
        conv(16, 13, 32, 3, 2, 2, levels[0]),
        conv(32, 6, 64, 3, 1, 4, levels[0]),
        conv(64, 4, 64, 4, 1, 8, -1),
        Dense(rng.integers(-4, 4, (10, 64)), (64, 1, 1)),
    ]
    populations = [spike_input("in", 1, 28, 28)]
    projections = []
    for i, (layer, theta) in enumerate(zip(maps, (12, 20, 20, 12, 20), strict=True), 1):
        shape = layer.post_shape
        bias = rng.integers(-6 if i < 5 else -3, 4, shape[0])
        populations.append(
            neurons(f"p{i}", shape, threshold=theta, bias=bias, initial_membrane=theta // 2)
        )
        projections.append(project(populations[-2].name, f"p{i}", layer, bits=3))
    return netlist(populations, projections, timesteps)


def random_netlist(seed: int, *, spaced: bool = False) -> IntegerNetlist:
    """A small random netlist: skips, recurrence, both resets, biases, exponents, delays.

    ``spaced``: windows are over cells that stand apart.
    """
    rng = np.random.default_rng(seed)
    n_layers = int(rng.integers(1, 5))
    shapes: list[tuple[int, ...]] = [tuple(rng.integers(2, 5, rng.integers(1, 4)).tolist())]
    populations = [spike_input("in", *shapes[0])]
    projections: list[IntegerProjection] = []
    linear_only = bool(rng.random() < 0.7)
    for i in range(1, n_layers + 1):
        pre = populations[-1]
        layer = _random_map(rng, pre.shape, spaced)
        shape = layer.post_shape
        theta = rng.integers(1, 12, shape[0])
        populations.append(
            neurons(
                f"p{i}",
                shape,
                threshold=theta,
                bias=rng.integers(-3, 3, shape) * (rng.random(shape) < 0.5),
                initial_membrane=rng.integers(-6, 3, shape[0]) + theta // 2,
                reset="subtract" if linear_only or rng.random() < 0.5 else "zero",
            )
        )
        exponent = rng.integers(0, 3, shape[0]) if rng.random() < 0.5 else int(rng.integers(0, 3))
        projections.append(project(pre.name, f"p{i}", layer, exponent=exponent, bits=4))
        if i > 1 and rng.random() < 0.5:
            other = populations[int(rng.integers(0, i - 1))]
            projections.append(
                project(other.name, f"p{i}", _sparse(rng, other.shape, shape, 1), exponent=4)
            )
        if rng.random() < 0.25:
            delay = None if rng.random() < 0.5 else int(rng.integers(1, 4))
            projections.append(project(f"p{i}", f"p{i}", _sparse(rng, shape, shape, 2), delay))
    if n_layers > 2 and rng.random() < 0.2:
        a, b = populations[1], populations[-1]
        projections.append(project(b.name, a.name, _sparse(rng, b.shape, a.shape, 1), 2))
    return netlist(populations, projections, int(rng.integers(1, 12)))


def _random_map(rng: np.random.Generator, shape: tuple[int, ...], spaced: bool) -> Connectivity:
    low, high = [(-8, 7), (-4, 3), (-1, 1), (0, 1)][int(rng.integers(0, 4))]
    kind = rng.integers(0, 3) if len(shape) > 1 else 3
    # Maps do not grow without end.
    spacing = (2 if spaced and max(shape) < 6 else 1,) * (len(shape) - 1)
    if kind == 0:
        n = len(shape) - 1
        kernel = tuple(int(rng.integers(1, 3)) for _ in range(n))
        padding = ((1, 0),) * n
        window = Window(shape[1:], kernel, (1,) * n, padding, (1,) * n, spacing)
        weight = rng.integers(low, high + 1, (int(rng.integers(1, 4)), shape[0], *kernel))
        return Conv(weight, shape[0], window)
    if kind == 1:
        n = len(shape) - 1
        window = Window(shape[1:], (2,) * n, (1,) * n, ((0, 0),) * n, (1,) * n, spacing)
        return SumPool(rng.integers(1, 4, shape[0]), window)
    if kind == 2:
        return _sparse(rng, shape, (3, 2), 3)
    n_in = int(np.prod(shape))
    return Dense(rng.integers(low, high + 1, (int(rng.integers(1, 7)), n_in)), shape)


def _sparse(
    rng: np.random.Generator, pre: tuple[int, ...], post: tuple[int, ...], top: int
) -> Sparse:
    n_pre, n_post = int(np.prod(pre)), int(np.prod(post))
    count = max(1, n_pre * n_post // 3)
    flat = rng.choice(n_pre * n_post, count, replace=False)
    return Sparse(rng.integers(-top, top + 1, count), flat // n_pre, flat % n_pre, pre, post)
