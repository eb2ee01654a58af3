"""Cases that narrow targets compute, and random netlists."""

from __future__ import annotations

import functools

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
    sumpool,
    window,
)
from tests.conformance.random_netlists import random_netlist
from tests.conformance.registry import Build, add


def _crossbar(reset: str, bits: int) -> Build:
    def build(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
        # Two bits without -2, which would let next to nothing spike.
        high = 2 ** (bits - 1)
        low = -high if bits > 2 else -1
        x = spikes("x", (2, 6, 6))
        first = conv(rng, 4, 2, window((6, 6), (3, 3), (1, 1), ((1, 1), (1, 1))), 1, low, high)
        second = conv(rng, 4, 4, window((6, 6), (2, 2), (2, 2)), 2, low, high)
        layers = [
            x,
            neuron("a", first.post_shape, 6, bias=[0, 1, -1, 0], v0=2, reset=reset),
            neuron("b", second.post_shape, 4, v0=[1, 0, 2, 1], reset=reset),
            neuron("out", (5,), 5, v0=2, reset=reset),
        ]
        links = [
            project("x", "a", first, bits=bits),
            project("a", "b", second, bits=bits),
            project("b", "out", dense(rng, 5, second.post_shape, low, high), bits=bits),
        ]
        return net("crossbar", layers, links, ["out"]), raster(rng, x)

    return build


for _bits in (2, 3, 4):
    add(f"crossbar_{_bits}_bits", _crossbar("subtract", _bits))
add("crossbar_3_bits_reset_zero", _crossbar("zero", 3))


def _stock(recipe: str) -> Build:
    """What stock LIF computes exactly: reset to zero, no memory, v0 = 0, unsigned, aligned."""

    def build(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
        zero: dict[str, str] = {"reset": "zero"}
        if recipe == "dense":
            x = spikes("x", (9,))
            layers = [x, neuron("a", (8,), bias=3, **zero), neuron("b", (6,), **zero)]
            links = [
                project("x", "a", dense(rng, 8, (9,)), e=1),
                project("a", "b", dense(rng, 6, (8,))),
            ]
            layers.append(neuron("out", (3,), **zero))
            links += [
                project("b", "out", dense(rng, 3, (6,))),
                project("a", "out", dense(rng, 3, (8,))),
            ]
            return net("stock", layers, links, ["out"]), raster(rng, x)
        x = current("x", (2, 6, 6), high=60)
        first = conv(rng, 4, 2, window((6, 6), (3, 3), padding=((1, 1), (1, 1))), low=-6, high=9)
        pooled = sumpool(4, window((6, 6), (2, 2), (2, 2)), [20, 35])
        grouped = conv(rng, 4, 4, window((3, 3), (2, 2)), groups=2)
        layers = [x, neuron("a", (4, 6, 6), [300, 500, 700, 400], bias=[0, 64, -3, 9], **zero)]
        layers += [neuron("p", pooled.post_shape, 40, **zero)]
        layers += [neuron("g", grouped.post_shape, 60, **zero), integrator("out", (3,))]
        links = [
            project("x", "a", first),
            project("a", "p", pooled),
            project("p", "g", grouped),
            project("g", "out", dense(rng, 3, grouped.post_shape)),
        ]
        return net("stock", layers, links, ["out"]), pixels(rng, x, zeros=0.7)

    return build


add("stock_lif_dense", _stock("dense"))
add("stock_lif_conv", _stock("conv"))


for _seed in range(12):
    for _kind in ("feedforward", "recurrent"):
        _build = functools.partial(random_netlist, _kind == "recurrent")
        add(f"random_{_kind}_{_seed}", _build, tune=False)

for _seed in range(8):
    for _kind in ("feedforward", "recurrent"):
        _build = functools.partial(random_netlist, _kind == "recurrent", extended=True)
        add(f"random_extended_{_kind}_{_seed}", _build, tune=False)
