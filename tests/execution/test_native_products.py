"""Convolutions of sources whose events carry something, written out where many fire."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from neurodeploy.execution.native import library
from neurodeploy.execution.native.engine import NativeEngine
from neurodeploy.execution.native.links import plan_link
from neurodeploy.ir.connectivity import Conv
from neurodeploy.ir.netlist import Population
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
    sumpool,
    window,
)
from tests.execution.emulated import needs_kernels
from tests.execution.test_native_edges import exact

pytestmark = needs_kernels
T = 5
PLACES: dict[str, dict[str, Any]] = {
    "padding": {"size": (4, 5), "kernel": 3, "padding": 1},
    "one row": {"size": (1, 7), "kernel": (1, 3), "padding": 1},
    "one column": {"size": (6, 1), "kernel": (3, 1)},
    "one axis": {"size": (9,), "kernel": 4, "padding": ((2, 1),)},
    "stride": {"size": (5, 9), "kernel": 3, "stride": 2, "padding": ((1, 0), (0, 1))},
    "stride beyond the kernel": {"size": (7, 8), "kernel": 2, "stride": 3},
    "what no kernel meets": {"size": (6, 10), "kernel": 2, "stride": (1, 4), "padding": 1},
    "dilation": {"size": (6, 9), "kernel": 2, "dilation": (1, 3), "padding": 2},
    "both dilated": {"size": (9, 9), "kernel": 3, "dilation": 2, "stride": 2, "padding": 2},
    "spacing of rows": {"size": (3, 4), "kernel": 3, "padding": 1, "spacing": (2, 1)},
    "one tap": {"size": (3, 6), "kernel": 1},
}


def drawn(rng: Rng, shape: tuple[int, ...], share: float, low: int, high: int) -> Any:
    """Payloads from low to high, both of them there, of a share of all neurons."""
    values = rng.integers(low, high + 1, shape)
    values.flat[:2] = low, high
    return np.where(rng.random(shape) < share, values, 0)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("channels", [1, 3, 64])
def test_payloads_of_a_convolution(kernels: library.Library, place: str, channels: int) -> None:
    given = PLACES[place]
    where = window(**given)
    rng = np.random.default_rng(channels)
    shape = (channels, *given["size"])
    for c_out, low, high, share in ((7, -9, 20, 1.0), (40, -3, 3, 0.5), (70, 0, 255, 0.1)):
        link = conv(rng, c_out, channels, where, low=-20, high=30)
        netlist = net(
            "payloads",
            [spikes("x", shape, low, high), neuron("out", link.post_shape, 90, bias=2)],
            [project("x", "out", link, exponent=np.arange(c_out) % 3)],
            ["out"],
            T,
        )
        assert "products" in plan_link(netlist.projections[0], low, high).arrays
        exact(kernels, netlist, {"x": drawn(rng, (2, T, *shape), share, low, high)})


@pytest.mark.parametrize("place", [*PLACES, "spacing"])
@pytest.mark.parametrize("channels", [1, 19, 67])
def test_each_channel_alone(kernels: library.Library, place: str, channels: int) -> None:
    """Depthwise convolutions and sums over windows, of payloads and of ones."""
    given = {"size": (3, 4), "kernel": 3, "spacing": 2} if place == "spacing" else PLACES[place]
    where = window(**given)
    rng = np.random.default_rng(channels)
    shape = (channels, *given["size"])
    for low, high, share in ((-9, 20, 1.0), (0, 1, 0.6), (0, 255, 0.1)):
        depthwise = conv(rng, channels, channels, where, channels, low=-20, high=30)
        pooled = sumpool(channels, where, rng.integers(-9, 9, channels))
        links = [project("x", "a", depthwise, exponent=np.arange(channels) % 3)]
        links += [project("x", "b", pooled, 2)]
        post = depthwise.post_shape
        parts = [spikes("x", shape, low, high), neuron("a", post, 90), neuron("b", post, 40)]
        netlist = net("alone", parts, links, ["a", "b"], T)
        assert channels == 1 or "by_tap" in plan_link(links[0], low, high).arrays
        exact(kernels, netlist, {"x": drawn(rng, (2, T, *shape), share, low, high)})


GROUPED = ((2, 1, 3), (3, 8, 8), (2, 5, 40), (11, 3, 5), (40, 2, 1), (9, 1, 7), (4, 16, 24))
"""Groups, channels of each, receiving ones of each: units of 32 lanes end within groups too."""


@pytest.mark.parametrize("groups", GROUPED, ids=str)
def test_groups(kernels: library.Library, groups: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(groups)
    n, each, fan = groups
    payloads = ((-9, 20, 1.0), (0, 1, 0.9), (0, 255, 0.1))
    places = [place for place in PLACES if not place.startswith("spacing")]
    for i, place in enumerate(places):
        low, high, share = payloads[(i + GROUPED.index(groups)) % 3]
        shape = (n * each, *PLACES[place]["size"])
        link = conv(rng, n * fan, n * each, window(**PLACES[place]), n, low=-20, high=30)
        netlist = net(
            "groups",
            [spikes("x", shape, low, high), neuron("out", link.post_shape, 90, bias=2)],
            [project("x", "out", link, exponent=np.arange(n * fan) % 3 if i % 2 else 2)],
            ["out"],
            T,
        )
        # Where most of the source is under no kernel, events are always fewer.
        found = "products" in plan_link(netlist.projections[0], low, high).arrays
        assert found or place == "what no kernel meets"
        exact(kernels, netlist, {"x": drawn(rng, (2, T, *shape), share, low, high)})


def test_states_of_64_bits(kernels: library.Library) -> None:
    rng = np.random.default_rng(0)
    near = window((4, 5), 3, padding=1)
    x = spikes("x", (35, 4, 5), -9, 20)
    parts = [x, neuron("a", (37, 4, 5), 2**33, bias=2**30), integrator("b", (35, 4, 5))]
    links = [
        project("x", "a", conv(rng, 37, 35, near), exponent=np.arange(37) % 20),
        project("x", "b", conv(rng, 35, 35, near, 35), exponent=np.arange(35) % 20),
    ]
    netlist = net("wide", parts, links, ["a", "b"], 12)
    assert exact(kernels, netlist, {"x": drawn(rng, (2, 12, 35, 4, 5), 0.8, -9, 20)}).program.wide


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_sums_at_the_end_of_32_bits(kernels: library.Library, channels: int) -> None:
    """Payloads and weights of 16 bits, as large as the proof lets them be, of either sign."""
    where = window((3, 6), 1)
    limit = (2**31 - 1) // channels // (2**15 - 1)
    limit = min(limit, 2**15 - 1)
    weight = np.full((33, channels, 1, 1), limit)
    weight[::2] *= -1
    shape = (channels, 3, 6)
    low, high = -(2**15 - 1), 2**15 - 1
    x = np.full((2, T, *shape), high)
    x[1] = low
    netlist = net(
        "extremes",
        [spikes("x", shape, low, high), integrator("out", (33, 3, 6))],
        [project("x", "out", Conv(weight, channels, where), bits=16)],
        ["out"],
        T,
    )
    assert "products" in plan_link(netlist.projections[0], low, high).arrays
    exact(kernels, netlist, {"x": x})


def test_several_sources_some_of_them_written_out(kernels: library.Library) -> None:
    """Graded neurons of unlike density, delays, maxima, a current, and binary ones beside them."""
    rng = np.random.default_rng(3)
    size, shape = (6, 6), (8, 6, 6)
    near = window(size, 3, padding=1)

    def graded(name: str, shape: tuple[int, ...], threshold: int, bias: int = 0) -> Population:
        return neuron(
            name, shape, threshold, bias=bias, negative_threshold=threshold, payload_max=9
        )

    parts = [
        current("i", (3, *size), 0, 255),
        graded("often", shape, 40, 90),
        graded("half", shape, 900),
        graded("seldom", shape, 9000),
        neuron("binary", shape, 30, bias=29),
        pool("most", 8, window(size, 3, 1, padding=1), signed=True),
        graded("one", (6, 6, 6), 250),
        integrator("out", (5, 6, 6)),
    ]
    names = ("often", "half", "seldom", "binary")
    links = [project("i", name, conv(rng, 8, 3, near, low=-3, high=5)) for name in names]
    for name, delay in zip(names, (1, 3, None, 2), strict=True):
        links.append(project(name, "one", conv(rng, 6, 8, near, low=-4, high=6), delay))
    each = Conv(np.eye(8, dtype=np.int64)[..., None, None], 8, window(size, 1))
    links.append(project("often", "most", each))
    links.append(project("most", "one", conv(rng, 6, 8, near, low=-4, high=6), 2))
    links.append(project("one", "out", conv(rng, 5, 6, near, low=-4, high=6)))
    netlist = net("several", parts, links, ["out"], 14)
    x = {"i": rng.integers(0, 256, (2, 3, *size))}
    run = exact(kernels, netlist, x).run(x)
    dense = {name: np.count_nonzero(run.spikes[name]) / run.spikes[name].size for name in names}
    assert dense["often"] > 0.5
    assert dense["seldom"] < 0.2


def test_one_source_in_several_links_of_a_stage(kernels: library.Library) -> None:
    """Written out once where links take it alike, anew where padding differs, and with delays."""
    rng = np.random.default_rng(5)
    parts = [spikes("x", (9, 5, 6), -9, 20), neuron("out", (12, 5, 6), 200, bias=5)]
    links = [
        project("x", "out", conv(rng, 12, 9, window((5, 6), kernel, padding=pad), groups), delay)
        for kernel, pad, groups, delay in (
            (3, 1, 1, 1),
            (3, 1, 1, 2),
            (5, 2, 1, 1),
            (3, 1, 3, 3),
            (1, 0, 3, 1),
        )
    ]
    netlist = net("one source", parts, links, ["out"], 8)
    exact(kernels, netlist, {"x": drawn(rng, (2, 8, 9, 5, 6), 0.8, -9, 20)})


def test_within_a_cycle_there_are_events_only(kernels: library.Library) -> None:
    rng = np.random.default_rng(6)
    near = conv(rng, 6, 6, window((4, 4), 3, padding=1), low=-2, high=2)
    graded = [neuron(name, (6, 4, 4), 90, payload_max=9) for name in "abc"]
    pairs = (("x", "a"), ("a", "b"), ("b", "a"), ("b", "c"))
    links = [project(*pair, near, 1) for pair in pairs]
    netlist = net("cycle", [spikes("x", (6, 4, 4), 0, 9), *graded], links, ["c"], 6)
    engine = NativeEngine(netlist, kernels, threads=1)
    assert [", or products" in path for path in engine.program.paths] == [False] * 3 + [True]


def test_what_has_no_such_form() -> None:
    """Binary sources, payloads or sums that are too large, cells that stand apart."""
    rng = np.random.default_rng(0)
    near = window((4, 4), 3, padding=1)
    plain = conv(rng, 4, 4, near)
    for link, bits, high in (
        (plain, 8, 1),
        (conv(rng, 4, 4, near, groups=4), 8, 2**15),
        (plain, 8, 2**15),
        (Conv(np.full((4, 4, 3, 3), 2**14), 4, near), 16, 2**14),
        (conv(rng, 4, 4, window((4, 4), 3, padding=1, spacing=2)), 8, 9),
    ):
        found = plan_link(project("a", "b", link, bits=bits), 0, high)
        assert not {"products", "by_tap"} & set(found.arrays)
    assert "products" in plan_link(project("a", "b", plain), 0, 9).arrays
