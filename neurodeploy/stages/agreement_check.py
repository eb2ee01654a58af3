"""Does a spiking network answer as its source? A method that fails is told, and what would help.

A share of samples below ``LEAST_AGREEMENT`` may be chance: only counts that a network at that share
would give less than once in a hundred times are told. Where few samples leave it open, more of them
are run, as long as they look bad.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neurodeploy.datasets import Samples
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.decoding import classify, decode_prefix
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.network import Network
from neurodeploy.targets.registry import own_methods
from neurodeploy.verification.accuracy import task_of
from neurodeploy.verification.agreement import evaluate_source
from neurodeploy.verification.statistics import SURE, at_least

LEAST_AGREEMENT = 0.9
FIRST_SAMPLES, MOST_SAMPLES, LEAST_SAMPLES = 32, 256, 8
STEPS = 2**29
"""Neuron-steps of all samples: ten seconds or so, spent only where the first ones look bad."""
FIRST_STEPS = 2**27
"""Neuron-steps of the first ones: seconds."""
FEW_BITS = 8
"""Weight bits below which rounding is a cause."""
SURER: tuple[str, ...] = ("graded", "radix", "momentum", "signed-memory")
"""Methods that lose least in deep networks, the surest first."""
NO_GAIN = ("ternary",)
"""Methods that more time steps do not help."""


def counted_agreement(net: Network, dataset: Samples) -> tuple[int, int] | None:
    """Samples of the same class as the source network's, and samples run; None without classes.

    Parameters
    ----------
    net : Network
    dataset : Samples
        Calibration samples; the first ones are run, more of them where many differ.
    """
    from neurodeploy.stages.samples import stimulus_for
    from neurodeploy.verification.totals import summarizer

    output, graph = net.netlist.outputs[0], net.analog
    classes = task_of(net, dataset.y is not None) == "classes" and output.decode != "softmax"
    if graph is None or not classes:
        return None
    run = summarizer(net.netlist)
    steps = sum(p.size for p in net.netlist.populations) * net.netlist.timesteps
    most = min(len(dataset), MOST_SAMPLES, max(LEAST_SAMPLES, STEPS // steps))
    until = min(most, FIRST_SAMPLES, max(LEAST_SAMPLES, FIRST_STEPS // steps))
    agreeing = n = 0
    while True:
        data = dataset.subset(range(n, until))
        stimulus, _ = stimulus_for(net, data)
        found = run(stimulus)
        trace = found.traces[output.population]
        ours = decode_prefix(net.netlist, output, trace, found.timesteps)
        name = graph.outputs[0]
        given: AnyArray | Mapping[str, AnyArray] = data.inputs_for(graph.inputs)
        theirs = evaluate_source(graph, given, [name])[name]
        agreeing += int((classify(ours).labels == classify(theirs).labels).sum())
        n = until
        if n >= most or agreeing >= LEAST_AGREEMENT * n or is_sure(agreeing, n):
            return agreeing, n
        until = min(most, 2 * n)


def is_sure(agreeing: int, n: int) -> bool:
    """Whether so few agreeing samples tell an agreement below ``LEAST_AGREEMENT``."""
    return at_least(n - agreeing, n, 1 - LEAST_AGREEMENT) < SURE


def agreement_warning(net: Network, agreeing: int, n: int, samples: str) -> str | None:
    """One line where a network fails: the share, of how many samples, and what would help.

    Parameters
    ----------
    net : Network
    agreeing, n : int
        Samples of the same class, and all of them.
    samples : str
        What they are: ``"calibration samples"``.
    """
    if not is_sure(agreeing, n):
        return None
    netlist = net.netlist
    method: Mapping[str, Any] = net.provenance.get("method", {})
    name = method.get("name")
    layers = netlist.schedule.max_depth
    by = f"{name} at T = {netlist.timesteps}" if name else f"T = {netlist.timesteps}"
    return (
        f"{netlist.name}: gives its source network's answer to {100 * agreeing / n:.1f} % of {n} "
        f"{samples}, below {100 * LEAST_AGREEMENT:g} ({by}, {layers} layers in a row): "
        f"{_remedies(net, name)}; 'neurodeploy diagnose' tells which layer loses"
    )


def _remedies(net: Network, method: str | None) -> str:
    from neurodeploy.conversion.registry import METHODS, dearer_maximum

    found = []
    quantization = net.provenance.get("quantization", {})
    bits = quantization.get("weight_bits", FEW_BITS)
    if isinstance(net.netlist, IntegerNetlist) and bits < FEW_BITS:
        more = "" if quantization.get("calibration") else ", or --data to round them against"
        found.append(f"more weight bits (now {bits}){more}")
    if method is None:
        return " or ".join(found) or "more time steps in its training"
    if method not in own_methods():
        *others, last = (name for name in SURER if name in METHODS and name != method)
        found.append(f"--method {', '.join(others)} or {last}")
    else:
        used = net.provenance["method"].get("max_pooling")
        if (other := dearer_maximum(method, net.analog, used)) is not None:
            found.append(f"--max-pooling {other}")
    if method not in NO_GAIN:
        found.append(f"more time steps (--timesteps {2 * net.netlist.timesteps})")
    return f"try {', or '.join(found)}"
