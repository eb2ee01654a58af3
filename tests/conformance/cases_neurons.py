"""Cases: resets, quantities, signs, payloads, decays, equality, saturation, silence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from neurodeploy.ir.bounds import STATE_LIMIT, prove_bounds
from neurodeploy.ir.connectivity import Dense, Sparse
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.record import Stimulus
from tests.conformance.netlists import (
    Rng,
    T,
    chain,
    current,
    dense,
    dense_to,
    integrator,
    net,
    neuron,
    project,
    raster,
    sparse,
    spikes,
)
from tests.conformance.registry import Build, add


def _neuron(keep: Sequence[str] = (), **options: object) -> Build:
    """Signed drive into a hidden population with the given options, read by two more."""

    def build(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
        x = spikes("x", (8,))
        hidden = neuron("h", (2, 3, 2), **{"threshold": 60, **options})
        link = dense_to(rng, (8,), (2, 3, 2))
        return chain(rng, x, raster(rng, x), hidden, project("x", "h", link))

    return build


def _pieces(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
    x = spikes("x", (8,))
    shape = (2, 3, 2)
    channel = neuron("channel", shape, [40, 90], bias=[5, -3], v0=[20, -30], negative=[50, 70])
    each = neuron(
        "each",
        shape,
        rng.integers(30, 120, shape),
        bias=rng.integers(-10, 15, shape),
        v0=rng.integers(-40, 40, shape),
        negative=rng.integers(30, 120, shape),
    )
    layers = [x, channel, each, integrator("out", (2, 2), v0=[[5, -7], [900, 0]], bias=[3, -4])]
    links = [
        project("x", "channel", dense_to(rng, (8,), shape)),
        project("channel", "each", sparse(rng, shape, shape)),
        project("each", "out", dense_to(rng, shape, (2, 2))),
    ]
    return net("quantities", layers, links, ["out"]), raster(rng, x)


def _graded_delay(signed: bool, delay: int) -> Build:
    def build(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
        x = spikes("x", (6,), -9 if signed else 0, 9)
        shared = {"negative": 6} if signed else {}
        layers = [x, neuron("a", (6,), 5, payload_max=100, **shared)]
        layers.append(neuron("b", (5,), 60, payload_max=40, **shared))
        layers.append(integrator("out", (3,)))
        weight = rng.integers(-5, 6, (6, 6))
        links = [
            project("x", "a", Dense(weight, (6,)), delay),
            project("a", "b", dense(rng, 5, (6,), -9, 14), delay),
            project("b", "out", dense(rng, 3, (5,)), delay),
        ]
        # Two of three steps carry a payload, never the same twice in a row.
        steps = raster(rng, x, rate=0.65)["x"]
        return net("payloads", layers, links, ["out"]), {"x": steps}

    return build


def _graded_misaligned(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
    x = spikes("x", (6,), -9, 9)
    layers = [x, neuron("a", (6,), 15, payload_max=7, negative=9), neuron("b", (5,), 60)]
    layers.append(neuron("c", (5,), 60, payload_max=3))
    links = [project("x", "a", dense(rng, 6, (6,), -5, 6), 1)]
    links += [project("a", "b", dense(rng, 5, (6,), -9, 14), d) for d in (1, 2, 5)]
    links += [project("a", "c", dense(rng, 5, (6,), -9, 14), 3)]
    links += [project("b", "c", dense(rng, 5, (5,), -9, 14), 2)]
    return net("payloads", layers, links, ["b", "c"]), raster(rng, x)


def _v_equals_theta(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
    # Each weight times a whole number of spikes meets the threshold exactly, on both sides.
    x = spikes("x", (4,), -1, 1)
    h = neuron("h", (2, 4), [[2, 3, 4, 5], [1, 2, 2, 3]], negative=[2, 3])
    plus = neuron("plus", (4,), [3, 6, 9, 12], bias=3)
    index = np.tile(np.arange(4), 2)
    link = Sparse(np.repeat([1, -1], 4), np.arange(8), index, (4,), (2, 4))
    layers = [x, h, plus, integrator("out", (2,))]
    links = [project("x", "h", link), project("h", "out", dense(rng, 2, (2, 4)))]
    links.append(project("plus", "out", dense(rng, 2, (4,)), 2))
    return net("equality", layers, links, ["out"]), raster(rng, x, rate=0.5)


def _saturation(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
    # The largest proved membranes are the limit itself, and the first sample reaches it.
    x = current("x", (2,))
    most = 255 * (127 << 4)
    start = STATE_LIMIT - T * most
    sides = np.array([[127, 0], [0, -127]])
    edge = neuron("edge", (2,), STATE_LIMIT, v0=[start, -start], negative=STATE_LIMIT, reset="zero")
    layers = [x, edge, integrator("top", (2,), v0=[start, -start])]
    layers.append(neuron("after", (2,), 1))
    links = [
        project("x", "edge", Dense(sides, (2,)), e=4),
        project("x", "top", Dense(sides, (2,)), e=4),
        project("edge", "after", Dense(np.array([[1, 0], [0, -1]]), (2,))),
    ]
    netlist = net("saturation", layers, links, ["top", "after"])
    assert max(b.magnitude for b in prove_bounds(netlist).values()) == STATE_LIMIT
    return netlist, {"x": np.array([[255, 255], [254, 255], [0, 17]])}


def _silence(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
    x = spikes("x", (5,))
    layers = [x, neuron("h", (6,), 100_000), neuron("out", (3,))]
    links = [project("x", "h", dense(rng, 6, (5,))), project("h", "out", dense(rng, 3, (6,)))]
    return net("silence", layers, links, ["out"]), raster(rng, x)


def _no_input_spikes(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
    netlist, stimulus = _silence(rng)
    eager = [
        replace(p, model=replace(p.model, threshold=np.array(1))) if p.name == "h" else p
        for p in netlist.populations
    ]
    return replace(netlist, populations=tuple(eager)), {"x": np.zeros_like(stimulus["x"])}


def _bias_only(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
    x = spikes("x", (3,))
    layers = [x, neuron("clock", (4,), [7, 10, 20, 30], bias=[2, 3, 5, 7]), neuron("out", (3,), 40)]
    links = [project("clock", "out", dense(rng, 3, (4,), -5, 30))]
    links.append(project("x", "out", dense(rng, 3, (3,), -5, 30)))
    return net("bias", layers, links, ["out"]), raster(rng, x)


for _reset in ("subtract", "zero", "none"):
    add(f"reset_{_reset}", _neuron(reset=_reset))
    add(f"signed_reset_{_reset}", _neuron(reset=_reset, negative=45))
    add(f"graded_reset_{_reset}", _neuron(reset=_reset, payload_max=4, threshold=15))
add("initial_membrane", _neuron(v0=31))
add("initial_membrane_above_threshold", _neuron(v0=400))
add("quantities_per_channel_and_neuron", _pieces)
add("leak", _neuron(membrane_decay=700, threshold=40))
add("leak_negative_rounding", _neuron(membrane_decay=333, negative=35, bias=-7, threshold=25))
add("leak_total", _neuron(membrane_decay=4096))
add("current_decay", _neuron(current_decay=1234, threshold=150))
add("current_decay_none", _neuron(current_decay=0, threshold=400, negative=400))
add("current_decay_and_leak", _neuron(current_decay=2000, membrane_decay=91, negative=80, bias=-3))
add("graded_payload_cap", _neuron(payload_max=2, threshold=10, v0=95))
for _d in (1, 2, 5):
    add(f"graded_delay_{_d}", _graded_delay(False, _d))
    add(f"signed_graded_delay_{_d}", _graded_delay(True, _d))
add("signed_graded_misaligned", _graded_misaligned)
add("v_equals_theta", _v_equals_theta, tune=False)
add("saturation_edge", _saturation, tune=False)
add("silence", _silence, tune=False, silent=("h", "out"))
add("silence_without_input", _no_input_spikes, tune=False, silent=("h", "out"))
add("bias_only_population", _bias_only)
