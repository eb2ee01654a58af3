"""Modules of one or a few operations: those that are converted and those that are refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

C2 = (4, 9, 7)
C1 = (4, 11)
FLAT = (12,)


class Calls(nn.Module):
    """Calls a function of itself and its input; the line of the function is the line in errors."""

    def __init__(self, function: Callable[..., Any], **layers: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, layer in layers.items():
            setattr(self, name, layer)
        self.register_buffer("mean", torch.linspace(0.1, 0.4, 4).reshape(4, 1, 1))
        self.register_buffer("image", torch.rand(4, 9, 7, generator=torch.manual_seed(3)))

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(self, x)


def calls(function: Callable[..., Any], **layers: nn.Module) -> Calls:
    return Calls(function, **layers)


def _norm1d() -> nn.BatchNorm1d:
    return _filled(nn.BatchNorm1d(4))


def _filled(norm: Any) -> Any:
    generator = torch.manual_seed(5)
    for tensor in (norm.running_mean, norm.running_var, norm.weight, norm.bias):
        if tensor is not None:
            tensor.data = torch.rand(tensor.shape, generator=generator) + 0.5
    return norm.eval()


class ShapeLoop(nn.Module):
    """Loops and branches over shapes, as plain Python."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        while x.shape[-1] > 3:
            x = F.max_pool2d(F.relu(self.conv(x)), 2)
        if x.size(2) % 2 == 0:
            x = F.pad(x, (0, 0, 0, 1))
        return x


class Visits(nn.Module):
    """Counts its calls in a buffer that the result does not depend on."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("visits", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.visits += 1
        return x.relu()


class Adapts(Visits):
    """Multiplies with the number of calls."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.visits += 1
        return x * self.visits


def _accumulated(self: Any, x: torch.Tensor) -> torch.Tensor:
    y = self.conv(x)
    y += x
    y *= 0.5
    return y


def _relu_in_place_then_reused(self: Any, x: torch.Tensor) -> torch.Tensor:
    y = self.conv(x)
    return F.relu(y, inplace=True) + y


def _without_gradient(self: Any, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return F.relu(x)


def _unused_refused(self: Any, x: torch.Tensor) -> torch.Tensor:
    torch.sigmoid(x)
    return F.relu(x)


def conv() -> nn.Conv2d:
    return nn.Conv2d(4, 4, 3, padding=1)


CONVERTED: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(12, 5), FLAT),
    "linear without bias": (lambda: nn.Linear(12, 5, bias=False), FLAT),
    "matmul with a constant": (lambda: calls(lambda s, x: x @ torch.ones(12, 3)), FLAT),
    "linear on (1, n)": (lambda: nn.Sequential(nn.Unflatten(1, (1, 12)), nn.Linear(12, 3)), FLAT),
    "conv2d": (conv, C2),
    "conv2d strided, dilated": (lambda: nn.Conv2d(4, 6, 3, (2, 1), (0, 2), (1, 2)), C2),
    "conv2d groups": (lambda: nn.Conv2d(4, 8, 3, groups=2), C2),
    "conv2d depthwise": (lambda: nn.Conv2d(4, 4, 3, groups=4, bias=False), C2),
    "conv2d same, even kernel": (lambda: nn.Conv2d(4, 3, (4, 2), padding="same"), C2),
    "conv2d valid": (lambda: nn.Conv2d(4, 3, 2, padding="valid"), C2),
    "conv2d functional": (lambda: calls(lambda s, x: F.conv2d(x, torch.ones(2, 4, 3, 3))), C2),
    "conv1d": (lambda: nn.Conv1d(4, 6, 3, 2, 1), C1),
    "conv1d same": (lambda: nn.Conv1d(4, 6, 4, padding="same"), C1),
    "batch norm 2d": (lambda: _filled(nn.BatchNorm2d(4)), C2),
    "batch norm 1d on (N, C)": (lambda: _filled(nn.BatchNorm1d(12)), FLAT),
    "batch norm 1d on (N, C, L)": (_norm1d, C1),
    "batch norm not affine": (lambda: _filled(nn.BatchNorm2d(4, affine=False)), C2),
    "batch norm functional": (
        lambda: calls(lambda s, x: F.batch_norm(x, s.mean.flatten(), torch.ones(4) * 2)),
        C2,
    ),
    "relu module": (nn.ReLU, C2),
    "relu functional": (lambda: calls(lambda s, x: F.relu(x)), C2),
    "relu torch": (lambda: calls(lambda s, x: torch.relu(x)), C2),
    "relu method in place": (lambda: calls(lambda s, x: x.clone().relu_()), C2),
    "clamp(min=0)": (lambda: calls(lambda s, x: x.clamp(min=0)), C2),
    "clamp(0, 0.5)": (lambda: calls(lambda s, x: torch.clamp(x, 0, 0.5)), C2),
    "relu6": (lambda: calls(lambda s, x: F.relu6(x * 20)), C2),
    "hardtanh(0, 6)": (lambda: calls(lambda s, x: F.hardtanh(x * 20, 0, 6)), C2),
    "maximum with 0": (lambda: calls(lambda s, x: torch.maximum(x, torch.zeros(()))), C2),
    "threshold": (lambda: nn.Threshold(0, 0), C2),
    "leaky relu": (lambda: nn.LeakyReLU(0.1, inplace=True), C2),
    "leaky relu, functional": (lambda: calls(lambda s, x: F.leaky_relu(x, 0.3)), C2),
    "leaky relu of slope 0": (lambda: nn.LeakyReLU(0), C2),
    "prelu": (nn.PReLU, C2),
    "prelu by channel": (lambda: nn.PReLU(4), C2),
    "silu": (lambda: nn.SiLU(inplace=True), C2),
    "silu spelled out": (lambda: calls(lambda s, x: torch.sigmoid(x) * x), C2),
    "gelu": (nn.GELU, C2),
    "gelu tanh": (lambda: nn.GELU(approximate="tanh"), C2),
    "sigmoid": (lambda: calls(lambda s, x: x.sigmoid()), C2),
    "tanh": (lambda: calls(lambda s, x: x.tanh()), C2),
    "hard-swish": (nn.Hardswish, C2),
    "hard-swish spelled out": (lambda: calls(lambda s, x: x * F.hardsigmoid(x)), C2),
    "hard-swish of relu6": (lambda: calls(lambda s, x: x * F.relu6(x + 3) / 6), C2),
    "hard-swish, gate first": (lambda: calls(lambda s, x: (1 / 6 * F.relu6(3 + x)) * x), C2),
    "gelu spelled out": (
        lambda: calls(lambda s, x: 0.5 * x * (1 + torch.erf(x / 2**0.5))),
        C2,
    ),
    "gelu tanh spelled out": (
        lambda: calls(lambda s, x: x * 0.5 * (1 + torch.tanh(0.7978846 * (x + 0.044715 * x**3)))),
        C2,
    ),
    "gelu tanh with products": (
        lambda: calls(
            lambda s, x: x * 0.5 * (torch.tanh(0.7978846 * x + 0.0356774 * x * x * x) + 1)
        ),
        C2,
    ),
    "levels, floor before clamp": (
        lambda: calls(lambda s, x: torch.floor(x * 8 + 0.5).clamp(0, 4) / 8),
        C2,
    ),
    "levels, scaled floor before clamp": (
        lambda: calls(lambda s, x: 0.5 * (torch.floor(x / 0.5 * 8) / 8).clamp(0, 1)),
        C2,
    ),
    "levels, clamped twice": (
        lambda: calls(lambda s, x: (x.clamp(0, 0.5) * 16 + 0.5).floor().clamp(0, 8) / 16),
        C2,
    ),
    "hard-swish in two clamps": (
        lambda: calls(lambda s, x: (x + 3).clamp(min=0).clamp(max=6) * x / 6),
        C2,
    ),
    "minimum of a relu": (
        lambda: calls(lambda s, x: torch.minimum(F.relu(x), torch.tensor(0.5))),
        C2,
    ),
    "clamp_max of a relu": (lambda: calls(lambda s, x: torch.clamp_max(x.relu(), 0.25)), C2),
    "clamp with no lower bound": (lambda: calls(lambda s, x: F.relu6(x).clamp_max(0.5)), C2),
    "levels after a relu": (
        lambda: calls(lambda s, x: F.relu6(torch.floor(8 * (F.relu(x) + 0.0625)))),
        C2,
    ),
    "hard-sigmoid": (nn.Hardsigmoid, C2),
    "softplus": (nn.Softplus, C2),
    "elu": (nn.ELU, C2),
    "transposed convolution": (lambda: nn.ConvTranspose2d(4, 4, 3, 2, 1, 1, groups=2), C2),
    "transposed convolution, dilated": (
        lambda: nn.ConvTranspose2d(4, 2, (2, 3), (3, 2), 0, (2, 1), dilation=2, bias=False),
        C2,
    ),
    "upsampling": (lambda: nn.Upsample(scale_factor=2), C2),
    "upsampling exact": (lambda: nn.Upsample(scale_factor=(3, 1), mode="nearest-exact"), C2),
    "upsampling by 1": (lambda: nn.Sequential(nn.Upsample(scale_factor=1), nn.ReLU()), C2),
    "upsampling to a size": (
        lambda: calls(lambda s, x: F.interpolate(x, size=(x.shape[2] * 3, x.shape[3]))),
        C2,
    ),
    "average pooling": (lambda: nn.AvgPool2d(2), C2),
    "average pooling ceil_mode": (lambda: nn.AvgPool2d(2, ceil_mode=True), C2),
    "average pooling ceil_mode, padded": (lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True), C2),
    "average pooling without pads": (
        lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
        C2,
    ),
    "average pooling divisor": (lambda: nn.AvgPool2d(2, divisor_override=3), C2),
    "average pooling 1d": (lambda: nn.AvgPool1d(3, 2, 1, True, False), C1),
    "average pooling, size as kernel": (
        lambda: calls(lambda s, x: F.avg_pool2d(x, x.size()[3])),
        C2,
    ),
    "max-pooling": (lambda: nn.MaxPool2d(2), C2),
    "max-pooling overlapping": (lambda: nn.MaxPool2d(3, 2, 1), C2),
    "max-pooling ceil_mode": (lambda: nn.MaxPool2d((2, 3), 2, ceil_mode=True), C2),
    "max-pooling dilated": (lambda: nn.MaxPool2d(2, 1, dilation=2), C2),
    "max-pooling 1d": (lambda: nn.MaxPool1d(3, 2, 1, ceil_mode=True), C1),
    "max-pooling, indices unused": (
        lambda: calls(lambda s, x: F.max_pool2d(x, 2, return_indices=True)[0]),
        C2,
    ),
    "adaptive average": (lambda: nn.AdaptiveAvgPool2d((3, 1)), C2),
    "adaptive average, None": (lambda: nn.AdaptiveAvgPool2d((None, 7)), C2),
    "adaptive average 1d": (lambda: nn.AdaptiveAvgPool1d(1), C1),
    "adaptive maximum": (lambda: nn.AdaptiveMaxPool2d((3, 7)), C2),
    "mean over space": (lambda: calls(lambda s, x: x.mean((2, 3))), C2),
    "mean over one dimension": (lambda: calls(lambda s, x: x.mean(-1, keepdim=True)), C2),
    "sum over space": (lambda: calls(lambda s, x: x.sum(dim=(-1, -2))), C2),
    "flatten": (nn.Flatten, C2),
    "view by batch size": (lambda: calls(lambda s, x: x.view(x.size(0), -1)), C2),
    "reshape": (lambda: calls(lambda s, x: x.reshape(-1, 2, 2, 9, 7)), C2),
    "squeeze, unsqueeze": (lambda: calls(lambda s, x: x.unsqueeze(2).squeeze(2)), C2),
    "permute of unit dimensions": (
        lambda: calls(lambda s, x: x[:, :, None].permute(0, 2, 1, 3, 4).contiguous()),
        C2,
    ),
    "add": (lambda: calls(lambda s, x: s.conv(x) + x, conv=conv()), C2),
    "add in place": (lambda: calls(_accumulated, conv=conv()), C2),
    "add with alpha": (
        lambda: calls(lambda s, x: torch.add(s.conv(x), x, alpha=2), conv=conv()),
        C2,
    ),
    "x + x": (lambda: calls(lambda s, x: x + x), C2),
    "difference": (lambda: calls(lambda s, x: s.conv(x) - x, conv=conv()), C2),
    "in-place relu, input reused": (lambda: calls(_relu_in_place_then_reused, conv=conv()), C2),
    "cat": (lambda: calls(lambda s, x: torch.cat([x, s.conv(x), x], 1), conv=conv()), C2),
    "cat with zeros": (
        lambda: calls(lambda s, x: torch.cat([x, x.new_zeros(len(x), 3, 9, 7)], 1)),
        C2,
    ),
    "cat of zeros_like": (lambda: calls(lambda s, x: torch.cat((torch.zeros_like(x), x), 1)), C2),
    "strided slices": (lambda: calls(lambda s, x: x[:, 1:3, ::2, 1::3]), C2),
    "shortcut with channel padding": (
        lambda: calls(lambda s, x: F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2))),
        C2,
    ),
    "select": (lambda: calls(lambda s, x: x[:, -1]), C2),
    "chunk": (lambda: calls(lambda s, x: x.chunk(3, 1)[1]), C2),
    "split": (lambda: calls(lambda s, x: sum(torch.split(x, [1, 1, 2], 1)[:2])), C2),
    "asymmetric padding": (
        lambda: calls(lambda s, x: s.conv(F.pad(x, (1, 2, 0, 3))), conv=conv()),
        C2,
    ),
    "zero padding layer": (lambda: nn.ZeroPad2d((1, 0, 2, 0)), C2),
    "negative padding": (lambda: calls(lambda s, x: F.pad(x, (-1, 2, 1, -3))), C2),
    "scalar constants": (lambda: calls(lambda s, x: (x * 0.5 - 1) / 3 + 2), C2),
    "reversed constants": (lambda: calls(lambda s, x: 2 - (3 * -x)), C2),
    "normalization inside": (lambda: calls(lambda s, x: (x - s.mean) / (s.mean + 1)), C2),
    "constant made in forward": (
        lambda: calls(lambda s, x: x * torch.tensor([1.0, 2, 3, 4]).view(1, 4, 1, 1)),
        C2,
    ),
    "constant per element": (lambda: calls(lambda s, x: x + s.image), C2),
    "shared layer": (lambda: calls(lambda s, x: s.conv(F.relu(s.conv(x))), conv=conv()), C2),
    "shared relu": (lambda: calls(lambda s, x: s.act(s.act(x - 1) - 0.1), act=nn.ReLU()), C2),
    "dropout in eval mode": (lambda: nn.Sequential(nn.Dropout(), nn.Dropout2d()).eval(), C2),
    "alpha dropout in eval mode": (lambda: nn.AlphaDropout().eval(), C2),
    "identity": (lambda: nn.Sequential(nn.Identity(), nn.ReLU()), C2),
    "softmax": (lambda: nn.Sequential(nn.Linear(12, 3), nn.Softmax(-1)), FLAT),
    "log_softmax": (lambda: calls(lambda s, x: F.log_softmax(x, dim=1)), FLAT),
    "several outputs": (lambda: calls(lambda s, x: (F.relu(x), {"b": x * 2})), C2),
    "loop over shapes": (ShapeLoop, C2),
    "counter beside the result": (Visits, C2),
    "no_grad block": (lambda: calls(_without_gradient), C2),
    "unused operation": (lambda: calls(_unused_refused), C2),
    "train mode where it is all one": (lambda: nn.Sequential(conv(), nn.ReLU()).train(), C2),
}


@dataclass(frozen=True)
class Refused:
    """A module that is refused, and what the message must say."""

    build: Callable[[], nn.Module]
    shape: tuple[int, ...]
    says: tuple[str, ...]


def _layer(layer: Callable[[], nn.Module], shape: tuple[int, ...], *says: str) -> Refused:
    """A layer called from a line of this file, by the module name ``inner``."""
    return Refused(lambda: calls(lambda s, x: s.inner(x), inner=layer()), shape, says)


def _function(function: Callable[..., Any], shape: tuple[int, ...], *says: str) -> Refused:
    return Refused(lambda: calls(function), shape, says)


REFUSED: dict[str, Refused] = {
    "mish": _layer(nn.Mish, C2, "aten.mish"),
    "elu of another scale": _layer(lambda: nn.ELU(0.5), C2, "aten.elu", "0.5"),
    "softplus of another scale": _layer(lambda: nn.Softplus(2), C2, "aten.softplus", "beta 2"),
    "growing below zero": _layer(lambda: nn.LeakyReLU(1.5), C2, "aten.leaky_relu", "1.5"),
    "gate by another": _function(lambda s, x: x * torch.sigmoid(x + 1), C2, "product"),
    "bilinear upsampling": _layer(
        lambda: nn.Upsample(scale_factor=2, mode="bilinear"), C2, "upsample_bilinear2d"
    ),
    "upsampling by a fraction": _layer(lambda: nn.Upsample(size=(9, 9)), C2, "whole factors"),
    "upsampling by 2.2": _layer(lambda: nn.Upsample(scale_factor=(1.12, 1)), C2, "by (1.12, 1.0)"),
    "error function": _function(lambda s, x: torch.erf(x), C2, "aten.erf", "outside of a GELU"),
    "half a gelu": _function(lambda s, x: x * torch.erf(x), C2, "aten.mul", "product of two"),
    "square": _function(lambda s, x: (x**2) / 3, C2, "aten.div", "to the power of 2"),
    "minimum alone": _function(
        lambda s, x: torch.minimum(x, torch.ones(())), C2, "aten.minimum", "min(relu(x), m)"
    ),
    "rounding to even": _function(lambda s, x: x.round(), C2, "aten.round", "nearest: clip-floor"),
    "floor alone": _function(lambda s, x: torch.floor(x), C2, "aten.floor", "rounding outside"),
    "floor before relu": _function(lambda s, x: F.relu(torch.floor(x)), C2, "rounding outside"),
    "floor times -1": _function(
        lambda s, x: (torch.floor(x) * -1).clamp(0, 3), C2, "rounding outside"
    ),
    "floor to half a level": _function(
        lambda s, x: torch.floor(x * 4).clamp(0, 2.5), C2, "2.5 levels"
    ),
    "floor with another offset": _function(
        lambda s, x: torch.floor(x * 4 + 1.5).clamp(0, 2) + torch.floor(x - 1), C2, "rounding"
    ),
    "reflection of an operator": _function(
        lambda s, x: torch.ops.aten.reflection_pad2d(x, [1, 1, 1, 1]), C2, "other values than zeros"
    ),
    "circular padding": _layer(
        lambda: nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"), C2, "aten.pad", "'circular'"
    ),
    "reflect padding": _layer(
        lambda: nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"), C2, "'reflect'"
    ),
    "replicate padding": _function(
        lambda s, x: F.pad(x, (1, 1, 1, 1), mode="replicate"), C2, "'replicate'"
    ),
    "padding with ones": _function(lambda s, x: F.pad(x, (1, 1), value=1.0), C2, "expected zeros"),
    "active dropout": _function(lambda s, x: F.dropout(x, 0.5), C2, "dropout is active"),
    "dropout layer in train mode": _layer(nn.Dropout, C2, "dropout is active", ".eval()"),
    "dropout2d in train mode": _layer(nn.Dropout2d, C2, "dropout is active"),
    "noise": _function(lambda s, x: x + torch.randn(9, 7), C2, "aten.randn", "random values"),
    "batch norm in train mode": _layer(lambda: nn.BatchNorm2d(4), C2, "statistics of the batch"),
    "batch norm without statistics": _layer(
        lambda: nn.BatchNorm2d(4, track_running_stats=False).eval(), C2, "track_running_stats"
    ),
    "group norm": _layer(lambda: nn.GroupNorm(2, 4), C2, "aten.group_norm"),
    "layer norm": _layer(lambda: nn.LayerNorm(12), FLAT, "aten.layer_norm"),
    "softmax in the middle": _function(
        lambda s, x: F.relu(F.softmax(x, 1)), FLAT, "softmax in the middle"
    ),
    "softmax over space": _function(lambda s, x: F.softmax(x, 3), C2, "over dimension 3"),
    "transpose": _function(lambda s, x: x.transpose(1, 2), C2, "aten.transpose", "reorders"),
    "permute": _function(lambda s, x: x.permute(0, 3, 1, 2), C2, "aten.permute", "reorders"),
    "transpose of the batch": _function(lambda s, x: x.transpose(0, 1), C2, "reorders"),
    "view over the batch": _function(lambda s, x: x.view(-1, 9, 7), C2, "batch"),
    "one number per sample": _function(lambda s, x: x.sum((1, 2, 3)), C2, "reduction"),
    "bool mask": _function(lambda s, x: x * (x > 0.5), C2, "aten.gt"),
    "indexing by a mask": _function(lambda s, x: x[x > 0.5], C2, "aten.gt"),
    "where": _function(lambda s, x: torch.where(x < 0, x, x * 2), C2, "aten.lt"),
    "indexing by a list": _function(lambda s, x: x[:, [0, 2]], C2, "aten.index"),
    "product of activations": _function(lambda s, x: x * F.relu(x), C2, "product of two"),
    "division by an activation": _function(lambda s, x: x / (x + 1), C2, "division by an"),
    "reciprocal": _function(lambda s, x: 1 / x, C2, "aten.reciprocal"),
    "broadcast sum": _function(lambda s, x: x + x.mean((2, 3), keepdim=True), C2, "equal shapes"),
    "factor per element": _function(lambda s, x: x * s.image, C2, "within a channel"),
    "constant that spreads": _function(
        lambda s, x: x[:, :1] + s.image, C2, "spreads shape (1, 9, 7)"
    ),
    "division by 0": _function(lambda s, x: x / 0.0, C2, "division by 0"),
    "infinite factor": _function(lambda s, x: x * float("inf"), C2, "NaN or infinite"),
    "clamp(-1, 1)": _function(lambda s, x: x.clamp(-1, 1), C2, "expected a lower bound of 0"),
    "uneven adaptive pooling": _layer(lambda: nn.AdaptiveAvgPool2d(2), C2, "differ in size"),
    "indices of max-pooling": _function(
        lambda s, x: F.max_pool2d(x, 2, return_indices=True)[1] * 1.0, C2, "indices"
    ),
    "maximum over channels": _function(lambda s, x: x.amax(1), C2, "aten.amax"),
    "mean over channels": _function(lambda s, x: x.mean(1), C2, "spatial dimensions only"),
    "mean over the batch": _function(lambda s, x: x - x.mean(0), C2, "spatial dimensions only"),
    "cat along space": _function(lambda s, x: torch.cat([x, x], 2), C2, "along dimension 2"),
    "cat with ones": _function(
        lambda s, x: torch.cat([x, torch.ones_like(x)], 1), C2, "expected zeros"
    ),
    "slice of the batch": _function(lambda s, x: x[1:], C2, "batch"),
    "flip": _function(lambda s, x: x.flip(1), C2, "aten.flip"),
    "repeat": _function(lambda s, x: x.repeat(1, 2, 1, 1), C2, "repeated"),
    "conv3d": _function(
        lambda s, x: F.conv3d(x[:, None], torch.ones(1, 1, 1, 1, 1)), C2, "aten.conv3d"
    ),
    "weight from the input": _function(lambda s, x: F.linear(x[:1, :].relu(), x), FLAT, "batch"),
    "linear over the last of many": _function(
        lambda s, x: F.linear(x, torch.ones(3, 7)), C2, "expected a vector"
    ),
    "conversion to double": _function(lambda s, x: x.double().relu(), C2, "torch.float64"),
    "attention": _function(lambda s, x: F.scaled_dot_product_attention(x, x, x), C2, "attention"),
    "buffer that adapts": Refused(Adapts, C2, ("'visits' changes in every call",)),
}
