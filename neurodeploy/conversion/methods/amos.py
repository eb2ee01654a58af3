"""AMOS: activations as binary digits, one spike a neuron, one image a step.

Every rectified layer becomes K populations. Digit i, one step after digit i - 1, is worth
``T_i = alpha 2^-(i+1)`` and decides on what the digits before it have left over::

    z_i = [x - T_i - sum_(j<i) T_j z_j >= 0],    x ~ sum_i T_i z_i

with ``alpha = range 2^K / (2^K - 1)``, so that K ones are the whole range, and half a last digit
added to x for rounding. Each population is active in a single step of a sample, so that samples may
follow one another every step.

References
----------
Stoeckl & Maass 2019, "Recognizing images with at most one spike per neuron", arXiv 2001.01682;
Stoeckl & Maass 2021, doi 10.1038/s42256-021-00311-4 (units fitted to other activations, here
saturating ones: :mod:`neurodeploy.conversion.lowering.units`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from neurodeploy.conversion.calibration.refinement import Refinement
from neurodeploy.conversion.calibration.thresholds import Calibration, check_rule, choose_ranges
from neurodeploy.conversion.lowering.activation_graph import (
    ActivationGraph,
    InputLayer,
    OutputLayer,
    PoolLayer,
    ReluLayer,
)
from neurodeploy.conversion.lowering.affine import Affine, compact
from neurodeploy.conversion.lowering.context import LoweringOptions
from neurodeploy.conversion.methods.layerwise import in_units, input_population
from neurodeploy.conversion.option_types import check_option_types
from neurodeploy.errors import ConversionError, UsageError
from neurodeploy.ir.arrays import FloatArray
from neurodeploy.ir.connectivity import identity
from neurodeploy.ir.encoding import EncoderName, Encoding
from neurodeploy.ir.netlist import Decode, Output, Population, RealNetlist, RealProjection
from neurodeploy.ir.neurons import RealNeuron

MAX_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Amos:
    """Options of the conversion.

    Parameters
    ----------
    timesteps : int
        1: every neuron decides once.
    digits : int
        Binary digits of an activation, K.
    normalization : {"mse", "percentile", "max", "balance"}
        Of the ranges.
    scope : {"channel", "layer"}
        One range per channel or per layer.
    percentile : float
        Of the non-zero activations, for ``percentile``.
    decode : {"membrane"}
        The output is read by the membrane of an integrator.
    activation_units : int
        Saturating units that stand for one smooth activation (SiLU, GELU, ...).
    """

    timesteps: int = 1
    digits: int = 8
    normalization: str = "mse"
    scope: str = "channel"
    percentile: float = 99.9
    decode: Decode = "membrane"
    activation_units: int = 6

    emits: ClassVar[Literal["binary", "signed", "graded"]] = "binary"
    default_input: ClassVar[str] = "current"
    encoders: ClassVar[tuple[EncoderName, ...]] = ("current",)

    def __post_init__(self) -> None:
        check_option_types(self)
        if self.timesteps != 1:
            raise UsageError(f"timesteps {self.timesteps}: amos takes 1; more --digits are finer")
        if not 1 <= self.digits <= MAX_DIGITS:
            raise UsageError(f"digits {self.digits}: expected 1 to {MAX_DIGITS}")
        if not 0 < self.percentile <= 100:
            raise UsageError(f"percentile {self.percentile}: expected a number in (0, 100]")
        if self.decode != "membrane":
            raise UsageError(f"decode {self.decode!r}: amos is read by its membrane")
        check_rule(self.normalization, self.scope)
        self.lowering  # noqa: B018 - it checks its own options

    @property
    def lowering(self) -> LoweringOptions:
        """Digits cannot be pooled as counts: maxima become plain neurons, averages fold."""
        return LoweringOptions("identity", "fold", "units", self.activation_units, True)

    @property
    def refinements(self) -> tuple[Refinement, ...]:
        """None: digits are decided at once, nothing comes too early."""
        return ()

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
            Naming a layer that is not rectified, or that calibration leaves silent.
        """
        coded: dict[str, tuple[Population, ...]] = {}
        projections: list[RealProjection] = []
        outputs: list[Output] = []
        for layer in graph.layers:
            if isinstance(layer, InputLayer):
                coded[layer.name] = (input_population(layer, encodings[layer.name], self.encoders),)
                continue
            if isinstance(layer, OutputLayer):
                neuron = RealNeuron(None, compact(layer.affine.bias), np.zeros(()), reset="none")
                population = Population(layer.name, layer.shape, neuron, np.ones(()), layer.source)
                coded[layer.name] = (population,)
                outputs.append(Output(layer.name, "membrane"))
            else:
                coded[layer.name] = self._digits(layer, calibration)
            for population in coded[layer.name]:
                projections += _arriving(layer.affine, population, coded)
            projections += _left_over(coded[layer.name])
        populations = tuple(p for group in coded.values() for p in group)
        return RealNetlist(graph.name, populations, tuple(projections), tuple(outputs), 1)

    def _digits(
        self, layer: ReluLayer | PoolLayer, calibration: Calibration
    ) -> tuple[Population, ...]:
        """The populations of a layer, the most telling digit first."""
        if isinstance(layer, PoolLayer) or layer.slope is not None or layer.levels is not None:
            raise ConversionError(
                f"{layer.name}: amos codes rectified activations; this one is none (use graded)"
            )
        steps = 2**self.digits - 1
        ranges = choose_ranges(
            calibration.activations(layer.name),
            self.normalization,
            self.scope,
            steps,
            self.percentile,
            layer.maximum,
            layer.name,
        )
        last = ranges / steps
        rounding = last.reshape(-1, *(1,) * (len(layer.shape) - 1)) / 2
        bias = compact(layer.affine.bias + rounding)
        populations = []
        for i in range(self.digits):
            worth: FloatArray = last * 2.0 ** (self.digits - 1 - i)
            neuron = RealNeuron(worth, bias, np.zeros(()))
            populations.append(Population(f"{layer.name}.d{i}", layer.shape, neuron, worth))
        return tuple(populations)


def _arriving(
    affine: Affine, post: Population, coded: Mapping[str, tuple[Population, ...]]
) -> list[RealProjection]:
    """Every digit of every source, each with what it is worth."""
    return [
        RealProjection(pre.name, post.name, in_units(term, affine, {term.source: pre}))
        for term in affine.terms
        for pre in coded[term.source]
    ]


def _left_over(digits: tuple[Population, ...]) -> list[RealProjection]:
    """Inhibition by which earlier digits take their part from later ones."""
    found = []
    for i, post in enumerate(digits):
        for pre in digits[:i]:
            assert pre.unit is not None
            found.append(RealProjection(pre.name, post.name, identity(pre.shape, -pre.unit)))
    return found
