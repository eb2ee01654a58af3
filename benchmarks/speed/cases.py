"""The networks, how they are converted, and where conversions are kept."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import neurodeploy as nd
from benchmarks.conversion.networks import DATA, ROOT, SHARED, data_of, model_of, trained
from neurodeploy.datasets import Samples, as_samples
from neurodeploy.network import Network

if TYPE_CHECKING:
    from torch import nn

BITS = 8
CACHE = ROOT / "build" / "speed"
# What a converted network depends on. The engine is not among them: it changes no result.
SOURCES = (
    *("conversion", "datasets", "ir", "loading", "numerics", "quantization", "source"),
    "stages",
)
QUICK = "quick"
QUICK_IMAGES = 128


@dataclass(frozen=True, slots=True)
class Case:
    """One network, converted in one way.

    Parameters
    ----------
    batches : tuple of int
        Images in a batch, where ``--batch`` does not say so.
    small : bool
        Whether those that take seconds per image take part.
    """

    network: str
    method: str
    timesteps: int
    batches: tuple[int, ...] = (20,)
    small: bool = False

    @property
    def name(self) -> str:
        """What ``--networks`` calls it, beside the network itself."""
        return f"{self.network}/{self.method}/{self.timesteps}"


CASES = (
    Case("lenet_mnist", "rate", 32, (1, 20, 100), small=True),
    Case("vgg_cifar10", "rate", 32, (1, 20, 100)),
    Case("resnet20_cifar10", "rate", 32, (1, 20, 100)),
    Case("leaky_cifar10", "rate", 32),
    Case("swish_cifar10", "rate", 8),
    Case("swish_cifar10", "rate", 32),
    Case("vgg_cifar10", "graded", 4),
)
QUICK_CASE = Case(QUICK, "rate", 8, (1, 5), small=True)


def chosen(names: str) -> list[Case]:
    """Cases by network or full name, comma-separated; all of them for an empty text."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    known = {c.network for c in CASES} | {c.name for c in CASES}
    for name in wanted:
        if name not in known:
            raise SystemExit(f"--networks {name}: expected some of {', '.join(sorted(known))}")
    return [c for c in CASES if not wanted or c.network in wanted or c.name in wanted]


def check_present(cases: list[Case]) -> None:
    """End with one line where a trained network or its images are missing."""
    for case in cases:
        if case.network == QUICK:
            continue
        _, weights = model_of(case.network)
        folder = Path(DATA[case.network].format(SHARED).split("#")[0].split(":", 1)[1])
        for path in (weights, folder):
            if not path.exists():
                raise SystemExit(
                    f"{path}: not found; set NEURODEPLOY_SHARED to the folder of the trained "
                    "networks and their images, or give --quick for a small network of its own"
                )


def quick_network() -> nn.Module:
    """Small, with random weights, and everything that the folding of batch norms meets."""
    import torch
    from torch import nn

    state = torch.random.get_rng_state()
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * 16, 10),
    ).eval()
    torch.random.set_rng_state(state)
    return network


def quick_images() -> Samples:
    """Random images of 8 x 8 pixels, from a fixed seed; enough of them to calibrate on."""
    levels = np.random.default_rng(0).integers(0, 256, (QUICK_IMAGES, 1, 8, 8))
    return Samples(levels.astype(np.uint8), np.arange(QUICK_IMAGES) % 10, name=QUICK)


def source_network(case: Case) -> nn.Module:
    """The network that was trained, in evaluation mode."""
    return quick_network() if case.network == QUICK else trained(case.network)


def images(case: Case, split: str) -> Samples:
    """The images of one split, raw."""
    if case.network == QUICK:
        return quick_images()
    return as_samples(data_of(case.network), split)


def as_the_network_takes(dataset: Samples) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Images with the normalization that ``convert`` folds into the network."""
    if dataset.norm is None:
        return np.asarray(dataset.x)
    mean, std = (np.float32(v).reshape(-1, 1, 1) for v in (dataset.norm.mean, dataset.norm.std))
    return np.asarray((dataset.x - mean) / std, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Converted:
    """A case ready to run.

    Parameters
    ----------
    path : Path
        The quantized network as a file.
    convert_s, quantize_s : float
        CPU seconds that it took, now or when the file was made.
    """

    real: Network
    quantized: Network
    path: Path
    convert_s: float
    quantize_s: float


def converted(case: Case, cache: Path) -> Converted:
    """Converted and quantized to 8 bits, or what the cache holds of the same sources."""
    folder = cache / f"{case.network}-{case.method}-{case.timesteps}-{_digest(case)}"
    real_file, file, told = (folder / n for n in ("real.ndn", "quantized.ndn", "seconds.json"))
    if told.is_file():
        seconds = json.loads(told.read_text(encoding="utf-8"))
        return Converted(nd.load(real_file), nd.load(file), file, **seconds)  # type: ignore[arg-type]
    begun = time.process_time()
    if case.network == QUICK:
        given: dict[str, Any] = {"model": quick_network(), "data": quick_images()}
    else:
        model, weights = model_of(case.network)
        given = {"model": model, "data": data_of(case.network), "weights": weights}
    real = nd.convert(**given, method=case.method, timesteps=case.timesteps)
    middle = time.process_time()
    quantized = nd.quantize(real, BITS)
    seconds = {
        "convert_s": round(middle - begun, 3),
        "quantize_s": round(time.process_time() - middle, 3),
    }
    folder.mkdir(parents=True, exist_ok=True)
    nd.save(real, real_file)
    nd.save(quantized, file)
    # Written last: a folder without it is made anew.
    told.write_text(json.dumps(seconds), encoding="utf-8")
    return Converted(real, quantized, file, **seconds)


def _digest(case: Case) -> str:
    """Of all that a converted network depends on but the processor."""
    import torch

    # Calibration in float32 differs by what the processor offers.
    parts = [torch.__version__, np.__version__, torch.backends.cpu.get_cpu_capability(), str(BITS)]
    files = [Path(__file__)] if case.network == QUICK else [model_of(case.network)[1]]
    for package in SOURCES:
        found = sorted((ROOT / "neurodeploy" / package).rglob("*.py"))
        if not found:
            raise FileNotFoundError(
                f"neurodeploy/{package}: no sources, on which conversions depend"
            )
        files += found
    digest = hashlib.sha256("\n".join(parts).encode())
    for file in files:
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:12]
