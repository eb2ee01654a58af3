"""Brian2 and Lava: the same integer netlist, compiled by neurodeploy for them."""

from __future__ import annotations

import time
from importlib.metadata import version

import neurodeploy as nd
from benchmarks.speed.contender import Contender, OwnClock
from benchmarks.speed.ours import Truth
from neurodeploy.errors import NeurodeployError
from neurodeploy.ir.record import Stimulus
from neurodeploy.network import Network

# They take tenths of a second per image and step: few rounds, none of them to warm up.
ROUNDS = 3


def brian2(net: Network, stimulus: Stimulus, truth: Truth) -> Contender:
    """A Brian2 Network, built before the clock starts, samples side by side."""
    try:
        deployment = nd.compile(net, "brian2")
    except NeurodeployError as error:
        return Contender("brian2", "Brian2", None, str(error))
    outputs = [o.population for o in truth.netlist.outputs]

    def run() -> OwnClock:
        network = deployment.brian2_network(stimulus, record=outputs)  # type: ignore[attr-defined]
        begun = time.process_time()
        deployment.simulate(network)  # type: ignore[attr-defined]
        elapsed = time.process_time() - begun
        truth.compare(deployment.record(network))  # type: ignore[attr-defined]
        return OwnClock(elapsed)

    return Contender("brian2", f"Brian2 {version('brian2')} (numpy)", run, rounds=ROUNDS)


def lava(net: Network, stimulus: Stimulus, truth: Truth) -> Contender:
    """Lava's processes; wall-clock time from the first step reported to the last."""
    try:
        deployment = nd.compile(net, "lava")
    except NeurodeployError as error:
        return Contender("lava", "Lava", None, str(error))
    outputs = [o.population for o in truth.netlist.outputs]

    def run() -> OwnClock:
        seen: list[tuple[float, int, int]] = []
        truth.compare(
            deployment.run(
                stimulus,
                record=outputs,
                progress=lambda done, total: seen.append((time.perf_counter(), done, total)),
            )
        )
        (begin, first, total), (end, last, _) = seen[0], seen[-1]
        return OwnClock((end - begin) * total / max(last - first, 1))

    name = "Lava 0.10.0 (own processes, wall-clock)"
    return Contender("lava", name, run, rounds=ROUNDS, clock="wall")
