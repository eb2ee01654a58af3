"""Whether a board can run a network, and what would make it fit."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

from neurodeploy.datasets import EventSamples, Samples
from neurodeploy.errors import NeurodeployError
from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.fit import Verdict
from neurodeploy.network import Network
from neurodeploy.stages.compile import chosen_board
from neurodeploy.stages.load import opened_network
from neurodeploy.stages.smallest_board import smallest_board
from neurodeploy.targets.registry import TARGETS, target_for

COST_SAMPLES = 64
"""Samples on which the cost of a remedy is measured."""


def verdict(
    net: Network | str | Path,
    board: str | Board,
    target: str | None = None,
    data: Samples | EventSamples | None = None,
) -> Verdict:
    """Whether a board can run a network: fits, fits with assumptions, or does not fit.

    Parameters
    ----------
    net : Network or path
        Quantized.
    board : str or Board
    target : str, optional
        Asked about the boards that it runs; the first target of their kind about the others.
    data : Samples or EventSamples, optional
        On its first samples the cost of a remedy that needs no conversion is measured.

    Returns
    -------
    Verdict
        With the command that would make it fit, where it does not.
    """
    network, on = opened_network(net, "verdict"), chosen_board(board)
    found: Verdict = TARGETS.get(target_for(on, target))().verdict(network.integer, on)
    return with_remedy(found, network, on, target, data)


def with_remedy(
    found: Verdict,
    network: Network,
    board: Board,
    target: str | None = None,
    data: Samples | EventSamples | None = None,
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
        cost = "" if data is None else _cost(network, narrowed, data)
        parts.append(f"'neurodeploy quantize NET.ndn --fit {board.name}' makes it fit{cost}")
    elif board.kind == "neurocore" and any("convert with" in v.remedy for v in found.violations):
        parts.append(
            f"'neurodeploy convert --board {board.name}' looks for a code that fits"
            + _tried(network)
        )
    other = smallest_board(network, {board.kind}, target)
    if other is None:
        parts.append(f"no {board.kind} board that comes with neurodeploy holds it")
    else:
        parts.append(f"the smallest board that holds it is {other}")
    return replace(found, remedy="; ".join(parts))


def _narrowed(found: Verdict, network: Network, board: Board, target: str | None) -> Network | None:
    """The same netlist in the board's widths, if that makes it fit."""
    from neurodeploy.quantization.integers import Quantization
    from neurodeploy.stages.fit import within

    widths = found.remedied_by_widths
    if network.real is None or board.kind != "neurocore" or not widths:
        return None
    given = network.provenance.get("quantization", {})
    wanted = Quantization(neuron=given.get("neuron", "free"))
    chosen = within(wanted, board)
    if all(given.get(name) == value for name, value in asdict(chosen).items()):
        return None
    try:
        integer, _ = chosen(network.real)
    except NeurodeployError:
        return None
    if not TARGETS.get(target_for(board, target))().verdict(integer, board).fits:
        return None
    return replace(network, netlist=integer)


def _cost(network: Network, narrowed: Network, data: Samples | EventSamples) -> str:
    """Cost of the remedy in accuracy, on the first samples of the data."""
    from neurodeploy.stages.evaluate import evaluate

    data = data.first(min(len(data), COST_SAMPLES))
    before, after = (evaluate(net, data) for net in (network, narrowed))
    if before.accuracy is None or after.accuracy is None:
        return ""
    lost = 100 * (before.accuracy - after.accuracy)
    return f" and costs {lost:.1f} points on the first {after.samples} samples"


def _tried(network: Network) -> str:
    """Measured result of binary spikes in the automatic conversion, where there is one."""
    rows = network.provenance.get("auto", {}).get("tried", ())
    known = [r for r in rows if r.get("method") == "rate" and r.get("loss") is not None]
    if not known:
        return ""
    best = min(known, key=lambda r: r["loss"])
    return (
        f" (rate at T = {best['timesteps']} lost {best['loss']:.1f} points on the calibration data)"
    )
