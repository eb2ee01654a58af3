"""Affine expressions: a tensor of the source network as a sum of linear maps of populations.

Everything between two activations (convolutions, batch normalization, average pooling, shortcuts,
sums, reshapes) is affine and collapses into one projection per source and one bias per neuron.
Nothing is approximated; a bias that differs at zero-padded borders comes out per neuron.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from neurodeploy.errors import UnsupportedLayerError
from neurodeploy.ir.arrays import AnyArray, FloatArray
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, Sparse

MAX_COMPOSED_SYNAPSES = 50_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """One linear map of one population.

    ``connectivity`` None: every element times ``scale`` (flat, one per element), in the same
    C-order, whatever the shape has become.
    """

    source: str
    source_shape: tuple[int, ...]
    connectivity: Connectivity | None
    scale: FloatArray

    @property
    def is_identity(self) -> bool:
        """Whether the term is its population, unscaled."""
        return self.connectivity is None and bool((self.scale == 1.0).all())


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """``sum(term) + bias``, of ``shape``; ``bias`` float64 of that shape."""

    shape: tuple[int, ...]
    terms: tuple[Term, ...]
    bias: FloatArray

    def reshaped(self, shape: tuple[int, ...]) -> Affine:
        """The same elements in the same order."""
        if shape == self.shape:
            return self
        terms = tuple(_reshaped_term(t, shape) for t in self.terms)
        return Affine(shape, terms, self.bias.reshape(shape))

    def scaled(self, factor: AnyArray) -> Affine:
        """Times a scalar or per-channel factor."""
        full = _spread(factor, self.shape)
        terms = tuple(_scaled_term(t, full) for t in self.terms)
        return Affine(self.shape, terms, self.bias * full)

    def shifted(self, constant: AnyArray) -> Affine:
        """Plus a scalar, per-channel or per-element constant."""
        return replace(self, bias=self.bias + _spread(constant, self.shape))

    def mapped(self, layer: Connectivity, where: str) -> Affine:
        """A linear layer applied to this expression."""
        terms = tuple(_mapped_term(t, self.shape, layer, where) for t in self.terms)
        return Affine(layer.post_shape, terms, layer.apply(self.bias[None])[0])

    def plus(self, other: Affine) -> Affine:
        """The sum of two expressions of one shape; maps of one source join where they can."""
        terms = list(self.terms)
        for term in other.terms:
            for i, mine in enumerate(terms):
                joined = _joined(mine, term)
                if joined is not None:
                    terms[i] = joined
                    break
            else:
                terms.append(term)
        return Affine(self.shape, tuple(terms), self.bias + other.bias)


def population_term(source: str, shape: tuple[int, ...]) -> Affine:
    """The expression that is one population."""
    term = Term(source, shape, None, np.ones(math.prod(shape)))
    return Affine(shape, (term,), np.zeros(shape))


def _joined(a: Term, b: Term) -> Term | None:
    if a.source != b.source:
        return None
    if a.connectivity is None and b.connectivity is None:
        return replace(a, scale=a.scale + b.scale)
    first, second = a.connectivity, b.connectivity
    if not isinstance(first, Dense | Conv) or not isinstance(second, Dense | Conv):
        return None
    if first.weight.shape != second.weight.shape or first.with_weight(second.weight) != second:
        return None
    return replace(a, connectivity=first.with_weight(first.weight + second.weight))


def _spread(value: AnyArray, shape: tuple[int, ...]) -> FloatArray:
    value = np.asarray(value, dtype=np.float64)
    if value.ndim == 1 and value.shape == shape[:1]:
        value = value.reshape(-1, *(1,) * (len(shape) - 1))
    return np.broadcast_to(value, shape)


def _reshaped_term(term: Term, shape: tuple[int, ...]) -> Term:
    connectivity = term.connectivity
    if connectivity is None:
        return term
    if isinstance(connectivity, Dense) and len(shape) == 1:
        return term
    post, pre, weight = connectivity.to_coo()
    return replace(term, connectivity=Sparse(weight, post, pre, connectivity.pre_shape, shape))


def _scaled_term(term: Term, full: FloatArray) -> Term:
    if term.connectivity is None:
        return replace(term, scale=term.scale * full.reshape(-1))
    lead = full.reshape(full.shape[0], -1)
    if (lead == lead[:, :1]).all():
        return replace(term, connectivity=term.connectivity.scale_channels(lead[:, 0]))
    post, pre, weight = term.connectivity.to_coo()
    scaled = weight * full.reshape(-1)[post]
    return replace(
        term,
        connectivity=Sparse(scaled, post, pre, term.source_shape, term.connectivity.post_shape),
    )


def _mapped_term(term: Term, shape: tuple[int, ...], layer: Connectivity, where: str) -> Term:
    ones = np.ones(0)
    if term.connectivity is None:
        per_channel = term.scale.reshape(shape[0], -1)
        if (per_channel == per_channel[:, :1]).all():
            fitted = _from_source(layer.scale_inputs(per_channel[:, 0]), term.source_shape, shape)
            return Term(term.source, term.source_shape, fitted, ones)
        index = np.arange(term.scale.size)
        first: Connectivity = Sparse(term.scale, index, index, term.source_shape, shape)
    else:
        first = term.connectivity
    return Term(term.source, term.source_shape, compose(layer, first, where), ones)


def _from_source(
    layer: Connectivity, source_shape: tuple[int, ...], shape: tuple[int, ...]
) -> Connectivity:
    """``layer`` taking the population's own shape: flattening disappears into it."""
    if shape == source_shape:
        return layer
    if isinstance(layer, Dense):
        return Dense(layer.weight, source_shape)
    post, pre, weight = layer.to_coo()
    return Sparse(weight, post, pre, source_shape, layer.post_shape)


def compose(second: Connectivity, first: Connectivity, where: str) -> Connectivity:
    """``second . first`` as one map, exactly.

    Raises
    ------
    UnsupportedLayerError
        If the product has more synapses than is sensible.
    """
    if isinstance(second, Conv) and isinstance(first, Conv) and _is_pointwise(second):
        merged = (
            np.tensordot(second.weight[..., 0, 0], first.weight, axes=(1, 0))
            if (first.groups == 1 and len(first.window.kernel) == 2)
            else None
        )
        if merged is not None:
            return replace(first, weight=merged)
    post2, middle2, weight2 = second.to_coo()
    post1, pre1, weight1 = first.to_coo()
    order = np.argsort(post1, kind="stable")
    post1, pre1, weight1 = post1[order], pre1[order], weight1[order]
    size = math.prod(first.post_shape)
    starts = np.searchsorted(post1, np.arange(size + 1))
    counts = starts[middle2 + 1] - starts[middle2]
    total = int(counts.sum())
    if total > MAX_COMPOSED_SYNAPSES:
        raise UnsupportedLayerError(
            f"{where}: two linear layers without an activation between them compose to {total} "
            f"synapses against {MAX_COMPOSED_SYNAPSES}; insert a ReLU or merge them in the source"
        )
    run = np.repeat(starts[middle2] - np.concatenate(([0], np.cumsum(counts)[:-1])), counts)
    index = run + np.arange(total)
    post = np.repeat(post2, counts)
    pre = pre1[index]
    weight = np.repeat(weight2, counts) * weight1[index]
    n_pre = math.prod(first.pre_shape)
    pairs, inverse = np.unique(post * n_pre + pre, return_inverse=True)
    summed = np.bincount(inverse.reshape(-1), weights=weight, minlength=pairs.size)
    n_post = math.prod(second.post_shape)
    if len(second.post_shape) == 1 and pairs.size == n_post * n_pre:
        return Dense(summed.reshape(n_post, n_pre), first.pre_shape)
    return Sparse(summed, pairs // n_pre, pairs % n_pre, first.pre_shape, second.post_shape)


def _is_pointwise(layer: Conv) -> bool:
    window = layer.window
    return (
        layer.groups == 1
        and set(window.kernel) == {1}
        and set(window.stride) == {1}
        and not any(map(any, window.padding))
        and len(window.kernel) == 2
    )
