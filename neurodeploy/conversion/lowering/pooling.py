"""Pooling: averages are linear, maxima are populations of their own or many plain neurons."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from neurodeploy.conversion.lowering.activation_graph import PoolLayer, Rewrite
from neurodeploy.conversion.lowering.affine import Affine, population_term, scaled_synapses
from neurodeploy.conversion.lowering.context import Blocks, Lowering
from neurodeploy.conversion.lowering.separation import multiplied
from neurodeploy.ir import neurons
from neurodeploy.ir.composition import picking
from neurodeploy.ir.connectivity import Connectivity, Conv, Sparse, SumPool
from neurodeploy.ir.geometry import Window
from neurodeploy.source import analog
from neurodeploy.source.analog import AnalogNode


def average(lowering: Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    """Average pooling: an expression, and a population of it where the options want one."""
    op: Any = node.op
    divisors = op.divisors(lowering.graph.input_shapes(node.name)[0])
    pooled = []
    for block in taken[0]:
        window = op.window(block.shape)
        layer: Connectivity = SumPool(np.ones(block.shape[0]), window)
        if (divisors == divisors.flat[0]).all():
            layer = layer.with_weight(layer.weight / divisors.flat[0])
        else:
            layer = scaled_synapses(layer, np.broadcast_to(1.0 / divisors, layer.post_shape))
        pooled.append(multiplied(lowering, layer, block, node))
    choice = lowering.options.average_pooling
    is_global = math.prod(node.shape[1:]) == 1
    if choice == "fold" or (choice == "auto" and is_global):
        return tuple(pooled)
    source = node.name if len(pooled) == 1 else None
    # What may be negative cannot spike; it folds into the next layer, which is always exact.
    return tuple(
        lowering.populate(a, node.name, source) if lowering.is_non_negative(a) else a
        for a in pooled
    )


def maximum(lowering: Lowering, node: AnalogNode, taken: list[Blocks]) -> Blocks:
    """Max-pooling: a population of its own, or a tree of plain neurons."""
    op: Any = node.op
    rectifier = _commuting_rectifier(lowering, node)
    pooled = []
    for block in taken[0]:
        rectified = lowering.is_non_negative(block) or _is_sum(block)
        operand = _maximum_operand(lowering, block, node, None if rectified else rectifier)
        window = op.window(block.shape)
        # Rectified before the pooling, the pool codes what comes after the activation.
        codes = node.name if rectified or rectifier is None else rectifier.name
        if lowering.options.max_pooling == "identity":
            model = neurons.MaxPool(block.shape[0], window)
            affine = _maximum_by_identity(lowering, operand, window, node)
            lowering.rewrites.append(Rewrite(node.name, operand, model, affine))
            if lowering.options.spiking_maximum:
                source = codes if len(taken[0]) == 1 else None
                if lowering.is_non_negative(operand):
                    affine = lowering.rectify(affine, node.name, source)
                else:
                    affine = lowering.rails(affine, node.name)
            pooled.append(affine)
            continue
        rule: neurons.PoolRule = "winner" if lowering.options.max_pooling == "winner" else "maximum"
        signed = not lowering.is_non_negative(replace(operand, bias=np.zeros(operand.shape)))
        model = neurons.MaxPool(block.shape[0], window, rule, signed)
        constant = operand.bias.reshape(block.shape[0], -1)[:, 0]
        source = codes if len(taken[0]) == 1 and not constant.any() else None
        bare = replace(operand, bias=np.zeros(operand.shape))
        layer = PoolLayer(lowering.unique(node.name), bare, model, source)
        lowering.layers.append(layer)
        if not signed:
            lowering.ceiling[layer.name] = max(
                lowering.ceiling[term.source] for term in operand.terms
            )
        pooled.append(population_term(layer.name, layer.shape).shifted(constant))
    return tuple(pooled)


def _is_sum(block: Affine) -> bool:
    """Whether it adds up populations element by element, each channel with one weight."""
    rows = block.bias.reshape(block.shape[0], -1)
    return bool((rows == rows[:, :1]).all()) and all(
        term.connectivity is None
        and term.source_shape == block.shape
        and bool((np.ptp(term.scale.reshape(block.shape[0], -1), axis=1) == 0).all())
        for term in block.terms
    )


def _commuting_rectifier(lowering: Lowering, node: AnalogNode) -> AnalogNode | None:
    """The activation that is all that ever sees a maximum: it may as well come first."""
    consumers = lowering.graph.consumers(node.name)
    rectifiers = [c for c in consumers if isinstance(c.op, analog.ReLU | analog.Clip)]
    if node.name in lowering.graph.outputs or len(rectifiers) < len(consumers):
        return None
    # The widest of several leaves something for the others to clip.
    return max(rectifiers, key=lambda c: getattr(c.op, "maximum", math.inf), default=None)


def _maximum_operand(
    lowering: Lowering, block: Affine, node: AnalogNode, rectifier: AnalogNode | None
) -> Affine:
    name = f"{node.name}_in"
    if rectifier is not None:
        # max and ReLU commute, so rectifying first changes nothing that is used.
        limit = rectifier.op.maximum if isinstance(rectifier.op, analog.Clip) else None
        return lowering.rectify(block, name, None, limit)
    if _is_sum(block):
        return block
    if not lowering.is_non_negative(block):
        return lowering.rails(block, name)
    whole = len(lowering.tensors[node.inputs[0]]) == 1
    return lowering.rectify(block, name, node.inputs[0] if whole else None)


def _maximum_by_identity(
    lowering: Lowering, population: Affine, window: Window, node: AnalogNode
) -> Affine:
    """``max(a, b) = b + relu(a - b)``, as a balanced tree over the taps of the window.

    Where its result spikes, so does what waits for a difference: no delay is longer than a step,
    which convolutions of some neurons' processes do not have.
    """
    relayed = lowering.options.spiking_maximum
    shared = relayed and lowering.is_non_negative(population)
    picks = _shared_picks if shared else _listed_picks
    candidates = [population.mapped(pick, node.name) for pick in picks(population.shape, window)]
    while len(candidates) > 1:
        paired = []
        for a, b in zip(candidates[::2], candidates[1::2], strict=False):
            difference = a.plus(b.scaled(np.array(-1.0)))
            excess = lowering.populate(difference, f"{node.name}_max", None)
            paired.append((_relay(lowering, b, node) if relayed else b).plus(excess))
        rest = candidates[len(paired) * 2 :]
        candidates = paired + [_relay(lowering, r, node) if relayed else r for r in rest]
    return candidates[0]


def _relay(lowering: Lowering, affine: Affine, node: AnalogNode) -> Affine:
    """What it is worth, a step later."""
    name = f"{node.name}_kept"
    if lowering.is_non_negative(affine):
        return lowering.rectify(affine, name, None)
    return lowering.rails(affine, name)


def picks_spikes(connectivity: Connectivity) -> bool:
    """Whether a convolution adds one spike of a window, takes one off, or both, channel by channel.

    One of a single cell is no choice: it may be any layer.
    """
    if isinstance(connectivity, SumPool):
        # Cells that are repeated are heard one at each place.
        repeats = connectivity.window.is_spaced
        return repeats and int(connectivity.window.taps_per_output().max()) <= 1
    if not isinstance(connectivity, Conv) or connectivity.window.n_taps == 1:
        return False
    if not connectivity.groups == connectivity.channels_in == len(connectivity.weight):
        return False
    weight = connectivity.weight.reshape(connectivity.groups, -1)
    added, taken = np.maximum(weight, 0), np.maximum(-weight, 0)
    once = all((np.count_nonzero(part, axis=1) <= 1).all() for part in (added, taken))
    alike = added.max(axis=1) == taken.max(axis=1)
    return once and bool((alike | ~added.any(axis=1) | ~taken.any(axis=1)).all())


def _shared_picks(shape: tuple[int, ...], window: Window) -> Iterator[Conv]:
    """Each tap of a window as a convolution of single channels; nothing is left of the padding.

    That loses to any activation that is never negative, as it should.
    """
    for tap, _ in window.taps():
        kernel = np.zeros((shape[0], 1, *window.kernel))
        at: Any = (slice(None), 0, *tap)
        kernel[at] = 1.0
        yield Conv(kernel, shape[0], window, groups=shape[0])


def _listed_picks(shape: tuple[int, ...], window: Window) -> Iterator[Sparse]:
    """Each tap of a window, synapse by synapse; another cell stands in for a padded one."""
    channels, area = shape[0], math.prod(window.input_size)
    cells = window.pad(np.arange(area).reshape(window.input_size), -1)
    taps = np.stack([cells[where].reshape(-1) for _, where in window.taps()])
    # A padded cell must not win.
    real = np.take_along_axis(taps, (taps >= 0).argmax(axis=0)[None], axis=0)
    for cell in np.where(taps >= 0, taps, real):
        index = np.arange(channels)[:, None] * area + cell
        yield picking(index.reshape(channels, *window.output_size), shape)
