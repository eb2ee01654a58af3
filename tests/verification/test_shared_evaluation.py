"""Whole test sets shared among workers: the same to the last digit for any number of them."""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

import neurodeploy as nd
from neurodeploy.distribution import Outcome, Workers
from neurodeploy.distribution.workers import died, outcome_of
from neurodeploy.errors import ExecutionError
from neurodeploy.testing import NetlistBuilder
from neurodeploy.verification import agreement

stage = importlib.import_module("neurodeploy.stages.evaluate")

torch = pytest.importorskip("torch")

COUNTS = (1, 2, 3, 5)
"""Workers."""


def here(
    function: Callable[[Any], Any], items: Sequence[Any], workers: Workers
) -> Iterator[tuple[int, Outcome]]:
    """Tasks in this process, sent as to another one; the last first."""
    for place in reversed(range(len(items))):
        item = pickle.loads(pickle.dumps(items[place]))
        yield place, pickle.loads(pickle.dumps(outcome_of(function, item)))


@pytest.fixture(autouse=True)
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "completed", here)


def samples(n: int, channels: int = 1, split: str = "test") -> nd.Samples:
    rng = np.random.default_rng(n)
    x = rng.integers(0, 256, (n, channels, 6, 6), dtype=np.uint8)
    return nd.Samples(x, rng.integers(0, 4, n), split=split)


@pytest.fixture(scope="module")
def real() -> nd.Network:
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(1, 3, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(48, 4)
    ).eval()
    return nd.convert(module, samples(40, split="train"), method="rate", timesteps=3)


def same(one: nd.Evaluation, other: nd.Evaluation) -> None:
    for f in fields(one):
        a, b = getattr(one, f.name), getattr(other, f.name)
        if isinstance(a, np.ndarray):
            np.testing.assert_array_equal(a, b)
        else:
            assert a == b, f.name
    assert one.to_dict() == other.to_dict()


@pytest.mark.parametrize("kind", ["real", "integer", "softmax"])
def test_any_number_of_workers_gives_the_same(kind: str, real: nd.Network) -> None:
    net = real if kind == "real" else real.quantize()
    if kind == "softmax":
        # Its draws depend on the place of a sample in the data set.
        output = replace(net.netlist.outputs[0], decode="softmax")
        net = replace(net, netlist=replace(net.netlist, outputs=(output,)))
    given = samples(333)
    whole = nd.evaluate(net, given, metrics=True)
    assert whole.metrics is not None
    told: list[tuple[int, int]] = []
    for workers in COUNTS:
        told.clear()
        shared = nd.evaluate(
            net, given, workers=workers, metrics=True, progress=lambda *d: told.append(d)
        )
        same(whole, shared)
        assert told[-1] == (333, 333)
        assert len(told) > workers


def test_groups_that_do_not_divide_the_samples(
    real: nd.Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Activations so large that groups of the source network are smaller than a batch."""
    monkeypatch.setattr(agreement, "ACTIVATION_BYTES", 4 * 52 * 11)
    monkeypatch.setattr("neurodeploy.execution.batches.BATCH_BYTES", 20_000)
    net, given = real.quantize(), samples(150)
    whole = nd.evaluate(net, given)
    for workers in COUNTS:
        same(whole, nd.evaluate(net, given, workers=workers))


def test_targets_of_a_regression() -> None:
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(36, 3)).eval()
    rng = np.random.default_rng(0)
    x = rng.random((130, 1, 6, 6)).astype(np.float32)
    y = rng.normal(size=(130, 3)).astype(np.float32)
    net = nd.convert(module, nd.Samples(x, y, split="train"), method="rate", timesteps=2)
    given = nd.Samples(x, y, split="test")
    whole = nd.evaluate(net.quantize(), given)
    assert whole.target_error is not None
    for workers in COUNTS:
        same(whole, nd.evaluate(net.quantize(), given, workers=workers))


def test_recordings_of_events() -> None:
    rng = np.random.default_rng(0)
    recordings = [
        {"t": np.sort(rng.integers(0, 6000, 30)), "x": rng.integers(0, 12, 30)} for _ in range(70)
    ]
    given = nd.Samples.events(
        recordings, dt="1ms", size=12, labels=rng.integers(0, 4, 70), unit="us", polarity="merge"
    )
    net = nd.Network(NetlistBuilder(T=6).input("x", (1, 12)).dense(4, threshold=40).output())
    whole = nd.evaluate(net, given)
    for workers in COUNTS:
        same(whole, nd.evaluate(net, given, workers=workers))


def test_samples_that_kill_their_workers_are_named(
    real: nd.Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dying(function: Any, items: Any, workers: Any) -> Iterator[tuple[int, Outcome]]:
        yield 1, died("killed by SIGKILL")

    monkeypatch.setattr(stage, "completed", dying)
    with pytest.raises(ExecutionError, match="samples 96 to 191: 2 workers died of it"):
        nd.evaluate(real, samples(333), workers=1)
