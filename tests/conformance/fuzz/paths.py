"""Executors that random netlists are run on: add one to :data:`PATHS` and it is tested."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any
from unittest import mock

import numpy as np

from neurodeploy.errors import CapacityError, NeurodeployError
from neurodeploy.execution.native import tiles
from neurodeploy.execution.native.library import ISAS
from neurodeploy.ir.bounds import prove_bounds
from neurodeploy.ir.netlist import IntegerNetlist, Population
from neurodeploy.ir.neurons import MaxPool
from neurodeploy.ir.record import RunRecord, Stimulus, joined_steps
from neurodeploy.ir.streaming import stream_lags
from tests.conformance.fuzz.totals import expect_the_same
from tests.execution import emulated

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
    """The native engine, held to one version of its kernels, emulated where it must be."""

    def run(
        netlist: IntegerNetlist, stimulus: Stimulus, membranes: Collection[str]
    ) -> tuple[RunRecord, frozenset[str]]:
        from neurodeploy.execution.native.engine import NativeEngine

        engine = NativeEngine(netlist, emulated.kernels(isa), **options)
        kernels = frozenset(map(str, engine.paths.values()))
        record = engine.run(stimulus, membranes=membranes)
        expect_the_same(engine, netlist, stimulus, record)
        return record, kernels

    def missing() -> str | None:
        try:
            return emulated.why_not(isa)
        except NeurodeployError as error:
            return str(error)

    told = "".join(f", {name} {value}" for name, value in options.items())
    return Path(f"native {isa}{told}", run, missing)


def _in_tiles() -> Path:
    """The native engine, in tiles as soon as anything fires."""
    amx = _native("amx")

    def run(
        netlist: IntegerNetlist, stimulus: Stimulus, membranes: Collection[str]
    ) -> tuple[RunRecord, frozenset[str]]:
        with mock.patch.object(tiles, "TILED_FROM", 0):
            return amx.run(netlist, stimulus, membranes)

    return Path("native in tiles", run, amx.missing)


def _in_pieces() -> Path:
    """The native engine on a stream, in pieces; whole where a netlist cannot be one."""
    whole = _native(ISAS[0])

    def run(
        netlist: IntegerNetlist, stimulus: Stimulus, membranes: Collection[str]
    ) -> tuple[RunRecord, frozenset[str]]:
        from neurodeploy.execution.native.library import load
        from neurodeploy.execution.native.stream import NativeStream

        if any(map(_needs_its_length, netlist.populations)) or any(stream_lags(netlist).values()):
            return whole.run(netlist, stimulus, membranes)
        T, bounds = netlist.timesteps, prove_bounds(netlist)
        batch = len(next(iter(stimulus.values())))
        try:
            stream = NativeStream(netlist, load(), batch, bounds)
        except CapacityError:
            return whole.run(netlist, stimulus, membranes)
        cuts = sorted({0, T // 7, T // 2, T // 2 + 1, T})
        asked = [name for name in membranes if name in stream.states or netlist.incoming[name]]
        parts = [
            stream.step({n: v[:, a:b] for n, v in stimulus.items()}, b - a, asked)
            for a, b in pairwise(cuts)
        ]
        record = joined_steps(parts)
        silent = {p.name: np.zeros_like(record.spikes[p.name]) for p in netlist.inputs}
        traces = {**{n: v for n, v in silent.items() if n in membranes}, **record.membranes}
        return replace(record, membranes=traces), frozenset({"pieces"})

    return Path("native in pieces", run, whole.missing)


def _needs_its_length(population: Population) -> bool:
    """Whether the engine's streams have no such population: what adds up over a sample."""
    model = population.model
    accumulates = isinstance(model, MaxPool) and model.rule != "now"
    return bool(accumulates or population.n_gains or population.is_current_input)


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
    _in_pieces(),
    _in_tiles(),
    _torch(),
    _torch(batch_size=4),
)


def available() -> tuple[list[Path], dict[str, str]]:
    """Paths that run here, and why the others do not."""
    missing = {path.name: path.missing() for path in PATHS}
    reasons = {name: why for name, why in missing.items() if why is not None}
    return [path for path in PATHS if path.name not in reasons], reasons
