"""Mean average precision of the detector and of its spiking network, by T and by decoding.

::

    python examples/detection/evaluate.py --folder detection --timesteps 8,16,32

The folder is what ``train.py`` wrote. The spiking network is converted anew for every T, calibrated
on training canvases, quantized, and run by the fast engine; its maps come back in the units of the
source network, and the host reads the boxes of both alike.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from boxes import detect, mean_average_precision
from detector import detector
from train import maps_of

import neurodeploy as nd
from neurodeploy.api import stimulus_for
from neurodeploy.errors import NeurodeployError
from neurodeploy.ir.artifact import Artifact
from neurodeploy.ir.decoding import decode_prefix
from neurodeploy.ir.neurons import Input
from neurodeploy.verify.totals import summarize

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Row:
    """One spiking network: its mAP, spikes per image (inputs excluded) and CPU time."""

    method: str
    decode: str
    timesteps: int
    map: float
    share_of_source: float
    spikes_per_image: float
    ms_per_image: float


def answer(net: Artifact, data: str, images: int) -> tuple[np.ndarray, float]:
    """Decoded maps ``[N, 15, 8, 8]`` in the units of the source network, and spikes per image."""
    stimulus, _ = stimulus_for(net, data, images)
    (output,) = net.netlist.outputs
    summary = summarize(net.netlist, stimulus)
    maps = decode_prefix(
        net.netlist, output, summary.traces[output.population], net.netlist.timesteps
    )
    inputs = {p.name for p in net.netlist.populations if isinstance(p.model, Input)}
    counts = [n for name, n in summary.spikes_per_sample.items() if name not in inputs]
    return maps, float(sum(counts).mean())


def compare(
    folder: Path,
    steps: list[int],
    decodes: list[str],
    images: int,
    method: str,
    weight_bits: int,
    **options: Any,
) -> tuple[float, list[Row]]:
    """mAP of the source network, and a row for every T and decoding."""
    slope = json.loads((folder / "detector.json").read_text())["slope"]
    with np.load(folder / "test.npz", allow_pickle=False) as archive:
        x, truth = archive["x"][:images], archive["boxes"]
    truth = truth[truth[:, 0] < len(x)]
    network = detector(slope)
    network.load_state_dict(torch.load(folder / "detector.pt", weights_only=True))
    source = mean_average_precision(detect(maps_of(network.eval(), x)), truth)
    rows = []
    for decode in decodes:
        for timesteps in steps:
            converted = nd.convert(
                f"{HERE / 'detector.py'}:{'leaky' if slope else 'relu'}_detector",
                str(folder / "calibration.npz"),
                weights=folder / "detector.pt",
                method=method,
                timesteps=timesteps,
                decode=decode,
                **options,
            )
            net = nd.quantize(converted, weight_bits=weight_bits)
            started = time.perf_counter()
            maps, spikes = answer(net, str(folder / "test.npz"), len(x))
            seconds = time.perf_counter() - started
            score = mean_average_precision(detect(maps), truth)
            share = score / source if source else 0.0
            ms = seconds / len(x) * 1000
            rows.append(Row(method, decode, timesteps, score, share, spikes, ms))
            print(f"{method} {decode} T={timesteps}: mAP {score:.4f}", file=sys.stderr)
    return source, rows


def table(source: float, rows: list[Row]) -> str:
    """The rows as text, the source network first."""
    lines = [f"{'network':<13} {'decode':<9} {'T':>4} {'mAP@0.5':>8} {'of source':>9}"]
    lines[0] += f" {'spikes/image':>13} {'ms/image':>9}"
    lines.append(f"{'source':<13} {'-':<9} {'-':>4} {source:8.4f} {1:9.1%} {'-':>13} {'-':>9}")
    lines += [
        f"{r.method:<13} {r.decode:<9} {r.timesteps:>4} {r.map:8.4f} {r.share_of_source:9.1%}"
        f" {r.spikes_per_image:13,.0f} {r.ms_per_image:9.1f}"
        for r in rows
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="what train.py wrote")
    parser.add_argument("--timesteps", default="8,16,32")
    parser.add_argument("--decode", default="membrane,counts")
    parser.add_argument("--method", default="channel-norm")
    parser.add_argument("--weight-bits", type=int, default=8)
    parser.add_argument("--images", type=int, default=500, help="the first so many test canvases")
    parser.add_argument("--calibration-samples", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    if given.images < 1:
        parser.error("--images: at least 1 is needed")
    try:
        steps = [int(part) for part in given.timesteps.split(",")]
    except ValueError:
        parser.error(f"--timesteps {given.timesteps}: whole numbers are needed, as in 8,16,32")
    torch.set_num_threads(given.threads)
    try:
        source, rows = compare(
            given.folder,
            steps,
            given.decode.split(","),
            given.images,
            given.method,
            given.weight_bits,
            calibration_samples=given.calibration_samples,
        )
    except FileNotFoundError as error:
        sys.exit(f"evaluate.py: {error.filename}: not there; run train.py -o {given.folder} first")
    except NeurodeployError as error:
        sys.exit(f"evaluate.py: {error}")
    if given.json:
        print(json.dumps({"source_map": source, "rows": [asdict(row) for row in rows]}, indent=2))
    else:
        print(table(source, rows))


if __name__ == "__main__":
    main()
