"""Where the proofs of the native kernels end: each width at its last value and one beyond it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from neurodeploy.execution.native import library
from neurodeploy.execution.native.engine import NativeEngine
from neurodeploy.execution.native.widths import QUOTIENTS, WIDE, needs_64_bits
from neurodeploy.ir.bounds import prove_bounds
from neurodeploy.ir.connectivity import Conv, Dense, identity
from neurodeploy.ir.fixed_point import DECAY_ONE
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Output, Population
from neurodeploy.ir.neurons import IntegerNeuron
from neurodeploy.ir.reference import run_reference
from neurodeploy.testing.parts import current, integrator, net, neuron, project, spikes, window
from tests.conformance.fuzz.check import difference
from tests.conformance.fuzz.totals import expect_the_same
from tests.execution.emulated import needs_kernels

pytestmark = needs_kernels
INT16, INT32 = 2**15 - 1, 2**31 - 1


def exact(
    kernels: library.Library, netlist: IntegerNetlist, stimulus: Mapping[str, Any]
) -> NativeEngine:
    """Every spike, membrane and total equals the reference; the engine that ran."""
    engine = NativeEngine(netlist, kernels, threads=1)
    names = [p.name for p in netlist.populations]
    want = run_reference(netlist, stimulus, membranes=names)
    got = engine.run(stimulus, membranes=names)
    assert difference(netlist, got, want) is None
    expect_the_same(engine, netlist, stimulus, want)
    return engine


def dense_net(
    weight: Any, source: Population, *, timesteps: int = 3, bits: int = 16, e: Any = 0
) -> IntegerNetlist:
    weight = np.asarray(weight)
    readout = integrator("out", weight.shape[:1])
    link = project("in", "out", Dense(weight, source.shape), bits=bits, exponent=e)
    return net("edge", [source, readout], [link], ["out"], timesteps)


def extremes(source: Population, timesteps: int = 3) -> dict[str, Any]:
    """All at the top, all at the bottom, alternating, and nothing."""
    model = source.model
    shape = (timesteps, *source.shape)
    rng = np.random.default_rng(0)
    either = rng.choice([model.low, model.high], size=shape)
    return {"in": np.stack([np.full(shape, model.high), np.full(shape, model.low), either])}


@pytest.mark.parametrize(
    ("weights", "low", "high", "path"),
    [
        ([INT16], 0, 1, "rows, 16-bit"),
        ([INT16 - 3, 1, 1, 1], 0, 1, "rows, 16-bit"),
        ([-INT16], -1, 1, "rows, 16-bit"),
        ([-INT16 - 1], 0, 1, "rows, 32-bit"),
        ([INT16, 1], 0, 1, "rows, 32-bit"),
        # Products that wrap on the way to a sum that fits.
        ([181] * 1, -181, 181, "rows, 16-bit"),
        ([1, 1, -1, -1], -8191, 8191, "rows, 16-bit"),
        ([1, 1, -1, -1], -8192, 8192, "rows, 32-bit"),
        ([1], -INT16, INT16, "rows, 16-bit"),
        # Pairs of the largest products.
        ([INT16, INT16], -INT16, INT16, "rows, 32-bit"),
        ([-INT16 - 1, -INT16 - 1], -INT16, INT16, "rows, 32-bit"),
        ([-INT16 - 1] * 2, -INT16 - 1, INT16, "rows, wide sums"),
        ([INT16] * 3, 0, INT16, "rows, wide sums"),
        ([0, 0], 0, INT32, "rows, 16-bit"),
        # Groups of rows that one sum of 16 bits holds.
        ([2047] * 33, 0, 1, "rows, 16-bit by 16"),
        ([-2047] * 47 + [2047], 0, 1, "rows, 16-bit by 16"),
        ([2048] * 33, 0, 1, "rows, 32-bit"),
        ([1] * (INT16 + 20), 0, 1, f"rows, 16-bit by {INT16 // 4 * 4}"),
    ],
)
@pytest.mark.parametrize("channels", [1, 31, 65, 130])
def test_sums_of_rows(
    kernels: library.Library, weights: list[int], low: int, high: int, path: str, channels: int
) -> None:
    if len(weights) > 1000 and channels > 31:
        weights, path = weights[: INT16 - 3], "rows, 16-bit"
    source = spikes("in", (len(weights),), low, high)
    weight = np.tile(np.array(weights), (channels, 1))
    weight[1::2] = 0
    netlist = dense_net(weight, source)
    engine = exact(kernels, netlist, extremes(source))
    assert set(engine.paths.values()) == {path}


@pytest.mark.parametrize(
    ("channels", "width"),
    [(channels, width) for channels in (1, 33, 65, 97, 129, 192) for width in range(1, 7)],
)
def test_neighbours_that_an_event_reaches(
    kernels: library.Library, channels: int, width: int
) -> None:
    source, rng = spikes("in", (20, 2, 6)), np.random.default_rng(channels + width)
    weight = rng.integers(-127, 128, size=(channels, 20, 2, width))
    for padding, e in [
        ((0, 0), 0),
        ((1, 2), rng.integers(0, 4, size=channels)),
        ((width + 2, width + 3), 1),
    ]:
        over = window((2, 6), (2, width), padding=((1, 0), padding))
        conv = Conv(weight, 20, over)
        readout = integrator("out", conv.post_shape)
        link = project("in", "out", conv, exponent=e)
        netlist = net("edge", [source, readout], [link], ["out"], 2)
        engine = exact(kernels, netlist, extremes(source, 2))
        fits = width * -(-channels // 32) <= 6
        assert set(engine.paths.values()) == {"spread, 16-bit" if fits else "rows, 16-bit"}


@pytest.mark.parametrize("e", [0, 22, np.array([0, 22, 5])], ids=str)
@pytest.mark.parametrize("weight", [1, -1, 511])
def test_shifts_of_sums(kernels: library.Library, e: Any, weight: int) -> None:
    source = spikes("in", (5,))
    netlist = dense_net(np.full((3, 5), weight), source, e=e, timesteps=1)
    exact(kernels, netlist, extremes(source, 1))


def still(shape: tuple[int, ...], timesteps: int, populations: list[Population]) -> IntegerNetlist:
    """Populations that hear nothing but zeros."""
    source = spikes("in", (1,))
    links = [
        project("in", p.name, Dense(np.zeros((p.size, 1), dtype=int), (1,))) for p in populations
    ]
    return net("still", [source, *populations], links, [populations[0].name], timesteps)


def silence(timesteps: int) -> dict[str, Any]:
    return {"in": np.zeros((1, timesteps, 1), dtype=int)}


@pytest.mark.parametrize("v0", [INT32, -INT32, INT32 + 1, -INT32 - 1, WIDE - 1, 1 - WIDE])
def test_states_at_the_end_of_their_width(kernels: library.Library, v0: int) -> None:
    layer = neuron("h", (3,), 5, initial_membrane=np.array([v0, 0, -1]))
    engine = exact(kernels, still((3,), 2, [layer]), silence(2))
    assert engine.program.wide == (abs(v0) > INT32)


@pytest.mark.parametrize(("theta", "h", "wide"), [(2047, 2**20, False), (2048, 2**20, True)])
def test_thresholds_times_gains(kernels: library.Library, theta: int, h: int, wide: bool) -> None:
    top = theta * h
    layer = neuron(
        "h",
        (4,),
        theta,
        initial_membrane=np.array([top - 1, -top + 1, top - h, 0]),
        negative_threshold=theta,
        memory=True,
        firing_gain=(h, 1),
    )
    engine = exact(kernels, still((4,), 2, [layer]), silence(2))
    assert engine.program.wide == wide


@pytest.mark.parametrize(("most", "wide"), [(2**20 - 1, False), (2**20, True)])
def test_what_memory_adds_up_to_without_gains(most: int, wide: bool) -> None:
    layer = neuron("h", (2,), 5, negative_threshold=5, memory=True, payload_max=most)
    netlist = still((2,), 2**11, [layer])
    bounds = prove_bounds(netlist)
    assert bounds["h"].magnitude < 2**31
    assert needs_64_bits(netlist, netlist.timesteps, bounds) == wide


def quotients(top: int, most: int, rng: np.random.Generator) -> tuple[Any, Any]:
    """Membranes and thresholds whose quotients lie beside whole numbers, to the largest ones."""
    q = np.concatenate([np.arange(1, 40), 2 ** np.arange(1, 24), rng.integers(1, 2 * most, 3000)])
    q = np.concatenate([q, np.full(500, most), np.full(500, most + 1), np.full(500, most - 1)])
    theta = np.maximum(1, (top // np.minimum(q, top) * rng.random(q.size) ** 0.2).astype(np.int64))
    theta[::3] = top // np.minimum(q[::3], top)
    v = q * theta + rng.integers(-1, 2, q.size)
    v[::7] = top
    theta[::49] = 1
    theta[::98] = top
    return np.clip(v, 0, top), theta


@pytest.mark.parametrize("code", ["integer", "power_of_two"])
@pytest.mark.parametrize("most", [QUOTIENTS // 2, QUOTIENTS - 1, 2**30, 256, 3])
@pytest.mark.parametrize("top", [INT32, WIDE // 4], ids=["32 bits", "wide"])
def test_quotients(kernels: library.Library, code: str, most: int, top: int) -> None:
    if code == "power_of_two":
        most = 2 ** (most.bit_length() - 1)
    v, theta = quotients(top, min(most, 2**24), np.random.default_rng(most))
    shared = {"payload_max": most, "payload_code": code}
    shape = (v.size,)
    layers = [
        neuron("plain", shape, theta, initial_membrane=v, **shared),
        neuron("signed", shape, theta, initial_membrane=-v, negative_threshold=theta, **shared),
        neuron("zero", shape, theta, initial_membrane=v, reset="zero", **shared),
    ]
    engine = exact(kernels, still(shape, 1, layers), silence(1))
    if top > INT32 or most >= QUOTIENTS:
        assert engine.program.wide
    elif code == "integer":
        assert not engine.program.wide
        assert engine.run(silence(1)).spikes["plain"].max() == most


def test_every_payload_of_powers_of_two(kernels: library.Library) -> None:
    power = 2 ** np.arange(1, 21)
    values = np.unique(np.concatenate([np.arange(200), *(power * 3 // 2 + i for i in (-1, 0, 1))]))
    layer = neuron(
        "h",
        values.shape,
        1,
        initial_membrane=values,
        payload_max=2**20,
        payload_code="power_of_two",
    )
    exact(kernels, still(values.shape, 3, [layer]), silence(3))


@pytest.mark.parametrize("scale", [1, 2**4], ids=["32 bits", "wide"])
@pytest.mark.parametrize("code", ["integer", "power_of_two"])
@pytest.mark.parametrize("most", [1, 3, 2**20])
def test_memory_takes_back_what_was_emitted(
    kernels: library.Library, scale: int, code: str, most: int
) -> None:
    """Large membranes fire, and large input of the other sign makes them take it back."""
    rng = np.random.default_rng(most)
    n, T = 300, 4
    if code == "power_of_two":
        most = 2 ** (most.bit_length() - 1)
    theta = rng.integers(1, 2**20, n) * scale
    theta[:20] = rng.integers(1, 300, 20)
    layer = neuron(
        "h",
        (n,),
        theta,
        initial_membrane=rng.integers(0, 2**29, n) * scale,
        negative_threshold=rng.integers(1, 2**20, n) * scale,
        memory=True,
        payload_max=most,
        payload_code=code,
    )
    source = spikes("in", (n,), -1, 1)
    weight = np.diag(rng.integers(1, 2**6, n))
    wide = scale > 1
    link = project(
        "in", "h", Dense(weight * (4 if wide else 1), (n,)), exponent=22 if wide else 20, bits=16
    )
    netlist = net("memory", [source, layer], [link], ["h"], T)
    x = {"in": np.stack([rng.integers(-1, 2, (T, n)), np.full((T, n), -1)])}
    engine = exact(kernels, netlist, x)
    assert engine.program.wide == (scale > 1)
    assert (engine.run(x).spikes["h"] < 0).any()


@pytest.mark.parametrize("du", [1, 2047, 4095, DECAY_ONE])
@pytest.mark.parametrize("top", [INT32, 2**43], ids=["32 bits", "wide"])
def test_decays_of_the_largest_states(kernels: library.Library, du: int, top: int) -> None:
    v0 = np.array([top, -top, top - 1, 1 - top, 1, -1, 4095, -4097])
    layers = [
        integrator("leaks", (8,), initial_membrane=v0, membrane_decay=du),
        neuron(
            "fires",
            (8,),
            top // 2,
            initial_membrane=v0,
            membrane_decay=du,
            current_decay=du,
            reset="zero",
        ),
    ]
    engine = exact(kernels, still((8,), 4, layers), silence(4))
    assert engine.program.wide == (top > INT32)


@pytest.mark.parametrize("beyond", [0, 1])
def test_sums_of_payloads_over_the_window(kernels: library.Library, beyond: int) -> None:
    T = 3
    most = INT32 // T // 2 + beyond
    layers = [
        neuron("h", (2,), 4, bias=4 * most, initial_membrane=0, payload_max=most),
        neuron("back", (2,), 4, bias=-4 * most, negative_threshold=4, payload_max=most),
    ]
    engine = exact(kernels, still((2,), T, layers), silence(T))
    assert engine.summarize(silence(T), totals=["back"]).payload["back"].max() == -T * most


def test_rates_with_gains_beyond_32_bits(kernels: library.Library) -> None:
    gain = (2**20, 2**19, 3)
    layer = neuron("h", (3,), 1, bias=900, payload_max=1000, firing_gain=gain, input_gain=gain)
    netlist = still((3,), 3, [replace(layer, coding="sum")])
    engine = exact(kernels, netlist, silence(3))
    assert engine.summarize(silence(3), rates=["h"]).rates["h"].min() > 2**29


@pytest.mark.parametrize("beyond", [0, 1])
@pytest.mark.parametrize("gains", [(1, 1, 1), (2, 0, 1)])
def test_rates_are_as_wide_as_their_bound(
    kernels: library.Library, gains: tuple[int, ...], beyond: int
) -> None:
    T, most = 3, INT32 // (3 * max(gains)) + beyond
    gain = {} if max(gains) == 1 else {"firing_gain": gains, "input_gain": gains}
    layer = neuron("h", (3,), 1, bias=most, initial_membrane=0, payload_max=most, **gain)
    netlist = still((3,), T, [replace(layer, coding="sum") if gain else layer])
    rates = exact(kernels, netlist, silence(T)).summarize(silence(T), rates=["h"]).rates["h"]
    assert rates.dtype == (np.int64 if beyond else np.int32)
    np.testing.assert_array_equal(rates, sum(gains) * most)


@pytest.mark.parametrize(("weight", "e"), [(INT16, 16), (INT16, 15), (1, 0)])
def test_siblings_of_the_largest_input(kernels: library.Library, weight: int, e: int) -> None:
    weights = np.array([[weight, 0], [0, weight], [-weight, 0]])
    source = spikes("in", (2,))

    def sibling(name: str, sign: int) -> IntegerProjection:
        return project("in", name, Dense(sign * weights, (2,)), exponent=e, bits=16)

    layers = [neuron(n, (3,), max(1, weight << e >> 1)) for n in ("a", "b", "c")]
    links = [sibling("a", 1), sibling("b", -1), sibling("c", 1)]
    netlist = net("siblings", [source, *layers], links, ["a"], 1)
    engine = exact(kernels, netlist, extremes(source, 1))
    assert engine.program.merged == 2
    assert not engine.program.wide


def test_the_lowest_weight_is_not_negated(kernels: library.Library) -> None:
    weights = np.array([[-INT16 - 1, 5]])
    source = spikes("in", (2,))
    links = [
        project("in", "a", Dense(weights, (2,)), bits=16),
        project("in", "b", Dense(np.maximum(-weights, -INT16).clip(max=INT16), (2,)), bits=16),
    ]
    netlist = net("low", [source, neuron("a", (1,), 3), neuron("b", (1,), 3)], links, ["a"], 3)
    assert exact(kernels, netlist, extremes(source)).program.merged == 0


@pytest.mark.parametrize("channels", [40_000, 65_537])
def test_many_channels(kernels: library.Library, channels: int) -> None:
    rng = np.random.default_rng(channels)
    source = spikes("in", (2,))
    layer = neuron("h", (channels,), rng.integers(1, 5, channels))
    links = [
        project("in", "h", Dense(rng.integers(-2, 4, (channels, 2)), (2,))),
        project("h", "out", Dense(rng.integers(-2, 3, (2, channels)), (channels,))),
        project("h", "copy", identity((channels,))),
    ]
    populations = [source, layer, integrator("out", (2,)), neuron("copy", (channels,), 1)]
    netlist = net("many", populations, links, ["out"], 2)
    exact(kernels, netlist, {"in": rng.integers(0, 2, (1, 2, 2))})


@pytest.mark.parametrize("shape", [(1,), (1, 1), (1, 1, 1), (16, 1, 1), (8, 1, 5), (33, 3, 1)])
@pytest.mark.parametrize("timesteps", [1, 2])
def test_the_smallest(kernels: library.Library, shape: tuple[int, ...], timesteps: int) -> None:
    rng = np.random.default_rng(len(shape))
    source = spikes("in", shape)
    layers = [source, neuron("h", shape, 1), current("now", shape, 0, 1), neuron("i", shape, 2)]
    links = [project("in", "h", identity(shape)), project("now", "i", identity(shape))]
    if len(shape) == 3:
        where = window(shape[1:], (1, 1))
        link = Conv(rng.integers(-3, 4, (16, shape[0], 1, 1)), shape[0], where)
        layers.append(neuron("c", link.post_shape, 1))
        links.append(project("h", "c", link))
    layers.append(neuron("alone", (8,), 2, bias=1))
    netlist = net("small", layers, links, ["h"], timesteps)
    x = {
        "in": rng.integers(0, 2, (2, timesteps, *shape)),
        "now": rng.integers(0, 2, (2, *shape)),
    }
    exact(kernels, netlist, x)
    exact(kernels, netlist, {name: np.zeros_like(values) for name, values in x.items()})


def test_an_input_that_is_an_output(kernels: library.Library) -> None:
    source = current("in", (2, 2), -3, 9)
    netlist = IntegerNetlist(
        "inputs",
        (source, spikes("s", (2,), -1, 1), neuron("h", (4,), 3)),
        (IntegerProjection("in", "h", Dense(np.ones((4, 4), dtype=int), (2, 2))),),
        (Output("in", "counts"), Output("s", "counts"), Output("h", "counts")),
        5,
    )
    rng = np.random.default_rng(0)
    x = {"in": rng.integers(-3, 10, (3, 2, 2)), "s": rng.integers(-1, 2, (3, 5, 2))}
    exact(kernels, netlist, x)
    assert isinstance(netlist.by_name["h"].model, IntegerNeuron)
