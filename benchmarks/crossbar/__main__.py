"""Crossbar cores on trained networks: ``python -m benchmarks.crossbar``.

Four tables: networks spike for spike against the engine, with their cores over the lower bound;
what each layer got; how far what was approximated deviates; and accuracy by weight bits, uniform
grids (powers of two) against levels fitted to the weights with as many axon copies. Needs the
trained networks and data sets that lie beside the repository in ``../shared`` (or where
NEURODEPLOY_SHARED points).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import neurodeploy as nd
from benchmarks.accuracy import SHARED
from neurodeploy.network import Network
from neurodeploy.render.text import render_table
from neurodeploy.verification.deviation import Deviation

ROOT = Path(__file__).resolve().parents[2]
WIDTHS = (2, 3, 4, 5)
MNIST = f"mnist:{SHARED}/data/mnist"


def converted(weights: str, model: str, timesteps: int, **options: Any) -> Network:
    """A network that crossbars can run: spikes in, counts out."""
    return nd.convert(
        model,
        MNIST,
        weights=SHARED / f"models/{weights}.pt",
        method="rate",
        timesteps=timesteps,
        calibration_samples=256,
        input="spikes",
        decode="counts",
        **options,
    )


def lenet() -> Network:
    """lenet_mnist, its maxima from plain neurons; 3 bits, 2 in the second convolution.

    Without fractional bits membranes stay small, and gates and ramps with them.
    """
    model = f"{SHARED}/models/zoo.py:lenet_mnist"
    real = converted("lenet_mnist", model, 16, max_pooling="identity")
    return nd.quantize(real, 3, layer_bits={"relu_6": 2}, state_bits=18, max_fraction_bits=0)


def averaged_lenet() -> Network:
    """lenet_mnist with the mean in place of the maximum, 3 bits throughout."""
    model = f"{ROOT}/tests/integration/averaged_lenet.py:averaged_lenet"
    real = converted("lenet_mnist", model, 16)
    return nd.quantize(real, 3, state_bits=18, max_fraction_bits=0)


def run(
    name: str, net: Network, images: int, samples: int, **options: Any
) -> tuple[dict[str, Any], Any, list[dict[str, Any]]]:
    """Compile, verify, evaluate and price one network; with the rows of its deviation."""
    start = time.monotonic()
    deployment = nd.compile(net, "truenorth", **options)
    seconds = time.monotonic() - start
    used = deployment.utilization()
    checked = nd.verify(deployment, "engine", MNIST, images)
    accuracy = nd.evaluate(deployment.network, MNIST, samples).accuracy
    assert accuracy is not None
    energy = nd.estimate_energy(deployment, None, MNIST, 1)
    row = {
        "network": name,
        "T": net.netlist.timesteps,
        "cores": used["cores"],
        "bound": used["core_bound"],
        "cores / bound": round(used["cores"] / used["core_bound"], 3),
        "ticks per step": used["ticks_per_step"],
        "ticks": used["ticks_per_sample"],
        "inference ms": round(1e3 * used["inference_s"], 1),
        "inference mJ": round(1e3 * energy.total_j, 3),
        "images": images,
        "neuron-steps": sum(checked.compared_neuron_steps.values()),
        "mismatches": sum(sum(m.values()) for m in checked.mismatches.values()),
        "accuracy %": round(100 * accuracy, 1),
        "compile s": round(seconds, 1),
    }
    return row, used["layers"], deviation_rows(name, checked.deviation)


def deviation_rows(name: str, deviation: Deviation | None) -> list[dict[str, Any]]:
    """How far the populations of an approximated network are from those of the given one."""
    found = {} if deviation is None else deviation.populations
    return [
        {
            "network": name,
            "population": population,
            "neuron-steps": part.neuron_steps,
            "differ %": round(100 * part.share, 2),
            "spikes given": part.spikes_given,
            "spikes stated": part.spikes_stated,
        }
        for population, part in found.items()
    ]


def joined_rails(layers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The chunks of one population as one layer: the counts added, the largest fan-in."""
    found: dict[str, dict[str, Any]] = {}
    for layer in layers:
        name = layer["population"]
        whole = name.split(".rails")[0] + ".rails" if ".rails" in name else name
        sofar = found.setdefault(whole, {**layer, "population": whole, "cores": 0, "core_bound": 0})
        sofar["cores"] += layer["cores"]
        sofar["core_bound"] += layer["core_bound"]
        sofar["fan_in"] = max(sofar["fan_in"], layer["fan_in"])
    return list(found.values())


def layer_rows(name: str, layers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What split and whole layers got."""
    keys = (
        "population",
        "fan_in",
        "cores",
        "partial_cores",
        "core_bound",
        "burst",
        "ramp",
        "gate_axons",
    )
    return [
        {"network": name, **{k.replace("_", " "): layer[k] for k in keys}}
        for layer in joined_rails(layers)
    ]


def width_rows(net: Network, samples: int) -> list[dict[str, Any]]:
    """Accuracy of one network by weight bits, on uniform and on fitted levels."""
    rows = []
    for bits in WIDTHS:
        row: dict[str, Any] = {"weight bits": bits}
        for levels in ("uniform", "fitted"):
            integer = nd.quantize(net, bits, levels=levels, state_bits=19)
            report = integer.provenance["quantization"]["report"]
            found = nd.evaluate(integer, MNIST, samples)
            assert found.accuracy is not None
            row[f"{levels} SNR dB"] = round(min(r["weight_snr_db"] for r in report), 1)
            row[f"{levels} %"] = round(100 * found.accuracy, 2)
        rows.append(row)
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Rows with the same keys."""
    return render_table(list(rows[0]), [list(row.values()) for row in rows])


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.crossbar",
        description=__doc__.splitlines()[0] if __doc__ else None,
    )
    parser.add_argument("--images", type=int, default=5, help="verified spike for spike")
    parser.add_argument("--samples", type=int, default=1000, help="for the accuracy by weight bits")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not SHARED.is_dir():
        sys.exit(f"{SHARED}: no such folder; set NEURODEPLOY_SHARED to the reference networks")
    real = converted("grouped_mnist", f"{SHARED}/models/zoo.py:grouped_mnist", 32)
    grouped = nd.quantize(real, 3, fit="truenorth")
    runs, layers, deviations = [], [], []
    for name, net, settings in (
        ("grouped_mnist", grouped, {}),
        ("averaged lenet_mnist", averaged_lenet(), {"split": "exact"}),
        ("lenet_mnist", lenet(), {"split": "exact"}),
        ("lenet_mnist, approximated", lenet(), {"split": "approximate"}),
    ):
        row, used, apart = run(name, net, options.images, options.samples, **settings)
        runs.append(row)
        layers += layer_rows(name, used)
        deviations += apart
    widths = width_rows(real, options.samples)
    if options.json:
        print(
            json.dumps(
                {"networks": runs, "layers": layers, "deviation": deviations, "levels": widths},
                indent=1,
            )
        )
        return
    print("\n\n".join(table(rows) for rows in (runs, layers, deviations, widths)))
    print(f"\nlevels: grouped_mnist, {options.samples} test images; SNR of the worst layer")


if __name__ == "__main__":
    main()
