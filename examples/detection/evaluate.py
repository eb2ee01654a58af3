"""Mean average precision of the detector and of its spiking network, by T and by decoding.

::

    python examples/detection/evaluate.py --folder detection
    python examples/detection/evaluate.py --folder detection --run graded=2,4 --decode membrane

The folder is what ``train.py`` wrote. The spiking network is converted anew for every T, calibrated
on training canvases, quantized, and run by the fast engine; its maps come back in the units of the
source network, and the host reads the boxes of both alike.

References
----------
Kim et al. 2020, "Spiking-YOLO", doi 10.1609/aaai.v34i07.6787: precision by T, decoded from
membranes and from spike counts.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from arguments import positive
from boxes import detect, mean_average_precision
from detector import detector, maps_of

import neurodeploy as nd
from neurodeploy.api import stimulus_for
from neurodeploy.errors import NeurodeployError, UsageError
from neurodeploy.ir.decoding import decode_prefix
from neurodeploy.ir.neurons import Input
from neurodeploy.network import Network
from neurodeploy.verification.totals import summarize

HERE = Path(__file__).resolve().parent
RUNS = ("channel-norm=8,16,32,64,128", "graded=4")
GOAL = 0.98
# Maps of every step are kept while a batch runs: 100 MB of them at T = 128.
BATCH = 100


@dataclass(frozen=True, slots=True)
class Run:
    """One spiking network to convert and measure."""

    method: str
    decode: str
    timesteps: int

    def __str__(self) -> str:
        return f"{self.method} {self.decode} T={self.timesteps}"


@dataclass(frozen=True, slots=True)
class Row:
    """How one spiking network did: spikes of all but the inputs, elapsed time of the engine."""

    method: str
    decode: str
    timesteps: int
    map: float
    share_of_source: float
    spikes_per_image: float
    ms_per_image: float


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """The trained network, the canvases it is tested on and its mAP on them.

    Parameters
    ----------
    folder : Path
    factory : str
        What ``neurodeploy.convert`` takes as model.
    images : int
    truth : array ``[M, 6]``
        Rows of (image, class, x0, y0, x1, y1).
    map : float
    """

    folder: Path
    factory: str
    images: int
    truth: npt.NDArray[np.float32]
    map: float


def load_source(folder: Path, images: int) -> Source:
    """What ``train.py`` wrote, with the first so many test canvases."""
    slope = json.loads((folder / "detector.json").read_text())["slope"]
    with np.load(folder / "test.npz", allow_pickle=False) as archive:
        x, truth = archive["x"][:images], archive["boxes"]
    truth = truth[truth[:, 0] < len(x)]
    network = detector(slope)
    network.load_state_dict(torch.load(folder / "detector.pt", weights_only=True))
    score = mean_average_precision(detect(maps_of(network.eval(), x)), truth)
    factory = f"{HERE / 'detector.py'}:{'leaky' if slope else 'relu'}_detector"
    return Source(folder, factory, len(x), truth, score)


def measure(source: Source, run: Run, weight_bits: int, calibration_samples: int) -> Row:
    """Convert, quantize, run all test canvases, and read the boxes."""
    converted = nd.convert(
        source.factory,
        str(source.folder / "calibration.npz"),
        weights=source.folder / "detector.pt",
        method=run.method,
        timesteps=run.timesteps,
        decode=run.decode,
        calibration_samples=calibration_samples,
    )
    net = nd.quantize(converted, weight_bits=weight_bits)
    started = time.perf_counter()
    maps, spikes = answer(net, str(source.folder / "test.npz"), source.images)
    ms = (time.perf_counter() - started) / source.images * 1000
    score = mean_average_precision(detect(maps), source.truth)
    share = score / source.map if source.map else 0.0
    return Row(run.method, run.decode, run.timesteps, score, share, spikes, ms)


def answer(net: Network, data: str, images: int) -> tuple[npt.NDArray[np.float64], float]:
    """Decoded maps ``[N, 15, 8, 8]`` in the units of the source network, and spikes per image."""
    netlist = net.netlist
    stimulus, _ = stimulus_for(net, data, images)
    (output,) = netlist.outputs
    inputs = {p.name for p in netlist.populations if isinstance(p.model, Input)}
    maps, spikes = [], 0
    for first in range(0, images, BATCH):
        batch = {name: values[first : first + BATCH] for name, values in stimulus.items()}
        summary = summarize(netlist, batch)
        trace = summary.traces[output.population]
        maps.append(decode_prefix(netlist, output, trace, netlist.timesteps))
        spikes += sum(
            int(counts.sum())
            for name, counts in summary.spikes_per_sample.items()
            if name not in inputs
        )
    return np.concatenate(maps), spikes / images


def runs_of(methods: Iterable[str], decodes: Iterable[str]) -> list[Run]:
    """Every T of every ``METHOD=T,...`` with every decoding.

    Raises
    ------
    UsageError
        If a method comes without numbers of steps.
    """
    runs: list[Run] = []
    for text in methods:
        method, _, steps = text.partition("=")
        try:
            timesteps = [int(part) for part in steps.split(",")]
        except ValueError:
            raise UsageError(
                f"--run {text}: expected a method and whole numbers of steps, as in {RUNS[0]}"
            ) from None
        runs += [Run(method, decode, T) for decode in decodes for T in timesteps]
    return runs


def least_timesteps(rows: Iterable[Row]) -> dict[str, int | None]:
    """The shortest run of each method and decoding that reaches the goal; None: none does."""
    least: dict[str, int | None] = {}
    for row in rows:
        name = f"{row.method} {row.decode}"
        shortest = least.setdefault(name, None)
        if row.share_of_source >= GOAL and (shortest is None or row.timesteps < shortest):
            least[name] = row.timesteps
    return least


def table(source: Source, rows: list[Row]) -> str:
    """The rows as text, the source network first, and what reaches the goal."""
    lines = [
        f"{'network':<13} {'decode':<9} {'T':>4} {'mAP@0.5':>8} {'of source':>9}"
        f" {'spikes/image':>13} {'ms/image':>9}",
        f"{'source':<13} {'-':<9} {'-':>4} {source.map:8.4f} {1:9.1%} {'-':>13} {'-':>9}",
    ]
    lines += [
        f"{r.method:<13} {r.decode:<9} {r.timesteps:>4} {r.map:8.4f} {r.share_of_source:9.1%}"
        f" {r.spikes_per_image:13,.0f} {r.ms_per_image:9.1f}"
        for r in rows
    ]
    reached = [
        f"{name}: {'none of these' if T is None else f'T = {T}'}"
        for name, T in least_timesteps(rows).items()
    ]
    return "\n".join([*lines, f"at least {GOAL:.0%} of the source: {'; '.join(reached)}"])


def report(source: Source, rows: list[Row]) -> str:
    """The rows as JSON."""
    content = {
        "source_map": source.map,
        "images": source.images,
        "goal": GOAL,
        "least_timesteps": least_timesteps(rows),
        "rows": [asdict(row) for row in rows],
    }
    return json.dumps(content, indent=2)


def compare(
    source: Source, runs: list[Run], weight_bits: int, calibration_samples: int
) -> list[Row]:
    """A row for every run, each told as it comes."""
    rows = []
    for number, run in enumerate(runs, 1):
        print(f"[{number}/{len(runs)}] {run} ...", file=sys.stderr)
        row = measure(source, run, weight_bits, calibration_samples)
        rows.append(row)
        print(f"  mAP {row.map:.4f}, {row.share_of_source:.1%} of the source", file=sys.stderr)
    return rows


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="what train.py wrote")
    parser.add_argument(
        "--run",
        action="append",
        metavar="METHOD=T,...",
        help=f"a method of 'neurodeploy methods' and its T; repeat for more ({' and '.join(RUNS)})",
    )
    parser.add_argument("--decode", default="membrane,counts", help="(%(default)s)")
    parser.add_argument("--weight-bits", type=int, default=8, help="(%(default)s)")
    parser.add_argument(
        "--images", type=positive, default=500, help="the first so many test canvases (%(default)s)"
    )
    parser.add_argument("--calibration-samples", type=positive, default=256, help="(%(default)s)")
    parser.add_argument("--threads", type=positive, default=2, help="(%(default)s)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    try:
        runs = runs_of(given.run or RUNS, given.decode.split(","))
        source = load_source(given.folder, given.images)
        rows = compare(source, runs, given.weight_bits, given.calibration_samples)
    except FileNotFoundError as error:
        sys.exit(f"evaluate.py: {error.filename}: not there; run train.py -o {given.folder} first")
    except NeurodeployError as error:
        sys.exit(f"evaluate.py: {error}")
    print(report(source, rows) if given.json else table(source, rows))


if __name__ == "__main__":
    main()
