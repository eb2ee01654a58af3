"""Cao, Chen & Khosla."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="conversion needs torch")

from torch import nn

from neurodeploy.errors import ConversionError, UsageError
from neurodeploy.ir.encoding import encode
from neurodeploy.ir.neurons import RealNeuron
from tests.conversion.method_networks import (
    X,
    convert,
    hidden,
    tailored,
)
from tests.conversion.modules import norm


def test_cao_is_the_published_network() -> None:
    network = convert("cao", tailored(), timesteps=64)
    netlist = network.netlist
    (encoding,) = network.encodings.values()
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
