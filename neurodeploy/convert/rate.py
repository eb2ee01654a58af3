"""Rate coding with soft reset: the default conversion.

A population codes an activation x >= 0 as a spike rate: with threshold theta (in the units of the
source network), weights in the same units times the threshold of their source, and the initial
membrane theta / 2, T steps of constant input x give clip(floor(T x / theta + 1/2), 0, T) spikes.

References
----------
Diehl et al. 2015, doi 10.1109/IJCNN.2015.7280696; Rueckauer et al. 2017,
doi 10.3389/fnins.2017.00682 (soft reset, biases, constant input); Bu et al. 2022,
arXiv 2202.01440 (initial membrane theta / 2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from neurodeploy.convert.affine import Affine, Term
from neurodeploy.convert.layers import (
    ActivationGraph,
    InputLayer,
    Layer,
    OutputLayer,
    PoolLayer,
    ReluLayer,
)
from neurodeploy.convert.lower import AveragePooling, LoweringOptions, MaxPooling
from neurodeploy.convert.thresholds import Calibration, check_rule, choose_thresholds
from neurodeploy.errors import ConversionError, UsageError
from neurodeploy.ir.arrays import AnyArray, FloatArray
from neurodeploy.ir.connectivity import Connectivity, Sparse, identity
from neurodeploy.ir.encoding import Encoding
from neurodeploy.ir.netlist import Decode, Output, Population, RealNetlist, RealProjection
from neurodeploy.ir.neurons import RESETS, Input, RealNeuron, Reset

# Head room of a counted output above the largest calibration value, and of the winner above zero.
COUNT_MARGIN = 0.05


@dataclass(frozen=True, slots=True)
class RateCoding:
    """Options of the conversion.

    Parameters
    ----------
    timesteps : int
        Steps of one sample, T; thresholds are chosen for it.
    normalization : {"mse", "percentile", "max"}
        Of the thresholds: least squared error for T steps, a percentile, or the maximum of the
        activations.
    scope : {"channel", "layer"}
        One threshold per channel or per layer.
    percentile : float
        Of the non-zero activations, for ``percentile``.
    reset : {"subtract", "zero"}
        Of the membrane after a spike.
    initial_membrane : float
        In thresholds, [0, 1).
    decode : {"membrane", "counts"}
        Read the output by the membrane of an integrator, or by its spikes.
    max_pooling : {"exact", "identity"}
        The accumulated maximum as a population kind of its own, or plain neurons.
    average_pooling : {"auto", "spiking", "fold"}
        A population of its own, or folded into the next linear layer; ``auto`` folds global
        pooling.
    bias_correction : int
        Rounds in which every population's mean error moves into its biases; 0: none.
    """

    timesteps: int = 32
    normalization: str = "mse"
    scope: str = "channel"
    percentile: float = 99.9
    reset: Reset = "subtract"
    initial_membrane: float = 0.5
    decode: Decode = "membrane"
    max_pooling: MaxPooling = "exact"
    average_pooling: AveragePooling = "auto"
    bias_correction: int = 1

    def __post_init__(self) -> None:
        if self.timesteps < 1:
            raise UsageError(f"timesteps {self.timesteps}: at least 1 is needed")
        if not 0 < self.percentile <= 100:
            raise UsageError(f"percentile {self.percentile}: expected a number in (0, 100]")
        if not 0 <= self.initial_membrane < 1:
            raise UsageError(
                f"initial membrane {self.initial_membrane}: expected [0, 1) thresholds"
            )
        if self.bias_correction < 0:
            raise UsageError(f"bias correction {self.bias_correction}: expected 0 or more rounds")
        if self.reset not in RESETS or self.reset == "none":
            raise UsageError(f"reset {self.reset!r}: expected 'subtract' or 'zero'")
        if self.decode not in ("membrane", "counts"):
            raise UsageError(f"decode {self.decode!r}: expected 'membrane' or 'counts'")
        check_rule(self.normalization, self.scope)
        LoweringOptions(self.max_pooling, self.average_pooling)

    @property
    def lowering(self) -> LoweringOptions:
        """Which populations exist."""
        return LoweringOptions(self.max_pooling, self.average_pooling)

    def __call__(
        self,
        graph: ActivationGraph,
        calibration: Calibration,
        encodings: Mapping[str, Encoding],
    ) -> RealNetlist:
        """Build the netlist.

        Raises
        ------
        ConversionError
            If calibration leaves a layer without a threshold.
        """
        units: dict[str, FloatArray] = {}
        populations: list[Population] = []
        projections: list[RealProjection] = []
        outputs: list[Output] = []
        for layer in graph.layers:
            if isinstance(layer, OutputLayer):
                population, output = self._output(layer, calibration)
                outputs.append(output)
            else:
                population = self._population(layer, calibration, encodings, units)
            assert population.unit is not None
            units[layer.name] = population.unit
            populations.append(population)
            projections.extend(_projections(layer, units))
        return RealNetlist(
            graph.name, tuple(populations), tuple(projections), tuple(outputs), self.timesteps
        )

    def _population(
        self,
        layer: InputLayer | ReluLayer | PoolLayer,
        calibration: Calibration,
        encodings: Mapping[str, Encoding],
        units: Mapping[str, FloatArray],
    ) -> Population:
        if isinstance(layer, InputLayer):
            encoding = encodings[layer.name]
            if encoding.encoder == "latency":
                raise ConversionError(
                    f"{layer.name}: the rate method counts spikes, a latency-coded input has one a "
                    "pixel whatever its value; use --input current, rate or poisson"
                )
            unit = encoding.scale * (1 if encoding.kind == "current" else encoding.levels)
            model = Input(encoding.kind, *encoding.integer_range)
            return Population(layer.name, layer.shape, model, np.array(unit), layer.source)
        if isinstance(layer, PoolLayer):
            unit_of_pooled = units[layer.pooled]
            return Population(layer.name, layer.shape, layer.model, unit_of_pooled, layer.source)
        theta = choose_thresholds(
            calibration.activations(layer.name),
            self.normalization,
            self.scope,
            self.timesteps,
            self.percentile,
            layer.maximum,
            layer.name,
        )
        neuron = RealNeuron(
            threshold=theta,
            bias=_compact(layer.affine.bias),
            initial_membrane=theta * self.initial_membrane,
            reset=self.reset,
        )
        return Population(layer.name, layer.shape, neuron, theta, layer.source)

    def _output(self, layer: OutputLayer, calibration: Calibration) -> tuple[Population, Output]:
        if self.decode == "membrane":
            neuron = RealNeuron(None, _compact(layer.affine.bias), np.zeros(()), reset="none")
            population = Population(layer.name, layer.shape, neuron, np.ones(()), layer.source)
            return population, Output(layer.name, "membrane")
        values = calibration.outputs(layer.name)
        winners = values.max(axis=1)
        span = max(float(winners.max() - winners.min()), float(np.ptp(values)) * COUNT_MARGIN)
        if span <= 0:
            raise ConversionError(
                f"{layer.name}: the output is the same for all calibration images; "
                "counts cannot code it"
            )
        # A constant on all classes moves no argmax; it lifts the smallest winner above zero.
        offset = max(0.0, COUNT_MARGIN * span - float(winners.min()))
        theta = np.array((float(winners.max()) + offset) * (1 + COUNT_MARGIN))
        neuron = RealNeuron(
            threshold=theta,
            bias=_compact(layer.affine.bias + offset),
            initial_membrane=theta * self.initial_membrane,
            reset=self.reset,
        )
        population = Population(layer.name, layer.shape, neuron, theta, layer.source)
        return population, Output(layer.name, "counts", offset)


def _compact(bias: FloatArray) -> FloatArray:
    """One bias per channel where it does not vary within channels."""
    rows = bias.reshape(bias.shape[0], -1)
    return np.asarray(rows[:, 0]) if (rows == rows[:, :1]).all() else bias


def _projections(layer: Layer, units: Mapping[str, FloatArray]) -> list[RealProjection]:
    """Projections with weights in the units of the source network, per presynaptic spike."""
    if isinstance(layer, InputLayer):
        return []
    if isinstance(layer, PoolLayer):
        # Counts are pooled as counts: a pooled channel keeps the unit of its source.
        unscaled = identity(layer.model.input_shape, np.array(1.0))
        return [RealProjection(layer.pooled, layer.name, unscaled)]
    return [
        RealProjection(term.source, layer.name, _in_units(term, layer.affine, units[term.source]))
        for term in layer.affine.terms
    ]


def _in_units(term: Term, affine: Affine, unit: AnyArray) -> Connectivity:
    channels = term.source_shape[0]
    per_channel = np.broadcast_to(unit, (channels,)).astype(np.float64)
    connectivity = term.connectivity
    if connectivity is None:
        index = np.arange(term.scale.size)
        connectivity = Sparse(term.scale, index, index, term.source_shape, affine.shape)
    return connectivity.scale_inputs(per_channel)
