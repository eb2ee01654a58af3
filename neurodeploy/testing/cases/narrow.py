"""Cases that narrow targets compute: crossbar cores, stock LIF neurons."""

from __future__ import annotations

from typing import Any

from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.record import Stimulus
from neurodeploy.testing.builder import NetlistBuilder
from neurodeploy.testing.cases.catalogue import Build, add


def _crossbar(reset: str, bits: int) -> Build:
    def build(b: NetlistBuilder) -> IntegerNetlist:
        # Two bits without -2, which would let next to nothing spike.
        high = 2 ** (bits - 1)
        low = -high if bits > 2 else -1
        shared: dict[str, Any] = {"reset": reset, "bits": bits}
        b.input("x", (2, 6, 6))
        a: dict[str, Any] = {"threshold": 6, "bias": [0, 1, -1, 0], "initial_membrane": 2, **shared}
        b.conv(b.draw((4, 2, 3, 3), low, high), padding=1, name="a", **a)
        weight = b.draw((4, 2, 2, 2), low, high)
        start = [1, 0, 2, 1]
        b.conv(weight, stride=2, groups=2, name="b", threshold=4, initial_membrane=start, **shared)
        last = b.draw((5, b.last.size), low, high)
        return b.dense(last, name="out", threshold=5, initial_membrane=2, **shared).output()

    return build


_ZERO: dict[str, Any] = {"reset": "zero"}


def _stock_dense(b: NetlistBuilder) -> IntegerNetlist:
    """Stock LIF computes it exactly: reset to zero, no memory, v0 = 0, unsigned, aligned."""
    b.input("x", 9).dense(8, name="a", threshold=50, bias=3, exponent=1, **_ZERO)
    b.dense(6, threshold=50, **_ZERO).dense(3, name="out", threshold=50, **_ZERO)
    return b.connect("a", "out", b.draw((3, 8))).output()


def _stock_conv(b: NetlistBuilder) -> tuple[IntegerNetlist, Stimulus]:
    a: dict[str, Any] = {"threshold": [300, 500, 700, 400], "bias": [0, 64, -3, 9], **_ZERO}
    b.input("x", (2, 6, 6), kind="current", high=60)
    b.conv(b.draw((4, 2, 3, 3), -6, 9), padding=1, **a)
    b.sumpool(2, [20, 35], threshold=40, **_ZERO)
    b.conv(4, 2, groups=2, threshold=60, **_ZERO).dense(3)
    return b.output(), b.stimulus(zeros=0.7)


def _narrow_transposed(b: NetlistBuilder) -> IntegerNetlist:
    """A transposed convolution and upsampling, as crossbars and stock LIF take them."""
    shared: dict[str, Any] = {"bits": 4, **_ZERO}
    b.input("x", (2, 3, 3))
    b.conv(b.draw((2, 2, 3, 3), -4, 8), padding=[(1, 2), (1, 1)], spacing=2, threshold=4, **shared)
    b.sumpool(2, [3, 2], stride=1, padding=1, spacing=2, threshold=2, **shared)
    return b.conv(b.draw((3, 2, 2, 2), -4, 5), stride=2, threshold=5, **shared).output()


for _bits in (2, 3, 4):
    add(f"crossbar_{_bits}_bits", _crossbar("subtract", _bits))
add("crossbar_3_bits_reset_zero", _crossbar("zero", 3))
add("stock_lif_dense", _stock_dense)
add("stock_lif_conv", _stock_conv)
add("narrow_transposed", _narrow_transposed)
