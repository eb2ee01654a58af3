"""How well the spiking network speaks for its source network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurodeploy.ir.analog import AnalogGraph
from neurodeploy.ir.arrays import AnyArray, FloatArray
from neurodeploy.ir.netlist import IntegerNetlist, Population, RealNetlist
from neurodeploy.ir.neurons import Input, Neuron


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement with the source network.

    ``top1`` is the share of samples with the same class; ``correlation`` Pearson's, by population,
    of decoded rates with the activations they code, over all neurons and samples (None where either
    is constant).
    """

    top1: float | None
    correlation: Mapping[str, float | None]

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {"top1": self.top1, "layer_correlation": dict(self.correlation)}


def evaluate_source(
    graph: AnalogGraph, x: AnyArray | Mapping[str, AnyArray], keep: list[str]
) -> dict[str, AnyArray]:
    """Activations of the source network: with torch where it is installed, else in NumPy."""
    from importlib.util import find_spec

    if find_spec("torch") is not None:
        from neurodeploy.ir import analog_torch

        return analog_torch.evaluate(graph, x, keep)
    from neurodeploy.ir import analog_numpy

    return analog_numpy.evaluate(graph, x, keep)


def part_of(x: AnyArray | Mapping[str, AnyArray], samples: slice) -> AnyArray | dict[str, AnyArray]:
    """Some samples of a source network's input, or inputs."""
    if isinstance(x, Mapping):
        return {name: values[samples] for name, values in x.items()}
    return x[samples]


def coding_populations(netlist: IntegerNetlist | RealNetlist) -> dict[str, str]:
    """Population -> node of the source network, for those that code one.

    An integrator that is not read has nothing to compare.
    """
    read = {o.population for o in netlist.outputs}
    return {
        p.name: p.source
        for p in netlist.populations
        if p.source is not None and p.unit is not None and not isinstance(p.model, Input)
        if p.name in read or not is_integrator(p)
    }


def decoded_rates(population: Population, total: AnyArray, timesteps: int) -> FloatArray:
    """Rates in the units of the source network from summed spikes (or the final membrane)."""
    assert population.unit is not None
    return np.asarray(total / population.divisor(timesteps) * population.spread(population.unit))


class Correlation:
    """Pearson's correlation of pairs that come batch by batch.

    References
    ----------
    Chan, Golub, LeVeque 1983, doi 10.1080/00031305.1983.10483115: co-moments of joined samples.
    """

    def __init__(self) -> None:
        self._n = 0
        self._mean = np.zeros(2)
        self._moments = np.zeros((2, 2))
        self._low = np.full(2, np.inf)
        self._high = np.full(2, -np.inf)

    def add(self, a: AnyArray, b: AnyArray) -> None:
        """Join the pairs ``(a[i], b[i])`` of two arrays of one shape."""
        pairs = np.stack([a.astype(np.float64).ravel(), b.astype(np.float64).ravel()])
        n = pairs.shape[1]
        if not n:
            return
        mean = pairs.mean(axis=1)
        centred = pairs - mean[:, None]
        apart, total = mean - self._mean, self._n + n
        self._moments += centred @ centred.T + np.outer(apart, apart) * (self._n * n / total)
        self._mean += apart * (n / total)
        self._n = total
        self._low = np.minimum(self._low, pairs.min(axis=1))
        self._high = np.maximum(self._high, pairs.max(axis=1))

    @property
    def value(self) -> float | None:
        """The correlation so far; None where either side is constant."""
        # Subtracting the rounded mean of equal values leaves noise, which would correlate.
        if not (self._low < self._high).all():
            return None
        spread = np.sqrt(np.diag(self._moments))
        scale = float(spread[0] * spread[1])
        return None if scale == 0 else float(self._moments[0, 1]) / scale


def is_integrator(population: Population) -> bool:
    """Whether the population is read by its membrane."""
    return isinstance(population.model, Neuron) and not population.model.fires
