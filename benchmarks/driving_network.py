"""PilotNet of lava-dl against lava-dl's own netx on Lava: every spike of every layer, of one image.

``python -m benchmarks.driving_network FILE.net [--lava-dl PYTHON]`` after ``make
setup-frameworks``; Lava takes some minutes. The image is a drawn one; it enters as the bias of the
input block's neurons, as in lava-dl's tutorial.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
READER = ROOT / "tests" / "exchange"


def image(shape: tuple[int, ...], low: int, high: int) -> np.ndarray:
    """Smooth waves with noise: currents ``[C, H, W]`` over the whole range."""
    channels, rows, columns = shape
    y, x = np.mgrid[0:rows, 0:columns]
    waves = [0.5 + 0.5 * np.sin(x / 17 + c) * np.cos(y / 9 + c) for c in range(channels)]
    noise = 0.1 * np.random.default_rng(0).standard_normal(shape)
    value = np.clip(np.stack(waves) + noise, 0, 1)
    return np.floor(low + value * (high - low)).astype(np.int64)


def main() -> int:
    """Run both and compare; 1 where they differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    python = ROOT / ".venv-lava-dl" / "bin" / "python"
    parser.add_argument("--lava-dl", type=Path, default=python, help="a Python with lava-dl")
    parser.add_argument("--netx", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.netx is not None:
        netx(given.file, given.netx)
        return 0
    import neurodeploy as nd
    from neurodeploy.execution import run_engine

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = nd.import_network(given.file)
    (entry,) = net.integer.inputs
    current = image(entry.shape, entry.model.low, entry.model.high)  # type: ignore[union-attr]
    ours = run_engine(net.integer, {entry.name: current[None]}).spikes
    T, differ = net.integer.timesteps, 0
    with tempfile.TemporaryDirectory() as folder:
        np.savez(f"{folder}/in.npz", current=current, steps=T)
        call = [str(given.lava_dl), __file__, str(given.file), "--netx", folder]
        subprocess.run(call, check=True)
        theirs = dict(np.load(f"{folder}/out.npz"))
    names = [name for name in ours if name != entry.name]
    for i, name in enumerate(names):
        values = theirs[str(i)]
        # Lava's axes are the other way round, and each layer is a step later than the one before.
        own = values[..., i : i + T].T
        wrong = int((own != ours[name][0]).sum())
        differ += wrong
        print(f"{name:8} {int(ours[name].sum()):8} spikes, {wrong} differ")
    total = sum(int(ours[name].sum()) for name in names)
    print(f"{total} spikes of {len(names)} layers in {T} steps, {differ} differ")
    return int(differ > 0)


def netx(file: Path, folder: Path) -> None:
    """Run the file in netx on Lava; by the Python that has lava-dl."""
    sys.path.insert(0, str(READER))
    from netx_reader import without_torch  # type: ignore[import-not-found]

    without_torch()
    from lava.lib.dl.netx import hdf5
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.io.sink import RingBuffer as Sink

    given = np.load(folder / "in.npz")
    net = hdf5.Network(net_config=str(file), reset_interval=1000, reset_offset=0)
    bias = net.layers[0].neuron.bias_mant
    bias.init = np.ascontiguousarray(given["current"].T).reshape(bias.shape).astype(np.int32)
    total = int(given["steps"]) + len(net.layers) + 2
    sinks = []
    for layer in net.layers:
        sink = Sink(shape=layer.out.shape, buffer=total)
        layer.out.connect(sink.a_in)
        sinks.append(sink)
    net.run(condition=RunSteps(num_steps=total), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
    found = {str(i): sink.data.get() for i, sink in enumerate(sinks)}
    net.stop()
    np.savez(folder / "out.npz", **found)


if __name__ == "__main__":
    sys.exit(main())
