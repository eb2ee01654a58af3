"""Cases: kinds of input, several inputs and outputs, max-pooling, lengths of the window."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neurodeploy.ir.connectivity import identity
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.record import Stimulus
from tests.conformance.netlists import (
    Rng,
    chain,
    conv,
    current,
    dense,
    integrator,
    net,
    neuron,
    pixels,
    pool,
    project,
    raster,
    spikes,
    window,
)
from tests.conformance.registry import Build, add


def _negative_current(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
    x = current("x", (3, 4), -128, 127)
    hidden = neuron("h", (9,), 3000, negative=4000)
    return chain(rng, x, pixels(rng, x), hidden, project("x", "h", dense(rng, 9, (3, 4))))


def _current_with_memory(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
    x = current("x", (5,), -128, 127)
    hidden = neuron("h", (9,), 9000, current_decay=1500, membrane_decay=200)
    link = project("x", "h", dense(rng, 9, (5,)), 3, e=1)
    return chain(rng, x, pixels(rng, x), hidden, link)


def _inputs_outputs(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
    image, events, payloads = (
        current("image", (4,)),
        spikes("events", (5,)),
        spikes("p", (3,), -3, 3),
    )
    layers = [image, events, payloads, neuron("a", (6,), 900), neuron("b", (5,)), neuron("c", (4,))]
    layers += [integrator("sum", (3,)), integrator("drive", (2,)), neuron("counts", (3,))]
    links = [
        project("image", "a", dense(rng, 6, (4,), -5, 8)),
        project("events", "a", dense(rng, 6, (5,)), e=2),
        project("events", "b", dense(rng, 5, (5,))),
        project("p", "b", dense(rng, 5, (3,))),
        project("a", "c", dense(rng, 4, (6,))),
        project("b", "c", dense(rng, 4, (5,))),
        project("c", "sum", dense(rng, 3, (4,))),
        project("a", "counts", dense(rng, 3, (6,))),
        project("image", "drive", dense(rng, 2, (4,))),
    ]
    stimulus = {**pixels(rng, image), **raster(rng, events), **raster(rng, payloads)}
    return net("io", layers, links, ["sum", "counts", "a", "drive"]), stimulus


def _pool(
    channels: int, size: tuple[int, ...], where: Sequence[object], payload_max: int = 1
) -> Build:
    def build(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
        kernel, stride, padding, dilation = where
        shape = (channels, *size)
        x = spikes("x", shape)
        same = window(size, (3,) * len(size), padding=((1, 1),) * len(size))
        p = pool("p", channels, window(size, kernel, stride, padding, dilation))  # type: ignore[arg-type]
        layers = [x, neuron("h", shape, 60, payload_max=payload_max), p, neuron("out", (4,))]
        layers.append(integrator("sum", (3,)))
        links = [
            project("x", "h", conv(rng, channels, channels, same)),
            project("h", "p", identity(shape)),
            project("p", "out", dense(rng, 4, p.shape)),
            project("p", "sum", dense(rng, 3, p.shape), 3),
        ]
        return net("pool", layers, links, ["out", "sum"]), raster(rng, x, rate=0.15)

    return build


def _pool_from(kind: str) -> Build:
    def build(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
        shape = (2, 5, 5)
        x = current("x", shape) if kind == "current" else spikes("x", shape, 0, 3)
        p = pool("p", 2, window((5, 5), (2, 2), (2, 2), ((0, 1), (0, 1))))
        q = pool("q", 2, window((3, 3), (2, 2)))
        layers = [x, p, q, neuron("out", (4,)), integrator("sum", (3,))]
        links = [
            project("x", "p", identity(shape), 2 if kind == "current" else None),
            project("p", "q", identity((2, 3, 3), np.array([2, 3])), 2),
            project("p", "q", identity((2, 3, 3))),
            project("p", "sum", dense(rng, 3, (2, 3, 3))),
            project("q", "out", dense(rng, 4, (2, 2, 2))),
        ]
        given = pixels(rng, x, zeros=0.97) if kind == "current" else raster(rng, x, rate=0.06)
        return net("pool", layers, links, ["out", "sum"]), given

    return build


def _short(timesteps: int) -> Build:
    def build(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
        x = spikes("x", (8,))
        layers = [x, neuron("a", (9,)), neuron("b", (8,)), integrator("out", (3,))]
        links = [
            project("x", "a", dense(rng, 9, (8,))),
            project("a", "b", dense(rng, 8, (9,))),
            project("x", "b", dense(rng, 8, (8,)), 1),
            project("b", "out", dense(rng, 3, (8,)), 4),
        ]
        netlist = net("short", layers, links, ["out"], timesteps)
        return netlist, raster(rng, x, timesteps=timesteps)

    return build


add("current_negative", _negative_current)
add("current_with_memory_and_delay", _current_with_memory)
add("several_inputs_and_outputs", _inputs_outputs)
_PLAIN = ((2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1))
_OVERLAPPING = ((3, 3), (2, 2), ((1, 1), (1, 0)), (1, 1))
_DILATED = ((2, 2), (1, 2), ((0, 0), (1, 1)), (2, 2))
add("maxpool", _pool(2, (4, 6), _PLAIN))
add("maxpool_overlapping_padded", _pool(2, (5, 6), _OVERLAPPING))
add("maxpool_dilated", _pool(2, (5, 5), _DILATED))
add("maxpool_1d", _pool(3, (8,), ((3,), (2,), ((1, 0),), (1,))))
add("maxpool_graded", _pool(2, (5, 6), _OVERLAPPING, payload_max=6))
add("maxpool_from_current_input", _pool_from("current"))
add("maxpool_from_spike_input", _pool_from("spikes"))
add("one_time_step", _short(1))
add("thirty_time_steps", _short(30))
