"""Widths that fit a board: of a crossbar's weights the widest, layer by layer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from neurodeploy.errors import CapacityError, UsageError
from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.fit import quantization_for
from neurodeploy.ir.netlist import RealNetlist
from neurodeploy.ir.neurons import RealNeuron
from neurodeploy.ir.siblings import sibling_groups
from neurodeploy.quantization.input_statistics import Heard
from neurodeploy.quantization.integers import MIN_BITS, Quantization
from neurodeploy.targets.base import state_bits
from neurodeploy.targets.registry import TARGETS, target_for


def fit_layer_bits(
    netlist: RealNetlist,
    wanted: Quantization,
    board: Board,
    heard: Heard | None = None,
    target: str | None = None,
) -> Quantization:
    """Lower the width of every layer that needs more axons than a crossbar has.

    Parameters
    ----------
    netlist : RealNetlist
    wanted : Quantization
        Its widths are the widest that are tried.
    board : Board
        Of crossbar cores.
    heard : Heard, optional
        What weights are rounded against, as of the pass: other weights need other axons.
    target : str, optional
        That is to hold it; the first that runs such boards by default.

    Returns
    -------
    Quantization
        With a width per layer.

    Raises
    ------
    UsageError
        If the board has no crossbars or the target does not run it, or a width is given for a layer
        that does not exist.
    CapacityError
        If a layer does not fit even at the smallest width.
    """
    require_crossbars(board)
    wanted.check_layers(netlist)
    judge = TARGETS.get(target_for(board, target))()
    if target not in (None, judge.name):
        raise UsageError(
            f"fit: target {target} does not run board {board.name}; choose another target or board"
        )
    wanted = replace(wanted, state_bits=min(wanted.state_bits, crossbar_state_bits(board)))
    bits = {
        name: wanted.bits_of(name)
        for name in (p.post for p in netlist.projections)
        if isinstance(netlist.by_name[name].model, RealNeuron)
    }
    together = {
        x.population.name: [y.population.name for y in siblings]
        for siblings in sibling_groups(netlist)
        for x in siblings
    }
    while True:
        fraction = _fraction_bits(board, wanted, bits.values())
        chosen = replace(wanted, layer_bits=dict(bits), max_fraction_bits=fraction)
        integer, _ = chosen(netlist, heard)
        violations = judge.fits(integer, board)
        if not violations:
            return chosen
        tight = {
            name: violation
            for violation in violations
            if (name := violation.where.partition("[")[0]) in bits and "axon" in violation.resource
        }
        if not tight:
            raise CapacityError(f"no weight width makes the network fit: {violations[0]}")
        for name, violation in tight.items():
            if bits[name] == MIN_BITS:
                raise CapacityError(f"even {MIN_BITS}-bit weights do not fit: {violation}")
        for name, width in {name: bits[name] - 1 for name in tight}.items():
            # What hears the same keeps the same integer weights.
            for sibling in together[name]:
                bits[sibling] = min(bits[sibling], width)


def within(wanted: Quantization, board: Board) -> Quantization:
    """No wider than the numbers of a board of neurocores are, as far as the board tells them."""
    limits = quantization_for(board)
    if wanted.neuron == "stock-lif":
        # Its widths are its own; how many thresholds a core has is not.
        limits = {k: v for k, v in limits.items() if k == "max_thresholds"}
    narrow: dict[str, Any] = {}
    for name, most in limits.items():
        asked = getattr(wanted, name)
        # No thresholds asked for are any number of them.
        narrow[name] = most if name == "max_thresholds" and not asked else min(asked, most)
    most = limits.get("weight_bits", wanted.weight_bits)
    layers = {name: min(bits, most) for name, bits in wanted.layer_bits.items()}
    return replace(wanted, layer_bits=layers, **narrow)


def require_crossbars(board: Board) -> None:
    """Raise UsageError if a board is no crossbar board."""
    if board.kind != "crossbar":
        raise UsageError(
            f"fit: board {board.name} has no crossbars; leave --fit out or choose a crossbar board"
        )


def crossbar_state_bits(board: Board) -> int:
    """Width, sign included, of the states that a crossbar's membrane holds on both sides."""
    top = 2 ** (board.require_limit("membrane_bits") - 1) - 1
    return state_bits(int(min(top, -board.require_limit("membrane_floor"))))


def _fraction_bits(board: Board, wanted: Quantization, bits: Iterable[int]) -> int:
    """Most fractional bits with which the sums of fitted levels stay values of an axon.

    A value beyond them takes further axon copies, all for the resolution of a threshold; on uniform
    grids it often takes none, as small levels have their own values then.
    """
    fitted = [wanted.largest_weight(b) for b in bits if wanted.fitted(b)]
    if not fitted:
        return wanted.max_fraction_bits
    values = min(board.require_limit("weight_max"), -board.require_limit("weight_min"))
    most = max(0, int(values // max(fitted)).bit_length() - 1)
    return min(wanted.max_fraction_bits, most)
