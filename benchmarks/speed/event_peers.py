"""Brian2 and Lava: the same integer netlist, compiled by neurodeploy for them."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import neurodeploy as nd
from benchmarks.speed.contender import Contender
from neurodeploy.errors import NeurodeployError
from neurodeploy.ir.artifact import Artifact
from neurodeploy.ir.record import Stimulus

Check = Callable[[Any], None]
"""Compares a run with the reference; raises if they differ."""


def brian2(net: Artifact, stimulus: Stimulus, outputs: list[str], check: Check) -> Contender:
    """A Brian2 Network, built before the clock starts, samples side by side."""
    try:
        deployment = nd.compile(net, "brian2")
    except NeurodeployError as error:
        return Contender("Brian2", None, str(error))

    def run() -> float:
        network = deployment.network(stimulus, record=outputs)  # type: ignore[attr-defined]
        start = time.perf_counter()
        deployment.simulate(network)  # type: ignore[attr-defined]
        elapsed = time.perf_counter() - start
        check(deployment.record(network))  # type: ignore[attr-defined]
        return elapsed

    return Contender(f"Brian2 {version('brian2')} (numpy)", run)


def lava(net: Artifact, stimulus: Stimulus, outputs: list[str], check: Check) -> Contender:
    """Lava processes; the clock runs from the first step reported to the last."""
    try:
        deployment = nd.compile(net, "lava")
    except NeurodeployError as error:
        return Contender("Lava", None, str(error))

    def run() -> float:
        seen: list[tuple[float, int, int]] = []
        check(
            deployment.run(
                stimulus,
                record=outputs,
                progress=lambda done, total: seen.append((time.perf_counter(), done, total)),
            )
        )
        (begin, first, total), (end, last, _) = seen[0], seen[-1]
        return (end - begin) * total / max(last - first, 1)

    return Contender("Lava 0.10.0 (own processes)", run)
