"""The engine's memory layout: time first, channels last.

A raster is ``[T, B, n]``; the n neurons of a population of shape (C, H, W) lie in the order
(H, W, C), which is what direct convolution on CPUs is fastest with.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from neurodeploy.ir.arrays import AnyArray, IntArray


def channels_last(values: AnyArray, shape: tuple[int, ...]) -> AnyArray:
    """``[..., *shape]`` as ``[..., n]`` in the engine's order."""
    lead = values.shape[: values.ndim - len(shape)]
    moved = np.moveaxis(values, len(lead), -1) if len(shape) > 1 else values
    return moved.reshape(*lead, math.prod(shape))


def neuron_order(shape: tuple[int, ...]) -> IntArray:
    """C-order index of the neuron at every place of the engine's order: int64 ``[n]``."""
    n = math.prod(shape)
    return np.asarray(channels_last(np.arange(n, dtype=np.int64).reshape(shape), shape))


def neuron_place(shape: tuple[int, ...]) -> IntArray:
    """Place in the engine's order of every neuron in C-order: int64 ``[n]``."""
    return np.argsort(neuron_order(shape)).astype(np.int64)


def vector(values: AnyArray, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Values per neuron, of ``shape``, as a tensor ``[n]``."""
    return torch.tensor(channels_last(np.asarray(values), shape).copy(), dtype=dtype)


def to_array(values: torch.Tensor, shape: tuple[int, ...], dtype: torch.dtype) -> AnyArray:
    """``[..., n]`` back to a C-order array ``[..., *shape]`` of ``dtype``."""
    lead = values.shape[:-1]
    if len(shape) > 1:
        values = values.reshape(*lead, *shape[1:], shape[0]).movedim(-1, len(lead))
    return np.asarray(values.reshape(*lead, *shape).to(dtype).contiguous().numpy())
