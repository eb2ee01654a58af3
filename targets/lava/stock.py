"""What Lava's stock processes compute exactly, and the parameters they need for it.

Stock LIF in fixed point keeps its state in 1/64 of a weight unit::

    u <- a << 6 (du = 4095);  v <- v + u + (bias_mant << bias_exp);  s = v > (vth << 6);  v = 0 if s

so with bias_exp = 6 and vth = theta - 1 it equals docs/semantics.md for neurons without leak,
current memory, payload or sign that start at 0 and are reset to 0. LIFReset sets u = v = 0 when the
window of a sample opens: whatever happened outside windows must not matter afterwards, which holds
for feed-forward networks whose delays are all aligned.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.connectivity import Connectivity, Conv, Sparse, SumPool
from neurodeploy.ir.fixed_point import DECAY_ONE
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Population
from neurodeploy.ir.neurons import IntegerNeuron, MaxPool
from neurodeploy.targets.base import Violation, state_violations

STATE_LIMIT = 2**17 - 1
THRESHOLD_LIMIT = 2**17
BIAS_MANTISSA_LIMIT = 4095
DELAY_LIMIT = 64
MATRIX_LIMIT = 2**24
OWN = "use models=own"


def stock_violations(netlist: IntegerNetlist) -> list[Violation]:
    """All reasons why stock processes would not compute a netlist exactly."""
    found = state_violations(netlist, STATE_LIMIT, "stock LIF state in weight units")
    plan = netlist.schedule
    for name in sorted(plan.cyclic):
        found.append(Violation(name, "recurrence, which LIFReset cannot flush", remedy=OWN))
    for population in netlist.populations:
        found += _population_violations(population)
    for projection, delay in zip(netlist.projections, plan.delays, strict=True):
        aligned = plan.depth[projection.post] - plan.depth[projection.pre]
        found += _projection_violations(projection, delay, aligned)
    return found


def _population_violations(population: Population) -> Iterator[Violation]:
    name, model = population.name, population.model
    if isinstance(model, MaxPool):
        yield Violation(name, "max-pooling has no stock process", remedy=f"{OWN} or average")
    if not isinstance(model, IntegerNeuron):
        return
    for extension in model.extensions:
        yield Violation(name, extension, remedy=OWN)
    if model.has_current_memory:
        du = int(np.min(model.current_decay))
        yield Violation(name, "current decay du", du, DECAY_ONE, f"du = {DECAY_ONE} or {OWN}")
    if model.leaks:
        yield Violation(name, "leak dv", int(np.max(model.membrane_decay)), 0, f"no leak or {OWN}")
    if model.initial_membrane.any():
        largest = int(np.abs(model.initial_membrane).max())
        yield Violation(name, "initial membrane", largest, 0, f"v0 = 0 or {OWN}")
    if model.fires and model.reset != "zero":
        yield Violation(name, "reset", model.reset, "zero", f"reset to zero or {OWN}")
    if model.signed:
        yield Violation(name, "signed spikes", remedy=OWN)
    if model.has_gains:
        yield Violation(name, "gains of steps", remedy=OWN)
    if model.memory:
        yield Violation(name, "memory of emitted spikes", remedy=OWN)
    if model.payload_max > 1:
        yield Violation(name, "graded spikes", model.payload_max, 1, OWN)
    if model.threshold is not None and model.threshold.max() > THRESHOLD_LIMIT:
        yield Violation(name, "threshold", int(model.threshold.max()), THRESHOLD_LIMIT, OWN)
    mantissa, exponent = bias_parts(model.bias)
    wrong = (mantissa << (exponent - 6)) != model.bias
    if wrong.any():
        worst = int(np.abs(model.bias[wrong]).max())
        yield Violation(
            name, "bias", worst, f"{BIAS_MANTISSA_LIMIT}, or twice that where it is even", OWN
        )


def _projection_violations(
    projection: IntegerProjection, delay: int, aligned: int
) -> Iterator[Violation]:
    where, c = projection.label, projection.connectivity
    if delay != aligned:
        yield Violation(
            where, "delay that is not the difference of the depths", delay, aligned, OWN
        )
    if isinstance(c, Conv | SumPool):
        if delay > 1:
            yield Violation(where, "delay of a convolution", delay, 1, OWN)
        if any(before != after for before, after in c.window.padding):
            text = str(c.window.padding)
            yield Violation(where, "padding", text, "the same on both sides", OWN)
    elif delay > DELAY_LIMIT:
        yield Violation(where, "delay", delay, DELAY_LIMIT, OWN)
    if isinstance(c, Sparse) and _matrix_size(c) > MATRIX_LIMIT:
        yield Violation(where, "entries as a dense matrix", _matrix_size(c), MATRIX_LIMIT, OWN)
    rest = projection.exponent  # Conv has no exponent: all of it goes into the weights
    if not isinstance(c, Conv | SumPool):
        _, rest = split_exponent(projection.exponent)
    weight = folded_weight(c, rest)
    if weight.size and (weight.min() < -128 or weight.max() > 127):
        largest = int(np.abs(weight).max())
        yield Violation(where, "8-bit weight with its exponent", largest, 127, OWN)


def _matrix_size(connectivity: Sparse) -> int:
    return math.prod(connectivity.shape_in) * math.prod(connectivity.shape_out)


def bias_parts(bias: IntArray) -> tuple[IntArray, IntArray]:
    """Mantissa and exponent of LIF's bias: 6 makes it count weight units, 7 doubles its range."""
    wide = (np.abs(bias) > BIAS_MANTISSA_LIMIT) & (bias % 2 == 0)
    mantissa = np.where(wide, bias // 2, bias)
    mantissa = np.clip(mantissa, -BIAS_MANTISSA_LIMIT, BIAS_MANTISSA_LIMIT)
    return mantissa, np.where(wide, 7, 6)


def split_exponent(exponent: IntArray) -> tuple[int, IntArray]:
    """The exponent that all channels share (Dense's weight_exp), and what is left."""
    common = int(exponent.min())
    return common, np.asarray(exponent - common)


def folded_weight(connectivity: Connectivity, exponent: IntArray) -> IntArray:
    """Weights with an exponent (scalar or per output channel) multiplied in."""
    weight = connectivity.weight
    if exponent.ndim and isinstance(connectivity, Sparse):
        per_channel = math.prod(connectivity.shape_out) // connectivity.shape_out[0]
        exponent = exponent[connectivity.post // per_channel]
    return np.left_shift(weight, exponent.reshape(-1, *(1,) * (weight.ndim - 1)))
