"""Cases: what neurons and pools of natively trained networks have more."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.testing.builder import NetlistBuilder
from neurodeploy.testing.cases.catalogue import Build, add, read


def _neuron(**options: Any) -> Build:
    """Signed drive into a hidden population with the given options, read by two more."""

    def build(b: NetlistBuilder) -> IntegerNetlist:
        b.input("x", 8).sparse(1.0, (2, 3, 2), name="h", **{"threshold": 60, **options})
        return read(b)

    return build


def _decays(b: NetlistBuilder) -> IntegerNetlist:
    shape = (2, 3, 2)
    b.input("x", 8).sparse(1.0, shape, name="channel", threshold=60, membrane_decay=[0, 700])
    each: dict[str, Any] = {
        "membrane_decay": b.draw(shape, 0, 4097),
        "current_decay": b.draw(shape, 500, 4097),
        "negative_threshold": 45,
    }
    b.neurons("each", shape, 60, **each).connect("channel", "each", 0.5)
    b.neurons("sum", 3, None, membrane_decay=[1, 50, 4095], current_decay=[4096, 900, 0])
    return b.connect("each", "sum", 1.0).output()


def _winner_take_all(b: NetlistBuilder) -> IntegerNetlist:
    # Inhibition far below what 24 bits would hold over long windows, held by the floor.
    b.input("x", 10).sparse(1.0, 6, name="h", threshold=90, reset="zero", floor=-40)
    weight = -120 * (1 - np.eye(6, dtype=np.int64))
    return b.connect("h", "h", weight).dense(3, after="h").output()


def _maxima(signed: bool) -> Build:
    def build(b: NetlistBuilder) -> IntegerNetlist:
        shape = (2, 5, 5)
        more: dict[str, Any] = {"negative_threshold": 150} if signed else {}
        b.input("x", 8).sparse(1.0, shape, name="h", threshold=220, payload_max=3, **more)
        b.maxpool(3, stride=2, padding=1, rule="now", signed=signed, name="pool")
        return read(b, "pool")

    return build


for _name, _reset in (
    ("value", {"reset": "value", "reset_value": -20}),
    ("value_above_rest", {"reset": "value", "reset_value": [3, -7]}),
    ("next", {"reset": "subtract-next"}),
    ("next_with_leak", {"reset": "subtract-next", "membrane_decay": 900, "current_decay": 2000}),
):
    add(f"reset_{_name}", _neuron(**_reset))
    add(f"signed_reset_{_name}", _neuron(**_reset, negative_threshold=45))
    add(f"graded_reset_{_name}", _neuron(**_reset, payload_max=4, threshold=15))
add("floor", _neuron(floor=-15))
add("floor_per_channel", _neuron(floor=[0, -33], initial_membrane=5, reset="zero"))
add("signed_floor", _neuron(floor=-8, negative_threshold=45))
add("saturation", _neuron(saturation=70, payload_max=2, threshold=20))
add("saturation_below_threshold", _neuron(saturation=30, threshold=[20, 40]), tune=False)
add("signed_saturation", _neuron(saturation=50, negative_threshold=30, threshold=30))
add("refractory", _neuron(refractory=1))
add("refractory_reset_next", _neuron(refractory=1, reset="subtract-next", bias=9))
add(
    "refractory_with_memory_of_the_current",
    _neuron(refractory=3, current_decay=1500, reset="zero", bias=8),
)
add("signed_refractory", _neuron(refractory=2, negative_threshold=45, bias=4))
add(
    "all_of_it",
    _neuron(
        **{"refractory": 2, "saturation": 200, "floor": -25, "reset": "value", "reset_value": -9},
        **{"membrane_decay": [90, 800], "current_decay": [3000, 4096], "payload_max": 3},
        bias=5,
    ),
)
add("decays_per_channel_and_neuron", _decays)
add("winner_take_all", _winner_take_all)
add("maximum_now", _maxima(False), tune=False)
add("signed_maximum_now", _maxima(True), tune=False)
