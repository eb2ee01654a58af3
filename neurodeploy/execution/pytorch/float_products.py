"""Linear maps of real-valued netlists: one matrix product or convolution of the library each."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F

from neurodeploy.execution.order import neuron_order
from neurodeploy.execution.pytorch.layout import vector
from neurodeploy.execution.pytorch.products import GatherProduct, Product, Synapses, synapses
from neurodeploy.execution.pytorch.spaced_products import SpacedProduct
from neurodeploy.execution.pytorch.windows import padded_image, reduce_windows, two
from neurodeploy.ir.arrays import AnyArray, per_neuron
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, SumPool, is_spaced
from neurodeploy.ir.geometry import Window
from neurodeploy.numerics.torch_convolution import convolve
from neurodeploy.numerics.torch_sparse import sparse_matrix


class DenseProduct(Product):
    """A matrix product."""

    def __init__(self, weight: AnyArray, dtype: torch.dtype) -> None:
        super().__init__(dtype)
        self.weight = torch.tensor(weight.T.copy(), dtype=dtype)
        self.bias: torch.Tensor | None = None

    def carry_bias(self, bias: AnyArray, shape: tuple[int, ...]) -> bool:
        """A matrix product starts from any bias."""
        self.bias = vector(per_neuron(bias, shape), shape, self.dtype)
        return True

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Apply to ``[N, n_pre]``."""
        if self.bias is None:
            return torch.mm(x, self.weight)
        return torch.addmm(self.bias, x, self.weight)


class ConvProduct(Product):
    """A convolution over channels-last images."""

    def __init__(self, conv: Conv, dtype: torch.dtype) -> None:
        super().__init__(dtype)
        window = conv.window
        self.size = two(window.input_size, 1)
        self.channels = conv.channels_in
        self.groups = conv.groups
        self.stride = two(window.stride, 1)
        self.dilation = two(window.dilation, 1)
        self.padding, self.pad_first = _padding(window)
        shape = (*conv.weight.shape[:2], *two(window.kernel, 1))
        self.weight = torch.tensor(conv.weight.reshape(shape), dtype=dtype)
        self.bias: torch.Tensor | None = None

    def carry_bias(self, bias: AnyArray, shape: tuple[int, ...]) -> bool:
        """A convolution starts from a bias per channel."""
        per_neuron_bias = per_neuron(bias, shape).reshape(shape[0], -1)
        per_channel = per_neuron_bias[:, 0].copy()
        if (per_neuron_bias != per_channel[:, None]).any():
            return False
        self.bias = torch.tensor(per_channel, dtype=self.dtype)
        return True

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Apply to ``[N, n_pre]``."""
        image = x.view(-1, *self.size, self.channels).permute(0, 3, 1, 2)
        if self.pad_first is not None:
            image = F.pad(image, self.pad_first)
        y = convolve(
            image, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )
        return y.permute(0, 2, 3, 1).reshape(x.shape[0], -1)

    def scratch_entries(self) -> int:
        """The columns of im2col."""
        if self.dtype == torch.float32:
            return 0
        return math.prod(self.size) * self.channels * math.prod(self.weight.shape[2:])


class SumPoolProduct(Product):
    """Sums over windows, then one weight per channel."""

    def __init__(self, pool: SumPool, dtype: torch.dtype) -> None:
        super().__init__(dtype)
        self.window = pool.window
        self.channels = pool.pre_shape[0]
        self.weight = torch.tensor(pool.weight, dtype=dtype)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Apply to ``[N, n_pre]``."""
        image = padded_image(x, self.window, self.channels)
        y = reduce_windows(image, self.window, torch.add)
        return (y * self.weight).reshape(x.shape[0], -1)


class SparseProduct(Product):
    """A compressed sparse matrix times a dense one."""

    def __init__(self, listed: Synapses, dtype: torch.dtype) -> None:
        super().__init__(dtype)
        shape = (listed.n_post, listed.n_pre)
        self.matrix = sparse_matrix(listed.post, listed.pre, listed.weight, shape, dtype)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Apply to ``[N, n_pre]``."""
        return (self.matrix @ x.T.contiguous()).T.contiguous()


def float_product(connectivity: Connectivity, dtype: torch.dtype) -> Product:
    """The fastest map for a real-valued connectivity."""
    if is_spaced(connectivity):
        return SpacedProduct(connectivity, lambda part: float_product(part, dtype), dtype)
    if isinstance(connectivity, Conv):
        return ConvProduct(connectivity, dtype)
    if isinstance(connectivity, SumPool):
        return SumPoolProduct(connectivity, dtype)
    if isinstance(connectivity, Dense):
        return DenseProduct(connectivity.weight[:, neuron_order(connectivity.pre_shape)], dtype)
    listed = synapses(connectivity, np.ones(connectivity.post_shape[0]))
    gathered = listed.gather()
    if gathered is not None:
        return GatherProduct(*gathered, listed.n_pre, dtype)
    matrix = listed.matrix()
    return SparseProduct(listed, dtype) if matrix is None else DenseProduct(matrix, dtype)


def _padding(window: Window) -> tuple[tuple[int, int], tuple[int, ...] | None]:
    """Symmetric padding of the convolution, or padding to be done before it."""
    if all(a == b for a, b in window.padding):
        return two(tuple(a for a, _ in window.padding), 0), None
    return (0, 0), tuple(n for pair in reversed(window.padding) for n in pair)
