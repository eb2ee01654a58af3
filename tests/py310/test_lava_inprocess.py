"""Lava inside the running Python 3.10: exact, and never a hang."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import signal
import time

import numpy as np
import pytest

from neurodeploy.errors import ExecutionError
from neurodeploy.ir.connectivity import Dense
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.reference import run_reference
from neurodeploy.targets.lava.interpreter import find_lava_python
from neurodeploy.testing import NetlistBuilder
from tests.targets.lava.networks import (
    assert_exact,
    chain,
    chain_stimulus,
    compiled,
    computing,
    random_net,
    random_stock_net,
)

pytestmark = [
    pytest.mark.lava,
    pytest.mark.skipif(
        not find_lava_python().in_process, reason="this Python cannot run Lava in-process"
    ),
    # networkx, asked by Lava, says that it found no pandas.
    pytest.mark.filterwarnings("ignore::ImportWarning"),
]


def children() -> set[int]:
    """Processes that this one started and that still live."""
    return {p.pid for p in multiprocessing.active_children() if p.pid is not None}


@pytest.fixture(autouse=True)
def _nothing_is_left():
    shared = set(os.listdir("/dev/shm"))
    before = children()
    yield
    deadline = time.monotonic() + 5
    while children() - before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert children() <= before
    mine = set(os.listdir("/dev/shm")) - shared
    assert not {name for name in mine if _is_ours(name)}


def _is_ours(name: str) -> bool:
    # Others may run Lava at the same time: only segments that this process maps count.
    with open("/proc/self/maps") as maps:
        return name in maps.read()


def test_own_models_in_process() -> None:
    netlist, stimulus = random_net(21, recurrent=True)
    deployment = compiled(netlist, execution="in-process")
    seen: list[int] = []
    found = deployment.run(
        stimulus, membranes=computing(netlist), progress=lambda done, total: seen.append(done)
    )
    assert_exact(netlist, found, run_reference(netlist, stimulus, membranes=computing(netlist)))
    assert seen[-1] == netlist.timesteps + netlist.schedule.max_depth
    assert len(deployment.processes) == len(netlist.populations)


def test_stock_models_in_process() -> None:
    netlist, stimulus = random_stock_net(1)
    found = compiled(netlist, models="stock", execution="in-process").run(stimulus)
    assert_exact(netlist, found, run_reference(netlist, stimulus))


def test_a_worker_of_the_same_python() -> None:
    netlist = chain(20)
    found = compiled(netlist, execution="worker").run(chain_stimulus(2))
    assert_exact(netlist, found, run_reference(netlist, chain_stimulus(2)))


def two_inputs() -> IntegerNetlist:
    """The same chain behind an input of two neurons."""
    net = chain(20)
    first, second = net.populations[0], net.projections[0]
    narrow = Dense(second.connectivity.weight[:, :2], (2,))
    return dataclasses.replace(
        net,
        populations=(dataclasses.replace(first, shape=(2,)), *net.populations[1:]),
        projections=(dataclasses.replace(second, connectivity=narrow), *net.projections[1:]),
    )


def test_a_model_that_raises_does_not_hang() -> None:
    deployment = compiled(chain(20), execution="in-process")
    # Four values are given where the source has two.
    deployment.bundle = compiled(two_inputs()).bundle
    start = time.monotonic()
    with pytest.raises(
        ExecutionError, match="target lava: a Lava process raised ValueError while it ran"
    ):
        deployment.run(chain_stimulus(1))
    assert time.monotonic() - start < 30
    # And the next run is none the worse for it.
    netlist = chain(20)
    assert_exact(
        netlist,
        compiled(netlist, execution="in-process").run(chain_stimulus(1)),
        run_reference(netlist, chain_stimulus(1)),
    )


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (signal.SIGKILL, "a Lava process was killed by SIGKILL"),
        (signal.SIGSTOP, "no time step done for 1.5 s"),
    ],
)
def test_a_process_killed_or_stopped(number: signal.Signals, reason: str) -> None:
    hit: list[int] = []

    def progress(done: int, total: int) -> None:
        if done > 50 and not hit:
            actors = [p for p in multiprocessing.active_children() if "SystemProcess" in repr(p)]
            hit.append(actors[0].pid or 0)
            os.kill(hit[0], number)

    deployment = compiled(
        chain(500), execution="in-process", stall_limit_s=1.5, samples_side_by_side=1
    )
    with pytest.raises(ExecutionError, match=f"target lava: {reason}"):
        deployment.run(chain_stimulus(40), record=["out"], progress=progress)
    assert hit


def test_an_interrupt() -> None:
    def progress(done: int, total: int) -> None:
        if done > 50:
            raise KeyboardInterrupt

    deployment = compiled(chain(500), execution="in-process", samples_side_by_side=1)
    with pytest.raises(KeyboardInterrupt):
        deployment.run(chain_stimulus(40), record=["out"], progress=progress)


def test_a_stream_in_process() -> None:
    """Processes that stand still between the pieces and go on, and end when it is closed."""
    build = NetlistBuilder(T=12, seed=3).input("x", (6,))
    build = build.dense(5, threshold=60, membrane_decay=400, reset="subtract-next")
    netlist = build.dense(3, threshold=None, membrane_decay=700, name="sum").output()
    raster = np.random.default_rng(0).integers(0, 2, (2, 12, 6))
    whole = run_reference(netlist, {"x": raster})
    stream = compiled(netlist, execution="in-process").open_stream(2)
    parts = [stream.step({"x": raster[:, t : t + 4]}, 4, ["sum"]) for t in (0, 4, 8)]
    parts.append(stream.finish(["sum"]))
    for name in ("dense_1", "sum"):
        found = np.concatenate([part.spikes[name] for part in parts], axis=1)
        np.testing.assert_array_equal(found, whole.spikes[name])
    found = np.concatenate([part.membranes["sum"] for part in parts], axis=1)
    np.testing.assert_array_equal(found, whole.membranes["sum"])
    broken = compiled(netlist, execution="in-process").open_stream(2)
    broken.step({"x": raster[:, :4]}, 4)
    for child in multiprocessing.active_children():
        os.kill(child.pid or 0, signal.SIGKILL)
    with pytest.raises(ExecutionError, match="SIGKILL"):
        broken.step({"x": raster[:, 4:8]}, 4)
