"""From an integer netlist to the Lava bundle."""

from __future__ import annotations

import numpy as np

from neurodeploy.ir.connectivity import Conv, Dense, Sparse, SumPool
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Population
from neurodeploy.ir.neurons import Input, IntegerNeuron, MaxPool
from neurodeploy.targets.lava.bundle import (
    Bundle,
    InputSpec,
    Models,
    NeuronSpec,
    PoolSpec,
    PopulationSpec,
    ProjectionSpec,
    WindowSpec,
)


def lower_netlist(netlist: IntegerNetlist, models: Models) -> Bundle:
    """Write every population and projection of a netlist in the bundle's own terms."""
    plan = netlist.schedule
    return Bundle(
        netlist.name,
        models,
        netlist.timesteps,
        tuple(_population(p, plan.depth[p.name]) for p in netlist.populations),
        tuple(
            _projection(q, delay) for q, delay in zip(netlist.projections, plan.delays, strict=True)
        ),
        tuple(dict.fromkeys(o.population for o in netlist.outputs)),
    )


def _population(population: Population, depth: int) -> PopulationSpec:
    model = population.model
    spec: InputSpec | NeuronSpec | PoolSpec
    if isinstance(model, Input):
        spec = InputSpec(model.kind, model.low, model.high)
    elif isinstance(model, MaxPool):
        spec = PoolSpec(model.input_shape, _window(model.window), model.rule, model.signed)
    elif isinstance(model, IntegerNeuron):
        spec = NeuronSpec(
            model.threshold,
            model.negative_threshold,
            model.bias,
            model.initial_membrane,
            model.reset,
            model.payload_max,
            model.current_decay,
            model.membrane_decay,
            model.payload_code,
            model.memory,
            model.input_gain,
            model.firing_gain,
        )
    else:
        raise TypeError(f"{population.name}: {type(model).__name__} in an integer netlist")
    return PopulationSpec(population.name, population.shape, depth, spec)


def _window(window: Window) -> WindowSpec:
    return WindowSpec(window.kernel, window.stride, window.padding, window.dilation)


def _projection(projection: IntegerProjection, delay: int) -> ProjectionSpec:
    c = projection.connectivity
    if not isinstance(c, Dense | Conv | SumPool | Sparse):
        raise TypeError(f"{projection.label}: connectivity {type(c).__name__}")
    return ProjectionSpec(
        projection.pre,
        projection.post,
        c.kind,
        delay,
        c.pre_shape,
        c.post_shape,
        np.asarray(c.weight),
        projection.exponent,
        _window(c.window) if isinstance(c, Conv | SumPool) else None,
        c.groups if isinstance(c, Conv) else 1,
        c.post if isinstance(c, Sparse) else None,
        c.pre if isinstance(c, Sparse) else None,
    )
