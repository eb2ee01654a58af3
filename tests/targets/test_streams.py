"""Streams on targets: pieces give the spikes of one run, whatever a population lags behind."""

from __future__ import annotations

import gc
import os
import signal
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import neurodeploy as nd
from neurodeploy.errors import CapacityError, ExecutionError, UsageError
from neurodeploy.ir.bounds import prove_bounds
from neurodeploy.ir.decoding import decode
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.record import RunRecord, Stimulus
from neurodeploy.ir.reference import run_reference
from neurodeploy.network import Network
from neurodeploy.targets import stream as module
from neurodeploy.targets.lava import sweeper
from neurodeploy.targets.registry import TARGETS
from neurodeploy.testing import NetlistBuilder
from tests.conformance.random_netlists import random_netlist
from tests.execution.test_streams import expect_equal, neurons

T = 40


@pytest.fixture(params=["brian2", pytest.param("lava", marks=pytest.mark.lava)])
def target(request: pytest.FixtureRequest) -> str:
    """A target that has all of the contract."""
    reason = TARGETS.get(request.param).unavailable()
    if reason is not None:
        pytest.skip(reason)
    return str(request.param)


def native() -> IntegerNetlist:
    """All that is kept: currents, countdowns, later resets, graded spikes, cycles, long delays."""
    build = NetlistBuilder(T=T, seed=3).input("x", (2, 6, 6), high=3)
    build = build.conv(
        3,
        threshold=150,
        membrane_decay=400,
        current_decay=2000,
        payload_max=3,
        negative_threshold=200,
    )
    build = build.maxpool(2, rule="now")
    build = build.dense(
        12,
        threshold=90,
        membrane_decay=300,
        refractory=2,
        floor=-500,
        reset="subtract-next",
        name="hidden",
    )
    build = build.connect("hidden", "hidden", np.eye(12, dtype=int) * -20, delay=3)
    build = build.dense(5, threshold=120, membrane_decay=800, reset="zero", name="out")
    build = build.connect("x", "out", build.draw((5, 72)), delay=7)
    # It hears what is sent with a delay of 1 when it is behind by more: windows end in time.
    build = build.connect("conv_1", "out", build.draw((5, 48)), delay=1)
    return build.dense(3, threshold=None, membrane_decay=700, name="sum").output()


def in_pieces(stream: nd.Stream, x: Stimulus, parts: Sequence[slice]) -> list[RunRecord]:
    watched = neurons(stream.network.integer)
    found = [stream.step({n: v[:, p] for n, v in x.items()}, membranes=watched) for p in parts]
    return [*found, stream.finish(membranes=watched)]


def test_pieces_equal_one_run(target: str) -> None:
    # Brian2 prepares its code again for every piece.
    length = {"brian2": 10}.get(target, 4)
    net = native()
    x = {"x": np.random.default_rng(0).integers(0, 4, (2, T, 2, 6, 6))}
    x["x"] *= np.random.default_rng(1).random(x["x"].shape) < 0.3
    whole = run_reference(net, x, membranes=neurons(net))
    assert all(whole.spikes[n].any() for n in net.by_name if n != "sum")
    with nd.compile(Network(net), target).stream(samples=2) as stream:
        assert stream.executor == target
        parts = in_pieces(stream, x, [slice(t, t + length) for t in range(0, T, length)])
        # Each population answers as many steps later as it is deep.
        for name, depth in net.schedule.depth.items():
            assert parts[0].spikes[name].shape[1] == max(0, length - depth)
        expect_equal(parts, whole)
        for output in net.outputs:
            answer = decode(net, output, whole)
            np.testing.assert_array_equal(stream.outputs[output.population], answer)


def test_random_netlists_in_pieces(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the contract's kinds: pools of all input and memory are kept too, where T is known."""
    monkeypatch.setattr(module, "steady_bounds", prove_bounds)
    for seed in range(100):
        net, stimulus = random_netlist(seed % 2 == 0, np.random.default_rng(seed), extended=True)
        if any(p.n_gains or p.is_current_input for p in net.populations):
            continue
        batch = len(next(iter(stimulus.values())))
        stream = TARGETS.get(target)().compile(Network(net)).open_stream(batch)
        watched = neurons(net)
        parts = [
            stream.step(
                {n: v[:, p] for n, v in stimulus.items()}, len(range(net.timesteps)[p]), watched
            )
            for p in (slice(net.timesteps // 3), slice(net.timesteps // 3, net.timesteps))
        ]
        parts.append(stream.finish(watched))
        expect_equal(parts, run_reference(net, stimulus, membranes=watched))
        return
    raise AssertionError("no netlist of spikes alone")


@pytest.mark.lava
@pytest.mark.usefixtures("lava_python")
def test_stock_processes_stream_too() -> None:
    """Excited neurons with zero reset, of which some have a bias from their window's start on."""
    build = NetlistBuilder(T=20, seed=1).input("x", (1, 6, 6))
    kernel, dense, skip = (build.draw(s, 0, 20) for s in ((2, 1, 3, 3), (4, 32), (4, 36)))
    build = build.conv(kernel, threshold=60, reset="zero", bias=[3, 0])
    net = build.dense(dense, threshold=80, reset="zero", name="out").connect("x", "out", skip)
    x = {"x": (np.random.default_rng(0).random((1, 20, 1, 6, 6)) < 0.3).astype(np.int64)}
    deployment = nd.compile(Network(net.output()), "lava-stock")
    whole = run_reference(deployment.netlist, x, membranes=neurons(deployment.netlist))
    with deployment.stream() as stream:
        expect_equal(in_pieces(stream, x, [slice(t, t + 2) for t in range(0, 20, 2)]), whole)
    with pytest.raises(UsageError, match="run one stream, not 2"):
        deployment.stream(samples=2)


@pytest.mark.lava
@pytest.mark.usefixtures("lava_python")
def test_a_worker_that_died_is_one_line_and_leaves_nothing() -> None:
    net = NetlistBuilder(T=8).input("x", (3,)).dense(2, threshold=9, membrane_decay=900).output()
    stream = nd.compile(Network(net), "lava").stream()
    first = stream.step(np.ones((2, 3), int)).spikes["x"]
    workers = lava_workers()
    assert len(workers) > 1
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    with pytest.raises(ExecutionError, match=r"worker was killed by SIGKILL; log: .*\.log") as died:
        stream.step(np.ones((2, 3), int))
    Path(str(died.value).rpartition("log: ")[2]).unlink()
    with pytest.raises(ExecutionError, match=r"has ended; reset\(\)"):
        stream.step(np.ones((2, 3), int))
    stream.reset()
    np.testing.assert_array_equal(stream.step(np.ones((2, 3), int)).spikes["x"], first)
    assert lava_workers()
    # Nobody closed it.
    del stream, died
    gc.collect()
    assert not lava_workers()


def lava_workers() -> list[int]:
    """Processes that this one started for jobs of Lava."""
    roots = Path(tempfile.gettempdir()).glob("neurodeploy-lava-*")
    return [pid for root in roots for pid in sweeper.job_processes(root) if _ours(pid)]


def _ours(pid: int) -> bool:
    """Whether a process descends from this one."""
    while pid > 1:
        if pid == os.getpid():
            return True
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return False
    return False


def test_membranes_are_asked_for_from_the_first_piece_on(target: str) -> None:
    net = NetlistBuilder(T=8).input("x", (3,)).dense(2, threshold=9, membrane_decay=900).output()
    with nd.compile(Network(net), target).stream() as stream:
        stream.step(np.ones((2, 3), int))
        with pytest.raises(UsageError, match=r"dense_1 .* from the first piece on"):
            stream.step(np.ones((2, 3), int), membranes=["dense_1"])
        assert stream.finish().timesteps == 1
        with pytest.raises(UsageError, match="is finished"):
            stream.finish()


def test_bounds_of_any_number_of_steps_decide(target: str) -> None:
    net = NetlistBuilder(T=8).input("x", (4,)).dense(np.full((3, 4), -100), threshold=9).output()
    with pytest.raises(CapacityError, match=r"bound of dense_1 grows with T .* up to T = "):
        nd.compile(Network(net), target).stream()
    build = NetlistBuilder(T=2).input("x", (1,))
    wide = build.dense([[100]], threshold=None, exponent=10, membrane_decay=10).output()
    with pytest.raises(CapacityError, match=rf"on target {target}: .* is \d+, above 8388607"):
        nd.compile(Network(wide), target).stream()
