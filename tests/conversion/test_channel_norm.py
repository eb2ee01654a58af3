"""Spiking-YOLO: channel-wise normalization and imbalanced thresholds, equations 5 to 8."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="conversion needs torch")

from torch import nn

from tests.conversion.method_networks import (
    X,
    answer,
    convert,
    hidden,
    levels,
    line,
    relative,
    run,
    source,
)


def leaky_line() -> tuple[nn.Module, np.ndarray]:
    module = line([[1.0], [-2.0]], [0.0, 0.25], nn.LeakyReLU(0.1))
    return module, levels(-16, 16)


def test_channel_norm_is_the_published_neuron_in_source_units() -> None:
    module, x = leaky_line()
    options: dict[str, Any] = {"percentile": 100.0, "initial_membrane": 0.0, "bias_correction": 0}
    network = convert("channel-norm", module, x, timesteps=50, input_levels=16, **options)
    (population,) = hidden(network.netlist)
    top = np.array([1.0, 2.25])  # lambda of each channel
    np.testing.assert_allclose(population.model.threshold, top)
    np.testing.assert_allclose(population.model.negative_threshold, top / 0.1)
    assert not population.model.memory
    # w <- w / lambda, b <- b / lambda, theta 1, and -1 at -1 / alpha.
    a = x.astype(np.float64) * np.array([1.0, -2.0]) / top + np.array([0.0, 0.25]) / top
    v, wanted = np.zeros_like(a), []
    for _ in range(50):
        v = v + a
        s = np.where(v >= 1 - 1e-12, 1, np.where(v <= -10 + 1e-12, -1, 0))
        v = v - np.where(s > 0, 1.0, np.where(s < 0, -10.0, 0.0))
        wanted.append(s)
    spikes = run(network, x).spikes[population.name]
    # Both sums are rounded: exact thresholds may be crossed a step apart.
    assert (spikes != np.stack(wanted, axis=1)).mean() < 0.02
    assert np.abs(spikes.sum(axis=1) - np.sum(wanted, axis=0)).max() <= 1
    assert (spikes < 0).any()


@pytest.mark.parametrize("decode_by", ["membrane", "counts"])
def test_channel_norm_codes_leaky_networks(decode_by: str) -> None:
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.LeakyReLU(0.1), nn.Conv2d(4, 3, 1)).eval()
    found = convert("channel-norm", module, timesteps=256, decode=decode_by)
    assert relative(answer(found, X), source(module, X)) < 0.03
    # One population, where two rectified ones are needed otherwise.
    assert len(hidden(found.netlist)) == 1
    assert len(hidden(convert("rate", module, timesteps=4).netlist)) == 2


@pytest.mark.parametrize("rule", ["percentile", "balance"])
def test_ranges_of_leaky_channels_hold_their_negative_side(rule: str) -> None:
    """lambda is the largest magnitude: rates end at -1 too."""
    x = levels(-16, 2)
    module = line([1.0], 0.0, nn.LeakyReLU(0.5))
    network = convert("channel-norm", module, x, timesteps=128, normalization=rule)
    assert relative(answer(network, x), source(module, x)) < 0.05
