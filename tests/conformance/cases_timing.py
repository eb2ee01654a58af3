"""Cases: delays, skip connections, recurrence."""

from __future__ import annotations

import numpy as np

from neurodeploy.ir.connectivity import identity
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.record import Stimulus
from tests.conformance.netlists import (
    Rng,
    conv,
    current,
    dense,
    integrator,
    net,
    neuron,
    pixels,
    project,
    raster,
    spikes,
    window,
)
from tests.conformance.registry import Build, add


def _delay(delay: int) -> Build:
    def build(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
        x = spikes("x", (6,))
        layers = [x, neuron("a", (7,)), neuron("b", (6,)), integrator("out", (3,))]
        links = [
            project("x", "a", dense(rng, 7, (6,)), delay),
            project("a", "b", dense(rng, 6, (7,)), delay),
            project("b", "out", dense(rng, 3, (6,))),
        ]
        return net("delay", layers, links, ["out"]), raster(rng, x)

    return build


def _misaligned(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
    # Each population gets contributions that straddle the edges of its window.
    x, q = spikes("x", (6,)), current("q", (4,), -20, 60)
    layers = [x, q, neuron("a", (7,), bias=3), neuron("b", (6,)), neuron("c", (5,))]
    layers.append(integrator("out", (3,)))
    links = [
        project("x", "a", dense(rng, 7, (6,)), 1),
        project("x", "a", dense(rng, 7, (6,)), 5),
        project("q", "a", dense(rng, 7, (4,), -2, 4), 2),
        project("x", "b", dense(rng, 6, (6,)), 2),
        project("a", "b", dense(rng, 6, (7,)), 1),
        project("a", "c", dense(rng, 5, (7,)), 5),
        project("b", "c", dense(rng, 5, (6,)), 1),
        project("q", "c", dense(rng, 5, (4,), -2, 4), 5),
        project("x", "out", dense(rng, 3, (6,)), 1),
        project("c", "out", dense(rng, 3, (5,)), 2),
    ]
    return net("misaligned", layers, links, ["out"]), {**raster(rng, x), **pixels(rng, q)}


def _parallel(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
    x = spikes("x", (5,))
    layers = [x, neuron("a", (6,)), neuron("b", (5,))]
    links = [project("x", "a", dense(rng, 6, (5,)))]
    links += [project("a", "b", dense(rng, 5, (6,)), d) for d in (1, 2, 5, None)]
    return net("parallel", layers, links, ["b"]), raster(rng, x)


def _skip(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
    x = current("x", (2, 4, 4), -128, 127)
    same = window((4, 4), (3, 3), padding=((1, 1), (1, 1)))
    shape = (2, 4, 4)
    layers = [x] + [neuron(n, shape, 900) for n in ("a", "b", "c")] + [integrator("out", (3,))]
    links = [
        project("x", "a", conv(rng, 2, 2, same)),
        project("a", "b", conv(rng, 2, 2, same), e=3),
        project("b", "c", conv(rng, 2, 2, same), e=3),
        project("a", "c", identity(shape, np.array([50, 90])), e=2),
        project("x", "c", identity(shape, 5)),
        project("c", "out", dense(rng, 3, shape)),
        project("a", "out", dense(rng, 3, shape)),
    ]
    return net("skip", layers, links, ["out"]), pixels(rng, x)


def _self_loop(delay: int | None) -> Build:
    def build(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
        x = spikes("x", (6,))
        layers = [x, neuron("r", (8,), 60), integrator("out", (3,))]
        links = [
            project("x", "r", dense(rng, 8, (6,))),
            project("r", "r", dense(rng, 8, (8,), -25, 26), delay),
            project("r", "out", dense(rng, 3, (8,))),
        ]
        return net("loop", layers, links, ["out"]), raster(rng, x)

    return build


def _cycle(forth: int | None, back: int | None, sides: int = 2) -> Build:
    def build(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
        x = spikes("x", (6,))
        ring = [f"r{i}" for i in range(sides)]
        layers = [x, *(neuron(n, (6,), 60, bias=2) for n in ring), neuron("out", (4,))]
        links = [project("x", "r0", dense(rng, 6, (6,)))]
        for here, there in zip(ring, [*ring[1:], ring[0]], strict=True):
            delay = back if there == "r0" else forth
            links.append(project(here, there, dense(rng, 6, (6,), -20, 40), delay))
        links.append(project(ring[-1], "out", dense(rng, 4, (6,))))
        links.append(project("x", "out", dense(rng, 4, (6,)), 2))
        return net("cycle", layers, links, ["out"]), raster(rng, x)

    return build


for _d in (1, 2, 5):
    add(f"delay_{_d}", _delay(_d))
add("delays_misaligned", _misaligned)
add("delays_parallel_projections", _parallel)
add("skip_connections", _skip)
add("recurrent_self_loop", _self_loop(None))
add("recurrent_self_loop_delay_3", _self_loop(3))
add("recurrent_two_populations", _cycle(None, None))
add("recurrent_cycle_delay_5", _cycle(2, 5))
add("recurrent_three_populations", _cycle(1, None, sides=3))
