"""Whole files of every format, and the commands that read them."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from neurodeploy.cli import run


@dataclass(frozen=True)
class Subject:
    """What is damaged.

    Parameters
    ----------
    path : str
        The file that is damaged, or the folder of which one file is.
    commands : tuple of tuples of str
        Each reads it.
    format : str
        That of which it is one kind; empty: it is a format by itself.
    """

    path: str
    commands: tuple[tuple[str, ...], ...]
    format: str = ""


DATA = ("--data", "digits", "--samples", "2")
CONVERT = ("--data", "digits", "--method", "graded", "--timesteps", "2", "-o", "out.ndn")
FEW = ("--calibration-samples", "20")
SWEEP = ("sweep", "nets.py:crossbar", *DATA)
SWEPT = (*SWEEP, *CONVERT[2:-2], *FEW, "--board", "loihi2", "--energy-samples", "1", "-o", "swept")
DEPLOY = (
    *("deploy", "nets.py:crossbar", *DATA, "--verify-samples", "1", "--energy-samples", "1"),
    *(*CONVERT[2:-2], *FEW, "--board", "loihi2", "--target", "brian2", "-o", "deployed"),
)

SUBJECTS: dict[str, Subject] = {
    "real .ndn": Subject(
        "real.ndn",
        (
            ("inspect", "real.ndn"),
            ("evaluate", "real.ndn", *DATA),
            ("quantize", "real.ndn", "-o", "out.ndn"),
        ),
        ".ndn",
    ),
    "integer .ndn": Subject(
        "net.ndn",
        (
            ("inspect", "net.ndn"),
            ("evaluate", "net.ndn", *DATA),
            ("compile", "net.ndn", "--target", "brian2", "-o", "out"),
            ("energy", "net.ndn", "--board", "loihi2", *DATA),
            ("export", "net.ndn", "--to", "nir", "-o", "out.nir"),
        ),
        ".ndn",
    ),
    "Brian2 deployment": Subject("brian", (("run", "brian", "--no-check", *DATA),), "deployment"),
    "crossbar deployment": Subject("cores", (("run", "cores", "--no-check", *DATA),), "deployment"),
    "Lava deployment": Subject("lava", (("inspect", "lava"),), "deployment"),
    "board": Subject(
        "board.toml",
        (("boards", "board.toml"), ("energy", "net.ndn", "--board", "board.toml", *DATA)),
    ),
    "placement": Subject(
        "place.json",
        (("energy", "net.ndn", "--board", "loihi2", "--placement", "place.json", *DATA),),
    ),
    ".npz": Subject(
        "data.npz",
        (
            ("evaluate", "net.ndn", "--data", "data.npz", "--samples", "2"),
            ("diagnose", "net.ndn", "--data", "data.npz", "--samples", "2"),
        ),
    ),
    "weights .pt": Subject(
        "tiny.pt", (("convert", "nets.py:tiny", "--weights", "tiny.pt", *CONVERT, *FEW),)
    ),
    ".pt2": Subject("net.pt2", (("convert", "net.pt2", *CONVERT, *FEW),)),
    ".onnx": Subject("net.onnx", (("convert", "net.onnx", *CONVERT, *FEW),)),
    ".nir": Subject(
        "net.nir", (("import", "net.nir", "--dynamics", "exact", "--dt", "1e-4", "-o", "out.ndn"),)
    ),
    ".net": Subject("net.net", (("import", "net.net", "--timesteps", "4", "-o", "out.ndn"),)),
    **{
        f"events {name}": Subject(
            f"events.{name}",
            (
                (
                    *("run", "eventful", "--samples", "1"),
                    *("--data", f"events:events.{name}#steps=4,size=4x4,polarity=merge"),
                ),
            ),
            "events",
        )
        for name in ("npz", "bin", "aedat", "aedat4", "dat", "raw")
    },
    "events h5": Subject(
        "events.h5",
        (("run", "line", "--samples", "1", "--data", "events:events.h5#steps=4,size=16"),),
        "events",
    ),
    "idx": Subject("idx", (("evaluate", "images.ndn", "--data", "mnist:idx", "--samples", "2"),)),
    "cifar10": Subject(
        "cifar/test_batch.bin",
        (("evaluate", "cifar.ndn", "--data", "cifar10:cifar", "--samples", "2"),),
    ),
    "images": Subject(
        "images", (("evaluate", "small.ndn", "--data", "imagefolder:images", "--samples", "2"),)
    ),
    **{
        f"sweep list {ending}": Subject(
            f"list.{ending}",
            # A share of the list that is empty: it is read and checked, and nothing runs.
            ((*SWEEP, "--list", f"list.{ending}", "--shard", "9/9", "-o", "listed"),),
            "sweep",
        )
        for ending in ("json", "toml", "csv")
    },
    "sweep folder": Subject("swept", ((*SWEPT, "--collect"),), "sweep"),
    "deploy folder": Subject(
        "deployed", (DEPLOY, ("report", "deployed", "-o", "page.html")), "deployment"
    ),
}


def seeds_of(names: list[str], each: int, first: int = 0) -> dict[str, range]:
    """Seeds of ``each`` damaged files of every format, shared by its kinds."""
    kinds = Counter(SUBJECTS[name].format or name for name in names)
    shares = {name: -(-each // kinds[SUBJECTS[name].format or name]) for name in names}
    return {name: range(first, first + share) for name, share in shares.items()}


def make(folder: Path) -> list[str]:
    """Write all subjects into ``folder``; returns those that could not be made, with the reason."""
    here = Path.cwd()
    os.chdir(folder)
    missing = []
    try:
        _networks()
        for name, maker in _MAKERS.items():
            try:
                maker()
            except ImportError as error:
                missing.append(f"{name}: {error}")
    finally:
        os.chdir(here)
    return missing


def expect_undamaged(folder: Path) -> None:
    """Every command of every subject that was made ends with status 0."""
    for subject in SUBJECTS.values():
        if (folder / subject.path).exists():
            for command in subject.commands:
                with tempfile.TemporaryDirectory() as place:
                    shutil.copytree(folder, Path(place) / "case")
                    with contextlib.chdir(Path(place) / "case"):
                        _do(*command)


def _do(*arguments: str) -> None:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        assert run(list(arguments)) == 0, arguments


def _networks() -> None:
    import torch

    from tests.bad_input.conftest import NETWORKS

    Path("nets.py").write_text(NETWORKS)
    names: dict[str, Callable[[], torch.nn.Module]] = {}
    exec(NETWORKS, names)
    torch.save(names["tiny"]().state_dict(), "tiny.pt")
    _do("convert", "nets.py:crossbar", *CONVERT[:-1], "real.ndn", *FEW)
    _do("quantize", "real.ndn", "-o", "net.ndn")
    _do("compile", "net.ndn", "--target", "brian2", "-o", "brian")
    _do("compile", "net.ndn", "--target", "lava", "-o", "lava")
    spiking = ("--method", "rate", "--timesteps", "4", "--input", "spikes", "--decode", "counts")
    _do("convert", "nets.py:crossbar", "--data", "digits", *spiking, *FEW, "-o", "spikes.ndn")
    _do("quantize", "spikes.ndn", "--weight-bits", "3", "-o", "spikes3.ndn")
    _eventful()
    _do("compile", "spikes3.ndn", "--target", "truenorth", "-o", "cores")
    from neurodeploy.hardware.boards.loading import load_board
    from neurodeploy.render.boards import board_toml

    Path("board.toml").write_text(board_toml(load_board("loihi2")))
    energy = ("energy", "net.ndn", "--board", "loihi2", *DATA)
    _do(*energy, "--save-placement", "place.json")
    x = np.random.default_rng(0).random((4, 1, 8, 8), dtype=np.float32)
    np.savez("data.npz", x=x, y=np.arange(4))


def _eventful() -> None:
    """Deployments that take events of a plane and of a line."""
    import neurodeploy as nd
    from neurodeploy.testing import NetlistBuilder

    rng = np.random.default_rng(0)
    small = NetlistBuilder(T=4).input("x", (1, 4, 4), kind="spikes")
    weight = rng.integers(-3, 4, (10, 16))
    nd.save(nd.Network(small.dense(weight, threshold=3).output()), "eventful.ndn")
    _do("compile", "eventful.ndn", "--target", "brian2", "-o", "eventful")
    line = NetlistBuilder(T=4).input("x", (16,), kind="spikes")
    # It leaks: what grows without end is no stream.
    leaky = line.dense(weight, threshold=3, membrane_decay=300)
    nd.save(nd.Network(leaky.output()), "line.ndn")
    _do("compile", "line.ndn", "--target", "brian2", "-o", "line")


def _pt2() -> None:
    import torch

    names: dict[str, Callable[[], torch.nn.Module]] = {}
    exec(Path("nets.py").read_text(), names)
    module = names["tiny"]().eval()
    torch.export.save(torch.export.export(module, (torch.zeros(2, 1, 8, 8),)), "net.pt2")


def _onnx() -> None:
    from tests.source.onnx_files import node, weight, written

    nodes = [node("Conv", "w", pads=[1, 1, 1, 1]), *_rest()]
    written(Path(), nodes, {"w": weight(3, 1, 3, 3), "v": weight(192, 10)}, shape=(1, 8, 8))


def _rest() -> list[object]:
    from onnx import helper

    return [
        helper.make_node("Relu", ["y"], ["r"]),
        helper.make_node("Flatten", ["r"], ["f"]),
        helper.make_node("MatMul", ["f", "v"], ["z"]),
    ]


def _nir() -> None:
    from tests.exchange.files import chain, integrate, lif, node, write_nir

    affine = node("Affine", weight=np.eye(2), bias=np.zeros(2))
    write_nir(Path("net.nir"), chain(affine, lif(), affine, integrate()))


def _net() -> None:
    from tests.exchange.test_lava_dl import _block, _written

    _written(Path(), _block(np.ones((3, 4))), _block(np.ones((2, 3))))


def _events() -> None:
    from tests.datasets import event_files as write

    events = write.random_events(40, 4, 4)
    write.write_npz(Path("events.npz"), events)
    write.write_bin(Path("events.bin"), events)
    write.write_aedat3(Path("events.aedat"), events)
    write.write_dat(Path("events.dat"), events)
    write.write_evt3(Path("events.raw"), events)
    write.write_aedat4(Path("events.aedat4"), events)
    write.write_spikes_h5(Path("events.h5"), [([(0.001, 3), (0.002, 5)], 1)])


def _idx() -> None:
    from tests.datasets.test_loading import idx

    Path("idx").mkdir()
    rng = np.random.default_rng(0)
    for prefix, n in (("train", 6), ("t10k", 4)):
        (Path("idx") / f"{prefix}-images-idx3-ubyte").write_bytes(
            idx(rng.integers(0, 256, (n, 28, 28)))
        )
        (Path("idx") / f"{prefix}-labels-idx1-ubyte").write_bytes(idx(np.arange(n)))
    lines = ("from torch import nn", "def net():", "    return nn.Sequential(nn.Flatten(), ")
    Path("images.py").write_text("\n".join(lines) + "nn.Linear(784, 10))\n")
    options = ("--data", "mnist:idx", *CONVERT[2:-1])
    _do("convert", "images.py:net", *options, "images.ndn")


def _coloured() -> None:
    """Pictures in the files of CIFAR-10, and as images of several formats."""
    from PIL import Image

    rng = np.random.default_rng(0)
    Path("cifar").mkdir()
    for name in ("data_batch_1", "test_batch"):
        rows = rng.integers(0, 256, (8, 3073), dtype=np.uint8)
        rows[:, 0] = np.arange(8)
        Path("cifar", f"{name}.bin").write_bytes(rows.tobytes())
    for i, ending in enumerate(("png", "jpg", "gif", "tif", "bmp", "webp", "ppm")):
        folder = Path("images", str(i % 2))
        folder.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.{ending}")
    lines = ["from torch import nn"]
    for name, n in (("net", 3072), ("small", 192)):
        lines += [f"def {name}():", f"    return nn.Sequential(nn.Flatten(), nn.Linear({n}, 10))"]
    Path("colours.py").write_text("\n".join(lines) + "\n")
    for name, data, made in (
        ("net", "cifar10:cifar", "cifar"),
        ("small", "imagefolder:images", "small"),
    ):
        options = ("--data", data, *CONVERT[2:-2], *FEW[:1], "4", "-o")
        _do("convert", f"colours.py:{name}", *options, f"{made}.ndn")


def in_this_process(function: Any, items: Any, workers: Any) -> Iterator[Any]:
    """Tasks of a sweep, without processes of its own, which would take seconds to start."""
    from neurodeploy.distribution.workers import outcome_of

    return ((i, outcome_of(function, item)) for i, item in enumerate(items))


def _swept() -> None:
    listed = [
        {"method": "graded", "timesteps": [2, 3], "calibration_samples": 20, "weight_bits": 4},
        {"method": "rate", "timesteps": 2, "input": "spikes", "decode": "counts"},
    ]
    Path("list.json").write_text(json.dumps(listed))
    tables = "\n".join(
        "[[configuration]]\n" + "\n".join(f"{k} = {json.dumps(v)}" for k, v in one.items())
        for one in listed
    )
    Path("list.toml").write_text(tables)
    Path("list.csv").write_text("method,timesteps,weight-bits\ngraded,2,4\nrate,3,\n")
    with mock.patch("neurodeploy.stages.sweep.completed", in_this_process):
        _do(*SWEPT)


def _deployed() -> None:
    _do(*DEPLOY)


_MAKERS: dict[str, Callable[[], None]] = {
    ".pt2": _pt2,
    ".onnx": _onnx,
    ".nir": _nir,
    ".net": _net,
    "events": _events,
    "idx": _idx,
    "images": _coloured,
    "sweep": _swept,
    "deploy": _deployed,
}
