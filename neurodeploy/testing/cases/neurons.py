"""Cases: resets, quantities, signs, payloads, decays, equality, saturation, silence."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurodeploy.ir.bounds import STATE_LIMIT, prove_bounds
from neurodeploy.ir.connectivity import Sparse
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.record import Stimulus
from neurodeploy.testing.builder import NetlistBuilder
from neurodeploy.testing.cases.catalogue import Build, T, add, read


def _neuron(**options: Any) -> Build:
    """Signed drive into a hidden population with the given options, read by two more."""

    def build(b: NetlistBuilder) -> tuple[IntegerNetlist, Stimulus]:
        b.input("x", 8).sparse(1.0, (2, 3, 2), name="h", **{"threshold": 60, **options})
        given = b.stimulus()
        return read(b), given

    return build


def _pieces(b: NetlistBuilder) -> IntegerNetlist:
    shape = (2, 3, 2)
    per_channel: dict[str, Any] = {
        "bias": [5, -3],
        "initial_membrane": [20, -30],
        "negative_threshold": [50, 70],
    }
    b.input("x", 8).neurons("channel", shape, [40, 90], **per_channel)
    b.neurons(
        "each",
        shape,
        b.draw(shape, 30, 120),
        bias=b.draw(shape, -10, 15),
        initial_membrane=b.draw(shape, -40, 40),
        negative_threshold=b.draw(shape, 30, 120),
    )
    b.neurons("out", (2, 2), initial_membrane=[[5, -7], [900, 0]], bias=[3, -4])
    b.connect("x", "channel", 1.0).connect("channel", "each", 0.3).connect("each", "out", 1.0)
    return b.output()


def _graded_delay(signed: bool, delay: int) -> Build:
    def build(b: NetlistBuilder) -> tuple[IntegerNetlist, Stimulus]:
        more: dict[str, Any] = {"delay": delay} | ({"negative_threshold": 6} if signed else {})
        b.input("x", 6, low=-9 if signed else 0, high=9)
        b.dense(b.draw((6, 6), -5, 6), threshold=5, payload_max=100, **more)
        b.dense(b.draw((5, 6), -9, 14), threshold=60, payload_max=40, **more)
        # Two of three steps carry a payload, never the same twice in a row.
        return b.dense(3, delay=delay).output(), b.stimulus(rate=0.65)

    return build


def _graded_misaligned(b: NetlistBuilder) -> IntegerNetlist:
    b.input("x", 6, low=-9, high=9).neurons("a", 6, 15, payload_max=7, negative_threshold=9)
    b.neurons("b", 5, 60).neurons("c", 5, 60, payload_max=3)
    b.connect("x", "a", b.draw((6, 6), -5, 6), delay=1)
    for delay in (1, 2, 5):
        b.connect("a", "b", b.draw((5, 6), -9, 14), delay=delay)
    b.connect("a", "c", b.draw((5, 6), -9, 14), delay=3)
    return b.connect("b", "c", b.draw((5, 5), -9, 14), delay=2).output("b", "c")


def _v_equals_theta(b: NetlistBuilder) -> tuple[IntegerNetlist, Stimulus]:
    # Each weight times a whole number of spikes meets the threshold exactly, on both sides.
    index = np.tile(np.arange(4), 2)
    link = Sparse(np.repeat([1, -1], 4), np.arange(8), index, (4,), (2, 4))
    b.input("x", 4, low=-1, high=1)
    b.layer(link, name="h", threshold=[[2, 3, 4, 5], [1, 2, 2, 3]], negative_threshold=[2, 3])
    b.neurons("plus", 4, [3, 6, 9, 12], bias=3).dense(2, after="h", name="out")
    return b.connect("plus", "out", b.draw((2, 4)), delay=2).output(), b.stimulus(rate=0.5)


def _saturation(b: NetlistBuilder) -> tuple[IntegerNetlist, Stimulus]:
    # The largest proved membranes are the limit itself, and the first sample reaches it.
    start = STATE_LIMIT - T * 255 * (127 << 4)
    sides = np.array([[127, 0], [0, -127]])
    both: dict[str, Any] = {"initial_membrane": [start, -start], "exponent": 4}
    edge: dict[str, Any] = {
        "threshold": STATE_LIMIT,
        "negative_threshold": STATE_LIMIT,
        "reset": "zero",
    }
    b.input("x", 2, kind="current").dense(sides, name="edge", **edge, **both)
    b.dense(sides, after="x", name="top", **both)
    b.dense([[1, 0], [0, -1]], after="edge", name="after", threshold=1)
    netlist = b.output("top", "after")
    assert max(bound.magnitude for bound in prove_bounds(netlist).values()) == STATE_LIMIT
    return netlist, {"x": np.array([[255, 255], [254, 255], [0, 17]])}


def _silence(b: NetlistBuilder, threshold: int = 100_000) -> IntegerNetlist:
    b.input("x", 5).dense(6, name="h", threshold=threshold)
    return b.dense(3, name="out", threshold=50).output()


def _no_input_spikes(b: NetlistBuilder) -> tuple[IntegerNetlist, Stimulus]:
    return _silence(b, threshold=1), {"x": np.zeros((3, T, 5), dtype=np.int64)}


def _bias_only(b: NetlistBuilder) -> IntegerNetlist:
    b.input("x", 3).neurons("clock", 4, [7, 10, 20, 30], bias=[2, 3, 5, 7])
    b.dense(b.draw((3, 4), -5, 30), name="out", threshold=40)
    return b.connect("x", "out", b.draw((3, 3), -5, 30)).output()


for _reset in ("subtract", "zero", "none"):
    add(f"reset_{_reset}", _neuron(reset=_reset))
    add(f"signed_reset_{_reset}", _neuron(reset=_reset, negative_threshold=45))
    add(f"graded_reset_{_reset}", _neuron(reset=_reset, payload_max=4, threshold=15))
add("initial_membrane", _neuron(initial_membrane=31))
add("initial_membrane_above_threshold", _neuron(initial_membrane=400))
add("quantities_per_channel_and_neuron", _pieces)
add("leak", _neuron(membrane_decay=700, threshold=40))
add(
    "leak_negative_rounding",
    _neuron(membrane_decay=333, negative_threshold=35, bias=-7, threshold=25),
)
add("leak_total", _neuron(membrane_decay=4096))
add("current_decay", _neuron(current_decay=1234, threshold=150))
add("current_decay_none", _neuron(current_decay=0, threshold=400, negative_threshold=400))
add(
    "current_decay_and_leak",
    _neuron(current_decay=2000, membrane_decay=91, negative_threshold=80, bias=-3),
)
add("graded_payload_cap", _neuron(payload_max=2, threshold=10, initial_membrane=95))
for _d in (1, 2, 5):
    add(f"graded_delay_{_d}", _graded_delay(False, _d))
    add(f"signed_graded_delay_{_d}", _graded_delay(True, _d))
add("signed_graded_misaligned", _graded_misaligned)
add("v_equals_theta", _v_equals_theta, tune=False)
add("saturation_edge", _saturation, tune=False)
add("silence", _silence, tune=False, silent=("h", "out"))
add("silence_without_input", _no_input_spikes, tune=False, silent=("h", "out"))
add("bias_only_population", _bias_only)
