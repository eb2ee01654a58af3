"""Cases: every connectivity, exponents, widths, concatenation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neurodeploy.ir.connectivity import Sparse
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.record import Stimulus
from tests.conformance.netlists import (
    Rng,
    chain,
    conv,
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
    sumpool,
    window,
)
from tests.conformance.registry import Build, add


def _dense_current(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
    x = current("x", (10,))
    hidden = neuron("h", (12,), 4000, bias=20)
    return chain(rng, x, pixels(rng, x), hidden, project("x", "h", dense(rng, 12, (10,))))


def _dense_spikes(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
    x = spikes("x", (2, 3, 2))
    hidden = neuron("h", (9,))
    return chain(rng, x, raster(rng, x), hidden, project("x", "h", dense(rng, 9, (2, 3, 2))))


def _conv1d(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
    x = spikes("x", (2, 11))
    link = conv(rng, 3, 2, window((11,), (3,), (2,), ((1, 2),), (2,)))
    return chain(rng, x, raster(rng, x), neuron("h", link.post_shape), project("x", "h", link))


def _conv2d(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
    x = current("x", (2, 7, 6))
    link = conv(rng, 3, 2, window((7, 6), (3, 2), (2, 1), ((1, 0), (0, 2)), (1, 2)))
    hidden = neuron("h", link.post_shape, [3000, 5000, 7000], bias=[0, -50, 70])
    return chain(rng, x, pixels(rng, x), hidden, project("x", "h", link))


def _conv2d_stack(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
    x = spikes("x", (1, 6, 6))
    first = conv(rng, 3, 1, window((6, 6), (3, 3), padding=((1, 1), (1, 1))))
    second = conv(rng, 2, 3, window((6, 6), (2, 3), (2, 2), ((0, 1), (2, 0))))
    layers = [x, neuron("a", first.post_shape), neuron("b", second.post_shape, 90)]
    layers.append(integrator("out", (4,), bias=[1, -2, 3, 0]))
    links = [project("x", "a", first), project("a", "b", second)]
    links.append(project("b", "out", dense(rng, 4, second.post_shape)))
    return net("stack", layers, links, ["out"]), raster(rng, x)


def _groups(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
    x = spikes("x", (4, 5, 4))
    halves = conv(rng, 6, 4, window((5, 4), (3, 3), padding=((1, 1), (1, 1))), groups=2)
    depthwise = conv(rng, 6, 6, window((5, 4), (2, 2), (1, 2)), groups=6, low=-10)
    layers = [x, neuron("a", halves.post_shape), neuron("b", depthwise.post_shape)]
    links = [project("x", "a", halves), project("a", "b", depthwise)]
    return net("groups", layers, links, ["b"]), raster(rng, x)


def _sumpool2d(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
    x = spikes("x", (3, 6, 5))
    where = window((6, 5), (3, 2), (2, 2), ((1, 0), (0, 1)))
    link = sumpool(3, where, [10, -6, 25])
    hidden = neuron("h", link.post_shape, [30, 20, 60], bias=[0, 9, 0])
    return chain(rng, x, raster(rng, x), hidden, project("x", "h", link))


def _sumpool1d(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
    x = spikes("x", (2, 9))
    link = sumpool(2, window((9,), (3,), (3,)), [7])
    return chain(rng, x, raster(rng, x), neuron("h", link.post_shape), project("x", "h", link))


def _sparse(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
    x = spikes("x", (3, 4))
    link = sparse(rng, (3, 4), (2, 2, 3))
    return chain(rng, x, raster(rng, x, rate=0.4), neuron("h", (2, 2, 3)), project("x", "h", link))


def _exponent(e: Sequence[int] | int) -> Build:
    def build(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
        x = spikes("x", (2, 5, 5))
        link = conv(rng, 3, 2, window((5, 5), (3, 3)))
        hidden = neuron("h", link.post_shape, np.left_shift(60, np.resize(e, 3)))
        plain = conv(rng, 3, 2, window((5, 5), (3, 3)), low=-3, high=4)
        layers = [x, hidden, neuron("out", (4,), 300)]
        links = [
            project("x", "h", link, e=e),
            project("x", "h", plain),
            project("h", "out", dense(rng, 4, link.post_shape), e=2),
        ]
        return net("exponent", layers, links, ["out"]), raster(rng, x)

    return build


def _wide_weights(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
    x = spikes("x", (6,))
    layers = [x, neuron("h", (8,), 9000), neuron("out", (3,), 40)]
    links = [
        project("x", "h", dense(rng, 8, (6,), -4000, 5000), bits=14),
        project("h", "out", dense(rng, 3, (8,), -100, 128)),
    ]
    return net("wide", layers, links, ["out"]), raster(rng, x)


def _concat(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
    x = spikes("x", (2, 4))
    # Both branches keep their shape and end in one population, each in its own channels.
    n = 8
    index = np.arange(n)
    left = Sparse(np.full(n, 40), index, index, (2, 4), (4, 4))
    right = Sparse(np.full(n, 55), index + n, index, (2, 4), (4, 4))
    layers = [x, neuron("a", (2, 4)), neuron("b", (2, 4)), neuron("joined", (4, 4), 70)]
    layers.append(integrator("out", (3,)))
    links = [
        project("x", "a", dense_to(rng, (2, 4), (2, 4))),
        project("x", "b", dense_to(rng, (2, 4), (2, 4))),
        project("a", "joined", left),
        project("b", "joined", right),
        project("joined", "out", dense(rng, 3, (4, 4))),
    ]
    return net("concat", layers, links, ["out"]), raster(rng, x)


add("dense_current", _dense_current)
add("dense_spikes", _dense_spikes)
add("conv1d_stride_padding_dilation", _conv1d)
add("conv2d_asymmetric", _conv2d)
add("conv2d_stack", _conv2d_stack)
add("conv2d_groups", _groups)
add("sumpool2d", _sumpool2d)
add("sumpool1d", _sumpool1d)
add("sparse", _sparse)
add("exponent_scalar", _exponent(4))
add("exponent_per_channel", _exponent([0, 3, 7]))
add("weights_14_bits", _wide_weights)
add("concat_by_projections", _concat)
