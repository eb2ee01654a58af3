"""Every conversion method: what its paper says, in numbers computed again here."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import re
import sys
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="conversion needs torch")

from torch import nn  # noqa: E402

import neurodeploy as nd  # noqa: E402
from neurodeploy.cli import run as run_command  # noqa: E402
from neurodeploy.convert.affine import population_term  # noqa: E402
from neurodeploy.convert.layers import ReluLayer  # noqa: E402
from neurodeploy.convert.registry import METHODS  # noqa: E402
from neurodeploy.datasets import Dataset  # noqa: E402
from neurodeploy.errors import ConversionError, UsageError  # noqa: E402
from neurodeploy.ir.artifact import Artifact  # noqa: E402
from neurodeploy.ir.connectivity import identity  # noqa: E402
from neurodeploy.ir.decoding import decode, output_trace  # noqa: E402
from neurodeploy.ir.encoding import encode, encode_frames  # noqa: E402
from neurodeploy.ir.netlist import (  # noqa: E402
    IntegerNetlist,
    Output,
    Population,
    RealNetlist,
    RealProjection,
)
from neurodeploy.ir.neurons import Input, MaxPool, RealNeuron  # noqa: E402
from neurodeploy.ir.record import RunRecord  # noqa: E402
from neurodeploy.ir.reference import run_reference  # noqa: E402
from neurodeploy.simulate import run_engine  # noqa: E402
from tests.convert.modules import Function, norm  # noqa: E402

NAMES = sorted(METHODS.entries())
# What makes a method finer, where it is not its time steps.
FINER: dict[str, tuple[str, tuple[int, ...]]] = {
    "amos": ("digits", (3, 5, 9)),
    "graded": ("levels", (8, 32, 256)),
    "sigma-delta": ("levels", (4, 16, 128)),
}
DEFAULT_FINER = ("timesteps", (4, 16, 128))
SMALL = {"amos": {"digits": 4}, "sigma-delta": {"levels": 16}}
X = np.random.default_rng(0).random((24, 1, 10, 10)).astype(np.float32)
PLAIN = {"normalization": "max", "bias_correction": 0}


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)


def dataset(x: np.ndarray = X, low: float = 0.0, high: float = 1.0) -> Dataset:
    return Dataset("made up", "npz", None, x, None, None, (low, high), None, np.arange(len(x)))


def network() -> nn.Module:
    """Batch norm, max-pooling and biases; the same weights every time."""
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 3), norm(nn.BatchNorm2d(4)), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(4, 5, 2), nn.ReLU(), nn.Flatten(), nn.Linear(45, 4)),
    ).eval()


def tailored() -> nn.Module:
    """No biases, average pooling, and logits that spikes can count."""
    torch.manual_seed(0)
    module = nn.Sequential(
        *(nn.Conv2d(1, 4, 3, bias=False), nn.ReLU(), nn.AvgPool2d(2)),
        *(nn.Conv2d(4, 5, 2, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(45, 4, bias=False)),
    ).eval()
    with torch.no_grad():
        module[-1].weight.abs_()
    return module


def suited(method: str) -> nn.Module:
    return tailored() if method == "cao" else network()


def line(weight: Any, bias: Any = 0.0, activation: nn.Module | None = None) -> nn.Module:
    """One hidden layer whose activations are plain to see, and their sum."""
    matrix = torch.tensor(np.atleast_2d(np.asarray(weight, dtype=np.float32)))
    first, last = nn.Linear(matrix.shape[1], matrix.shape[0]), nn.Linear(matrix.shape[0], 1)
    with torch.no_grad():
        first.weight.copy_(matrix)
        first.bias.copy_(torch.tensor(np.asarray(bias, dtype=np.float32)).expand(len(matrix)))
        last.weight.fill_(1.0)
        last.bias.zero_()
    return nn.Sequential(first, activation or nn.ReLU(), last).eval()


def levels(low: int, high: int, of: int = 16) -> np.ndarray:
    """One sample per input level: the encoder adds no error."""
    return (np.arange(low, high + 1) / of).astype(np.float32)[:, None]


def convert(method: str, module: nn.Module, x: np.ndarray = X, **options: Any) -> Artifact:
    low = min(0.0, float(np.floor(x.min())))
    return nd.convert(module, dataset(x, low), method=method, **options)


def run(artifact: Artifact, x: np.ndarray, netlist: Any = None) -> RunRecord:
    netlist = netlist or artifact.netlist
    ((name, encoding),) = artifact.encodings.items()
    return run_engine(netlist, {name: encode(encoding, x, netlist.timesteps)})


def answer(artifact: Artifact, x: np.ndarray, netlist: Any = None) -> np.ndarray:
    netlist = netlist or artifact.netlist
    return decode(netlist, netlist.outputs[0], run(artifact, x, netlist))


def source(module: nn.Module, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return np.asarray(module(torch.tensor(x)).numpy())


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.sqrt(np.square(found - expected).mean() / np.square(expected).mean()))


def hidden(netlist: RealNetlist | IntegerNetlist) -> list[Population]:
    """The populations between inputs and outputs."""
    ends = {o.population for o in netlist.outputs}
    return [p for p in netlist.populations if p.name not in ends and not isinstance(p.model, Input)]


def layer(n: int, slope: float | None = None, units: int = 1) -> ReluLayer:
    bare = population_term("in", (n,))
    slopes = None if slope is None else np.full(n, slope)
    return ReluLayer("h", bare, None, slope=slopes, units=units)


def spikes_of(neuron: RealNeuron, drive: np.ndarray) -> np.ndarray:
    """What a neuron emits for whole inputs ``[T, n]``."""
    T, n = drive.shape
    netlist = RealNetlist(
        "alone",
        (
            Population("in", (n,), Input("spikes", min(0, drive.min()), max(1, drive.max()))),
            Population("h", (n,), neuron),
        ),
        (RealProjection("in", "h", identity((n,), np.ones(n))),),
        (Output("h", "counts"),),
        T,
    )
    return run_reference(netlist, {"in": drive[None]}).spikes["h"][0]


def uneven(T: int = 24, n: int = 200, seed: int = 3) -> np.ndarray:
    """Inputs that lead too far and come back."""
    random = np.random.default_rng(seed)
    return random.integers(-4, 6, (T, n)) + np.where(np.arange(T) < T // 3, 3, -1)[:, None]


# Every method.


@pytest.mark.parametrize("method", [m for m in NAMES if m != "cao"])
def test_finer_codes_approach_the_source(method: str) -> None:
    key, values = FINER.get(method, DEFAULT_FINER)
    module = network()
    expected = source(module, X)
    errors = [relative(answer(convert(method, module, **{key: v}), X), expected) for v in values]
    assert errors[0] > 1.2 * errors[1] > 1.4 * errors[2], errors
    assert errors[-1] < 0.02


def test_cao_orders_classes_as_the_source_does() -> None:
    """Hard reset loses charge, so counts approach no value; they keep what the source tells."""
    module = tailored()
    expected = source(module, X)
    found = [answer(convert("cao", module, timesteps=T), X) for T in (16, 512)]
    few, many = (np.corrcoef(f.ravel(), expected.ravel())[0, 1] for f in found)
    assert few < many
    assert many > 0.95


@pytest.mark.parametrize("method", NAMES)
def test_integers_are_exact_and_near(method: str) -> None:
    module = suited(method)
    artifact = nd.quantize(convert(method, module, **SMALL.get(method, {})), 8)
    netlist = artifact.integer
    assert netlist is not None
    ((name, encoding),) = artifact.encodings.items()
    stimulus = {name: encode(encoding, X[:4], netlist.timesteps)}
    watched = [p.name for p in hidden(netlist)]
    expected = run_reference(netlist, stimulus, membranes=watched)
    found = run_engine(netlist, stimulus, record=list(expected.spikes), membranes=watched)
    assert set(found.spikes) == set(expected.spikes)
    for population in hidden(netlist):
        assert expected.spikes[population.name].any(), population.name
    for kind in ("spikes", "membranes"):
        for population, values in getattr(expected, kind).items():
            np.testing.assert_array_equal(getattr(found, kind)[population], values, population)
    real = answer(artifact, X)
    assert relative(answer(artifact, X, netlist), real) < 0.1


OUT_OF_RANGE: dict[str, tuple[Any, ...]] = {
    "timesteps": (0, -3),
    "normalization": ("mean",),
    "scope": ("network",),
    "percentile": (0, 100.5, float("nan")),
    "initial_membrane": (-0.1, 1.0, float("nan")),
    "decode": ("argmax",),
    "max_pooling": ("mean",),
    "average_pooling": ("max",),
    "leaky": ("relu",),
    "activation_units": (1, 13),
    "bias_correction": (-1,),
    "membrane_correction": (-1,),
    "reset": ("none", "hard"),
    "take_back": (-0.1, 1.01, float("nan")),
    "coefficient": (0, 2**16 + 1),
    "levels": (-1, 2**16 + 1),
    "digits": (0, 17),
    "hysteresis": (-0.1, 1.0),
    "payload": ("binary",),
    "cycles": (0, -1),
    "thresholds_per_neuron": (0, 13),
    "gain": ("linear",),
}


@pytest.mark.parametrize("method", NAMES)
def test_options_out_of_range_are_refused_in_one_line(method: str) -> None:
    known = {f.name for f in dataclasses.fields(METHODS.get(method))}
    tried = 0
    for option, values in OUT_OF_RANGE.items():
        for value in values if option in known else ():
            # The class refuses, before any data are read.
            with pytest.raises(UsageError) as caught:
                METHODS.get(method)(**{option: value})
            line = str(caught.value)
            assert "\n" not in line
            assert str(value) in line
            tried += 1
    assert tried >= 5
    with pytest.raises(UsageError, match=f"method {method}: no option 'flavour'; options: "):
        convert(method, network(), flavour=2)


# What a whole number has to be comes as text from the command line, and as anything from Python.
@pytest.mark.parametrize(
    ("method", "option", "value"),
    [
        ("rate", "timesteps", "8"),
        ("rate", "timesteps", 2.5),
        ("rate", "bias_correction", 1.5),
        ("rate", "activation_units", 2.5),
        ("rate", "threshold_search", "maybe"),
        ("amos", "digits", 2.5),
        ("augmented", "coefficient", 1.5),
        ("graded", "levels", 2.5),
    ],
)
def test_options_of_the_wrong_type_are_refused(method: str, option: str, value: Any) -> None:
    with pytest.raises(UsageError, match=option.split("_", maxsplit=1)[0]):
        METHODS.get(method)(**{option: value})


@pytest.fixture(scope="module")
def listed() -> dict[str, Any]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert run_command(["methods", "--json"]) == 0
    found: dict[str, Any] = json.loads(out.getvalue())["methods"]
    return found


@pytest.mark.parametrize("method", NAMES)
def test_every_method_is_listed(method: str, listed: dict[str, Any]) -> None:
    entry = listed[method]
    assert entry["summary"]
    assert "\n" not in entry["summary"]
    # A published method says whose it is in its one line.
    assert method == "graded" or re.search(r"\(.*(19|20)\d\d.*\)$", entry["summary"])
    text = sys.modules[METHODS.get(method).__module__].__doc__ or ""
    assert re.search(r"doi 10\.\d{4,}/\S+|arXiv \d{4}\.\d{4,5}", text), "no citation"
    assert entry["spikes"] in ("binary", "signed", "graded")
    assert entry["available"]
    for option, told in entry["option_help"].items():
        assert told["values"], option
        assert told["meaning"], option


@pytest.mark.parametrize("method", NAMES)
def test_every_method_lists_its_targets(method: str, listed: dict[str, Any]) -> None:
    targets = listed[method].get("targets") or listed[method]["runs_on"]
    assert {"lava", "brian2"} <= set(targets)
    assert ("truenorth" in targets) <= (listed[method]["spikes"] == "binary")


# Rate coding: Rueckauer 2017, Diehl 2015.


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
    artifact = convert("rate", line([[1.0], [-0.5]]), x, timesteps=7, input_levels=16, **PLAIN)
    (population,) = hidden(artifact.netlist)
    np.testing.assert_allclose(population.model.threshold, [1.0, 0.5])
    pre = x.astype(np.float64) * [1.0, -0.5]
    wanted = np.clip(np.floor(7 * pre / [1.0, 0.5] + 0.5), 0, 7)
    counts = run(artifact, x).spikes[population.name].sum(axis=1)
    np.testing.assert_array_equal(counts, wanted)


def test_winner_pooling_passes_the_spikes_of_the_leader() -> None:
    """Section 2.2.6 of Rueckauer 2017: the gate follows the largest accumulated count."""
    artifact = convert("rate", network(), max_pooling="winner", timesteps=40, bias_correction=0)
    (pool,) = (p for p in artifact.netlist.populations if isinstance(p.model, MaxPool))
    before = artifact.netlist.incoming[pool.name][0].pre
    found = run(artifact, X[:4])
    ((name, encoding),) = artifact.encodings.items()
    reference = run_reference(artifact.netlist, {name: encode(encoding, X[:4], 40)})
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
    artifact = convert("rate", module, x, decode="softmax", timesteps=16, bias_correction=0)
    shares = answer(artifact, x)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    np.testing.assert_allclose(shares * 16, np.rint(shares * 16))
    trace = output_trace(artifact.netlist, artifact.netlist.outputs[0], run(artifact, x[:1]))[0]
    membrane = np.exp(trace - trace.max(axis=1, keepdims=True))
    chance = membrane / membrane.sum(axis=1, keepdims=True)
    deviation = np.sqrt((chance * (1 - chance)).sum(axis=0) / len(x)) / 16
    assert (np.abs(shares.mean(axis=0) - chance.mean(axis=0)) < 4 * deviation).all()
    assert chance.max() < 0.999  # something was left to chance


# Taking back: Yu 2022 (TerMapping, AugMapping), Wang 2022 (signed neuron with memory).


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


# Graded spikes.


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
    artifact = convert("graded", line([1.0]), x, input_levels=16, **options, **PLAIN)
    (population,) = hidden(artifact.netlist)
    theta = population.model.threshold.item()
    assert theta == pytest.approx(1 / 8)  # the range over ceil(24 / 3)
    spikes = run(artifact, x).spikes[population.name][..., 0]
    wanted = np.clip(np.floor(T * x[:, 0].astype(np.float64) / theta + 0.5), 0, T * 8)
    magnitudes = set(np.abs(spikes).ravel()) - {0}
    assert max(magnitudes) == 8
    if payload == "integer":
        np.testing.assert_array_equal(spikes.sum(axis=1), wanted)
        assert magnitudes >= {3, 5, 6}
    else:
        assert magnitudes <= {1, 2, 4, 8}
        assert np.abs(spikes.sum(axis=1) - wanted).max() <= 2


# Spiking-YOLO: channel-wise normalization and imbalanced thresholds, equations 5 to 8.


def leaky_line() -> tuple[nn.Module, np.ndarray]:
    module = line([[1.0], [-2.0]], [0.0, 0.25], nn.LeakyReLU(0.1))
    return module, levels(-16, 16)


def test_channel_norm_is_the_published_neuron_in_source_units() -> None:
    module, x = leaky_line()
    options: dict[str, Any] = {"percentile": 100.0, "initial_membrane": 0.0, "bias_correction": 0}
    artifact = convert("channel-norm", module, x, timesteps=50, input_levels=16, **options)
    (population,) = hidden(artifact.netlist)
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
    spikes = run(artifact, x).spikes[population.name]
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
    artifact = convert("channel-norm", module, x, timesteps=128, normalization=rule)
    assert relative(answer(artifact, x), source(module, x)) < 0.05


# Explicit current control.


def branching() -> nn.Module:
    def forward(m: Any, x: torch.Tensor) -> torch.Tensor:
        a = torch.relu(m.a(x))
        b = torch.relu(m.b(a))
        c = torch.relu(b + a)
        d = torch.relu(m.d(c) + c)
        return m.out(nn.functional.avg_pool2d(d, 2).flatten(1))

    torch.manual_seed(1)
    return Function(
        forward,
        a=nn.Conv2d(1, 2, 3),
        b=nn.Conv2d(2, 2, 3, padding=1),
        d=nn.Conv2d(2, 2, 3, padding=1),
        out=nn.Linear(32, 3),
    ).eval()


def activations(module: Any) -> dict[str, float]:
    """The largest activation of every layer of :func:`branching`, computed by itself."""
    with torch.no_grad():
        a = torch.relu(module.a(torch.tensor(X)))
        b = torch.relu(module.b(a))
        c = torch.relu(b + a)
        d = torch.relu(module.d(c) + c)
        pool = nn.functional.avg_pool2d(d, 2)
    return {n: float(v.max()) for n, v in zip("abcdp", (a, b, c, d, pool), strict=True)}


def test_ecc_shares_scales_at_additions_and_starts_at_half() -> None:
    module = branching()
    top = activations(module)
    netlist = convert("ecc", module, timesteps=16).netlist
    firing = hidden(netlist)
    thetas = [p.model.threshold for p in firing]
    assert all(np.ptp(t) == 0 for t in thetas)  # whole layers
    for population in firing:
        np.testing.assert_allclose(
            population.model.initial_membrane, population.model.threshold / 2
        )
        np.testing.assert_array_equal(population.model.threshold, population.unit)
    # a and b are added; c is added to nothing that spikes; the pool has a scale of its own.
    together = max(top["a"], top["b"])
    wanted = [together, together, top["c"], top["d"], top["p"]]
    np.testing.assert_allclose([t.flat[0] for t in thetas], wanted, rtol=1e-5)
    (pooling,) = netlist.incoming[firing[-1].name]
    np.testing.assert_allclose(np.unique(pooling.connectivity.to_coo()[2]), thetas[-2][0] / 4)
    assert not np.asarray(firing[-1].model.bias).any()


def test_ecc_is_normalized_currents_in_source_units() -> None:
    """W lambda_(l-1) / lambda_l, b / lambda_l and theta 1 spike alike; the first layer in sum."""
    module, T = branching(), 12
    top = activations(module)
    artifact = convert("ecc", module, timesteps=T, input_levels=255)
    first, second = hidden(artifact.netlist)[:2]
    x = (np.rint(X * 255) / 255).astype(np.float64)
    with torch.no_grad():
        current = module.double().a(torch.tensor(x)).numpy()
    theta = max(top["a"], top["b"])
    found = run(artifact, X)
    # n = clip(floor((a T + theta / 2) / theta), 0, T)
    sums = np.clip(np.floor((current * T + theta / 2) / theta), 0, T)
    assert (found.spikes[first.name].sum(axis=1) != sums).mean() < 1e-3
    # The second: lambda_(l-1) = lambda_l, so the weights stay and the bias is b / lambda_l.
    spikes = torch.tensor(found.spikes[first.name].astype(np.float64))
    conv, v, wanted = module.b, torch.full((24, 2, 8, 8), 0.5, dtype=torch.float64), []
    with torch.no_grad():
        for t in range(T):
            drive = nn.functional.conv2d(spikes[:, t], conv.weight, conv.bias / theta, padding=1)
            v = v + drive
            s = (v >= 1).double()
            v = v - s
            wanted.append(s.numpy())
    assert (found.spikes[second.name] != np.stack(wanted, axis=1)).mean() < 1e-3


def test_ecc_folds_with_the_epsilon_of_training() -> None:
    module = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1, eps=0.5), nn.ReLU(), nn.Linear(1, 1))
    with torch.no_grad():
        for value, parameter in (
            (2.0, module[0].weight),
            (1.0, module[0].bias),
            (0.25, module[1].running_mean),
            (3.5, module[1].running_var),
            (3.0, module[1].weight),
            (-0.5, module[1].bias),
        ):
            parameter.fill_(value)
    netlist = convert("ecc", module.eval(), levels(0, 16), timesteps=4, input_levels=16).netlist
    (population,) = hidden(netlist)
    # gamma / sqrt(var + eps) = 1.5: w = 3, b = 1.5 (1 - 0.25) - 0.5; a level is 1/16.
    assert netlist.incoming[population.name][0].connectivity.weight.item() == pytest.approx(3 / 16)
    assert population.model.bias.item() == pytest.approx(0.625)
    assert population.model.threshold.item() == pytest.approx(3.625)


def test_ecc_keeps_what_saturates() -> None:
    module = nn.Sequential(
        *(nn.Linear(1, 3), nn.SiLU(), nn.Linear(3, 3), nn.SiLU(), nn.Linear(3, 2)),
    ).eval()
    with torch.no_grad():
        module[0].weight.mul_(20.0)
        module[2].weight.mul_(4.0)
    x = levels(-16, 16)
    assert relative(answer(convert("ecc", module, x, timesteps=512), x), source(module, x)) < 0.05


# Cao, Chen & Khosla.


def test_cao_is_the_published_network() -> None:
    artifact = convert("cao", tailored(), timesteps=64)
    netlist = artifact.netlist
    (encoding,) = artifact.encodings.values()
    assert encoding.encoder == "poisson"
    assert netlist.outputs[0].decode == "counts"
    pooled = [p for p in hidden(netlist) if p.shape == (4, 4, 4)]
    assert len(pooled) == 1  # average pooling spikes
    for population in netlist.populations:
        if isinstance(population.model, RealNeuron):
            model = population.model
            assert (model.reset, model.payload_max, model.signed) == ("zero", 1, False) or (
                population.name == netlist.outputs[0].population
            )
            assert not model.bias.any()
            assert not model.initial_membrane.any()
    raster = encode(encoding, X[:4], 4000)
    assert set(np.unique(raster)) == {0, 1}
    rate = np.rint(X[:4] * encoding.levels) / encoding.levels
    deviation = np.sqrt(rate * (1 - rate) / 4000)
    assert (np.abs(raster.mean(axis=1) - rate) <= 5 * deviation + 1e-12).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.insert(1, norm(nn.BatchNorm2d(4))), r"^relu_2: a bias \(or a batch"),
        (lambda m: m.__setitem__(0, nn.Conv2d(1, 4, 3)), r"^relu_1: a bias"),
        (lambda m: m.__setitem__(2, nn.MaxPool2d(2)), r"^max_pool\w*: max-pooling is not in"),
        (lambda m: m.__setitem__(6, nn.Linear(45, 4)), r"^output: a bias"),
    ],
)
def test_cao_refuses_what_is_not_tailored(change: Any, message: str) -> None:
    module = tailored()
    change(module)
    with pytest.raises(ConversionError, match=message) as caught:
        convert("cao", module.eval())
    assert "\n" not in str(caught.value)


def test_cao_refuses_negative_input() -> None:
    with pytest.raises(UsageError, match=r"input 'poisson' takes values >= 0, .* from -1"):
        convert("cao", tailored(), X * 2 - 1)


@pytest.mark.parametrize("wrong", ["max pooling", "leaky", "negative input"])
def test_cao_refuses_all_that_is_not_tailored(wrong: str) -> None:
    module, x, options = tailored(), X, {}
    if wrong == "max pooling":
        module[2], options = nn.MaxPool2d(2), {"max_pooling": "identity"}
    elif wrong == "leaky":
        module[1] = nn.LeakyReLU(0.3)
    else:
        x, options = X * 2 - 1, {"input": "current"}
    with pytest.raises((ConversionError, UsageError)):
        convert("cao", module, x, **options)


# Local threshold balancing.


def test_local_thresholds_grow_by_what_they_clip() -> None:
    """theta <- theta + 2 mean(relu(x - theta)), from 0, batch after batch."""
    x = np.random.default_rng(2).exponential(0.15, (320, 1)).clip(0, 1).astype(np.float32)
    weight = np.array([[1.0], [0.5], [-1.0]])
    artifact = convert("local-threshold", line(weight, [0.0, 0.1, 0.6]), x, timesteps=8)
    (population,) = hidden(artifact.netlist)
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


# Calibration by layer.


def test_calibration_moves_the_mean_error_into_biases_and_membranes() -> None:
    """b_c + mean(a) - mean(coded), v0_c + T (mean(a) - mean(coded)), on the first layer."""
    module, T = network(), 5
    with torch.no_grad():
        wanted = module[2](module[1](module[0](torch.tensor(X)))).numpy().mean(axis=(0, 2, 3))
    options: dict[str, Any] = {"timesteps": T, "threshold_search": False}
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


# AMOS and sigma-delta.


def test_amos_writes_binary_digits() -> None:
    """sum_i T_i z_i = floor(x / last + 1/2) last, the most telling digit first."""
    x = levels(-16, 16)
    options: dict[str, Any] = {"digits": 4, "normalization": "max"}
    artifact = convert("amos", line([1.0], 0.27), x, input_levels=16, **options)
    digits = hidden(artifact.netlist)
    last = 1.27 / 15
    np.testing.assert_allclose([p.unit.item() for p in digits], last * np.array([8, 4, 2, 1]))
    found = run(artifact, np.concatenate((x, x)))
    pre = np.concatenate((x, x))[:, 0].astype(np.float64) + 0.27
    code = np.clip(np.floor(pre / last + 0.5), 0, 15).astype(int)
    for i, population in enumerate(digits):
        np.testing.assert_array_equal(
            found.spikes[population.name][:, 0, 0], code >> (3 - i) & 1, population.name
        )


@pytest.mark.parametrize("pooling", ["exact", "identity"])
def test_sigma_delta_settles_at_the_quantized_activations(pooling: str) -> None:
    """Layer by layer max(floor(a / theta + 1/2), 0) theta, computed on its own."""
    module = network()
    options: dict[str, Any] = {"levels": 12, "max_pooling": pooling}
    artifact = convert("sigma-delta", module, timesteps=2, input_levels=255, **options, **PLAIN)
    netlist = artifact.netlist
    thetas = [p.unit for p in hidden(netlist) if isinstance(p.model, RealNeuron)]
    if pooling == "identity":
        # The tree of maxima has neurons of its own; only the ends are compared.
        assert relative(answer(artifact, X), source(module, X)) < 0.1
        return

    with torch.no_grad():
        top = module[:3](torch.tensor(X)).numpy().max(axis=(0, 2, 3))
    # A channel that is silent takes the largest of its layer.
    np.testing.assert_allclose(thetas[0], np.where(top > 0, top, top.max()) / 12, rtol=1e-5)

    def coded(a: torch.Tensor, theta: np.ndarray) -> torch.Tensor:
        step = torch.tensor(theta).reshape(-1, 1, 1)
        return torch.clamp(torch.floor(a / step + 0.5), min=0) * step

    double = module.double()
    with torch.no_grad():
        x = torch.tensor(np.rint(X.astype(np.float64) * 255) / 255)
        a = nn.functional.max_pool2d(coded(double[1](double[0](x)), thetas[0]), 2)
        wanted = double[7](coded(double[4](a), thetas[1]).flatten(1)).numpy()
    # A value on the edge of two levels may fall to either side.
    found = answer(artifact, X)
    assert (np.abs(found - wanted) < 1e-6).mean() > 0.95


def test_initial_membranes_of_changes_move_once() -> None:
    module = network()
    given: dict[str, Any] = {"timesteps": 32, "levels": 4, "bias_correction": 0}
    errors = [
        relative(
            answer(convert("sigma-delta", module, membrane_correction=n, **given), X),
            source(module, X),
        )
        for n in (0, 1)
    ]
    assert errors[1] < 1.2 * errors[0]


@pytest.mark.parametrize("options", [{"timesteps": 6}, {"timesteps": 1, "hysteresis": 0.5}])
def test_changes_of_leaky_activations_are_right_or_refused(options: dict[str, Any]) -> None:
    module = nn.Sequential(
        *(nn.Conv2d(1, 4, 3), nn.LeakyReLU(0.3), nn.Conv2d(4, 4, 3), nn.LeakyReLU(0.3)),
        *(nn.Flatten(), nn.Linear(144, 4)),
    ).eval()
    try:
        artifact = convert("sigma-delta", module, leaky="imbalanced", levels=256, **options)
    except (ConversionError, UsageError):
        return
    frames = np.random.default_rng(5).random((4, artifact.netlist.timesteps, 1, 10, 10))
    frames = frames.astype(np.float32)
    frames[:, 1::2] *= 0.2
    ((name, encoding),) = artifact.encodings.items()
    found = run_engine(artifact.netlist, {name: encode_frames(encoding, frames)})
    answered = decode(artifact.netlist, artifact.netlist.outputs[0], found)
    assert relative(answered, source(module, frames[:, -1])) < 0.05


# Bistable neurons and differential coding.


def test_bistable_networks_are_quantized_networks() -> None:
    """After one cycle n = clip(floor((P a + theta / 2) / theta), 0, P), whatever came when."""
    module, P = network(), 6
    artifact = convert("bistable", module, timesteps=2 * P, input_levels=255, **PLAIN)
    thetas = [
        p.model.threshold for p in hidden(artifact.netlist) if not isinstance(p.model, MaxPool)
    ]

    def coded(a: torch.Tensor, theta: np.ndarray) -> torch.Tensor:
        step = torch.tensor(theta).reshape(-1, 1, 1)
        return torch.clamp(torch.floor((P * a + step / 2) / step), 0, P) * step / P

    double = module.double()
    with torch.no_grad():
        x = torch.tensor(np.rint(X.astype(np.float64) * 255) / 255)
        a = nn.functional.max_pool2d(coded(double[1](double[0](x)), thetas[0]), 2)
        wanted = double[7](coded(double[4](a), thetas[1]).flatten(1)).numpy()
    # A value on the edge of two levels may fall to either side.
    assert (np.abs(answer(artifact, X) - wanted) < 1e-6).mean() > 0.95


def test_bistable_layers_take_turns() -> None:
    artifact = convert("bistable", network(), timesteps=16, cycles=2, bias_correction=0)
    found = run(artifact, X[:4])
    for population in hidden(artifact.netlist):
        spikes = found.spikes[population.name]
        # Of its own window: four steps of gathering, four of firing, twice.
        turns = spikes.reshape(4, 2, 2, 4, -1) if isinstance(population.model, RealNeuron) else None
        if turns is not None:
            assert not turns[:, :, 0].any(), population.name
            assert turns[:, 0, 1].any(), population.name
            assert turns[:, 1, 1].any(), population.name


def power_of_two(k: np.ndarray) -> np.ndarray:
    """The nearest one, the larger of two; 0 stays."""
    return np.where(k > 0, 2.0 ** np.floor(np.log2(np.maximum(k, 1) * 4 / 3)), 0)


def test_differential_neurons_follow_the_published_recursion() -> None:
    """m = v + cr + x, v <- m - s, cr <- cr + (x - s) / t; abar is the sum of s / t."""
    x = levels(-16, 16)
    options: dict[str, Any] = {"initial_membrane": 0.0, "bias_correction": 0}
    artifact = convert(
        "differential",
        line([1.0], 0.27),
        x,
        timesteps=2,
        input_levels=16,
        normalization="max",
        **options,
    )
    (population,) = hidden(artifact.netlist)
    theta = population.unit.item()
    assert theta == pytest.approx(1.27 / 8)
    pre = x[:, 0].astype(np.float64)
    v, cr, value, wanted = np.zeros(33), np.full(33, 0.27), np.zeros(33), []
    for t, arriving in ((1, pre), (2, np.zeros(33))):
        m = v + cr + arriving
        up = power_of_two(np.minimum(np.maximum(np.floor(m / theta + 1e-9), 0), 8))
        # No more is taken back than would bring the value to 0.
        most = np.floor(t * value / theta + 1e-9)
        down = power_of_two(
            np.minimum(np.where(m < 0, np.minimum(np.ceil(-m / theta), most), 0), 8)
        )
        s = up - np.where(down > most, down / 2, down)
        v, cr = m - s * theta, cr + (arriving - s * theta) / t
        value = value + s * theta / t
        wanted.append(s)
    found = run(artifact, x).spikes[population.name][..., 0]
    np.testing.assert_array_equal(found, np.stack(wanted, axis=1))
    assert (found < 0).any()


@pytest.mark.parametrize("gain", ["harmonic", "halved"])
def test_later_differences_refine_the_value(gain: str) -> None:
    """A constant is known to about theta / T after T steps, and the bias enters once."""
    x = levels(-16, 16)
    for T in (4, 16):
        artifact = convert(
            "differential",
            line([1.0], 0.27),
            x,
            timesteps=T,
            input_levels=16,
            normalization="max",
            bias_correction=0,
            gain=gain,
        )
        (population,) = hidden(artifact.netlist)
        found = answer(artifact, x)[:, 0]
        expected = np.maximum(x[:, 0] + 0.27, 0)
        assert np.abs(found - expected).max() <= population.unit.item() / T
