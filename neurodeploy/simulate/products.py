"""Linear maps on rasters ``[N, n_pre] -> [N, n_post]`` in the engine's layout.

Dense maps are one matrix product. Convolutions in float32 call oneDNN with the algorithm
``convolution_direct`` (through ``torch.mkldnn_convolution``, which requests no other;
``torch.conv2d`` would be free to choose NNPACK's Winograd or FFT), in float64 PyTorch's
im2col and matrix product, the only double-precision convolution it has. All of them add
products of one weight and one payload in some order, which is what
:mod:`neurodeploy.simulate.precision` proves exact.
"""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod

import numpy as np
import torch
import torch.nn.functional as F

from neurodeploy.ir.arrays import AnyArray, IntArray, per_neuron
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, SumPool
from neurodeploy.ir.geometry import Window
from neurodeploy.simulate.layout import neuron_order, neuron_place, vector

MAX_DENSE_ENTRIES = 2**22
MAX_GATHERS = 4


class Product(ABC):
    """One projection's map."""

    aliases = False
    """Whether the result may be the argument itself."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self.bias: torch.Tensor | None = None

    @abstractmethod
    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Apply to ``[N, n_pre]`` of ``dtype``."""

    def add_to(self, total: torch.Tensor, x: torch.Tensor) -> None:
        """Add the result for ``x`` to ``total`` ``[N, n_post]``, of ``dtype`` or a wider one."""
        total.add_(self(x))

    def carry_bias(self, bias: AnyArray, shape: tuple[int, ...]) -> bool:
        """Add the bias of a population of ``shape`` to every result, if that costs nothing."""
        return False

    def scratch_entries(self) -> int:
        """Temporary numbers per row of the argument, beside the result."""
        return 0


class DenseProduct(Product):
    """A matrix product."""

    def __init__(self, weight: AnyArray, dtype: torch.dtype) -> None:
        super().__init__(dtype)
        self.weight = torch.tensor(weight.T.copy(), dtype=dtype)

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
    """A direct convolution over channels-last images."""

    def __init__(self, conv: Conv, scale: AnyArray, dtype: torch.dtype) -> None:
        super().__init__(dtype)
        window = conv.window
        self.size = _two(window.input_size, 1)
        self.channels = conv.channels_in
        self.groups = conv.groups
        self.stride = _two(window.stride, 1)
        self.dilation = _two(window.dilation, 1)
        self.padding, self.pad_first = _padding(window)
        scaled = conv.weight * scale.reshape(-1, *(1,) * (conv.weight.ndim - 1))
        kernel = _two(window.kernel, 1)
        self.weight = torch.tensor(scaled.reshape(*scaled.shape[:2], *kernel), dtype=dtype)
        self.weight = self.weight.contiguous(memory_format=torch.channels_last)

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
        if self.dtype == torch.float32:
            y = torch.mkldnn_convolution(
                image, self.weight, self.bias, self.padding, self.stride, self.dilation, self.groups
            )
        else:
            y = F.conv2d(
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

    def __init__(self, pool: SumPool, scale: AnyArray, dtype: torch.dtype) -> None:
        super().__init__(dtype)
        self.window = pool.window
        self.channels = pool.pre_shape[0]
        weight = pool.weight * scale
        self.weight = None if (weight == 1).all() else torch.tensor(weight, dtype=dtype)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Apply to ``[N, n_pre]``."""
        image = padded_image(x, self.window, self.channels)
        if max(self.window.dilation) == 1:
            kernel, stride = _two(self.window.kernel, 1), _two(self.window.stride, 1)
            # The divisor 1 keeps the sum.
            y = F.avg_pool2d(image.permute(0, 3, 1, 2), kernel, stride, divisor_override=1).permute(
                0, 2, 3, 1
            )
        else:
            y = reduce_windows(image, self.window, torch.add)
        if self.weight is not None:
            y = y * self.weight
        return y.reshape(x.shape[0], -1)


class GatherProduct(Product):
    """At most a few synapses per neuron: gathered one rank at a time.

    ``index`` and ``weight`` are ``[ranks, n_post]``; missing synapses weigh 0.
    """

    def __init__(self, index: IntArray, weight: AnyArray, n_pre: int, dtype: torch.dtype) -> None:
        super().__init__(dtype)
        same = index.shape == (1, n_pre) and (index[0] == np.arange(n_pre)).all()
        self.index = None if same else torch.tensor(index)
        self.aliases = bool(same and (weight == 1).all())
        self.weight = torch.tensor(weight, dtype=dtype)

    def add_to(self, total: torch.Tensor, x: torch.Tensor) -> None:
        """Add without a temporary result where the formats agree."""
        if self.index is None and not self.aliases and total.dtype == self.dtype:
            total.addcmul_(x, self.weight[0])
        else:
            super().add_to(total, x)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Apply to ``[N, n_pre]``."""
        if self.aliases:
            return x
        if self.index is None:
            return x * self.weight[0]
        total = x.index_select(1, self.index[0]).mul_(self.weight[0])
        for index, weight in zip(self.index[1:], self.weight[1:], strict=True):
            total.addcmul_(x.index_select(1, index), weight)
        return total


class SparseProduct(Product):
    """A compressed sparse matrix times a dense one."""

    def __init__(
        self,
        post: IntArray,
        pre: IntArray,
        weight: AnyArray,
        size: tuple[int, int],
        dtype: torch.dtype,
    ) -> None:
        super().__init__(dtype)
        order = np.lexsort((pre, post))
        rows = np.concatenate([[0], np.cumsum(np.bincount(post, minlength=size[0]))])
        with warnings.catch_warnings():
            # PyTorch announces that its sparse tensors are in beta.
            warnings.simplefilter("ignore")
            self.matrix = torch.sparse_csr_tensor(
                torch.tensor(rows),
                torch.tensor(pre[order]),
                torch.tensor(weight[order], dtype=dtype),
                size,
                check_invariants=True,
            )

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Apply to ``[N, n_pre]``."""
        return (self.matrix @ x.T.contiguous()).T.contiguous()


def build_product(
    connectivity: Connectivity, exponent: AnyArray | None, dtype: torch.dtype
) -> Product:
    """The fastest map for a connectivity, with the shift ``2^exponent`` inside its weights."""
    channels = connectivity.post_shape[0]
    shift = np.zeros((), dtype=np.int64) if exponent is None else exponent
    # A power of two is exact in every format; weights times it keep their bits.
    scale = np.broadcast_to(np.ldexp(1.0, shift), (channels,))
    if isinstance(connectivity, Conv):
        return ConvProduct(connectivity, scale, dtype)
    if isinstance(connectivity, SumPool):
        return SumPoolProduct(connectivity, scale, dtype)
    if isinstance(connectivity, Dense):
        columns = connectivity.weight[:, neuron_order(connectivity.pre_shape)]
        return DenseProduct(columns * scale[:, None], dtype)
    return _build_sparse(connectivity, scale, dtype)


def _build_sparse(connectivity: Connectivity, scale: AnyArray, dtype: torch.dtype) -> Product:
    shape_in, shape_out = connectivity.pre_shape, connectivity.post_shape
    n_pre, n_post = math.prod(shape_in), math.prod(shape_out)
    post, pre, weight = connectivity.to_coo()
    weight = weight * scale[post // (n_post // shape_out[0])]
    post, pre = neuron_place(shape_out)[post], neuron_place(shape_in)[pre]
    order = np.argsort(post, kind="stable")
    post, pre, weight = post[order], pre[order], weight[order]
    counts = np.bincount(post, minlength=n_post)
    ranks = int(counts.max())
    if ranks <= MAX_GATHERS:
        rank = np.arange(post.size) - np.repeat(np.cumsum(counts) - counts, counts)
        index = np.zeros((max(ranks, 1), n_post), dtype=np.int64)
        values = np.zeros(index.shape)
        index[rank, post], values[rank, post] = pre, weight
        return GatherProduct(index, values, n_pre, dtype)
    if n_pre * n_post <= MAX_DENSE_ENTRIES:
        matrix = np.zeros((n_post, n_pre))
        matrix[post, pre] = weight
        return DenseProduct(matrix, dtype)
    return SparseProduct(post, pre, weight, (n_post, n_pre), dtype)


def padded_image(x: torch.Tensor, window: Window, channels: int, fill: float = 0.0) -> torch.Tensor:
    """``[N, n]`` as images ``[N, H, W, C]`` padded with ``fill``; one axis becomes H = 1."""
    image = x.reshape(-1, *_two(window.input_size, 1), channels)
    if max(map(max, window.padding)) == 0:
        return image
    before_after = [n for pair in reversed(window.padding) for n in pair]
    return F.pad(image, (0, 0, *before_after), value=fill)


def window_cells(image: torch.Tensor, window: Window) -> list[torch.Tensor]:
    """Each cell of the window over ``[N, H, W, C]``, in C-order: ``[N, *output, C]`` each."""
    n_axes = len(window.kernel)
    cells = [image]
    for axis, taps in zip(range(3 - n_axes, 3), range(n_axes), strict=True):
        stride, size = window.stride[taps], window.output_size[taps]
        cells = [
            cell.narrow(axis, i * window.dilation[taps], stride * (size - 1) + 1)[
                (slice(None),) * axis + (slice(None, None, stride),)
            ]
            for cell in cells
            for i in range(window.kernel[taps])
        ]
    return cells


def reduce_windows(image: torch.Tensor, window: Window, operation: object) -> torch.Tensor:
    """Combine the cells of every window of ``[N, H, W, C]``, along one axis after the other."""
    assert callable(operation)
    n_axes = len(window.kernel)
    for axis, taps in zip(range(3 - n_axes, 3), range(n_axes), strict=True):
        kernel, stride = window.kernel[taps], window.stride[taps]
        dilation, size = window.dilation[taps], window.output_size[taps]
        parts = [
            image.narrow(axis, i * dilation, stride * (size - 1) + 1)[
                (slice(None),) * axis + (slice(None, None, stride),)
            ]
            for i in range(kernel)
        ]
        image = parts[0]
        for part in parts[1:]:
            image = operation(image, part)
    return image


def _two(values: tuple[int, ...], first: int) -> tuple[int, int]:
    return (values[0], values[1]) if len(values) == 2 else (first, values[0])


def _padding(window: Window) -> tuple[tuple[int, int], tuple[int, ...] | None]:
    """Symmetric padding of the convolution, or padding to be done before it."""
    if all(a == b for a, b in window.padding):
        return _two(tuple(a for a, _ in window.padding), 0), None
    return (0, 0), tuple(n for pair in reversed(window.padding) for n in pair)
