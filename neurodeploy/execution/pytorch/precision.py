"""Integer types that are proved to hold every number of a netlist.

Nothing of an integer netlist is computed in floats. :func:`neurodeploy.ir.bounds.prove_bounds`
gives intervals that no input of the declared range can leave; from them follow the type of each
population's input, current and membrane (32 bits where everything that is formed from them stays
below 2^31, 64 bits otherwise) and of what it emits (the narrowest). The proofs of products are
in :mod:`neurodeploy.execution.pytorch.digits`. Where the bounds stop growing, at 2^44, nothing is
proved, and the netlist is refused; no type is ever chosen because a test passed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from neurodeploy.errors import CapacityError
from neurodeploy.ir.bounds import PopulationBounds, prove_bounds, proved_range
from neurodeploy.ir.fixed_point import DECAY_ONE
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Population
from neurodeploy.ir.neurons import IntegerNeuron, MaxPool

PROVED = 2**44
"""Limit of :mod:`neurodeploy.ir.bounds`: intervals hold below it."""

_INTEGERS = (torch.int8, torch.int16, torch.int32, torch.int64)


@dataclass(frozen=True, slots=True)
class Precision:
    """Types of one run.

    Parameters
    ----------
    states : mapping
        Population -> type of its input, current and membrane.
    rasters : mapping
        Population -> type of what it emits.
    decays : mapping
        Population -> type that holds its state times 4096, before a decay is truncated.
    payloads : mapping
        Population -> proved range of what it emits; empty for real-valued netlists.
    """

    states: Mapping[str, torch.dtype]
    rasters: Mapping[str, torch.dtype]
    decays: Mapping[str, torch.dtype]
    payloads: Mapping[str, tuple[int, int]]


def narrowest(low: int, high: int) -> torch.dtype:
    """The narrowest signed integer type that holds [low, high]."""
    for dtype in _INTEGERS:
        limits = torch.iinfo(dtype)
        if limits.min <= low and high <= limits.max:
            return dtype
    raise OverflowError(f"[{low}, {high}] exceeds 64 bits")


def prove_precision(netlist: IntegerNetlist, timesteps: int) -> Precision:
    """Choose the types of every population.

    Raises
    ------
    CapacityError
        Where nothing is proved.
    """
    bounds = prove_bounds(netlist, timesteps)
    payloads = {p.name: proved_range(p, bounds) for p in netlist.populations}
    for projection in netlist.projections:
        _expect_proved(
            _row_magnitude(projection, *payloads[projection.pre]), projection.label, "row sum"
        )
    states, rasters, decays = {}, {}, {}
    for population in netlist.populations:
        name = population.name
        low, high = payloads[name]
        _expect_proved(max(-low, high), name, "payload")
        rasters[name] = narrowest(low, high)
        states[name] = _state(population, bounds.get(name), rasters[name], timesteps)
        decays[name] = states[name]
        if name in bounds:
            # A floor or a reset value is a membrane too.
            narrow = max(bounds[name].magnitude, _levels(population)) * DECAY_ONE < 2**31
            decays[name] = torch.int32 if narrow else torch.int64
    return Precision(states, rasters, decays, payloads)


def _row_magnitude(projection: IntegerProjection, low: int, high: int) -> int:
    """Largest partial sum of a row before the shift, as far as doubles tell."""
    positive, negative = (sums.astype(np.float64) for sums in projection.connectivity.row_sums())
    least, most = positive * low + negative * high, positive * high + negative * low
    return int(max(np.abs(least).max(), np.abs(most).max()))


def _state(
    population: Population,
    proved: PopulationBounds | None,
    raster: torch.dtype,
    timesteps: int,
) -> torch.dtype:
    if proved is None:
        return raster
    magnitude = max(proved.magnitude, proved.unclipped, _levels(population))
    name = population.name
    model = population.model
    if isinstance(model, MaxPool):
        # Every cell accumulates, also the ones that never win.
        arrives = max(int(np.abs(x).max()) for x in (proved.a_low, proved.a_high))
        # ... a step at least, whatever its gain is.
        steps = sum(max(model.gain(t), 1) for t in range(timesteps))
        # Gains are numbers of the type too, also where nothing arrives.
        magnitude = max(magnitude, arrives * steps, *model.input_gain)
        _expect_proved(magnitude, name, "state")
        # The lowest number of the type is a padded cell.
        return narrowest(-magnitude, magnitude)
    assert isinstance(model, IntegerNeuron)
    _expect_proved(magnitude, name, "state")
    gain = max(model.firing_gain, default=1)
    thresholds = [t for t in (model.threshold, model.negative_threshold) if t is not None]
    # Or what it is compared with, rounded up.
    theta = max((int(t.max()) for t in thresholds), default=0)
    theta = max(theta * gain, model.highest(theta))
    # In a step the membrane before it and what enters are added up, the bias on either side; a
    # reset takes at most the membrane before it and the one after it. What a neuron with memory
    # has emitted, and a threshold beyond every membrane, must have a place too.
    memory = timesteps * model.payload_max * gain if model.memory else 0
    largest = max(2 * magnitude + theta + int(np.abs(model.bias).max()), memory)
    if largest >= 2**62:
        raise CapacityError(
            f"{name}: threshold {theta} times gain exceeds the engine's 64 bits; use a smaller "
            "threshold or smaller gains"
        )
    return torch.int32 if largest < 2**31 else torch.int64


def _levels(population: Population) -> int:
    """Largest magnitude of what a membrane is set to, whether anything leads there or not."""
    model = population.model
    if not isinstance(model, IntegerNeuron):
        return 0
    levels = (model.initial_membrane, model.reset_value, model.floor)
    return max(int(np.abs(x).max(initial=0)) for x in levels if x is not None)


def _expect_proved(magnitude: int, where: str, what: str) -> None:
    if magnitude >= PROVED:
        raise CapacityError(
            f"{where}: worst-case {what} {magnitude} is not proved below {PROVED}, the engine's "
            "exact range; use fewer time steps, fewer weight bits or smaller inputs"
        )
