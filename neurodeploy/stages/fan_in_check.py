"""Layers that no width of weights fits into a crossbar core, told before anything is calibrated."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurodeploy.errors import CapacityError
from neurodeploy.source.analog import AnalogGraph
from neurodeploy.stages.budget import Budget
from neurodeploy.stages.fit import crossbar_state_bits
from neurodeploy.targets.registry import TARGETS, target_for

SEARCHED_SYNAPSES = 2_000_000
"""Most synapses of layers beyond a core with which ``auto`` tries their parts: seconds each."""


def expect_fan_in(graph: AnalogGraph, method: Any, budget: Budget) -> None:
    """Refuse, before anything is calibrated, layers that no width of weights fits into a core.

    Where the target can compute them in parts, smaller ones are left to the search.

    Raises
    ------
    CapacityError
        Saying which layers, and what would make them fit.
    """
    from neurodeploy.conversion.lowering.activation_graph import InputLayer
    from neurodeploy.conversion.lowering.operators import lower

    board = budget.chosen_board
    assert board is not None
    axons = board.require_limit("axons")
    wide: dict[str, int] = {}
    synapses = 0
    for layer in lower(graph, method.lowering).layers:
        if isinstance(layer, InputLayer):
            continue
        maps = [t.connectivity for t in layer.affine.terms if t.connectivity is not None]
        counts = [c.fan_in().reshape(-1) for c in maps]
        fan_in = int(np.sum(counts, axis=0).max()) if counts else 0
        # Some weights round to 0; that most of them do is no network any more.
        if fan_in > 2 * axons:
            wide[layer.name] = fan_in
            synapses += int(np.sum(counts))
    parts = TARGETS.get(target_for(board, budget.target)).approximations
    if wide and not (parts and synapses <= SEARCHED_SYNAPSES):
        layers = ", ".join(f"{name} ({n} inputs)" for name, n in wide.items())
        raise CapacityError(
            f"auto: {layers}: a core of {board.name} has {axons:g} axons, one or more an input, at "
            f"any number of steps and bits; what would fit: grouped or smaller layers; or parts of "
            f"layers, which take minutes to find for {synapses:,} synapses: convert with --method "
            "rate --timesteps 8 --input spikes --decode counts --max-pooling identity, quantize "
            f"with --weight-bits 3 --state-bits {crossbar_state_bits(board)} --max-fraction-bits 0 "
            "(fewer bits in layers that it names), then compile with "
            + " or ".join(f"--option {k}={v}" for o in parts for k, v in o.items())
        )
