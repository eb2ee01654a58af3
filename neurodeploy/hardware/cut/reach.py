"""Cores that a spike reaches and synapses in each, by closed forms where there are any."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neurodeploy.hardware.cut.assignment import Assignment
from neurodeploy.hardware.cut.axons import Reach
from neurodeploy.hardware.cut.listed_reach import ListedReach, sparse_reach
from neurodeploy.hardware.cut.product_reach import (
    ProductReach,
    further_axes,
    plain_axis,
    product_axes,
)
from neurodeploy.hardware.cut.tiling import Intervals
from neurodeploy.ir.connectivity import Connectivity, Dense, Sparse


def reach(connectivity: Connectivity, cuts: Sequence[Intervals]) -> Reach:
    """Reach of any connectivity into boxes that are cut along each axis of its post shape."""
    if isinstance(connectivity, Sparse):
        return sparse_reach(connectivity, cuts)
    return ProductReach(product_axes(connectivity, cuts))


def assigned_reach(connectivity: Connectivity, cut: Assignment) -> Reach:
    """Reach of any connectivity into the sets of a listed cut of its target."""
    if isinstance(connectivity, Dense):
        axis = plain_axis(np.repeat(cut.sizes()[:, None], connectivity.pre_shape[0], axis=1))
        return ProductReach((axis, *further_axes(connectivity)))
    post, pre, _ = connectivity.to_coo()
    key, count = np.unique(pre * cut.n_tiles + cut.part[post], return_counts=True)
    tile = key % cut.n_tiles
    return ListedReach(
        connectivity.pre_shape, cut.n_tiles, key // cut.n_tiles, tile, count.astype(np.int64)
    )


def merge(parts: Sequence[Reach]) -> Reach:
    """Union of reaches between the same two populations: a spike that takes two is one packet."""
    if len(parts) == 1:
        return parts[0]
    found = [part.pairs() for part in parts]
    n_tiles = parts[0].n_tiles
    key = np.unique(np.concatenate([pre * n_tiles + tile for pre, tile in found]))
    return ListedReach(
        parts[0].pre_shape, n_tiles, key // n_tiles, key % n_tiles, np.ones_like(key)
    )
