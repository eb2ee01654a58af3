"""The activation graph: what will spike, in the units of the source network.

Between the analog graph and the netlist: every layer here becomes one population, its affine input
the projections into it. Thresholds are chosen on it, because it says what each population codes.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from neurodeploy.conversion.lowering.affine import Affine, Term
from neurodeploy.ir import neurons
from neurodeploy.ir.arrays import AnyArray, FloatArray
from neurodeploy.ir.connectivity import Conv, Sparse, SumPool, is_spaced
from neurodeploy.numerics.device import current_device


@dataclass(frozen=True, slots=True, eq=False)
class InputLayer:
    """A tensor that is given."""

    name: str
    shape: tuple[int, ...]
    source: str


@dataclass(frozen=True, slots=True, eq=False)
class ReluLayer:
    """``min(max(affine, 0), maximum)``; no maximum: None.

    ``slope`` ``[C]``: what is below 0 is kept, times it (leaky ReLU; of 1 throughout: the
    expression as it is). ``levels``: the activation is
    ``maximum / levels * clip(floor(affine * levels / maximum + shift), 0, levels)``. ``units``: by
    how many the levels of a smooth activation are shared. ``part_of``: what several layers make up
    together, smooth or leaky; a part may be silent where the whole is not.
    """

    name: str
    affine: Affine
    source: str | None
    maximum: float | None = None
    slope: FloatArray | None = None
    levels: int | None = None
    shift: float = 0.5
    units: int = 1
    part_of: str | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the population."""
        return self.affine.shape

    @property
    def is_linear(self) -> bool:
        """Whether it codes its expression, both signs alike."""
        return self.slope is not None and bool((self.slope == 1).all())


@dataclass(frozen=True, slots=True, eq=False)
class PoolLayer:
    """Max-pooling of ``affine``: populations added up element by element, without a bias."""

    name: str
    affine: Affine
    model: neurons.MaxPool
    source: str | None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the population."""
        return self.model.output_shape


@dataclass(frozen=True, slots=True, eq=False)
class OutputLayer:
    """``affine``, read as the answer."""

    name: str
    affine: Affine
    source: str

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the population."""
        return self.affine.shape


@dataclass(frozen=True, slots=True, eq=False)
class Rewrite:
    """Max-pooling out of plain neurons: ``affine`` is the maximum of ``pooled`` over ``model``."""

    node: str
    pooled: Affine
    model: neurons.MaxPool
    affine: Affine


@dataclass(frozen=True, slots=True)
class LinearProduct:
    """Linear layers that follow one another, and the synapses of both ways to have them.

    ``together`` where they are multiplied into one, ``apart`` where ``node``, what enters the last
    of them, is a population; ``separated``: it is.
    """

    node: str
    together: int
    apart: int
    separated: bool


Layer = InputLayer | ReluLayer | PoolLayer | OutputLayer


@dataclass(frozen=True, slots=True, eq=False)
class ActivationGraph:
    """Layers in topological order, the maxima that were rewritten into them, linear products."""

    name: str
    layers: tuple[Layer, ...]
    rewrites: tuple[Rewrite, ...] = ()
    products: tuple[LinearProduct, ...] = ()

    def evaluate(
        self,
        inputs: Mapping[str, AnyArray],
        visit: Callable[[Layer, AnyArray], None],
    ) -> None:
        """Compute all activations of a batch and hand each to ``visit``.

        Parameters
        ----------
        inputs : mapping
            Input layer -> float ``[B, *shape]``.
        visit : callable
            Called once per layer, in order, with its values ``[B, *shape]``.
        """
        values: dict[str, AnyArray] = {}
        remaining = self._uses()
        sums = _SharedSums(self.layers)
        for layer in self.layers:
            if isinstance(layer, InputLayer):
                value = np.asarray(inputs[layer.name], dtype=np.float32)
            elif isinstance(layer, PoolLayer):
                value = layer.model.maximum(evaluate_affine(layer.affine, values))
            else:
                value = sums.evaluate(layer.affine, values)
                if isinstance(layer, ReluLayer):
                    value = rectified(layer, value)
            visit(layer, value)
            values[layer.name] = value
            for source in sources(layer):
                remaining[source] -= 1
                if not remaining[source]:
                    del values[source]

    def _uses(self) -> dict[str, int]:
        uses = {layer.name: 0 for layer in self.layers}
        for layer in self.layers:
            for source in sources(layer):
                uses[source] += 1
        return uses


class _SharedSums:
    """Sum to which layers with the same terms add their biases, computed once while needed."""

    def __init__(self, layers: tuple[Layer, ...]) -> None:
        # One object: the units of a smooth activation shift one expression by constants.
        self.left = Counter(
            id(x.affine.terms) for x in layers if isinstance(x, ReluLayer | OutputLayer)
        )
        self.shared = {key for key, n in self.left.items() if n > 1}
        self.sums: dict[int, AnyArray] = {}

    def evaluate(self, affine: Affine, values: Mapping[str, AnyArray]) -> AnyArray:
        """:func:`evaluate_affine`, with the sum of its terms at hand where it is known."""
        key = id(affine.terms)
        if key not in self.shared:
            return evaluate_affine(affine, values)
        if key not in self.sums:
            self.sums[key] = evaluate_affine(replace(affine, bias=np.zeros(affine.shape)), values)
        self.left[key] -= 1
        total = self.sums[key] if self.left[key] else self.sums.pop(key)
        return np.asarray(total + affine.bias.astype(np.float32))


def sources(layer: Layer) -> set[str]:
    """Layers that a layer takes values from."""
    if isinstance(layer, InputLayer):
        return set()
    return {term.source for term in layer.affine.terms}


def rectified(layer: ReluLayer, value: AnyArray) -> AnyArray:
    """The activation of a layer for the values ``[B, *shape]`` of its expression."""
    if layer.levels is not None:
        assert layer.maximum is not None
        step = np.float32(layer.maximum / layer.levels)
        level = np.floor(value / step + np.float32(layer.shift))
        return np.asarray(np.clip(level, 0, layer.levels) * step)
    if layer.slope is not None:
        slope = layer.slope.astype(np.float32).reshape(-1, *(1,) * (value.ndim - 2))
        return np.asarray(np.where(value > 0, value, slope * value))
    return np.asarray(np.clip(value, 0.0, layer.maximum))


def evaluate_affine(affine: Affine, values: Mapping[str, AnyArray]) -> AnyArray:
    """The value of an expression: float32 ``[B, *shape]``."""
    batch = next(iter(values.values())).shape[0]
    total = np.broadcast_to(affine.bias.astype(np.float32), (batch, *affine.shape)).copy()
    for term in affine.terms:
        total += evaluate_term(term, values[term.source]).reshape(total.shape)
    return total


def evaluate_term(term: Term, value: AnyArray) -> AnyArray:
    """The value of one term for its population's values ``[B, *source_shape]``."""
    if term.connectivity is None:
        return np.asarray(value * term.scale.astype(value.dtype).reshape(term.source_shape))
    if is_spaced(term.connectivity):
        return _by_phases(term.connectivity, value)
    if isinstance(term.connectivity, Conv):
        return _convolve(term.connectivity, value)
    if isinstance(term.connectivity, Sparse):
        return _add_listed(term.connectivity, value)
    return term.connectivity.apply(value)


def _add_listed(layer: Sparse, value: AnyArray) -> AnyArray:
    """Listed synapses in single precision, by torch: ten times faster than additions in NumPy."""
    import torch

    from neurodeploy.numerics.torch_sparse import sparse_matrix
    from neurodeploy.numerics.torch_state import plain_torch

    n_post, n_pre = math.prod(layer.post_shape), math.prod(layer.pre_shape)
    with plain_torch(current_device()):
        matrix = sparse_matrix(layer.post, layer.pre, layer.weight, (n_post, n_pre), torch.float32)
        x = torch.tensor(value.reshape(len(value), n_pre).T, dtype=torch.float32)
        result = matrix @ x.contiguous()
    return result.cpu().numpy().T.reshape(len(value), *layer.post_shape)


def _by_phases(layer: Conv | SumPool, value: AnyArray) -> AnyArray:
    """A window over cells that stand apart, as plain windows of the cells."""
    total: AnyArray = np.zeros((len(value), *layer.post_shape), dtype=np.float32)
    for outputs, cells, part in layer.in_phases():
        some = value[cells]
        total[outputs] = _convolve(part, some) if isinstance(part, Conv) else part.apply(some)
    return total


def _convolve(layer: Conv, value: AnyArray) -> AnyArray:
    """A convolution in single precision, by torch: ten times faster than patches in NumPy."""
    import torch
    import torch.nn.functional as F

    from neurodeploy.numerics.torch_convolution import convolve
    from neurodeploy.numerics.torch_state import plain_torch

    window = layer.window
    pads = [amount for pair in reversed(window.padding) for amount in pair]
    none = (0,) * len(window.kernel)
    with plain_torch(current_device()):
        x = F.pad(torch.tensor(value, dtype=torch.float32), pads)
        weight = torch.tensor(layer.weight, dtype=torch.float32)
        result = convolve(x, weight, None, window.stride, none, window.dilation, layer.groups)
    return result.cpu().numpy()
