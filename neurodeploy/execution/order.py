"""The engine's order of neurons: channels last.

The n neurons of a population of shape (C, H, W) lie in the order (H, W, C): all channels of one
place side by side, which is what sums of rows of weights are fastest with.
"""

from __future__ import annotations

import math

import numpy as np

from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.connectivity import Connectivity


def channels_last(values: AnyArray, shape: tuple[int, ...]) -> AnyArray:
    """``[..., *shape]`` as ``[..., n]`` in the engine's order."""
    lead = values.shape[: values.ndim - len(shape)]
    moved = np.moveaxis(values, len(lead), -1) if len(shape) > 1 else values
    return moved.reshape(*lead, math.prod(shape))


def channels_first(values: AnyArray, shape: tuple[int, ...]) -> AnyArray:
    """``[..., n]`` in the engine's order back to ``[..., *shape]``."""
    lead = values.shape[:-1]
    if len(shape) == 1:
        return values.reshape(*lead, *shape)
    return np.moveaxis(values.reshape(*lead, *shape[1:], shape[0]), -1, len(lead))


def neuron_order(shape: tuple[int, ...]) -> IntArray:
    """C-order index of the neuron at every place of the engine's order: int64 ``[n]``."""
    n = math.prod(shape)
    return np.asarray(channels_last(np.arange(n, dtype=np.int64).reshape(shape), shape))


def neuron_place(shape: tuple[int, ...]) -> IntArray:
    """Place in the engine's order of every neuron in C-order: int64 ``[n]``."""
    return np.argsort(neuron_order(shape)).astype(np.int64)


def synapse_list(
    connectivity: Connectivity, scale: AnyArray
) -> tuple[IntArray, IntArray, AnyArray]:
    """All synapses (post, pre, weight times ``scale`` of its channel), neurons in this order."""
    post, pre, weight = connectivity.to_coo()
    shape_in, shape_out = connectivity.pre_shape, connectivity.post_shape
    weight = weight * scale[post // math.prod(shape_out[1:])]
    return neuron_place(shape_out)[post], neuron_place(shape_in)[pre], weight


def grid(shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows and pixels of a row of a population: (H, W), (1, L) for one axis, (1, 1) for none."""
    spatial = shape[1:]
    if not spatial:
        return 1, 1
    return math.prod(spatial[:-1]), spatial[-1]
