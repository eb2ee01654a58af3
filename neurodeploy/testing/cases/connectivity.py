"""Cases: every connectivity, exponents, widths, concatenation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from neurodeploy.ir.connectivity import Sparse
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.record import Stimulus
from neurodeploy.testing.builder import NetlistBuilder
from neurodeploy.testing.cases.catalogue import Build, add, read
from neurodeploy.testing.parts import conv, window

Built = tuple[IntegerNetlist, Stimulus]


def _dense_current(b: NetlistBuilder) -> Built:
    given = b.input("x", 10, kind="current").stimulus()
    return read(b.dense(12, name="h", threshold=4000, bias=20)), given


def _dense_spikes(b: NetlistBuilder) -> Built:
    given = b.input("x", (2, 3, 2)).stimulus()
    return read(b.dense(9, name="h", threshold=50)), given


def _conv1d(b: NetlistBuilder) -> Built:
    b.input("x", (2, 11))
    b.conv(3, 3, stride=2, padding=[(1, 2)], dilation=2, name="h", threshold=50)
    given = b.stimulus()
    return read(b), given


def _conv2d(b: NetlistBuilder) -> Built:
    b.input("x", (2, 7, 6), kind="current")
    where: dict[str, Any] = {"stride": (2, 1), "padding": [(1, 0), (0, 2)], "dilation": (1, 2)}
    b.conv(3, (3, 2), **where, name="h", threshold=[3000, 5000, 7000], bias=[0, -50, 70])
    given = b.stimulus()
    return read(b), given


def _conv2d_stack(b: NetlistBuilder) -> IntegerNetlist:
    b.input("x", (1, 6, 6)).conv(3, padding=1, threshold=50)
    b.conv(2, (2, 3), stride=2, padding=[(0, 1), (2, 0)], threshold=90)
    return b.dense(4, bias=[1, -2, 3, 0]).output()


def _groups(b: NetlistBuilder) -> IntegerNetlist:
    b.input("x", (4, 5, 4)).conv(6, padding=1, groups=2, threshold=50)
    return b.conv(b.draw((6, 1, 2, 2), -10), stride=(1, 2), groups=6, threshold=50).output()


def _sumpool2d(b: NetlistBuilder) -> Built:
    given = b.input("x", (3, 6, 5)).stimulus()
    where: dict[str, Any] = {"stride": 2, "padding": [(1, 0), (0, 1)], "name": "h"}
    b.sumpool((3, 2), [10, -6, 25], **where, threshold=[30, 20, 60], bias=[0, 9, 0])
    return read(b), given


def _sumpool1d(b: NetlistBuilder) -> Built:
    given = b.input("x", (2, 9)).stimulus()
    return read(b.sumpool(3, 7, name="h", threshold=50)), given


def _transposed1d(b: NetlistBuilder) -> Built:
    b.input("x", (2, 5))
    b.conv(3, 4, padding=2, spacing=2, name="h", threshold=30)
    given = b.stimulus(rate=0.5)
    return read(b), given


def _transposed2d(b: NetlistBuilder) -> IntegerNetlist:
    b.input("x", (3, 3, 4)).conv(4, 3, padding=[(1, 2), (1, 1)], spacing=2, threshold=30)
    b.conv(4, (4, 2), padding=[2, 1], spacing=(2, 1), groups=2, threshold=40)
    return b.dense(4, bias=[1, -2, 3, 0]).output()


def _apart(b: NetlistBuilder) -> Built:
    # Strides, holes and gaps of all kinds; some neurons hear nothing.
    b.input("x", (2, 4, 3), kind="current")
    where: dict[str, Any] = {"stride": (3, 2), "padding": [(2, 0), (1, 3)], "dilation": (1, 3)}
    b.conv(3, (3, 2), **where, spacing=(2, 4), name="h", threshold=3000, bias=[0, -50, 70])
    given = b.stimulus()
    return read(b), given


def _upsampled(b: NetlistBuilder) -> IntegerNetlist:
    b.input("x", (2, 3, 2))
    b.sumpool((2, 3), [20, 35], stride=1, padding=[1, 2], spacing=(2, 3), name="up", threshold=30)
    b.conv(3, 3, padding=1, threshold=60)
    # The same two in one.
    b.conv(3, (4, 5), padding=[2, 3], spacing=(2, 3), after="x", name="both", threshold=60)
    return b.dense(4).output()


def _sparse(b: NetlistBuilder) -> Built:
    b.input("x", (3, 4)).sparse(0.3, (2, 2, 3), name="h", threshold=50)
    given = b.stimulus(rate=0.4)
    return read(b), given


def _exponent(e: Sequence[int] | int) -> Build:
    def build(b: NetlistBuilder) -> IntegerNetlist:
        theta = np.left_shift(60, np.resize(e, 3))
        b.input("x", (2, 5, 5)).conv(3, name="h", threshold=theta, exponent=e)
        b.connect("x", "h", conv(b.rng, 3, 2, window((5, 5), 3), low=-3, high=4))
        return b.dense(4, threshold=300, exponent=2).output()

    return build


def _wide_weights(b: NetlistBuilder) -> IntegerNetlist:
    b.input("x", 6).dense(b.draw((8, 6), -4000, 5000), threshold=9000, bits=14)
    return b.dense(b.draw((3, 8), -100, 128), threshold=40).output()


def _concat(b: NetlistBuilder) -> IntegerNetlist:
    # Both branches keep their shape and end in one population, each in its own channels.
    n = 8
    index = np.arange(n)
    b.input("x", (2, 4))
    for name in "ab":
        b.sparse(1.0, (2, 4), after="x", name=name, threshold=50)
    b.neurons("joined", (4, 4), 70)
    b.connect("a", "joined", Sparse(np.full(n, 40), index, index, (2, 4), (4, 4)))
    b.connect("b", "joined", Sparse(np.full(n, 55), index + n, index, (2, 4), (4, 4)))
    return b.dense(3).output()


add("dense_current", _dense_current)
add("dense_spikes", _dense_spikes)
add("conv1d_stride_padding_dilation", _conv1d)
add("conv2d_asymmetric", _conv2d)
add("conv2d_stack", _conv2d_stack)
add("conv2d_groups", _groups)
add("sumpool2d", _sumpool2d)
add("sumpool1d", _sumpool1d)
add("conv1d_transposed", _transposed1d)
add("conv2d_transposed", _transposed2d)
add("conv2d_spaced", _apart)
add("upsampled", _upsampled)
add("sparse", _sparse)
add("exponent_scalar", _exponent(4))
add("exponent_per_channel", _exponent([0, 3, 7]))
add("weights_14_bits", _wide_weights)
add("concat_by_projections", _concat)
