"""Explicit current control.

Current normalization: ``W <- kappa W lambda_(l-1) / lambda_l``, ``b <- kappa b / lambda_l``, with
the threshold kappa. That is our netlist in other units, kappa being the fixed-point scale that
quantization chooses. Thresholding for residual elimination: v0 = theta / 2. Batch norms are
folded with the epsilon of training. Average pooling spikes. Branches of an addition share lambda,
up to where one of them saturates: a rate that ends at its range is what clips a ReLU6.

References
----------
Wu et al. 2022, "A little energy goes a long way", doi 10.3389/fnins.2022.759900.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import networkx as nx
import numpy as np

from neurodeploy.conversion.calibration.thresholds import Calibration
from neurodeploy.conversion.lowering.activation_graph import ActivationGraph, ReluLayer, sources
from neurodeploy.conversion.lowering.context import AveragePooling
from neurodeploy.conversion.methods.layerwise import LayerwiseMethod
from neurodeploy.ir.arrays import FloatArray


@dataclass(frozen=True, slots=True)
class ExplicitCurrentControl(LayerwiseMethod):
    """Options of every layer-by-layer method."""

    timesteps: int = 256
    normalization: str = "max"
    scope: str = "layer"
    average_pooling: AveragePooling = "spiking"
    bias_correction: int = 0

    def worths(self, graph: ActivationGraph, calibration: Calibration) -> dict[str, FloatArray]:
        """Worths by layer; those of branches that are added are the largest of them.

        A saturating branch takes no more than its own maximum.
        """
        found = LayerwiseMethod.worths(self, graph, calibration)
        maximum = {
            layer.name: math.inf if layer.maximum is None else layer.maximum
            for layer in graph.layers
            if isinstance(layer, ReluLayer)
        }
        together = nx.Graph()
        together.add_nodes_from(found)
        for layer in graph.layers:
            branches = sorted(sources(layer) & set(found))
            if len(branches) > 1 and isinstance(layer, ReluLayer):
                nx.add_path(together, branches)
        for group in nx.connected_components(together):
            largest = max(float(found[name].max()) for name in group)
            for name in group:
                found[name] = np.full(found[name].shape, min(largest, maximum[name]))
        return found
