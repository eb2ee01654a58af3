"""Exact parameters of Lava's stock processes, and the limits of what they compute exactly.

Stock LIF in fixed point keeps its state in 1/64 of a weight unit::

    u <- a << 6 (du = 4095);  v <- v + u + (bias_mant << bias_exp);  s = v > (vth << 6);  v = 0 if s

so with vth = theta - 1 it equals docs/semantics.md for neurons without leak, current memory,
payload or sign that start at 0 and are reset to 0, as long as ``|v| < 2^17``. Beyond, v is clipped
at 2^23 - 1 of its own units: a netlist that names this saturation counts in these units, in which
all that arrives has an exponent of 6 or more and thresholds are 64 vth + 1. LIFReset sets u = v = 0
when the window of a sample opens: whatever happened outside windows must not matter afterwards,
which holds for feed-forward networks whose delays are all aligned.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.bounds import PopulationBounds, prove_bounds
from neurodeploy.ir.connectivity import Connectivity, Conv, Sparse, SumPool, is_spaced, listed
from neurodeploy.ir.fixed_point import DECAY_ONE
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Population
from neurodeploy.ir.neurons import IntegerNeuron, MaxPool
from neurodeploy.targets.base import Violation, state_violations

STATE_LIMIT = 2**17 - 1
THRESHOLD_LIMIT = 2**17
SATURATION = 2**23 - 1
FRACTION = 6
BIAS_MANTISSA_LIMIT = 4095
BIAS_EXPONENT_LIMIT = 7
DELAY_LIMIT = 64
MATRIX_LIMIT = 2**24
INT8_LIMIT = 127
OWN = "use target lava with models=own"
HARD = f"convert with --method hard-reset, or {OWN}"
QUANTIZE = f"quantize with --target lava-stock, or {OWN}"


def stock_violations(netlist: IntegerNetlist) -> list[Violation]:
    """All reasons why stock processes would not compute a netlist exactly."""
    found = state_violations_of_stock(netlist, prove_bounds(netlist))
    plan = netlist.schedule
    for name in sorted(plan.cyclic):
        found.append(Violation(name, "recurrence, which LIFReset cannot flush", remedy=OWN))
    for population in netlist.populations:
        found += _population_violations(population)
    saturating = {p.name for p in netlist.populations if saturates(p)}
    for projection, delay in zip(netlist.projections, plan.delays, strict=True):
        aligned = plan.depth[projection.post] - plan.depth[projection.pre]
        found += _projection_violations(projection, delay, aligned, projection.post in saturating)
    return found


def saturates(population: Population) -> bool:
    """Whether a population names the saturation of stock LIF, and so counts in its units."""
    model = population.model
    return isinstance(model, IntegerNeuron) and model.fires and model.saturation == SATURATION


def state_violations_of_stock(
    netlist: IntegerNetlist, bounds: Mapping[str, PopulationBounds]
) -> list[Violation]:
    """States that are not proved to stay within those of stock LIF."""
    # Currents wrap, and are whole weight units; membranes that saturate as named may reach 2^23.
    exempt = {p.name for p in netlist.populations if saturates(p)}
    found = [
        v
        for v in state_violations(netlist, STATE_LIMIT, "stock LIF state in weight units", bounds)
        if v.where not in exempt
    ]
    for name in sorted(exempt):
        proved = bounds[name]
        currents = (proved.a_low, proved.a_high, proved.u_low, proved.u_high)
        largest = max(int(np.abs(x).max(initial=0)) for x in currents) >> FRACTION
        if largest > STATE_LIMIT or not proved.proved:
            remedy = "use fewer weight bits, or an input of fewer levels"
            what = "worst-case input of one step in weight units"
            found.append(Violation(name, what, largest, STATE_LIMIT, remedy))
    return found


def _population_violations(population: Population) -> Iterator[Violation]:
    name, model = population.name, population.model
    if isinstance(model, MaxPool):
        remedy = f"convert with --method hard-reset, or {OWN}"
        yield Violation(name, "max-pooling has no stock process", remedy=remedy)
    if not isinstance(model, IntegerNeuron):
        return
    for extension in model.extensions:
        if extension != "saturation":
            yield Violation(name, extension, remedy=OWN)
        elif not saturates(population):
            at = int(model.saturation or 0)
            yield Violation(name, extension, at, f"{SATURATION} of firing neurons", OWN)
    if model.has_current_memory:
        du = int(np.min(model.current_decay))
        yield Violation(name, "current decay du", du, DECAY_ONE, f"du = {DECAY_ONE} or {OWN}")
    if model.leaks:
        yield Violation(name, "leak dv", int(np.max(model.membrane_decay)), 0, f"no leak or {OWN}")
    if model.initial_membrane.any():
        largest = int(np.abs(model.initial_membrane).max())
        yield Violation(name, "initial membrane", largest, 0, HARD)
    if model.fires and model.reset != "zero":
        yield Violation(name, "reset", model.reset, "zero", HARD)
    if model.signed:
        yield Violation(name, "signed spikes", remedy=HARD)
    if model.has_gains:
        yield Violation(name, "gains of steps", remedy=OWN)
    if model.memory:
        yield Violation(name, "memory of emitted spikes", remedy=OWN)
    if model.payload_max > 1:
        yield Violation(name, "graded spikes", model.payload_max, 1, HARD)
    fraction = FRACTION if saturates(population) else 0
    if model.threshold is not None:
        limit = ((THRESHOLD_LIMIT - 1) << fraction) + 1
        if model.threshold.max() > limit:
            yield Violation(name, "threshold", int(model.threshold.max()), limit, QUANTIZE)
        broken = (model.threshold - 1) % (1 << fraction)
        if broken.any():
            worst = int(model.threshold[broken != 0].flat[0])
            yield Violation(name, "threshold", worst, "1 above a multiple of 64", QUANTIZE)
    mantissa, exponent = bias_parts(model.bias, fraction)
    wrong = (mantissa << exponent) != model.bias << (FRACTION - fraction)
    if wrong.any():
        worst = int(np.abs(model.bias[wrong]).max())
        parts = f"a mantissa of {BIAS_MANTISSA_LIMIT} with an exponent up to {BIAS_EXPONENT_LIMIT}"
        yield Violation(name, "bias", worst, parts, QUANTIZE)


def _projection_violations(
    projection: IntegerProjection, delay: int, aligned: int, saturating: bool
) -> Iterator[Violation]:
    where = projection.label
    rest = in_weight_units(projection.exponent, saturating)
    given = projection.connectivity
    if is_spaced(given):
        # Before they are listed: so many are too many for that as well.
        size = _matrix_size(given)
        if size > MATRIX_LIMIT:
            yield Violation(where, "entries as a dense matrix", size, MATRIX_LIMIT, OWN)
            return
    c = stock_map(given, delay, rest)
    if delay != aligned:
        yield Violation(
            where, "delay that is not the difference of the depths", delay, aligned, OWN
        )
    if isinstance(c, Conv | SumPool):
        if delay > 1:
            yield Violation(where, "delay of a convolution", delay, 1, OWN)
        if not _can_be_even(c.window):
            text = f"{c.window.padding} with dilation {c.window.dilation}"
            yield Violation(where, "padding", text, "the same on both sides", OWN)
        w = _even(c.window)
        most = max(*w.kernel, *w.stride, *w.dilation, *(n for pair in w.padding for n in pair))
        if most > INT8_LIMIT:
            what = "kernel, stride, padding or dilation"
            yield Violation(where, what, most, INT8_LIMIT, OWN)
    elif delay > DELAY_LIMIT:
        yield Violation(where, "delay", delay, DELAY_LIMIT, OWN)
    if isinstance(c, Sparse) and _matrix_size(c) > MATRIX_LIMIT:
        yield Violation(where, "entries as a dense matrix", _matrix_size(c), MATRIX_LIMIT, OWN)
    if rest.min() < 0:
        least = int(projection.exponent.min())
        yield Violation(where, "exponent into a saturating population", least, FRACTION, QUANTIZE)
        return
    # Conv has no exponent: all of it goes into the weights.
    if not isinstance(c, Conv | SumPool):
        _, rest = split_exponent(rest)
    weight = folded_weight(c, rest)
    if weight.size and (weight.min() < -128 or weight.max() > 127):
        largest = int(np.abs(weight).max())
        yield Violation(where, "8-bit weight with its exponent", largest, 127, QUANTIZE)


def stock_map(connectivity: Connectivity, delay: int, exponent: IntArray) -> Connectivity:
    """The map that a stock process is given: a Conv of one cell for what goes straight through.

    Its Conv knows no cells that stand apart: those are listed, for a matrix.
    """
    c = connectivity
    if is_spaced(c):
        return listed(c)
    if not isinstance(c, Sparse) or delay != 1 or exponent.any():
        return c
    if c.shape_in != c.shape_out or len(c.shape_out) == 1 or not (c.post == c.pre).all():
        return c
    channels, *sizes = c.shape_out
    weight = np.zeros((channels, math.prod(sizes)), dtype=c.weight.dtype)
    weight.flat[c.post] = c.weight
    if not (weight == weight[:, :1]).all():
        return c
    one, none = (1,) * len(sizes), ((0, 0),) * len(sizes)
    window = Window(tuple(sizes), one, one, none, one)
    return Conv(weight[:, 0].reshape(-1, 1, *one), channels, window, groups=channels)


def stock_convolution(layer: Conv | SumPool) -> Conv:
    """The same map as stock Conv takes it: padded alike on both sides, in groups that it can count.

    Where padding differs, the kernel reaches into what is padded more with weights of 0.
    """
    c = layer if isinstance(layer, Conv) else layer.as_depthwise()
    window = _even(c.window)
    zeros = [
        (max(after - before, 0) // d, max(before - after, 0) // d)
        for (before, after), d in zip(c.window.padding, c.window.dilation, strict=True)
    ]
    weight = np.pad(c.weight, [(0, 0), (0, 0), *zeros])
    return _in_countable_groups(Conv(weight, c.channels_in, window, c.groups))


def _can_be_even(window: Window) -> bool:
    """Whether cells of 0 at one end of the kernel can make up for padding that differs."""
    return not any(
        (after - before) % d
        for (before, after), d in zip(window.padding, window.dilation, strict=True)
    )


def _even(window: Window) -> Window:
    """The window with the larger padding on both sides, its kernel as much longer."""
    pads = [(max(pair), max(pair)) for pair in window.padding]
    kernel = [
        k + abs(after - before) // d
        for k, (before, after), d in zip(
            window.kernel, window.padding, window.dilation, strict=True
        )
    ]
    return Window(window.input_size, tuple(kernel), window.stride, tuple(pads), window.dilation)


def _in_countable_groups(convolution: Conv) -> Conv:
    """The convolution with groups that stock Conv can count: in its int8, 128 of them are -128.

    Groups that are taken together have no weight for each other's channels.
    """
    groups = convolution.groups
    kept = max(g for g in range(1, INT8_LIMIT + 1) if groups % g == 0)
    if kept == groups:
        return convolution
    c_out, c_group, *kernel = convolution.weight.shape
    joined = groups // kept
    apart = convolution.weight.reshape(kept, joined, c_out // groups, c_group, *kernel)
    weight = np.zeros((kept, joined, c_out // groups, joined, c_group, *kernel), dtype=apart.dtype)
    for j in range(joined):
        weight[:, j, :, j] = apart[:, j]
    together = weight.reshape(c_out, joined * c_group, *kernel)
    return Conv(together, convolution.channels_in, convolution.window, kept)


def _matrix_size(connectivity: Connectivity) -> int:
    return math.prod(connectivity.pre_shape) * math.prod(connectivity.post_shape)


def bias_parts(bias: IntArray, fraction: int = 0) -> tuple[IntArray, IntArray]:
    """Mantissa and exponent of LIF's bias, ``mantissa << exponent`` in 1/64 of a weight unit.

    Of biases with ``fraction`` bits below a weight unit; those that have no such parts are clipped
    or cut off.
    """
    value = np.asarray(bias) << (FRACTION - fraction)
    exponent = np.full(value.shape, BIAS_EXPONENT_LIMIT)
    for e in range(BIAS_EXPONENT_LIMIT - 1, -1, -1):
        exponent = np.where(np.abs(value) <= BIAS_MANTISSA_LIMIT << e, e, exponent)
    limit = BIAS_MANTISSA_LIMIT
    mantissa = np.clip(np.sign(value) * (np.abs(value) >> exponent), -limit, limit)
    return mantissa, exponent


def in_weight_units(exponent: IntArray, saturating: bool) -> IntArray:
    """Exponents of projections, counted from a weight unit of stock LIF."""
    return np.asarray(exponent - (FRACTION if saturating else 0))


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
