"""Fan-in beyond a core, approximately: cores equal the rewritten netlist, spike for spike."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from neurodeploy.hardware.boards.board import Board
from neurodeploy.ir.connectivity import Connectivity, Conv, Sparse, SumPool
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection
from neurodeploy.ir.neurons import IntegerNeuron
from neurodeploy.ir.reference import run_reference
from neurodeploy.targets.truenorth.layers import extract
from neurodeploy.targets.truenorth.limits import CrossbarLimits
from neurodeploy.targets.truenorth.split.approximate import Restated, restate
from neurodeploy.targets.truenorth.split.rails import (
    choose_units,
    expected_error,
    input_rates,
    sums_of,
)
from neurodeploy.targets.truenorth.target import TrueNorthTarget
from neurodeploy.verification.verification import verify_deployment
from tests.targets.truenorth.crossbar_nets import (
    chain,
    dense,
    netlist,
    neurons,
    project,
    raster,
    small_board,
    spike_input,
)
from tests.targets.truenorth.splits import SMALL, approximated, wide, with_means

WIDER = small_board(axons=64, neurons=100)


def window(size: int, kernel: int, stride: int, pad: int) -> Window:
    return Window((size,) * 2, (kernel,) * 2, (stride,) * 2, ((pad, pad),) * 2, (1, 1))


def random_wide(seed: int) -> IntegerNetlist:
    """Layers of all kinds, most of them too wide for a small core."""
    rng = np.random.default_rng(seed)
    low, high = [(-4, 3), (-2, 1), (-1, 1), (0, 3)][seed % 4]
    first: Connectivity = Conv(
        rng.integers(low, high + 1, (8, 2, 3, 3)), 4, window(5, 3, 1, 1), groups=2
    )
    shape = first.post_shape
    wide_map: Connectivity = Conv(rng.integers(low, high + 1, (6, 8, 3, 3)), 8, window(5, 3, 2, 1))
    middle = wide_map.post_shape
    n_in, n_out = 4 * 25, math.prod(middle)
    pairs = rng.choice(n_in * n_out, n_in * n_out // 3, replace=False)
    weight = rng.integers(low, high + 1, pairs.size)
    skip = Sparse(weight, pairs // n_in, pairs % n_in, (4, 5, 5), middle)
    out = dense(rng.integers(low, high + 1, (5, n_out)))
    last = replace(out, shape_in=middle)
    start = {"initial_membrane": 2}
    populations = [
        spike_input("in", 4, 5, 5),
        neurons("a", shape, threshold=rng.integers(5, 9, 8), bias=rng.integers(-1, 2, 8), **start),
        neurons(
            "b", middle, threshold=rng.integers(8, 20, 6), reset=["subtract", "zero"][seed % 2]
        ),
        neurons("c", 5, threshold=12, bias=rng.integers(-1, 2, 5), **start),
    ]
    projections = [
        project("in", "a", first),
        project("a", "b", wide_map, exponent=rng.integers(0, 2, 6)),
        project("in", "b", skip),
        project("b", "c", last),
    ]
    net = netlist(populations, projections, 9)
    return with_means(net, 0.2) if seed % 3 else net


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("board", [SMALL, WIDER], ids=["small", "wider"])
def test_cores_equal_the_reference_of_what_is_stated(seed: int, board: Board) -> None:
    net = random_wide(seed)
    deployment = approximated(net, board)
    assert deployment.given is not None
    assert deployment.given.integer == net
    told = deployment.netlist
    assert told != net
    assert deployment.readout.period == 1
    inner = [p.name for p in told.populations if p not in told.inputs]
    stimulus = raster(net, 3, 0.3, seed)
    expected = run_reference(told, stimulus, membranes=inner)
    found = deployment.run(stimulus, membranes=inner)
    for name in inner:
        np.testing.assert_array_equal(found.spikes[name], expected.spikes[name], name)
        np.testing.assert_array_equal(found.membranes[name], expected.membranes[name], name)
    for sample in range(3):
        alone = deployment.run({n: v[sample : sample + 1] for n, v in stimulus.items()})
        for name in inner:
            np.testing.assert_array_equal(alone.spikes[name][0], found.spikes[name][sample])
    assert found.spikes["b"].any()
    assert any(found.spikes[n].any() for n in inner if ".rails" in n)


def test_the_rewritten_netlist_says_what_the_given_one_says() -> None:
    weight = np.random.default_rng(1).integers(-3, 4, (20, 120))
    net = with_means(chain(weight, threshold=20, timesteps=30), 0.4)
    deployment = approximated(net, small_board(axons=128))
    stimulus = raster(net, 20, 0.4)
    told = run_reference(deployment.netlist, stimulus).spikes["a"].sum(axis=1)
    given = run_reference(net, stimulus).spikes["a"].sum(axis=1)
    assert given.std() > 4
    assert np.corrcoef(told.ravel(), given.ravel())[0, 1] > 0.95
    # A population that fits stays as it is, and all that follow are a step later.
    assert deployment.netlist.by_name["out"] == net.by_name["out"]
    assert deployment.netlist.schedule.depth == {
        "in": 0,
        **{p.name: 1 for p in deployment.netlist.populations if ".rails" in p.name},
        "a": 2,
        "out": 3,
    }


def test_convolutions_and_their_rails_stay_convolutions() -> None:
    told = approximated(random_wide(1), WIDER).netlist
    onto = [q for q in told.projections if q.pre == "a"]
    assert len(onto) > 1
    assert all(".rails" in q.post for q in onto)
    last = [q for q in told.projections if q.post == "b"]
    assert {type(q.connectivity) for q in (*onto, *last)} == {Conv}
    for population in told.populations:
        if ".rails" in population.name:
            model = population.model
            assert isinstance(model, IntegerNeuron)
            assert (model.reset, model.signed, model.bias.any()) == ("subtract", False, False)
            assert model.threshold is not None
            assert (model.initial_membrane < model.threshold).all()


@pytest.mark.parametrize("seed", range(4))
def test_rails_hear_every_synapse_once(seed: int) -> None:
    net = random_wide(seed)
    limits = CrossbarLimits.from_board(small_board(axons=40))
    names = ["a", "b", "c"]  # grouped, strided and listed synapses, exponents, several sources
    found = restate(net, names, limits)
    assert isinstance(found, Restated)
    told = found.netlist
    for name in names:
        for sign in (1, -1):
            heard: dict[tuple[int, str, int], int] = {}
            for last in told.incoming[name]:
                assert ".rails" in last.pre
                final, rail, worth = last.connectivity.to_coo()
                owner = {r: p for p, r, w in zip(final, rail, worth, strict=True) if w * sign > 0}
                for q in told.incoming[last.pre]:
                    for post, pre, weight in expanded(q):
                        if post in owner:
                            at = (int(owner[post]), q.pre, pre)
                            assert at not in heard
                            heard[at] = weight * sign
            expected = {
                (post, q.pre, pre): weight
                for q in net.incoming[name]
                for post, pre, weight in expanded(q)
            }
            assert heard == {at: w for at, w in expected.items() if at in heard}
            # A rail is left out where it could never fire: then no weight has its sign.
            missing = {at: w for at, w in expected.items() if at not in heard}
            assert all(w * sign <= 0 for w in missing.values())


def expanded(projection: IntegerProjection) -> list[tuple[int, int, int]]:
    """Synapses with weights other than 0: post, pre, weight with its exponent."""
    post, pre, weight = projection.connectivity.to_coo()
    shift = np.broadcast_to(projection.shift(), projection.connectivity.post_shape).reshape(-1)
    weight = np.left_shift(weight, shift[post])
    live = weight != 0
    return list(zip(post[live].tolist(), pre[live].tolist(), weight[live].tolist(), strict=True))


def test_one_sign_has_one_rail_and_rails_add_up() -> None:
    weight = np.full((4, 60), 3)
    deployment = approximated(chain(weight, threshold=60, timesteps=6))
    (entry,) = deployment.utilization()["approximated"]
    assert entry["rails"] == entry["chunks"]
    assert entry["rail_neurons"] == 4 * entry["chunks"]
    assert entry["unit_min"] % 3 == 0
    rails = [p.name for p in deployment.netlist.populations if ".rails" in p.name]
    total = np.zeros((4, 60), dtype=np.int64)
    for q in deployment.netlist.projections:
        if q.post in rails:
            post, pre, w = q.connectivity.to_coo()
            np.add.at(total, (post, pre), w)
    np.testing.assert_array_equal(total, weight)


def test_summed_windows_wider_than_a_core() -> None:
    pool = SumPool(np.array([1, 2]), window(8, 8, 1, 0))
    net = netlist(
        [spike_input("in", 2, 8, 8), neurons("a", (2, 1, 1), threshold=7)],
        [project("in", "a", pool)],
    )
    deployment = approximated(with_means(net, 0.1))
    stimulus = raster(net, 3, 0.1)
    found = verify_deployment(deployment, ["reference"], stimulus)
    assert found.exact
    assert found.spikes["a"] > 0


def test_expected_errors_are_those_of_a_simulation() -> None:
    rng = np.random.default_rng(0)
    weight = rng.integers(-4, 4, (40, 60))
    net = with_means(chain(weight, timesteps=32), 0.25)
    layer = extract(net, "a")
    rates = input_rates(net, layer)
    assert rates is not None
    np.testing.assert_allclose(rates, 0.25)
    sums = sums_of(layer, np.zeros(60, dtype=np.int64), rates)
    np.testing.assert_allclose(sums.mean, weight.sum(axis=1)[None] / 4, rtol=1e-6)
    assert sums.variance is not None
    assert sums.mean is not None
    # The model's own world: normal sums that last for a whole sample.
    z = np.linspace(-9, 9, 20001)[:, None]
    density = np.exp(-(z**2) / 2) / np.exp(-(z**2) / 2).sum()
    steady = sums.mean + np.sqrt(sums.variance) * z
    for unit in (8, 20, 45):
        late = (density * np.square(32 * np.maximum(steady - unit, 0))).sum(axis=0)
        error = expected_error(np.int64(unit), sums, 0, 32)[0]
        reached = sums.bound[0, :, 0] > unit
        assert reached.any()
        assert (error <= unit**2 / 12 + 1.001 * late + 1e-3)[reached].all()
        assert (error >= 0.999 * late - 1e-3)[reached].all()
        assert (error <= unit**2 / 12)[~reached].all()
    limits = CrossbarLimits.from_board(SMALL)
    few, many = (
        choose_units(
            layer, sums_of(layer, np.zeros(60, dtype=np.int64), np.full(60, p)), 40, 255, 32
        )
        for p in (0.02, 0.4)
    )
    assert (few <= many).all()
    assert few.sum() < many.sum() / 2
    blind = sums_of(layer, np.zeros(60, dtype=np.int64), None)
    bound = choose_units(layer, blind, 40, limits.weight_max, 32)
    np.testing.assert_array_equal(bound, blind.bound[0])
    np.testing.assert_array_equal(bound[:, 0], np.maximum(weight, 0).sum(axis=1))


def test_a_source_whose_weights_are_all_zero() -> None:
    net = wide(60, 5)
    silent = project("in", "a", dense(np.zeros((5, 60), dtype=np.int64)))
    other = netlist(
        [spike_input("more", 60), *net.populations],
        [*net.projections, replace(silent, pre="more")],
        10,
    )
    stimulus = raster(other, 3)
    assert verify_deployment(approximated(other), ["reference"], stimulus).exact


def test_axons_of_a_bias_can_make_a_population_too_wide() -> None:
    net = chain(np.ones((3, 48), dtype=np.int64), threshold=900, bias=[300, 0, -1], timesteps=6)
    assert "fan-in 48" in str(TrueNorthTarget().check(net, SMALL, {})[0])
    deployment = approximated(net)
    assert [e["population"] for e in deployment.utilization()["approximated"]] == ["a"]
    assert verify_deployment(deployment, ["reference"], raster(net, 3, 0.8)).exact


def test_a_unit_beyond_one_axon_takes_several() -> None:
    weight = np.full((3, 300), 7)
    deployment = approximated(chain(weight, threshold=3000, exponent=1, timesteps=6), small_board())
    (entry,) = deployment.utilization()["approximated"]
    assert entry["unit_max"] > 255
    stimulus = raster(deployment.netlist, 3)
    assert verify_deployment(deployment, ["reference"], stimulus).exact
