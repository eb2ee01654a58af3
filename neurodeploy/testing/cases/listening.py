"""Cases: codes that listen before they fire: digits, some taken back, and spikes from a reserve."""

from __future__ import annotations

from typing import Any

from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.record import Stimulus
from neurodeploy.testing.builder import NetlistBuilder
from neurodeploy.testing.cases.catalogue import Build, T, add
from neurodeploy.testing.parts import sparse

DOUBLING = (32, 16, 8, 4, 2, 1)
TWICE = (16, 8, 8, 4, 4, 2, 2, 1)


def _listening(
    worths: tuple[int, ...], shares: tuple[int, ...] = (), largest: int = 2000, **options: Any
) -> Build:
    """An image that comes once, maxima, and a shortcut past them into a sum."""
    silent, levels = T - len(worths), sum(worths)
    heard = worths + (0,) * silent
    code: dict[str, Any] = {"firing_gain": (0,) * silent + worths, "coding": "sum", **options}
    if shares:
        code["comparison"] = (4096,) * silent + shares

    def neurons(theta: int, gains: tuple[int, ...]) -> dict[str, Any]:
        own = {**code, "threshold": theta, "initial_membrane": theta // 2, "input_gain": gains}
        return own | ({"negative_threshold": theta} if "memory" in code else {})

    def build(b: NetlistBuilder) -> tuple[IntegerNetlist, Stimulus]:
        shape = (2, 4, 4)
        b.input("x", 6, low=-20, high=60)
        b.sparse(0.6, shape, name="a", **neurons(largest // levels, (1,) + (0,) * (T - 1)))
        b.maxpool(2, stride=(2, 1), input_gain=heard, name="pool")
        b.dense(7, name="b", **neurons(7000 // levels, heard))
        b.connect("a", "b", sparse(b.rng, shape, (7,), 0.5))
        start = [4, -900, 100]
        b.dense(3, initial_membrane=start, input_gain=heard, coding="sum", name="out")
        b.connect("b", "out", b.draw((3, 7)))
        given = b.stimulus(rate=1.0)
        # After the first step the image brings nothing.
        given["x"][:, 1:] = 0
        return b.output(), given

    return build


_BACK: dict[str, Any] = {"memory": True}
_FALLING = tuple(4096 + 4096 * t // 10 for t in reversed(range(11)))
add("digits", _listening(DOUBLING), tune=False)
add("digits_repeated", _listening(TWICE), tune=False)
add("digits_taken_back", _listening(TWICE, (2048,) * len(TWICE), **_BACK), tune=False)
add("spikes_from_a_reserve", _listening((1,) * 11, _FALLING, 3500), tune=False)
