"""The quantization pass: weights, thresholds, biases and initial membranes to integers.

Per channel, the unit u of the membrane is chosen so that the threshold is a whole number of units
exactly; weights are ``q u 2^e`` with q of the declared width, biases and initial membranes round to
units. Everything else about the netlist, delays included, stays. The result is accepted only with
a proof that no state leaves its width (``ir/bounds.py``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from neurodeploy.errors import QuantizationError, UnknownNameError
from neurodeploy.ir.arrays import FloatArray, IntArray
from neurodeploy.ir.bounds import STATE_LIMIT, PopulationBounds, prove_bounds
from neurodeploy.ir.connectivity import Connectivity, Sparse
from neurodeploy.ir.fixed_point import DECAY_ONE
from neurodeploy.ir.netlist import (
    MAX_EXPONENT,
    IntegerNetlist,
    IntegerProjection,
    Population,
    RealNetlist,
    RealProjection,
)
from neurodeploy.ir.neurons import Input, IntegerNeuron, MaxPool, RealNeuron
from neurodeploy.quantize.grids import Grid, choose_grid, round_to_grid, rows_of

# Fractional bits are added until the smallest threshold has this many units: rounding a bias or an
# initial membrane then moves a rate by less than 0.1 %.
TARGET_THRESHOLD = 512
MIN_BITS, MAX_BITS = 2, 8


@dataclass(frozen=True, slots=True)
class Quantization:
    """Options of the pass.

    Parameters
    ----------
    weight_bits : int
        Two's complement width, 2 to 8.
    layer_bits : mapping of population to int
        Other widths for the projections into these populations.
    state_bits : int
        Width that every state is proved to fit, sign included; 24 is the contract's.
    threshold_bits, bias_bits : int
        Widths of thresholds (unsigned) and of biases and initial membranes (signed).
    max_fraction_bits : int
        Most fractional bits that thresholds and biases get below one weight unit.
    """

    weight_bits: int = 8
    layer_bits: Mapping[str, int] = field(default_factory=dict)
    state_bits: int = 24
    threshold_bits: int = 23
    bias_bits: int = 24
    max_fraction_bits: int = 6

    def __post_init__(self) -> None:
        for where, bits in (("weight bits", self.weight_bits), *self.layer_bits.items()):
            if not MIN_BITS <= bits <= MAX_BITS:
                raise QuantizationError(f"{where}: {bits} bits; expected {MIN_BITS} to {MAX_BITS}")
        if not 8 <= self.state_bits <= 24:
            raise QuantizationError(f"state bits {self.state_bits}; expected 8 to 24")
        for name in ("threshold_bits", "bias_bits"):
            if not 2 <= getattr(self, name) <= 24:
                raise QuantizationError(f"{name} {getattr(self, name)}; expected 2 to 24")

    def bits_of(self, population: str) -> int:
        """Weight width of the projections into a population."""
        return self.layer_bits.get(population, self.weight_bits)

    def __call__(self, netlist: RealNetlist) -> tuple[IntegerNetlist, list[dict[str, Any]]]:
        """Quantize; return the integer netlist and a report with one JSON row per layer.

        Raises
        ------
        QuantizationError
            Naming the layer and the value that the widths cannot represent.
        """
        layers = {
            p.name: _Layer.of(p, netlist.incoming[p.name], self.bits_of(p.name))
            for p in netlist.populations
            if isinstance(p.model, RealNeuron)
        }
        unknown = sorted(set(self.layer_bits) - set(layers))
        if unknown:
            raise UnknownNameError("layer", unknown[0], layers)
        scales = {n: layer.wanted_scale(self, netlist.timesteps) for n, layer in layers.items()}
        while True:
            integer = _assemble(netlist, layers, scales)
            if not self._coarsen(integer, layers, scales):
                break
        bounds = prove_bounds(integer)
        report = [
            layer.report(scales[n], integer, bounds[n].magnitude) for n, layer in layers.items()
        ]
        return integer, report

    def _coarsen(
        self, integer: IntegerNetlist, layers: Mapping[str, _Layer], scales: dict[str, _Scale]
    ) -> bool:
        """Give up fractional bits, then weight bits by channel, where a width is exceeded."""
        changed = False
        for name, bound in prove_bounds(integer).items():
            if name not in layers:
                continue
            excess = self._excess(integer.by_name[name], bound)
            if not excess.any():
                continue
            changed = True
            scale = scales[name]
            if scale.fraction:
                fewer = max(0, scale.fraction - int(excess.max()))
                scales[name] = replace(scale, fraction=fewer)
                continue
            loss = scale.loss + excess
            left = layers[name].bits - int(np.median(loss))
            if left < MIN_BITS:
                raise QuantizationError(
                    f"{name}: worst-case state {bound.magnitude} over T = {integer.timesteps} "
                    f"steps against {self.state_bits} bits leaves {left} of {layers[name].bits} "
                    "weight bits; use fewer time steps, wider states or an input of fewer levels"
                )
            scales[name] = replace(scale, loss=loss)
        return changed

    def _excess(self, population: Population, bound: PopulationBounds) -> IntArray:
        """Bits by which each channel exceeds a width, ``[C]``."""
        model = population.model
        assert isinstance(model, IntegerNeuron)
        channels = population.shape[0]
        limit = min(STATE_LIMIT, 2 ** (self.state_bits - 1) - 1)
        checks = [(x, limit) for x in (bound.a_low, bound.a_high, bound.u_low, bound.u_high)]
        checks += [(bound.v_low, limit), (bound.v_high, limit)]
        signed = 2 ** (self.bias_bits - 1) - 1
        checks += [(population.spread(model.bias), signed)]
        checks += [(population.spread(model.initial_membrane), signed)]
        for theta in (model.threshold, model.negative_threshold):
            if theta is not None:
                checks.append((population.spread(theta), min(limit, 2**self.threshold_bits - 1)))
        excess = np.zeros(channels, dtype=np.int64)
        for values, most in checks:
            largest = np.abs(values).reshape(channels, -1).max(axis=1)
            over = np.ceil(np.log2(np.maximum(largest, 1) / most) - 1e-12).astype(np.int64)
            excess = np.maximum(excess, np.where(largest > most, np.maximum(over, 1), 0))
        return excess


@dataclass(frozen=True, slots=True, eq=False)
class _Scale:
    """``fraction`` bits of the unit below one weight step, and bits lost by channel."""

    base: FloatArray
    fraction: int
    loss: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    """One population with its incoming projections and the grid chosen for them."""

    population: Population
    projections: tuple[RealProjection, ...]
    bits: int
    grid: Grid

    @classmethod
    def of(
        cls, population: Population, projections: tuple[RealProjection, ...], bits: int
    ) -> _Layer:
        model = population.model
        assert isinstance(model, RealNeuron)
        for projection in projections:
            if not np.isfinite(projection.connectivity.weight).all():
                raise QuantizationError(f"{projection.label}: weights that are not finite")
        channels = population.shape[0]
        fallback = np.ones(channels)
        if model.threshold is not None:
            fallback = _by_channel(model.threshold, population) / 2 ** (bits - 1)
        rows = [rows_of(p.connectivity) for p in projections]
        grid = choose_grid(rows, [bits] * len(rows), fallback) if rows else Grid(fallback, ())
        return cls(population, projections, bits, grid)

    def wanted_scale(self, options: Quantization, timesteps: int) -> _Scale:
        """The scale before any width is checked."""
        model = self.population.model
        assert isinstance(model, RealNeuron)
        unit, fraction = self.grid.unit, 0
        reach = timesteps * np.abs(self.population.spread(model.bias))
        reach = reach.reshape(self.population.shape[0], -1).max(axis=1)
        if model.threshold is None:
            fraction = min(4, options.max_fraction_bits)
        else:
            theta = _by_channel(model.threshold, self.population)
            wanted = math.ceil(math.log2(TARGET_THRESHOLD / float((theta / unit).min())))
            fraction = min(max(wanted, 0), options.max_fraction_bits)
            reach = np.maximum(reach, theta)
        # A channel whose weights are tiny beside its bias or threshold does not need their full
        # resolution, and must not cost the other channels theirs.
        base = np.maximum(unit, reach / 2.0 ** (options.state_bits - 3 - fraction))
        return _Scale(base, fraction, np.zeros(unit.shape, dtype=np.int64))

    def unit(self, scale: _Scale) -> FloatArray:
        """Real value of one membrane unit, ``[C]``: the threshold is a whole number of them."""
        unit = scale.base * np.exp2(scale.loss - scale.fraction)
        model = self.population.model
        assert isinstance(model, RealNeuron)
        if model.threshold is None:
            return np.asarray(unit)
        theta = _by_channel(model.threshold, self.population)
        return np.asarray(theta / np.maximum(np.floor(theta / unit + 1e-9), 1.0))

    def integer_population(self, scale: _Scale) -> Population:
        model = self.population.model
        assert isinstance(model, RealNeuron)
        unit = self.unit(scale)
        spread = unit.reshape(-1, *(1,) * (len(self.population.shape) - 1))

        def units(value: FloatArray) -> IntArray:
            if value.ndim <= 1 and value.shape != self.population.shape:
                return np.rint(np.broadcast_to(value, unit.shape) / unit).astype(np.int64)
            return np.rint(value / spread).astype(np.int64)

        theta = None if model.threshold is None else np.maximum(units(model.threshold), 1)
        negative = model.negative_threshold
        neuron = IntegerNeuron(
            threshold=theta,
            bias=units(model.bias),
            initial_membrane=units(model.initial_membrane),
            negative_threshold=None if negative is None else np.maximum(units(negative), 1),
            reset=model.reset,
            payload_max=model.payload_max,
            current_decay=round(model.current_decay * DECAY_ONE),
            membrane_decay=round(model.membrane_decay * DECAY_ONE),
        )
        worth = self.population.unit
        if theta is None and worth is not None:
            # An integrator is read in membrane units; what one was worth, times its real value.
            worth = np.broadcast_to(worth, unit.shape) * unit
        return replace(self.population, model=neuron, unit=worth)

    def integer_projections(self, scale: _Scale) -> list[IntegerProjection]:
        unit = self.unit(scale)
        result = []
        for projection, exponent in zip(self.projections, self.grid.exponents, strict=True):
            shift = np.maximum(exponent - scale.loss, 0) + scale.fraction
            step = unit * np.exp2(shift)
            connectivity = projection.connectivity
            weight = _on_grid(connectivity, step, self.bits)
            common = np.int64(shift.flat[0]) if (shift == shift.flat[0]).all() else shift
            if int(shift.max()) > MAX_EXPONENT:
                raise QuantizationError(
                    f"{projection.label}: exponent {int(shift.max())} exceeds {MAX_EXPONENT}: the "
                    "branches into this population differ too much in scale"
                )
            result.append(
                IntegerProjection(
                    projection.pre,
                    projection.post,
                    _with_integer_weight(connectivity, weight),
                    projection.delay,
                    np.asarray(common),
                    self.bits,
                )
            )
        return result

    def report(self, scale: _Scale, integer: IntegerNetlist, bound: int) -> dict[str, Any]:
        """What quantization cost this layer, as JSON values."""
        name = self.population.name
        signal = noise = 0.0
        levels: set[int] = set()
        per_channel = self.unit(scale)
        for real, whole in zip(self.projections, integer.incoming[name], strict=True):
            step = per_channel * np.exp2(np.broadcast_to(whole.exponent, per_channel.shape))
            used = rows_of(whole.connectivity)
            exact = rows_of(real.connectivity)
            difference = used.values * step[:, None] - exact.values
            noise += float((np.square(difference).sum(axis=1) * exact.multiplicity).sum())
            signal += float((np.square(exact.values).sum(axis=1) * exact.multiplicity).sum())
            levels |= set(np.unique(whole.connectivity.weight).tolist())
        model = integer.by_name[name].model
        assert isinstance(model, IntegerNeuron)
        theta = model.threshold
        return {
            "layer": name,
            "weight_bits": self.bits,
            "lost_bits": int(np.median(scale.loss)),
            "fraction_bits": scale.fraction,
            "levels": len(levels),
            "weight_snr_db": None if noise == 0 or signal == 0 else 10 * math.log10(signal / noise),
            "threshold": None if theta is None else [int(theta.min()), int(theta.max())],
            "state_bound": bound,
        }


def _by_channel(values: FloatArray, population: Population) -> FloatArray:
    """A quantity as one value per channel: the smallest where it varies within one."""
    full = population.spread(values).reshape(population.shape[0], -1)
    return np.asarray(full.min(axis=1), dtype=np.float64)


def _on_grid(connectivity: Connectivity, step: FloatArray, bits: int) -> IntArray:
    if isinstance(connectivity, Sparse):
        area = math.prod(connectivity.shape_out[1:])
        per_weight = step[connectivity.post // area]
    else:
        per_weight = step.reshape(-1, *(1,) * (connectivity.weight.ndim - 1))
    return round_to_grid(connectivity.weight, per_weight, bits)


def _with_integer_weight(connectivity: Connectivity, weight: IntArray) -> Connectivity:
    return replace(connectivity, weight=weight)


def _assemble(
    netlist: RealNetlist, layers: Mapping[str, _Layer], scales: Mapping[str, _Scale]
) -> IntegerNetlist:
    populations = tuple(
        layers[p.name].integer_population(scales[p.name]) if p.name in layers else p
        for p in netlist.populations
    )
    projections: list[IntegerProjection] = []
    for population in netlist.populations:
        if population.name in layers:
            layer = layers[population.name]
            projections.extend(layer.integer_projections(scales[population.name]))
        elif isinstance(population.model, MaxPool):
            projections.extend(_counted(p) for p in netlist.incoming[population.name])
        else:
            assert isinstance(population.model, Input)
    return IntegerNetlist(
        netlist.name,
        populations,
        tuple(projections),
        netlist.outputs,
        netlist.timesteps,
        netlist.dt,
    )


def _counted(projection: RealProjection) -> IntegerProjection:
    """A projection into max-pooling: counts are pooled as they are."""
    weight = projection.connectivity.weight
    whole = np.rint(weight).astype(np.int64)
    if not np.array_equal(whole, weight):
        raise QuantizationError(
            f"{projection.label}: max-pooling of weighted input; only whole weights stay exact"
        )
    bits = max(2, int(np.abs(whole).max(initial=1)).bit_length() + 1)
    return IntegerProjection(
        projection.pre,
        projection.post,
        _with_integer_weight(projection.connectivity, whole),
        projection.delay,
        np.asarray(0),
        bits,
    )
