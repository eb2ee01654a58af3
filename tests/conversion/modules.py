"""Small torch modules, one per trap of the lowering: ``MODULES[name] = (module, input shape)``."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

IMAGE = (3, 8, 8)


class Function(nn.Module):
    """A forward method over some layers."""

    def __init__(self, forward: Callable[..., object], **layers: nn.Module) -> None:
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.function = forward

    def forward(self, x: torch.Tensor) -> object:
        return self.function(self, x)


def norm(layer: nn.Module) -> nn.Module:
    """Statistics that change every channel differently, signs included."""
    n = layer.num_features
    with torch.no_grad():
        layer.weight.copy_(torch.linspace(-1.5, 2.0, n))
        layer.bias.copy_(torch.linspace(0.7, -0.4, n))
        layer.running_mean.copy_(torch.linspace(-0.5, 0.8, n))
        layer.running_var.copy_(torch.linspace(0.3, 2.0, n))
    return layer


def tail(channels: int, size: int) -> list[nn.Module]:
    return [nn.Flatten(), nn.Linear(channels * size * size, 5)]


def conv(*args: object, **kwargs: object) -> Callable[[], tuple[nn.Module, tuple[int, ...]]]:
    def build() -> tuple[nn.Module, tuple[int, ...]]:
        return nn.Sequential(nn.Conv2d(*args, **kwargs), nn.ReLU(), nn.Conv2d(6, 4, 1)), IMAGE

    return build


def sequence(*layers: Callable[[], nn.Module], shape: tuple[int, ...] = IMAGE):
    return lambda: (nn.Sequential(*(layer() for layer in layers)), shape)


def function(forward: Callable[..., object], shape: tuple[int, ...] = IMAGE, **layers):
    return lambda: (Function(forward, **{n: build() for n, build in layers.items()}), shape)


def _option_a(m: Function, x: torch.Tensor) -> torch.Tensor:
    y = F.relu(m.a(x))
    short = F.pad(y[:, :, ::2, ::2], (0, 0, 0, 0, 1, 1))
    return m.c(F.relu(m.b(y) + short)).flatten(1)


def _branches(then: Callable[[Function, torch.Tensor], torch.Tensor]):
    return lambda m, x: then(m, torch.cat([F.relu(m.a(x)), m.b(x), F.relu(x)], 1))


BRANCHES = {
    "a": lambda: nn.Conv2d(3, 2, 3, padding=1),
    "b": lambda: nn.Conv2d(3, 2, 1),
}


def _shared(m: Function, x: torch.Tensor) -> torch.Tensor:
    return m.b(F.relu(m.a(F.relu(m.a(x)))).flatten(1))


def _constants(m: Function, x: torch.Tensor) -> torch.Tensor:
    y = F.relu(m.a(x) * 0.5 + torch.arange(4.0).view(1, 4, 1, 1) - 1.0)
    return m.b(y) + torch.linspace(-1, 1, 2 * 64).view(1, 2, 8, 8)


def _same_max_twice(m: Function, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    y = F.max_pool2d(m.a(x), 2)
    return m.b(F.relu(y)), m.c(F.relu6(y))


MODULES: dict[str, Callable[[], tuple[nn.Module, tuple[int, ...]]]] = {
    "conv2d stride": conv(3, 6, 3, stride=(2, 1)),
    "conv2d same, even kernel": conv(3, 6, 4, padding="same"),
    "conv2d dilation": conv(3, 6, 3, dilation=2, padding=(2, 1)),
    "conv2d groups": conv(3, 6, 3, groups=3, padding=1, bias=False),
    "conv1d": sequence(
        lambda: nn.Conv1d(4, 6, 3, stride=2, padding=1),
        lambda: norm(nn.BatchNorm1d(6)),
        nn.ReLU,
        lambda: nn.Conv1d(6, 6, 4, dilation=2, padding="same", groups=2),
        nn.ReLU,
        lambda: nn.AvgPool1d(3, 2, padding=1, count_include_pad=False),
        lambda: nn.Conv1d(6, 3, 1),
        shape=(4, 17),
    ),
    "explicit asymmetric padding": function(
        lambda m, x: m.b(F.relu(m.a(F.pad(x + 1.0, (2, 0, 1, 3))))),
        a=lambda: nn.Conv2d(3, 4, 3, padding=1),
        b=lambda: nn.Conv2d(4, 2, 1),
    ),
    "padding after relu": function(
        lambda m, x: m.b(F.pad(F.relu(m.a(x)), (1, 0, 0, 2)).flatten(1)),
        a=lambda: nn.Conv2d(3, 4, 3),
        b=lambda: nn.Linear(4 * 8 * 7, 3),
    ),
    "norm before conv": sequence(
        lambda: norm(nn.BatchNorm2d(3)),
        lambda: nn.Conv2d(3, 4, 3, padding=1),
        nn.ReLU,
        lambda: norm(nn.BatchNorm2d(4)),
        lambda: nn.Conv2d(4, 2, 5, padding=2, stride=2),
    ),
    "norm after linear": sequence(
        nn.Flatten,
        lambda: nn.Linear(192, 7),
        lambda: norm(nn.BatchNorm1d(7)),
        nn.ReLU,
        lambda: norm(nn.BatchNorm1d(7)),
        lambda: nn.Linear(7, 4),
        lambda: norm(nn.BatchNorm1d(4)),
    ),
    "norm after pooling": sequence(
        lambda: nn.Conv2d(3, 4, 3),
        nn.ReLU,
        lambda: nn.MaxPool2d(2),
        lambda: norm(nn.BatchNorm2d(4)),
        lambda: nn.Conv2d(4, 4, 1),
        nn.ReLU,
        lambda: nn.AvgPool2d(3, 2),
        lambda: norm(nn.BatchNorm2d(4)),
        *(lambda layer=layer: layer for layer in tail(4, 1)),
    ),
    "relu6": sequence(
        lambda: nn.Conv2d(3, 4, 3),
        lambda: norm(nn.BatchNorm2d(4)),
        nn.ReLU6,
        lambda: nn.MaxPool2d(2),
        nn.ReLU6,
        nn.Flatten,
        lambda: nn.Linear(36, 3),
    ),
    "average ceil": sequence(
        lambda: nn.Conv2d(3, 4, 1),
        nn.ReLU,
        lambda: nn.AvgPool2d(3, 2, padding=1, ceil_mode=True),
        lambda: nn.Conv2d(4, 2, 3),
    ),
    "average without padding in the divisor": sequence(
        lambda: nn.Conv2d(3, 4, 1),
        nn.ReLU,
        lambda: nn.AvgPool2d(3, 3, padding=1, ceil_mode=True, count_include_pad=False),
        *(lambda layer=layer: layer for layer in tail(4, 3)),
    ),
    "average with divisor": sequence(
        lambda: nn.Conv2d(3, 4, 1),
        nn.ReLU,
        lambda: nn.AvgPool2d(2, divisor_override=3),
        lambda: nn.Conv2d(4, 2, 3, padding=1),
    ),
    "average before relu": sequence(
        lambda: nn.Conv2d(3, 4, 3, padding=1),
        lambda: norm(nn.BatchNorm2d(4)),
        lambda: nn.AvgPool2d(2),
        nn.ReLU,
        lambda: nn.Conv2d(4, 2, 3, padding=1),
        lambda: nn.AvgPool2d(2, padding=1),
    ),
    "average of the input": sequence(lambda: nn.AvgPool2d(2), lambda: nn.Conv2d(3, 2, 3)),
    "max overlapping, padded": sequence(
        lambda: nn.Conv2d(3, 4, 3),
        nn.ReLU,
        lambda: nn.MaxPool2d(3, 2, padding=1, ceil_mode=True),
        lambda: nn.Conv2d(4, 2, 3, padding=1),
    ),
    "max dilated": sequence(
        lambda: nn.Conv2d(3, 4, 1), nn.ReLU, lambda: nn.MaxPool2d(2, 1, dilation=3)
    ),
    "max before relu": sequence(
        lambda: nn.Conv2d(3, 4, 3),
        lambda: nn.MaxPool2d(2),
        nn.ReLU,
        lambda: nn.Conv2d(4, 2, 1),
    ),
    "max before relu6": sequence(
        lambda: nn.Conv2d(3, 4, 3),
        lambda: norm(nn.BatchNorm2d(4)),
        lambda: nn.MaxPool2d(2),
        nn.ReLU6,
        lambda: nn.Conv2d(4, 2, 1),
    ),
    "max before relu and relu6": function(
        _same_max_twice,
        a=lambda: nn.Conv2d(3, 4, 3),
        b=lambda: nn.Conv2d(4, 2, 1),
        c=lambda: nn.Conv2d(4, 2, 1),
    ),
    "max of a reshaped tensor": function(
        lambda m, x: m.b(F.max_pool1d(F.relu(m.a(x)).view(-1, 4, 64), 3, 2).flatten(1)),
        a=lambda: nn.Conv2d(3, 4, 1),
        b=lambda: nn.Linear(4 * 31, 3),
    ),
    "max of a sum": function(
        lambda m, x: m.b(F.max_pool2d(F.relu(m.a(x)) + F.relu(x), 2)),
        a=lambda: nn.Conv2d(3, 3, 1),
        b=lambda: nn.Conv2d(3, 2, 1),
    ),
    "global average": sequence(
        lambda: nn.Conv2d(3, 4, 3),
        nn.ReLU,
        lambda: nn.AdaptiveAvgPool2d(1),
        *(lambda layer=layer: layer for layer in tail(4, 1)),
    ),
    "global average, then conv": sequence(
        lambda: nn.Conv2d(3, 4, 3),
        nn.ReLU,
        lambda: nn.AdaptiveAvgPool2d(1),
        lambda: nn.Conv2d(4, 3, 1),
        nn.Flatten,
    ),
    "flatten and a hidden layer": sequence(
        lambda: nn.Conv2d(3, 2, 3, stride=2),
        nn.ReLU,
        nn.Flatten,
        lambda: nn.Linear(18, 6),
        nn.ReLU,
        lambda: nn.Linear(6, 3),
        lambda: nn.Softmax(1),
    ),
    "residual": function(
        lambda m, x: m.c(F.relu(m.b(F.relu(m.a(x))) + F.relu(m.a(x)))),
        a=lambda: nn.Conv2d(3, 4, 3, padding=1),
        b=lambda: nn.Conv2d(4, 4, 3, padding=1),
        c=lambda: nn.Conv2d(4, 2, 1),
    ),
    "residual of the input": function(
        lambda m, x: F.relu(m.a(x) + x), a=lambda: nn.Conv2d(3, 3, 3, padding=1)
    ),
    "strided, padded shortcut": function(
        _option_a,
        a=lambda: nn.Conv2d(3, 2, 3, padding=1),
        b=lambda: nn.Conv2d(2, 4, 3, padding=1, stride=2),
        c=lambda: nn.Conv2d(4, 2, 4),
    ),
    "concat, conv": function(
        _branches(lambda m, y: m.c(y)), c=lambda: nn.Conv2d(7, 2, 3, padding=1), **BRANCHES
    ),
    "concat, grouped conv": function(
        _branches(lambda m, y: m.c(y)), c=lambda: nn.Conv2d(7, 7, 3, groups=7), **BRANCHES
    ),
    "concat, linear": function(
        _branches(lambda m, y: m.c(y.flatten(1))), c=lambda: nn.Linear(448, 4), **BRANCHES
    ),
    "concat, norm, relu": function(
        _branches(lambda m, y: m.c(F.relu(m.n(y)))),
        n=lambda: norm(nn.BatchNorm2d(7)),
        c=lambda: nn.Conv2d(7, 2, 1),
        **BRANCHES,
    ),
    "concat, relu, max": function(
        _branches(lambda m, y: m.c(F.max_pool2d(F.relu(y), 2))),
        c=lambda: nn.Conv2d(7, 2, 1),
        **BRANCHES,
    ),
    "concat, average": function(
        _branches(lambda m, y: m.c(F.avg_pool2d(y, 3, 2, 1))),
        c=lambda: nn.Conv2d(7, 2, 1),
        **BRANCHES,
    ),
    "concat, sum of unequal blocks": function(
        lambda m, x: F.relu(torch.cat([m.a(x), x], 1) + torch.cat([x, m.a(x)], 1)),
        a=lambda: nn.Conv2d(3, 2, 1),
    ),
    "linear after linear": sequence(
        nn.Flatten, lambda: nn.Linear(192, 9), lambda: nn.Linear(9, 4), nn.ReLU
    ),
    "conv after conv, padded": sequence(
        lambda: nn.Conv2d(3, 4, 3, padding=1),
        lambda: nn.Conv2d(4, 5, 3, padding=1, stride=2),
        nn.ReLU,
        lambda: nn.Conv2d(5, 2, 1),
    ),
    "conv after conv, plain": sequence(
        lambda: nn.Conv2d(3, 4, 3, padding=1, stride=2),
        lambda: nn.Conv2d(4, 5, 2, stride=2),
        nn.ReLU,
        lambda: nn.Conv2d(5, 2, 1),
    ),
    "pointwise after grouped conv": sequence(
        lambda: nn.Conv2d(3, 6, 3, groups=3), lambda: nn.Conv2d(6, 2, 1), nn.ReLU
    ),
    "constants": function(
        _constants, a=lambda: nn.Conv2d(3, 4, 3, padding=1), b=lambda: nn.Conv2d(4, 2, 1)
    ),
    "several outputs": function(
        lambda m, x: (m.b(F.relu(m.a(x))), F.relu(m.a(x)), F.log_softmax(m.c(x.flatten(1)), 1)),
        a=lambda: nn.Conv2d(3, 4, 3),
        b=lambda: nn.Conv2d(4, 2, 1),
        c=lambda: nn.Linear(192, 3),
    ),
    "shared layers": function(
        _shared, a=lambda: nn.Conv2d(3, 3, 3, padding=1), b=lambda: nn.Linear(192, 3)
    ),
    "relu of the input": sequence(nn.ReLU, lambda: nn.MaxPool2d(2), lambda: nn.Conv2d(3, 2, 1)),
    "ends in relu": sequence(lambda: nn.Conv2d(3, 2, 3), nn.ReLU),
    "ends in max": sequence(lambda: nn.Conv2d(3, 2, 3), nn.ReLU, lambda: nn.MaxPool2d(2)),
}
