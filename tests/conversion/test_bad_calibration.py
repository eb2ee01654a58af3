"""Calibration data and networks that cannot be converted well: one line that names the layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="conversion needs torch")

from torch import nn  # noqa: E402

import neurodeploy as nd  # noqa: E402
from neurodeploy.conversion.registry import METHODS  # noqa: E402
from neurodeploy.datasets import Samples  # noqa: E402
from neurodeploy.errors import NeurodeployError, QuantizationError  # noqa: E402
from neurodeploy.ir.neurons import RealNeuron  # noqa: E402
from neurodeploy.network import Network  # noqa: E402

NAMES = sorted(METHODS.entries())
X = np.random.default_rng(0).random((40, 1, 6, 6)).astype(np.float32)


def network(*middle: nn.Module, bias: bool = False) -> nn.Sequential:
    """A convolution, what is wrong with the network, and a linear layer."""
    torch.manual_seed(0)
    module = nn.Sequential(
        *(nn.Conv2d(1, 4, 3, bias=bias), *(middle or (nn.ReLU(),))),
        *(nn.Flatten(), nn.Linear(64, 3, bias=False)),
    )
    with torch.no_grad():
        module[0].weight.abs_()
        module[-1].weight.abs_()
    return module.eval()


def some_slopes() -> nn.PReLU:
    module = nn.PReLU(4)
    with torch.no_grad():
        module.weight[1] = 0.0
    return module


def convert(module: nn.Module, x: np.ndarray = X, method: str = "rate", **options: Any) -> Network:
    high = float(x[np.isfinite(x)].max())
    data = Samples(x, range=(0.0, high), name="made up")
    return nd.convert(module, data, method=method, **options)


def refused(module: nn.Module, x: np.ndarray = X, method: str = "rate", **options: Any) -> str:
    """The one line of the error."""
    with pytest.raises(NeurodeployError) as caught:
        convert(module, x, method, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("method", NAMES)
def test_a_silent_layer_is_named(method: str) -> None:
    module = network()
    with torch.no_grad():
        module[0].weight.neg_()
    line = refused(module, method=method)
    assert line.startswith("relu_1: every activation is zero on the calibration images")


@pytest.mark.parametrize("method", NAMES)
def test_a_silent_channel_takes_no_more_than_its_layer(method: str) -> None:
    """Its threshold is the largest of the layer, and the network still converts."""
    module = network()
    with torch.no_grad():
        module[0].weight[2].neg_()
    converted = convert(module, method=method)
    for population in converted.netlist.populations:
        model = population.model
        # Of digits, every one has its own worth.
        if population.name.startswith("relu_1") and isinstance(model, RealNeuron):
            theta = np.broadcast_to(model.threshold, (4,))
            if method == "hard-reset":
                # The fit moves the thresholds of channels that fire, and not that of this one.
                with torch.no_grad():
                    largest = float(module[:2](torch.tensor(X)).max())
                assert theta[2] == pytest.approx(largest, rel=1e-6)
            else:
                assert theta[2] == theta.max()


def test_a_silent_channel_is_told() -> None:
    module = network()
    with torch.no_grad():
        module[0].weight[2].neg_()
    told = convert(module).provenance
    assert "relu_1" in str({k: v for k, v in told.items() if k not in ("source", "method")})


@pytest.mark.parametrize("activation", [nn.SiLU, nn.GELU, nn.Softplus, nn.LeakyReLU])
def test_activations_that_use_a_part_of_their_range_convert(activation: type[nn.Module]) -> None:
    convert(network(activation()))


@pytest.mark.parametrize("activation", [nn.Sigmoid, nn.Tanh, nn.ReLU6, nn.Hardsigmoid])
def test_saturating_activations_use_a_part_of_their_range(activation: type[nn.Module]) -> None:
    converted = convert(network(activation()), timesteps=4)
    assert converted.netlist.populations


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda n: n.running_var.zero_(), "var + eps must be above 0"),
        (lambda n: n.running_var.fill_(-1.0), "var + eps must be above 0"),
        (lambda n: n.running_var.fill_(float("nan")), "var holds NaN or infinite values"),
        (lambda n: n.running_mean.fill_(float("inf")), "mean holds NaN or infinite values"),
        (lambda n: n.weight.fill_(float("nan")), "weight holds NaN or infinite values"),
    ],
)
def test_an_unfusable_batch_norm_is_named(change: Any, what: str) -> None:
    norm = nn.BatchNorm2d(4, eps=0.0)
    with torch.no_grad():
        change(norm)
    line = refused(network(norm, nn.ReLU()))
    assert "module '1'" in line
    assert "batch_norm" in line
    assert what in line.replace("scale", "weight")


@pytest.mark.parametrize(
    "norm",
    [
        nn.BatchNorm2d(4, track_running_stats=False),
        nn.InstanceNorm2d(4),
        nn.GroupNorm(2, 4),
        nn.LayerNorm((4, 4, 4)),
    ],
)
def test_norms_that_depend_on_the_sample_are_named(norm: nn.Module) -> None:
    line = refused(network(norm, nn.ReLU()))
    assert "module '1'" in line
    assert "batch norm" in line


def test_a_batch_norm_in_training_is_named() -> None:
    line = refused(network(nn.BatchNorm2d(4), nn.ReLU()).train())
    assert "module '1'" in line
    assert "call .eval()" in line


@pytest.mark.parametrize(
    "activation",
    [nn.Mish(), nn.SELU(), nn.Softsign(), nn.Hardtanh(), nn.ELU(2.0), nn.LeakyReLU(1.5)],
)
def test_functions_of_one_value_convert(activation: nn.Module) -> None:
    assert convert(network(activation), timesteps=4).netlist.populations


def test_an_activation_that_no_method_can_do_is_named() -> None:
    line = refused(network(nn.Softmax(2)))
    assert "module '1'" in line
    assert "supported: docs/operators.md" in line


@pytest.mark.parametrize(
    ("method", "activation", "options", "message"),
    [
        (
            "channel-norm",
            some_slopes(),
            {},
            "a slope of 0 or less in some channels; use --leaky units",
        ),
        ("sigma-delta", nn.ReLU6(), {"timesteps": 2}, "its activation saturates"),
    ],
)
def test_an_activation_that_a_method_cannot_do_is_named(
    method: str, activation: nn.Module, options: dict[str, Any], message: str
) -> None:
    line = refused(network(activation), method=method, **options)
    assert message in line
    assert line.split(":")[0].split(" ")[0] in ("leaky_relu_1", "prelu_1", "clip_1")


def test_amos_pools_what_may_be_negative() -> None:
    module = network(nn.LeakyReLU(0.1), nn.MaxPool2d(1))
    with torch.no_grad():
        module[0].weight[:2].neg_()
    names = convert(module, method="amos").netlist.by_name
    assert any("negative" in name for name in names)


@pytest.mark.parametrize("where", [0, 25])
def test_images_that_are_not_numbers_are_refused(where: int) -> None:
    x = X.copy()
    x[where, 0, 2, 2] = np.nan
    refused(network(), x)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_images_that_are_not_finite_are_blamed(value: float) -> None:
    x = X.copy()
    x[25, 0, 2, 2] = value
    line = refused(network(), x)
    assert "NaN" in line
    assert "images" in line or "calibration" in line or "data" in line


def test_activations_that_overflow_are_named() -> None:
    module = network()
    with torch.no_grad():
        module[0].weight.mul_(1e37)
        module[-1].weight.mul_(1e5)
    line = refused(module)
    assert "NaN or infinite activations" in line
    assert line.startswith(("relu_1", "output", "linear_3"))


def test_states_that_overflow_are_named() -> None:
    module = network(bias=True)
    with torch.no_grad():
        module[0].bias.fill_(500.0)
    converted = convert(module)
    with pytest.raises(QuantizationError) as caught:
        nd.quantize(converted, 8, state_bits=8)
    line = str(caught.value)
    assert line.startswith(("relu_1: worst-case state", "output: worst-case state"))
    assert "\n" not in line
    assert line.endswith("use fewer time steps, wider states or an input of fewer levels")


def test_weights_that_all_vanish_are_named() -> None:
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)).eval()
    with pytest.raises(QuantizationError, match=r"^relu_1: "):
        nd.quantize(convert(module), 8, state_bits=12)


def test_calibration_without_variety_is_named() -> None:
    module = network()
    with torch.no_grad():
        module[-1].weight.zero_()
    line = refused(module, decode="counts")
    assert line.startswith("output: the output is the same for all calibration images")


def test_maps_are_not_read_by_softmax() -> None:
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 3, 1)).eval()
    assert "softmax" in refused(module, decode="softmax")


def test_changes_are_not_pooled_by_winner() -> None:
    module = network(nn.ReLU(), nn.MaxPool2d(1))
    assert "winner" in refused(module, method="sigma-delta", timesteps=4, max_pooling="winner")
