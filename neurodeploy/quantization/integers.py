"""The quantization pass: weights, thresholds, biases and initial membranes to integers.

Per channel, the unit u of the membrane is chosen so that the threshold is a whole number of units
exactly; weights are ``q u 2^e`` with q of the declared width, biases and initial membranes round to
units. Everything else about the netlist, delays included, stays. The result is accepted only with
a proof that no state leaves its width (``ir/bounds.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from neurodeploy.errors import QuantizationError, UnknownNameError
from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.bounds import STATE_LIMIT, PopulationBounds, prove_bounds
from neurodeploy.ir.netlist import MAX_EXPONENT, IntegerNetlist, Population, RealNetlist
from neurodeploy.ir.neurons import IntegerNeuron, MaxPool, RealNeuron
from neurodeploy.ir.siblings import Siblings, sibling_groups
from neurodeploy.quantization.assembly import Rounded, assemble, joined
from neurodeploy.quantization.feedback import Replay, can_feed_back, fed_back
from neurodeploy.quantization.input_statistics import Heard
from neurodeploy.quantization.levels import UNIFORM
from neurodeploy.quantization.native import warn_of_decays
from neurodeploy.quantization.pooled_currents import in_levels
from neurodeploy.quantization.report import layer_reports
from neurodeploy.quantization.rounding_error import expected_input
from neurodeploy.quantization.scaling import FITTED_BITS, STOCK_FRACTION, MembraneScale, ScaledLayer

MIN_BITS, MAX_BITS = 2, 8
LEVELS = ("uniform", "fitted")
NEURONS = ("free", "stock-lif")
STOCK_INTEGRATOR_BITS = 18
STOCK_BIAS = 4095 << 1
"""Largest bias of stock LIF in weight units: a mantissa with exponent 7."""


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
        Width that every state is proved to fit, sign included (docs/semantics.md).
    threshold_bits, bias_bits : int
        Widths of thresholds (unsigned) and of biases and initial membranes (signed).
    max_fraction_bits : int
        Most fractional bits that thresholds and biases get below one weight unit.
    bias_correction : bool
        Whether biases take back what rounding the weights changes on average: on the samples that
        weights are rounded against, else on the calibration data of the conversion.
    feedback : bool
        With data, whether weights and biases also take back what rounding the layers before them
        changed, on the spikes that their integers really send.
    levels : {"uniform", "fitted"}
        Weights on uniform grids, or on the sums of few values that are fitted to each channel: as
        many axon copies on a crossbar as the width's uniform grid takes. Their integers are 3 bits
        wider, so widths above 5 stay uniform; it is an error if all are wider. Data that weights
        are rounded against correct the biases of fitted layers alone.
    max_thresholds : int
        Most different thresholds of a population, 0: any number. Weights of a channel are counted
        in units that are as much larger as its threshold is rounded down.
    neuron : {"free", "stock-lif"}
        Any neuron, or a stock LIF process of Loihi's framework, which has widths of its own: 6
        fractional bits that thresholds do not count, biases of 12 bits and an exponent, and a
        membrane that saturates, so that only what arrives in one step has to be proved.
        Integrators, which must not saturate, are proved to stay within 2^17 weight units.
    """

    weight_bits: int = 8
    layer_bits: Mapping[str, int] = field(default_factory=dict)
    state_bits: int = 24
    threshold_bits: int = 23
    bias_bits: int = 24
    max_fraction_bits: int = 6
    bias_correction: bool = True
    feedback: bool = True
    levels: str = "uniform"
    max_thresholds: int = 0
    neuron: str = "free"

    def __post_init__(self) -> None:
        widths = ("weight_bits", "state_bits", "threshold_bits", "bias_bits", "max_fraction_bits")
        given = {n: getattr(self, n) for n in (*widths, "max_thresholds")} | {
            f"{n} bits": b for n, b in self.layer_bits.items()
        }
        for where, bits in given.items():
            if not isinstance(bits, int | np.integer) or isinstance(bits, bool):
                raise QuantizationError(f"{where} {bits!r}; expected a whole number")
        for name in ("bias_correction", "feedback"):
            if not isinstance(getattr(self, name), bool):
                raise QuantizationError(f"{name} {getattr(self, name)!r}; expected true or false")
        for where, bits in (("weight bits", self.weight_bits), *self.layer_bits.items()):
            if not MIN_BITS <= bits <= MAX_BITS:
                raise QuantizationError(f"{where}: {bits} bits; expected {MIN_BITS} to {MAX_BITS}")
        if not 8 <= self.state_bits <= 24:
            raise QuantizationError(f"state bits {self.state_bits}; expected 8 to 24")
        for name in ("threshold_bits", "bias_bits"):
            if not 2 <= getattr(self, name) <= 24:
                raise QuantizationError(f"{name} {getattr(self, name)}; expected 2 to 24")
        if self.max_thresholds < 0:
            raise QuantizationError(f"max_thresholds {self.max_thresholds}; expected 0 or more")
        if self.levels not in LEVELS:
            raise QuantizationError(f"levels {self.levels!r}; expected one of {', '.join(LEVELS)}")
        if self.neuron not in NEURONS:
            raise QuantizationError(f"neuron {self.neuron!r}; expected one of {', '.join(NEURONS)}")
        if not 0 <= self.max_fraction_bits <= MAX_EXPONENT:
            raise QuantizationError(
                f"max_fraction_bits {self.max_fraction_bits}; expected 0 to {MAX_EXPONENT}"
            )

    def bits_of(self, population: str) -> int:
        """Weight width of the projections into a population."""
        return self.layer_bits.get(population, self.weight_bits)

    def fitted(self, bits: int) -> bool:
        """Whether layers of this width get fitted levels."""
        return self.levels == "fitted" and bits in UNIFORM

    def largest_weight(self, bits: int) -> int:
        """Largest magnitude of an integer weight of this width, exponents not counted."""
        top: int = 2 ** (bits - 1)
        return (top << FITTED_BITS) - 1 if self.fitted(bits) else top

    def check_layers(self, netlist: RealNetlist) -> None:
        """Raise UnknownNameError if a width is given for what is no layer of neurons."""
        layers = [p.name for p in netlist.populations if isinstance(p.model, RealNeuron)]
        unknown = sorted(set(self.layer_bits) - set(layers))
        if unknown:
            raise UnknownNameError("layer", unknown[0], layers)

    def __call__(
        self, netlist: RealNetlist, heard: Heard | None = None, replay: Replay | None = None
    ) -> tuple[IntegerNetlist, list[dict[str, Any]]]:
        """Quantize; return the integer netlist and a report with one JSON row per layer.

        Parameters
        ----------
        netlist : RealNetlist
        heard : Heard, optional
            What populations emit over calibration samples: weights are rounded against it
            (:mod:`neurodeploy.quantization.compensation`).
        replay : Replay, optional
            These samples, for rounding in sequence (:mod:`neurodeploy.quantization.feedback`).

        Raises
        ------
        QuantizationError
            Naming the layer and the value that the widths cannot represent.
        """
        self.check_layers(netlist)
        self._require_fitted(netlist)
        warn_of_decays(netlist)
        netlist, heard = in_levels(netlist, heard or Heard(), self.bits_of)
        layers = [
            self._scaled(netlist, siblings, heard)
            for siblings in sibling_groups(netlist, self.bits_of)
        ]
        feeds_back = self.feedback and replay is not None and can_feed_back(netlist)
        integer, bounds, made = self._rounded(
            netlist, layers, heard, replay if feeds_back else None
        )
        states = {name: bound.magnitude for name, bound in bounds.items()}
        rows: dict[str, dict[str, Any]] = {}
        for known in made:
            rows |= layer_reports(known.layer, known.scales[0], integer, states)
        report = [rows[p.name] for p in netlist.populations if p.name in rows]
        for row in report:
            self._require_weights(row)
        return integer, report

    def _rounded(
        self,
        netlist: RealNetlist,
        layers: Sequence[ScaledLayer],
        heard: Heard,
        replay: Replay | None,
    ) -> tuple[IntegerNetlist, Mapping[str, PopulationBounds], list[Rounded]]:
        """The netlist on scales with which every width holds, its bounds and its layers."""
        scales = [layer.wanted for layer in layers]
        known: list[Rounded | None] = [None] * len(layers)
        while True:
            integer = assemble(netlist, layers, scales, known)
            bounds = prove_bounds(integer)
            if self._coarsen(integer, bounds, layers, scales):
                continue
            made = [x for x in known if x is not None]
            if replay is None:
                return integer, bounds, made

            def coarser(i: int, taught: Rounded) -> list[Rounded] | None:
                # Weights that moved may need another width.
                integer = joined(netlist, [*known[:i], taught, *known[i + 1 :]])
                bounds = prove_bounds(integer, populations=taught.populations)
                if not self._coarsen(integer, bounds, layers, scales):
                    return None
                assemble(netlist, layers, scales, known)
                return [x for x in known if x is not None]

            made = fed_back(netlist, layers, made, heard, replay, coarser)
            integer = joined(netlist, made)
            bounds = prove_bounds(integer)
            if not self._coarsen(integer, bounds, layers, scales):
                return integer, bounds, made

    def _scaled(self, netlist: RealNetlist, siblings: Siblings, heard: Heard) -> ScaledLayer:
        first = siblings[0].population
        bits = self.bits_of(first.name)
        return ScaledLayer.of(
            siblings,
            bits,
            timesteps=netlist.timesteps,
            state_bits=self._state_bits(siblings[0].model.fires),
            max_fraction_bits=self.max_fraction_bits,
            stock=self.neuron == "stock-lif",
            heard=heard,
            expected=expected_input(netlist, first, heard) if self.bias_correction else {},
            fitted=self.fitted(bits),
            thresholds=self.max_thresholds,
        )

    def _require_fitted(self, netlist: RealNetlist) -> None:
        """Refuse fitted levels where every layer is too wide for them."""
        named = [p.name for p in netlist.populations if isinstance(p.model, RealNeuron)]
        widths = {self.bits_of(name) for name in named}
        if self.levels == "fitted" and widths and not any(map(self.fitted, widths)):
            raise QuantizationError(
                f"{netlist.name}: levels 'fitted' against {min(widths)} weight bits: they exist "
                f"for {min(UNIFORM)} to {max(UNIFORM)} bits; use --weight-bits {max(UNIFORM)}, or "
                "uniform levels"
            )

    def _require_weights(self, row: Mapping[str, Any]) -> None:
        """Refuse a layer that loses to rounding as much as its weights hold, or more."""
        # Against data, weights move away from their values so that their sums stay.
        snr = row["input_snr_db"] if row["compensated"] else row["weight_snr_db"]
        if snr is None or snr > 0:
            return
        bits = row["weight_bits"]
        why = (
            f"beside its thresholds and biases {self.state_bits} bits of state leave too little of "
            f"{bits} weight bits; use wider states or fewer time steps"
            if row["most_lost_bits"]
            else f"{bits} weight bits are too few for it; use more"
        )
        raise QuantizationError(
            f"{row['layer']}: its weights are lost in rounding (SNR {snr:.1f} dB, more than 0 is "
            f"needed): {why}"
        )

    def _coarsen(
        self,
        integer: IntegerNetlist,
        bounds: Mapping[str, PopulationBounds],
        layers: Sequence[ScaledLayer],
        scales: list[MembraneScale],
    ) -> bool:
        """Give up fractional bits, then weight bits by channel, where a width is exceeded."""
        changed = False
        for name, bound in bounds.items():
            if isinstance(integer.by_name[name].model, MaxPool):
                self._require_pool(name, bound, integer.timesteps)
        for i, layer in enumerate(layers):
            names = [x.population.name for x in layer.siblings]
            if names[0] not in bounds:
                continue
            excesses = [self._excess(integer.by_name[n], bounds[n]) for n in names]
            excess = np.maximum.reduce(excesses)
            if not excess.any():
                continue
            changed = True
            scales[i] = scales[i].coarser(excess)
            left = layer.bits - int(layer.coarsened_bits(scales[i]).max())
            if left < MIN_BITS:
                name = names[int(np.argmax([e.max() for e in excesses]))]
                raise QuantizationError(
                    f"{name}: worst-case state {bounds[name].magnitude} over T = "
                    f"{integer.timesteps} steps against {self.state_bits} bits leaves "
                    f"{max(left, 0)} of {layer.bits} weight bits (thresholds "
                    f"{self.threshold_bits}, biases {self.bias_bits} bits); use fewer time steps, "
                    "wider states or an input of fewer levels"
                )
        return changed

    def _require_pool(self, name: str, bound: PopulationBounds, timesteps: int) -> None:
        # Counts are pooled as they are: there is nothing to coarsen.
        if bound.magnitude > self._state_limit:
            raise QuantizationError(
                f"{name}: up to {bound.magnitude} accumulated over T = {timesteps} steps against "
                f"{self.state_bits} bits; use fewer time steps, wider states or smaller payloads"
            )

    def _state_bits(self, fires: bool) -> int:
        """Width of the states of neurons that fire, or of integrators."""
        stock = self.neuron == "stock-lif" and not fires
        return min(self.state_bits, STOCK_INTEGRATOR_BITS) if stock else self.state_bits

    @property
    def _state_limit(self) -> int:
        return min(STATE_LIMIT, int(2 ** (self.state_bits - 1)) - 1)

    def _excess(self, population: Population, bound: PopulationBounds) -> IntArray:
        """Bits by which each channel exceeds a width, ``[C]``."""
        model = population.model
        assert isinstance(model, IntegerNeuron)
        channels = population.shape[0]
        limit = min(STATE_LIMIT, int(2 ** (self._state_bits(model.fires) - 1)) - 1)
        checks = [(x, limit) for x in (bound.a_low, bound.a_high, bound.u_low, bound.u_high)]
        checks += [(bound.v_low, limit), (bound.v_high, limit)]
        signed = 2 ** (self.bias_bits - 1) - 1
        if self.neuron == "stock-lif":
            signed = STOCK_BIAS << (STOCK_FRACTION if model.fires else 0)
        checks += [(population.spread(model.bias), signed)]
        checks += [(population.spread(model.initial_membrane), signed)]
        for theta in (model.threshold, model.negative_threshold):
            if theta is not None:
                # Gains and comparisons of steps make more of it, up to this.
                highest = model.highest(population.spread(theta))
                checks.append((population.spread(theta), limit))
                checks.append((highest, 2**self.threshold_bits - 1))
        excess = np.zeros(channels, dtype=np.int64)
        for values, most in checks:
            largest = np.abs(values).reshape(channels, -1).max(axis=1)
            over = np.ceil(np.log2(np.maximum(largest, 1) / most) - 1e-12).astype(np.int64)
            excess = np.maximum(excess, np.where(largest > most, np.maximum(over, 1), 0))
        return excess
