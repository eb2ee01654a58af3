"""The trained networks of the study, and the data that each was trained for."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch
    from torch import nn

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("NEURODEPLOY_SHARED", ROOT.parent / "shared"))
CALIBRATION_IMAGES = 512

DATA = {
    "lenet_mnist": "mnist:{}/data/mnist",
    "vgg_cifar10": "cifar10:{}/data/cifar10",
    "leaky_cifar10": "cifar10:{}/data/cifar10",
    "swish_cifar10": "cifar10:{}/data/cifar10",
    "resnet20_cifar10": "cifar10:{}/data/cifar10#norm=imagenet",
}


def data_of(network: str) -> str:
    """The data specification of a network."""
    return DATA[network].format(SHARED)


def model_of(network: str) -> tuple[str, Path]:
    """Factory and state dict, as ``neurodeploy.convert`` takes them."""
    return f"{SHARED}/models/zoo.py:{network}", SHARED / f"models/{network}.pt"


def trained(network: str) -> nn.Module:
    """The module itself, with its weights, in evaluation mode."""
    spec = importlib.util.spec_from_file_location("zoo", SHARED / "models" / "zoo.py")
    assert spec is not None
    assert spec.loader is not None
    zoo = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(zoo)
    module: nn.Module = zoo.load(network)
    return module


def images_of(
    network: str, split: Literal["train", "test"], n: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The first images of a split as the network takes them, and their labels."""
    import torch

    from neurodeploy.datasets import as_samples

    data: Any = as_samples(data_of(network), split)
    x = torch.tensor(data.x[:n])
    if data.norm is not None:
        mean, std = (torch.tensor(v).view(-1, 1, 1) for v in (data.norm.mean, data.norm.std))
        x = (x - mean) / std
    return x, torch.tensor(data.y[:n])


def source_accuracy(network: str, images: int) -> float:
    """Top-1 of the trained network, in float32."""
    import torch

    module = trained(network)
    x, labels = images_of(network, "test", images)
    with torch.no_grad():
        answers = torch.cat([module(part).argmax(1) for part in x.split(250)])
    return float((answers == labels).double().mean())
