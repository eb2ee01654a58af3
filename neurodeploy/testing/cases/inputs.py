"""Cases: kinds of input, several inputs and outputs, max-pooling, lengths of the window."""

from __future__ import annotations

from typing import Any

from neurodeploy.ir.connectivity import identity
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.record import Stimulus
from neurodeploy.testing.builder import NetlistBuilder
from neurodeploy.testing.cases.catalogue import Build, add, read

Built = tuple[IntegerNetlist, Stimulus]


def _negative_current(b: NetlistBuilder) -> Built:
    given = b.input("x", (3, 4), kind="current", low=-128, high=127).stimulus()
    return read(b.dense(9, name="h", threshold=3000, negative_threshold=4000)), given


def _current_with_memory(b: NetlistBuilder) -> Built:
    b.input("x", 5, kind="current", low=-128, high=127)
    decays: dict[str, Any] = {"current_decay": 1500, "membrane_decay": 200}
    b.dense(9, name="h", threshold=9000, **decays, delay=3, exponent=1)
    given = b.stimulus()
    return read(b), given


def _inputs_outputs(b: NetlistBuilder) -> IntegerNetlist:
    b.input("image", 4, kind="current").input("events", 5).input("p", 3, low=-3, high=3)
    b.neurons("a", 6, 900).neurons("b", 5, 50).neurons("c", 4, 50)
    b.neurons("sum", 3).neurons("drive", 2).neurons("counts", 3, 50)
    b.connect("image", "a", b.draw((6, 4), -5, 8))
    b.connect("events", "a", b.draw((6, 5)), exponent=2)
    b.connect("events", "b", b.draw((5, 5))).connect("p", "b", b.draw((5, 3)))
    b.connect("a", "c", b.draw((4, 6))).connect("b", "c", b.draw((4, 5)))
    b.connect("c", "sum", b.draw((3, 4))).connect("a", "counts", b.draw((3, 6)))
    return b.connect("image", "drive", b.draw((2, 4))).output("sum", "counts", "a", "drive")


def _pool(shape: tuple[int, ...], payload_max: int = 1, **where: Any) -> Build:
    def build(b: NetlistBuilder) -> Built:
        b.input("x", shape)
        b.conv(shape[0], padding=1, threshold=60, payload_max=payload_max)
        b.maxpool(**where, name="p").dense(4, name="out", threshold=50)
        b.dense(3, after="p", name="sum", delay=3)
        return b.output("out", "sum"), b.stimulus(rate=0.15)

    return build


def _pool_from_current(b: NetlistBuilder) -> Built:
    netlist = _pools(b.input("x", (2, 5, 5), kind="current"), delay=2)
    return netlist, b.stimulus(zeros=0.97)


def _pool_from_spikes(b: NetlistBuilder) -> Built:
    netlist = _pools(b.input("x", (2, 5, 5), high=3))
    return netlist, b.stimulus(rate=0.06)


def _pools(b: NetlistBuilder, delay: int | None = None) -> IntegerNetlist:
    b.maxpool(2, padding=[(0, 1), (0, 1)], name="p", delay=delay)
    b.maxpool(2, stride=1, weight=[2, 3], name="q", delay=2)
    b.connect("p", "q", identity((2, 3, 3))).dense(3, after="p", name="sum")
    return b.dense(4, after="q", name="out", threshold=50).output("out", "sum")


def _length(timesteps: int) -> Build:
    def build(b: NetlistBuilder) -> IntegerNetlist:
        b.T = timesteps
        b.input("x", 8).dense(9, name="a", threshold=50).dense(8, name="b", threshold=50)
        return b.connect("x", "b", b.draw((8, 8)), delay=1).dense(3, delay=4).output()

    return build


_OVERLAPPING: dict[str, Any] = {"kernel": 3, "stride": 2, "padding": [(1, 1), (1, 0)]}
add("current_negative", _negative_current)
add("current_with_memory_and_delay", _current_with_memory)
add("several_inputs_and_outputs", _inputs_outputs)
add("maxpool", _pool((2, 4, 6), kernel=2))
add("maxpool_overlapping_padded", _pool((2, 5, 6), **_OVERLAPPING))
add(
    "maxpool_dilated",
    _pool((2, 5, 5), kernel=2, stride=(1, 2), padding=[(0, 0), (1, 1)], dilation=2),
)
add("maxpool_1d", _pool((3, 8), kernel=3, stride=2, padding=[(1, 0)]))
add("maxpool_graded", _pool((2, 5, 6), payload_max=6, **_OVERLAPPING))
add("maxpool_from_current_input", _pool_from_current)
add("maxpool_from_spike_input", _pool_from_spikes)
add("one_time_step", _length(1))
add("thirty_time_steps", _length(30))
