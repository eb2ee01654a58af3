"""The quantization pass: widths, exactness of thresholds, bounds, and what it refuses."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurodeploy.errors import QuantizationError, UnknownNameError
from neurodeploy.ir.bounds import prove_bounds
from neurodeploy.ir.connectivity import Dense, Sparse, identity
from neurodeploy.ir.decoding import decode
from neurodeploy.ir.netlist import Population, RealNetlist, RealProjection
from neurodeploy.ir.neurons import IntegerNeuron, MaxPool
from neurodeploy.ir.reference import run_reference
from neurodeploy.network import Network, save_network
from neurodeploy.quantization.integers import MAX_BITS, MIN_BITS, Quantization
from tests.quantization.netlists import feed_forward, neuron, small_network, square

WIDTHS = range(MIN_BITS, MAX_BITS + 1)


def raster(netlist: RealNetlist, n: int = 4) -> dict[str, np.ndarray]:
    (entry,) = netlist.inputs
    random = np.random.default_rng(3)
    if entry.model.kind == "current":
        shape = (n, *entry.shape)
        return {entry.name: random.integers(entry.model.low, entry.model.high + 1, shape)}
    return {entry.name: random.integers(0, 2, (n, netlist.timesteps, *entry.shape))}


def answers(netlist, stimulus) -> np.ndarray:
    return decode(netlist, netlist.outputs[0], run_reference(netlist, stimulus))


def rows_by_layer(report) -> dict[str, dict]:
    return {row["layer"]: row for row in report}


@pytest.mark.parametrize("bits", WIDTHS)
def test_weights_have_the_declared_width(bits: int) -> None:
    integer, report = Quantization(bits)(small_network())
    for projection in integer.projections:
        if projection.post == "pool":
            continue
        assert projection.weight_bits == bits
        weight = projection.connectivity.weight
        assert -(2 ** (bits - 1)) <= weight.min()
        assert weight.max() <= 2 ** (bits - 1) - 1
        assert len(np.unique(weight)) > 2
    assert {row["weight_bits"] for row in report} == {bits}


def test_widths_by_layer() -> None:
    integer, report = Quantization(8, {"block": 3})(small_network())
    bits = {q.label: q.weight_bits for q in integer.projections}
    assert bits == {
        "x->conv": 8,
        "conv->pool": 2,
        "pool->block": 3,
        "x->block": 3,
        "block->output": 8,
    }
    assert [row["weight_bits"] for row in report] == [8, 3, 8]


def test_more_bits_come_closer() -> None:
    net = small_network(levels=255, kind="current")
    stimulus = raster(net, 8)
    exact = answers(net, stimulus)
    errors = []
    for bits in WIDTHS:
        integer, _ = Quantization(bits)(net)
        errors.append(float(np.abs(answers(integer, stimulus) - exact).mean()))
    assert errors[-1] < 0.03 * np.abs(exact).mean()
    assert errors[0] > errors[2] > errors[4] > errors[6]


def test_spike_counts_follow_the_real_netlist() -> None:
    net = small_network(timesteps=64)
    integer, _ = Quantization()(net)
    stimulus = raster(net)
    ours, theirs = run_reference(integer, stimulus), run_reference(net, stimulus)
    for name in ("conv", "pool", "block"):
        a, b = (run.spikes[name].sum(axis=1).ravel() for run in (ours, theirs))
        assert np.corrcoef(a, b)[0, 1] > 0.999, name


@settings(max_examples=25)
@given(
    st.integers(0, 10_000),
    st.integers(2, 8),
    st.floats(1e-3, 1e3),
    st.floats(1e-2, 1e2),
    st.sampled_from([12, 16, 20, 24]),
)
def test_thresholds_are_whole_and_bounds_hold(seed, bits, scale, ratio, state_bits) -> None:
    random = np.random.default_rng(seed)
    weight = random.normal(size=(5, 6)) * scale
    theta = np.exp(random.normal(size=5)) * scale * ratio
    net = feed_forward(
        ("a", (5,), neuron(theta, random.normal(size=5) * scale), {"x": Dense(weight, (6,))})
    )
    try:
        integer, (row,) = Quantization(bits, state_bits=state_bits)(net)
    except QuantizationError:
        if state_bits == 24:
            raise
        return
    bound = prove_bounds(integer)["a"].magnitude
    assert bound == row["state_bound"] < 2 ** (state_bits - 1)
    model = integer.by_name["a"].model
    (projection,) = integer.projections
    unit = theta / model.threshold
    step = unit * np.exp2(projection.exponent)
    if row["raised_thresholds"] == 0 and row["most_lost_bits"] == 0:
        left = np.abs(projection.connectivity.weight * step[:, None] - weight)
        full = np.abs(weight).max(axis=1) / (2 ** (bits - 1) - 1)
        # Clipping is bounded by the smallest share tried, rounding by a snapped unit.
        assert (left.max(axis=1) <= np.abs(weight).max(axis=1) * 0.55 + full).all()
    assert (model.threshold >= 1).all()


def test_thresholds_per_neuron() -> None:
    theta = np.linspace(1.0, 2.5, 4 * 9).reshape(4, 3, 3)
    net = feed_forward(
        ("a", (4, 3, 3), neuron(theta), {"x": identity((4, 3, 3), 0.4)}), shape=(4, 3, 3)
    )
    integer, _ = Quantization()(net)
    model = integer.by_name["a"].model
    unit = theta.reshape(4, -1).min(axis=1) / model.threshold.reshape(4, -1).min(axis=1)
    np.testing.assert_allclose(model.threshold * unit.reshape(4, 1, 1), theta, rtol=2e-3)


def test_biases_and_initial_membranes() -> None:
    random = np.random.default_rng(0)
    bias = random.normal(size=(4, 3, 3))
    theta = np.array([1.0, 3.0, 0.2, 40.0])
    net = feed_forward(
        ("a", (4, 3, 3), neuron(theta, bias), {"x": identity((4, 3, 3), 0.4)}), shape=(4, 3, 3)
    )
    model = Quantization()(net)[0].by_name["a"].model
    unit = (theta / model.threshold).reshape(4, 1, 1)
    assert (np.abs(model.bias * unit - bias) <= unit / 2 * (1 + 1e-9)).all()
    v0 = np.broadcast_to(model.initial_membrane.reshape(4, -1)[:, 0], (4,))
    assert (np.abs(2 * v0 - model.threshold) <= 1).all()


def test_what_neurons_are_is_carried() -> None:
    models = {
        "signed": neuron(1.5, negative_threshold=np.array(4.5)),
        "graded": neuron(1.5, payload_max=15),
        "leaky": neuron(1.5, current_decay=0.25, membrane_decay=0.125),
        "hard": neuron(1.5, reset="zero"),
    }
    layers = [(n, (4,), m, {"x": Dense(np.eye(4, 6) * 0.5, (6,))}) for n, m in models.items()]
    integer, _ = Quantization()(feed_forward(*layers))
    got = {n: integer.by_name[n].model for n in models}
    assert all(isinstance(m, IntegerNeuron) for m in got.values())
    np.testing.assert_array_equal(got["signed"].negative_threshold, 3 * got["signed"].threshold)
    assert got["graded"].payload_max == 15
    assert (got["leaky"].current_decay, got["leaky"].membrane_decay) == (1024, 512)
    assert [got[n].reset for n in models] == ["subtract"] * 3 + ["zero"]


def test_delays_names_and_outputs_stay() -> None:
    net = small_network()
    slow = tuple(replace(q, delay=7) if q.label == "x->block" else q for q in net.projections)
    integer, _ = Quantization()(replace(net, projections=slow))
    assert {q.label: q.delay for q in integer.projections}["x->block"] == 7
    assert integer.outputs == net.outputs
    assert (integer.name, integer.timesteps, integer.dt) == (net.name, net.timesteps, net.dt)
    assert [p.name for p in integer.populations] == [p.name for p in net.populations]


def test_membrane_outputs_stay_in_the_units_of_the_source_network() -> None:
    weight = np.array([[2.0, -1.0, 0.5, 0.0, 0.25, 4.0]])
    net = feed_forward(("out", (1,), neuron(None, 0.75), {"x": Dense(weight, (6,))}))
    integer, _ = Quantization()(net)
    stimulus = {"x": np.ones((1, 16, 6), dtype=np.int64)}
    np.testing.assert_allclose(answers(integer, stimulus), [[weight.sum() + 0.75]], rtol=0.01)


def test_branches_have_their_own_exponents() -> None:
    random = np.random.default_rng(0)
    fine = Dense(random.normal(size=(4, 6)) * 0.01, (6,))
    net = feed_forward(
        ("a", (6,), neuron(1.0), {"x": identity((6,), 0.7)}),
        ("b", (4,), neuron(1.0), {"x": fine, "a": Dense(random.normal(size=(4, 6)), (6,))}),
    )
    integer, report = Quantization(4)(net)
    into = {q.pre: q for q in integer.incoming["b"]}
    assert (into["a"].exponent > into["x"].exponent).all()
    assert len(np.unique(into["x"].connectivity.weight)) > 6
    assert rows_by_layer(report)["b"]["exponents"][1][0] > 0


def test_a_dead_branch_costs_nothing() -> None:
    weight = np.random.default_rng(0).normal(size=(4, 6))
    dead = weight.copy() * 1e-18
    net = feed_forward(
        ("a", (6,), neuron(1.0), {"x": identity((6,), 0.7)}),
        ("b", (4,), neuron(1.0), {"x": Dense(dead, (6,)), "a": Dense(weight, (6,))}),
    )
    integer, report = Quantization()(net)
    assert not integer.incoming["b"][0].connectivity.weight.any()
    assert rows_by_layer(report)["b"]["most_lost_bits"] == 0
    assert rows_by_layer(report)["b"]["weight_snr_db"] > 35


@pytest.mark.parametrize("bias", [-1e7, 1e5])
def test_a_dead_channel_with_a_huge_bias_does_not_spoil_the_others(bias: float) -> None:
    random = np.random.default_rng(0)
    weight = random.normal(size=(4, 6))

    def quantized(first: float):
        net = feed_forward(
            ("a", (4,), neuron(2.0, np.array([first, 0.1, -0.1, 0.0])), {"x": Dense(weight, (6,))}),
            timesteps=128,
        )
        return Quantization()(net)[0]

    plain, spoilt = quantized(0.0), quantized(bias)
    (a,), (b,) = plain.projections, spoilt.projections
    np.testing.assert_array_equal(a.connectivity.weight[1:], b.connectivity.weight[1:])
    np.testing.assert_array_equal(
        plain.by_name["a"].model.threshold[1:], spoilt.by_name["a"].model.threshold[1:]
    )


def test_a_channel_with_a_tiny_threshold_ends_and_is_told() -> None:
    # Its weights alone overflow in units of its threshold: coarser units cannot help the threshold.
    random = np.random.default_rng(0)
    theta = np.array([1e-6, 300.0, 300.0, 300.0])
    net = feed_forward(
        ("a", (4,), neuron(theta), {"x": Dense(random.normal(size=(4, 4000)) * 9, (4000,))}),
        shape=(4000,),
        timesteps=128,
    )
    integer, (row,) = Quantization()(net)
    assert row["raised_thresholds"] == 1
    assert integer.by_name["a"].model.threshold[0] == 1
    assert row["state_bound"] < 2**23


@pytest.mark.parametrize("state_bits", [14, 18, 24])
def test_narrow_states_are_proved_and_told(state_bits: int) -> None:
    integer, report = Quantization(state_bits=state_bits)(small_network())
    bounds = prove_bounds(integer)
    for row in report:
        assert row["state_bound"] == bounds[row["layer"]].magnitude < 2 ** (state_bits - 1)
    assert (max(row["most_lost_bits"] for row in report) > 0) == (state_bits == 14)


def test_narrow_thresholds_and_biases() -> None:
    integer, _ = Quantization(threshold_bits=9, bias_bits=10)(small_network())
    for population in integer.populations:
        if isinstance(population.model, IntegerNeuron):
            if population.model.fires:
                assert population.model.threshold.max() < 2**9
            assert np.abs(population.model.bias).max() < 2**9
            assert np.abs(population.model.initial_membrane).max() < 2**9


def test_an_overflow_only_on_worst_case_input_is_refused_with_the_numbers() -> None:
    # Zero-mean weights: no likely raster comes near the bound, one of 2^4000 does.
    weight = np.random.default_rng(0).choice([-1.0, 1.0], size=(3, 4000))
    net = feed_forward(
        ("fc", (3,), neuron(50.0), {"x": Dense(weight, (4000,))}),
        shape=(4000,),
        levels=255,
        kind="current",
        timesteps=256,
    )
    with pytest.raises(
        QuantizationError,
        match=r"^fc: worst-case state \d+ over T = 256 steps against 24 bits leaves [01] of 8 "
        r"weight bits .*; use fewer time steps",
    ):
        Quantization()(net)


def test_what_overflows_on_worst_case_input_is_coarsened_and_told() -> None:
    weight = np.random.default_rng(0).normal(size=(3, 700))
    net = feed_forward(
        ("fc", (3,), neuron(50.0), {"x": Dense(weight, (700,))}),
        shape=(700,),
        levels=255,
        kind="current",
        timesteps=16,
    )
    integer, (row,) = Quantization()(net)
    assert 0 < row["lost_bits"] <= row["most_lost_bits"] < 7
    assert np.abs(integer.projections[0].connectivity.weight).max() <= 128 >> row["lost_bits"]
    assert prove_bounds(integer)["fc"].magnitude < 2**23


def test_pools_must_fit_too() -> None:
    net = feed_forward(
        ("a", (1, 2, 2), neuron(1.0, payload_max=2**16), {"x": identity((1, 2, 2), 1.0)}),
        ("pool", (1, 1, 1), MaxPool(1, square(2, 2)), {"a": identity((1, 2, 2), 1.0)}),
        shape=(1, 2, 2),
        timesteps=256,
    )
    with pytest.raises(QuantizationError, match=r"^pool: up to 16777216 accumulated over T = 256"):
        Quantization()(net)


def test_counts_are_pooled_as_counts() -> None:
    integer, _ = Quantization(2)(small_network())
    (into,) = integer.incoming["pool"]
    assert (into.connectivity.weight == 1).all()
    assert into.exponent == 0
    net = small_network()
    weighted = tuple(
        replace(q, connectivity=q.connectivity.with_weight(q.connectivity.weight * 1.5))
        if q.post == "pool"
        else q
        for q in net.projections
    )
    with pytest.raises(QuantizationError, match=r"^conv->pool: max-pooling of weighted input"):
        Quantization()(replace(net, projections=weighted))


@pytest.mark.parametrize(("state_bits", "snr"), [(8, "0.0"), (16, "-9.2")])
def test_weights_that_are_lost_in_rounding_are_refused(state_bits: int, snr: str) -> None:
    """A bias takes the state: all weights round to 0, or their errors are larger than they."""
    weights = Dense(np.repeat([[0.3], [0.2]], 6, axis=1), (6,))
    net = feed_forward(
        ("h", (2,), neuron(1.0, 1000.0), {"x": weights}),
        ("out", (2,), neuron(None), {"h": Dense(np.eye(2), (2,))}),
    )
    with pytest.raises(QuantizationError, match=rf"^h: .*SNR {snr} dB.*{state_bits} bits of state"):
        Quantization(8, state_bits=state_bits)(net)


def test_a_population_without_synapses() -> None:
    net = feed_forward(("a", (2,), neuron(1.0, np.array([0.25, 0.0])), {}))
    integer, (row,) = Quantization()(net)
    assert row["levels"] == 0
    counts = run_reference(integer, {"x": np.zeros((1, 16, 6), dtype=int)}).spikes["a"].sum(axis=1)
    np.testing.assert_array_equal(counts, [[4, 0]])


def test_sparse_projections_by_channel() -> None:
    random = np.random.default_rng(0)
    post, pre = np.repeat(np.arange(8), 3), np.tile(np.arange(3), 8)
    scale = np.repeat([1.0, 50.0], 12)
    link = Sparse(random.normal(size=24) * scale, post, pre, (6,), (2, 2, 2))
    net = feed_forward(("a", (2, 2, 2), neuron(np.array([2.0, 90.0])), {"x": link}))
    _, (row,) = Quantization()(net)
    assert row["weight_snr_db"] > 35


def test_the_report_is_json_and_says_what_it_cost() -> None:
    net = small_network()
    snr = {}
    for bits in (2, 4, 8):
        _, report = Quantization(bits)(net)
        assert json.loads(json.dumps(report)) == report
        assert [row["layer"] for row in report] == ["conv", "block", "output"]
        snr[bits] = [row["weight_snr_db"] for row in report]
        for row in report:
            assert 2 <= row["levels"] <= 2**bits * (row["layer"] != "pool")
            assert (row["threshold"] is None) == (row["layer"] == "output")
    for few, some, many in zip(snr[2], snr[4], snr[8], strict=True):
        assert few + 8 < some
        assert some + 15 < many


def test_the_same_bytes_again(tmp_path) -> None:
    for name in ("a", "b"):
        net = small_network()
        integer, report = Quantization(5)(net)
        save_network(Network(integer, {}, None, net, {"report": report}), tmp_path / f"{name}.ndn")
    assert (tmp_path / "a.ndn").read_bytes() == (tmp_path / "b.ndn").read_bytes()


def test_a_netlist_on_the_grid_is_quantized_to_itself() -> None:
    random = np.random.default_rng(0)
    weight = random.integers(-127, 128, (4, 6)).astype(float)
    weight[:, 0] = 127
    net = feed_forward(("a", (4,), neuron(300.0, 20.0), {"x": Dense(weight, (6,))}))
    integer, (row,) = Quantization()(net)
    stimulus = raster(net)
    np.testing.assert_array_equal(integer.projections[0].connectivity.weight, weight)
    assert row["weight_snr_db"] is None or row["weight_snr_db"] > 200
    np.testing.assert_array_equal(
        run_reference(integer, stimulus).spikes["a"], run_reference(net, stimulus).spikes["a"]
    )


def test_unknown_layers_and_bad_widths() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown layer 'conf'.*did you mean 'conv'"):
        Quantization(8, {"conf": 4})(small_network())
    with pytest.raises(UnknownNameError, match="unknown layer 'pool'"):
        Quantization(8, {"pool": 4})(small_network())
    for bits in (-1, 0, 1, 9, 16):
        with pytest.raises(QuantizationError, match=f"weight bits: {bits} bits; expected 2 to 8"):
            Quantization(bits)
        with pytest.raises(QuantizationError, match=f"conv: {bits} bits; expected 2 to 8"):
            Quantization(8, {"conv": bits})
    for wrong in (
        {"state_bits": 25},
        {"state_bits": 7},
        {"threshold_bits": 1},
        {"bias_bits": 25},
        {"max_fraction_bits": -1},
        {"max_fraction_bits": 23},
    ):
        with pytest.raises(QuantizationError, match=f"{next(iter(wrong)).split('_')[0]}.*expected"):
            Quantization(**wrong)


def test_weights_that_are_not_finite_never_get_here() -> None:
    with pytest.raises(ValueError, match="not finite"):
        RealProjection("a", "b", Dense(np.array([[math.nan]]), (1,)))
    assert Population  # a netlist cannot hold them
