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


def evaluate_source(graph: AnalogGraph, x: AnyArray, keep: list[str]) -> dict[str, AnyArray]:
    """Activations of the source network: with torch where it is installed, else in NumPy."""
    from importlib.util import find_spec

    if find_spec("torch") is not None:
        from neurodeploy.ir import analog_torch

        return analog_torch.evaluate(graph, x, keep)
    from neurodeploy.ir import analog_numpy

    return analog_numpy.evaluate(graph, x, keep)


def coding_populations(netlist: IntegerNetlist | RealNetlist) -> dict[str, str]:
    """Population -> node of the source network, for those that code one."""
    return {
        p.name: p.source
        for p in netlist.populations
        if p.source is not None and p.unit is not None and not isinstance(p.model, Input)
    }


def decoded_rates(population: Population, total: AnyArray, timesteps: int) -> FloatArray:
    """Rates in the units of the source network from summed spikes (or the final membrane)."""
    assert population.unit is not None
    return np.asarray(total / timesteps * population.spread(population.unit))


def correlation(a: AnyArray, b: AnyArray) -> float | None:
    """Pearson's correlation of two arrays; None if either is constant."""
    x, y = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    x, y = x - x.mean(), y - y.mean()
    scale = float(np.sqrt((x @ x) * (y @ y)))
    return None if scale == 0 else float(x @ y) / scale


def is_integrator(population: Population) -> bool:
    """Whether the population is read by its membrane."""
    return isinstance(population.model, Neuron) and not population.model.fires
