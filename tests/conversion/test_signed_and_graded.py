"""Spikes that take back, and spikes that carry numbers: Yu 2022, Wang 2022, graded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="conversion needs torch")


from neurodeploy.conversion.registry import METHODS
from tests.conversion.method_networks import (
    PLAIN,
    convert,
    hidden,
    layer,
    levels,
    line,
    run,
    spikes_of,
    uneven,
)


@pytest.mark.parametrize(
    ("method", "start", "second"),
    [("ternary", 0.0, 1.0), ("signed-memory", 0.5, 0.0)],
)
def test_signed_neurons_take_back_what_they_sent(method: str, start: float, second: float) -> None:
    theta, drive = 2.9, uneven()
    neuron = METHODS.get(method)(timesteps=24).neuron(layer(200), np.full(200, theta))
    v, sent = np.full(200, start * theta), np.zeros(200)
    wanted = []
    for x in drive:
        v = v + x
        late = (v < 0) if second == 0 else (v <= -second * theta)
        s = np.where(v >= theta, 1, np.where(late & (sent > 0), -1, 0))
        v, sent = v - s * theta, sent + s
        wanted.append(s)
    np.testing.assert_array_equal(spikes_of(neuron, drive), wanted)
    assert -1 in wanted[-1]
    assert (np.cumsum(wanted, axis=0) >= 0).all()


def test_memory_leaves_no_trace_of_unevenness() -> None:
    """Once the input has evened out, the count is clip(floor((v0 + sum) / theta), 0)."""
    drive = np.concatenate((uneven(), np.zeros((40, 200), dtype=np.int64)))
    theta = 3.0
    total = drive.sum(axis=0)
    wanted = np.maximum(np.floor((total + theta / 2) / theta), 0)
    counts = {}
    for method in ("rate", "signed-memory"):
        neuron = METHODS.get(method)(timesteps=64).neuron(layer(200), np.full(200, theta))
        counts[method] = spikes_of(neuron, drive).sum(axis=0)
    np.testing.assert_array_equal(counts["signed-memory"], wanted)
    assert (counts["rate"] != wanted).mean() > 0.3


def test_augmented_spikes_carry_how_often_the_threshold_was_crossed() -> None:
    """By hand: theta 2, at most 3: 5 -> 2, then 1 + 8 -> 3, then 3 -> 1, then -6 takes back."""
    method = METHODS.get("augmented")(timesteps=5, coefficient=3)
    drive = np.array([[5], [8], [0], [-6], [0]])
    found = spikes_of(method.neuron(layer(1), np.array([2.0])), drive)
    # v: 5 -> 1; 9 -> 3; 3 -> 1; -5 -> +1 after three; 1.
    assert found[:, 0].tolist() == [2, 3, 1, -3, 0]
    wide = METHODS.get("augmented")(timesteps=5, coefficient=9)
    # Nothing is taken back that was not sent.
    drive = np.array([[4], [-9], [-9], [0], [0]])
    found = spikes_of(wide.neuron(layer(1), np.array([2.0])), drive)
    assert found[:, 0].tolist() == [2, -2, 0, 0, 0]


def test_balanced_thresholds_lie_below_the_largest_activation() -> None:
    """TerMapping: theta below lambda by the data; AugMapping: lambda over the coefficient."""
    x = np.random.default_rng(1).exponential(0.1, (400, 1)).clip(0, 1).astype(np.float32)
    thetas = {
        coefficient: hidden(convert(name, line([1.0]), x, timesteps=8, **options).netlist)[
            0
        ].model.threshold.item()
        for name, options, coefficient in (
            ("ternary", {}, 1),
            ("augmented", {"coefficient": 2}, 2),
            ("augmented", {"coefficient": 4}, 4),
        )
    }
    assert thetas[1] < 0.95 * x.max()
    assert thetas[1] > thetas[2] > thetas[4]
    assert thetas[4] < 0.3 * x.max()


@pytest.mark.parametrize("payload", ["integer", "power_of_two"])
@pytest.mark.parametrize(("timesteps", "units", "most"), [(1, 1, 100), (4, 1, 25), (4, 6, 5)])
def test_graded_payloads_share_the_levels(
    payload: str, timesteps: int, units: int, most: int
) -> None:
    """ceil(100 / (units T)), of powers of two the next one."""
    method = METHODS.get("graded")(timesteps=timesteps, payload=payload, levels=100)
    code = method.code(layer(1, units=units))
    rounded = {100: 128, 25: 32, 5: 8}[most]
    assert code.payload_max == (most if payload == "integer" else rounded)
    assert code.memory


@pytest.mark.parametrize("payload", ["integer", "power_of_two"])
def test_graded_spikes_add_up(payload: str) -> None:
    """Integers: clip(floor(T x / theta + 1/2), 0, T P) in sum; powers of two: within the last."""
    T, x = 3, levels(-16, 16)
    options: dict[str, Any] = {"levels": 24, "payload": payload, "timesteps": T}
    network = convert("graded", line([1.0]), x, input_levels=16, **options, **PLAIN)
    (population,) = hidden(network.netlist)
    theta = population.model.threshold.item()
    assert theta == pytest.approx(1 / 8)  # the range over ceil(24 / 3)
    spikes = run(network, x).spikes[population.name][..., 0]
    wanted = np.clip(np.floor(T * x[:, 0].astype(np.float64) / theta + 0.5), 0, T * 8)
    magnitudes = set(np.abs(spikes).ravel()) - {0}
    assert max(magnitudes) == 8
    if payload == "integer":
        np.testing.assert_array_equal(spikes.sum(axis=1), wanted)
        assert magnitudes >= {3, 5, 6}
    else:
        assert magnitudes <= {1, 2, 4, 8}
        assert np.abs(spikes.sum(axis=1) - wanted).max() <= 2
