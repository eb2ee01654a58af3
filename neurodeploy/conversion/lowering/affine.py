"""Affine expressions: a tensor of the source network as a sum of linear maps of populations.

Everything between two activations (convolutions, batch normalization, average pooling, shortcuts,
sums, reshapes) is affine and collapses into one projection per source and one bias per neuron.
Nothing is approximated; a bias that differs at zero-padded borders comes out per neuron.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from neurodeploy.ir.arrays import AnyArray, FloatArray
from neurodeploy.ir.composition import compose, summed
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, Sparse, SumPool, listed


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
    if isinstance(first, Sparse) and isinstance(second, Sparse):
        post, pre, weight = summed(
            np.concatenate((first.post, second.post)),
            np.concatenate((first.pre, second.pre)),
            np.concatenate((first.weight, second.weight)),
            math.prod(first.shape_in),
        )
        return replace(a, connectivity=replace(first, weight=weight, post=post, pre=pre))
    shared = Dense | Conv | SumPool
    if not isinstance(first, shared) or type(first) is not type(second):
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
    if term.connectivity is None:
        return term
    return replace(term, connectivity=replace(listed(term.connectivity), shape_out=shape))


def _scaled_term(term: Term, full: FloatArray) -> Term:
    if term.connectivity is None:
        return replace(term, scale=term.scale * full.reshape(-1))
    lead = full.reshape(full.shape[0], -1)
    if (lead == lead[:, :1]).all():
        return replace(term, connectivity=term.connectivity.scale_channels(lead[:, 0]))
    return replace(term, connectivity=scaled_synapses(term.connectivity, full))


def scaled_synapses(layer: Connectivity, factor: AnyArray) -> Sparse:
    """A layer whose results are multiplied each with its own factor."""
    synapses = listed(layer)
    return synapses.with_weight(synapses.weight * factor.reshape(-1)[synapses.post])


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
    return replace(listed(layer), shape_in=source_shape)


def compact(bias: FloatArray) -> FloatArray:
    """One bias per channel where it does not vary within channels."""
    rows = bias.reshape(bias.shape[0], -1)
    return np.asarray(rows[:, 0]) if (rows == rows[:, :1]).all() else bias
