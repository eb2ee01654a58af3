"""Abilities of a board's neurons, and those that a population needs.

A board file tells in ``[neurons]`` by how many compartments a neuron of each ability is built: 1,
several (with the ``construction``), or 0 where the board cannot. What it does not tell is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from neurodeploy.hardware.boards.constant import Basis
from neurodeploy.ir.netlist import Population
from neurodeploy.ir.neurons import Input, MaxPool

ABILITIES: dict[str, str] = {
    "reset_zero": "reset to zero",
    "reset_subtract": "reset by subtraction",
    "reset_subtract_next": "reset by subtraction in the next step",
    "reset_value": "reset to a value",
    "reset_none": "spikes without reset",
    "initial_membrane": "initial membrane",
    "signed": "signed spikes",
    "memory": "memory of emitted spikes",
    "gains": "gains of steps",
    "comparison": "a comparison with a share of the threshold",
    "current_memory": "current memory",
    "leak": "leak",
    "decay_per_neuron": "a decay per neuron",
    "refractory": "refractory period after a reset to zero",
    "refractory_hold": "refractory period that holds the membrane",
    "floor": "floor of the membrane",
    "saturation": "saturation of the membrane",
    "maximum": "accumulated maximum (max-pooling)",
    "maximum_winner": "pooling by the winner",
    "maximum_now": "maximum of what arrives now",
    "current_input": "constant current as input",
    "recurrence": "recurrence",
    "misaligned_delay": "delays that are not the difference of the depths",
    "delayed_convolution": "delayed convolutions",
    "uneven_padding": "padding that differs by side",
    "weight_exponent": "weights with an exponent of their own",
}
"""Keys of ``[neurons]`` and what they are called in messages."""

_POOLS = {"maximum": "maximum", "winner": "maximum_winner", "now": "maximum_now"}


@dataclass(frozen=True, slots=True)
class Ability:
    """How neurons of a board do something.

    Parameters
    ----------
    compartments : int
        Of one neuron; 0: not at all.
    basis, source : str
        As of constants.
    construction : str or None
        How it is built and what is not counted of it, where it is no property of one compartment.
    """

    compartments: int
    basis: Basis
    source: str
    construction: str | None = None

    @property
    def assumed(self) -> bool:
        """Whether a verdict that rests on it has to say so."""
        return self.basis == "assumed" or self.construction is not None


def abilities_of(population: Population) -> list[str]:
    """Keys of :data:`ABILITIES` that the neurons of a population need."""
    model = population.model
    if isinstance(model, Input):
        if model.kind == "current":
            return ["current_input"]
        return ["signed"] * (model.low < 0)
    if isinstance(model, MaxPool):
        gains = ["gains"] * bool(model.input_gain)
        return [_POOLS[model.rule], *["signed"] * model.signed, *gains]
    resets = model.reset == "zero"
    found = {
        f"reset_{model.reset.replace('-', '_')}": model.fires,
        "initial_membrane": bool(model.initial_membrane.any()),
        "signed": model.signed,
        "memory": model.memory,
        "gains": model.has_gains,
        "comparison": bool(model.comparison),
        "current_memory": model.has_current_memory,
        "leak": model.leaks,
        "decay_per_neuron": any(np.ndim(getattr(model, name)) for name in model.decays),
        "refractory": model.refractory > 0 and resets,
        "refractory_hold": model.refractory > 0 and not resets,
        "floor": model.floor is not None,
        "saturation": model.saturation is not None,
    }
    return [name for name, has in found.items() if has]


def compartments_of(population: Population, abilities: Mapping[str, Ability]) -> int:
    """Compartments that one neuron of a population takes on a board with these abilities."""
    known = [abilities[name].compartments for name in abilities_of(population) if name in abilities]
    return max(1, *known) if known else 1
