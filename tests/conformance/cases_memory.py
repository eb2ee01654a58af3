"""Cases: memory, powers of two, signed and winner pools, pools of inputs, summed coding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from neurodeploy.ir.connectivity import Dense, Sparse, identity
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import IntegerNetlist, Output, Population
from neurodeploy.ir.neurons import MaxPool
from neurodeploy.ir.record import Stimulus
from tests.conformance.netlists import (
    Rng,
    chain,
    current,
    dense,
    dense_to,
    integrator,
    net,
    neuron,
    pixels,
    project,
    raster,
    sparse,
    spikes,
    window,
)
from tests.conformance.registry import Build, add


def _memory(**options: object) -> Build:
    """Signed drive that changes its mind, into neurons that take back."""

    def build(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
        x = spikes("x", (8,), -2, 2)
        shared = {"threshold": 60, "v0": 30, "negative": 1, "memory": True, **options}
        hidden = neuron("h", (2, 3, 2), **shared)
        link = dense_to(rng, (8,), (2, 3, 2))
        return chain(rng, x, raster(rng, x, rate=0.6), hidden, project("x", "h", link))

    return build


def _payload_delay(delay: int, **options: object) -> Build:
    """A payload that changes every step, over delayed synapses."""

    def build(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
        x = spikes("x", (6,), -9, 9)
        layers = [
            x,
            neuron("a", (6,), 5, **options),
            neuron("b", (5,), 11, **options),
            integrator("out", (3,)),
        ]
        links = [
            project("x", "a", Dense(rng.integers(-5, 8, (6, 6)), (6,)), delay),
            project("a", "b", dense(rng, 5, (6,), -9, 14), delay),
            project("b", "out", dense(rng, 3, (5,)), delay),
        ]
        return net("payloads", layers, links, ["out"]), {"x": raster(rng, x, rate=0.65)["x"]}

    return build


_OVERLAPPING = window((5, 4), (3, 2), (2, 1), ((1, 1), (1, 0)))
_DILATED = window((7, 6), (2, 2), (1, 2), ((0, 1), (1, 0)), (2, 2))


def _pool(name: str, channels: int, where: Window, rule: str, signed: bool) -> Population:
    model = MaxPool(channels, where, rule, signed)
    return Population(name, model.output_shape, model)


def _pooled(where: Window, rule: str, signed: bool, **options: object) -> Build:
    def build(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
        x = spikes("x", (8,), -1 if signed else 0, 1)
        shape = (2, *where.input_size)
        hidden = neuron("h", shape, 60, v0=20, **options)
        layers = [x, hidden, _pool("pool", 2, where, rule, signed)]
        layers += [neuron("after", (6,), 80, negative=70), integrator("out", (3,))]
        links = [
            project("x", "h", dense_to(rng, (8,), shape)),
            project("h", "pool", identity(shape)),
            project("pool", "after", dense(rng, 6, layers[2].shape, -40, 60)),
            project("after", "out", dense(rng, 3, (6,))),
        ]
        return net("pooled", layers, links, ["out"]), raster(rng, x, rate=0.2)

    return build


def _pool_of_two(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
    """Cells that add up two populations with weights of both signs."""
    x = spikes("x", (8,))
    shape = (2, *_OVERLAPPING.input_size)
    layers = [x, neuron("a", shape, 50, v0=25), neuron("b", shape, 70, v0=35)]
    layers += [_pool("pool", 2, _OVERLAPPING, "maximum", True), integrator("out", (3,))]
    index = np.arange(int(np.prod(shape)))
    links = [
        project("x", "a", dense_to(rng, (8,), shape)),
        project("x", "b", dense_to(rng, (8,), shape)),
        project("a", "pool", Sparse(rng.integers(1, 9, index.size), index, index, shape, shape)),
        project("b", "pool", Sparse(-rng.integers(1, 9, index.size), index, index, shape, shape)),
        project("pool", "out", dense(rng, 3, layers[3].shape)),
    ]
    return net("pool of two", layers, links, ["out"]), raster(rng, x, rate=0.1)


def _pool_of_input(low: int) -> Build:
    def build(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
        x = current("x", (2, *_OVERLAPPING.input_size), low, 127)
        pool = _pool("pool", 2, _OVERLAPPING, "maximum", low < 0)
        layers = [x, pool, neuron("after", (6,), 9000), integrator("out", (3,))]
        links = [
            project("x", "pool", identity(x.shape)),
            project("pool", "after", dense(rng, 6, pool.shape)),
            project("after", "out", dense(rng, 3, (6,))),
        ]
        return net("pooled input", layers, links, ["out"]), pixels(rng, x, zeros=0.9)

    return build


def _pool_in_cycle(rule: str, delay: int) -> Build:
    """A signed pool that feeds the neurons it pools."""

    def build(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
        x = spikes("x", (8,), -1, 1)
        shape = (2, *_OVERLAPPING.input_size)
        hidden = neuron("h", shape, 60, negative=1, memory=True, payload_max=2)
        layers = [x, hidden, _pool("pool", 2, _OVERLAPPING, rule, True), integrator("out", (3,))]
        links = [
            project("x", "h", dense_to(rng, (8,), shape)),
            project("h", "pool", identity(shape)),
            project("pool", "h", sparse(rng, layers[2].shape, shape), delay),
            project("pool", "out", dense(rng, 3, layers[2].shape)),
        ]
        return net("pool in cycle", layers, links, ["out"]), raster(rng, x, rate=0.1)

    return build


def _changes(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
    """Sigma-delta: changes of a value, an integrator that is read by v itself."""
    x = spikes("x", (6,), -40, 40)
    steps = np.diff(np.cumsum(raster(rng, x, rate=0.3)["x"], axis=1).clip(0, 40), axis=1, prepend=0)
    hidden = neuron("h", (8,), 7, v0=11, negative=1, memory=True, payload_max=4096)
    out = integrator("out", (3,), v0=[4, -9, 100])
    layers = [x, replace(hidden, coding="sum"), replace(out, coding="sum")]
    links = [project("x", "h", dense(rng, 8, (6,))), project("h", "out", dense(rng, 3, (8,)))]
    return net("changes", layers, links, ["out"]), {"x": steps}


def _softmax(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
    x = spikes("x", (6,))
    h = neuron("h", (8,), 60)
    layers = [x, h, integrator("out", (3,), bias=[2, 0, -3])]
    links = [project("x", "h", sparse(rng, (6,), (8,), 0.6))]
    links.append(project("h", "out", dense(rng, 3, (8,))))
    netlist = net("softmax", layers, links, ["out"])
    return replace(netlist, outputs=(Output("out", "softmax"),)), raster(rng, x)


_POWERS = {"payload_code": "power_of_two"}
add("memory", _memory())
add("memory_hysteresis", _memory(negative=25))
add("memory_graded", _memory(threshold=9, payload_max=7))
add("memory_powers_of_two", _memory(threshold=9, payload_max=8, **_POWERS))
add("memory_bias", _memory(bias=-6))
add("memory_leak", _memory(membrane_decay=321, bias=3))
add("memory_current_decay", _memory(current_decay=2100, threshold=90, payload_max=3))
add("powers_of_two", _memory(threshold=9, payload_max=16, negative=None, memory=False, **_POWERS))
add(
    "powers_of_two_signed",
    _memory(threshold=9, payload_max=16, memory=False, negative=12, **_POWERS),
)
add(
    "powers_of_two_zero_reset",
    _memory(threshold=9, payload_max=16, memory=False, negative=12, reset="zero", **_POWERS),
)
for _d in (1, 2, 5):
    _shared = {"negative": 1, "memory": True, "payload_max": 64}
    add(f"memory_delay_{_d}", _payload_delay(_d, **_shared))
    add(f"powers_of_two_delay_{_d}", _payload_delay(_d, **_shared, **_POWERS))
for _name, _where in (("overlapping", _OVERLAPPING), ("dilated", _DILATED)):
    add(f"pool_signed_{_name}", _pooled(_where, "maximum", True, negative=40))
    add(f"pool_winner_{_name}", _pooled(_where, "winner", False))
    add(f"pool_winner_signed_{_name}", _pooled(_where, "winner", True, negative=40))
add("pool_of_memory", _pooled(_OVERLAPPING, "maximum", True, negative=1, memory=True))
add("pool_of_two_populations", _pool_of_two)
add("pool_of_current_input", _pool_of_input(0), tune=False)
add("pool_of_signed_input", _pool_of_input(-90), tune=False)
for _rule in ("maximum", "winner"):
    for _d in (1, 3):
        add(f"pool_{_rule}_in_cycle_delay_{_d}", _pool_in_cycle(_rule, _d))
add("changes_summed", _changes, tune=False)
add("softmax_output", _softmax)
