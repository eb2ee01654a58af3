"""Rate coding: Rueckauer 2017, Diehl 2015."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="conversion needs torch")


from neurodeploy.conversion.registry import METHODS  # noqa: E402
from neurodeploy.ir.decoding import output_trace  # noqa: E402
from neurodeploy.ir.encoding import encode  # noqa: E402
from neurodeploy.ir.neurons import MaxPool  # noqa: E402
from neurodeploy.ir.reference import run_reference  # noqa: E402
from tests.conversion.method_networks import (  # noqa: E402
    PLAIN,
    X,
    answer,
    convert,
    hidden,
    layer,
    levels,
    line,
    network,
    run,
    spikes_of,
)


@pytest.mark.parametrize("reset", ["subtract", "zero"])
def test_rate_resets(reset: str) -> None:
    """By hand: theta 5, v0 5/2, input 2: the remainder of a spike is kept, or lost."""
    method = METHODS.get("rate")(timesteps=6, reset=reset)
    found = spikes_of(method.neuron(layer(1), np.array([5.0])), np.full((6, 1), 2))
    # v: 4.5, 6.5 -> 1.5 or 0, ...
    expected = [0, 1, 0, 1, 0, 0] if reset == "subtract" else [0, 1, 0, 0, 1, 0]
    assert found[:, 0].tolist() == expected


def test_rate_of_a_constant_is_the_rounded_activation() -> None:
    """n = clip(floor(T x / theta + 1/2), 0, T)."""
    x = levels(-16, 16)
    converted = convert("rate", line([[1.0], [-0.5]]), x, timesteps=7, input_levels=16, **PLAIN)
    (population,) = hidden(converted.netlist)
    np.testing.assert_allclose(population.model.threshold, [1.0, 0.5])
    pre = x.astype(np.float64) * [1.0, -0.5]
    wanted = np.clip(np.floor(7 * pre / [1.0, 0.5] + 0.5), 0, 7)
    counts = run(converted, x).spikes[population.name].sum(axis=1)
    np.testing.assert_array_equal(counts, wanted)


def test_winner_pooling_passes_the_spikes_of_the_leader() -> None:
    """Section 2.2.6 of Rueckauer 2017: the gate follows the largest accumulated count."""
    converted = convert("rate", network(), max_pooling="winner", timesteps=40, bias_correction=0)
    (pool,) = (p for p in converted.netlist.populations if isinstance(p.model, MaxPool))
    before = converted.netlist.incoming[pool.name][0].pre
    found = run(converted, X[:4])
    ((name, encoding),) = converted.encodings.items()
    reference = run_reference(converted.netlist, {name: encode(encoding, X[:4], 40)})
    spikes = found.spikes[before]
    cells = spikes.reshape(*spikes.shape[:3], 4, 2, 4, 2).transpose(0, 1, 2, 3, 5, 4, 6)
    cells = cells.reshape(*cells.shape[:5], 4)
    leader = np.cumsum(cells, axis=1).argmax(axis=-1)[..., None]
    wanted = np.take_along_axis(cells, leader, axis=-1)[..., 0]
    for executor in (found, reference):
        np.testing.assert_array_equal(executor.spikes[pool.name], wanted)
    assert (np.diff(leader, axis=1) != 0).any()
    # The exact rule emits the maximum of the counts; the gate has its own.
    exact = convert("rate", network(), timesteps=40, bias_correction=0)
    most = np.cumsum(cells, axis=1).max(axis=-1)[:, -1]
    np.testing.assert_array_equal(run(exact, X[:4]).spikes[pool.name].sum(axis=1), most)


def test_softmax_decoding_draws_with_the_softmax_of_the_membrane() -> None:
    x = np.repeat(X[:1], 300, axis=0)
    module = network()
    with torch.no_grad():
        module[-1].weight.mul_(0.3)
    converted = convert("rate", module, x, decode="softmax", timesteps=16, bias_correction=0)
    shares = answer(converted, x)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    np.testing.assert_allclose(shares * 16, np.rint(shares * 16))
    trace = output_trace(converted.netlist, converted.netlist.outputs[0], run(converted, x[:1]))[0]
    membrane = np.exp(trace - trace.max(axis=1, keepdims=True))
    chance = membrane / membrane.sum(axis=1, keepdims=True)
    deviation = np.sqrt((chance * (1 - chance)).sum(axis=0) / len(x)) / 16
    assert (np.abs(shares.mean(axis=0) - chance.mean(axis=0)) < 4 * deviation).all()
    assert chance.max() < 0.999  # something was left to chance
