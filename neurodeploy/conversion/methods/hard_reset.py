"""Rate coding for neurons that only know the hardest reset, as stock LIF processes and Loihi 1.

They start at 0, are reset to 0 and send binary spikes. What exceeds a threshold is lost with every
spike, and the first spike comes late, so that a count is no multiple of the activation; but it
still grows with it. Thresholds, biases and what a spike is worth are therefore fitted on the spikes
that really arrive (:mod:`neurodeploy.conversion.calibration.hard_reset`). A maximum is the OR of
the spikes of its window, a plain neuron as well; averages fold into the next layer, as a population
of their own would lose charge once more.

References
----------
Rueckauer et al. 2017, doi 10.3389/fnins.2017.00682 (what reset to zero loses).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from neurodeploy.conversion.calibration.hard_reset import HardResetFit
from neurodeploy.conversion.calibration.refinement import RASTER_BUDGET, Refinement
from neurodeploy.conversion.calibration.thresholds import Calibration
from neurodeploy.conversion.calibration.weight_correction import WeightCorrection
from neurodeploy.conversion.lowering.activation_graph import ActivationGraph, ReluLayer
from neurodeploy.conversion.lowering.context import AveragePooling, MaxPooling
from neurodeploy.conversion.methods.layerwise import LayerwiseMethod
from neurodeploy.errors import ConversionError
from neurodeploy.ir.arrays import FloatArray
from neurodeploy.ir.connectivity import SumPool
from neurodeploy.ir.encoding import Encoding
from neurodeploy.ir.netlist import Population, RealNetlist
from neurodeploy.ir.neurons import MaxPool, RealNeuron

POPULATION_COST = 4
"""Of an average in front of a convolution: LeNet with averages at T = 16 loses 0.7 points of 1000
test images with populations for them, which save 6.3 million synapses, and 0.3 without."""


@dataclass(frozen=True, slots=True)
class HardReset(LayerwiseMethod):
    """Options of hard reset, beside those of every layer-by-layer method."""

    timesteps: int = 16
    normalization: str = "max"
    initial_membrane: float = 0.0
    average_pooling: AveragePooling = "fold"
    weight_correction: bool = True

    # Each population loses charge once more.
    population_cost: ClassVar[int] = POPULATION_COST
    # A tree of plain neurons ends in one that loses nothing; convolutions behind it stay shared.
    spiking_maximum: ClassVar[bool] = True
    # Seven populations for a window of four in place of one, and two fifths of the OR's error.
    dearer_maximum: ClassVar[MaxPooling | None] = "identity"
    # A line through counts needs more samples than a mean error does.
    raster_budget: ClassVar[int] = 4 * RASTER_BUDGET

    @property
    def refinements(self) -> tuple[Refinement, ...]:
        """The fit of thresholds, biases and worths, weights first."""
        fit = HardResetFit()
        return (WeightCorrection(), fit) if self.weight_correction else (fit,)

    def neuron(self, layer: ReluLayer, theta: FloatArray) -> RealNeuron:
        """A neuron that is reset to 0."""
        return replace(LayerwiseMethod.neuron(self, layer, theta), reset="zero")

    def __call__(
        self,
        graph: ActivationGraph,
        calibration: Calibration,
        encodings: Mapping[str, Encoding],
    ) -> RealNetlist:
        """Build the netlist, maxima as plain neurons."""
        netlist = LayerwiseMethod.__call__(self, graph, calibration, encodings)
        return plain_maxima(netlist)


def plain_maxima(netlist: RealNetlist) -> RealNetlist:
    """The netlist whose pools are neurons that fire where any spike of their window arrives."""
    pools = {p.name: p.model for p in netlist.populations if isinstance(p.model, MaxPool)}
    for name, pool in pools.items():
        if len(netlist.incoming[name]) > 1 or pool.signed:
            raise ConversionError(
                f"{name}: the maximum of a sum of populations is not the OR of their spikes; use "
                "--max-pooling identity"
            )

    def neurons(population: Population) -> Population:
        if population.name not in pools:
            return population
        zero = np.zeros(())
        model = RealNeuron(np.full(population.shape[0], 0.5), zero, zero, reset="zero")
        return replace(population, model=model)

    projections = tuple(
        replace(q, connectivity=SumPool(np.ones(pools[q.post].channels), pools[q.post].window))
        if q.post in pools
        else q
        for q in netlist.projections
    )
    return replace(
        netlist, populations=tuple(map(neurons, netlist.populations)), projections=projections
    )
