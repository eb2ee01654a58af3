"""Description of a netlist, as text and as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neurodeploy.ir.netlist import (
    IntegerNetlist,
    IntegerProjection,
    Population,
    Projection,
    RealNetlist,
)
from neurodeploy.ir.neurons import Input, MaxPool, Neuron
from neurodeploy.ir.printer import geometry_text, shape_text
from neurodeploy.network import Network
from neurodeploy.render.text import percent, render_table

AnyNetlist = RealNetlist | IntegerNetlist

HIDDEN_PROVENANCE = ("report",)
"""Long entries that have a table of their own."""


def model_text(population: Population) -> str:
    """One or two words about a population's model."""
    model = population.model
    if isinstance(model, Input):
        return f"{model.kind} {model.low}..{model.high}"
    if isinstance(model, MaxPool):
        return f"max-pool {shape_text(model.window.kernel)}"
    if population.is_integrator:
        return "integrator"
    return "signed neurons" if isinstance(model, Neuron) and model.signed else "neurons"


def threshold_range(population: Population) -> tuple[float | int, float | int] | None:
    """Smallest and largest threshold; None without."""
    model = population.model
    if not isinstance(model, Neuron) or model.threshold is None:
        return None
    return model.threshold.min().item(), model.threshold.max().item()


def _population_json(netlist: AnyNetlist, population: Population) -> dict[str, Any]:
    incoming = netlist.incoming[population.name]
    return {
        "name": population.name,
        "shape": list(population.shape),
        "neurons": population.size,
        "depth": netlist.schedule.depth[population.name],
        "model": model_text(population),
        "threshold": threshold_range(population),
        "fan_in": _fan_in(incoming),
        "synapses": sum(p.connectivity.n_synapses for p in incoming),
        "parameters": sum(p.connectivity.n_parameters for p in incoming),
        "source": population.source,
    }


def _fan_in(incoming: tuple[Projection, ...]) -> int | None:
    if not incoming:
        return None
    return int(np.sum([p.connectivity.fan_in() for p in incoming], axis=0).max())


def _projection_json(projection: Projection, delay: int) -> dict[str, Any]:
    connectivity = projection.connectivity
    bits: int | None = None
    exponent: list[int] | None = None
    if isinstance(projection, IntegerProjection):
        bits = projection.weight_bits
        exponent = [int(projection.exponent.min()), int(projection.exponent.max())]
    return {
        "pre": projection.pre,
        "post": projection.post,
        "connectivity": geometry_text(connectivity),
        "delay": delay,
        "weight_bits": bits,
        "exponent": exponent,
        "synapses": connectivity.n_synapses,
        "parameters": connectivity.n_parameters,
    }


def summarize_network(network: Network) -> dict[str, Any]:
    """Sizes, populations, projections, outputs, encodings and provenance, as JSON values."""
    netlist = network.netlist
    projections: tuple[Projection, ...] = netlist.projections
    spiking = [p for p in netlist.populations if not isinstance(p.model, Input)]
    return {
        "name": netlist.name,
        "kind": "integer" if isinstance(netlist, IntegerNetlist) else "real-valued",
        "timesteps": netlist.timesteps,
        "depth": netlist.schedule.max_depth,
        "dt_s": netlist.dt,
        "neurons": sum(p.size for p in spiking),
        "inputs": sum(p.size for p in netlist.inputs),
        "synapses": sum(p.connectivity.n_synapses for p in projections),
        "parameters": sum(p.connectivity.n_parameters for p in projections),
        "populations": [_population_json(netlist, p) for p in netlist.populations],
        "projections": [
            _projection_json(p, d)
            for p, d in zip(projections, netlist.schedule.delays, strict=True)
        ],
        "outputs": [dataclasses.asdict(o) for o in netlist.outputs],
        "encodings": {n: dataclasses.asdict(e) for n, e in network.encodings.items()},
        "provenance": dict(network.provenance),
    }


def headline(network: Network) -> str:
    """Name, kind and sizes in one line."""
    s = summarize_network(network)
    return (
        f"{s['name']}: {s['kind']} netlist, T = {s['timesteps']}, depth {s['depth']}, "
        f"{s['neurons']:,} neurons, {s['synapses']:,} synapses, {s['parameters']:,} parameters"
    )


def population_table(network: Network) -> str:
    """One line per population."""
    rows = []
    for p in summarize_network(network)["populations"]:
        rows.append(
            (
                p["name"],
                p["model"],
                shape_text(tuple(p["shape"])),
                p["neurons"],
                p["depth"],
                _range_text(p["threshold"]),
                p["fan_in"],
                p["synapses"] or None,
                p["parameters"] or None,
            )
        )
    headings = (
        *("population", "model", "shape", "neurons", "depth"),
        *("threshold", "fan-in", "synapses", "parameters"),
    )
    return render_table(headings, rows)


def _range_text(ends: tuple[float | int, float | int] | None) -> str | None:
    if ends is None:
        return None
    low, high = (str(v) if isinstance(v, int) else f"{v:.3g}" for v in ends)
    return low if low == high else f"{low}..{high}"


def projection_table(network: Network) -> str:
    """One line per projection."""
    whole = isinstance(network.netlist, IntegerNetlist)
    rows = []
    for p in summarize_network(network)["projections"]:
        row = [f"{p['pre']} -> {p['post']}", p["connectivity"], p["delay"]]
        if whole:
            row += [p["weight_bits"], _range_text(tuple(p["exponent"]))]
        rows.append((*row, p["synapses"], p["parameters"]))
    middle = ("bits", "exponent") if whole else ()
    headings = ("projection", "connectivity", "delay", *middle, "synapses", "parameters")
    return render_table(headings, rows)


def render_network(network: Network) -> str:
    """Everything that ``inspect`` prints of a netlist."""
    outputs = ", ".join(f"{o.population} ({o.decode})" for o in network.netlist.outputs)
    inputs = ", ".join(
        f"{name} ({e.encoder}, {e.levels} levels of [{e.low:g}, {e.high:g}])"
        for name, e in network.encodings.items()
    )
    return "\n\n".join(
        [
            headline(network),
            population_table(network),
            projection_table(network),
            f"input: {inputs or 'integers'}\noutput: {outputs or 'none'}",
            "provenance\n" + "\n".join(provenance_lines(network.provenance, 1)),
        ]
    )


def provenance_lines(values: Mapping[str, Any], level: int) -> list[str]:
    """Nested JSON values as indented lines, long reports left out."""
    lines = []
    for key, value in values.items():
        lead = "  " * level + key
        if key in HIDDEN_PROVENANCE:
            continue
        if isinstance(value, Mapping) and value:
            lines += [f"{lead}:", *provenance_lines(value, level + 1)]
        elif key == "commands" and isinstance(value, list):
            words = (c if isinstance(c, list) else [c] for c in value)
            lines += [f"{lead}:", *("  " * (level + 1) + " ".join(map(str, w)) for w in words)]
        else:
            shown = value if isinstance(value, str) else json.dumps(value)
            shown = "none" if value is None else shown
            lines.append(f"{lead}: {shown}")
    return lines


def render_written(network: Network, path: Path) -> str:
    """Report of ``convert``."""
    parts = [headline(network), population_table(network)]
    parts += deviation_lines(network.provenance)
    parts += fit_lines(network.provenance.get("curve_fits", ()))
    return "\n\n".join([*parts, f"wrote {path}"])


def deviation_lines(provenance: Mapping[str, Any]) -> list[str]:
    """Deviation of max-pooling out of plain neurons, a line per pooling."""
    return [
        f"{row['layer']}: max-pooling by neurons is off by {row['mean_error']:.3g} on average and "
        f"{row['largest_error']:.3g} at most; the maxima average {row['mean_maximum']:.3g}"
        for row in provenance.get("max_pooling_deviation", ())
    ]


def fit_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """How well units stand for curved functions, the worst fit by name."""
    if not rows:
        return []
    worst = max(rows, key=lambda row: row["error"])
    return [
        f"curves of {len(rows)} layer{'s' * (len(rows) != 1)} fitted on what calibration saw, at "
        f"most {percent(worst['error'])} off their spread: {worst['node']} by {worst['units']} "
        f"units on {worst['range'][0]:.3g} to {worst['range'][1]:.3g}"
    ]
