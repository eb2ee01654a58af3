"""Radix, momentum and reserve: the equations of their modules, on layers that are plain to see."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="conversion needs torch")

from torch import nn  # noqa: E402

from neurodeploy.errors import UsageError  # noqa: E402
from neurodeploy.ir.neurons import MaxPool, RealNeuron  # noqa: E402
from tests.conversion.method_networks import (  # noqa: E402
    PLAIN,
    X,
    convert,
    hidden,
    levels,
    line,
    network,
    run,
)

LISTENING = {"radix": 6, "momentum": 2, "reserve": 1}


@pytest.mark.parametrize("digits", [3, 5])
@pytest.mark.parametrize("saturates", [False, True])
def test_radix_sends_the_digits_of_the_nearest_number(digits: int, saturates: bool) -> None:
    """clip(floor(x / theta + 1/2), 0, 2^P - 1), the largest digit first; ReLU6 ends at its own."""
    x = levels(-16, 16)
    weight, bias = (10.0, 0.27) if saturates else (1.0, 0.27)
    module = line([weight], bias, nn.ReLU6() if saturates else None)
    converted = convert("radix", module, x, timesteps=2 * digits, input_levels=16, **PLAIN)
    (layer,) = hidden(converted.netlist)
    top = 6.0 if saturates else 1.27
    first = layer.unit.item()
    theta = top / (2**digits - 1)
    assert first == pytest.approx(theta * 2 ** (digits - 1), rel=1e-6)
    found = run(converted, np.concatenate((x, x))).spikes[layer.name][:, :, 0]
    code = np.floor((weight * x[:, 0].astype(np.float64) + bias) / theta + 0.5)
    code = np.clip(code, 0, 2**digits - 1).astype(int)
    assert not found[:, :digits].any()
    for j in range(digits):
        sent = found[: len(x), digits + j]
        np.testing.assert_array_equal(sent, code >> (digits - 1 - j) & 1, f"digit {j}")


@pytest.mark.parametrize("method", LISTENING)
def test_windows_open_behind_what_is_listened_to(method: str) -> None:
    converted = convert(method, network(), timesteps=12, **PLAIN)
    netlist = converted.netlist
    depth, lag = netlist.schedule.depth, LISTENING[method]
    names = [p.name for p in netlist.populations]
    apart = [depth[b] - depth[a] for a, b in pairwise(names)]
    # The image, the first layer, its pool, which waits for nothing, and so on.
    assert apart == [1, lag + 1, 1, lag + 1]


@pytest.mark.parametrize("method", ["radix", "momentum"])
def test_pools_send_the_digits_of_the_maximum(method: str) -> None:
    converted = convert(method, network(), timesteps=10, **PLAIN)
    netlist = converted.netlist
    (pool,) = (p for p in netlist.populations if isinstance(p.model, MaxPool))
    (link,) = netlist.incoming[pool.name]
    found = run(converted, X)
    source = netlist.by_name[link.pre]
    pooled = pool.summed(found.spikes[pool.name])
    np.testing.assert_array_equal(
        pooled, pool.model.maximum(source.summed(found.spikes[source.name]))
    )
    assert set(np.unique(found.spikes[pool.name])) <= set(np.unique(found.spikes[source.name]))


def test_what_comes_too_late_for_a_digit_is_sent_in_the_next() -> None:
    """With fewer steps of listening, doubled worths err less than single ones."""
    module, exact = network(), convert("radix", network(), timesteps=20, **PLAIN)
    errors = {}
    for worths, timesteps in (("binary", 8), ("repeated", 10)):
        given: dict[str, Any] = {"listening": 2, "digit_worths": worths, **PLAIN}
        late = convert("radix", module, timesteps=timesteps, **given)
        (last,) = (p for p in late.netlist.populations if p.is_integrator)
        answers = []
        for net in (exact, late):
            membrane = run(net, X).membranes[last.name][:, -1]
            answers.append(membrane / net.netlist.by_name[last.name].divisor(1))
        errors[worths] = np.abs(answers[1] - answers[0]).mean() / np.abs(answers[0]).mean()
    assert errors["repeated"] < errors["binary"]


def test_reserve_waits_until_it_holds_more_than_a_spike_takes() -> None:
    converted = convert("reserve", network(), timesteps=6, reserve=2.0, **PLAIN)
    neurons = [p.model for p in hidden(converted.netlist) if isinstance(p.model, RealNeuron)]
    assert len(neurons) == 2
    for model in neurons:
        assert model.firing_gain == (0, 1, 1, 1, 1, 1)
        assert model.input_gain == (1, 1, 1, 1, 1, 0)
        assert model.comparison == (4096, 12288, 10240, 8192, 6144, 4096)


@pytest.mark.parametrize(
    ("method", "options", "told"),
    [
        ("radix", {"timesteps": 7}, "even number; name the steps of --listening"),
        ("radix", {"timesteps": 1}, "timesteps 1: it listens before it fires; use 2"),
        ("momentum", {"timesteps": 2}, "listening 2: expected 1 to T - 1 = 1 steps at timesteps 2"),
        ("radix", {"timesteps": 60}, "the first spike would be worth 536870912"),
        ("radix", {"decode": "counts"}, "decode 'counts'"),
        ("momentum", {"leaky": "imbalanced"}, "leaky 'imbalanced'"),
        ("momentum", {"listening": 10}, "listening 10: expected 1 to T - 1 = 9 steps"),
        ("reserve", {"listening": 0}, "listening 0: expected 1 to T - 1 = 32 steps"),
        ("radix", {"max_pooling": "winner"}, "max pooling 'winner'"),
    ],
)
def test_options_that_do_not_go_together(method: str, options: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        convert(method, network(), **options)
