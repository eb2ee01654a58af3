"""Pools of spike counts: whole weights, and what a pooled count is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from neurodeploy.conversion.lowering.activation_graph import PoolLayer, ReluLayer
from neurodeploy.ir.arrays import AnyArray, FloatArray
from neurodeploy.ir.netlist import Population

# Steps of the grid on which several populations of binary spikes are pooled together.
POOL_LEVELS = 127
LEAST_LEVELS = 7


def pool_population(layer: PoolLayer, populations: Mapping[str, Population]) -> Population:
    """A pool of counts; of a single population, with the worth of its source."""
    weights, unit = pool_weights(layer, populations)
    negative = any(
        bool((weights[term.source] < 0).any()) or populations[term.source].emits_negative
        for term in layer.affine.terms
    )
    model = replace(layer.model, signed=negative)
    return Population(layer.name, layer.shape, model, unit, layer.source)


def pool_weights(
    layer: PoolLayer, populations: Mapping[str, Population]
) -> tuple[dict[str, FloatArray], FloatArray]:
    """Whole weights ``[C]`` by source, and what one pooled count of each channel is worth.

    The coarsest grid on which all of them are whole, or the finest that is allowed.
    """
    channels = layer.affine.shape[0]
    names = [term.source for term in layer.affine.terms]
    worth = np.zeros((len(names), channels))
    payload_max = 1
    for row, term in zip(worth, layer.affine.terms, strict=True):
        population = populations[term.source]
        assert population.unit is not None
        row[:] = term.scale.reshape(channels, -1)[:, 0] * population.unit
        payload_max = max(payload_max, getattr(population.model, "payload_max", 1))
    largest = np.abs(worth).max(axis=0)
    largest = np.where(largest > 0, largest, 1.0)
    grid: AnyArray = np.full(channels, pool_levels(payload_max))
    for levels in range(pool_levels(payload_max), 0, -1):
        steps = worth / largest * levels
        grid = np.where((np.abs(steps - np.rint(steps)) < 1e-9).all(axis=0), levels, grid)
    whole = np.rint(worth / largest * grid)
    return dict(zip(names, whole, strict=True)), largest / grid


def pool_levels(payload_max: int) -> int:
    """Steps of the finest grid on which several populations are pooled together.

    The range of what a pool emits is a payload of the next layer, whose weights it costs bits.
    """
    return max(POOL_LEVELS // payload_max, LEAST_LEVELS)


def commensurate(
    pool: PoolLayer,
    worths: dict[str, FloatArray],
    layers: Mapping[str, ReluLayer],
    levels: int,
) -> None:
    """Make what is pooled together whole fractions of the largest, where a worth is free.

    The range of a saturating layer is its width: its worth stays.
    """
    channels = pool.affine.shape[0]
    scales = {t.source: t.scale.reshape(channels, -1)[:, 0] for t in pool.affine.terms}
    contribution = {name: np.abs(scale) * worths[name] for name, scale in scales.items()}
    largest = np.max(list(contribution.values()), axis=0)
    for name, value in contribution.items():
        if layers[name].maximum is None and (value > 0).all():
            parts = np.clip(np.rint(largest / value), 1, levels)
            worths[name] = largest / parts / np.abs(scales[name])
