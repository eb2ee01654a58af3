"""Layouts: cores onto the slots of a region without search, by an order or by coordinates.

Every layout is an assignment, int64 ``[n_cores]``: the slot of each core.
"""

from __future__ import annotations

import numpy as np

from neurodeploy.hardware.cut.core_map import CoreMap
from neurodeploy.hardware.cut.flows import CoreFlows
from neurodeploy.hardware.cut.tiling import Tiling
from neurodeploy.hardware.place.region import Region, along_hilbert, hilbert_index
from neurodeploy.ir.arrays import FloatArray, IntArray

_FINE = 12
"""Order of the Hilbert curve over patch positions: 4096 cells along an image."""
_ROUNDS = 4
"""Layers without positions in a row that find theirs."""
_SMOOTHINGS = 40


def patch_positions(mapping: CoreMap, flows: CoreFlows) -> FloatArray:
    """Position of each core's patch in its feature map: ``[n_cores, 2]``, from 0 to 1.

    The last two axes of a population count; sequences (channels, length) have one, and lie in the
    middle of the other. Cores without any (dense layers) lie amid what they talk to.
    """
    place = np.full((mapping.n_cores, 2), 0.5)
    fixed = np.zeros(mapping.n_cores, dtype=bool)
    boxes = [(name, cut) for name, cut in mapping.tilings.items() if isinstance(cut, Tiling)]
    for name, tiling in boxes:
        cores = mapping.cores_of(name)
        spatial = len(tiling.shape) - 1
        fixed[cores.start : cores.stop] = spatial > 0
        for axis in range(1, spatial + 1)[-2:]:
            place[cores.start : cores.stop, axis - spatial] = _centres(tiling, axis)
    free = np.flatnonzero(~fixed)
    if free.size == mapping.n_cores:
        return place
    for _ in range(_ROUNDS):
        place[free] = _neighbour_mean(flows, place)[free]
    return place


def _centres(tiling: Tiling, axis: int) -> FloatArray:
    """Middle of every box along one axis, as a share of its length."""
    middle = np.array([(a + b) / 2 for a, b in tiling.intervals(axis)]) / tiling.shape[axis]
    shape = [1] * len(tiling.grid)
    shape[axis] = -1
    return np.broadcast_to(middle.reshape(shape), tiling.grid).reshape(-1)


def _neighbour_mean(flows: CoreFlows, place: FloatArray) -> FloatArray:
    """Mean place of the cores that each core exchanges packets with, by packets."""
    total = np.zeros_like(place)
    weight = np.zeros(len(place))
    for a, b in ((flows.source, flows.target), (flows.target, flows.source)):
        weight += np.bincount(a, flows.packets, minlength=len(place))
        for i in range(place.shape[1]):
            total[:, i] += np.bincount(a, flows.packets * place[b, i], minlength=len(place))
    return np.where(weight[:, None] > 0, total / np.maximum(weight, 1)[:, None], place)


def connection_positions(flows: CoreFlows, seed: int) -> FloatArray:
    """Coordinates from the flows alone: the two smoothest uneven ones, ranked from 0 to 1.

    Power iteration on the mean over neighbours (the walk matrix of the graph), started from the
    order of the cores and from a random vector.
    """
    n = flows.n_cores
    rng = np.random.default_rng(seed)
    place = np.stack([np.linspace(-1.0, 1.0, n), rng.uniform(-1.0, 1.0, n)], axis=1)
    for _ in range(_SMOOTHINGS):
        place = 0.5 * place + 0.5 * _neighbour_mean(flows, place)
        place -= place.mean(axis=0)
        place[:, 1] -= (
            place[:, 0]
            * (place[:, 0] @ place[:, 1])
            / max(float(place[:, 0] @ place[:, 0]), 1e-300)
        )
        place /= np.maximum(np.abs(place).max(axis=0), 1e-300)
    rank = np.argsort(np.argsort(place, axis=0, kind="stable"), axis=0, kind="stable")
    return rank / max(1, n - 1)


def patches_along_curve(region: Region, place: FloatArray) -> IntArray:
    """Cores of all layers in the order in which a Hilbert curve meets their patches."""
    x, y = np.clip((place * (1 << _FINE)).astype(np.int64), 0, (1 << _FINE) - 1).T
    slot = np.empty(len(place), dtype=np.int64)
    slot[np.argsort(hilbert_index(x, y, _FINE), kind="stable")] = along_hilbert(region)
    return slot


def bisected(
    region: Region, place: FloatArray, potentials: tuple[FloatArray, FloatArray]
) -> IntArray:
    """Cores with coordinates ``place`` onto slots by halving both at once.

    Slots are halved along the axis on which they lie dearer apart, at a chip border where they
    span several chips; cores are divided in the same numbers by the same coordinate.
    """
    n = region.n_slots
    slots, cores = np.arange(n), np.arange(n)
    bounds = np.array([0, n])
    dear = np.stack([p[region.position[:, i]] for i, p in enumerate(potentials)], axis=1)
    chips = region.position // (region.grid.tiles_x, region.grid.tiles_y)
    while True:
        starts, sizes = bounds[:-1], np.diff(bounds)
        if (sizes == 1).all():
            break
        span = _spans(chips[slots], starts)
        apart = _spans(dear[slots], starts)
        # Several chips are divided first, along the axis on which they lie dearer apart.
        between = span.max(axis=1, keepdims=True) > 0
        axis = np.where(between & (span == 0), -1.0, apart).argmax(axis=1)
        part = np.repeat(np.arange(len(sizes)), sizes)
        way = axis[part]
        main, other = region.position[slots, way], region.position[slots, 1 - way]
        slots = slots[np.lexsort((other, main, part))]
        cores = cores[np.lexsort((cores, place[cores, way], part))]
        bounds = _cuts(bounds, chips[slots, way])
    assigned = np.empty(n, dtype=np.int64)
    assigned[cores] = slots
    return assigned


def _spans(values: IntArray | FloatArray, starts: IntArray) -> FloatArray:
    """Difference of the largest and the smallest value of every part."""
    spans: FloatArray = np.maximum.reduceat(values, starts) - np.minimum.reduceat(values, starts)
    return spans.astype(np.float64)


def _cuts(bounds: IntArray, chip: IntArray) -> IntArray:
    """Bounds of the halves of all parts: at the chip border nearest the middle, or there."""
    starts, sizes = bounds[:-1], np.diff(bounds)
    middle = starts + sizes // 2
    border = np.flatnonzero(chip[1:] != chip[:-1]) + 1
    inside = np.setdiff1d(border, bounds)
    part = np.searchsorted(bounds, inside, side="right") - 1
    order = np.lexsort((inside, np.abs(inside - middle[part]), part))
    parts, first = np.unique(part[order], return_index=True)
    middle[parts] = inside[order][first]
    halved: IntArray = np.unique(np.concatenate([bounds, middle[sizes > 1]]))
    return halved
