"""Where maxima over neurons of a constant input are those neurons of the largest input."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from neurodeploy.execution.native.grouping import Component
from neurodeploy.execution.native.links import is_identity
from neurodeploy.execution.native.plans import LISTED, LinkPlan
from neurodeploy.execution.native.rows import window_cells
from neurodeploy.execution.order import grid
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Population
from neurodeploy.ir.neurons import IntegerNeuron, MaxPool

MOST_STEPS = 2**21
"""Timesteps up to which spikes of a constant input are counted in doubles, exactly."""


def is_pooled(
    netlist: IntegerNetlist,
    component: Component,
    following: Sequence[Component],
    timesteps: int,
    plans: Mapping[int, LinkPlan],
    shift: Callable[[IntegerProjection], int],
) -> bool:
    """Whether neurons of a constant input are heard by the maxima that follow, and nobody else.

    Let neurons of a window have the same parameters and constant inputs d. Spikes so far never
    decrease with d: of two neurons with as many, the one of larger d has the larger membrane, and
    fires where the other does. So the maximum is that of the neuron of the largest d, and changes
    when it fires; spikes of all others need only be counted.
    """
    stages = [stage for part in (component, *following) for stage in part.stages]
    names = [name for stage in stages for name in stage.names]
    if len(names) != 2 or component.cycle or any(part.cycle for part in following):
        return False
    neurons, pool = (netlist.by_name[name] for name in names)
    maxima, incoming = pool.model, list(netlist.incoming[neurons.name])
    heard = list(netlist.outgoing[neurons.name])
    return (
        isinstance(maxima, MaxPool)
        and (maxima.rule, maxima.input_gain) == ("maximum", ())
        and timesteps < MOST_STEPS
        and _is_simple(neurons)
        and len(incoming) > 0
        and all(
            netlist.by_name[q.pre].is_current_input
            and shift(q) == 0
            and plans[id(q)].kind != LISTED
            for q in incoming
        )
        and len(heard) == 1
        and list(netlist.incoming[pool.name]) == heard
        and shift(heard[0]) <= 0
        and pool.input_shape == neurons.shape
        and is_identity(plans[id(heard[0])])
        and grid(pool.shape)[1] <= grid(neurons.shape)[1]
        and bool((window_cells(maxima.window) >= 0).any(axis=1).all())
    )


def _is_simple(population: Population) -> bool:
    """Whether neurons only add, compare and take the threshold off, all of a channel alike."""
    model = population.model
    if not isinstance(model, IntegerNeuron) or model.extensions or not model.fires:
        return False
    threshold, initial, bias = (
        population.spread(np.asarray(value)).reshape(population.shape[0], -1)
        for value in (model.threshold, model.initial_membrane, model.bias)
    )
    return (
        (model.payload_max, model.signed, model.reset) == (1, False, "subtract")
        and not (model.has_gains or model.comparison)
        and not (model.has_current_memory or model.leaks)
        and all(bool((own == own[:, :1]).all()) for own in (threshold, initial, bias))
        and bool((initial < threshold).all())
    )
