"""Cases: steps that count differently: phases of accumulating and firing, harmonic gains."""

from __future__ import annotations

from dataclasses import replace

from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.record import Stimulus
from tests.conformance.netlists import (
    Rng,
    T,
    current,
    dense,
    integrator,
    net,
    neuron,
    pixels,
    pool,
    project,
    raster,
    sparse,
    spikes,
    window,
)
from tests.conformance.registry import Build, add


def phases(length: int) -> dict[str, tuple[int, ...]]:
    """Accumulate for ``length`` steps, fire for as many, and so on."""
    fires = tuple((t // length) % 2 for t in range(T))
    return {"input_gain": tuple(1 - f for f in fires), "firing_gain": fires}


HARMONIC = tuple(round(48 / t) for t in range(1, T + 1))
HALVED = tuple(8 >> (t + 1).bit_length() - 1 for t in range(T))


def _phased(length: int, **options: object) -> Build:
    """Two layers, a pool and a shortcut past all of them; the delays are the compiler's."""

    def build(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
        x = current("x", (6,), 0, 40)
        where = window((4, 3), (2, 2), (2, 1))
        phase = phases(length)
        layers = [
            x,
            neuron("a", (2, 4, 3), 300, bias=5, v0=150, **phase, **options),
            pool("pool", 2, where),
            neuron("b", (5,), 300, v0=100, **phase, **options),
            integrator("out", (3,), bias=4, input_gain=phase["input_gain"]),
        ]
        shape = layers[2].shape
        links = [
            project("x", "a", sparse(rng, (6,), (2, 4, 3), 0.6)),
            project("a", "pool", sparse(rng, (2, 4, 3), (2, 4, 3), 0.3, 1, 9)),
            project("pool", "b", dense(rng, 5, shape)),
            project("b", "out", dense(rng, 3, (5,))),
            project("a", "out", dense(rng, 3, (2, 4, 3))),
        ]
        return net("phases", layers, links, ["out"]), pixels(rng, x)

    return build


def _phased_cycle(delay: int) -> Build:
    """Phased neurons that drive one another, and themselves."""

    def build(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
        x = spikes("x", (6,), -1, 1)
        a, b = (neuron(n, (5,), 60, negative=70, v0=20, **phases(2)) for n in "ab")
        links = [
            project("x", "a", dense(rng, 5, (6,))),
            project("a", "b", dense(rng, 5, (5,)), delay),
            project("b", "a", dense(rng, 5, (5,))),
            project("b", "b", dense(rng, 5, (5,)), 2),
            project("b", "out", dense(rng, 3, (5,))),
        ]
        return net("phased cycle", [x, a, b, integrator("out", (3,))], links, ["out"]), raster(
            rng, x, rate=0.6
        )

    return build


def _weighted(gains: tuple[int, ...], **options: object) -> Build:
    """Differences: every step of input and output counts what its gain says."""

    def build(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
        x = spikes("x", (6,), -20, 20)
        both = {"input_gain": gains, "firing_gain": gains}
        layers = [
            x,
            neuron("a", (8,), 40, v0=300, **both, **options),
            neuron("b", (7,), 40, v0=-100, **both, **options),
            integrator("out", (3,), v0=[4, -900, 100], input_gain=gains),
        ]
        layers = [x, *(replace(layer, coding="sum") for layer in layers[1:])]
        links = [
            project("x", "a", dense(rng, 8, (6,), -3, 4)),
            project("a", "b", dense(rng, 7, (8,), -9, 12)),
            project("b", "out", dense(rng, 3, (7,), -9, 12)),
        ]
        return net("weighted", layers, links, ["out"]), raster(rng, x, rate=0.3)

    return build


def _one_sided(name: str) -> Build:
    """Only one of both gains, arbitrary, with explicit delays."""

    def build(rng: Rng) -> tuple[IntegerNetlist, Stimulus]:
        x = spikes("x", (6,))
        gains = {name: tuple(int(g) for g in rng.integers(0, 5, T))}
        layers = [
            x,
            neuron("a", (6,), 90, v0=30, payload_max=3, **gains),
            neuron("b", (5,), 90, v0=30),
            integrator("out", (3,)),
        ]
        links = [
            project("x", "a", dense(rng, 6, (6,))),
            project("a", "b", dense(rng, 5, (6,)), 4),
            project("b", "out", dense(rng, 3, (5,)), 2),
        ]
        return net("one gain", layers, links, ["out"]), raster(rng, x, rate=0.6)

    return build


for _length in (1, 3, 6):
    add(f"phases_{_length}", _phased(_length), tune=False)
add("phases_graded", _phased(2, payload_max=7), tune=False)
for _delay in (1, 3):
    add(f"phases_in_cycle_delay_{_delay}", _phased_cycle(_delay))
_back = {"negative": 1, "memory": True}
_powers = {"payload_max": 8, "payload_code": "power_of_two"}
for _name, _gains in (("halved", HALVED), ("harmonic", HARMONIC)):
    add(f"gains_{_name}", _weighted(_gains, **_back, payload_max=9), tune=False)
    add(f"gains_{_name}_powers_of_two", _weighted(_gains, **_back, **_powers), tune=False)
    add(f"gains_{_name}_signed", _weighted(_gains, negative=50, **_powers), tune=False)
add("gains_of_input_alone", _one_sided("input_gain"))
add("gains_of_firing_alone", _one_sided("firing_gain"))
