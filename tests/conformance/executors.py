"""Everything that has to equal the reference, each behind the same four questions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from neurodeploy.errors import CapacityError
from neurodeploy.hardware.boards.board import load_board
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.record import RunRecord
from neurodeploy.network import Network
from neurodeploy.targets.registry import TARGETS
from neurodeploy.testing.features import features
from tests.conformance.cases import CASES, Case, case, integrators, stateful


@dataclass(frozen=True)
class Executor:
    """One executor and what it is expected to refuse.

    ``refuses`` names features, ``refuses_cases`` cases that exceed a limit; a case with neither has
    to be computed exactly, a case with either has to be refused.
    """

    name: str
    target: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    refuses: frozenset[str] = frozenset()
    refuses_cases: frozenset[str] = frozenset()
    all_membranes: bool = True

    def unavailable(self) -> str | None:
        if self.target is None:
            import importlib.util

            return None if importlib.util.find_spec("torch") else "torch is not installed"
        return TARGETS.get(self.target).unavailable()

    def expected_to_refuse(self, c: Case) -> bool:
        return bool(features(c.netlist) & self.refuses) or c.name in self.refuses_cases

    def violations(self, netlist: IntegerNetlist) -> list[Any]:
        if self.target is None:
            return []
        target = TARGETS.get(self.target)()
        return target.check(netlist, self._board(), target.complete_options(self.options))

    def refusal(self, netlist: IntegerNetlist) -> str | None:
        """The message of the error that compiling raises, None if it compiles."""
        try:
            self._compile(netlist)
        except CapacityError as error:
            return str(error)
        return None

    def membranes(self, netlist: IntegerNetlist) -> Collection[str]:
        return stateful(netlist) if self.all_membranes else integrators(netlist)

    def record(self, c: Case) -> RunRecord:
        """Run one case; several at once where starting is slow."""
        if self.target == "lava":
            return _in_one_worker(self)[c.name]
        if self.target is None:
            from neurodeploy.execution import run_engine

            return run_engine(c.netlist, c.stimulus, membranes=self.membranes(c.netlist))
        deployment = self._compile(c.netlist)
        return deployment.run(c.stimulus, membranes=self.membranes(c.netlist))

    def _board(self) -> Any:
        assert self.target is not None
        name = TARGETS.get(self.target).default_board
        return None if name is None else load_board(name)

    def _compile(self, netlist: IntegerNetlist) -> Any:
        assert self.target is not None
        return TARGETS.get(self.target)().compile(Network(netlist), self._board(), self.options)

    def accepted(self) -> Sequence[Case]:
        return [c for c in map(case, CASES) if not self.expected_to_refuse(c)]


_records: dict[str, dict[str, RunRecord]] = {}


def _in_one_worker(executor: Executor) -> dict[str, RunRecord]:
    if executor.name not in _records:
        from neurodeploy.targets.lava.target import Run, run_all

        # A case that is refused against expectation must not take the others with it.
        cases = [c for c in executor.accepted() if not executor.violations(c.netlist)]
        runs = [
            Run(executor._compile(c.netlist), c.stimulus, None, executor.membranes(c.netlist))
            for c in cases
        ]
        results = run_all(runs)
        _records[executor.name] = {c.name: r for c, r in zip(cases, results, strict=True)}
    return _records[executor.name]


CROSSBAR_REFUSES = frozenset(
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
    }
)
STOCK_REFUSES = frozenset(
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
        # More axon copies per weight than a core has axons for.
        refuses_cases=frozenset({"exponent_scalar", "exponent_per_channel", "weights_14_bits"}),
        all_membranes=False,
    ),
)
