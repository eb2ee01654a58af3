"""What methods are built from."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytest.importorskip("torch", reason="conversion needs torch")

from neurodeploy.conversion.lowering.activation_graph import Layer
from neurodeploy.conversion.method import convert_graph
from neurodeploy.conversion.methods.rate import RateCoding
from neurodeploy.execution import run_engine
from neurodeploy.ir.encoding import Encoding
from neurodeploy.ir.netlist import Population
from neurodeploy.source.torch.frontend import analog_from_torch
from tests.conversion.method_networks import X, network


@dataclasses.dataclass(frozen=True, slots=True)
class Halved(RateCoding):
    """Says half of what its spikes are worth, as an extension may."""

    def finished(self, population: Population, layer: Layer) -> Population:
        assert population.name == layer.name
        assert population.unit is not None
        return dataclasses.replace(population, unit=population.unit / 2)


def test_populations_are_finished_once_all_projections_are_built() -> None:
    graph = analog_from_torch(network(), (1, 10, 10), "net", None)
    encoding = Encoding("current", 255, 0.0, 1.0)
    plain, halved = (
        convert_graph(graph, kind(bias_correction=0), X, encoding, run_engine)[0]
        for kind in (RateCoding, Halved)
    )
    assert len(plain.populations) == len(halved.populations) == 5
    for a, b in zip(plain.populations, halved.populations, strict=True):
        np.testing.assert_array_equal(b.unit, a.unit / 2)
    for q, r in zip(plain.projections, halved.projections, strict=True):
        np.testing.assert_array_equal(q.connectivity.weight, r.connectivity.weight)
