"""Encoders: what they emit, from first principles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurodeploy.errors import DataError, NetlistError, UnknownNameError
from neurodeploy.ir.decoding import classify, decode, decode_prefix, output_trace
from neurodeploy.ir.encoding import Encoding, checked_encoder, encode, quantize_samples
from neurodeploy.ir.reference import run_reference
from tests.conformance.cases import case

RATE = Encoding("rate", 255, 0.0, 1.0)
LEVELS = np.arange(256)


def level_samples() -> np.ndarray:
    return (LEVELS / 255.0)[None]


@given(st.integers(1, 70))
@settings(max_examples=30)
def test_rate_is_integrate_and_fire_from_half_a_threshold(timesteps: int) -> None:
    raster = encode(RATE, level_samples(), timesteps)
    assert raster.shape == (1, timesteps, 256)
    v = np.full(256, 255 // 2)
    for t in range(timesteps):
        v = v + LEVELS
        fired = v >= 255
        v = v - 255 * fired
        np.testing.assert_array_equal(raster[0, t], fired)
    counts = raster.sum(axis=1)[0]
    assert (np.abs(counts - LEVELS * timesteps / 255) <= 0.5 + 1e-9).all()


def test_poisson_depends_on_seed_and_index_only() -> None:
    x = np.random.default_rng(0).random((5, 3, 4))
    poisson = Encoding("poisson", 255, 0.0, 1.0, seed=9)
    indices = np.array([100, 3, 7, 250, 101])
    whole = encode(poisson, x, 20, indices)
    for i in range(5):
        alone = encode(poisson, x[i : i + 1], 20, indices[i : i + 1])
        np.testing.assert_array_equal(alone[0], whole[i])
    assert (whole != encode(replace(poisson, seed=10), x, 20, indices)).any()
    assert set(np.unique(whole)) == {0, 1}


def test_one_index_for_each_sample() -> None:
    with pytest.raises(DataError, match="indices of shape"):
        encode(RATE, level_samples(), 4, np.arange(2))


def test_half_a_level_outside_counts_as_the_end() -> None:
    x = np.array([[-0.5 / 255, 255.5 / 255]])
    assert quantize_samples(RATE, x).tolist() == [[0, 255]]
    assert encode(RATE, x, 6)[0].tolist() == [[0, 1]] * 6


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"levels": 0}, "levels 0: expected 1 to"),
        ({"levels": 65536}, "expected 1 to"),
        ({"levels": 2.0}, "levels 2.0; expected a whole number"),
        ({"low": 1.0, "high": 0.0}, "expected low <= high"),
        ({"high": np.inf}, "expected low <= high"),
        ({"high": 0.0}, "carries nothing"),
        ({"seed": -1}, "seed -1: expected 0 or more"),
        ({"mean": (0.5,)}, "normalization"),
        ({"mean": (0.5,), "std": (0.0,)}, "expected std above 0"),
    ],
)
def test_encodings_are_checked(fields: dict[str, object], message: str) -> None:
    with pytest.raises(NetlistError, match=message):
        replace(RATE, **fields)


@pytest.mark.parametrize("levels", [1, 65535])
def test_the_fewest_and_the_most_levels(levels: int) -> None:
    encoding = replace(RATE, levels=levels)
    assert quantize_samples(encoding, np.array([[0.0, 1.0]])).tolist() == [[0, levels]]


def test_poisson_rates_and_extremes() -> None:
    poisson = Encoding("poisson", 255, 0.0, 1.0)
    rates = encode(poisson, level_samples(), 4000).mean(axis=1)[0]
    assert rates[0] == 0
    assert rates[255] == 1
    deviation = np.sqrt(0.25 / 4000)
    assert (np.abs(rates - LEVELS / 255) < 5 * deviation).all()


def test_latency_has_one_spike_and_brighter_is_earlier() -> None:
    raster = encode(Encoding("latency", 255, 0.0, 1.0), level_samples(), 16)[0]
    counts, first = raster.sum(axis=0), raster.argmax(axis=0)
    assert counts[0] == 0
    assert (counts[1:] == 1).all()
    assert (np.diff(first[1:]) <= 0).all()
    assert (first[255], first[1]) == (0, 15)


def test_current_is_the_quantized_sample() -> None:
    signed = Encoding("current", 127, -1.0, 1.0)
    x = np.array([[-1.0, -0.5, 0.0, 0.26, 1.0]])
    assert encode(signed, x, 8).tolist() == [[-127, -64, 0, 33, 127]]
    assert signed.integer_range == (-127, 127)
    assert RATE.integer_range == (0, 1)
    assert Encoding("current", 255, 0.0, 1.0).integer_range == (0, 255)
    assert (signed.kind, RATE.kind) == ("current", "spikes")


def test_quantization_error_is_half_a_level() -> None:
    x = np.random.default_rng(1).random((4, 50))
    q = quantize_samples(RATE, x)
    assert np.abs(q * RATE.scale - x).max() <= RATE.scale / 2 + 1e-12


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([[np.nan]], "NaN"),
        ([[np.inf]], "NaN or infinite"),
        ([[1.1]], "leave the range [0, 1]"),
        ([[-0.1]], "leave the range"),
        ([[255.0]], "rescale the data"),
    ],
)
def test_wrong_samples(x: list[list[float]], message: str) -> None:
    with pytest.raises(DataError) as caught:
        encode(RATE, np.array(x), 8)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("encoder", ["rate", "poisson", "latency"])
def test_spikes_cannot_be_negative(encoder: str) -> None:
    wrong = Encoding(encoder, 127, -1.0, 1.0)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="takes samples >= 0"):
        encode(wrong, np.array([[-0.5]]), 8)


def test_encoder_names() -> None:
    assert checked_encoder("rate") == "rate"
    with pytest.raises(UnknownNameError, match="known: current, delta, latency, poisson, rate"):
        checked_encoder("raet")


def test_decoding_counts_and_membranes() -> None:
    c = case("several_inputs_and_outputs")
    run = run_reference(c.netlist, c.stimulus)
    outputs = {o.population: o for o in c.netlist.outputs}
    trace = output_trace(c.netlist, outputs["counts"], run)
    np.testing.assert_array_equal(trace[:, -1], run.spikes["counts"].sum(axis=1))
    got = decode(c.netlist, replace(outputs["counts"], offset=2.5), run)
    np.testing.assert_allclose(got, trace[:, -1] / 12 - 2.5)
    drive = outputs["drive"]
    links = {q.post: q for q in c.netlist.projections}
    summed = links["drive"].synaptic_input(c.stimulus["image"])
    for step in (1, 7, 12):
        trace = output_trace(c.netlist, drive, run)
        np.testing.assert_allclose(decode_prefix(c.netlist, drive, trace, step), summed)


def test_membrane_answer_is_the_summed_input() -> None:
    # n_pos theta_pos - n_neg theta_neg + v - v0, with soft reset and no leak.
    c = case("quantities_per_channel_and_neuron")
    run = run_reference(c.netlist, c.stimulus, membranes=["channel"])
    p = c.netlist.by_name["channel"]
    s = run.spikes["channel"]
    up = np.maximum(s, 0).sum(axis=1) * p.spread(p.model.threshold)
    down = np.maximum(-s, 0).sum(axis=1) * p.spread(p.model.negative_threshold)
    left = run.membranes["channel"][:, -1] - p.spread(p.model.initial_membrane)
    (link,) = c.netlist.incoming["channel"]
    arrived = link.synaptic_input(c.stimulus["x"].sum(axis=1))
    np.testing.assert_array_equal(up - down + left, arrived + 12 * p.spread(p.model.bias))


def test_ties_go_to_the_lowest_index_and_are_told() -> None:
    decided = classify(np.array([[1.0, 3.0, 3.0], [5.0, 1.0, 5.0], [0.0, 0.0, 1.0]]))
    assert decided.labels.tolist() == [1, 0, 2]
    assert decided.tied.tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("low", "high", "levels", "emitted"),
    [
        (0.0, 1.0, (0, 10), (-10, 10)),
        (-1.0, 0.5, (-10, 5), (-15, 15)),
        # Nothing is within every range.
        (-2.0, -1.0, (-10, 0), (-10, 10)),
        (1.0, 2.0, (0, 10), (-10, 10)),
    ],
)
def test_levels_reach_from_nothing_to_the_ends(
    low: float, high: float, levels: tuple[int, int], emitted: tuple[int, int]
) -> None:
    assert Encoding("current", 10, low, high).level_range == levels
    assert Encoding("current", 10, low, high).integer_range == levels
    assert Encoding("delta", 10, low, high).integer_range == emitted
    assert Encoding("rate", 10, low, high).integer_range == (0, 1)
