"""Images per second of the fast engine beside float simulators, Brian2 and Lava.

    make bench, or, with the peers set up: .venv-bench/bin/python -m benchmarks.engine_speed

lenet_mnist, converted and quantized to 8 bits; same images, batch, steps and threads for all;
set-up (conversion, compilation, building networks) excluded; contenders take turns in one process
and the median counts. The engine's run is compared with the reference, bit for bit, in the same
process; Brian2's and Lava's too.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

import neurodeploy as nd
from benchmarks.speed.contender import Contender, time_in_turn
from benchmarks.speed.event_peers import brian2, lava
from benchmarks.speed.float_peers import float_peers
from neurodeploy.api import stimulus_for
from neurodeploy.ir.record import RunRecord
from neurodeploy.ir.reference import run_reference
from neurodeploy.simulate import make_engine

ROOT = Path(__file__).resolve().parent.parent


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--samples", type=int, default=20, help="images in the batch")
    parser.add_argument("--timesteps", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--without", default="", help="comma-separated: floats, brian2, lava")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    torch.set_num_threads(options.threads)
    limit_blas(options.threads)
    without = set(filter(None, options.without.split(",")))
    zoo, data = options.shared / "models" / "zoo.py", options.shared / "data" / "mnist"
    real = nd.convert(
        f"{zoo}:lenet_mnist",
        f"mnist:{data}",
        weights=options.shared / "models" / "lenet_mnist.pt",
        method="rate",
        timesteps=options.timesteps,
    )
    integer = nd.quantize(real, 8)
    stimulus, images = stimulus_for(integer, f"mnist:{data}@test", options.samples)
    netlist = integer.integer
    outputs = [o.population for o in netlist.outputs]
    names = [p.name for p in netlist.populations]
    truth = run_reference(netlist, stimulus, membranes=names)

    engine = make_engine(netlist)
    compare(engine.run(stimulus, membranes=names), truth)
    floats = make_engine(real.netlist)
    x = torch.tensor(np.asarray(images.x), dtype=torch.float32)
    contenders = [
        Contender("neurodeploy engine, integer, exact", once(engine, stimulus, outputs)),
        Contender("neurodeploy engine, real, float32", once(floats, stimulus, outputs)),
        Contender(
            "neurodeploy reference (NumPy)",
            lambda: void(run_reference(netlist, stimulus, record=outputs)),
        ),
    ]
    if "floats" not in without:
        contenders += float_peers(source_network(zoo), x, options.timesteps)
    for name, build in (("brian2", brian2), ("lava", lava)):
        if name not in without:
            contenders.append(build(integer, stimulus, outputs, lambda run: compare(run, truth)))
    time_in_turn(contenders, options.repeats)
    report(contenders, options)
    return 0


def limit_blas(threads: int) -> None:
    """Give NumPy's matrix products the same threads."""
    if importlib.util.find_spec("threadpoolctl") is None:
        print("threadpoolctl is not installed: NumPy keeps its own number of threads")
        return
    from threadpoolctl import threadpool_limits

    threadpool_limits(threads)


def source_network(zoo: Path) -> torch.nn.Sequential:
    """The trained network, from the file that ``convert`` read."""
    spec = importlib.util.spec_from_file_location("zoo", zoo)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    network = module.load("lenet_mnist")
    assert isinstance(network, torch.nn.Sequential)
    return network


def once(engine: Any, stimulus: Any, outputs: list[str]) -> Any:
    return lambda: void(engine.run(stimulus, record=outputs))


def void(_: object) -> None:
    """Forget a result: what a contender returns would be taken for seconds."""


def compare(run: RunRecord, truth: RunRecord) -> None:
    """Stop the benchmark at the first difference."""
    for ours, theirs in ((run.spikes, truth.spikes), (run.membranes, truth.membranes)):
        for name, values in ours.items():
            if not np.array_equal(values, theirs[name]):
                raise SystemExit(f"{name}: differs from the reference; no speed is worth that")


def report(contenders: list[Contender], options: argparse.Namespace) -> None:
    print(
        f"lenet_mnist, T = {options.timesteps}, batch {options.samples}, "
        f"{options.threads} thread(s), {platform.machine()}, torch {torch.__version__}, "
        f"numpy {np.__version__}, Python {platform.python_version()}"
    )
    print("engine equals the reference in every spike and membrane of this batch")
    print(f"{'':44} {'ms/image':>10} {'images/s':>10} {'engine is':>10}")
    rows = []
    mine = contenders[0].median_s
    for contender in contenders:
        if contender.run is None:
            print(f"{contender.name:44} not measured: {contender.why}")
            rows.append({"name": contender.name, "images_per_s": None, "why": contender.why})
            continue
        per_image = contender.median_s / options.samples
        print(
            f"{contender.name:44} {per_image * 1e3:10.2f} {1 / per_image:10.1f} "
            f"{contender.median_s / mine:9.1f}x"
        )
        seconds = [round(s, 6) for s in contender.seconds]
        rows.append({"name": contender.name, "images_per_s": 1 / per_image, "seconds": seconds})
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
