"""The conformance cases and random netlists, and their comparison with the reference."""

from __future__ import annotations

import functools
from collections.abc import Collection
from typing import Protocol

from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.record import RunRecord, Stimulus
from neurodeploy.ir.reference import run_reference
from neurodeploy.testing.builder import NetlistBuilder
from neurodeploy.testing.cases import CASES, Case, add, case, expected, stateful
from neurodeploy.testing.conformance import differences
from tests.conformance.random_netlists import random_netlist

__all__ = [
    "CASES",
    "Case",
    "assert_exact",
    "case",
    "differences",
    "expected",
    "integrators",
    "stateful",
]


class Executor(Protocol):
    """What is compared: the signature of the reference without its options of time."""

    def __call__(
        self, netlist: IntegerNetlist, stimulus: Stimulus, *, membranes: Collection[str] = ()
    ) -> RunRecord: ...


def integrators(netlist: IntegerNetlist) -> list[str]:
    """Outputs that are read by their membrane."""
    return [o.population for o in netlist.outputs if o.reads_membrane]


def assert_exact(run: Executor, c: Case, membranes: Collection[str] | None = None) -> None:
    """Run a case and compare all spikes, and the membranes named (default: of the integrators)."""
    want = run_reference(c.netlist, c.stimulus, membranes=stateful(c.netlist))
    watched = integrators(c.netlist) if membranes is None else membranes
    got = run(c.netlist, c.stimulus, membranes=watched)
    assert got.timesteps == want.timesteps
    emitting = [p.name for p in c.netlist.populations if p.name not in integrators(c.netlist)]
    wrong = differences(want, got, emitting, [*watched, *integrators(c.netlist)])
    assert not wrong, f"{c.name}: " + "; ".join(wrong)


def _random(
    b: NetlistBuilder, *, recurrent: bool, extended: bool, spaced: bool
) -> tuple[IntegerNetlist, Stimulus]:
    return random_netlist(recurrent, b.rng, extended=extended, spaced=spaced)


for _lead, _extended, _spaced, _n in (
    ("random", False, False, 4),
    ("random_extended", True, False, 4),
    ("random_spaced", False, True, 2),
):
    for _seed in range(_n):
        for _kind in ("feedforward", "recurrent"):
            _recurrent = _kind == "recurrent"
            _build = functools.partial(
                _random, recurrent=_recurrent, extended=_extended, spaced=_spaced
            )
            add(f"{_lead}_{_kind}_{_seed}", _build, tune=False)
