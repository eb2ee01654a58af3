"""Rounding against data: what one weight loses, others take over."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from neurodeploy.errors import QuantizationError
from neurodeploy.ir.connectivity import Conv, Dense
from neurodeploy.ir.geometry import Window
from neurodeploy.quantization import input_statistics as heard_module
from neurodeploy.quantization.compensation import compensated_weights
from neurodeploy.quantization.grids import round_to_grid
from neurodeploy.quantization.input_statistics import Heard, blocks
from neurodeploy.quantization.integers import Quantization
from neurodeploy.quantization.rounding import round_weights
from tests.quantization.netlists import small_network


def correlated(n: int, k: int, seed: int = 0) -> Any:
    """Samples whose inputs share few causes, as activations do."""
    random = np.random.default_rng(seed)
    return np.abs(random.normal(size=(n, 3)) @ random.normal(size=(3, k))) + random.random((n, k))


def rounded(connectivity: Any, step: Any, bits: int, x: Any, centered: bool) -> Any:
    """Against one population that emits x."""
    return compensated_weights(connectivity, step, bits, Heard({"x": x}), "x", centered)


def changed(weight: Any, whole: Any, step: Any, x: Any) -> float:
    """Variance over samples of what rounding changes, summed over neurons."""
    error = weight.reshape(len(weight), -1) - whole.reshape(len(whole), -1) * step[:, None]
    return float((x @ error.T).var(axis=0).sum())


def test_two_inputs_that_always_agree_by_hand() -> None:
    """0.4 + 0.4 of the same is 0.8: the nearest whole sum is 1, and both would round to 0."""
    x = np.random.default_rng(0).random((50, 1)) * np.ones((1, 2))
    dense = Dense(np.array([[0.4, 0.4]]), (2,))
    assert round_to_grid(dense.weight, np.ones((1, 1)), 4).sum() == 0
    assert rounded(dense, np.ones(1), 4, x, True).sum() == 1


def test_inputs_that_have_nothing_in_common_are_rounded_to_the_nearest() -> None:
    # Rows of a Hadamard matrix: the covariance is diagonal to the last bit.
    h = np.array([[1, 1], [1, -1]])
    x = np.kron(np.kron(h, h), h)[:, 1:]
    weight = np.random.default_rng(1).normal(size=(5, 7))
    found = rounded(Dense(weight, (7,)), np.full(5, 0.3), 5, x, True)
    assert (found == round_to_grid(weight, np.full((5, 1), 0.3), 5)).all()


def test_inputs_that_never_speak_are_rounded_to_the_nearest() -> None:
    x = correlated(60, 6)
    x[:, [1, 4]] = 0
    weight = np.random.default_rng(2).normal(size=(4, 6))
    step = np.full(4, 0.5)
    for centered in (True, False):
        found = rounded(Dense(weight, (6,)), step, 4, x, centered)
        assert (found[:, [1, 4]] == np.rint(weight / 0.5)[:, [1, 4]]).all()
        silent = rounded(Dense(weight, (6,)), step, 4, 0 * x, centered)
        assert (silent == round_to_grid(weight, step[:, None], 4)).all()


@pytest.mark.parametrize("bits", [2, 8])
def test_weights_that_were_pruned_stay_so(bits: int) -> None:
    x, random = correlated(200, 24), np.random.default_rng(10)
    weight = np.where(random.random((12, 24)) < 0.5, 0, random.normal(size=(12, 24)))
    step = np.abs(weight).max(axis=1) / 2 ** (bits - 1)
    found = rounded(Dense(weight, (24,)), step, bits, x, True)
    assert (found[weight == 0] == 0).all()
    nearest = round_to_grid(weight, step[:, None], bits)
    assert changed(weight, found, step, x) < 0.7 * changed(weight, nearest, step, x)


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_sums_change_far_less_than_by_other_rounding(bits: int) -> None:
    x, weight = correlated(400, 32), np.random.default_rng(3).normal(size=(16, 32))
    dense = Dense(weight, (32,))
    step = np.abs(weight).max(axis=1) / 2 ** (bits - 1)
    found = rounded(dense, step, bits, x, True)
    assert found.min() >= -(2 ** (bits - 1))
    assert found.max() <= 2 ** (bits - 1) - 1
    others = (round_weights(dense, step, bits), round_to_grid(weight, step[:, None], bits))
    assert changed(weight, found, step, x) < 0.4 * min(changed(weight, o, step, x) for o in others)


def test_it_comes_near_the_best_there_is() -> None:
    """All 3^6 roundings of six weights to three neighbours each, tried one by one."""
    x, step = correlated(100, 6, seed=4), np.ones(1)
    moves = np.array(list(itertools.product((-1, 0, 1), repeat=6)))
    ratios, nearest = [], []
    for seed in range(20):
        weight = 3 * np.random.default_rng(seed).normal(size=(1, 6))
        least = min(changed(weight, np.rint(weight) + m[None], step, x) for m in moves)
        found = rounded(Dense(weight, (6,)), step, 6, x, True)
        ratios.append(changed(weight, found, step, x) / least)
        nearest.append(changed(weight, np.rint(weight), step, x) / least)
    assert min(ratios) >= 1 - 1e-9
    assert np.mean(ratios) < 1.1
    assert np.mean(nearest) > 1.3


@pytest.mark.parametrize(("n", "causes", "gain"), [(64, 20, 2.0), (64, 400, 1.0), (16, 400, 0.95)])
def test_few_samples_of_many_inputs_do_no_harm(n: int, causes: int, gain: float) -> None:
    """On other samples: what they tell is used, what they only seem to tell is not."""
    random = np.random.default_rng(10)
    mixed = random.normal(size=(causes, 512))
    seen, other = (
        np.maximum(random.normal(size=(m, causes)) @ mixed / np.sqrt(causes), 0) for m in (n, 500)
    )
    weight = 0.1 * random.normal(size=(24, 512))
    step = np.abs(weight).max(axis=1) / 7
    dense = Dense(weight, (512,))
    found = rounded(dense, step, 4, seen, True)
    free = round_weights(dense, step, 4)
    assert changed(weight, free, step, other) > gain * changed(weight, found, step, other)


def test_groups_are_rounded_on_their_own() -> None:
    random = np.random.default_rng(6)
    window = Window((5, 4), (3, 2), (1, 1), ((1, 1), (0, 1)), (1, 1))
    weight, emitted = random.normal(size=(6, 2, 3, 2)), random.random((20, 4, 5, 4))
    step = np.full(6, 0.4)
    whole = rounded(Conv(weight, 4, window, 2), step, 3, emitted, True)
    for g in (0, 1):
        rows, channels = slice(3 * g, 3 * g + 3), slice(2 * g, 2 * g + 2)
        alone = Conv(weight[rows], 2, window)
        found = rounded(alone, step[rows], 3, emitted[:, channels], True)
        assert (found == whole[rows]).all()


def test_long_rows_are_rounded_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight = correlated(80, 10), np.random.default_rng(7).normal(size=(3, 10))
    step = np.full(3, 0.5)
    together = rounded(Dense(weight, (10,)), step, 4, x, True)
    monkeypatch.setattr(heard_module, "BLOCK", 4)
    assert [(s.start, s.stop) for s in blocks(10)] == [(0, 3), (3, 6), (6, 10)]
    apart = rounded(Dense(weight, (10,)), step, 4, x, True)
    for columns in blocks(10):
        own = Dense(weight[:, columns], (columns.stop - columns.start,))
        assert (rounded(own, step, 4, x[:, columns], True) == apart[:, columns]).all()
    assert (together != apart).any()


@pytest.mark.parametrize("kept", [2**30, 2 * 16 * 9 * 9, 0])
def test_who_hears_the_same_shares_factors(monkeypatch: pytest.MonkeyPatch, kept: int) -> None:
    """Whatever is kept, the weights are the same; nothing is factored twice while it is kept."""
    made = []
    factor = heard_module._factor
    monkeypatch.setattr(heard_module, "KEPT_BYTES", kept)
    monkeypatch.setattr(heard_module, "_factor", lambda m: (made.append(len(m)), factor(m))[1])
    random = np.random.default_rng(11)
    emitted = {name: random.integers(0, 9, (20, 2, 6, 6)) for name in ("a", "b")}
    window = Window((6, 6), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1))
    convolutions = [Conv(random.normal(size=(6, 1, 3, 3)), 2, window, 2) for _ in range(3)]
    heard, step = Heard(emitted), np.full(6, 0.4)
    for bits in (3, 4):
        for source in emitted:
            for conv in convolutions:
                found = compensated_weights(conv, step, bits, heard, source, True)
                alone = rounded(conv, step, bits, emitted[source], True)
                made.pop(), made.pop()
                assert (found == alone).all()
    # Two groups of two sources; with room for two factors each source's are made again for each
    # width, with room for none (but the last) always.
    assert len(made) == {2**30: 4, 2 * 16 * 9 * 9: 8, 0: 24}[kept]


def test_other_windows_and_biases_have_factors_of_their_own() -> None:
    random = np.random.default_rng(12)
    emitted = random.integers(0, 9, (20, 2, 6, 6))
    weight, step = random.normal(size=(4, 2, 3, 3)), np.full(4, 0.4)
    padded = Window((6, 6), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1))
    heard = Heard({"x": emitted})
    for window in (padded, Window((6, 6), (3, 3), (2, 2), ((0, 0), (0, 0)), (1, 1))):
        conv = Conv(weight, 2, window)
        for centered in (True, False):
            found = compensated_weights(conv, step, 3, heard, "x", centered)
            assert (found == rounded(conv, step, 3, emitted, centered)).all()


def emissions(net: Any, n: int = 30) -> dict[str, Any]:
    random = np.random.default_rng(8)
    return {p.name: random.integers(0, 9, (n, *p.shape)) for p in net.populations}


def test_a_netlist_is_rounded_against_what_its_populations_emit() -> None:
    net = small_network(timesteps=8)
    free, plain = Quantization(3)(net)
    bound, report = Quantization(3)(net, Heard(emissions(net)))
    assert any(
        (a.connectivity.weight != b.connectivity.weight).any()
        for a, b in zip(free.projections, bound.projections, strict=True)
    )
    assert all(row["input_snr_db"] is None and not row["compensated"] for row in plain)
    by_layer = {row["layer"]: row for row in report}
    assert by_layer["output"]["compensated"]
    assert by_layer["output"]["input_snr_db"] > by_layer["output"]["weight_snr_db"]
    again, _ = Quantization(3)(net, Heard(emissions(net)))
    for a, b in zip(bound.projections, again.projections, strict=True):
        assert (a.connectivity.weight == b.connectivity.weight).all()


def test_samples_that_are_all_the_same_tell_of_no_variance() -> None:
    net = small_network(timesteps=8)
    same = {name: np.repeat(values[:1], 7, axis=0) for name, values in emissions(net).items()}
    _, report = Quantization(3)(net, Heard(same))
    assert all(row["input_snr_db"] is None for row in report)
    assert any(row["compensated"] for row in report)


def test_the_reported_variance_is_that_of_what_neurons_hear() -> None:
    net = small_network(timesteps=8)
    given = emissions(net)
    integer, report = Quantization(3)(net, Heard(given))
    (p,), (q,) = net.incoming["output"], integer.incoming["output"]
    unit = integer.by_name["output"].unit
    assert unit is not None
    x = given["block"].astype(float)
    whole = q.connectivity.with_weight(q.connectivity.weight.astype(float))
    exact = p.connectivity.apply(x)
    lost = exact - whole.apply(x) * (np.exp2(q.shift()) * unit)
    expected = 10 * np.log10(exact.var(axis=0).sum() / lost.var(axis=0).sum())
    (found,) = (row["input_snr_db"] for row in report if row["layer"] == "output")
    assert found == pytest.approx(expected)


def test_what_is_not_known_is_rounded_without_data() -> None:
    net = small_network(timesteps=8)
    known = {k: v for k, v in emissions(net).items() if k == "x"}
    _, report = Quantization(3)(net, Heard(known))
    heard = {name: {q.pre for q in net.incoming[name]} for name in net.by_name}
    assert {row["layer"] for row in report if row["compensated"]} == {
        name for name, sources in heard.items() if sources == {"x"}
    }


def test_fitted_levels_stay_as_they_are() -> None:
    net = small_network(timesteps=8)
    free, _ = Quantization(3, levels="fitted")(net)
    bound, report = Quantization(3, levels="fitted")(net, Heard(emissions(net)))
    for a, b in zip(free.projections, bound.projections, strict=True):
        assert (a.connectivity.weight == b.connectivity.weight).all()
    assert not any(row["compensated"] for row in report)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"most_lost_bits": 1, "weight_snr_db": -1.0}, "24 bits of state leave too little of 2"),
        (
            {"most_lost_bits": 0, "weight_snr_db": -1.0},
            "2 weight bits are too few for it; use more",
        ),
        ({"compensated": True, "input_snr_db": -0.5, "weight_snr_db": 9.0}, "SNR -0.5 dB"),
        ({"compensated": True, "input_snr_db": 5.0, "weight_snr_db": -1.0}, None),
        ({"compensated": True, "weight_snr_db": -1.0}, None),
    ],
)
def test_a_layer_is_lost_by_what_rounding_costs_it(row: Any, message: str | None) -> None:
    whole = {"layer": "conv", "weight_bits": 2, "most_lost_bits": 0, "compensated": False}
    whole |= {"input_snr_db": None, **row}
    if message is None:
        Quantization(2)._require_weights(whole)
        return
    with pytest.raises(QuantizationError, match=f"conv: .*{message}"):
        Quantization(2)._require_weights(whole)
