"""The conformance cases by name."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Collection
from dataclasses import dataclass

from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.neurons import Input
from neurodeploy.ir.record import RunRecord, Stimulus
from neurodeploy.ir.reference import run_reference
from neurodeploy.testing.builder import NetlistBuilder
from neurodeploy.testing.stimuli import tuned

T = 12
"""Steps of a sample of most cases."""

Build = Callable[[NetlistBuilder], "IntegerNetlist | tuple[IntegerNetlist, Stimulus]"]


@dataclass(frozen=True)
class Case:
    """A netlist, what is fed to it, and which populations stay silent."""

    name: str
    netlist: IntegerNetlist
    stimulus: dict[str, IntArray]
    silent: frozenset[str] = frozenset()


CASES: dict[str, Callable[[], Case]] = {}


def add(name: str, build: Build, *, tune: bool = True, silent: Collection[str] = ()) -> None:
    """Register a case; ``tune`` scales its thresholds to sensible rates.

    ``build`` is called with an empty builder. Where it returns no stimulus, one is drawn.
    """

    def thunk() -> Case:
        builder = NetlistBuilder(T, name, seed=zlib.crc32(name.encode()))
        built = build(builder)
        netlist, stimulus = built if isinstance(built, tuple) else (built, builder.stimulus())
        if tune:
            netlist = tuned(netlist, stimulus, keep=silent)
        return Case(name, netlist, dict(stimulus), frozenset(silent))

    assert name not in CASES
    CASES[name] = functools.cache(thunk)


def case(name: str) -> Case:
    """The case called ``name``, built once."""
    return CASES[name]()


def stateful(netlist: IntegerNetlist) -> list[str]:
    """Every population that has a membrane."""
    return [p.name for p in netlist.populations if not isinstance(p.model, Input)]


@functools.cache
def expected(name: str) -> RunRecord:
    """The reference's record of a case, every membrane included."""
    c = case(name)
    return run_reference(c.netlist, c.stimulus, membranes=stateful(c.netlist))


def read(b: NetlistBuilder, source: str = "h") -> IntegerNetlist:
    """Four neurons and three integrators at the end."""
    b.dense(4, after=source, name="out", threshold=50).dense(3, after=source, name="sum")
    return b.output("out", "sum")
