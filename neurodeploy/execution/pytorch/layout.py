"""The engine's memory layout in tensors: time first, channels last.

A raster is ``[T, B, n]``, its neurons in the order of :mod:`neurodeploy.execution.order`.
"""

from __future__ import annotations

import numpy as np
import torch

from neurodeploy.execution.order import channels_last
from neurodeploy.ir.arrays import AnyArray


def vector(values: AnyArray, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Values per neuron, of ``shape``, as a tensor ``[n]``."""
    return torch.tensor(channels_last(np.asarray(values), shape).copy(), dtype=dtype)


def to_array(values: torch.Tensor, shape: tuple[int, ...], dtype: torch.dtype) -> AnyArray:
    """``[..., n]`` back to a C-order array ``[..., *shape]`` of ``dtype``."""
    lead = values.shape[:-1]
    if len(shape) > 1:
        values = values.reshape(*lead, *shape[1:], shape[0]).movedim(-1, len(lead))
    return np.asarray(values.reshape(*lead, *shape).to(dtype).contiguous().cpu().numpy())
