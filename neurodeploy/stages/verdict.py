"""Whether a board can run a network, and what would make it fit."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

from neurodeploy.datasets import EventSamples, Samples, SamplesLike
from neurodeploy.errors import NeurodeployError
from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.fit import Verdict
from neurodeploy.network import Network
from neurodeploy.stages.compile import chosen_board
from neurodeploy.stages.fan_in_check import SEARCHED_SYNAPSES
from neurodeploy.stages.load import opened_network
from neurodeploy.stages.samples import encoded_samples
from neurodeploy.stages.smallest_board import smallest_board
from neurodeploy.targets.registry import TARGETS, target_for

COST_SAMPLES = 64
"""Samples on which the cost of a remedy is measured, where nobody says how many."""
UNMEASURED = " (what that costs is not measured: ask with --data)"


def verdict(
    net: Network | str | Path,
    board: str | Board,
    target: str | None = None,
    data: SamplesLike | None = None,
    samples: int = COST_SAMPLES,
) -> Verdict:
    """Whether a board can run a network: fits, fits with assumptions, or does not fit.

    Parameters
    ----------
    net : Network or path
        Quantized.
    board : str or Board
    target : str, optional
        Asked about the boards that it runs; the first target of their kind about the others.
    data : Samples or what they are made from, optional
        Its test split unless it says otherwise. On its first samples the cost of a remedy that
        needs no conversion is measured.
    samples : int
        So many at most.

    Returns
    -------
    Verdict
        With the command that would make it fit, where it does not.
    """
    network, on = opened_network(net, "verdict"), chosen_board(board)
    found: Verdict = TARGETS.get(target_for(on, target))().verdict(network.integer, on)
    dataset = None if data is None else encoded_samples(network, data)[1]
    return with_remedy(found, network, on, target, dataset, samples)


def with_remedy(
    found: Verdict,
    network: Network,
    board: Board,
    target: str | None = None,
    data: Samples | EventSamples | None = None,
    samples: int = COST_SAMPLES,
) -> Verdict:
    """A verdict with what would make the network fit, where it does not.

    In this order: other widths of the same netlist, which are tried; another conversion; the
    smallest board of the kind that holds it as it is.
    """
    if found.fits:
        return found
    parts = []
    narrowed = _narrowed(found, network, board, target)
    if narrowed is not None:
        cost = UNMEASURED if data is None else _cost(network, narrowed, data, samples)
        parts.append(f"'neurodeploy quantize NET.ndn --fit {board.asked_as}' makes it fit{cost}")
    elif board.kind == "neurocore" and any("convert with" in v.remedy for v in found.violations):
        parts.append(
            f"'neurodeploy convert --board {board.asked_as}' looks for a code that fits"
            + _tried(network)
        )
    other = smallest_board(network, {board.kind}, target)
    if other is None:
        parts.append(f"no {board.kind} board that comes with neurodeploy holds it as it is")
    else:
        parts.append(f"the smallest board that holds it is {other}")
    return replace(found, remedy="; ".join(parts))


def _narrowed(found: Verdict, network: Network, board: Board, target: str | None) -> Network | None:
    """The same netlist as ``quantize --fit`` makes it, if that makes it fit."""
    from neurodeploy.quantization.integers import Quantization
    from neurodeploy.stages.fit import fit_layer_bits, within

    if network.real is None:
        return None
    given = network.provenance.get("quantization", {})
    wanted = Quantization(neuron=given.get("neuron", "free"))
    try:
        if board.kind == "crossbar":
            axons = all("axon" in violation.resource for violation in found.violations)
            synapses = sum(q.connectivity.n_synapses for q in network.real.projections)
            if not axons or synapses > SEARCHED_SYNAPSES:
                return None
            wanted = replace(wanted, feedback=False)
            chosen = fit_layer_bits(network.real, wanted, board, target=target)
        elif board.kind == "neurocore" and found.remedied_by_widths:
            chosen = within(wanted, board)
        else:
            return None
        if all(given.get(name) == value for name, value in asdict(chosen).items()):
            return None
        integer, _ = chosen(network.real)
    except NeurodeployError:
        return None
    if not TARGETS.get(target_for(board, target))().verdict(integer, board).fits:
        return None
    return replace(network, netlist=integer)


def _cost(network: Network, narrowed: Network, data: Samples | EventSamples, samples: int) -> str:
    """Cost of the remedy on the first samples of the data, in what can be measured of it."""
    from neurodeploy.stages.evaluate import evaluate

    data = data.first(min(len(data), samples))
    before, after = (evaluate(net, data) for net in (network, narrowed))
    lost = after.against(before)
    if lost is not None:
        return f" and costs {lost}"
    on = f"on the first {after.samples} samples"
    if before.agreement is not None and after.agreement is not None:
        shares = [f"{100 * share:.1f} %" for share in (after.agreement, before.agreement)]
        return f"; then it agrees with the source network on {shares[0]}, now on {shares[1]}, {on}"
    errors = [
        max(found.relative_error.values(), key=lambda error: error.worst, default=None)
        for found in (after, before)
    ]
    if None in errors:
        return " (what that costs cannot be measured: neither labels nor a source network)"
    return f"; then it is off by {errors[0]}, now by {errors[1]} of the outputs' spread, {on}"


def _tried(network: Network) -> str:
    """What the automatic conversion measured of binary spikes, or that nobody did."""
    from neurodeploy.conversion.registry import METHODS

    rows = network.provenance.get("auto", {}).get("tried") or ()
    known = [
        row
        for row in rows
        if row.get("loss") is not None
        and row.get("method") in METHODS
        and METHODS.get(row["method"]).emits == "binary"
    ]
    if not known:
        return " and tells what it costs, which nobody has measured yet"
    best = min(known, key=lambda row: row["loss"])
    told = best.get("text") or f"loses {best['loss']:.1f}"
    return f" ({best['method']} at T = {best['timesteps']} {told} on the calibration data)"
