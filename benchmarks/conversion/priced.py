"""Codes of one network on a board: agreement, spikes, steps, time and energy; peers beside them.

    python -m benchmarks.conversion.priced resnet20_cifar10 --board kapoho-point --images 200
    python -m benchmarks.conversion.priced resnet20_cifar10 --codes radix=12 --peers

Each code is converted, with the study's calibration and 8-bit weights, answers the first test
images, and is priced on the exact spikes of the first few of them: likely figures, and what else
is known of them as ``neurodeploy energy`` tells. Peers compute in float32 on the same images; a
board has no figures for them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from benchmarks.conversion.__main__ import one_thread
from benchmarks.conversion.cases import Case
from benchmarks.conversion.networks import CALIBRATION_IMAGES, DATA, data_of, model_of
from benchmarks.conversion.peers import FUNCTIONAL, run_peers
from neurodeploy.errors import NeurodeployError

CODES = (
    *(("graded", 2), ("momentum", 8), ("radix", 12), ("reserve", 33), ("rate", 32)),
    ("bistable", 32),
)
PEERS = (("sinabs:multi-spike", 32), ("spikingjelly:max", 32))
PRICED_IMAGES = 2
HEADS = (
    *("code                                  ", "T ", "steps", "agree %", "spikes ", "a neuron"),
    *("time, ms", "energy, mJ", "of events, mJ"),
)


def run(text: str) -> tuple[str, int]:
    """What is to run and its time steps, of ``NAME=T``."""
    name, _, steps = text.rpartition("=")
    if not name or not steps.isdecimal() or not int(steps):
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME=T")
    return name, int(steps)


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.conversion.priced",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("network", choices=DATA)
    parser.add_argument("--board", default="kapoho-point")
    parser.add_argument("--images", type=int, default=200, help="first test images")
    parser.add_argument("--codes", type=run, nargs="*", default=CODES, help="METHOD=T ...")
    parser.add_argument("--peers", type=run, nargs="*", default=PEERS, help="PEER:MODE=T ...")
    options = parser.parse_args(given)
    one_thread()
    print(f"{options.network} on {options.board}, {options.images} images, 8-bit weights")
    print("  ".join(HEADS))
    for method, steps in options.codes:
        try:
            figures = ours(options.network, options.board, options.images, method, steps)
        except NeurodeployError as error:
            print(f"{method}: {error}")
            continue
        show(method, steps, figures)
    form = {"form": "nn.ReLU"} if options.network in FUNCTIONAL else {}
    for name, steps in options.peers:
        peer, _, mode = name.partition(":")
        case = Case(options.network, peer, steps, options.images, {"mode": mode, **form})
        ((_, found),) = run_peers([case])
        if "error" in found:
            print(f"{name}: {found['error']}")
            continue
        agreement, spikes = f"{100 * found['agreement']:.1f}", f"{found['spikes']:.0f}"
        show(name, steps, ["-", agreement, spikes, *"----"])
    return 0


def ours(network: str, board: str, images: int, method: str, timesteps: int) -> list[str]:
    """Figures of one code: steps, agreement, spikes, spikes per neuron, ms, mJ, mJ of events."""
    import neurodeploy as nd
    from neurodeploy.ir.neurons import IntegerNeuron

    model, weights = model_of(network)
    data = data_of(network)
    net = nd.quantize(
        nd.convert(
            model,
            data,
            weights=weights,
            method=method,
            timesteps=timesteps,
            calibration_samples=CALIBRATION_IMAGES,
        ),
        8,
    )
    found = nd.evaluate(net, data, images)
    price = nd.estimate_energy(net, board, data, PRICED_IMAGES)
    neurons = sum(
        p.size
        for p in net.netlist.populations
        if isinstance(p.model, IntegerNeuron) and p.model.fires
    )
    assert found.agreement is not None
    return [
        str(net.netlist.n_steps),
        f"{100 * found.agreement:.1f}",
        f"{found.spikes_per_inference:.0f}",
        f"{found.spikes_per_inference / neurons:.2f}",
        f"{1e3 * price.time_s:.3g}",
        f"{1e3 * price.total_j:.3g}",
        f"{1e3 * price.dynamic_j:.3g}",
    ]


def show(name: str, timesteps: int, figures: Sequence[str]) -> None:
    """One row."""
    row = zip((name, str(timesteps), *figures), HEADS, strict=True)
    print("  ".join(cell.ljust(len(head)) for cell, head in row).rstrip(), flush=True)


if __name__ == "__main__":
    sys.exit(main())
