"""Cases: steps that count differently: phases of accumulating and firing, harmonic gains."""

from __future__ import annotations

from typing import Any

from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.record import Stimulus
from neurodeploy.testing.builder import NetlistBuilder
from neurodeploy.testing.cases.catalogue import Build, T, add
from neurodeploy.testing.parts import sparse

Gains = tuple[int, ...]
HARMONIC = tuple(round(48 / t) for t in range(1, T + 1))
HALVED = tuple(8 >> (t + 1).bit_length() - 1 for t in range(T))


def phases(length: int) -> dict[str, Gains]:
    """Accumulate for ``length`` steps, fire for as many, and so on."""
    fires = tuple((t // length) % 2 for t in range(T))
    return {"input_gain": tuple(1 - f for f in fires), "firing_gain": fires}


def _phased(length: int, **options: Any) -> Build:
    """Two layers, a pool and a shortcut past all of them; the delays are the compiler's."""

    def build(b: NetlistBuilder) -> IntegerNetlist:
        phase = phases(length)
        both: dict[str, Any] = {"threshold": 300, **phase, **options}
        shape = (2, 4, 3)
        b.input("x", 6, kind="current", high=40)
        b.sparse(0.6, shape, name="a", bias=5, initial_membrane=150, **both)
        b.maxpool(2, stride=(2, 1), weight=None, name="pool")
        b.connect("a", "pool", sparse(b.rng, shape, shape, 0.3, 1, 9))
        b.dense(5, initial_membrane=100, **both)
        b.dense(3, bias=4, input_gain=phase["input_gain"], name="out")
        return b.connect("a", "out", b.draw((3, 24))).output()

    return build


def _phased_cycle(delay: int) -> Build:
    """Phased neurons that drive one another, and themselves."""

    def build(b: NetlistBuilder) -> tuple[IntegerNetlist, Stimulus]:
        b.input("x", 6, low=-1)
        for name in "ab":
            b.neurons(name, 5, 60, negative_threshold=70, initial_membrane=20, **phases(2))
        b.connect("x", "a", b.draw((5, 6))).connect("a", "b", b.draw((5, 5)), delay=delay)
        b.connect("b", "a", b.draw((5, 5))).connect("b", "b", b.draw((5, 5)), delay=2)
        return b.dense(3).output(), b.stimulus(rate=0.6)

    return build


def _weighted(gains: Gains, **options: Any) -> Build:
    """Differences: every step of input and output counts what its gain says."""

    def build(b: NetlistBuilder) -> IntegerNetlist:
        readout: dict[str, Any] = {"input_gain": gains, "coding": "sum"}
        both = {**readout, "firing_gain": gains, "threshold": 40, **options}
        b.input("x", 6, low=-20, high=20)
        b.dense(b.draw((8, 6), -3, 4), initial_membrane=300, **both)
        b.dense(b.draw((7, 8), -9, 12), initial_membrane=-100, **both)
        start = [4, -900, 100]
        return b.dense(b.draw((3, 7), -9, 12), initial_membrane=start, **readout).output()

    return build


def _one_sided(name: str) -> Build:
    """Only one of both gains, arbitrary, with explicit delays."""

    def build(b: NetlistBuilder) -> tuple[IntegerNetlist, Stimulus]:
        gains: dict[str, Any] = {name: tuple(int(g) for g in b.draw(T, 0, 5))}
        b.input("x", 6).dense(6, threshold=90, initial_membrane=30, payload_max=3, **gains)
        b.dense(5, threshold=90, initial_membrane=30, delay=4)
        return b.dense(3, delay=2).output(), b.stimulus(rate=0.6)

    return build


for _length in (1, 3, 6):
    add(f"phases_{_length}", _phased(_length), tune=False)
add("phases_graded", _phased(2, payload_max=7), tune=False)
for _delay in (1, 3):
    add(f"phases_in_cycle_delay_{_delay}", _phased_cycle(_delay))
_back: dict[str, Any] = {"negative_threshold": 1, "memory": True}
_powers: dict[str, Any] = {"payload_max": 8, "payload_code": "power_of_two"}
for _name, _gains in (("halved", HALVED), ("harmonic", HARMONIC)):
    add(f"gains_{_name}", _weighted(_gains, **_back, payload_max=9), tune=False)
    add(f"gains_{_name}_powers_of_two", _weighted(_gains, **_back, **_powers), tune=False)
    add(f"gains_{_name}_signed", _weighted(_gains, negative_threshold=50, **_powers), tune=False)
add("gains_of_input_alone", _one_sided("input_gain"))
add("gains_of_firing_alone", _one_sided("firing_gain"))
