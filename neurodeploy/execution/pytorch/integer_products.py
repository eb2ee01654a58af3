"""Linear maps of integer netlists, in integers alone.

Dense maps are one product of :class:`neurodeploy.execution.pytorch.digits.DigitMatrix`,
convolutions one per block of images: the cells under the kernel are gathered into rows (im2col), a
few images at a time so that rows and results stay in cache. Channels of a grouped convolution are
taken together to some ``BLOCK_CHANNELS``, with zeros between groups: a product of a few columns
costs as much. Everything else is sums and gathers.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from neurodeploy.execution.order import neuron_order
from neurodeploy.execution.pytorch.digits import DigitMatrix
from neurodeploy.execution.pytorch.layout import vector
from neurodeploy.execution.pytorch.precision import narrowest
from neurodeploy.execution.pytorch.products import GatherProduct, Product, Synapses, synapses
from neurodeploy.execution.pytorch.spaced_products import SpacedProduct
from neurodeploy.execution.pytorch.windows import padded_image, reduce_windows, two
from neurodeploy.ir.arrays import AnyArray, IntArray, per_neuron
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, SumPool, is_spaced

COLUMN_BYTES = 2**20
LONG_RUN = 192
"""Bytes from which on a run is copied as fast as a longer one."""
BLOCK_CHANNELS = 32
Payload = tuple[int, int]


class DenseProduct(Product):
    """A matrix product; ``weight`` is ``[n_post, n_pre]``."""

    def __init__(
        self, weight: IntArray, scale: IntArray, payload: Payload, dtype: torch.dtype
    ) -> None:
        super().__init__(dtype)
        self.matrix = DigitMatrix(weight.T, payload)
        self.scale = _scale(scale, dtype)
        self.bias: torch.Tensor | None = None

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Apply to ``[N, n_pre]``."""
        y = self.matrix.multiply(self.matrix.digits(x)).to(self.dtype)
        return _finished(y, self.scale, self.bias)

    def carry_bias(self, bias: AnyArray, shape: tuple[int, ...]) -> bool:
        """A bias joins what is added or multiplied anyway."""
        self.bias = vector(per_neuron(bias, shape), shape, self.dtype)
        return True


class ConvProduct(Product):
    """A convolution as products of gathered rows."""

    def __init__(self, conv: Conv, scale: IntArray, payload: Payload, dtype: torch.dtype) -> None:
        super().__init__(dtype)
        self.window = conv.window
        self.channels, self.n_out = conv.channels_in, int(conv.weight.shape[0])
        self.kernel, self.out = two(self.window.kernel, 1), two(self.window.output_size, 1)
        self.stride, self.dilation = two(self.window.stride, 1), two(self.window.dilation, 1)
        weight = conv.weight.reshape(*conv.weight.shape[:2], *self.kernel)
        together = _groups_together(conv)
        self.matrices = [
            DigitMatrix(_block(weight, conv.groups, g, together), payload)
            for g in range(0, conv.groups, together)
        ]
        self.scale = _scale(scale, dtype)
        self.bias: torch.Tensor | None = None
        self.borders: dict[tuple[int, int, int], torch.Tensor] = {}

    def carry_bias(self, bias: AnyArray, shape: tuple[int, ...]) -> bool:
        """A bias per channel joins what is added or multiplied anyway."""
        by_channel = per_neuron(bias, shape).reshape(shape[0], -1)
        if (by_channel != by_channel[:, :1]).any():
            return False
        channels = by_channel[:, 0].copy()
        alone = self.scale is None and len(self.matrices) == 1
        if not (alone and self.matrices[0].carry(channels)):
            self.bias = torch.tensor(channels, dtype=self.dtype)
        return True

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Apply to ``[N, n_pre]``."""
        places = math.prod(self.out)
        row = self.matrices[0].n_in * len(self.matrices)
        images = max(1, COLUMN_BYTES // (places * row))
        y = torch.empty(x.shape[0], places, self.n_out, dtype=self.dtype)
        for start in range(0, x.shape[0], images):
            self._convolve(x[start : start + images], y[start : start + images])
        return y.view(x.shape[0], -1)

    def _convolve(self, x: torch.Tensor, y: torch.Tensor) -> None:
        image = x.reshape(-1, *two(self.window.input_size, 1), self.channels)
        flat = y.view(-1, self.n_out)
        last_in = last_out = 0
        for m, matrix in enumerate(self.matrices):
            c_in = matrix.n_in // math.prod(self.kernel)
            digits = matrix.digits(image[..., last_in : last_in + c_in])
            columns = [
                self._columns(self._bordered(digit, -matrix.lowered, (m, i, len(image))))
                for i, digit in enumerate(digits)
            ]
            matrix.multiply_into(flat[:, last_out : last_out + matrix.n_out], columns)
            last_in += c_in
            last_out += matrix.n_out
        _finished(flat, self.scale, self.bias)

    def _bordered(self, image: torch.Tensor, fill: int, key: tuple[int, int, int]) -> torch.Tensor:
        """A padded image, in memory that is kept with its border."""
        if max(map(max, self.window.padding)) == 0:
            return image
        (top, bottom), (left, right) = ((0, 0), *self.window.padding)[-2:]
        n, high, wide, channels = image.shape
        if key not in self.borders:
            size = (n, top + high + bottom, left + wide + right, channels)
            self.borders[key] = torch.full(size, fill, dtype=torch.int8)
        whole = self.borders[key]
        whole[:, top : top + high, left : left + wide].copy_(image)
        return whole

    def _columns(self, image: torch.Tensor) -> torch.Tensor:
        """The cells under the kernel at every place: ``[N places, taps c_in]``."""
        n, rows, _, channels = image.shape
        by_image, by_row, by_pixel, by_channel = image.stride()
        (high, wide), (down, right) = self.kernel, self.stride
        spread_down, spread_right = self.dilation
        places = (n, *self.out)
        across, tap = right * by_pixel, spread_right * by_pixel
        if high == 1 or wide * channels >= LONG_RUN:
            cells = image.as_strided(
                (*places, high, wide, channels),
                (by_image, down * by_row, across, spread_down * by_row, tap, by_channel),
                image.storage_offset(),
            )
            return cells.reshape(math.prod(places), -1)
        # Copies take their time per run of bytes, not per byte. What lies side by side under the
        # kernel is gathered first, for each column of places; then a place is one run of it.
        run = wide * channels
        strip = image.as_strided(
            (n, self.out[1], rows, wide, channels),
            (by_image, across, by_row, tap, by_channel),
            image.storage_offset(),
        ).contiguous()
        cells = strip.as_strided(
            (*places, high, run),
            (self.out[1] * rows * run, down * run, rows * run, spread_down * run, 1),
        )
        return cells.reshape(math.prod(places), -1)


class SumPoolProduct(Product):
    """Sums over windows, then one weight per channel."""

    def __init__(
        self, pool: SumPool, scale: IntArray, payload: Payload, dtype: torch.dtype
    ) -> None:
        super().__init__(dtype)
        self.window = pool.window
        self.channels = pool.pre_shape[0]
        self.narrow = narrowest(*(n * self.window.n_taps for n in payload))
        self.weight = _scale(pool.weight * scale, dtype)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Apply to ``[N, n_pre]``."""
        image = padded_image(x.to(self.narrow), self.window, self.channels)
        y = reduce_windows(image, self.window, torch.add).to(self.dtype)
        if self.weight is not None:
            y = y * self.weight
        return y.reshape(x.shape[0], -1)


class SparseProduct(Product):
    """Listed synapses, the r-th of every neuron at a time (jagged diagonals).

    Neurons with more synapses than most are summed one by one.
    """

    def __init__(self, listed: Synapses, dtype: torch.dtype) -> None:
        super().__init__(dtype)
        counts = np.bincount(listed.post, minlength=listed.n_post)
        first = np.cumsum(counts) - counts
        ordered = np.argsort(-counts, kind="stable")
        above = np.searchsorted(np.sort(counts), np.arange(counts.max() + 1), side="right")
        # One operation for every rank, one for every neuron with more ranks than that.
        ranks = int(np.argmin(np.arange(counts.max() + 1) + listed.n_post - above))
        weight = torch.tensor(listed.weight, dtype=dtype)[:, None]
        pre = torch.tensor(listed.pre)
        self.n_post = listed.n_post
        heavy = ordered[counts[ordered] > ranks]
        light = ordered[len(heavy) :]
        self.heavy = [
            (int(n), pre[first[n] : first[n] + counts[n]], weight[first[n] : first[n] + counts[n]])
            for n in heavy
        ]
        self.light = torch.tensor(light)
        self.ranks = []
        for rank in range(ranks):
            which = torch.tensor(first[light[counts[light] > rank]] + rank)
            self.ranks.append((pre[which], weight[which]))

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Apply to ``[N, n_pre]``."""
        rows = x.T.to(self.dtype).contiguous()
        sums = torch.zeros(len(self.light), x.shape[0], dtype=self.dtype)
        for pre, weight in self.ranks:
            sums[: len(pre)].addcmul_(rows.index_select(0, pre), weight)
        total = torch.empty(self.n_post, x.shape[0], dtype=self.dtype)
        total[self.light] = sums
        for post, pre, weight in self.heavy:
            total[post] = (rows.index_select(0, pre) * weight).sum(0, dtype=self.dtype)
        return total.T.contiguous()


def integer_product(
    connectivity: Connectivity, exponent: IntArray, payload: Payload, dtype: torch.dtype
) -> Product:
    """The map of an integer connectivity, shifted by ``exponent``, for payloads of a range.

    ``dtype`` holds every partial sum of the map by the proof of
    :mod:`neurodeploy.execution.pytorch.precision`.
    """
    if is_spaced(connectivity):
        return SpacedProduct(
            connectivity, lambda part: integer_product(part, exponent, payload, dtype), dtype
        )
    scale = np.broadcast_to(np.int64(1) << exponent, (connectivity.post_shape[0],))
    if isinstance(connectivity, Conv):
        return ConvProduct(connectivity, scale, payload, dtype)
    if isinstance(connectivity, SumPool):
        return SumPoolProduct(connectivity, scale, payload, dtype)
    if isinstance(connectivity, Dense):
        columns = connectivity.weight[:, neuron_order(connectivity.pre_shape)]
        return DenseProduct(columns, scale, payload, dtype)
    listed = synapses(connectivity, scale)
    gathered = listed.gather()
    if gathered is not None:
        return GatherProduct(*gathered, listed.n_pre, dtype)
    matrix = listed.matrix()
    if matrix is None:
        return SparseProduct(listed, dtype)
    return DenseProduct(matrix, np.ones(1, dtype=np.int64), payload, dtype)


def _finished(
    y: torch.Tensor, scale: torch.Tensor | None, bias: torch.Tensor | None
) -> torch.Tensor:
    """``y * scale + bias``, in place."""
    if scale is None:
        return y if bias is None else y.add_(bias)
    return y.mul_(scale) if bias is None else torch.addcmul(bias, y, scale, out=y)


def _scale(scale: AnyArray, dtype: torch.dtype) -> torch.Tensor | None:
    return None if (scale == 1).all() else torch.tensor(np.asarray(scale), dtype=dtype)


def _groups_together(conv: Conv) -> int:
    """Groups of one block: as many as fill it, a divisor of all."""
    c_group = conv.weight.shape[1]
    most = max(1, BLOCK_CHANNELS // c_group)
    return max(n for n in range(1, conv.groups + 1) if conv.groups % n == 0 and n <= most)


def _block(weight: IntArray, groups: int, first: int, together: int) -> IntArray:
    """Groups ``first`` and following as one matrix ``[kh kw c_in, c_out]``, zeros between."""
    c_out, c_group = weight.shape[0] // groups, weight.shape[1]
    block = np.zeros((*weight.shape[2:], together * c_group, together * c_out), dtype=np.int64)
    for k in range(together):
        part = weight[(first + k) * c_out : (first + k + 1) * c_out]
        rows = slice(k * c_group, (k + 1) * c_group)
        block[:, :, rows, k * c_out : (k + 1) * c_out] = part.transpose(2, 3, 1, 0)
    return np.asarray(block.reshape(-1, together * c_out))
