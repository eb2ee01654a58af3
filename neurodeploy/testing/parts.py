"""Parts of small integer netlists in short spellings: numbers where the IR takes arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from neurodeploy.errors import NetlistError
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, Sparse, SumPool
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Output, Population
from neurodeploy.ir.neurons import Input, IntegerNeuron, MaxPool

__all__ = [
    "conv",
    "current",
    "dense",
    "integrator",
    "net",
    "neuron",
    "pool",
    "project",
    "sparse",
    "spikes",
    "sumpool",
    "window",
]

Shape = tuple[int, ...]
Sizes = int | Shape
Padding = int | Sequence[int | tuple[int, int]]
Rng = np.random.Generator

OF_POPULATIONS = ("unit", "source", "coding", "mean")
OF_NEURONS = tuple(f.name for f in fields(IntegerNeuron))
ARRAYS = (
    *("threshold", "bias", "initial_membrane", "negative_threshold", "reset_value", "floor"),
    *("current_decay", "membrane_decay"),
)


def current(name: str, shape: Shape, low: int = 0, high: int = 255) -> Population:
    """An input of one integer per neuron and sample, within [low, high]."""
    return Population(name, shape, Input("current", low, high))


def spikes(name: str, shape: Shape, low: int = 0, high: int = 1) -> Population:
    """An input of rasters of integers within [low, high]."""
    return Population(name, shape, Input("spikes", low, high))


def neuron(name: str, shape: Shape, threshold: Any = 50, **options: Any) -> Population:
    """Neurons; options are the fields of :class:`IntegerNeuron` and :class:`Population`.

    Raises
    ------
    NetlistError
        For an option that neither has, or a value that it does not take.
    """
    given = {"threshold": threshold, "bias": 0, "initial_membrane": 0, **options}
    of_population = {k: given.pop(k) for k in OF_POPULATIONS if k in given}
    for option in given:
        if option not in OF_NEURONS:
            known = ", ".join((*OF_NEURONS, *OF_POPULATIONS))
            raise NetlistError(f"{name}: no option {option!r} of neurons; options: {known}")
    for quantity in ARRAYS:
        if given.get(quantity) is not None:
            given[quantity] = np.asarray(given[quantity])
    return Population(name, shape, IntegerNeuron(**given), **of_population)


def integrator(name: str, shape: Shape, **options: Any) -> Population:
    """Neurons without threshold, read by their membrane."""
    return neuron(name, shape, None, **options)


def pool(
    name: str,
    channels: int,
    where: Window,
    rule: Any = "maximum",
    signed: bool = False,
    input_gain: Sequence[int] = (),
) -> Population:
    """A max-pooling population."""
    model = MaxPool(channels, where, rule, signed, tuple(input_gain))
    return Population(name, model.output_shape, model)


def window(
    size: Shape,
    kernel: Sizes,
    stride: Sizes = 1,
    padding: Padding = 0,
    dilation: Sizes = 1,
    spacing: Sizes = 1,
) -> Window:
    """A window; one number counts for every axis, one number of padding for both ends."""
    n = len(size)

    def axes(value: Sizes) -> Shape:
        return (value,) * n if isinstance(value, int) else tuple(value)

    sides = (padding,) * n if isinstance(padding, int) else tuple(padding)
    pairs = tuple((p, p) if isinstance(p, int) else tuple(p) for p in sides)
    return Window(size, axes(kernel), axes(stride), pairs, axes(dilation), axes(spacing))  # type: ignore[arg-type]


def dense(rng: Rng, n_post: int, shape: Shape, low: int = -30, high: int = 45) -> Dense:
    """All to ``n_post`` neurons, weights drawn from [low, high)."""
    return Dense(rng.integers(low, high, (n_post, int(np.prod(shape)))), shape)


def conv(
    rng: Rng,
    c_out: int,
    c_in: int,
    where: Window,
    groups: int = 1,
    low: int = -30,
    high: int = 45,
) -> Conv:
    """A convolution, weights drawn from [low, high)."""
    weight = rng.integers(low, high, (c_out, c_in // groups, *where.kernel))
    return Conv(weight, c_in, where, groups)


def sumpool(channels: int, where: Window, weight: int | Sequence[int] | AnyArray) -> SumPool:
    """Sum pooling; fewer weights than channels are repeated."""
    return SumPool(np.resize(np.asarray(weight), channels), where)


def sparse(
    rng: Rng, pre: Shape, post: Shape, density: float = 0.3, low: int = -30, high: int = 45
) -> Sparse:
    """A share of all pairs of two populations of any shape, weights drawn from [low, high)."""
    mask = rng.random((int(np.prod(post)), int(np.prod(pre)))) < density
    rows, columns = np.nonzero(mask)
    return Sparse(rng.integers(low, high, rows.size), rows, columns, pre, post)


def project(
    pre: str,
    post: str,
    connectivity: Connectivity,
    delay: int | None = None,
    *,
    exponent: Any = 0,
    bits: int = 8,
) -> IntegerProjection:
    """A projection of weights of 8 bits, unless told otherwise."""
    return IntegerProjection(pre, post, connectivity, delay, np.asarray(exponent), bits)


def net(
    name: str,
    populations: Sequence[Population],
    projections: Sequence[IntegerProjection],
    outputs: Sequence[str | Output],
    timesteps: int = 12,
) -> IntegerNetlist:
    """A netlist; outputs named alone are decoded by counts if they fire, else by membrane."""
    models = {p.name: p.model for p in populations}
    silent = {n for n, m in models.items() if isinstance(m, IntegerNeuron) and not m.fires}
    read = tuple(
        n if isinstance(n, Output) else Output(n, "membrane" if n in silent else "counts")
        for n in outputs
    )
    return IntegerNetlist(name, tuple(populations), tuple(projections), read, timesteps)
