"""Compiled cores against the reference: zero mismatches, or a refusal with a reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from neurodeploy.errors import CapacityError, NetlistError
from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.connectivity import Conv, SumPool, identity
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.reference import run_reference
from neurodeploy.network import Network
from neurodeploy.targets.truenorth.deployment import TrueNorthDeployment
from neurodeploy.targets.truenorth.target import TrueNorthTarget
from tests.targets.truenorth.crossbar_nets import (
    chain,
    dense,
    grouped,
    netlist,
    neurons,
    project,
    random_netlist,
    raster,
)
from tests.targets.truenorth.crossbar_nets import spike_input as spikes_in


def compiled(net: IntegerNetlist, **options: Any) -> TrueNorthDeployment:
    deployment = TrueNorthTarget().compile(Network(net), None, options)
    assert isinstance(deployment, TrueNorthDeployment)
    return deployment


def assert_exact(
    net: IntegerNetlist, stimulus: dict[str, IntArray] | None = None, **options: Any
) -> TrueNorthDeployment:
    """Compile, run and compare spikes and membranes of every population."""
    stimulus = raster(net, 4) if stimulus is None else stimulus
    deployment = compiled(net, **options)
    inner = [p.name for p in net.populations if p.name not in {i.name for i in net.inputs}]
    expected = run_reference(net, stimulus, membranes=inner)
    found = deployment.run(stimulus, membranes=inner)
    assert set(found.spikes) == set(expected.spikes)
    for name, spikes in expected.spikes.items():
        np.testing.assert_array_equal(found.spikes[name], spikes, err_msg=f"spikes of {name}")
    for name in inner:
        np.testing.assert_array_equal(found.membranes[name], expected.membranes[name], name)
    return deployment


def test_random_netlists_equal_the_reference() -> None:
    compared = fired = refused = cyclic = early = shifted = hosted = 0
    for seed in range(80):
        try:
            net = random_netlist(seed)
        except NetlistError:
            continue  # a pooling window larger than its input
        for fan_out in ("copies", "splitters"):
            violations = TrueNorthTarget().check(net, None, {"fan_out": fan_out})
            if violations:
                assert all("bias" in v.resource for v in violations), violations
                refused += 1
                continue
            deployment = assert_exact(net, raster(net, 2, seed=seed), fan_out=fan_out)
            compared += 1
            cyclic += bool(net.schedule.cyclic)
            early += any(layer["early_spikes"] for layer in deployment.layers)
            hosted += any(layer["bias_axons"] for layer in deployment.layers)
            shifted += bool(deployment.latency)
            fired += int(deployment.events["spikes"].sum()) > 0
    assert compared > 90
    assert min(fired, cyclic, early, hosted, shifted, refused) > 5


def test_cells_that_stand_apart_equal_the_reference() -> None:
    windows = fired = 0
    for seed in range(40):
        try:
            net = random_netlist(seed, spaced=True)
        except NetlistError:
            continue
        if TrueNorthTarget().check(net, None, {}):
            continue
        deployment = assert_exact(net, raster(net, 2, seed=seed))
        links = [q.connectivity for q in net.projections]
        windows += sum(isinstance(c, Conv | SumPool) and c.window.is_spaced for c in links)
        fired += int(deployment.events["spikes"].sum()) > 0
    assert min(windows, fired) > 15


@pytest.mark.parametrize("fan_out", ["auto", "splitters"])
def test_the_shape_of_grouped_mnist(fan_out: str) -> None:
    net = grouped(timesteps=8)
    deployment = assert_exact(net, raster(net, 4, rate=0.2), fan_out=fan_out)
    layers = {layer["population"]: layer for layer in deployment.layers}
    assert [layers[f"p{i}"]["sources"][0]["R"] for i in range(1, 6)] == [3, 3, 3, 2, 3]
    assert all(layer["cores"] >= layer["core_bound"] for layer in deployment.layers)
    assert layers["p4"]["cores"] == 8
    assert deployment.utilization()["cores"] <= 300


@pytest.mark.parametrize("reset", ["subtract", "zero"])
def test_a_negative_bias_that_would_fire_early(reset: str) -> None:
    net = chain([[3, 2], [2, 1]], reset=reset, bias=[-3, -1], initial_membrane=3)
    deeper = netlist(
        [
            *net.populations,
            neurons("deep", 2, threshold=5, bias=-4, initial_membrane=4, reset=reset),
        ],
        [*net.projections, project("out", "deep", dense([[5, 2], [7, 4]]))],
    )
    deployment = assert_exact(deeper)
    deep = deployment.layers[-1]
    # Quiet cancelling would start at 4 + 3 * 4 = 16, far above the threshold.
    if reset == "subtract":
        assert deep["early_spikes"] > 0
    else:
        assert deep["bias_axons"] > 0


def test_early_spikes_are_taken_out_downstream() -> None:
    populations = [spikes_in("in", 3)]
    projections = []
    for i in range(1, 5):
        populations.append(neurons(f"p{i}", 3, threshold=6, bias=-5, initial_membrane=5))
        weight = np.array([[7, 3, -1], [2, 6, 5], [4, -3, 8]])
        projections.append(project(populations[-2].name, f"p{i}", dense(weight)))
    deployment = assert_exact(netlist(populations, projections, 12), None)
    assert sum(layer["early_spikes"] > 0 for layer in deployment.layers) >= 2


def test_a_bias_beyond_the_leak_is_sent_by_the_host() -> None:
    net = chain([[100, 30], [-20, 60]], threshold=900, bias=[700, -400], initial_membrane=0)
    deployment = assert_exact(net)
    assert deployment.layers[0]["bias_axons"] >= 2
    constant = [b for b in deployment.cores.lines if b.kind == "constant"]
    assert [(b.name, b.open, b.close) for b in constant] == [("a.bias", 1, 9)]


def test_an_initial_membrane_above_the_threshold() -> None:
    deployment = assert_exact(chain([[1]], threshold=3, initial_membrane=11))
    assert deployment.layers[0]["early_spikes"] == 1


def test_splitters_delay_whole_populations() -> None:
    weights = np.random.default_rng(3).integers(-4, 4, (40, 20))
    back = np.random.default_rng(4).integers(-4, 4, (30, 40))
    net = netlist(
        [
            spikes_in("in", 20),
            neurons("a", 40, threshold=9, bias=1),
            neurons("b", 30, threshold=9, bias=-1),
            neurons("c", 30, threshold=2),
        ],
        [
            project("in", "a", dense(weights)),
            project("a", "b", dense(back)),
            project("in", "b", dense(weights[:30])),
            project("b", "c", identity((30,), 2)),
        ],
    )
    assert assert_exact(net, fan_out="copies").latency == {}
    assert assert_exact(net, fan_out="splitters").latency == {"b": 1, "c": 2}


def test_auto_takes_splitters_where_copies_need_more_cores() -> None:
    rng = np.random.default_rng(0)
    weight = rng.choice([-2, -1, 1], (200, 64))
    net = netlist(
        [
            spikes_in("in", 60),
            neurons("a", 64, threshold=5),
            neurons("b", 64, threshold=5),
            neurons("c", 200, threshold=8),
            neurons("d", 60, threshold=8),
        ],
        [
            project("in", "a", dense(rng.integers(-4, 4, (64, 60)))),
            project("a", "b", dense(rng.integers(-4, 4, (64, 64)))),
            project("b", "c", dense(weight)),
            project("c", "d", dense(rng.choice([0, 0, 1], (60, 200)))),
        ],
    )
    cores = {f: compiled(net, fan_out=f).cores.n_cores for f in ("copies", "auto")}
    assert cores["auto"] <= cores["copies"]
    assert_exact(net, fan_out="auto")


def test_a_long_delay_passes_a_splitter() -> None:
    populations = [spikes_in("in", 2), neurons("a", 2, threshold=1)]
    projections = [project("in", "a", identity((2,)))]
    for delay in (15, 16, 30):
        name = f"d{delay}"
        populations.append(neurons(name, 2, threshold=2))
        projections.append(project("a", name, dense([[1, 1], [0, 2]]), delay))
    net = netlist(populations, projections, 6)
    deployment = assert_exact(net)
    assert int(deployment.cores.dest_delay.max()) == 15
    with pytest.raises(CapacityError, match=r"a->d16: delay in ticks 16 against 15"):
        compiled(net, fan_out="copies")


def test_inputs_take_any_delay_and_drop_what_comes_too_early() -> None:
    net = netlist(
        [spikes_in("in", 3), neurons("a", 3, threshold=2), neurons("b", 3, threshold=3)],
        [
            project("in", "a", dense(np.eye(3, dtype=int) * 2), 40),
            project("a", "b", dense([[1, 2, 0], [2, 2, 1], [0, 1, 3]])),
            project("in", "b", identity((3,)), 3),
            project("in", "b", identity((3,), 2)),
        ],
    )
    assert net.schedule.depth["b"] == 41
    assert_exact(net)


def test_recurrence_with_delays() -> None:
    rng = np.random.default_rng(8)
    for delay in (None, 1, 2, 7, 15):
        net = netlist(
            [
                spikes_in("in", 5),
                neurons("a", 6, threshold=5, bias=1),
                neurons("b", 4, threshold=3),
            ],
            [
                project("in", "a", dense(rng.integers(-2, 6, (6, 5)))),
                project("a", "a", dense(rng.integers(-3, 3, (6, 6))), delay),
                project("a", "b", dense(rng.integers(-3, 4, (4, 6)))),
                project("b", "a", dense(rng.integers(-3, 4, (6, 4))), delay),
            ],
            20,
        )
        assert_exact(net)


def test_shortcuts_of_another_scale_keep_their_own_axon_types() -> None:
    rng = np.random.default_rng(5)
    net = netlist(
        [spikes_in("in", 20), neurons("a", 12, threshold=9), neurons("b", 12, threshold=60)],
        [
            project("in", "a", dense(rng.integers(-4, 4, (12, 20)))),
            project("a", "b", dense(rng.integers(-4, 4, (12, 12)))),
            project("in", "b", dense(np.eye(12, 20, dtype=int)), exponent=6),
        ],
    )
    deployment = assert_exact(net)
    assert [s["R"] for s in deployment.layers[1]["sources"]] == [3, 1]


def test_exponents_per_channel_cost_no_copies() -> None:
    net = chain([[3, -4, 1], [2, -1, 3]], exponent=np.array([5, 0]), threshold=[90, 3])
    assert assert_exact(net).layers[0]["sources"][0]["R"] <= 3


def test_equal_sources_are_added_and_cancelling_weights_need_nothing() -> None:
    net = netlist(
        [spikes_in("in", 2), neurons("a", 2, threshold=2, bias=1)],
        [project("in", "a", dense([[2, 1], [3, 1]])), project("in", "a", dense([[-2, 4], [0, 1]]))],
    )
    deployment = assert_exact(net)
    assert deployment.layers[0]["sources"][0]["levels"] == [2, 3, 5]
    assert deployment.layers[0]["fan_in"] == 2


def test_populations_without_inputs_or_listeners() -> None:
    net = netlist(
        [
            spikes_in("in", 2),
            neurons("clock", 3, threshold=5, bias=2, initial_membrane=7),
            neurons("a", 2, threshold=2),
            neurons("dead_end", 2, threshold=1),
        ],
        [
            project("in", "a", dense([[1, 1], [0, 0]])),
            project("clock", "a", dense([[1, 0, 1], [1, 1, 0]])),
            project("a", "dead_end", identity((2,))),
        ],
        output="a",
    )
    assert_exact(net)


def test_samples_are_independent() -> None:
    net = random_netlist(6)
    stimulus = raster(net, 3)
    deployment = compiled(net)
    together = deployment.run(stimulus)
    for i in range(3):
        alone = deployment.run({"in": stimulus["in"][i : i + 1]})
        for name, spikes in alone.spikes.items():
            np.testing.assert_array_equal(spikes[0], together.spikes[name][i])


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    net = chain([[1, 2], [3, -1]])
    stimulus = raster(net, 7)
    deployment = compiled(net)
    whole, events = deployment.run(stimulus), deployment.events
    monkeypatch.setattr("neurodeploy.targets.truenorth.deployment.CHUNK_BYTES", 1)
    parts = deployment.run(stimulus, membranes=["a"], record=["out"])
    np.testing.assert_array_equal(parts.spikes["out"], whole.spikes["out"])
    assert set(parts.spikes) == {"out"}
    assert all(np.array_equal(deployment.events[n], events[n]) for n in events)


def test_every_neuron_has_one_destination_and_every_axon_one_sender() -> None:
    rng = np.random.default_rng(1)
    net = netlist(
        [spikes_in("in", 80), neurons("a", 64, threshold=9), neurons("b", 90, threshold=9)],
        [
            project("in", "a", dense(rng.integers(-4, 4, (64, 80)))),
            project("a", "b", dense(rng.integers(-4, 4, (90, 64)))),
        ],
    )
    cores = compiled(net).cores
    assert cores.n_cores == 2
    assert cores.dest_core.shape == cores.used.shape  # one entry a neuron, there is no second
    sends = (cores.used == 1) & (cores.dest_core >= 0)
    axons = list(zip(cores.dest_core[sends].tolist(), cores.dest_axon[sends].tolist(), strict=True))
    axons += zip(cores.line_core.tolist(), cores.line_axon.tolist(), strict=True)
    assert len(set(axons)) == len(axons)
    for c in range(cores.n_cores):
        assert set(np.unique(cores.crossing(c))) <= {0, 1}
        heard = {a for core, a in axons if core == c}
        assert heard == set(np.flatnonzero(cores.crossing(c).any(axis=1)).tolist())
