"""Biases take back what rounded weights change on average."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from neurodeploy.ir.arrays import FloatArray
from neurodeploy.ir.connectivity import Conv, Dense
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import IntegerNetlist, Output, Population, RealNetlist, RealProjection
from neurodeploy.ir.neurons import Input, IntegerNeuron, RealNeuron
from neurodeploy.quantization.input_statistics import Heard
from neurodeploy.quantization.integers import Quantization

T = 8


def network(*, coding: str = "rate", known: bool = True) -> RealNetlist:
    """A convolution with one bias per channel, and a dense layer with one per neuron."""
    rng = np.random.default_rng(3)
    window = Window((5, 5), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1))
    conv = Conv(rng.normal(size=(4, 2, 3, 3)), 2, window, 1)
    dense = Dense(rng.normal(size=(3, 100)), (4, 5, 5))
    x = Population("x", (2, 5, 5), Input("spikes", 0, 1), np.array(1.0))
    h = Population(
        "h",
        (4, 5, 5),
        RealNeuron(np.full(4, 2.0), np.zeros(4), np.zeros(4)),
        np.full(4, 2.0),
        coding=coding,  # type: ignore[arg-type]
    )
    bias = np.linspace(-1.0, 1.0, 3)
    y = Population("y", (3,), RealNeuron(None, bias, np.zeros(()), reset="none"), np.ones(()))
    if known:
        x = replace(x, mean=rng.uniform(0.2, 0.9, x.shape))
        h = replace(h, mean=rng.uniform(0.0, 1.5, h.shape))
    return RealNetlist(
        "net",
        (x, h, y),
        (RealProjection("x", "h", conv), RealProjection("h", "y", dense)),
        (Output("y", "membrane"),),
        T,
    )


def mean_drive(real: RealNetlist, integer: IntegerNetlist, name: str) -> tuple[FloatArray, ...]:
    """What a run adds to the membranes on average, in units of the integer one: real, integer."""
    whole, exact = integer.by_name[name], real.by_name[name]
    assert isinstance(whole.model, IntegerNeuron)
    assert isinstance(exact.model, RealNeuron)
    (p,), (q,) = real.incoming[name], integer.incoming[name]
    source = real.by_name[p.pre]
    assert source.mean is not None
    assert source.unit is not None
    emitted = source.mean * source.divisor(T) / source.spread(source.unit)
    if whole.model.threshold is None:
        assert whole.unit is not None
        unit = whole.unit
    else:
        unit = exact.model.threshold / whole.model.threshold
    per_channel = unit.reshape(-1, *(1,) * (len(exact.shape) - 1))
    weights = q.connectivity.with_weight(q.connectivity.weight.astype(float))
    drive = (
        weights.apply(emitted[None])[0] * np.exp2(q.shift()),
        p.connectivity.apply(emitted[None])[0] / per_channel,
    )
    if exact.coding == "sum":
        fields, times = "initial_membrane", 1
    else:
        fields, times = "bias", T
    return (
        drive[1] + times * exact.spread(getattr(exact.model, fields)) / per_channel,
        drive[0] + times * whole.spread(getattr(whole.model, fields)),
    )


@pytest.mark.parametrize("coding", ["rate", "sum"])
@pytest.mark.parametrize("bits", [2, 4])
def test_the_mean_of_a_channel_stays(bits: int, coding: str) -> None:
    net = network(coding=coding)
    errors = {}
    for correct in (True, False):
        integer, _ = Quantization(bits, bias_correction=correct)(net)
        for name in ("h", "y"):
            real, whole = mean_drive(net, integer, name)
            errors[name, correct] = np.abs((whole - real).reshape(real.shape[0], -1).mean(axis=1))
    for name, steps in (("h", 1 if coding == "sum" else T), ("y", T)):
        # The bias itself is a whole number in every step.
        assert errors[name, True].max() <= steps / 2 + 1e-6
        assert errors[name, False].max() > steps


def listening_first() -> RealNetlist:
    """The network with a current, and a convolution that adds it up in half of the steps."""
    net = network()
    x, h, y = net.populations
    assert isinstance(h.model, RealNeuron)
    model = replace(h.model, input_gain=(1, 0) * (T // 2), firing_gain=(0, 1) * (T // 2))
    x = replace(x, model=Input("current", 0, 1))
    return replace(net, populations=(x, replace(h, model=model), y))


def test_a_current_is_corrected_for_the_steps_in_which_it_is_heard() -> None:
    net = listening_first()
    integer, _ = Quantization(3)(net)
    kept, _ = Quantization(3, bias_correction=False)(net)
    exact, whole = net.by_name["h"], integer.by_name["h"]
    assert isinstance(exact.model, RealNeuron)
    assert isinstance(whole.model, IntegerNeuron)
    assert exact.model.threshold is not None
    unit = exact.model.threshold / whole.model.threshold
    (p,), (q,) = net.incoming["h"], integer.incoming["h"]
    assert net.by_name["x"].mean is not None
    step = net.by_name["x"].mean[None]  # what enters in one step; the neurons hear T / 2 of them
    weights = q.connectivity.with_weight(q.connectivity.weight.astype(float))
    lost = p.connectivity.apply(step)[0] / unit[:, None, None] - weights.apply(step)[0] * (
        np.exp2(q.shift())
    )
    moved = whole.model.bias - kept.by_name["h"].model.bias  # type: ignore[union-attr]
    assert np.abs(moved - lost.reshape(4, -1).mean(axis=1)).max() <= 1
    assert np.abs(moved).max() > 4


@pytest.mark.parametrize("ran", [False, True])
def test_changes_of_an_input_are_corrected_in_the_gain_in_which_they_are_heard(ran: bool) -> None:
    gains, net = (16, 8, 5, 4, 3, 3, 2, 2), network(coding="sum")
    x, h, y = net.populations
    assert isinstance(h.model, RealNeuron)
    model = replace(h.model, input_gain=gains, firing_gain=gains)
    net = replace(net, populations=(replace(x, coding="sum"), replace(h, model=model), y))
    assert x.mean is not None
    heard = Heard({"x": np.stack([x.mean, x.mean])}) if ran else None
    integer, _ = Quantization(2)(net, heard)
    whole = integer.by_name["h"]
    assert isinstance(whole.model, IntegerNeuron)
    unit = np.full(4, 2.0) / whole.model.threshold
    (p,), (q,) = net.incoming["h"], integer.incoming["h"]
    weights = q.connectivity.with_weight(q.connectivity.weight.astype(float))
    kept = weights.apply(x.mean[None])[0] * np.exp2(q.shift())
    lost = p.connectivity.apply(x.mean[None])[0] / unit[:, None, None] - kept
    # All of a sample arrives in the first step, where the membrane gains 16 times as much.
    expected = gains[0] * lost.reshape(4, -1).mean(axis=1)
    assert np.abs(whole.model.initial_membrane - expected).max() <= 1
    assert np.abs(expected).max() > 16


def test_means_of_a_run_go_before_those_of_activations() -> None:
    net = network()
    ran = Heard({p.name: np.zeros((5, *p.shape)) for p in net.populations})
    silent, _ = Quantization(3)(net, ran)
    kept, _ = Quantization(3, bias_correction=False)(net, ran)
    # Nothing was emitted, so nothing is lost.
    for name in ("h", "y"):
        assert silent.by_name[name] == kept.by_name[name]
    assert Quantization(3)(net)[0].by_name["h"] != silent.by_name["h"]


def test_without_means_nothing_moves() -> None:
    net = network(known=False)
    found, _ = Quantization(3)(net)
    kept, _ = Quantization(3, bias_correction=False)(net)
    assert found == kept
    half = replace(net, populations=(network().populations[0], *net.populations[1:]))
    found, report = Quantization(3)(half)
    kept, plain = Quantization(3, bias_correction=False)(half)
    assert [row["bias_corrected"] for row in report] == [True, False]
    assert not any(row["bias_corrected"] for row in plain)
    # What is known of one layer corrects that layer.
    assert found.by_name["h"] != kept.by_name["h"]
    assert found.by_name["y"] == kept.by_name["y"]
