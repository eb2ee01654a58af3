"""Populations that NIR cannot reach in their shape, laid out in one row.

NIR has no node that gives neurons axes in space but a convolution. Populations that hear by other
synapses are written flat, and then what they send is too, up to the next dense layer.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from neurodeploy.errors import UnsupportedLayerError
from neurodeploy.exchange.nir_layers import layers
from neurodeploy.ir.connectivity import Connectivity, Dense, Sparse
from neurodeploy.ir.netlist import IntegerNetlist, RealNetlist
from neurodeploy.ir.neurons import Neuron
from neurodeploy.ir.population import Population
from neurodeploy.ir.projection import IntegerProjection, Projection


def laid_out(netlist: RealNetlist | IntegerNetlist) -> RealNetlist | IntegerNetlist:
    """The same netlist, with populations flat where NIR cannot give them their shape."""
    flat: set[str] = set()
    while True:
        found = {q.post for q in netlist.projections if _needs_flat(netlist, q, flat)} - flat
        if not found:
            break
        flat |= found
    if not flat:
        return netlist
    populations = tuple(_flat(p) if p.name in flat else p for p in netlist.populations)
    projections: Any = tuple(_between(q, flat) for q in netlist.projections)
    return dataclasses.replace(netlist, populations=populations, projections=projections)


def _needs_flat(netlist: RealNetlist | IntegerNetlist, q: Projection, flat: set[str]) -> bool:
    post = netlist.by_name[q.post]
    if q.post in flat or len(post.shape) == 1 or not isinstance(post.model, Neuron):
        return False
    if q.pre in flat:
        return True
    zero = np.zeros(post.shape)
    try:
        layers(q.connectivity, zero + 1, zero, q.label)
    except UnsupportedLayerError:
        return True
    return False


def _flat(p: Population) -> Population:
    assert isinstance(p.model, Neuron)
    spread: dict[str, Any] = {
        name: p.spread(np.asarray(getattr(p.model, name))).reshape(-1)
        for name in p.model.spread_names()
    }
    return Population(p.name, (p.size,), dataclasses.replace(p.model, **spread))


def _between(q: Projection, flat: set[str]) -> Projection:
    if not {q.pre, q.post} & flat:
        return q
    old = q.connectivity
    before = (math.prod(old.pre_shape),) if q.pre in flat else old.pre_shape
    after = (math.prod(old.post_shape),) if q.post in flat else old.post_shape
    found: Connectivity
    if isinstance(old, Dense):
        found = Dense(old.weight, before)
    else:
        post, pre, weight = old.to_coo()
        found = Sparse(weight, post, pre, before, after)
    changed: dict[str, Any] = {"connectivity": found}
    if isinstance(q, IntegerProjection) and q.exponent.ndim and after != old.post_shape:
        changed["exponent"] = np.repeat(q.exponent, after[0] // old.post_shape[0])
    return dataclasses.replace(q, **changed)
