"""Executors that random netlists are run on: add one to :data:`PATHS` and it is tested."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

from neurodeploy.errors import NeurodeployError
from neurodeploy.execution.native.library import ISAS
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.record import RunRecord, Stimulus
from tests.conformance.fuzz.totals import expect_the_same

Run = Callable[[IntegerNetlist, Stimulus, Collection[str]], tuple[RunRecord, frozenset[str]]]


@dataclass(frozen=True)
class Path:
    """One way to compute a netlist.

    ``run(netlist, stimulus, membranes)`` returns the record and the names of the kernels that were
    taken; ``missing()`` says why it cannot run here, or None.
    """

    name: str
    run: Run
    missing: Callable[[], str | None]


def _native(isa: str, **options: Any) -> Path:
    """The native engine, held to one version of its kernels."""

    def run(
        netlist: IntegerNetlist, stimulus: Stimulus, membranes: Collection[str]
    ) -> tuple[RunRecord, frozenset[str]]:
        from neurodeploy.execution.native.engine import NativeEngine
        from neurodeploy.execution.native.library import load

        engine = NativeEngine(netlist, replace(load(), isa_name=isa), **options)
        kernels = frozenset(map(str, engine.paths.values()))
        record = engine.run(stimulus, membranes=membranes)
        expect_the_same(engine, netlist, stimulus, record)
        return record, kernels

    def missing() -> str | None:
        from neurodeploy.execution.native.library import load

        try:
            supported = load().isas
        except NeurodeployError as error:
            return str(error)
        return None if isa in supported else f"this processor does not run {isa}"

    told = "".join(f", {name} {value}" for name, value in options.items())
    return Path(f"native {isa}{told}", run, missing)


def _torch(**options: Any) -> Path:
    """Integer products in PyTorch, what runs where there is no library."""

    def run(
        netlist: IntegerNetlist, stimulus: Stimulus, membranes: Collection[str]
    ) -> tuple[RunRecord, frozenset[str]]:
        from neurodeploy.execution.pytorch.engine import Engine

        engine = Engine(netlist, **options)
        stages = [stage for component in engine.plan.components for stage in component]
        links = [link for stage in stages for link in (*stage.outer, *stage.inner)]
        kernels = frozenset(type(link.product).__name__ for link in links)
        record = engine.run(stimulus, membranes=membranes)
        expect_the_same(engine, netlist, stimulus, record)
        return record, kernels

    def missing() -> str | None:
        try:
            import torch  # noqa: F401
        except ImportError:
            return "PyTorch is not installed"
        return None

    told = "".join(f", {name} {value}" for name, value in options.items())
    return Path(f"torch{told}", run, missing)


PATHS: tuple[Path, ...] = (
    *(_native(isa) for isa in ISAS),
    _native(ISAS[0], threads=2, batch_size=4),
    _torch(),
    _torch(batch_size=4),
)


def available() -> tuple[list[Path], dict[str, str]]:
    """Paths that run here, and why the others do not."""
    missing = {path.name: path.missing() for path in PATHS}
    reasons = {name: why for name, why in missing.items() if why is not None}
    return [path for path in PATHS if path.name not in reasons], reasons
