"""Neurons to cores: few cores, and few inputs needed by more than one core.

Neurons with the same inputs form a group (a position of a convolution, with its channels). Cores
are filled greedily with the group that needs the fewest further axons. A neuron may be wanted in
several copies, one per destination; a group with more copies than a core has neurons fills several
cores, each with all its axons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neurodeploy.ir.arrays import AnyArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class PackedCore:
    """Neurons (repeated where copied) and axon slots of one core, both int64."""

    neurons: IntArray
    slots: IntArray


def pack(
    neuron: IntArray,
    slot: IntArray,
    key: IntArray,
    copies: IntArray,
    n_slots: int,
    max_axons: int,
    max_neurons: int,
    cut_freely: bool,
    site: IntArray | None = None,
) -> list[PackedCore]:
    """Pack one population.

    Parameters
    ----------
    neuron, slot : int64 ``[crossings]``
        Crossbar synapses, sorted by neuron; no neuron may need more than ``max_axons`` slots.
    key : int64 ``[n_slots]``
        Input of each slot, -1 for bias axons.
    copies : int64 ``[n]``
        How often each neuron is wanted, at least 1.
    n_slots, max_axons, max_neurons : int
    cut_freely : bool
        Whether a group may be cut to fill a core even where it would fit into a fresh one: its
        inputs cost nothing because the host sends them.
    site : int64 ``[n]``, optional
        Neurons of one site share most of their inputs and are grouped even where they differ,
        as far as they fit a core.
    """
    groups = (
        _groups(neuron, slot, key, copies.size, max_axons)
        if site is None
        else _site_groups(neuron, slot, site, n_slots, max_axons)
    )
    members = [np.repeat(g, copies[g]) for g in groups]
    start = np.searchsorted(neuron, np.arange(copies.size + 1))
    need = np.zeros((n_slots, len(groups)), dtype=np.uint8)
    for i, g in enumerate(groups):
        for j in g:
            need[slot[start[j] : start[j + 1]], i] = 1
    left = np.array([m.size for m in members], dtype=np.int64)
    alone = need.sum(axis=0, dtype=np.int64)
    cores: list[AnyArray] = []
    while left.any():
        inside: list[AnyArray] = []
        room, n_axons = max_neurons, 0
        more, listened = alone.copy(), np.zeros(n_slots, dtype=bool)
        while room:
            fits = (left > 0) & (n_axons + more <= max_axons)
            if not cut_freely and inside:
                fits &= left <= room
            if not fits.any():
                break
            # A fresh core starts at the first group left, so that neighbours stay together.
            group = int(np.argmin(np.where(fits, more if inside else 0, max_axons + 1)))
            take, end = min(room, int(left[group])), int(left[group])
            inside.append(members[group][end - take : end])
            left[group] -= take
            room -= take
            n_axons += int(more[group])
            added = np.flatnonzero((need[:, group] > 0) & ~listened)
            listened[added] = True
            more -= need[added].sum(axis=0, dtype=np.int64)
        cores.append(np.sort(np.concatenate(inside)))
    return [PackedCore(n, slots_of(n, start, slot)) for n in cores]


def cores_and_feeds(
    cores: Sequence[PackedCore], key: IntArray, on_chip: AnyArray, max_neurons: int
) -> float:
    """Cores, and the share of cores before them that their inputs from the chip take.

    Parameters
    ----------
    cores : sequence of PackedCore
    key : int64 ``[n_slots]``
        Input of each slot, below 0 for what the host sends by itself.
    on_chip : bool ``[K]``
        Whether an input is a neuron of the chip, each of whose copies feeds one axon.
    max_neurons : int
        Of a core.
    """
    fed = 0
    for core in cores:
        heard = key[core.slots]
        fed += int(on_chip[heard[heard >= 0]].sum())
    return len(cores) + fed / max_neurons


def slots_of(neurons: AnyArray, start: IntArray, slot: IntArray) -> IntArray:
    """Axon slots of some neurons, those of neuron j at ``slot[start[j] : start[j + 1]]``."""
    distinct = np.unique(neurons)
    slots: IntArray = np.unique(np.concatenate([slot[start[j] : start[j + 1]] for j in distinct]))
    return slots


def _groups(
    neuron: IntArray, slot: IntArray, key: IntArray, n: int, max_axons: int
) -> list[IntArray]:
    """Neurons with the same inputs, in order of their first neuron."""
    start = np.searchsorted(neuron, np.arange(n + 1))
    found: dict[bytes, list[int]] = {}
    for j in range(n):
        keys = np.unique(key[slot[start[j] : start[j + 1]]])
        found.setdefault(keys.tobytes(), []).append(j)
    groups: list[IntArray] = []
    for same in found.values():
        slots = np.unique(np.concatenate([slot[start[j] : start[j + 1]] for j in same]))
        if slots.size <= max_axons:
            groups.append(np.array(same, dtype=np.int64))
        else:
            groups.extend(np.array([j], dtype=np.int64) for j in same)
    return groups


def _site_groups(
    neuron: IntArray, slot: IntArray, site: IntArray, n_slots: int, max_axons: int
) -> list[IntArray]:
    """Consecutive neurons of a site whose inputs fit one core, in order of the sites."""
    start = np.searchsorted(neuron, np.arange(site.size + 1)).tolist()
    listened = np.full(n_slots, -1)
    groups: list[list[int]] = []
    used, last = 0, -1
    for j in np.argsort(site, kind="stable").tolist():
        own = slot[start[j] : start[j + 1]]
        more = int((listened[own] != len(groups) - 1).sum()) if groups else own.size
        if not groups or site[j] != last or used + more > max_axons:
            groups.append([])
            used, more, last = 0, own.size, int(site[j])
        groups[-1].append(j)
        listened[own] = len(groups) - 1
        used += more
    return [np.array(group, dtype=np.int64) for group in groups]
