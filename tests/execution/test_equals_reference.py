"""The engine equals the reference, spike for spike and membrane for membrane."""

from __future__ import annotations

import numpy as np
import pytest

from neurodeploy.execution import run_engine
from neurodeploy.execution.pytorch.float_products import ConvProduct
from neurodeploy.ir.netlist import IntegerNetlist, RealNetlist
from neurodeploy.ir.record import RunRecord, Stimulus
from neurodeploy.ir.reference import run_reference
from neurodeploy.testing.parts import (
    conv,
    current,
    dense,
    integrator,
    net,
    neuron,
    project,
    spikes,
    window,
)
from neurodeploy.testing.stimuli import random_stimulus
from tests.conformance.random_netlists import random_netlist


def assert_equal_records(ours: RunRecord, theirs: RunRecord) -> None:
    assert ours.timesteps == theirs.timesteps
    for mine, reference in ((ours.spikes, theirs.spikes), (ours.membranes, theirs.membranes)):
        assert set(mine) == set(reference)
        for name, values in reference.items():
            assert mine[name].dtype == values.dtype
            np.testing.assert_array_equal(mine[name], values, name)


def assert_exact(netlist: IntegerNetlist, stimulus: Stimulus, **more: int) -> None:
    names = [p.name for p in netlist.populations]
    theirs = run_reference(netlist, stimulus, membranes=names)
    assert_equal_records(run_engine(netlist, stimulus, membranes=names, **more), theirs)


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_random_netlists(seed: int, recurrent: bool) -> None:
    netlist, stimulus = random_netlist(recurrent, np.random.default_rng([seed, recurrent]))
    assert_exact(netlist, stimulus)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("batch_size", [1, 2])
def test_chunks_do_not_change_results(seed: int, batch_size: int) -> None:
    netlist, stimulus = random_netlist(seed % 2 == 1, np.random.default_rng(seed))
    assert_exact(netlist, stimulus, batch_size=batch_size)


def test_an_output_alone_is_recorded_and_progress_ends_at_the_batch() -> None:
    netlist, stimulus = random_netlist(False, np.random.default_rng(3))
    seen: list[tuple[int, int]] = []
    run = run_engine(
        netlist, stimulus, record=["out"], batch_size=2, progress=lambda a, b: seen.append((a, b))
    )
    assert_equal_records(run, run_reference(netlist, stimulus, record=["out"]))
    assert seen == [(2, 3), (3, 3)]


def test_other_timesteps_than_the_netlists() -> None:
    rng = np.random.default_rng(0)
    source = current("in", (2, 5, 5), -128, 127)
    link = conv(rng, 3, 2, window((5, 5), (3, 3)))
    post = neuron("h", link.post_shape, 900, bias=np.arange(3), initial_membrane=450)
    netlist = net("t", [source, post], [project("in", "h", link)], ["h"])
    stimulus = random_stimulus([source], 12, rng)
    for timesteps in (1, 5, 40):
        ours = run_engine(netlist, stimulus, timesteps=timesteps)
        assert_equal_records(ours, run_reference(netlist, stimulus, timesteps=timesteps))


def test_a_link_that_arrives_after_the_window_is_dropped() -> None:
    rng = np.random.default_rng(1)
    near, far = spikes("near", (6,)), spikes("far", (6,))
    links = [
        project("near", "h", dense(rng, 4, (6,)), delay=20),
        project("far", "h", dense(rng, 4, (6,)), delay=1),
    ]
    netlist = net("late", [near, far, neuron("h", (4,), 60)], links, ["h"])
    assert netlist.schedule.depth["h"] - 1 > netlist.timesteps
    assert_exact(netlist, random_stimulus([near], 12, rng) | random_stimulus([far], 12, rng))


def test_a_bias_with_current_memory_enters_the_membrane_alone() -> None:
    rng = np.random.default_rng(2)
    source = spikes("in", (6,))
    post = neuron("h", (5,), 300, bias=7, current_decay=900, membrane_decay=100)
    last = integrator("sum", (3,), bias=np.arange(3), current_decay=0)
    links = [project("in", "h", dense(rng, 5, (6,))), project("h", "sum", dense(rng, 3, (5,)))]
    netlist = net("memory", [source, post, last], links, ["sum"])
    assert_exact(netlist, random_stimulus([source], 12, rng))


def test_no_samples() -> None:
    netlist, stimulus = random_netlist(False, np.random.default_rng(5))
    run = run_engine(netlist, {name: values[:0] for name, values in stimulus.items()})
    for name, values in run_reference(netlist, stimulus).spikes.items():
        assert run.spikes[name].shape == (0, *values.shape[1:])


@pytest.mark.parametrize("seed", [0, 1, 3])
def test_real_valued_netlists_in_doubles(seed: int) -> None:
    integer, stimulus = random_netlist(seed % 2 == 1, np.random.default_rng(seed))
    netlist = as_real(integer)
    theirs = run_reference(netlist, stimulus)
    ours = run_engine(netlist, stimulus, dtype="float64")
    assert set(ours.spikes) == set(theirs.spikes)
    for name, values in theirs.spikes.items():
        assert ours.spikes[name].dtype == values.dtype
        # Dyadic weights, thresholds and decays: sums of a dozen steps are exact in doubles.
        np.testing.assert_array_equal(ours.spikes[name], values, name)
    for name, values in theirs.membranes.items():
        np.testing.assert_allclose(ours.membranes[name], values, rtol=1e-12, atol=1e-12)


def test_real_valued_netlists_in_floats_are_close() -> None:
    integer, stimulus = random_netlist(False, np.random.default_rng(11))
    netlist = as_real(integer)
    theirs, ours = run_reference(netlist, stimulus), run_engine(netlist, stimulus)
    for name, values in theirs.spikes.items():
        assert np.abs(ours.spikes[name] - values).mean() < 0.01


@pytest.mark.parametrize("source", ["current", "spikes", "both"])
def test_siblings_share_what_they_hear(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights alike and negated; biases of their own, with a memory of the current too."""
    rng = np.random.default_rng(7)
    near = window((5, 4), 3, padding=1)
    shape = (3, 5, 4)
    weights = {"i": conv(rng, 3, 2, near, low=-5, high=6), "s": conv(rng, 3, 2, near)}
    inputs = [current("i", (2, 5, 4), 0, 9), spikes("s", (2, 5, 4))]
    heard = {"current": "i", "spikes": "s", "both": "is"}[source]
    parts = [
        neuron("a", shape, 90, bias=7),
        neuron("b", shape, 60),
        neuron("c", shape, 70, bias=np.array([14, 25, 36])),
        neuron("d", shape, 80, bias=3, current_decay=1024),
        neuron("e", shape, 40, bias=2),
    ]
    links = [
        project(pre, post, weights[pre].with_weight(sign * weights[pre].weight), delay)
        for pre in heard
        for post, sign, delay in (("a", 1, 1), ("b", 1, 1), ("c", -1, 1), ("d", 1, 1), ("e", 1, 3))
    ]
    outputs = [integrator("out", shape)]
    each = conv(rng, 3, 3, window((5, 4), 1), low=-3, high=3)
    links += [project(name, "out", each) for name in "abcde"]
    used = [p for p in inputs if p.name in heard]
    netlist = as_real(net("siblings", [*used, *parts, *outputs], links, ["out"], 9))
    stimulus = random_stimulus(netlist.inputs, 9, rng)
    theirs = run_reference(netlist, stimulus)
    applied = []
    product = ConvProduct.__call__
    monkeypatch.setattr(
        ConvProduct, "__call__", lambda own, x: applied.append(own) or product(own, x)
    )
    ours = run_engine(netlist, stimulus, dtype="float64", batch_size=3)
    # Once for a to d, once for e, which hears it later, and what the output hears of each.
    assert len(applied) == 2 * len(heard) + 5
    for name, values in theirs.spikes.items():
        assert name not in "abcde" or 0.01 < values.mean() < 0.98
        np.testing.assert_array_equal(ours.spikes[name], values, name)
    np.testing.assert_allclose(ours.membranes["out"], theirs.membranes["out"], rtol=1e-12)


def test_siblings_of_a_cycle_are_run_step_by_step() -> None:
    rng = np.random.default_rng(8)
    weight = dense(rng, 6, (6,))
    pairs = [("x", "a"), ("x", "b"), ("a", "a"), ("a", "b"), ("b", "out")]
    parts = [spikes("x", (6,)), neuron("a", (6,), 90, bias=2), neuron("b", (6,), 70)]
    links = [project(*pair, weight, 1) for pair in pairs]
    netlist = as_real(net("cycle", [*parts, integrator("out", (6,))], links, ["out"], 12))
    stimulus = random_stimulus(netlist.inputs, 12, rng)
    ours = run_engine(netlist, stimulus, dtype="float64")
    for name, values in run_reference(netlist, stimulus).spikes.items():
        assert values.any() == (name != "out")
        np.testing.assert_array_equal(ours.spikes[name], values, name)


def as_real(netlist: IntegerNetlist) -> RealNetlist:
    """The same network in floats, one unit being 1/64."""
    from dataclasses import replace

    from neurodeploy.ir.netlist import RealProjection
    from neurodeploy.ir.neurons import IntegerNeuron, RealNeuron

    populations = []
    for p in netlist.populations:
        if isinstance(m := p.model, IntegerNeuron):
            model = RealNeuron(
                None if m.threshold is None else m.threshold / 64,
                m.bias / 64,
                m.initial_membrane / 64,
                None if m.negative_threshold is None else m.negative_threshold / 64,
                m.reset,
                m.payload_max,
                m.current_decay / 4096,
                m.membrane_decay / 4096,
            )
            p = replace(p, model=model)
        populations.append(p)
    projections = []
    for q in netlist.projections:
        scale = np.ldexp(np.ones(q.connectivity.post_shape[0]), q.exponent) / 64
        floats = q.connectivity.with_weight(q.connectivity.weight.astype(np.float64))
        if floats.kind == "sparse":
            per_channel = int(np.prod(floats.post_shape)) // floats.post_shape[0]
            floats = floats.with_weight(floats.weight * scale[floats.post // per_channel])
        else:
            floats = floats.scale_channels(scale)
        projections.append(RealProjection(q.pre, q.post, floats, q.delay))
    return RealNetlist(
        netlist.name, tuple(populations), tuple(projections), netlist.outputs, netlist.timesteps
    )
