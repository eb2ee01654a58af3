"""Thresholds, biases and membranes from the spikes that arrive: Bu 2024, Li 2021."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="conversion needs torch")

from torch import nn  # noqa: E402

from tests.conversion.method_networks import (  # noqa: E402
    X,
    answer,
    convert,
    hidden,
    line,
    network,
    relative,
    run,
    source,
)
from tests.conversion.modules import norm  # noqa: E402


def test_local_thresholds_grow_by_what_they_clip() -> None:
    """theta <- theta + 2 mean(relu(x - theta)), from 0, batch after batch."""
    x = np.random.default_rng(2).exponential(0.15, (320, 1)).clip(0, 1).astype(np.float32)
    weight = np.array([[1.0], [0.5], [-1.0]])
    converted = convert("local-threshold", line(weight, [0.0, 0.1, 0.6]), x, timesteps=8)
    (population,) = hidden(converted.netlist)
    values = np.maximum(x.astype(np.float64) * weight.T + [0.0, 0.1, 0.6], 0)
    theta = np.zeros(3)
    for _ in range(20):
        for batch in np.array_split(values, 16):
            theta += 2 * np.maximum(batch - theta, 0).mean(axis=0)
    wanted = np.minimum(theta, values.max(axis=0))
    np.testing.assert_allclose(population.model.threshold, wanted, rtol=1e-4)
    # Near the fixed point: hardly anything is clipped any more.
    clipped = np.maximum(values - wanted, 0).mean(axis=0)
    assert (clipped < 0.01 * values.mean(axis=0)).all()


def test_calibration_moves_the_mean_error_into_biases_and_membranes() -> None:
    """b_c + mean(a) - mean(coded), v0_c + T (mean(a) - mean(coded)), on the first layer."""
    module, T = network(), 5
    with torch.no_grad():
        wanted = module[2](module[1](module[0](torch.tensor(X)))).numpy().mean(axis=(0, 2, 3))
    alone = {"threshold_search": False, "weight_correction": False}
    options: dict[str, Any] = {"timesteps": T, **alone}
    none = convert("calibrated", module, bias_correction=0, membrane_correction=0, **options)
    before = hidden(none.netlist)[0]
    coded = run(none, X).spikes[before.name].mean(axis=(0, 1, 3, 4)) * before.unit
    for field, factor in (("bias", 1), ("initial_membrane", T)):
        rounds = {"bias_correction": factor == 1, "membrane_correction": factor == T}
        given = {k: int(v) for k, v in rounds.items()}
        after = hidden(convert("calibrated", module, **given, **options).netlist)[0]
        moved = getattr(after.model, field) - getattr(before.model, field)
        np.testing.assert_allclose(moved, factor * (wanted - coded), rtol=1e-3, atol=1e-5)
        np.testing.assert_array_equal(after.model.threshold, before.model.threshold)
        kept = "bias" if field == "initial_membrane" else "initial_membrane"
        np.testing.assert_array_equal(getattr(after.model, kept), getattr(before.model, kept))


def test_calibrated_is_nearer_than_rate() -> None:
    ratios = []
    for seed in range(4):
        torch.manual_seed(seed)
        module = nn.Sequential(
            *(nn.Conv2d(1, 4, 3), norm(nn.BatchNorm2d(4)), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(4, 8, 2), nn.ReLU(), nn.Conv2d(8, 8, 2), nn.ReLU()),
            *(nn.Flatten(), nn.Linear(32, 4)),
        ).eval()
        expected = source(module, X)
        plain = convert("rate", module, timesteps=8, bias_correction=0)
        better = convert("calibrated", module, timesteps=8)
        ratios.append(relative(answer(better, X), expected) / relative(answer(plain, X), expected))
    assert np.mean(ratios) < 0.92, ratios
