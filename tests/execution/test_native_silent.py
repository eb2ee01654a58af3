"""Convolutions of sources most of whose neurons fire, which are told by those that do not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from neurodeploy.execution.native import library
from neurodeploy.execution.native.links import plan_link
from neurodeploy.execution.native.rows import silent_link
from neurodeploy.ir.connectivity import Conv
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.testing.parts import (
    Rng,
    conv,
    current,
    integrator,
    net,
    neuron,
    pool,
    project,
    spikes,
    window,
)
from tests.execution.emulated import needs_kernels
from tests.execution.test_native_edges import exact

pytestmark = needs_kernels
T = 6
PLACES: dict[str, dict[str, Any]] = {
    "spread": {"size": (4, 5), "kernel": 3, "padding": 1},
    "one row": {"size": (1, 7), "kernel": (1, 3), "padding": 1},
    "one column": {"size": (6, 1), "kernel": (3, 1)},
    "one axis": {"size": (9,), "kernel": 4, "padding": ((2, 1),)},
    "stride": {"size": (5, 6), "kernel": 3, "stride": 2, "padding": ((1, 0), (0, 1))},
    "dilation": {"size": (6, 5), "kernel": 2, "dilation": (1, 3)},
    "spacing": {"size": (3, 4), "kernel": 3, "padding": 1, "spacing": 2},
    "one tap": {"size": (3, 4), "kernel": 1},
}


def planned(netlist: IntegerNetlist) -> list[bool]:
    """Of each projection, whether it has a form for silent neurons."""
    plans = [(q, plan_link(q, 0, 1)) for q in netlist.projections]
    return [silent_link(q, plan) is not None for q, plan in plans]


def drawn(rng: Rng, share: float, shape: tuple[int, ...]) -> Any:
    return (rng.random((2, T, *shape)) < share).astype(np.int64)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("channels", [3, 64, 130])
def test_silent_neurons_of_a_convolution(
    kernels: library.Library, place: str, channels: int
) -> None:
    given = PLACES[place]
    where = window(**given)
    rng = np.random.default_rng(channels)
    for c_out, limit, share in ((7, 12, 0.55), (7, 12, 0.97), (70, 3, 1.0)):
        link = conv(rng, c_out, channels, where, low=-limit, high=limit)
        shape = (channels, *given["size"])
        netlist = net(
            "silent",
            [spikes("x", shape), neuron("out", link.post_shape, 9, bias=2)],
            [project("x", "out", link, exponent=np.arange(c_out) % 3)],
            ["out"],
            T,
        )
        assert planned(netlist) == [True]
        exact(kernels, netlist, {"x": drawn(rng, share, shape)})


def test_pixels_that_fire_beside_pixels_that_do_not(kernels: library.Library) -> None:
    """Exactly half of the channels, one more, one less, all and none, pixel by pixel."""
    rng = np.random.default_rng(0)
    for channels in (8, 9):
        shape = (channels, 5, 6)
        link = conv(rng, 5, channels, window((5, 6), 3, padding=1), low=-9, high=9)
        netlist = net(
            "mixed",
            [spikes("x", shape), neuron("out", link.post_shape, 7)],
            [project("x", "out", link)],
            ["out"],
            T,
        )
        counts = rng.choice([0, channels // 2 - 1, channels // 2, channels // 2 + 1, channels], 30)
        counts[:20] = channels
        order = rng.permuted(np.tile(np.arange(channels)[:, None], (2, T, 1, 30)), axis=2)
        x = (order < counts).reshape(2, T, *shape).astype(np.int64)
        assert x.mean() > 0.5
        exact(kernels, netlist, {"x": x})


def test_several_sources_late_ones_and_a_pool_between(kernels: library.Library) -> None:
    """Siblings of unlike density, delays, a pool whose rows go together, and a current."""
    rng = np.random.default_rng(3)
    size, shape = (6, 6), (8, 6, 6)
    near = window(size, 3, padding=1)
    parts = [
        current("i", (3, *size), 0, 1),
        neuron("often", shape, 10, bias=9),
        neuron("half", shape, 20, bias=11, initial_membrane=rng.integers(0, 20, shape)),
        neuron("seldom", shape, 30, bias=2),
        pool("most", 8, window(size, 3, 1, padding=1)),
        neuron("one", (6, 6, 6), 25, bias=20),
        neuron("two", (6, 6, 6), 60),
        integrator("out", (5, 6, 6)),
    ]
    links = [
        project("i", name, conv(rng, 8, 3, near, low=-2, high=5))
        for name in ("often", "half", "seldom")
    ]
    for name, delay in (("often", 1), ("half", 3), ("seldom", None)):
        link = conv(rng, 6, 8, near, low=-4, high=6)
        links += [project(name, post, link, delay) for post in ("one", "two")]
    each = Conv(np.eye(8, dtype=np.int64)[..., None, None], 8, window(size, 1))
    links.append(project("often", "most", each))
    links.append(project("most", "one", conv(rng, 6, 8, near, low=-4, high=6), 2))
    links.append(project("one", "out", conv(rng, 5, 6, near, low=-4, high=6)))
    links.append(project("two", "out", conv(rng, 5, 6, near, low=-4, high=6)))
    netlist = net("several", parts, links, ["out"], 14)
    engine = exact(kernels, netlist, {"i": rng.integers(0, 2, (2, 3, *size))})
    run = engine.run({"i": rng.integers(0, 2, (2, 3, *size))})
    assert run.spikes["often"].mean() > 0.8
    assert run.spikes["half"].mean() > 0.5
    assert run.spikes["seldom"].mean() < 0.5
    assert run.spikes["one"].mean() > 0.5


def test_what_has_no_such_form() -> None:
    """Groups, sums that are not proved for 16 bits, one channel."""
    rng = np.random.default_rng(0)
    near = window((4, 4), 3, padding=1)
    for link in (
        conv(rng, 4, 4, near, groups=2),
        conv(rng, 4, 40, near, low=100, high=128),
        conv(rng, 4, 1, near),
    ):
        projection = project("x", "y", link)
        assert silent_link(projection, plan_link(projection, 0, 1)) is None
