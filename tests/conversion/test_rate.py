"""Rate coding: real-valued spiking netlists converge to the source network."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="conversion needs torch")

import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

from neurodeploy.conversion.method import convert_graph  # noqa: E402
from neurodeploy.conversion.methods.rate import RateCoding  # noqa: E402
from neurodeploy.errors import ConversionError, UsageError  # noqa: E402
from neurodeploy.ir.decoding import classify, decode  # noqa: E402
from neurodeploy.ir.encoding import Encoding, encode  # noqa: E402
from neurodeploy.ir.neurons import MaxPool, RealNeuron  # noqa: E402
from neurodeploy.ir.reference import run_reference  # noqa: E402
from neurodeploy.source.evaluation.in_torch import evaluate  # noqa: E402
from neurodeploy.source.torch.frontend import analog_from_torch  # noqa: E402
from tests.conversion.modules import Function, norm  # noqa: E402

SHAPE = (2, 6, 6)
LEVELS = 16
PLAIN = {"normalization": "max", "bias_correction": 0}


def small() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        norm(nn.BatchNorm2d(4)),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 4, 2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16, 5),
    )


def _residual(m: Function, x: torch.Tensor) -> torch.Tensor:
    h = F.relu(m.a(x))
    return m.out(F.relu(m.c(F.relu(m.b(h))) + h).flatten(1))


def residual() -> nn.Module:
    return Function(
        _residual,
        a=nn.Conv2d(2, 3, 3, padding=1),
        b=nn.Conv2d(3, 3, 3, padding=1),
        c=nn.Conv2d(3, 3, 3, padding=1),
        out=nn.Linear(108, 5),
    )


def data(n: int = 8, low: float = 0.0) -> np.ndarray:
    """Samples on the levels of the encoder, so that nothing but spiking adds an error."""
    q = np.random.default_rng(1).integers(int(low * LEVELS), LEVELS + 1, (n, *SHAPE))
    return (q / LEVELS).astype(np.float32)


class Converted:
    """A module, its netlist, and both answers."""

    def __init__(
        self, module: nn.Module, method: RateCoding, encoder: str = "current", low: float = 0.0
    ) -> None:
        self.x = data(low=low)
        self.graph = analog_from_torch(module.eval(), SHAPE, "net")
        encoding = Encoding(encoder, LEVELS, low, 1.0)
        self.netlist, encodings, _ = convert_graph(
            self.graph, method, self.x, encoding, run_reference
        )
        ((self.entry, _),) = encodings.items()
        self.encoding = encoding

    def run(self, timesteps: int | None = None):
        T = timesteps or self.netlist.timesteps
        stimulus = {self.entry: encode(self.encoding, self.x, T)}
        return run_reference(self.netlist, stimulus, timesteps=T)

    def answer(self, timesteps: int | None = None) -> np.ndarray:
        return decode(self.netlist, self.netlist.outputs[0], self.run(timesteps))

    def expected(self) -> np.ndarray:
        (name,) = self.graph.outputs
        return evaluate(self.graph, self.x)[name]

    def error(self, timesteps: int) -> float:
        return float(np.abs(self.answer(timesteps) - self.expected()).mean())


@pytest.mark.parametrize("build", [small, residual])
@pytest.mark.parametrize("encoder", ["current", "rate"])
def test_errors_shrink_with_the_time_steps(build, encoder: str) -> None:
    net = Converted(build(), RateCoding(64, **PLAIN), encoder)
    few, some, many = (net.error(T) for T in (16, 64, 512))
    scale = float(np.abs(net.expected()).mean())
    assert many < 0.02 * scale
    assert many < some / 3
    assert some < few / 1.5


@pytest.mark.parametrize("scope", ["channel", "layer"])
@pytest.mark.parametrize("rule", ["max", "percentile", "mse"])
def test_every_normalization_approximates(rule: str, scope: str) -> None:
    net = Converted(small(), RateCoding(64, rule, scope, percentile=99.5, bias_correction=0))
    correlation = np.corrcoef(net.answer().ravel(), net.expected().ravel())[0, 1]
    assert correlation > 0.98
    hidden = next(p for p in net.netlist.populations if isinstance(p.model, RealNeuron))
    assert (len(set(hidden.model.threshold.tolist())) == 1) == (scope == "layer")


@pytest.mark.parametrize("initial", [0.0, 0.5])
@pytest.mark.parametrize("reset", ["subtract", "zero"])
def test_resets_and_initial_membranes(reset: str, initial: float) -> None:
    method = RateCoding(64, reset=reset, initial_membrane=initial, **PLAIN)
    net = Converted(small(), method)
    for population in net.netlist.populations:
        model = population.model
        if isinstance(model, RealNeuron) and model.fires:
            assert model.reset == reset
            np.testing.assert_allclose(model.initial_membrane, initial * model.threshold)
    correlation = np.corrcoef(net.answer().ravel(), net.expected().ravel())[0, 1]
    assert correlation > (0.97 if reset == "subtract" else 0.8)


def test_half_a_threshold_takes_the_bias_of_the_rates_away() -> None:
    def mean_error(initial: float) -> float:
        net = Converted(small(), RateCoding(16, initial_membrane=initial, **PLAIN))
        first = next(p for p in net.netlist.populations if isinstance(p.model, RealNeuron))
        rates = net.run().spikes[first.name].mean(axis=1) * first.spread(first.unit)
        return float((rates - evaluate(net.graph, net.x, (first.source,))[first.source]).mean())

    assert abs(mean_error(0.5)) < 0.2 * abs(mean_error(0.0))
    assert mean_error(0.0) < 0


def test_populations_code_the_activations_they_name() -> None:
    net = Converted(small(), RateCoding(256, **PLAIN))
    run = net.run()
    named = {p.name: p.source for p in net.netlist.populations if p.name in run.spikes and p.source}
    values = evaluate(net.graph, net.x, sorted(set(named.values())))
    for population in net.netlist.populations:
        if not isinstance(population.model, RealNeuron | MaxPool):
            continue
        if isinstance(population.model, RealNeuron) and not population.model.fires:
            continue
        rates = run.spikes[population.name].mean(axis=1) * population.spread(population.unit)
        wanted = values[population.source]
        assert np.abs(rates - wanted).max() < 0.06 * wanted.max(), population.name


def test_counts_have_the_same_winner_and_the_same_units() -> None:
    net = Converted(small(), RateCoding(256, decode="counts", **PLAIN))
    answer, expected = net.answer(), net.expected()
    (output,) = net.netlist.outputs
    assert output.decode == "counts"
    np.testing.assert_array_equal(classify(answer).labels, classify(expected).labels)
    top = expected.max(axis=1)
    np.testing.assert_allclose(answer.max(axis=1), top, atol=0.05 * np.ptp(expected))


def test_counts_of_negative_logits_still_have_a_winner() -> None:
    module = small()
    with torch.no_grad():
        module[-1].bias.sub_(5.0)
    net = Converted(module, RateCoding(256, decode="counts", **PLAIN))
    assert net.expected().max() < 0 < net.netlist.outputs[0].offset
    classes = classify(net.answer())
    np.testing.assert_array_equal(classes.labels, classify(net.expected()).labels)
    assert not classes.tied.any()


def test_a_constant_output_cannot_be_counted() -> None:
    module = small()
    with torch.no_grad():
        module[-1].weight.zero_()
        module[-1].bias.zero_()
    with pytest.raises(ConversionError, match=r"^output: the output is the same for all"):
        Converted(module, RateCoding(8, decode="counts", **PLAIN))


def test_negative_currents() -> None:
    net = Converted(small(), RateCoding(64, **PLAIN), low=-1.0)
    assert net.netlist.inputs[0].model.low == -LEVELS
    assert net.error(512) < 0.02 * np.abs(net.expected()).mean()


def test_relu6_clips() -> None:
    module = nn.Sequential(nn.Conv2d(2, 3, 1), nn.ReLU6(), nn.Flatten(), nn.Linear(108, 4))
    with torch.no_grad():
        module[0].weight.mul_(30.0)
    net = Converted(module, RateCoding(64, **PLAIN))
    (hidden,) = (p for p in net.netlist.populations if p.name not in (net.entry, "output"))
    assert hidden.model.threshold.max() == 6.0
    rates = net.run(256).spikes[hidden.name].mean(axis=1) * hidden.spread(hidden.unit)
    wanted = evaluate(net.graph, net.x, (hidden.source,))[hidden.source]
    assert (wanted == 6.0).mean() > 0.1
    assert np.abs(rates - wanted).max() <= 6.0 / 256 * 1.01
    assert net.error(512) < 0.02 * np.abs(net.expected()).mean()


def test_shortcuts_wait_for_the_main_path() -> None:
    net = Converted(residual(), RateCoding(8, **PLAIN))
    plan = net.netlist.schedule
    delays = {(q.pre, q.post): d for q, d in zip(net.netlist.projections, plan.delays, strict=True)}
    assert sorted(delays.values()) == [1, 1, 1, 1, 2]
    for (pre, post), delay in delays.items():
        assert delay == plan.depth[post] - plan.depth[pre]


@pytest.mark.parametrize("pooling", ["exact", "identity"])
def test_both_poolings_converge(pooling: str) -> None:
    module = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
        nn.Flatten(),
        nn.Linear(27, 4),
    )
    net = Converted(module, RateCoding(64, max_pooling=pooling, **PLAIN))
    pools = [p for p in net.netlist.populations if isinstance(p.model, MaxPool)]
    assert len(pools) == (pooling == "exact")
    assert net.error(512) < 0.04 * np.abs(net.expected()).mean()


def test_average_pooling_spikes_with_its_own_thresholds() -> None:
    module = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(3, 2, 3),
        nn.Flatten(),
    )
    for choice, n in (("spiking", 4), ("fold", 3)):
        net = Converted(module, RateCoding(64, average_pooling=choice, **PLAIN))
        assert len(net.netlist.populations) == n
        assert net.error(512) < 0.02 * np.abs(net.expected()).mean()


def test_the_same_netlist_again() -> None:
    one, other = (Converted(small_seeded(), RateCoding(8)).netlist for _ in range(2))
    assert one == other


def small_seeded() -> nn.Module:
    torch.manual_seed(3)
    return small()


def test_a_silent_layer_is_named() -> None:
    module = small()
    with torch.no_grad():
        module[4].weight.zero_()
        module[4].bias.fill_(-1.0)
    with pytest.raises(ConversionError, match="every activation is zero on the calibration images"):
        Converted(module, RateCoding(8, **PLAIN))


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("timesteps", 0, "timesteps 0: at least 1"),
        ("percentile", 0.0, "percentile 0.0: expected"),
        ("percentile", 101.0, "percentile 101.0: expected"),
        ("initial_membrane", 1.0, "initial membrane 1.0: expected"),
        ("initial_membrane", -0.1, "initial membrane -0.1: expected"),
        ("reset", "none", "reset 'none': expected"),
        ("decode", "rate", "decode 'rate': expected"),
        ("normalization", "best", "unknown normalization 'best'"),
        ("scope", "neuron", "unknown normalization scope 'neuron'"),
        ("max_pooling", "approximate", "unknown max pooling 'approximate'"),
        ("average_pooling", "none", "unknown average pooling 'none'"),
    ],
)
def test_options_are_checked(option: str, value: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        RateCoding(**{option: value})


def test_a_latency_coded_input_is_refused() -> None:
    with pytest.raises(ConversionError, match="cannot read an input coded by 'latency'"):
        Converted(small(), RateCoding(8, **PLAIN), "latency")
