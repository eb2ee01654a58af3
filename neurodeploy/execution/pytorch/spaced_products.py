"""Windows over cells that stand apart, as plain windows of the cells, phase by phase."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from neurodeploy.execution.pytorch.products import Product
from neurodeploy.execution.pytorch.windows import two
from neurodeploy.ir.connectivity import Conv, SumPool
from neurodeploy.ir.phases import phases

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
        for phase in phases(layer.window):
            part: Conv | SumPool
            if isinstance(layer, Conv):
                taps: Any = (..., *phase.taps)
                part = Conv(layer.weight[taps], layer.channels_in, phase.window, layer.groups)
            else:
                part = SumPool(layer.weight, phase.window)
            cells, outputs = (
                (_ALL, *(_ALL,) * (2 - len(axes)), *axes) for axes in (phase.cells, phase.outputs)
            )
            self.parts.append((cells, outputs, make(part)))

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
        own = 2 * self.channels * self.size[0] * self.size[1]
        return own + max((product.scratch_entries() for *_, product in self.parts), default=0)
