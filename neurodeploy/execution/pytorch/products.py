"""Linear maps on rasters ``[N, n_pre] -> [N, n_post]`` in the engine's layout.

What every map is: its base class, and which class serves which connectivity. Integer netlists
use :mod:`neurodeploy.execution.pytorch.integer_products` (nothing but integers), real-valued ones
:mod:`neurodeploy.execution.pytorch.float_products`; sums of a few synapses are the same code for
both.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch

from neurodeploy.execution.order import synapse_list
from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.connectivity import Connectivity

MAX_DENSE_ENTRIES = 2**22
MAX_GATHERS = 4


class Product(ABC):
    """One projection's map; ``dtype`` is that of its result.

    A result never shares memory with the argument.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype

    @abstractmethod
    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Apply to ``[N, n_pre]``."""

    def add_to(self, total: torch.Tensor, x: torch.Tensor) -> None:
        """Add the result for ``x`` to ``total`` ``[N, n_post]``, of the same type."""
        total.add_(self(x))

    def carry_bias(self, bias: AnyArray, shape: tuple[int, ...]) -> bool:
        """Add the bias of a population of ``shape`` to every result, if that costs nothing."""
        return False

    def scratch_entries(self) -> int:
        """Temporary numbers per row of the argument, beside the result."""
        return 0


class GatherProduct(Product):
    """At most a few synapses per neuron: gathered one rank at a time.

    ``index`` and ``weight`` are ``[ranks, n_post]``; missing synapses weigh 0.
    """

    def __init__(self, index: IntArray, weight: AnyArray, n_pre: int, dtype: torch.dtype) -> None:
        super().__init__(dtype)
        same = index.shape == (1, n_pre) and (index[0] == np.arange(n_pre)).all()
        self.index = None if same else torch.tensor(index)
        self.is_identity = bool(same and (weight == 1).all())
        self.weight = torch.tensor(weight, dtype=dtype)

    def add_to(self, total: torch.Tensor, x: torch.Tensor) -> None:
        """Add without a temporary result."""
        if self.is_identity:
            total.add_(x)
        elif self.index is None:
            total.addcmul_(x.to(self.dtype), self.weight[0])
        else:
            self._gather(total, x, 0)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Apply to ``[N, n_pre]``."""
        if self.is_identity:
            return x.to(self.dtype, copy=True)
        if self.index is None:
            return x.to(self.dtype) * self.weight[0]
        total = x.index_select(1, self.index[0]).to(self.dtype).mul_(self.weight[0])
        self._gather(total, x, 1)
        return total

    def _gather(self, total: torch.Tensor, x: torch.Tensor, first: int) -> None:
        assert self.index is not None
        for index, weight in zip(self.index[first:], self.weight[first:], strict=True):
            total.addcmul_(x.index_select(1, index).to(self.dtype), weight)


@dataclass(frozen=True, slots=True)
class Synapses:
    """A list of synapses in the engine's order, sorted by ``post``; ``scale`` is in ``weight``."""

    post: IntArray
    pre: IntArray
    weight: AnyArray
    n_post: int
    n_pre: int

    def gather(self) -> tuple[IntArray, AnyArray] | None:
        """Index and weight of a :class:`GatherProduct`, if every neuron has few synapses."""
        counts = np.bincount(self.post, minlength=self.n_post)
        ranks = int(counts.max())
        if ranks > MAX_GATHERS:
            return None
        rank = np.arange(self.post.size) - np.repeat(np.cumsum(counts) - counts, counts)
        index = np.zeros((max(ranks, 1), self.n_post), dtype=np.int64)
        values = np.zeros(index.shape, dtype=self.weight.dtype)
        index[rank, self.post], values[rank, self.post] = self.pre, self.weight
        return index, values

    def matrix(self) -> AnyArray | None:
        """The map as a matrix ``[n_post, n_pre]``, if that is small."""
        if self.n_pre * self.n_post > MAX_DENSE_ENTRIES:
            return None
        matrix = np.zeros((self.n_post, self.n_pre), dtype=self.weight.dtype)
        matrix[self.post, self.pre] = self.weight
        return matrix


def synapses(connectivity: Connectivity, scale: AnyArray) -> Synapses:
    """Every synapse of a map, weights times ``scale`` of their channel."""
    n_pre, n_post = math.prod(connectivity.pre_shape), math.prod(connectivity.post_shape)
    post, pre, weight = synapse_list(connectivity, scale)
    order = np.argsort(post, kind="stable")
    return Synapses(post[order], pre[order], weight[order], n_post, n_pre)
