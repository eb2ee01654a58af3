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


def _dropped_in_place(self: Any, x: torch.Tensor) -> torch.Tensor:
    y = F.dropout(self.conv(x), training=False)
    F.relu(y, inplace=True)
    return y + x


def _seen_before_it_is_written(self: Any, x: torch.Tensor) -> torch.Tensor:
    y = self.conv(x)
    first, kept = y[:, :1], y * 2
    y += 1
    F.relu(y, inplace=True)
    return torch.cat([first, kept, y], 1)


def _assigned(self: Any, x: torch.Tensor) -> torch.Tensor:
    y = x.clone()
    y[:, 0] = 0.3
    y[:, :, 1:] = y[:, :, 1:] - y[:, :, :-1]
    return y


def _added_to_zeros(self: Any, x: torch.Tensor) -> torch.Tensor:
    y = torch.zeros(len(x), 4, 9, 7)
    y[:, ::2] = x[:, :2]
    y[:, 1] += x[:, 3]
    return y


def _without_gradient(self: Any, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return F.relu(x)


def _unused_refused(self: Any, x: torch.Tensor) -> torch.Tensor:
    torch.sigmoid(x)
    return F.relu(x)


_GRU = [torch.ones(6, 7), torch.ones(6, 2), torch.ones(6), torch.ones(6)]


def conv() -> nn.Conv2d:
    return nn.Conv2d(4, 4, 3, padding=1)


_UP = nn.ConvTranspose2d(4, 2, 3, 2)


def _traced(layer: nn.Module) -> Any:
    return torch.jit.trace(layer.eval(), torch.zeros(2, *C2))


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
    "levels, rounded with the gradient passed through": (
        lambda: calls(lambda s, x: through(8 * x.clamp(0, 0.5)) / 8),
        C2,
    ),
    "levels of both signs, rounded after and before the clamp": (
        lambda: calls(
            lambda s, x: through((x / 0.1).clamp(-4, 3)) + (x / 0.2).round().clamp(-2, 3)
        ),
        C2,
    ),
    "levels of a quantized type": (
        lambda: calls(lambda s, x: torch.quantize_per_tensor(x, 0.1, 5, torch.qint8).dequantize()),
        C2,
    ),
    "levels, a relu rounded": (lambda: calls(lambda s, x: (8 * x.relu()).round().clamp(max=4)), C2),
    "one number per sample, a sum": (lambda: calls(lambda s, x: x.sum((1, 2, 3))), C2),
    "one number per sample, of a classifier": (
        lambda: calls(lambda s, x: s.head(x.mean((2, 3))).squeeze(-1), head=nn.Linear(4, 1)),
        C2,
    ),
    "one number per sample, and back": (
        lambda: calls(lambda s, x: 2 * x.mean((1, 2, 3)).unsqueeze(1)),
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
    "in-place relu of what dropout left": (lambda: calls(_dropped_in_place, conv=conv()), C2),
    "in-place relu of what was seen": (lambda: calls(_seen_before_it_is_written, conv=conv()), C2),
    "in-place relu, input reused": (lambda: calls(_relu_in_place_then_reused, conv=conv()), C2),
    "mean of a stack in front": (
        lambda: calls(lambda s, x: torch.stack([x, s.conv(x), -x]).mean(0), conv=conv()),
        C2,
    ),
    "sum of a stack in front": (
        lambda: calls(lambda s, x: torch.stack([x, s.conv(x)]).sum(dim=-5), conv=conv()),
        C2,
    ),
    "maximum of a stack in front": (
        lambda: calls(lambda s, x: torch.stack([x, s.conv(x), -x]).max(0)[0], conv=conv()),
        C2,
    ),
    "minimum of a stack in front": (
        lambda: calls(lambda s, x: torch.stack([x, s.conv(x), -x]).amin(0), conv=conv()),
        C2,
    ),
    "dropout of one dimension more": (
        lambda: calls(lambda s, x: s.drop(s.conv(x)), conv=conv(), drop=nn.Dropout3d().eval()),
        C2,
    ),
    "dropout of channels without a place": (lambda: nn.Dropout1d().eval(), FLAT),
    "constant of an activation's type": (
        lambda: calls(lambda s, x: x + torch.arange(7.0).type_as(x)),
        C2,
    ),
    "comparison of two": (lambda: calls(lambda s, x: (x > s.conv(x)).float(), conv=conv()), C2),
    "comparison with a constant per element": (
        lambda: calls(lambda s, x: (x <= torch.linspace(-1, 1, 7)).float()),
        C2,
    ),
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
    "mish": (nn.Mish, C2),
    "elu of another scale": (lambda: nn.ELU(0.5), C2),
    "softplus of another scale": (lambda: nn.Softplus(2), C2),
    "growing below zero": (lambda: nn.LeakyReLU(1.5), C2),
    "gate by another": (lambda: calls(lambda s, x: x * torch.sigmoid(x + 1)), C2),
    "bilinear upsampling": (lambda: nn.Upsample(scale_factor=2, mode="bilinear"), C2),
    "upsampling by a fraction": (lambda: nn.Upsample(size=(9, 9)), C2),
    "upsampling by 2.2": (lambda: nn.Upsample(scale_factor=(1.12, 1)), C2),
    "error function": (lambda: calls(lambda s, x: torch.erf(x)), C2),
    "half a gelu": (lambda: calls(lambda s, x: x * torch.erf(x)), C2),
    "square": (lambda: calls(lambda s, x: (x**2) / 3), C2),
    "minimum alone": (lambda: calls(lambda s, x: torch.minimum(x, torch.ones(()))), C2),
    "reflection of an operator": (
        lambda: calls(lambda s, x: torch.ops.aten.reflection_pad2d(x, [1, 1, 1, 1])),
        C2,
    ),
    "circular padding": (lambda: nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"), C2),
    "reflect padding": (lambda: nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"), C2),
    "replicate padding": (lambda: calls(lambda s, x: F.pad(x, (1, 1, 1, 1), mode="replicate")), C2),
    "padding with ones": (lambda: calls(lambda s, x: F.pad(x, (1, 1), value=1.0)), C2),
    "transpose": (lambda: calls(lambda s, x: x.transpose(1, 2)), C2),
    "permute": (lambda: calls(lambda s, x: x.permute(0, 3, 1, 2)), C2),
    "bool mask": (lambda: calls(lambda s, x: x * (x > 0.5)), C2),
    "where": (lambda: calls(lambda s, x: torch.where(x < 0, x, x * 2)), C2),
    "indexing by a list": (lambda: calls(lambda s, x: x[:, [0, 2]]), C2),
    "product of activations": (lambda: calls(lambda s, x: x * F.relu(x)), C2),
    "division by an activation": (lambda: calls(lambda s, x: x / (x + 1)), C2),
    "reciprocal": (lambda: calls(lambda s, x: 1 / x), C2),
    "broadcast sum": (lambda: calls(lambda s, x: x + x.mean((2, 3), keepdim=True)), C2),
    "factor per element": (lambda: calls(lambda s, x: x * s.image), C2),
    "constant that spreads": (lambda: calls(lambda s, x: x[:, :1] + s.image), C2),
    "clamp(-1, 1)": (lambda: calls(lambda s, x: x.clamp(-1, 1)), C2),
    "uneven adaptive pooling": (lambda: nn.AdaptiveAvgPool2d(2), C2),
    "maximum over channels": (lambda: calls(lambda s, x: x.amax(1)), C2),
    "mean over channels": (lambda: calls(lambda s, x: x.mean(1)), C2),
    "cat along space": (lambda: calls(lambda s, x: torch.cat([x, x], 2)), C2),
    "cat with ones": (lambda: calls(lambda s, x: torch.cat([x, torch.ones_like(x)], 1)), C2),
    "flip": (lambda: calls(lambda s, x: x.flip(1)), C2),
    "repeat": (lambda: calls(lambda s, x: x.repeat(1, 2, 1, 1)), C2),
    "linear over the last of many": (lambda: calls(lambda s, x: F.linear(x, torch.ones(3, 7))), C2),
    "selu, celu": (lambda: nn.Sequential(nn.SELU(), nn.CELU(0.5)), C2),
    "softsign": (nn.Softsign, C2),
    "log-sigmoid": (nn.LogSigmoid, C2),
    "tanhshrink": (nn.Tanhshrink, C2),
    "softshrink": (lambda: nn.Softshrink(0.1), C2),
    "hardshrink": (lambda: nn.Hardshrink(0.2), C2),
    "threshold to another value": (lambda: nn.Threshold(0.1, -0.3), C2),
    "absolute value, sign": (lambda: calls(lambda s, x: torch.abs(x) + torch.sign(x - 0.5)), C2),
    "rrelu in eval mode": (lambda: nn.RReLU().eval(), C2),
    "square root, exponential": (
        lambda: calls(lambda s, x: torch.sqrt(F.relu(x) + 0.01) + torch.exp(-x)),
        C2,
    ),
    "where in two steps": (
        lambda: calls(
            lambda s, x: torch.where(
                x < 0, torch.zeros_like(x), torch.where(x > 0.5, torch.ones_like(x), x)
            )
        ),
        C2,
    ),
    "masked fill": (lambda: calls(lambda s, x: x.masked_fill(x < 0.1, -1.0)), C2),
    "where by a constant mask": (
        lambda: calls(lambda s, x: torch.where(s.image > 0.5, x, s.image)),
        C2,
    ),
    "clamp by a leaky relu": (
        lambda: calls(lambda s, x: torch.clamp(F.leaky_relu(x, 0.2), min=-0.1)),
        C2,
    ),
    "clamp by channel": (
        lambda: calls(lambda s, x: torch.clamp(x, -s.mean, s.mean)),
        C2,
    ),
    "maximum of two": (
        lambda: calls(lambda s, x: torch.maximum(s.conv(x), x), conv=conv()),
        C2,
    ),
    "minimum of two": (
        lambda: calls(lambda s, x: torch.minimum(s.conv(x), x[:, :1]), conv=conv()),
        C2,
    ),
    "maximum of two, by max": (
        lambda: calls(lambda s, x: torch.ops.aten.max.other(s.conv(x), x), conv=conv()),
        C2,
    ),
    "matrix of every channel, from the left": (
        lambda: calls(lambda s, x: torch.linspace(-1, 1, 180).reshape(4, 5, 9) @ x),
        C2,
    ),
    "matrix of every channel, from the right": (
        lambda: calls(lambda s, x: x @ torch.linspace(-1, 1, 84).reshape(4, 7, 3)),
        C2,
    ),
    "einsum with an axis of both": (
        lambda: calls(
            lambda s, x: torch.einsum("nchw,cwk->nkch", x, torch.linspace(-1, 1, 84).view(4, 7, 3))
        ),
        C2,
    ),
    "clamp above a clip": (lambda: calls(lambda s, x: F.hardtanh(x, 0, 0.4).clamp_max(0.5)), C2),
    "clip spelled out": (lambda: calls(lambda s, x: torch.where(x < 0.5, F.relu(x), 0.5)), C2),
    "threshold with a jump": (lambda: nn.Threshold(0.2, -1), C2),
    "maximum and minimum by axis": (
        lambda: calls(lambda s, x: x.max(3)[0] - x.min(3)[0]),
        C2,
    ),
    "least over space": (lambda: calls(lambda s, x: x.amin((2, 3))), C2),
    "maximum over channels and rows": (lambda: calls(lambda s, x: x.amax((1, 2))), C2),
    "uneven adaptive maximum": (lambda: nn.AdaptiveMaxPool2d((4, 3)), C2),
    "uneven adaptive average 1d": (lambda: nn.AdaptiveAvgPool1d(3), C1),
    "p-norm pooling": (lambda: nn.LPPool2d(2, 2), C2),
    "variance": (lambda: calls(lambda s, x: x.var((2, 3))), C2),
    "pixel shuffle": (lambda: nn.PixelShuffle(2), C2),
    "pixel unshuffle": (lambda: calls(lambda s, x: F.pixel_unshuffle(x[..., :8, :6], 2)), C2),
    "channel shuffle": (
        lambda: calls(
            lambda s, x: s.conv(x.view(-1, 2, 2, 9, 7).transpose(1, 2).reshape(x.shape)),
            conv=conv(),
        ),
        C2,
    ),
    "roll, stack": (
        lambda: calls(lambda s, x: torch.stack([x.roll(1, 3), x], 2).flatten(1, 2)),
        C2,
    ),
    "unfold": (lambda: calls(lambda s, x: F.unfold(x, 2, stride=2)), C2),
    "expand": (lambda: calls(lambda s, x: x[:, :, :1].expand(-1, -1, 9, -1)), C2),
    "broadcast between ranks of one": (
        lambda: calls(lambda s, x: F.relu(x + x.mean(2, keepdim=True).relu())),
        C2,
    ),
    "moved there and back": (
        lambda: calls(
            lambda s, x: F.relu(s.conv(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2), conv=conv()
        ),
        C2,
    ),
    "bicubic upsampling": (lambda: nn.Upsample(scale_factor=2, mode="bicubic"), C2),
    "linear upsampling, corners": (
        lambda: nn.Upsample(scale_factor=2, mode="linear", align_corners=True),
        C1,
    ),
    "bilinear, smaller, antialiased": (
        lambda: calls(lambda s, x: F.interpolate(x, (4, 3), mode="bilinear", antialias=True)),
        C2,
    ),
    "cumulative sum": (lambda: calls(lambda s, x: x.cumsum(2)), C2),
    "matrix from the left": (lambda: calls(lambda s, x: torch.ones(3, 9) @ x), C2),
    "einsum": (
        lambda: calls(lambda s, x: torch.einsum("nchw,cwd->ndh", x, torch.ones(4, 7, 3))),
        C2,
    ),
    "linear layers over the last axis": (
        lambda: nn.Sequential(nn.Linear(7, 5), nn.ReLU(), nn.Linear(5, 3)),
        C2,
    ),
    "instance norm with kept statistics": (
        lambda: _filled(nn.InstanceNorm2d(4, affine=True, track_running_stats=True)),
        C2,
    ),
    "comparisons joined": (
        lambda: calls(lambda s, x: x * ((x > -0.3) & (x < 0.4) | ~(x < 0.8) ^ (x > 0.9))),
        C2,
    ),
    "step with a value at 0": (lambda: calls(lambda s, x: x.heaviside(torch.tensor(0.5))), C2),
    "norms": (lambda: calls(lambda s, x: [x.norm(p=p, dim=1) for p in (1, 2, torch.inf)]), C2),
    "logaddexp": (lambda: calls(lambda s, x: torch.logaddexp(x, s.conv(x)), conv=conv()), C2),
    "windows of a tensor": (lambda: calls(lambda s, x: x.unfold(3, 3, 2)), C2),
    "scattered": (
        lambda: calls(
            lambda s, x: torch.zeros(len(x), 6, 9, 7).scatter(
                1, torch.full((len(x), 1, 9, 7), 3), x[:, :1]
            )
        ),
        C2,
    ),
    "assigned to elements": (lambda: calls(_assigned), C2),
    "added to zeros": (lambda: calls(_added_to_zeros), C2),
    "choice by one constant": (
        lambda: calls(lambda s, x: torch.where(torch.tensor(True), x, -x)),
        C2,
    ),
    "spelled in other operators": (
        lambda: calls(
            lambda s, x: torch.lerp(torch.hstack([x, x.std(1, keepdim=True)]).diff(dim=1), x, 0.3)
        ),
        C2,
    ),
    "cell of a recurrent layer": (
        lambda: calls(lambda s, x: s.cell(x[:, 0, 0], s.cell(x[:, 1, 0])), cell=nn.RNNCell(7, 5)),
        C2,
    ),
    "functions written as others": (
        lambda: calls(
            lambda s, x: [
                *(f(x) for f in (torch.sinh, torch.cosh, torch.tan, torch.atan, torch.asinh)),
                *(f(x * 0.9) for f in (torch.atanh, torch.erfc)),
                *(f(x + 1.1) for f in (torch.log2, torch.log10)),
            ]
        ),
        C2,
    ),
    "added where indices are equal": (
        lambda: calls(lambda s, x: x.index_add(1, torch.tensor([0, 0]), x[:, 2:])),
        C2,
    ),
    "scattered and added": (
        lambda: calls(
            lambda s, x: x.scatter_add(1, torch.arange(63).view(9, 7).expand_as(x) % 3, -x)
        ),
        C2,
    ),
    "folded": (
        lambda: calls(lambda s, x: F.fold(F.unfold(x, 3, padding=1), (9, 7), 3, padding=1)),
        C2,
    ),
    "parameters of activations": (
        lambda: calls(
            lambda s, x: [
                *(F.softplus(x, beta, most) for beta, most in ((3, 1), (2, -0.5), (-2, 0.5))),
                *(
                    F.elu(x, 0.3),
                    F.celu(x, 0.3),
                    F.leaky_relu(x, 0.7),
                    F.gelu(x, approximate="tanh"),
                ),
                *(F.hardtanh(x, -0.2, 0.4), F.hardshrink(x, 0.3), F.softshrink(x, 0.3)),
                *(F.threshold(x, 0.3, -2), F.rrelu(x, 0.1, 0.2), torch.logit(x / 2 + 0.5, 0.1)),
            ]
        ),
        C2,
    ),
    "levels of a list of one scale": (
        lambda: calls(
            lambda s, x: torch.fake_quantize_per_tensor_affine(
                x, torch.tensor([0.125]), torch.tensor([0], dtype=torch.int32), -8, 7
            )
        ),
        C2,
    ),
    "traced layers inside": (
        lambda: calls(lambda s, x: s.up(s.down(x)), down=_traced(conv()), up=_traced(_UP)),
        C2,
    ),
    "taken along an axis": (
        lambda: calls(
            lambda s, x: torch.take_along_dim(x, torch.arange(7).flip(0).view(1, 1, 1, 7), 3)
        ),
        C2,
    ),
    "maximum and minimum that leave NaN out": (
        lambda: calls(lambda s, x: torch.fmax(x, torch.tensor(-0.1)) + torch.fmin(x.flip(1), x)),
        C2,
    ),
    "sums over axes by number": (
        lambda: calls(
            lambda s, x: [
                torch.tensordot(x, torch.linspace(-1, 1, 84).view(7, 3, 4), ([1, 3], [2, 0])),
                *(torch.inner(x, torch.linspace(-1, 1, 7 * n).view(-1, 7)) for n in (1, 3)),
                torch.inner(torch.linspace(-1, 1, 7), x),
            ]
        ),
        C2,
    ),
    "products with a vector": (
        lambda: calls(lambda s, x: [x @ torch.linspace(-1, 1, 7), torch.linspace(-1, 1, 9) @ x]),
        C2,
    ),
    "einsum of axes without letters": (
        lambda: calls(
            lambda s, x: [
                torch.einsum("...w,kw->...k", x, torch.linspace(-1, 1, 21).view(3, 7)),
                torch.einsum("...hw,...wk->...hk", x, torch.linspace(-1, 1, 84).view(4, 7, 3)),
                torch.einsum("...hw,...wk->...hk", x, torch.linspace(-1, 1, 21).view(1, 7, 3)),
                torch.einsum("...hw,wk", x, torch.linspace(-1, 1, 21).view(7, 3)),
                torch.einsum("nchw,cw->nhc", x[:, :1], torch.linspace(-1, 1, 28).view(4, 7)),
            ]
        ),
        C2,
    ),
    "max-pooling padded before": (
        lambda: calls(
            lambda s, x: [
                F.max_pool2d(F.pad(x - 2, (0, 1, 0, 1), value=-torch.inf), 2),
                F.max_pool2d(F.pad(x - 2, (1, 1, 1, 1), value=-torch.inf), 3, 2),
                F.max_pool2d(F.pad(x - 2, (1, 1, 1, 1), value=-1e38), 3, 2, ceil_mode=True),
                F.max_pool2d(F.pad(x - 2, (1, 0), value=-torch.inf), 2, 1, 1, dilation=2),
            ]
        ),
        C2,
    ),
    "variance and mean at once": (
        lambda: calls(
            lambda s, x: [
                *torch.var_mean(x, (2, 3), correction=1.5),
                *torch.std_mean(x, 1, correction=0, keepdim=True),
            ]
        ),
        C2,
    ),
    "choice by a number per element": (
        lambda: calls(
            lambda s, x: [
                torch.where(x > torch.linspace(0, 0.3, 7), x, torch.zeros(())),
                torch.where(x <= s.mean, s.mean * 2, x),
                torch.where(x > s.mean, s.mean, x),
                torch.where(F.relu(x) > torch.linspace(0, 0.3, 7), F.relu(x), -1),
                torch.where(x > s.mean, s.mean, s.image),
            ]
        ),
        C2,
    ),
    "kept finite": (lambda: calls(lambda s, x: torch.nan_to_num(x)), C2),
    "train mode where it is all one": (lambda: nn.Sequential(conv(), nn.ReLU()).train(), C2),
}


@dataclass(frozen=True)
class Refused:
    """A module that is refused, and what the message must say."""

    build: Callable[[], nn.Module]
    shape: tuple[int, ...]
    says: tuple[str, ...]


def through(x: torch.Tensor) -> torch.Tensor:
    """Rounded, with the gradient of what is rounded."""
    return (x.round() - x).detach() + x


def _layer(layer: Callable[[], nn.Module], shape: tuple[int, ...], *says: str) -> Refused:
    """A layer called from a line of this file, by the module name ``inner``."""
    return Refused(lambda: calls(lambda s, x: s.inner(x), inner=layer()), shape, says)


def _function(function: Callable[..., Any], shape: tuple[int, ...], *says: str) -> Refused:
    return Refused(lambda: calls(function), shape, says)


REFUSED: dict[str, Refused] = {
    "rounding alone": _function(lambda s, x: x.round(), C2, "aten.round", "rounding outside"),
    "levels of 32 bits": _function(
        lambda s, x: torch.quantize_per_tensor(x, 0.1, 5, torch.qint32).dequantize(),
        C2,
        "levels of torch.qint32, expected torch.quint8",
    ),
    "rounding to tenths": _function(lambda s, x: x.round(decimals=1), C2, "to 1 decimals"),
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
    "active dropout": _function(lambda s, x: F.dropout(x, 0.5), C2, "dropout is active"),
    "dropout layer in train mode": _layer(nn.Dropout, C2, "dropout is active", ".eval()"),
    "dropout2d in train mode": _layer(nn.Dropout2d, C2, "dropout is active"),
    "noise of a generator": _function(
        lambda s, x: x + torch.randn(9, 7, generator=torch.manual_seed(0)), C2, "random values"
    ),
    "added at random": _function(
        lambda s, x: torch.scatter_reduce(x, 1, (x > 0).long(), x, "sum"), C2, "torch.int64"
    ),
    "rounded division": _function(
        lambda s, x: torch.div(x, 2, rounding_mode="floor"), C2, "rounding mode 'floor'"
    ),
    "einsum that sums one axis alone": _function(
        lambda s, x: torch.einsum("nchw,cd->nhd", x, torch.ones(4, 2)), C2, "expected one sum"
    ),
    "running sum of the batch": _function(lambda s, x: x.cumsum(0), C2, "samples of the batch"),
    "matrix by sample": _function(
        lambda s, x: x @ torch.rand(len(x), 4, 7, 3, generator=torch.manual_seed(0)),
        C2,
        "random values",
    ),
    "constant by sample": _function(
        lambda s, x: x + torch.arange(len(x) * 1.0).view(-1, 1, 1, 1), C2, "between the samples"
    ),
    "steps of several values at 0": _function(
        lambda s, x: x.heaviside(torch.linspace(0, 1, 7)), C2, "differ between elements"
    ),
    "norm of order 3": _function(lambda s, x: x.norm(p=3, dim=1), C2, "a norm of order 3"),
    "products along an axis": _function(lambda s, x: x.prod(1), C2, "product of activations"),
    "rounding up": _function(lambda s, x: x.ceil(), C2, "use clip-floor"),
    "spectrum": _function(lambda s, x: torch.fft.rfft(x).abs(), C2, "complex numbers"),
    "einsum of three": _function(
        lambda s, x: torch.einsum("nchw,cd,we->ndhe", x, torch.ones(4, 2), torch.ones(7, 2)),
        C2,
        "two at a time",
    ),
    "noise": _function(lambda s, x: x + torch.randn(9, 7), C2, "aten.randn", "random values"),
    "batch norm in train mode": _layer(lambda: nn.BatchNorm2d(4), C2, "statistics of the batch"),
    "batch norm without statistics": _layer(
        lambda: nn.BatchNorm2d(4, track_running_stats=False).eval(), C2, "track_running_stats"
    ),
    "group norm": _layer(lambda: nn.GroupNorm(2, 4), C2, "aten.group_norm"),
    "layer norm": _layer(lambda: nn.LayerNorm(12), FLAT, "aten.layer_norm"),
    "softmax in the middle": _function(
        lambda s, x: F.relu(F.softmax(x, 1)), FLAT, "use ReLU or sigmoid, or end the network"
    ),
    "self-attention": Refused(
        lambda: calls(
            lambda s, x: s.attention(*(x.flatten(2),) * 3, need_weights=False)[0],
            attention=nn.MultiheadAttention(63, 3, batch_first=True).eval(),
        ),
        C2,
        ("attention: products of activations and a softmax",),
    ),
    "gated linear unit": _layer(nn.GLU, FLAT, "aten.glu", "product of two activations"),
    "softmax over space": _function(lambda s, x: F.softmax(x, 3), C2, "over dimension 3"),
    "transpose of the batch": _function(lambda s, x: x.transpose(0, 1), C2, "batch is mixed"),
    "stack in front of the batch": _function(
        lambda s, x: torch.stack([x, -x]).relu().mean(0), C2, "batch is mixed", "dimension 0 next"
    ),
    "mean of a stack over more": _function(
        lambda s, x: torch.stack([x, -x]).mean((0, 2)), C2, "aten.stack", "dimension 0 next"
    ),
    "an axis in front of the batch": _function(
        lambda s, x: x.unsqueeze(0).relu(), C2, "batch is mixed", "aten.unsqueeze"
    ),
    "view over the batch": _function(lambda s, x: x.view(-1, 9, 7), C2, "batch", "keep it apart"),
    "running maxima": _function(lambda s, x: x.cummax(1)[0], C2, "use maxima over windows"),
    "one number per sample": _function(
        lambda s, x: x.sum((1, 2, 3)) * 2, C2, "as only outputs may be"
    ),
    "indexing by a mask": _function(lambda s, x: x[x > 0.5], C2, "aten.index", "by activations"),
    "product of activations": _function(
        lambda s, x: F.relu(x) * F.avg_pool2d(x, 3, 1, 1), C2, "product of two"
    ),
    "squeeze-excite gate": _function(
        lambda s, x: x * torch.sigmoid(x.mean((2, 3), keepdim=True)), C2, "product of two", "add"
    ),
    "division by another": _function(
        lambda s, x: x / (1 + F.avg_pool2d(x, 3, 1, 1) ** 2), C2, "division by an"
    ),
    "equality of two": _function(
        lambda s, x: (x == F.max_pool2d(x, 3, 1, 1)).float(), C2, "greater and less are converted"
    ),
    "exponent of another": _function(
        lambda s, x: 2 ** F.avg_pool2d(x, 3, 1, 1) ** x, C2, "as an exponent"
    ),
    "comparison of two": _function(
        lambda s, x: x * (x > F.avg_pool2d(x, 3, 1, 1)), C2, "product of two"
    ),
    "choice by another": _function(
        lambda s, x: torch.where(F.avg_pool2d(x, 3, 1, 1) > 0, x, -x), C2, "choice between"
    ),
    "instance norm": _layer(lambda: nn.InstanceNorm2d(4), C2, "statistics of the sample", "use"),
    "local response norm": _layer(lambda: nn.LocalResponseNorm(3), C2, "local response"),
    "recurrence": _function(
        lambda s, x: torch.gru(x[:, 0], torch.zeros(1, 7, 2), _GRU, True, 1, 0, False, False, True)[
            0
        ],
        C2,
        "recurrence",
        "use convolutions",
    ),
    "matrix product of two": _function(lambda s, x: x @ x.transpose(2, 3), C2, "product of two"),
    "largest position": _function(lambda s, x: x.argmax(1) * 1.0, C2, "order of activations"),
    "sorted": _function(lambda s, x: x.sort(1)[0], C2, "order of activations"),
    "random slopes": _layer(nn.RReLU, C2, "at random", ".eval()"),
    "einsum over the batch": _function(
        lambda s, x: torch.einsum("nchw,nd->dchw", x, torch.ones(7, 7)), C2, "einsum"
    ),
    "division by 0": _function(lambda s, x: x / 0.0, C2, "division by 0"),
    "infinite factor": _function(lambda s, x: x * float("inf"), C2, "NaN or infinite"),
    "padding below all, read by others": _function(
        lambda s, x: F.pad(x, (0, 1), value=-torch.inf).relu(), C2, "only max-pooling"
    ),
    "windows of padding alone": _function(
        lambda s, x: F.max_pool2d(F.pad(x, (3, 3), value=-torch.inf), 2), C2, "every window"
    ),
    "padding with infinity": _function(
        lambda s, x: F.pad(x, (0, 1), value=torch.inf), C2, "not finite"
    ),
    "sum that leaves the batch behind": _function(
        lambda s, x: torch.tensordot(torch.ones(3, 4), x, ([1], [1])), C2, "the batch first"
    ),
    "inner product with a number": _function(
        lambda s, x: torch.inner(x, torch.tensor(2.0)), C2, "multiply with it"
    ),
    "variance of one value": _function(
        lambda s, x: x[:, :1].var(1), C2, "1 values with a correction of 1"
    ),
    "choice by a number per element between functions": _function(
        lambda s, x: torch.where(x < s.image, 2 * x, x), C2, "by a number per element"
    ),
    "unpooling": _function(
        lambda s, x: F.max_unpool2d(*F.max_pool2d(x, 3, return_indices=True), 3),
        (4, 9, 6),
        "the positions of maxima; use upsampling",
    ),
    "indices of max-pooling": _function(
        lambda s, x: F.max_pool2d(x, 2, return_indices=True)[1] * 1.0, C2, "indices"
    ),
    "mean over the batch": _function(lambda s, x: x - x.mean(0), C2, "samples of the batch"),
    "slice of the batch": _function(lambda s, x: x[1:], C2, "batch"),
    "conv3d": _function(
        lambda s, x: F.conv3d(x[:, None], torch.ones(1, 1, 1, 1, 1)), C2, "aten.conv3d"
    ),
    "weight from the input": _function(lambda s, x: F.linear(x[:1, :].relu(), x), FLAT, "batch"),
    "conversion to double": _function(lambda s, x: x.double().relu(), C2, "torch.float64"),
    "attention": _function(lambda s, x: F.scaled_dot_product_attention(x, x, x), C2, "attention"),
    "buffer that adapts": Refused(Adapts, C2, ("'visits' changes in every call",)),
}
