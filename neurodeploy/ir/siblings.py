"""Populations with the same input: one product, and one integer weight, for all of them.

A leaky ReLU is two populations that weigh their input with opposite signs, a smooth activation
several that weigh it alike and differ in thresholds, biases and initial membranes alone. On one
grid their integer weights are equal, or exactly negated: an executor computes each product once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurodeploy.ir.connectivity import Connectivity
from neurodeploy.ir.netlist import Population, RealNetlist, RealProjection
from neurodeploy.ir.neurons import RealNeuron


@dataclass(frozen=True, slots=True, eq=False)
class Sibling:
    """A population of neurons, and how its weights come from those of the first of its group.

    Parameters
    ----------
    population : Population
    projections : tuple of RealProjection
        All into it.
    sign : {1, -1}
    """

    population: Population
    projections: tuple[RealProjection, ...]
    sign: int = 1

    @property
    def model(self) -> RealNeuron:
        """Its neurons."""
        assert isinstance(self.population.model, RealNeuron)
        return self.population.model


Siblings = tuple[Sibling, ...]
"""Those that share their integer weights; most are alone."""


def mirrored(siblings: Siblings) -> bool:
    """Whether weights are needed with both signs."""
    return any(x.sign < 0 for x in siblings)


def sibling_groups(
    netlist: RealNetlist, kind: Callable[[str], object] = lambda name: None
) -> list[Siblings]:
    """All populations of neurons in groups, in the netlist's order.

    Parameters
    ----------
    netlist : RealNetlist
    kind : callable
        What else must be equal of populations, by name; by default nothing.
    """
    groups: dict[Any, list[list[Sibling]]] = {}
    ordered: list[list[Sibling]] = []
    for population in netlist.populations:
        model = population.model
        if not isinstance(model, RealNeuron):
            continue
        incoming = netlist.incoming[population.name]
        heard = tuple((q.pre, q.delay) for q in incoming)
        # What biases take back from rounding depends on the coding and the gains too.
        key = (heard, population.shape, population.coding, model.input_gain, kind(population.name))
        alike = groups.setdefault(key, [])
        for group in alike if model.fires and incoming else ():
            sign = _common_sign(group[0].projections, incoming)
            if sign and group[0].model.fires:
                group.append(Sibling(population, incoming, sign))
                break
        else:
            ordered.append([Sibling(population, incoming)])
            alike.append(ordered[-1])
    return [tuple(group) for group in ordered]


def _common_sign(first: Sequence[RealProjection], other: Sequence[RealProjection]) -> int:
    """1 where all weights are equal, -1 where all are negated, else 0."""
    signs = {1, -1}
    for a, b in zip(first, other, strict=True):
        signs &= set(_signs(a.connectivity, b.connectivity))
    return max(signs, default=0)


def _signs(a: Connectivity, b: Connectivity) -> Iterator[int]:
    if a is b:
        yield 1
        return
    if type(a) is not type(b) or a.weight.shape != b.weight.shape:
        return
    for sign in (1, -1):
        if np.array_equal(a.weight, sign * b.weight) and a.with_weight(b.weight) == b:
            yield sign
