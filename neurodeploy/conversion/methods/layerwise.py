"""The common part of layer-by-layer methods: one population per layer, built from parts.

A method is a frozen dataclass below :class:`LayerwiseMethod`. It changes what it is about and
inherits the rest: which populations exist (``lowering``), what a neuron may emit (``code``), what a
spike is worth (``thresholds``), the neuron itself (``neuron``), what is calibrated on the spikes
that really arrive (``refinements``), what is done to a population once its projections are built
(``finished``), and how the answer is read.

A population codes an activation x as a rate. With theta the worth of a unit spike (in the units of
the source network), weights in the same units times the worth of their source, the initial membrane
theta / 2 and payloads of at most P, T steps of constant input x emit
``clip(floor(T x / theta + 1/2), 0, T P)`` in sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from neurodeploy.conversion.calibration.bias_correction import BiasCorrection, MembraneCorrection
from neurodeploy.conversion.calibration.refinement import Refinement
from neurodeploy.conversion.calibration.threshold_search import ThresholdSearch
from neurodeploy.conversion.calibration.thresholds import (
    Activations,
    Calibration,
    check_rule,
    choose_ranges,
)
from neurodeploy.conversion.calibration.weight_correction import WeightCorrection
from neurodeploy.conversion.lowering.activation_graph import (
    ActivationGraph,
    InputLayer,
    Layer,
    OutputLayer,
    PoolLayer,
    ReluLayer,
)
from neurodeploy.conversion.lowering.affine import Affine, Term, compact
from neurodeploy.conversion.lowering.context import (
    AveragePooling,
    Leaky,
    LinearCode,
    LoweringOptions,
    MaxPooling,
)
from neurodeploy.conversion.methods.counted_output import counted_classes, counted_maps
from neurodeploy.conversion.methods.counted_pooling import (
    commensurate,
    pool_levels,
    pool_population,
    pool_weights,
)
from neurodeploy.conversion.option_types import check_option_types
from neurodeploy.errors import ConversionError, UsageError
from neurodeploy.ir.arrays import FloatArray
from neurodeploy.ir.connectivity import Connectivity, Sparse, identity
from neurodeploy.ir.encoding import EncoderName, Encoding
from neurodeploy.ir.netlist import DECODES, Decode, Output, Population, RealNetlist, RealProjection
from neurodeploy.ir.neuron import PayloadCode
from neurodeploy.ir.neurons import Input, RealNeuron

# A neuron with memory takes back as soon as it is below zero; in integers that is one unit.
BELOW_ZERO = 1e-6

MOST_TIMESTEPS = 2**16
"""Steps of a sample: hours of calibration begin long before."""


@dataclass(frozen=True, slots=True)
class SpikeCode:
    """Emission of one neuron in one step.

    Parameters
    ----------
    payload_max : int
        Largest magnitude; 1: binary.
    payload_code : {"integer", "power_of_two"}
    memory : bool
        Whether it takes back what it emitted too much.
    """

    payload_max: int = 1
    payload_code: PayloadCode = "integer"
    memory: bool = False


@dataclass(frozen=True, slots=True)
class LayerwiseMethod:
    """Options of every layer-by-layer method.

    Parameters
    ----------
    timesteps : int
        Steps of one sample, T; thresholds are chosen for it.
    normalization : {"mse", "percentile", "max", "balance"}
        Of the thresholds: least squared error for T steps, a percentile or the maximum of the
        activations, or local threshold balancing.
    scope : {"channel", "layer"}
        One threshold per channel or per layer.
    percentile : float
        Of the non-zero activations, for ``percentile``.
    range_floor : float
        Least range of a channel, as a share of its layer's largest, [0, 1]: few images see little
        of channels that are seldom active.
    initial_membrane : float
        In thresholds, [0, 1).
    decode : {"membrane", "counts", "softmax"}
        Read the output by the membrane of an integrator, by its spikes, or by the spikes of a
        stochastic softmax drawn on the host.
    max_pooling : {"exact", "winner", "identity"}
        The accumulated maximum or the winner by accumulated count as a population kind of its own,
        or plain neurons.
    average_pooling : {"auto", "spiking", "fold"}
        A population of its own, or folded into the next linear layer where that is not far more
        synapses; ``auto`` folds global pooling alone.
    leaky : {"units", "imbalanced"}
        Leaky ReLU as two rectified populations of one worth, or as one signed population with the
        thresholds theta and theta / slope.
    activation_units : int
        Saturating units that stand for one smooth activation (SiLU, GELU, ...).
    bias_correction : int
        Rounds in which every population's mean error moves into its biases; 0: none.
    membrane_correction : int
        Rounds in which every population's mean error moves into its initial membranes; 0: none.
    threshold_search : bool
        Try shares of every threshold on the spikes that really arrive, and take the best.
    weight_correction : bool
        Let the weights of every population expect what the spikes that really arrive get wrong.
    """

    timesteps: int = 32
    normalization: str = "mse"
    scope: str = "channel"
    percentile: float = 99.9
    range_floor: float = 0.0
    initial_membrane: float = 0.5
    decode: Decode = "membrane"
    max_pooling: MaxPooling = "exact"
    average_pooling: AveragePooling = "auto"
    leaky: Leaky = "units"
    activation_units: int = 6
    bias_correction: int = 1
    membrane_correction: int = 0
    threshold_search: bool = False
    weight_correction: bool = False

    emits: ClassVar[Literal["binary", "signed", "graded"]] = "binary"
    default_input: ClassVar[str] = "current"
    encoders: ClassVar[tuple[EncoderName, ...]] = ("current", "rate", "poisson")
    linear: ClassVar[LinearCode] = "rails"
    population_cost: ClassVar[int] = 1
    spiking_maximum: ClassVar[bool] = False
    dearer_maximum: ClassVar[MaxPooling | None] = None

    def __post_init__(self) -> None:
        check_option_types(self)
        if self.timesteps < 1:
            raise UsageError(f"timesteps {self.timesteps}: at least 1 is needed")
        if self.timesteps > MOST_TIMESTEPS:
            raise UsageError(
                f"timesteps {self.timesteps}: at most {MOST_TIMESTEPS}; what is left of the error "
                "falls with 1 / T, and --method graded or radix leaves less in fewer"
            )
        if not 0 < self.percentile <= 100:
            raise UsageError(f"percentile {self.percentile}: expected a number in (0, 100]")
        if not 0 <= self.range_floor <= 1:
            raise UsageError(f"range floor {self.range_floor}: expected a share in [0, 1]")
        if not 0 <= self.initial_membrane < 1:
            raise UsageError(
                f"initial membrane {self.initial_membrane}: expected [0, 1) thresholds"
            )
        for name in ("bias_correction", "membrane_correction"):
            if getattr(self, name) < 0:
                raise UsageError(
                    f"{name.replace('_', ' ')} {getattr(self, name)}: expected 0 or more rounds"
                )
        if self.weight_correction and not self.bias_correction:
            raise UsageError(
                "weight correction moves means that biases take back, but bias correction is 0; "
                "use 1 round or more"
            )
        if self.decode not in DECODES:
            raise UsageError(f"decode {self.decode!r}: expected one of {', '.join(DECODES)}")
        check_rule(self.normalization, self.scope)
        self.lowering  # noqa: B018 - it checks its own options

    @property
    def lowering(self) -> LoweringOptions:
        """Rule that decides which populations exist."""
        return LoweringOptions(
            self.max_pooling,
            self.average_pooling,
            self.leaky,
            self.activation_units,
            self.spiking_maximum,
            linear=self.linear,
            population_cost=self.population_cost,
        )

    @property
    def refinements(self) -> tuple[Refinement, ...]:
        """Calibrations on the spikes that really arrive, in this order."""
        steps: list[Refinement] = []
        if self.weight_correction:
            steps.append(WeightCorrection())
        if self.threshold_search:
            steps.append(ThresholdSearch())
        if self.membrane_correction:
            steps.append(MembraneCorrection(self.membrane_correction))
        if self.bias_correction:
            steps.append(BiasCorrection(self.bias_correction))
        return tuple(steps)

    def code(self, layer: ReluLayer) -> SpikeCode:
        """Emission of the neurons of a layer."""
        return SpikeCode()

    def thresholds(self, layer: ReluLayer, activations: Activations) -> FloatArray:
        """Value of a unit spike of each channel: ``[C]``, in source units."""
        payload_max = self.code(layer).payload_max
        return self.ranges(layer, activations, self.timesteps * payload_max) / payload_max

    def ranges(self, layer: ReluLayer, activations: Activations, levels: int) -> FloatArray:
        """Ranges of a code with so many levels above 0, by the chosen rule: ``[C]``."""
        return choose_ranges(
            activations,
            self.normalization,
            self.scope,
            levels,
            self.percentile,
            layer.maximum,
            layer.name,
            self.range_floor,
        )

    def worths(self, graph: ActivationGraph, calibration: Calibration) -> dict[str, FloatArray]:
        """Value of a unit spike of every rectified layer, by name."""
        layers = {layer.name: layer for layer in graph.layers if isinstance(layer, ReluLayer)}
        found = {
            name: self.thresholds(layer, calibration.activations(name))
            for name, layer in layers.items()
        }
        for pool in graph.layers:
            if isinstance(pool, PoolLayer) and len(pool.affine.terms) > 1:
                payload_max = max(
                    self.code(layers[t.source]).payload_max for t in pool.affine.terms
                )
                commensurate(pool, found, layers, pool_levels(payload_max))
        return found

    def neuron(self, layer: ReluLayer, theta: FloatArray) -> RealNeuron:
        """The neuron of a layer whose unit spikes are worth ``theta``."""
        code = self.code(layer)
        negative: FloatArray | None = None
        if layer.slope is not None:
            negative = theta / layer.slope
        elif code.memory:
            negative = theta * BELOW_ZERO
        return RealNeuron(
            threshold=theta,
            bias=compact(layer.affine.bias),
            # What may have either sign rounds towards 0 on both sides, or one of them would lead.
            initial_membrane=theta * (0.0 if layer.is_linear else self.initial_membrane),
            negative_threshold=negative,
            payload_max=code.payload_max,
            payload_code=code.payload_code,
            memory=code.memory and layer.slope is None,
        )

    def finished(self, population: Population, layer: Layer) -> Population:
        """The population of a layer as it enters the netlist: by default, as it is.

        Every population passes here, inputs, pools and outputs too, once all projections are
        built: weights are in the units that populations had before.
        """
        return population

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
        worths = self.worths(graph, calibration)
        populations: dict[str, Population] = {}
        projections: list[RealProjection] = []
        outputs: list[Output] = []
        known: dict[int, Connectivity] = {}
        for layer in graph.layers:
            if isinstance(layer, OutputLayer):
                population, output = self._output(layer, calibration)
                outputs.append(output)
            elif isinstance(layer, InputLayer):
                population = input_population(layer, encodings[layer.name], self.encoders)
            elif isinstance(layer, PoolLayer):
                population = pool_population(layer, populations)
            else:
                theta = worths[layer.name]
                neuron = self.neuron(layer, theta)
                population = Population(layer.name, layer.shape, neuron, theta, layer.source)
            populations[layer.name] = population
            projections.extend(projections_into(layer, populations, known))
        return RealNetlist(
            graph.name,
            tuple(self.finished(populations[layer.name], layer) for layer in graph.layers),
            tuple(projections),
            tuple(outputs),
            self.timesteps,
        )

    def _output(self, layer: OutputLayer, calibration: Calibration) -> tuple[Population, Output]:
        if self.decode == "softmax" and len(layer.shape) > 1:
            raise ConversionError(
                f"{layer.name}: softmax draws a class, but the output is a map of shape "
                f"{layer.shape}; use --decode membrane or counts"
            )
        if self.decode != "counts":
            neuron = RealNeuron(None, compact(layer.affine.bias), np.zeros(()), reset="none")
            population = Population(layer.name, layer.shape, neuron, np.ones(()), layer.source)
            return population, Output(layer.name, self.decode)
        values = calibration.outputs(layer.name)
        if len(layer.shape) > 1:
            code = self.code(ReluLayer(layer.name, layer.affine, layer.source))
            return counted_maps(layer, values, code, self.timesteps)
        return counted_classes(layer, values, self.initial_membrane)


def input_population(
    layer: InputLayer, encoding: Encoding, encoders: tuple[EncoderName, ...]
) -> Population:
    """The population that a tensor enters through, by one of the encoders that a method takes."""
    if encoding.encoder not in encoders:
        raise ConversionError(
            f"{layer.name}: this method cannot read an input coded by {encoding.encoder!r}; use "
            f"--input {' or '.join(encoders)}"
        )
    model = Input(encoding.kind, *encoding.integer_range)
    return Population(layer.name, layer.shape, model, np.array(encoding.unit), layer.source)


def projections_into(
    layer: Layer, populations: Mapping[str, Population], known: dict[int, Connectivity]
) -> list[RealProjection]:
    """Projections with weights in the units of the source network, per presynaptic spike.

    ``known`` are the maps of terms so far: layers that share a term share its map.
    """
    if isinstance(layer, InputLayer):
        return []
    if isinstance(layer, PoolLayer):
        weights, _ = pool_weights(layer, populations)
        shape = layer.model.input_shape
        return [
            RealProjection(t.source, layer.name, identity(shape, weights[t.source]))
            for t in layer.affine.terms
        ]
    result = []
    for term in layer.affine.terms:
        if id(term) not in known:
            known[id(term)] = in_units(term, layer.affine, populations)
        result.append(RealProjection(term.source, layer.name, known[id(term)]))
    return result


def in_units(term: Term, affine: Affine, populations: Mapping[str, Population]) -> Connectivity:
    """The map of a term, per spike of its source."""
    unit = populations[term.source].unit
    assert unit is not None
    per_channel = np.broadcast_to(unit, (term.source_shape[0],)).astype(np.float64)
    connectivity = term.connectivity
    if connectivity is None:
        index = np.arange(term.scale.size)
        connectivity = Sparse(term.scale, index, index, term.source_shape, affine.shape)
    return connectivity.scale_inputs(per_channel)
