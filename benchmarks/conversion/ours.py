"""Our cases: converted anew for each T, quantized, evaluated."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

import neurodeploy as nd
from benchmarks.conversion.cases import Case
from benchmarks.conversion.networks import CALIBRATION_IMAGES, data_of, model_of
from neurodeploy.api import stimulus_for
from neurodeploy.errors import NeurodeployError
from neurodeploy.execution import make_engine
from neurodeploy.ir.neurons import Input, MaxPool
from neurodeploy.network import Network

DEFAULT_BITS = 8
TIMED_IMAGES = 100
PAYLOAD_IMAGES = 40
PAYLOAD_BATCH = 5

# Binary input costs accuracy at few steps; the layers behind it can make up for some of it.
SPIKE_INPUT: tuple[tuple[str, dict[str, Any]], ...] = (
    ("rate", {"input": "rate", "bias_correction": 0}),
    ("rate", {"input": "rate"}),
    ("rate", {"input": "poisson"}),
    ("signed-memory", {"input": "rate"}),
)

# Fewer levels than steps: what the fewest spikes can say.
SPARSE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("local-threshold", {"levels": 1}),
    ("local-threshold", {"levels": 2}),
    ("rate", {"levels": 2, "normalization": "max", "initial_membrane": 0.35}),
)
# What further looks at the spikes that really arrive are worth.
REFINED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("graded", {"bias_correction": 1}),
    ("rate", {"bias_correction": 2}),
    ("signed-memory", {"bias_correction": 2}),
    ("channel-norm", {"bias_correction": 2}),
    ("rate", {"weight_correction": True}),
    ("signed-memory", {"weight_correction": True}),
    ("bistable", {"weight_correction": True}),
    ("momentum", {"weight_correction": True}),
    ("reserve", {"weight_correction": True}),
)


def our_cases(
    network: str, methods: Sequence[str], timesteps: Sequence[int], images: int, bits: int
) -> list[Case]:
    """Every method with its defaults, then few levels and more rounds, then spikes as input.

    Weights of few bits are rounded without data, as a file alone allows, and against it.
    """
    chosen = [(m, dict[str, Any]()) for m in methods]
    chosen += [
        (m, options)
        for m, options in (*SPARSE, *REFINED, *SPIKE_INPUT)
        if "rate" in methods and m in methods
    ]
    if bits < DEFAULT_BITS:
        chosen += [(m, {"rounding": "data"}) for m in methods]
    return [
        Case(network, method, T, images, {**options, "weight_bits": bits})
        for method, options in chosen
        for T in timesteps
    ]


def run_ours(case: Case) -> dict[str, Any]:
    """What a case gives; a refusal is its one line, and is not remembered."""
    options = dict(case.options)
    bits = options.pop("weight_bits")
    against_data = options.pop("rounding", None) == "data"
    model, weights = model_of(case.network)
    data = data_of(case.network)
    start = time.monotonic()
    try:
        converted = nd.convert(
            model,
            data,
            weights=weights,
            method=case.method,
            timesteps=case.timesteps,
            calibration_samples=CALIBRATION_IMAGES,
            **options,
        )
        net = nd.quantize(converted, bits, data=data if against_data else None)
        setup = time.monotonic() - start
        found = nd.evaluate(net, data, case.images)
    except NeurodeployError as error:
        return {"error": str(error), "passing": True}
    except Exception as error:
        # A long study goes on; the command's exit status tells of it.
        return {"error": f"DEFECT {type(error).__name__}: {error}", "passing": True, "defect": True}
    of_neurons, magnitude = emission_shares(net, data)
    return {
        "accuracy": found.accuracy,
        "source_accuracy": found.source_accuracy,
        "agreement": found.agreement,
        "spikes": found.spikes_per_inference,
        "neuron_spikes": found.spikes_per_inference * of_neurons,
        "payload": found.spikes_per_inference * magnitude,
        "cpu_ms": cpu_ms(net, data),
        "setup_s": setup,
        "steps": net.netlist.timesteps,
        "run_steps": net.netlist.n_steps,
        "chosen": converted.provenance.get("method"),
    }


def cpu_ms(net: Network, data: str) -> float:
    """CPU time of one image on the fast engine, answers and spike counts included."""
    engine = make_engine(net.netlist)
    stimulus, _ = stimulus_for(net, data, TIMED_IMAGES)
    engine.summarize({name: x[:2] for name, x in stimulus.items()})
    start = time.process_time()
    engine.summarize(stimulus)
    return 1e3 * (time.process_time() - start) / TIMED_IMAGES


def emission_shares(net: Network, data: str) -> tuple[float, float]:
    """Share of the emissions that is not of pooling, and their mean magnitude: first images."""
    netlist = net.netlist
    emitting = [
        p.name
        for p in netlist.populations
        if not isinstance(p.model, Input) and not p.is_integrator
    ]
    engine = make_engine(netlist)
    stimulus, _ = stimulus_for(net, data, PAYLOAD_IMAGES)
    emissions = neurons = 0
    magnitudes = 0.0
    for first in range(0, PAYLOAD_IMAGES, PAYLOAD_BATCH):
        batch = {name: x[first : first + PAYLOAD_BATCH] for name, x in stimulus.items()}
        for name, spikes in engine.run(batch, record=emitting).spikes.items():
            count = int(np.count_nonzero(spikes))
            emissions += count
            magnitudes += float(np.abs(spikes).sum(dtype=np.float64))
            if not isinstance(netlist.by_name[name].model, MaxPool):
                neurons += count
    return (neurons / emissions, magnitudes / emissions) if emissions else (1.0, 0.0)
