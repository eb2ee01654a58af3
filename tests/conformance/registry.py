"""Where the conformance cases are registered, and what comparing with the reference means.

``CASES`` maps a name to a thunk; ``case(name)`` builds it once. ``assert_exact`` compares an
executor with the reference: every spike of every population, and membranes.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Collection
from typing import Protocol

import numpy as np

from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.record import RunRecord, Stimulus
from neurodeploy.ir.reference import run_reference
from tests.conformance.netlists import (
    Case,
    Rng,
    tuned,
)

Build = Callable[[Rng], "tuple[IntegerNetlist, Stimulus]"]
CASES: dict[str, Callable[[], Case]] = {}


class Executor(Protocol):
    """What is compared: the signature of the reference without its options of time."""

    def __call__(
        self, netlist: IntegerNetlist, stimulus: Stimulus, *, membranes: Collection[str] = ()
    ) -> RunRecord: ...


def add(
    name: str, build: Build, *, tune: bool = True, silent: Collection[str] = (), notes: str = ""
) -> None:
    """Register a case; ``tune`` scales its thresholds to sensible rates."""

    def thunk() -> Case:
        netlist, stimulus = build(np.random.default_rng(zlib.crc32(name.encode())))
        if tune:
            netlist = tuned(netlist, stimulus, keep=silent)
        return Case(name, netlist, dict(stimulus), frozenset(silent), notes)

    assert name not in CASES
    CASES[name] = functools.cache(thunk)


def case(name: str) -> Case:
    """The case called ``name``."""
    return CASES[name]()


def integrators(netlist: IntegerNetlist) -> list[str]:
    """Outputs that are read by their membrane."""
    return [o.population for o in netlist.outputs if o.decode == "membrane"]


def stateful(netlist: IntegerNetlist) -> list[str]:
    """Every population that has a membrane."""
    inputs = {p.name for p in netlist.inputs}
    return [p.name for p in netlist.populations if p.name not in inputs]


@functools.cache
def expected(name: str) -> RunRecord:
    """The reference's record of a case, every membrane included."""
    c = case(name)
    return run_reference(c.netlist, c.stimulus, membranes=stateful(c.netlist))


def differences(
    want: RunRecord, got: RunRecord, spiking: Collection[str], membranes: Collection[str]
) -> list[str]:
    """One line for every population that differs, with its first divergence."""
    found = []
    pairs = [(n, "spikes", want.spikes, got.spikes) for n in spiking]
    pairs += [(n, "membrane", want.membranes, got.membranes) for n in membranes]
    for name, what, ours, theirs in pairs:
        if name not in theirs:
            found.append(f"{name}: no {what} were returned")
            continue
        a, b = np.asarray(ours[name]), np.asarray(theirs[name])
        if a.shape != b.shape:
            found.append(f"{name}: {what} of shape {b.shape}, expected {a.shape}")
        elif (a != b).any():
            where = np.argwhere(a != b)
            first = tuple(where[where[:, 1].argmin()])
            found.append(
                f"{name}: {len(where)} of {a.size} {what} differ, first at (sample, step, neuron) "
                f"{first}: expected {a[first]}, got {b[first]}"
            )
    return found


def assert_exact(run: Executor, c: Case, membranes: Collection[str] | None = None) -> None:
    """Run a case and compare all spikes, and the membranes named (default: of the integrators)."""
    want = run_reference(c.netlist, c.stimulus, membranes=stateful(c.netlist))
    watched = integrators(c.netlist) if membranes is None else membranes
    got = run(c.netlist, c.stimulus, membranes=watched)
    assert got.timesteps == want.timesteps
    emitting = [p.name for p in c.netlist.populations if p.name not in integrators(c.netlist)]
    wrong = differences(want, got, emitting, [*watched, *integrators(c.netlist)])
    assert not wrong, f"{c.name}: " + "; ".join(wrong)
