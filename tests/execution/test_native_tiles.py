"""Convolutions and dense maps in tiles of products: all steps of a row of neurons at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from neurodeploy.execution.native import library, tiles
from neurodeploy.execution.native.engine import NativeEngine
from neurodeploy.execution.native.links import plan_link
from neurodeploy.execution.native.stream import NativeStream
from neurodeploy.ir.bounds import prove_bounds
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.record import RunRecord, Stimulus, joined_steps
from neurodeploy.ir.reference import run_reference
from neurodeploy.testing.parts import (
    Rng,
    conv,
    current,
    dense,
    integrator,
    net,
    neuron,
    pool,
    project,
    spikes,
    sumpool,
    window,
)
from tests.conformance.cases import CASES, assert_exact, case, stateful
from tests.execution import emulated
from tests.execution.test_native_edges import exact
from tests.execution.test_native_products import PLACES, drawn

PAYLOADS = (
    (0, 1, 0.3),
    (0, 255, 0.6),
    (-128, 127, 0.6),
    (-3, 100, 1.0),
    (0, 256, 0.6),
    (-(2**15), 2**15 - 1, 1.0),
)
"""The least and the most that is sent, and the share of neurons that send something."""


@pytest.fixture
def kernels() -> library.Library:
    """Those with tiles, emulated where the processor has none."""
    why = emulated.why_not("amx")
    if why is not None:
        pytest.skip(f"native amx: {why}")
    return emulated.kernels("amx")


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles as soon as anything fires."""
    monkeypatch.setattr(tiles, "TILED_FROM", 0)


pytestmark = [emulated.needs_kernels, pytest.mark.usefixtures("always")]


def tiled(engine: NativeEngine) -> list[bool]:
    return [", or tiles" in path for path in engine.program.paths]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("payloads", PAYLOADS, ids=str)
def test_convolutions(
    kernels: library.Library, place: str, payloads: tuple[int, int, float]
) -> None:
    low, high, share = payloads
    given = PLACES[place]
    where = window(**given)
    rng = np.random.default_rng(PAYLOADS.index(payloads))
    for c_in, c_out, steps in ((1, 5, 5), (3, 16, 17), (22, 33, 3), (67, 20, 16), (5, 50, 34)):
        shape = (c_in, *given["size"])
        link = conv(rng, c_out, c_in, where, low=-128, high=128)
        netlist = net(
            "payloads",
            [spikes("x", shape, low, high), neuron("out", link.post_shape, 90, bias=2)],
            [project("x", "out", link, exponent=np.arange(c_out) % 3 if c_in > 3 else 2)],
            ["out"],
            steps,
        )
        assert tiled(
            exact(kernels, netlist, {"x": drawn(rng, (2, steps, *shape), share, low, high)})
        ) == [True]


@pytest.mark.parametrize("width", [1, 3, 15, 16, 17, 31, 32, 33, 50])
@pytest.mark.parametrize("steps", [1, 2, 15, 16, 17, 33])
def test_rows_of_pixels_and_steps_that_do_not_fill_tiles(
    kernels: library.Library, width: int, steps: int
) -> None:
    rng = np.random.default_rng(width)
    shape = (6, 3, width)
    link = conv(rng, 18, 6, window((3, width), 3, padding=1))
    parts = [spikes("x", shape), neuron("out", link.post_shape, 200)]
    netlist = net("widths", parts, [project("x", "out", link)], ["out"], steps)
    exact(kernels, netlist, {"x": drawn(rng, (2, steps, *shape), 0.4, 0, 1)})


@pytest.mark.parametrize("shape", [(1,), (63,), (64,), (65,), (300,), (5, 3, 7), (7, 9)], ids=str)
def test_dense_maps(kernels: library.Library, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(len(shape))
    for n_post, steps, (low, high, share) in (
        (1, 4, PAYLOADS[0]),
        (40, 20, PAYLOADS[1]),
        (16, 33, PAYLOADS[2]),
        (130, 16, PAYLOADS[3]),
        (20, 5, PAYLOADS[4]),
        (33, 17, PAYLOADS[5]),
    ):
        parts = [spikes("x", shape, low, high), neuron("out", (n_post,), 300, bias=1)]
        link = dense(rng, n_post, shape, -128, 128)
        netlist = net("dense", parts, [project("x", "out", link)], ["out"], steps)
        x = np.where(rng.random((3, steps, *shape)) < share, high, low)
        assert tiled(exact(kernels, netlist, {"x": x})) == [True]


def several(rng: Rng, steps: int) -> IntegerNetlist:
    """Sources of unlike density and payload, delays, and others beside those in tiles."""
    size, shape = (6, 7), (8, 6, 7)
    near = window(size, 3, padding=1)
    names = ("often", "half", "seldom", "binary")
    parts = [
        current("i", (3, *size), 0, 255),
        neuron("often", shape, 40, bias=90, payload_max=9),
        neuron("half", shape, 900, payload_max=700),
        neuron("seldom", shape, 9000, negative_threshold=9000, payload_max=9),
        neuron("binary", shape, 30, bias=29),
        pool("most", 8, window(size, 3, 1, padding=1), signed=True),
        neuron("one", (6, 6, 7), 250, bias=3),
        neuron("other", (6, 6, 7), 250, bias=3),
        integrator("out", (5,)),
    ]
    links = [project("i", name, conv(rng, 8, 3, near, low=-3, high=5)) for name in names]
    for post in ("one", "other"):
        for name, delay in zip(names, (1, 3, None, 2), strict=True):
            links.append(project(name, post, conv(rng, 6, 8, near, low=-4, high=6), delay))
    each = Conv(np.eye(8, dtype=np.int64)[..., None, None], 8, window(size, 1))
    links.append(project("often", "most", each))
    links.append(project("most", "one", conv(rng, 6, 8, near, 2, -4, 6), 2))
    links += [project(name, "out", dense(rng, 5, (6, 6, 7), -4, 6)) for name in ("one", "other")]
    return net("several", parts, links, ["out"], steps)


@pytest.mark.parametrize("steps", [1, 4, 14, 20])
def test_several_sources_of_one_population(kernels: library.Library, steps: int) -> None:
    """Sums are added to sums, of steps that came before, and to what reaches neurons otherwise."""
    rng = np.random.default_rng(steps)
    netlist = several(rng, steps)
    x = {"i": rng.integers(0, 256, (3, 3, 6, 7))}
    engine = exact(kernels, netlist, x)
    assert sum(tiled(engine)) >= 8


@pytest.mark.parametrize("name", list(CASES))
def test_conformance_cases(kernels: library.Library, name: str) -> None:
    c = case(name)

    def run(netlist: IntegerNetlist, stimulus: Stimulus, **options: Any) -> RunRecord:
        return NativeEngine(netlist, kernels, threads=2).run(stimulus, **options)

    assert_exact(run, c, stateful(c.netlist))


@pytest.mark.parametrize("size", [1, 2, 7, 16, 40])
def test_samples_in_pieces(kernels: library.Library, size: int) -> None:
    """Pieces of fewer steps than there is room for, of sources in a cycle as well."""
    rng = np.random.default_rng(size)
    steps, shape = 40, (5, 3, 17)
    near = window(shape[1:], 3, padding=1)
    parts = [
        spikes("x", shape, -9, 99),
        neuron("a", shape, 200, payload_max=9),
        neuron("b", (18, 3, 17), 300),
        integrator("out", (5,)),
    ]
    links = [
        project("x", "a", conv(rng, 5, 5, near)),
        project("a", "a", conv(rng, 5, 5, near, low=-3, high=3), 3),
        project("x", "b", conv(rng, 18, 5, near)),
        project("a", "b", conv(rng, 18, 5, window(shape[1:], (1, 5), padding=((0, 0), (2, 2))))),
        project("b", "out", dense(rng, 5, (18, 3, 17))),
        project("a", "out", dense(rng, 5, shape)),
    ]
    netlist = net("pieces", parts, links, ["out"], steps)
    x = drawn(rng, (2, steps, *shape), 0.5, -9, 99)
    watched = ["a", "b", "out"]
    want = run_reference(netlist, {"x": x}, membranes=watched)
    stream = NativeStream(netlist, kernels, 2, prove_bounds(netlist))
    assert tiled(stream.engine) == [False] * 2 + [True] * 4
    pieces = [x[:, first : first + size] for first in range(0, steps, size)]
    got = joined_steps([stream.step({"x": own}, own.shape[1], watched) for own in pieces])
    assert all(np.array_equal(got.spikes[name], v) for name, v in want.spikes.items())
    assert all(np.array_equal(got.membranes[name], v) for name, v in want.membranes.items())


def test_one_source_in_several_links(kernels: library.Library) -> None:
    """Written out once where links take it alike, anew where padding or entries differ."""
    rng = np.random.default_rng(5)
    parts = [spikes("x", (9, 5, 6), -9, 20), neuron("out", (12, 5, 6), 200, bias=5)]
    kinds = ((3, 1, 1, 1, 8), (3, 1, 1, 2, 8), (5, 2, 1, 1, 8), (3, 1, 3, 3, 8), (3, 1, 1, 9, 9))
    links = []
    for kernel, pad, groups, delay, bits in kinds:
        most = 2 ** (bits - 1)
        link = conv(rng, 12, 9, window((5, 6), kernel, padding=pad), groups, -most, most)
        links.append(project("x", "out", link, delay, bits=bits))
    netlist = net("one source", parts, links, ["out"], 8)
    engine = exact(kernels, netlist, {"x": drawn(rng, (2, 8, 9, 5, 6), 0.8, -9, 20)})
    assert tiled(engine) == [True, True, True, False, False]


def test_siblings_leaks_and_rows_that_differ(kernels: library.Library) -> None:
    """Neurons that share a sum and its negative, that leak, that reset otherwise, row by row."""
    rng = np.random.default_rng(1)
    shape = (10, 4, 5)
    link = conv(rng, 10, 10, window((4, 5), 3, padding=1), low=-9, high=12)
    opposite = Conv(-link.weight, 10, link.window)
    parts = [
        spikes("x", shape),
        neuron("a", shape, 40),
        neuron("b", shape, 60, bias=1),
        neuron("c", shape, 50, membrane_decay=300),
        neuron("d", shape, rng.integers(30, 60, shape), reset="zero"),
    ]
    ways = (("a", link), ("b", opposite), ("c", link), ("d", link))
    links = [project("x", name, way) for name, way in ways]
    netlist = net("siblings", parts, links, list("abcd"), 18)
    engine = exact(kernels, netlist, {"x": drawn(rng, (2, 18, *shape), 0.3, 0, 1)})
    assert tiled(engine) == [True] * 4
    assert engine.program.merged


def test_states_of_64_bits(kernels: library.Library) -> None:
    rng = np.random.default_rng(0)
    near = window((4, 5), 3, padding=1)
    x = spikes("x", (35, 4, 5), -9, 20)
    parts = [x, neuron("a", (37, 4, 5), 2**33, bias=2**30), integrator("b", (5,))]
    links = [
        project("x", "a", conv(rng, 37, 35, near), exponent=np.arange(37) % 20),
        project("x", "b", dense(rng, 5, (35, 4, 5)), exponent=9),
    ]
    netlist = net("wide", parts, links, ["a", "b"], 12)
    engine = exact(kernels, netlist, {"x": drawn(rng, (2, 12, 35, 4, 5), 0.8, -9, 20)})
    assert engine.program.wide
    assert tiled(engine) == [True, True]


@pytest.mark.parametrize(
    ("low", "high", "weight"),
    [(0, 255, 127), (0, 255, -128), (-128, 127, 127), (-128, 127, -128), (-1, 300, 90)],
)
def test_the_largest_sums(kernels: library.Library, low: int, high: int, weight: int) -> None:
    """All bytes and weights as large as they may be, of either sign."""
    n = 70000
    n_post = 3
    weights = np.full((n_post, n), weight)
    weights[1] *= -1
    weights[1] = np.clip(weights[1], -128, 127)
    x = np.full((2, 2, n), high)
    x[1] = low
    parts = [spikes("x", (n,), low, high), integrator("out", (n_post,))]
    fits = n * max(high, -low) * abs(weight) < 2**31
    netlist = net("extremes", parts, [project("x", "out", Dense(weights, (n,)))], ["out"], 2)
    assert tiled(exact(kernels, netlist, {"x": x})) == [fits]


def test_what_has_no_such_form() -> None:
    rng = np.random.default_rng(0)
    near = window((4, 4), 3, padding=1)
    plain = conv(rng, 4, 4, near)
    cases: Sequence[tuple[Connectivity, int, int, int]] = (
        (plain, 8, 0, 2**15),
        (plain, 8, -(2**15) - 1, 5),
        # Of low bytes alone sums do not fit.
        (Dense(np.full((2, 70000), 127), (70000,)), 8, -129, 5),
        (Conv(np.full((4, 4, 3, 3), 128), 4, near), 9, 0, 1),
        (conv(rng, 4, 4, near, groups=2), 8, 0, 1),
        (conv(rng, 4, 4, window((4, 4), 3, padding=1, spacing=2)), 8, 0, 1),
        (Dense(np.full((2, 70000), 127), (70000,)), 8, 0, 255),
        (sumpool(4, near, 1), 8, 0, 1),
    )
    for link, bits, low, high in cases:
        assert "tiles" not in plan_link(project("a", "b", link, bits=bits), low, high, True).arrays
    for low, high in ((0, 255), (-128, 127), (-1, 128), (-(2**15), 2**15 - 1)):
        assert "tiles" in plan_link(project("a", "b", plain), low, high, True).arrays
    assert "tiles" not in plan_link(project("a", "b", plain), 0, 1).arrays


def test_maxima_currents_and_cycles_take_events(kernels: library.Library) -> None:
    rng = np.random.default_rng(6)
    near = conv(rng, 6, 6, window((4, 4), 3, padding=1), low=-2, high=2)
    shape = (6, 4, 4)
    parts = [
        spikes("x", shape),
        current("i", shape),
        *(neuron(name, shape, 90) for name in "abc"),
        pool("most", 6, window((4, 4), 2, 2), signed=True),
    ]
    pairs = (("x", "a"), ("a", "b"), ("b", "a"), ("b", "c"), ("i", "c"), ("c", "most"))
    netlist = net("events", parts, [project(*pair, near, 1) for pair in pairs], ["most"], 6)
    x = {"x": drawn(rng, (2, 6, *shape), 0.5, 0, 1), "i": rng.integers(0, 256, (2, *shape))}
    assert tiled(exact(kernels, netlist, x)) == [False] * 3 + [True, False, False]


def test_they_are_chosen_by_what_fires(
    kernels: library.Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of weights that are wrong in tiles alone, dense samples are wrong and sparse ones are not."""
    monkeypatch.undo()
    rng = np.random.default_rng(0)
    shape = (64, 8, 8)
    link = conv(rng, 64, 64, window((8, 8), 3, padding=1), low=-20, high=20)
    parts = [spikes("x", shape), neuron("out", shape, 200)]
    netlist = net("chosen", parts, [project("x", "out", link)], ["out"], 16)
    x = np.concatenate([drawn(rng, (1, 16, *shape), share, 0, 1) for share in (0.4, 0.005)])
    right = NativeEngine(netlist, kernels, threads=1).run({"x": x}).spikes["out"]
    made: Any = tiles._tiles
    monkeypatch.setattr(tiles, "_tiles", lambda weight: made(-weight))
    wrong = NativeEngine(netlist, kernels, threads=1).run({"x": x}).spikes["out"]
    assert [np.array_equal(a, b) for a, b in zip(right, wrong, strict=True)] == [False, True]


def test_another_thread_and_another_sample(kernels: library.Library) -> None:
    """Tiles are a thread's own: each sets them up for itself, and lets them go."""
    rng = np.random.default_rng(2)
    netlist = several(rng, 8)
    x = {"i": rng.integers(0, 256, (9, 3, 6, 7))}
    want = NativeEngine(netlist, kernels, threads=1, batch_size=1).run(x, membranes=["one"])
    for threads, batch in ((3, 2), (2, 4), (1, 9)):
        engine = NativeEngine(netlist, kernels, threads=threads, batch_size=batch)
        for _ in range(2):
            got = engine.run(x, membranes=["one"])
            assert all(np.array_equal(got.spikes[name], v) for name, v in want.spikes.items())
            assert np.array_equal(got.membranes["one"], want.membranes["one"])
