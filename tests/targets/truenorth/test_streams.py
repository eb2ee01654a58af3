"""Floors of neurons on crossbar cores, and streams, for which most networks there need them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

import neurodeploy as nd
from neurodeploy.errors import CapacityError, NetlistError
from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.bounds import prove_bounds
from neurodeploy.ir.connectivity import identity
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.neurons import IntegerNeuron
from neurodeploy.ir.reference import run_reference
from neurodeploy.network import Network
from neurodeploy.targets.truenorth import stream as module
from neurodeploy.targets.truenorth.deployment import TrueNorthDeployment
from neurodeploy.targets.truenorth.target import TrueNorthTarget
from neurodeploy.testing import NetlistBuilder
from tests.execution.test_streams import expect_equal, neurons, pieces
from tests.targets.truenorth.crossbar_nets import (
    chain,
    dense,
    netlist,
    project,
    random_netlist,
    raster,
    small_board,
    spike_input,
)
from tests.targets.truenorth.crossbar_nets import neurons as neurons_of
from tests.targets.truenorth.splits import compiled, wide


def with_floors(net: IntegerNetlist, rng: np.random.Generator) -> IntegerNetlist:
    """Floors per channel at most of the populations, of 0 and little below."""
    populations = []
    for p in net.populations:
        if isinstance(p.model, IntegerNeuron) and rng.random() < 0.8:
            start = np.minimum(p.spread(p.model.initial_membrane), 0)
            floor = start - rng.integers(0, 6, p.shape) * rng.integers(0, 2)
            p = replace(p, model=replace(p.model, floor=floor))
        populations.append(p)
    return replace(net, populations=tuple(populations))


def drawn(seeds: range) -> Iterator[tuple[int, IntegerNetlist]]:
    for seed in seeds:
        try:
            yield seed, random_netlist(seed)
        except NetlistError:  # a pooling window larger than its input
            continue


def streamed(deployment: TrueNorthDeployment, x: dict[str, IntArray], seed: int) -> None:
    """Run in pieces, and compare with the reference's one run."""
    net = deployment.netlist
    watched = [name for name in neurons(net) if not deployment.readout.is_ramped(name)]
    stream = deployment.open_stream(len(next(iter(x.values()))))
    parts = [
        stream.step({n: v[:, p] for n, v in x.items()}, p.stop - p.start, watched)
        for p in pieces(net.timesteps, seed)
    ]
    expect_equal([*parts, stream.finish(watched)], run_reference(net, x, membranes=watched))


def test_random_netlists_with_floors_are_exact_whole_and_in_pieces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Biases before the window, early spikes, splitters and cycles beside floors that act."""
    monkeypatch.setattr(module, "steady_bounds", prove_bounds)
    acting = cyclic = hosted = shifted = 0
    for seed, plain in drawn(range(40)):
        net = with_floors(plain, np.random.default_rng(seed))
        fan_out = ("copies", "splitters")[seed % 2]
        violations = TrueNorthTarget().check(net, None, {"fan_out": fan_out})
        if violations:
            assert all("bias" in v.resource for v in violations), violations
            continue
        x = raster(net, 2, seed=seed)
        deployment = TrueNorthTarget().compile(Network(net), None, {"fan_out": fan_out})
        assert isinstance(deployment, TrueNorthDeployment)
        whole = run_reference(net, x, membranes=neurons(net))
        expect_equal([deployment.run(x, membranes=neurons(net))], whole)
        streamed(deployment, x, seed)
        without = run_reference(plain, x, membranes=neurons(net))
        acting += any((whole.membranes[n] != without.membranes[n]).any() for n in neurons(net))
        cyclic += bool(net.schedule.cyclic)
        hosted += any(layer["bias_axons"] for layer in deployment.layers)
        shifted += bool(deployment.latency)
    assert min(acting, cyclic, hosted) > 5
    assert shifted > 1


def test_splits_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step of many ticks: bursts, gates and ramps go on from piece to piece."""
    monkeypatch.setattr(module, "steady_bounds", prove_bounds)
    ran = ramped = 0
    for seed, net in drawn(range(30, 52)):
        rng = np.random.default_rng(seed)
        board = small_board(axons=int(rng.integers(7, 16)), neurons=int(rng.integers(4, 24)))
        options = TrueNorthTarget().complete_options({"split": "exact"})
        if TrueNorthTarget().check(net, board, options):
            continue
        deployment = compiled(net, board)
        if deployment.readout.period > 1:
            streamed(deployment, raster(net, 2, seed=seed), seed)
            ran += 1
            ramped += any(map(deployment.readout.is_ramped, deployment.readout.populations))
    assert ran > 3
    assert ramped


def test_a_path_that_comes_before_its_window_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where others take long steps, an input that skips a layer comes before the first of them."""
    monkeypatch.setattr(module, "steady_bounds", prove_bounds)
    rng = np.random.default_rng(3)
    few = np.where(rng.random((5, 70)) < 0.3, rng.integers(1, 4, (5, 70)), 0)
    many = rng.integers(-4, 4, (6, 70))
    cells = [
        spike_input("x", 70),
        neurons_of("slow", 6, threshold=9),
        neurons_of("a", 5, threshold=4),
        neurons_of("b", 5, threshold=6),
    ]
    links = [
        project("x", "slow", dense(many)),
        project("x", "a", dense(few)),
        project("x", "b", dense(few), 1),
        project("a", "b", identity((5,), 2)),
    ]
    net = netlist(cells, links, timesteps=12)
    deployment = compiled(net)
    assert min(line.offset for line in deployment.cores.lines if line.kind == "raster") < 0
    for seed in range(3):
        streamed(deployment, raster(net, 2, seed=seed), seed)


def competing(T: int) -> IntegerNetlist:
    """Winner-take-all with a floor: no bound grows with T."""
    build = NetlistBuilder(T=T, seed=4).input("x", (30,))
    build = build.dense(build.draw((8, 30), 0, 2), threshold=14, reset="zero", floor=-40, name="h")
    build = build.connect("h", "h", -9 * (1 - np.eye(8, dtype=int)))
    return build.dense(build.draw((3, 8), 0, 2), threshold=2, reset="zero", name="out").output()


def test_ten_pieces_of_a_network_with_a_floor_equal_one_run() -> None:
    net = competing(200)
    x = {"x": (np.random.default_rng(0).random((2, 200, 30)) < 0.3).astype(np.int64)}
    whole = run_reference(net, x, membranes=neurons(net))
    assert whole.spikes["out"].sum() > 20
    assert (whole.membranes["h"] == -40).any()
    # Compiled for far fewer steps.
    stream = nd.compile(Network(competing(16)), "truenorth").stream(samples=2)
    assert stream.executor == "truenorth"
    parts = [stream.step(x["x"][:, t : t + 20], membranes=neurons(net)) for t in range(0, 200, 20)]
    expect_equal([*parts, stream.finish(membranes=neurons(net))], whole)


def test_what_is_not_exact_is_refused_by_name() -> None:
    floored = chain([[3, 2], [2, 1]], floor=np.array(-2))
    with pytest.raises(CapacityError, match="a floor above 0"):
        TrueNorthTarget().compile(
            Network(chain([[3, 2]], floor=np.array(1), initial_membrane=1, threshold=4))
        )
    with pytest.raises(CapacityError, match="a: worst-case membrane over T = 8 steps -5"):
        TrueNorthTarget().compile(
            Network(chain([[-2, -2]], floor=np.array(-1))), small_board(membrane_floor=-3)
        )
    with pytest.raises(CapacityError, match="bound of a grows with T"):
        TrueNorthTarget().compile(Network(chain([[-2, -2]]))).open_stream(1)
    assert TrueNorthTarget().compile(Network(floored)).run(raster(floored, 1)).spikes["a"].any()
    split = wide(threshold=20)
    floors = tuple(
        replace(p, model=replace(p.model, floor=np.array(-9)))
        if isinstance(p.model, IntegerNeuron)
        else p
        for p in split.populations
    )
    with pytest.raises(CapacityError, match=r"a floor: with split=.exact. a step takes several"):
        compiled(replace(split, populations=floors))
