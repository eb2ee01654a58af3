"""Cases: delays, skip connections, recurrence."""

from __future__ import annotations

import numpy as np

from neurodeploy.ir.connectivity import identity
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.testing.builder import NetlistBuilder
from neurodeploy.testing.cases.catalogue import Build, add


def _delay(delay: int) -> Build:
    def build(b: NetlistBuilder) -> IntegerNetlist:
        b.input("x", 6).dense(7, delay=delay, threshold=50).dense(6, delay=delay, threshold=50)
        return b.dense(3).output()

    return build


def _misaligned(b: NetlistBuilder) -> IntegerNetlist:
    # Each population gets contributions that straddle the edges of its window.
    b.input("x", 6).input("q", 4, kind="current", low=-20, high=60)
    b.neurons("a", 7, 50, bias=3).neurons("b", 6, 50).neurons("c", 5, 50).neurons("out", 3)
    b.connect("x", "a", b.draw((7, 6)), delay=1).connect("x", "a", b.draw((7, 6)), delay=5)
    b.connect("q", "a", b.draw((7, 4), -2, 4), delay=2)
    b.connect("x", "b", b.draw((6, 6)), delay=2).connect("a", "b", b.draw((6, 7)), delay=1)
    b.connect("a", "c", b.draw((5, 7)), delay=5).connect("b", "c", b.draw((5, 6)), delay=1)
    b.connect("q", "c", b.draw((5, 4), -2, 4), delay=5)
    b.connect("x", "out", b.draw((3, 6)), delay=1)
    return b.connect("c", "out", b.draw((3, 5)), delay=2).output()


def _parallel(b: NetlistBuilder) -> IntegerNetlist:
    b.input("x", 5).dense(6, name="a", threshold=50).neurons("b", 5, 50)
    for delay in (1, 2, 5, None):
        b.connect("a", "b", b.draw((5, 6)), delay=delay)
    return b.output()


def _skip(b: NetlistBuilder) -> IntegerNetlist:
    shape = (2, 4, 4)
    b.input("x", shape, kind="current", low=-128, high=127)
    for name, e in (("a", 0), ("b", 3), ("c", 3)):
        b.conv(2, padding=1, name=name, threshold=900, exponent=e)
    b.connect("a", "c", identity(shape, np.array([50, 90])), exponent=2)
    b.connect("x", "c", identity(shape, 5))
    return b.dense(3, name="out").connect("a", "out", b.draw((3, 32))).output()


def _self_loop(delay: int | None) -> Build:
    def build(b: NetlistBuilder) -> IntegerNetlist:
        b.input("x", 6).dense(8, name="r", threshold=60)
        return b.connect("r", "r", b.draw((8, 8), -25, 26), delay=delay).dense(3).output()

    return build


def _cycle(forth: int | None, back: int | None, sides: int = 2) -> Build:
    def build(b: NetlistBuilder) -> IntegerNetlist:
        b.input("x", 6)
        ring = [f"r{i}" for i in range(sides)]
        for name in ring:
            b.neurons(name, 6, 60, bias=2)
        b.connect("x", "r0", b.draw((6, 6)))
        for here, there in zip(ring, [*ring[1:], ring[0]], strict=True):
            delay = back if there == "r0" else forth
            b.connect(here, there, b.draw((6, 6), -20, 40), delay=delay)
        b.dense(4, name="out", threshold=50)
        return b.connect("x", "out", b.draw((4, 6)), delay=2).output()

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
