"""Where a spike may leave more than a threshold, after which snnTorch compares with two of them.

With ``reset_delay=False`` snnTorch 1.0.0 takes a threshold off before it looks at the new membrane
if the old one still exceeds the threshold, and none after it. That is the reset in the same step,
unless a spike leaves more than a threshold: no neuron here does the same then.
"""

from __future__ import annotations

import numpy as np

from neurodeploy.ir.netlist import Population, RealNetlist
from neurodeploy.ir.neurons import Input, RealNeuron


def may_leave_more(netlist: RealNetlist) -> list[str]:
    """Populations of which that is not ruled out by their weights, leaks and inputs.

    A membrane that was at most theta, keeps 1 - dv of itself and receives at most u stays below
    2 theta, and so leaves at most theta, if u + b <= (1 + dv) theta.
    """
    return [p.name for p in netlist.populations if _may(netlist, p)]


def _may(netlist: RealNetlist, population: Population) -> bool:
    model = population.model
    if not isinstance(model, RealNeuron) or model.threshold is None or model.reset != "subtract":
        return False
    theta = population.spread(model.threshold)
    most = np.zeros(population.shape)
    for projection in netlist.incoming[population.name]:
        sender = netlist.by_name[projection.pre].model
        low, high = 0, np.inf
        if isinstance(sender, Input):
            low, high = sender.low, sender.high
        elif isinstance(sender, RealNeuron) and not sender.signed:
            high = sender.payload_max
        if high == np.inf:
            return True
        positive, negative = projection.connectivity.row_sums()
        most = most + positive * high + negative * low
    decay = population.spread(np.asarray(model.current_decay, np.float64))
    with np.errstate(divide="ignore", invalid="ignore"):
        current = np.where(most > 0, most / decay, most)
    leak = population.spread(np.asarray(model.membrane_decay, np.float64))
    received = current + population.spread(model.bias)
    stays = received <= (1 + leak) * theta
    return not bool((stays & (population.spread(model.initial_membrane) <= theta)).all())
