"""What the steps of a deploy came to, in one line each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.neurons import Input
from neurodeploy.network import Network
from neurodeploy.verification.accuracy import Evaluation
from neurodeploy.verification.verification import Verification


def choice_line(net: Network) -> str:
    """The method, and what was measured of it where ``auto`` chose it."""
    auto = net.provenance.get("auto")
    if auto is None:
        return f"{net.provenance['method']['name']} at T = {net.netlist.timesteps}"
    if not auto["met"]:
        return str(auto["reason"])
    chosen = auto["chosen"]
    return (
        f"{chosen['method']} at T = {chosen['timesteps']} {chosen['text']}, "
        f"{chosen['spikes']:.0f} spikes an inference"
    )


def network_line(net: Network) -> str:
    """What a spiking network is that was given as it is."""
    netlist = net.netlist
    kind = "integer" if isinstance(netlist, IntegerNetlist) else "real-valued"
    neurons = sum(p.size for p in netlist.populations if not isinstance(p.model, Input))
    return f"{netlist.name}, {kind} netlist, T = {netlist.timesteps}, {neurons:,} neurons"


def accuracy_line(found: Evaluation, kind: str) -> str:
    """Accuracy with its interval beside the source network's, or what stands for it."""
    spikes = f"{found.spikes_per_inference:.0f} spikes per inference"
    between = found.accuracy_interval
    if found.accuracy is None or between is None:
        errors = (f"{name}: off by {e} of its spread" for name, e in found.relative_error.items())
        return ", ".join([*errors, spikes])
    low, high = (f"{100 * end:.1f}" for end in between)
    source = found.source_accuracy
    before = "" if source is None else f"source {100 * source:.1f} % -> "
    return (
        f"{before}{kind} {100 * found.accuracy:.1f} % ({low} .. {high}) of {found.samples} "
        f"samples, {spikes}"
    )


def widths_line(report: Sequence[Mapping[str, Any]]) -> str:
    """The widths of the weights, and the layer that loses most of them."""
    bits = sorted({row["weight_bits"] for row in report})
    known = [row for row in report if row["weight_snr_db"] is not None]
    told = f"weights of {' and '.join(map(str, bits))} bits"
    if not known:
        return told
    worst = min(known, key=lambda row: float(row["weight_snr_db"]))
    return f"{told}, their least SNR {worst['weight_snr_db']:.1f} dB in {worst['layer']}"


def comparison_line(found: Verification) -> str:
    """``exact``, or where it first differs."""
    steps = f"{sum(found.compared_neuron_steps.values()):,} neuron-steps"
    names = ", ".join(found.mismatches)
    if found.exact:
        return f"exact: 0 mismatches against {names} in {steps}"
    n = sum(sum(per.values()) for per in found.mismatches.values())
    return f"NOT EXACT: {n} mismatches against {names} in {steps}; first: {found.first}"
