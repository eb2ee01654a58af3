"""Windows over cells that stand apart, as plain windows of the cells, phase by phase."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from neurodeploy.execution.pytorch.products import Product
from neurodeploy.execution.pytorch.windows import two
from neurodeploy.ir.connectivity import Conv, SumPool

_ALL = slice(None)


class SpacedProduct(Product):
    """A convolution, or sums, over cells that stand apart: nothing between them is multiplied.

    Parameters
    ----------
    layer : Conv or SumPool
    make : callable
        Makes the product of such a layer without spacing.
    dtype : torch.dtype
    """

    def __init__(
        self,
        layer: Conv | SumPool,
        make: Callable[[Conv | SumPool], Product],
        dtype: torch.dtype,
    ) -> None:
        super().__init__(dtype)
        self.size, self.out = two(layer.window.input_size, 1), two(layer.window.output_size, 1)
        self.channels, self.n_out = layer.pre_shape[0], layer.post_shape[0]
        self.parts: list[tuple[tuple[slice, ...], tuple[slice, ...], Product]] = []
        self.most = 0
        for outputs, cells, part in layer.in_phases():
            # Samples, and one row where there is one axis alone; channels come last here.
            to, own = (
                (_ALL, *(_ALL,) * (2 - len(axes)), *axes) for axes in (outputs[1:], cells[1:])
            )
            self.parts.append((own, to, make(part)))
            self.most = max(self.most, math.prod(part.post_shape))

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Apply to ``[N, n_pre]``."""
        n = x.shape[0]
        image = x.reshape(n, *self.size, self.channels)
        total = torch.zeros(n, *self.out, self.n_out, dtype=self.dtype)
        for cells, outputs, product in self.parts:
            to = total[outputs]
            to.copy_(product(image[cells].reshape(n, -1)).view(to.shape))
        return total.view(n, -1)

    def scratch_entries(self) -> int:
        """Those of the largest phase, and its cells and results."""
        own = self.channels * math.prod(self.size) + self.most
        return own + max((product.scratch_entries() for *_, product in self.parts), default=0)
