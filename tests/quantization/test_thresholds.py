"""Few thresholds a population: rounded down, by as little as their number allows."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from neurodeploy.errors import QuantizationError
from neurodeploy.ir.connectivity import Dense
from neurodeploy.quantization.integers import Quantization
from neurodeploy.quantization.membrane import few_values
from tests.quantization.netlists import feed_forward, neuron


def least_factor(values: np.ndarray, most: int) -> float:
    """By how much some value shrinks at least, over all choices of ``most`` values to keep."""
    distinct = sorted(set(values.tolist()))
    return min(
        max(v / max(k for k in kept if k <= v) for v in distinct)
        for kept in itertools.combinations(distinct, most)
        if kept[0] == distinct[0]
    )


@pytest.mark.parametrize("seed", range(6))
def test_no_choice_of_values_shrinks_them_less(seed: int) -> None:
    random = np.random.default_rng(seed)
    values = np.floor(np.exp(random.uniform(0, 6, 9)))
    most = int(random.integers(1, 6))
    few = few_values(values, most)
    assert len(set(few.tolist())) <= most
    assert (few <= values).all()
    assert set(few.tolist()) <= set(values.tolist())
    assert (values / few).max() == pytest.approx(least_factor(values, min(most, 9)))


def test_what_is_no_threshold_stays_and_counts_as_the_one_that_it_becomes() -> None:
    values = np.array([0.0, 5.0, 6.0, 100.0])
    assert few_values(values, 3).tolist() == [0.0, 5.0, 5.0, 100.0]
    assert few_values(np.array([0.0, 1.0, 5.0, 6.0]), 3).tolist() == [0.0, 1.0, 5.0, 6.0]
    assert few_values(values, 4) is values
    assert few_values(values, 0) is values


@pytest.mark.parametrize("neuron_kind", ["free", "stock-lif"])
def test_a_population_has_no_more_thresholds_and_keeps_what_it_computes(neuron_kind: str) -> None:
    random = np.random.default_rng(1)
    weights = random.normal(size=(40, 30)) * np.exp(random.uniform(0, 3, (40, 1)))
    model = neuron(4.0, reset="zero")
    real = feed_forward(("f", (40,), model, {"x": Dense(weights, (30,))}), shape=(30,))
    fine, _ = Quantization(8, neuron=neuron_kind)(real)
    few, rows = Quantization(8, neuron=neuron_kind, max_thresholds=5)(real)
    many = np.unique(fine.by_name["f"].model.threshold)
    kept = np.unique(few.by_name["f"].model.threshold)
    assert len(many) > 16
    assert 2 <= len(kept) <= 5
    # Real weights are as large in thresholds as ever, to the rounding of a coarser unit.
    (q,) = few.projections
    ratio = q.connectivity.weight * 2.0 ** np.reshape(q.exponent, (-1, 1))
    ratio = ratio / few.by_name["f"].model.threshold[:, None]
    assert np.abs(ratio - weights / 4.0).max() < 0.02 * np.abs(weights / 4.0).max()
    assert rows[0]["weight_snr_db"] > 30


def test_a_number_of_thresholds_that_is_none_is_refused() -> None:
    with pytest.raises(QuantizationError, match="max_thresholds -1; expected 0 or more"):
        Quantization(8, max_thresholds=-1)
