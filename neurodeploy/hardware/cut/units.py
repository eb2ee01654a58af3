"""Numbers of a netlist in the units of a board, and what its registers hold exactly.

A board that compares in whole units of 2^k (``threshold_exponent`` k) holds ``v >= theta`` as
``v' > (theta - 1) 2^k`` with a membrane of 2^k as many units, v' = v 2^k. Where theta - 1 is a
multiple of 2^k everywhere and all that arrives is one of 2^k, the netlist's own unit is
the board's.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.cut.demand import on_chip
from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.bounds import projection_interval, spike_range
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Population
from neurodeploy.ir.neurons import IntegerNeuron


def unit_shift(netlist: IntegerNetlist, population: Population, board: Board) -> int:
    """By how many bits the board's unit is finer than the netlist's; see the module."""
    exponent = board.limit("threshold_exponent") or 0
    theta = population.model.threshold if isinstance(population.model, IntegerNeuron) else None
    arriving = [q for q in netlist.incoming[population.name] if on_chip(netlist, q)]
    whole = all((q.exponent >= exponent).all() for q in arriving)
    if whole and (theta is None or not ((theta - 1) % 2**exponent).any()):
        return 0
    return exponent


def weight_exponent(netlist: IntegerNetlist, projection: IntegerProjection, board: Board) -> int:
    """The largest exponent of its weights, in the board's unit."""
    own = (board.limit("threshold_exponent") or 0) - unit_shift(
        netlist, netlist.by_name[projection.post], board
    )
    return int(projection.exponent.max()) - own


def inexact(values: IntArray, mantissa: int, exponent: int) -> IntArray:
    """Mask of values that no mantissa and exponent within these limits give."""
    held = [(values % 2**e == 0) & (np.abs(values) >> e <= mantissa) for e in range(exponent + 1)]
    return np.asarray(~np.any(held, axis=0))


def beyond_a_bias(netlist: IntegerNetlist, board: Board) -> Iterator[str]:
    """Populations for which no bias holds what current inputs add to it in a step."""
    most = board.limit("bias_mantissa_max")
    if most is None:
        return
    for population in netlist.populations:
        currents = [q for q in netlist.incoming[population.name] if not on_chip(netlist, q)]
        model = population.model
        if not currents or not isinstance(model, IntegerNeuron):
            continue
        low = high = population.spread(model.bias)
        for q in currents:
            least, largest = projection_interval(q, *spike_range(netlist.by_name[q.pre]))
            low, high = low + least, high + largest
        # What is written is any multiple of the unit that weights and bias have in common.
        common = min(int(q.exponent.min()) for q in currents)
        while common and (model.bias % 2**common).any():
            common -= 1
        shift = unit_shift(netlist, population, board)
        exponent = min(common + shift, board.limit("bias_exponent_max") or 0)
        reach = max(int(np.abs(low).max()), int(np.abs(high).max()))
        if reach << shift > most << exponent:
            yield f"{population.name} ({reach} against {most << exponent >> shift})"
