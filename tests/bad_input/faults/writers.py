"""Every command that writes, and the files that they start from."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unittest import mock

from tests.bad_input.fuzz import subjects

DIGITS = ("--data", "digits", "--samples", "2")
CONVERT = ("convert", "nets.py:crossbar", "--data", "digits", *subjects.FEW)
GRADED = ("--method", "graded", "--timesteps", "2")


@dataclass(frozen=True)
class Writer:
    """A command, and what it writes.

    Parameters
    ----------
    output : str
        A file or a folder.
    arguments : tuple of str
    before : str or None
        What is there before: a folder, or a text.
    goes_on : bool
        Whether what is finished is kept when it ends early, and the same command goes on with it.
        Each file is one of its versions then, whole, and the second run comes to the same end.
    """

    output: str
    arguments: tuple[str, ...]
    before: str | None = None
    goes_on: bool = False


def _single(ending: str, *arguments: str) -> Writer:
    """A command whose output is one file."""
    return Writer(f"out.{ending}", (*arguments, "-o", f"out.{ending}"))


def _compiled(network: str, target: str) -> Writer:
    return Writer("out", ("compile", network, "--target", target, "-o", "out"), "eventful")


WRITERS: dict[str, Writer] = {
    "convert": _single("ndn", *CONVERT, *GRADED),
    "quantize": _single("ndn", "quantize", "real.ndn"),
    "compile brian2": _compiled("net.ndn", "brian2"),
    "compile lava": _compiled("net.ndn", "lava"),
    "compile lava-stock": _compiled("stock.ndn", "lava-stock"),
    "compile truenorth": _compiled("spikes3.ndn", "truenorth"),
    "export nir": _single("nir", "export", "net.ndn", "--to", "nir"),
    "export net": _single("net", "export", "fixed.ndn", "--to", "net"),
    "export sanafe": _single("yaml", "export", "eventful.ndn", "--to", "sanafe"),
    "import nir": _single("ndn", "import", "net.nir", "--dynamics", "exact", "--dt", "1e-4"),
    "import net": _single("ndn", "import", "net.net", "--timesteps", "4"),
    "run": _single("npz", "run", "brian", *DIGITS),
    "stream": _single(
        "npz", "stream", "line.ndn", "--data", "events:events.h5#dt=1ms,size=16", "--every", "2"
    ),
    "report": _single("html", "report", "net.ndn"),
    "energy": Writer(
        "place.json",
        ("energy", "net.ndn", "--board", "loihi2", *DIGITS, "--save-placement", "place.json"),
    ),
    "sweep": Writer("swept", (*subjects.SWEPT, "--timesteps", "2,3"), "swept-before", True),
    "deploy": Writer("deployed", (*subjects.DEPLOY, "--timesteps", "3"), "deployed-before", True),
    "demo": Writer("demo", ("demo", "-o", "demo"), "", True),
}


def make(folder: Path, names: Collection[str]) -> None:
    """Write what these commands read."""
    with contextlib.chdir(folder), shortened():
        subjects._networks()
        for maker in (subjects._nir, subjects._net, subjects._events):
            maker()
        subjects._do("import", "net.net", "--timesteps", "4", "-o", "fixed.ndn")
        if "compile lava-stock" in names:
            stock = ("--method", "hard-reset", "--timesteps", "4", "--input", "spikes")
            subjects._do(*CONVERT, *stock, "-o", "stock-real.ndn")
            few = ("--target", "lava-stock")
            subjects._do("quantize", "stock-real.ndn", *few, "-o", "stock.ndn")
        for name, maker, made in (
            ("sweep", subjects._swept, "swept"),
            ("deploy", subjects._deployed, "deployed"),
        ):
            if name in names:
                maker()
                Path(made).rename(f"{made}-before")


@contextlib.contextmanager
def shortened() -> Iterator[None]:
    """Without what takes minutes and writes nothing, and at a time that stands still.

    Workers of a sweep, and of the demonstration its training, its automatic conversion and all
    boards but one.
    """
    from neurodeploy.stages.demo_network import digits_net
    from neurodeploy.stages.deploy import deploy

    quick = {"samples": 2, "verify_samples": 1, "energy_samples": 1, "target": "brian2"}
    short = partial(deploy, method="graded", timesteps=2, calibration_samples=20, **quick)
    with (
        mock.patch("time.perf_counter", return_value=0.0),
        mock.patch("neurodeploy.stages.sweep.completed", subjects.in_this_process),
        mock.patch("neurodeploy.stages.demo_network.train", return_value=digits_net()),
        mock.patch("neurodeploy.stages.demo.BOARDS", ("loihi2",)),
        mock.patch("neurodeploy.stages.demo.deploy", short),
    ):
        yield
