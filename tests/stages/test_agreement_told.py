"""A method that fails is told, with the count that shows it and what would help; chance is not."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
import torch
from torch import nn

import neurodeploy as nd
from neurodeploy.datasets import Samples
from neurodeploy.errors import NeurodeployWarning
from neurodeploy.stages.agreement_check import LEAST_AGREEMENT, MOST_SAMPLES, is_sure

X = np.random.default_rng(3).random((300, 20)).astype(np.float32)
DEPTH = 9


@pytest.fixture(scope="module")
def deep() -> nn.Module:
    """A chain of random layers, whose answers depend on all of them."""
    torch.manual_seed(1)
    layers: list[nn.Module] = []
    for _ in range(DEPTH):
        layer = nn.Linear(20, 20)
        nn.init.orthogonal_(layer.weight, 1.4)
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(20, 5, bias=False)).eval()


@pytest.fixture(scope="module")
def data(deep: nn.Module) -> Samples:
    with torch.no_grad():
        y = deep(torch.tensor(X)).argmax(1).numpy()
    return Samples(X, y, name="made up")


def told(call: object, *args: object, **kwargs: object) -> tuple[nd.Network, list[str]]:
    """What a stage gives, and its warnings about answers."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", NeurodeployWarning)
        found = call(*args, **kwargs)  # type: ignore[operator]
    lines = [str(w.message) for w in caught]
    return found, [line for line in lines if "source network's answer" in line]


@pytest.fixture(scope="module")
def failed(deep: nn.Module, data: Samples) -> tuple[nd.Network, list[str]]:
    return told(nd.convert, deep, data, method="ternary", timesteps=4)


def test_convert_tells_of_a_method_that_fails(failed: tuple[nd.Network, list[str]]) -> None:
    net, (line,) = failed
    n = net.provenance["agreement"]["samples"]
    share = 100 * net.provenance["agreement"]["agreeing"] / n
    assert share < 100 * LEAST_AGREEMENT
    assert f"to {share:.1f} % of {n} calibration samples, below 90" in line
    assert f"ternary at T = 4, {net.netlist.schedule.max_depth} layers in a row" in line
    assert "--method graded" in line
    assert "--method ternary" not in line
    # More steps do not help a code that drifts.
    assert "--timesteps" not in line


def test_other_codes_are_also_told_of_more_steps(deep: nn.Module, data: Samples) -> None:
    _, (line,) = told(nd.convert, deep, data, method="rate", timesteps=2)
    assert "more time steps (--timesteps 4)" in line


def test_what_agrees_is_not_told(deep: nn.Module, data: Samples) -> None:
    net, lines = told(nd.convert, deep, data, method="graded", timesteps=4)
    assert not lines
    # One look at the first samples is enough.
    assert net.provenance["agreement"]["samples"] == 32


def test_evaluate_tells_with_its_own_count(
    failed: tuple[nd.Network, list[str]], data: Samples
) -> None:
    found, (line,) = told(nd.evaluate, failed[0], data, 100)
    assert f"to {100 * found.agreement:.1f} % of 100 samples" in line


def test_few_bits_are_told_as_a_cause(deep: nn.Module, data: Samples) -> None:
    net, _ = told(nd.convert, deep, data, method="graded", timesteps=4)
    coarse, _ = told(nd.quantize, net, 2)
    _, (line,) = told(nd.evaluate, coarse, data, 100)
    assert "more weight bits (now 2), or --data to round them against" in line
    against, _ = told(nd.quantize, net, 2, data=data)
    _, lines = told(nd.evaluate, against, data, 100)
    assert not any("--data" in line for line in lines)


def test_auto_counts_what_it_judged(deep: nn.Module, data: Samples) -> None:
    net, lines = told(nd.convert, deep, data, max_timesteps=1, max_loss=100.0)
    assert net.provenance["agreement"]["samples"] == net.provenance["auto"]["judged_samples"]
    low = is_sure(*net.provenance["agreement"].values())
    assert bool(lines) == low


def test_numbers_have_no_agreement(deep: nn.Module) -> None:
    one = nn.Sequential(deep, nn.Linear(5, 1)).eval()
    net, lines = told(nd.convert, one, Samples(X, name="made up"), method="rate", timesteps=2)
    assert "agreement" not in net.provenance
    assert not lines


@pytest.mark.parametrize("n", [8, 32, 64, 128, MOST_SAMPLES])
def test_chance_is_not_told(n: int) -> None:
    draws = np.random.default_rng(n).binomial(n, LEAST_AGREEMENT, size=2000)
    assert np.mean([is_sure(int(count), n) for count in draws]) < 0.015
    assert not is_sure(n, n)
    assert is_sure(int(0.6 * n), n)


def test_the_line_is_one_line(failed: tuple[nd.Network, list[str]]) -> None:
    assert re.fullmatch(r"[^\n]+", failed[1][0])
