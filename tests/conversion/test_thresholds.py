"""Thresholds from data: each rule against brute force, and what calibration refuses."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="conversion needs torch")

from neurodeploy.conversion.calibration.thresholds import (
    GRID,
    SAMPLES_PER_CHANNEL,
    Activations,
    Calibration,
    choose_ranges,
)
from neurodeploy.conversion.lowering.activation_graph import (
    ActivationGraph,
    InputLayer,
    OutputLayer,
    ReluLayer,
)
from neurodeploy.conversion.lowering.affine import population_term
from neurodeploy.errors import ConversionError, UnknownNameError


def activations(*rows: np.ndarray) -> Activations:
    samples = np.stack(rows)
    return Activations(samples, samples.max(axis=1))


def drawn(seed: int = 0, n: int = 2000) -> Activations:
    random = np.random.default_rng(seed)
    return activations(
        np.maximum(random.normal(size=n), 0),
        np.maximum(random.normal(-1, 3, size=n), 0),
        random.exponential(size=n) ** 2,
    )


def choose(seen: Activations, rule: str, scope: str = "channel", T: int = 16, **options):
    given = {"percentile": 99.0, "maximum": None, "where": "conv1", **options}
    return choose_ranges(
        seen, rule, scope, T, given["percentile"], given["maximum"], given["where"]
    )


def coding_error(x: np.ndarray, theta: float, T: int) -> float:
    """Mean squared error of the rate of a neuron that is simulated, not computed."""
    v = np.full(x.shape, theta / 2)
    counts = np.zeros(x.shape)
    for _ in range(T):
        v += x
        fired = v >= theta
        counts += fired
        v -= fired * theta
    return float(np.square(counts * theta / T - x).mean())


@pytest.mark.parametrize("seed", range(40))
def test_the_range_is_the_one_that_double_precision_finds(seed: int) -> None:
    random = np.random.default_rng(seed)
    levels = int(random.choice([1, 2, 7, 32, 128]))
    x = random.normal(size=int(random.choice([30, 4000])))
    # Quantized activations make some ranges equally good, or free of error.
    x = (np.round(x * 2) / 2 if seed % 4 == 0 else x) * random.choice([1e-3, 1.0, 50.0])
    x = (x if seed % 3 == 0 else np.maximum(x, 0)).astype(np.float32)
    top = float(np.abs(x).max()) * random.choice([1.0, 1.3])
    lowest = -levels if (x < 0).any() else 0
    errors = []
    for share in GRID:
        step = top * share / levels
        coded = np.clip(np.floor(x / np.float64(step) + 0.5), lowest, levels) * step
        errors.append(np.square(coded - x).mean())
    seen = Activations(x[None], np.array([top], np.float64))
    found = choose(seen, "mse", T=levels)
    assert found == top * GRID[int(np.argmin(errors))]


@pytest.mark.parametrize("T", [4, 16, 64])
@pytest.mark.parametrize("scope", ["channel", "layer"])
def test_squared_error_is_at_its_minimum(T: int, scope: str) -> None:
    seen = drawn()
    theta = choose(seen, "mse", scope, T)
    parts = seen.samples if scope == "channel" else [seen.samples.ravel()]
    for row, chosen in zip(parts, theta, strict=False):
        least = min(coding_error(row, t, T) for t in np.linspace(0.02, 1.1, 109) * row.max())
        assert coding_error(row, chosen, T) <= least * 1.02
    assert scope == "channel" or len(set(theta)) == 1


def test_fewer_steps_clip_more() -> None:
    seen = drawn()
    assert (choose(seen, "mse", T=4) < choose(seen, "mse", T=128)).all()
    assert (choose(seen, "mse", T=128) <= seen.maximum).all()


def test_percentile_of_what_is_not_zero() -> None:
    seen = activations(np.concatenate((np.zeros(900), np.arange(1, 101))), np.full(1000, 3.0))
    np.testing.assert_allclose(choose(seen, "percentile", percentile=50.0), [50.5, 3.0])
    joint = np.percentile(np.concatenate((np.arange(1, 101), np.full(1000, 3.0))), 50.0)
    np.testing.assert_allclose(choose(seen, "percentile", "layer", percentile=50.0), [joint] * 2)


def test_a_channel_whose_samples_missed_its_activations_keeps_its_maximum() -> None:
    seen = Activations(np.array([[0.0, 0.0], [4.0, 5.0]]), np.array([0.25, 5.0]))
    for rule in ("percentile", "mse", "max"):
        assert choose(seen, rule, T=64)[0] == 0.25, rule


def test_maximum() -> None:
    seen = drawn()
    np.testing.assert_array_equal(choose(seen, "max"), seen.maximum)
    np.testing.assert_array_equal(choose(seen, "max", "layer"), [seen.maximum.max()] * 3)


@pytest.mark.parametrize("rule", ["mse", "percentile", "max"])
def test_a_silent_channel_takes_the_largest_threshold(rule: str) -> None:
    seen = activations(np.zeros(9), np.linspace(0, 1, 9), np.linspace(0, 5, 9))
    theta = choose(seen, rule)
    assert theta[0] == theta.max() == theta[2]


@pytest.mark.parametrize("rule", ["mse", "percentile", "max"])
def test_a_silent_layer_is_an_error_by_name(rule: str) -> None:
    with pytest.raises(ConversionError, match=r"^conv1: every activation is zero"):
        choose(activations(np.zeros(9), np.zeros(9)), rule)


def test_a_floor_lifts_channels_of_which_little_was_seen() -> None:
    seen = activations(np.full(9, 8.0), np.full(9, 1.0), np.zeros(9), np.full(9, 3.0))
    plain = choose_ranges(seen, "max", "channel", 8, 99.9, None, "relu")
    floored = choose_ranges(seen, "max", "channel", 8, 99.9, None, "relu", 0.25)
    assert plain.tolist() == [8, 1, 8, 3]
    assert floored.tolist() == [8, 2, 8, 3]
    # What saturates has no larger range than its own.
    assert choose_ranges(seen, "max", "channel", 8, 99.9, 1.5, "relu", 0.25).max() == 1.5


def test_a_clip_bounds_the_threshold() -> None:
    seen = activations(np.full(9, 6.0), np.linspace(0, 2, 9))
    assert choose(seen, "max", maximum=6.0).tolist() == [6.0, 2.0]
    # A silent channel of a clipped layer still clips.
    assert choose(activations(np.zeros(9), np.full(9, 6.0)), "max", maximum=6.0)[0] == 6.0


def test_unknown_names() -> None:
    with pytest.raises(UnknownNameError, match="unknown normalization 'mean'; known: balance, max"):
        choose(drawn(), "mean")
    with pytest.raises(UnknownNameError, match="unknown normalization scope 'network'"):
        choose(drawn(), "mse", "network")


def graph(shape: tuple[int, ...]) -> ActivationGraph:
    entry = population_term("x", shape)
    hidden = ReluLayer("hidden", entry, "relu")
    return ActivationGraph(
        "net",
        (
            InputLayer("x", shape, "x"),
            hidden,
            OutputLayer("output", population_term("hidden", shape), "out"),
        ),
    )


def collected(x: np.ndarray, batch: int, seed: int = 0) -> Calibration:
    calibration = Calibration(graph(x.shape[1:]), len(x), seed)
    for start in range(0, len(x), batch):
        calibration.add({"x": x[start : start + batch]})
    return calibration


def test_the_batch_size_changes_nothing() -> None:
    x = np.random.default_rng(0).normal(size=(300, 2, 9, 9)).astype(np.float32)
    one, other = (collected(x, batch).activations("hidden") for batch in (7, 300))
    np.testing.assert_array_equal(np.sort(one.samples), np.sort(other.samples))
    np.testing.assert_array_equal(one.maximum, other.maximum)
    assert one.samples.shape == (2, 300 * -(-SAMPLES_PER_CHANNEL // 300))


def test_maxima_and_outputs_are_over_everything() -> None:
    x = np.random.default_rng(0).normal(size=(400, 2, 9, 9)).astype(np.float32)
    x[123, 1, 4, 5] = 99.0
    calibration = collected(x, 32)
    assert calibration.activations("hidden").maximum[1] == 99.0
    outputs = calibration.outputs("output")
    np.testing.assert_allclose(outputs, np.maximum(x, 0).reshape(400, -1))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_activations_that_are_not_finite(bad: float) -> None:
    x = np.ones((4, 3), dtype=np.float32)
    x[2, 1] = bad
    with pytest.raises(ConversionError, match=r"^x: NaN or infinite activations in calibration"):
        collected(x, 2)


def test_very_many_channels_keep_fewer_samples_of_each(monkeypatch) -> None:
    from neurodeploy.conversion.calibration import thresholds

    def per_image(channels: int) -> int:
        entry = InputLayer("x", (channels, 8, 8), "x")
        layer = ReluLayer("y", population_term("x", entry.shape), None)
        return Calibration(ActivationGraph("net", (entry, layer)), 4).per_image

    monkeypatch.setattr(thresholds, "KEPT_BYTES", 2**20)
    assert per_image(4) == SAMPLES_PER_CHANNEL // 4
    assert per_image(64) == 1024
    assert per_image(4096) == thresholds.LEAST_PER_CHANNEL // 4
