"""Small recurrent networks with listed synapses."""

from __future__ import annotations

import numpy as np

from neurodeploy.ir.connectivity import Dense, Sparse
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Output, Population
from neurodeploy.ir.neurons import Input, IntegerNeuron


def ring(n: int, seed: int = 0, reach: int = 3) -> Sparse:
    """Neurons on a ring whose numbers are shuffled, each with its next ``reach`` neighbours."""
    number = np.random.default_rng(seed).permutation(n)
    pre = np.repeat(np.arange(n), reach)
    post = (pre + np.tile(np.arange(1, reach + 1), n)) % n
    return Sparse(np.ones(pre.size, dtype=np.int64), number[post], number[pre], (n,), (n,))


def recurrent(n: int, connectivity: Sparse) -> IntegerNetlist:
    """Four inputs to every neuron, ``connectivity`` among them, two outputs."""
    model = IntegerNeuron(np.int64(3), np.int64(0), np.int64(0))
    dense = Dense(np.ones((n, 4), dtype=np.int64), (4,))
    out = Dense(np.ones((2, n), dtype=np.int64), (n,))
    return IntegerNetlist(
        "recurrent",
        (
            Population("in", (4,), Input("spikes", 0, 1)),
            Population("a", (n,), model),
            Population("b", (2,), model),
        ),
        (
            IntegerProjection("in", "a", dense),
            IntegerProjection("a", "a", connectivity, 2),
            IntegerProjection("a", "b", out),
        ),
        (Output("b", "counts"),),
        4,
    )
