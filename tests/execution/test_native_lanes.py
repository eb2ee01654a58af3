"""Simple neurons on the sums of their last convolution, and links that are nearly one to one."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from neurodeploy.execution.native import library
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, Sparse, identity
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.testing.parts import (
    conv,
    current,
    dense,
    net,
    neuron,
    pool,
    project,
    spikes,
    sumpool,
    window,
)
from tests.execution.emulated import needs_kernels
from tests.execution.test_native_edges import exact

pytestmark = needs_kernels
GRID = (4, 6)
SHAPE = (8, *GRID)
SIZE = 8 * 4 * 6
PLACES = np.arange(SIZE)


def lanes_net(seed: int, inner: str | None, late: int, exponent: Any) -> IntegerNetlist:
    """Neurons of two binary currents, spikes, and what is left of a cycle, and their opposites."""
    rng = np.random.default_rng(seed)
    near = window(GRID, 3, padding=1)
    parts = [
        current("x", (2, *GRID), 0, 1),
        current("y", (3, *GRID), 0, 1),
        spikes("s", (4, *GRID)),
        neuron("h", SHAPE, rng.integers(1, 20, 8), bias=1),
        neuron("o", SHAPE, rng.integers(1, 20, 8)),
        neuron("g", SHAPE, 9),
        neuron("out", (8,), 5),
    ]
    heard = {
        "x": (conv(rng, 8, 2, near, low=-9, high=10), 1),
        "s": (conv(rng, 8, 4, window(GRID, 1), low=-9, high=10), None),
        "y": (conv(rng, 8, 3, near, low=-9, high=10), late),
    }
    links = []
    for name, (link, delay) in heard.items():
        opposite = Conv(-link.weight, link.channels_in, link.window)
        links.append(project(name, "h", link, delay, exponent=exponent))
        links.append(project(name, "o", opposite, delay, exponent=exponent))
    links.append(project("h", "g", conv(rng, 8, 8, near, low=-3, high=4)))
    links.append(project("g", "out", dense(rng, 8, SHAPE)))
    if inner is not None:
        links.append(project(inner, "h", conv(rng, 8, 8, near, low=-9, high=5)))
    return net("lanes", parts, links, ["out"], 9)


@pytest.mark.parametrize("exponent", [0, 2, np.arange(8) % 3], ids=["one", "shifted", "scaled"])
@pytest.mark.parametrize("late", [1, 3, 15])
@pytest.mark.parametrize("inner", [None, "h", "g"], ids=["no cycle", "own", "two"])
def test_lanes_of_the_last_convolution(
    kernels: library.Library, inner: str | None, late: int, exponent: Any
) -> None:
    """Currents that come early, late and not at all; spikes; cycles; both signs of an input."""
    netlist = lanes_net(late, inner, late, exponent)
    rng = np.random.default_rng(late)
    given = {p.name: rng.integers(0, 2, (2, *p.shape)) for p in netlist.inputs}
    given["s"] = rng.integers(0, 2, (2, 9, 4, *GRID))
    engine = exact(kernels, netlist, given)
    # What takes part in a cycle shares its sum with nobody.
    assert engine.program.merged == (inner is None)


def stem(link: Connectivity) -> IntegerNetlist:
    rng = np.random.default_rng(1)
    parts = [
        current("x", (2, *GRID), 0, 15),
        neuron("h", SHAPE, 60, initial_membrane=5),
        pool("p", 8, window(GRID, 2, 2), signed=True),
        neuron("out", (8,), 5),
    ]
    links = [
        project("x", "h", conv(rng, 8, 2, window(GRID, 3, padding=1), low=-9, high=10)),
        project("h", "p", link),
        project("p", "out", dense(rng, 8, (8, 2, 3))),
    ]
    return net("stem", parts, links, ["out"], 9)


def listed(post: Any, weight: Any = 1) -> Connectivity:
    post = np.asarray(post)
    return Sparse(np.broadcast_to(weight, post.shape), post, PLACES[: post.size], SHAPE, SHAPE)


@pytest.mark.parametrize(
    ("link", "pooled"),
    [
        (lambda: listed(PLACES), 1),
        (lambda: sumpool(8, window(GRID, 1), 1), 1),
        (lambda: listed(PLACES[:-1]), 0),
        (lambda: listed(PLACES, -1), 0),
        (lambda: listed(PLACES, 1 + PLACES % 2), 0),
        (lambda: listed(np.roll(PLACES, 1)), 0),
        (lambda: listed(PLACES.reshape(SHAPE)[:, ::-1].ravel()), 0),
        (lambda: listed(np.roll(PLACES.reshape(SHAPE), 1, 1).ravel()), 0),
        (lambda: listed(np.roll(PLACES.reshape(SHAPE), 1, 0).ravel()), 0),
    ],
    ids=["list", "sum", "hole", "minus", "two", "next", "upside down", "rows", "channels"],
)
def test_maxima_of_links_that_are_nearly_one_to_one(
    kernels: library.Library, link: Callable[[], Connectivity], pooled: int
) -> None:
    images = {"x": np.random.default_rng(0).integers(0, 16, (3, 2, *GRID))}
    assert exact(kernels, stem(link()), images).program.pooled == pooled


@pytest.mark.parametrize(
    "order", list(itertools.permutations(["h1", "h2", "p1", "p2"])), ids=" ".join
)
def test_maxima_beside_those_of_others(kernels: library.Library, order: tuple[str, ...]) -> None:
    """Neurons may be followed by a pool that hears other ones."""
    rng = np.random.default_rng(2)
    maxima = {"p1": window(GRID, 2, 1), "p2": window(GRID, 2, 2)}
    parts = {name: pool(name, 8, place) for name, place in maxima.items()}
    parts |= {"h1": neuron("h1", SHAPE, 50), "h2": neuron("h2", SHAPE, 60)}
    links = []
    for name in ("1", "2"):
        link = conv(rng, 8, 2, window(GRID, 3, padding=1), low=-9, high=10)
        links.append(project("x", f"h{name}", link))
        links.append(project(f"h{name}", f"p{name}", identity(SHAPE)))
        links.append(project(f"p{name}", "out", dense(rng, 8, parts[f"p{name}"].shape)))
    ends = current("x", (2, *GRID), 0, 15), neuron("out", (8,), 5)
    netlist = net("beside", [ends[0], *(parts[n] for n in order), ends[1]], links, ["out"], 9)
    exact(kernels, netlist, {"x": rng.integers(0, 16, (2, 2, *GRID))})


@pytest.mark.parametrize("T", [1, 2, 997])
def test_counts_beside_multiples_of_the_threshold(kernels: library.Library, T: int) -> None:
    """Inputs and membranes by which a crossing falls on the last step, or one beside it."""
    rng = np.random.default_rng(5)
    n = 400
    theta = np.concatenate([rng.integers(1, 40, n // 2), rng.integers(1, 2**18, n // 2)])
    share = rng.choice([1, 2, 3], n), rng.choice([1, 2, 3, 7, 990, T], n)
    drive = theta * share[0] // share[1] + rng.integers(-1, 2, n)
    start = theta - drive * rng.integers(0, T + 2, n) + rng.integers(-1, 2, n)
    start = np.maximum(np.minimum(start, theta - 1), -(2**29))
    parts = [
        current("x", (1, 1, 1), 0, 1),
        neuron("h", (n, 1, 1), theta, bias=drive, initial_membrane=start),
        pool("p", n, window((1, 1), 1)),
        neuron("out", (1,), 5),
    ]
    silent = Conv(np.zeros((n, 1, 1, 1), np.int64), 1, window((1, 1), 1))
    links = [
        project("x", "h", silent),
        project("h", "p", identity((n, 1, 1))),
        project("p", "out", Dense(np.ones((1, n), np.int64), (n, 1, 1))),
    ]
    netlist = net("counts", parts, links, ["out"], T)
    engine = exact(kernels, netlist, {"x": np.ones((1, 1, 1, 1), np.int64)})
    assert engine.program.pooled == 1
