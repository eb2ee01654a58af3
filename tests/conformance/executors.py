"""Everything that has to equal the reference, each behind the same four questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from neurodeploy.hardware.boards.loading import load_board
from neurodeploy.ir.record import RunRecord
from neurodeploy.targets.registry import TARGETS
from neurodeploy.testing.conformance import Subject, refusal_faults, run_faults
from tests.conformance.cases import CASES, Case, case, differences, expected, integrators, stateful


@dataclass(frozen=True)
class Executor:
    """The engine, or a target and what it is expected to refuse.

    ``refuses`` names features, and cases that exceed a limit; a case with neither has to be
    computed exactly, a case with either has to be refused.
    """

    name: str
    target: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    refuses: frozenset[str] = frozenset()
    all_membranes: bool = True

    def unavailable(self) -> str | None:
        if self.target is None:
            import importlib.util

            return None if importlib.util.find_spec("torch") else "torch is not installed"
        return TARGETS.get(self.target).unavailable()

    @property
    def subject(self) -> Subject:
        assert self.target is not None
        target = TARGETS.get(self.target)()
        board = None if target.default_board is None else load_board(target.default_board)
        return Subject(target, board, self.options, self.all_membranes, self.refuses)

    def accepts(self, c: Case) -> bool:
        return self.target is None or not self.subject.expected_to_refuse(c)

    def accepted(self) -> Sequence[Case]:
        return [c for c in map(case, CASES) if self.accepts(c)]

    def record(self, c: Case) -> RunRecord:
        """Run one case; several at once where starting is slow."""
        if self.target == "lava":
            return _in_one_worker(self)[c.name]
        if self.target is None:
            from neurodeploy.execution import run_engine

            return run_engine(c.netlist, c.stimulus, membranes=stateful(c.netlist))
        subject = self.subject
        return subject.compile(c.netlist).run(c.stimulus, membranes=subject.watched(c.netlist))

    def faults(self, c: Case) -> list[str]:
        """What is wrong with the refusal or the run of a case."""
        if self.target is not None:
            refused = refusal_faults(self.subject, c)
            if refused or not self.accepts(c):
                return refused
            if self.target != "lava":
                # Brian2 takes a second or two to prepare each run.
                seldom = self.target == "brian2"
                return run_faults(self.subject, c, twice=not seldom or c.name in ONCE_MORE)
        want, got = expected(c.name), self.record(c)
        assert got.timesteps == want.timesteps
        watched = stateful(c.netlist) if self.all_membranes else integrators(c.netlist)
        emitting = [n for n in want.spikes if n not in integrators(c.netlist)]
        return differences(want, got, emitting, watched)


_records: dict[str, dict[str, RunRecord]] = {}


def _in_one_worker(executor: Executor) -> dict[str, RunRecord]:
    if executor.name not in _records:
        from neurodeploy.targets.lava.target import Run, run_all

        subject = executor.subject
        # A case that is refused against expectation must not take the others with it.
        cases = [c for c in executor.accepted() if not subject.violations(c.netlist)]
        runs = [
            Run(subject.compile(c.netlist), c.stimulus, None, subject.watched(c.netlist))
            for c in cases
        ]
        results = run_all(runs)
        _records[executor.name] = {c.name: r for c, r in zip(cases, results, strict=True)}
    return _records[executor.name]


ONCE_MORE = frozenset(list(CASES)[::5])
"""Cases that run as compiled too where runs are slow, and not only after saving and loading."""

EXTENSIONS = frozenset(
    {
        "a decay per neuron",
        "a floor",
        "saturation",
        "a refractory period",
        "reset value",
        "reset subtract-next",
    }
)
CROSSBAR_REFUSES = EXTENSIONS - {"a floor"} | frozenset(
    {
        "current input",
        "signed input",
        "graded input",
        "signed spikes",
        "graded spikes",
        "current decay",
        "leak",
        "max-pooling",
        "membrane output",
        "integrator",
        "reset none",
        "delay below the depth difference",
        # More axon copies per weight than a core has axons for.
        "exponent_scalar",
        "exponent_per_channel",
        "weights_14_bits",
    }
)
STOCK_REFUSES = EXTENSIONS | frozenset(
    {
        "recurrence",
        "misaligned delay",
        "max-pooling",
        "current decay",
        "leak",
        "initial membrane",
        "reset subtract",
        "reset none",
        "signed spikes",
        "graded spikes",
    }
)

EXECUTORS = (
    Executor("engine"),
    Executor("brian2", "brian2"),
    Executor("lava", "lava"),
    Executor(
        "lava-stock",
        "lava",
        {"models": "stock"},
        refuses=STOCK_REFUSES,
        all_membranes=False,
    ),
    Executor(
        "truenorth",
        "truenorth",
        refuses=CROSSBAR_REFUSES,
    ),
)
