"""Maxima over neurons of a constant input, which the native engine runs as one neuron each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from neurodeploy.execution.native import library
from neurodeploy.execution.native.engine import NativeEngine
from neurodeploy.ir.connectivity import Conv, Dense, identity
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.reference import run_reference
from neurodeploy.testing.parts import conv, current, net, neuron, pool, project, spikes, window
from tests.execution.emulated import needs_kernels
from tests.execution.test_native_edges import exact

pytestmark = needs_kernels
GRID = (6, 5)


def pooled_net(
    channels: int = 8,
    place: Any = None,
    *,
    seed: int = 0,
    T: int = 20,
    delay: int | None = None,
    source: Any = None,
    rule: Any = "maximum",
    weight: int = 1,
    again: bool = False,
    gain: Any = (),
    pool_signed: bool = False,
    **options: Any,
) -> IntegerNetlist:
    """A constant input, neurons, their maxima, and neurons that hear these."""
    rng = np.random.default_rng(seed)
    place = place or window(GRID, 2, 2)
    shape = (channels, *GRID)
    theta = rng.integers(1, 400, channels)
    # Inputs from far below zero to far above the threshold, and membranes that start deep.
    given = {
        "threshold": theta,
        "bias": rng.integers(-300, 300, channels),
        "initial_membrane": rng.integers(-3 * theta, theta),
        **options,
    }
    source = source or current("x", (2, *GRID), 0, 15)
    maxima = pool("p", channels, place, rule, pool_signed, gain)
    parts = [source, neuron("h", shape, **given), maxima, neuron("out", (4,), 30)]
    late = {} if delay is None else {"delay": delay}
    links = [
        project("x", "h", conv(rng, channels, 2, window(GRID, 3, padding=1), low=-9, high=10)),
        project("h", "p", identity(shape, weight), **late),
        project("p", "out", Dense(rng.integers(-9, 10, (4, maxima.size)), maxima.shape)),
    ]
    if again:
        links.append(project("h", "out", Dense(rng.integers(-9, 10, (4, 30 * channels)), shape)))
    return net("constant", parts, links, ["out"], T)


def images(seed: int = 0, n: int = 3) -> dict[str, Any]:
    return {"x": np.random.default_rng(seed).integers(0, 16, (n, 2, *GRID))}


@pytest.mark.parametrize(
    "place",
    [
        window(GRID, 2, 2),
        window(GRID, 3, 2, padding=1),
        window(GRID, 2, 1),
        window(GRID, (3, 2), (3, 2)),
        window(GRID, 2, 2, dilation=2),
    ],
    ids=str,
)
@pytest.mark.parametrize("channels", [1, 8, 11, 16, 48])
def test_equals_the_reference(kernels: library.Library, channels: int, place: Any) -> None:
    for seed in range(4):
        netlist = pooled_net(channels, place, seed=seed, T=(1, 2, 7, 40)[seed])
        engine = exact(kernels, netlist, images(seed))
        assert engine.program.pooled == 1
        assert engine.paths["h->p"] == "largest input of a window"


@pytest.mark.parametrize("delay", [1, 2, 5, 30])
def test_late_maxima(kernels: library.Library, delay: int) -> None:
    """A longer delay, and one beyond the end."""
    assert exact(kernels, pooled_net(delay=delay), images()).program.pooled == 1


def test_drawn_as_the_maxima_are_wanted(kernels: library.Library) -> None:
    """Rasters of the pool alone come from its neurons of the largest input."""
    netlist = pooled_net()
    engine = NativeEngine(netlist, kernels, threads=1)
    truth = run_reference(netlist, images())
    for names in (["p"], ["out"], ["p", "out"], ["h"], ["h", "p", "out"]):
        found = engine.run(images(), record=names).spikes
        assert set(found) == set(names)
        for name in names:
            np.testing.assert_array_equal(found[name], truth.spikes[name])


@pytest.mark.parametrize("T", [3, 101])
def test_counts_of_every_course(kernels: library.Library, T: int) -> None:
    """Never, late, at every multiple of the threshold, and in every step: a channel each."""
    starts = [-(2**20), -1, 0, 1, 98, 99]
    drives = [-1, 0, 1, 49, 50, 99, 100, 101, 250, 2**20]
    start, drive = np.meshgrid(starts, drives)
    options = {"threshold": 100, "bias": drive.ravel(), "initial_membrane": start.ravel()}
    netlist = pooled_net(start.size, seed=1, T=T, **options)
    silent = replace(
        netlist.projections[0],
        connectivity=Conv(np.zeros((start.size, 2, 3, 3), np.int64), 2, window(GRID, 3, padding=1)),
    )
    netlist = replace(netlist, projections=(silent, *netlist.projections[1:]))
    assert exact(kernels, netlist, images(n=1)).program.pooled == 1


BY_PIXEL = np.arange(8 * 30).reshape(8, *GRID)


@pytest.mark.parametrize(
    "other",
    [
        lambda: pooled_net(rule="winner"),
        lambda: pooled_net(rule="now"),
        lambda: pooled_net(gain=(2,) * 10 + (1,) * 10),
        lambda: pooled_net(weight=2),
        lambda: pooled_net(again=True),
        lambda: pooled_net(initial_membrane=500, threshold=400),
        lambda: pooled_net(bias=BY_PIXEL),
        lambda: pooled_net(threshold=BY_PIXEL + 1, initial_membrane=0),
        lambda: pooled_net(initial_membrane=-BY_PIXEL),
        lambda: pooled_net(payload_max=3),
        lambda: pooled_net(reset="zero"),
        lambda: pooled_net(membrane_decay=100),
        lambda: pooled_net(current_decay=100),
        lambda: pooled_net(
            negative_threshold=50, threshold=50, initial_membrane=0, pool_signed=True
        ),
        lambda: pooled_net(firing_gain=(1, 2) * 10),
        lambda: pooled_net(input_gain=(1, 2) * 10),
        lambda: pooled_net(refractory=1, initial_membrane=0),
        lambda: pooled_net(threshold=2**40),
    ],
)
def test_others_are_run_as_always(
    kernels: library.Library, other: Callable[[], IntegerNetlist]
) -> None:
    assert exact(kernels, other(), images()).program.pooled == 0


def test_maxima_that_may_be_negative(kernels: library.Library) -> None:
    assert exact(kernels, pooled_net(pool_signed=True), images()).program.pooled == 1


def test_spikes_are_no_constant_input(kernels: library.Library) -> None:
    netlist = pooled_net(source=spikes("x", (2, *GRID)))
    raster = np.random.default_rng(0).integers(0, 2, (2, 20, 2, *GRID))
    assert exact(kernels, netlist, {"x": raster}).program.pooled == 0
