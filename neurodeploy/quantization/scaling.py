"""Siblings on their integer grid: what a membrane unit is worth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from neurodeploy.errors import QuantizationError
from neurodeploy.ir.arrays import FloatArray, IntArray
from neurodeploy.ir.netlist import MAX_EXPONENT, IntegerProjection, Population, RealProjection
from neurodeploy.ir.patches import has_rows
from neurodeploy.ir.siblings import Siblings, mirrored
from neurodeploy.quantization.compensation import compensated_weights
from neurodeploy.quantization.grids import WeightGrid, choose_grid, rows_of
from neurodeploy.quantization.input_statistics import Heard
from neurodeploy.quantization.membrane import (
    few_values,
    in_units,
    least_threshold,
    reach_of,
    whole_threshold,
)
from neurodeploy.quantization.rounding import round_to_levels, round_weights
from neurodeploy.quantization.rounding_error import corrected, lost_on_average

# Fractional bits are added until the smallest threshold has this many units: rounding a bias or an
# initial membrane then moves a rate by less than 0.1 %.
TARGET_THRESHOLD = 512
# An integrator has no threshold to set its resolution; a bias is rounded in every step.
INTEGRATOR_FRACTION_BITS = 4
# Bits of the state that a threshold, or a bias over all steps, leaves to the weights.
HEAD_ROOM_BITS = 2
# Fitted levels lie on a grid that is this much finer than the uniform grid of their copies.
FITTED_BITS = 3
# Stock LIF: its membrane has these bits below a weight unit, biases a mantissa of so many bits and
# reach a sixteenth of the membrane.
STOCK_FRACTION = 6
STOCK_MANTISSA = 12
STOCK_BIAS_SHARE = 16


@dataclass(frozen=True, slots=True, eq=False)
class MembraneScale:
    """``fraction`` bits of the unit below one weight step, less ``loss`` bits by channel.

    ``kept`` of the fractional bits are never given up: weights get coarser instead.
    """

    fraction: int
    loss: IntArray
    kept: int = 0

    def coarser(self, excess: IntArray) -> MembraneScale:
        """The scale with at least ``excess`` bits given up by channel, common ones first."""
        if self.fraction == self.kept:
            return replace(self, loss=self.loss + excess)
        fewer = max(self.kept, self.fraction - int(excess.max()))
        # Channels that had given up fractional bits by themselves do not pay twice.
        return MembraneScale(fewer, np.maximum(self.loss - (self.fraction - fewer), 0), self.kept)

    def given_up(self, exponent: IntArray) -> IntArray:
        """Bits that weights of an exponent lose: the loss beyond what fractional bits cover."""
        return np.asarray(np.maximum(self.loss - (self.fraction - self.kept) - exponent, 0))


class Lesson(Protocol):
    """What a layer is taught on samples, beside rounding: to take back what it inherits."""

    def taught(
        self,
        projection: RealProjection,
        rounded: Mapping[int, IntegerProjection],
        unit: FloatArray,
    ) -> RealProjection:
        """A projection before it is rounded; those of its layer that are rounded, by place."""

    def missing(self) -> FloatArray:
        """Mean input of the layer that its sources lost: ``[*post_shape]``."""


@dataclass(frozen=True, slots=True, eq=False)
class ScaledLayer:
    """Siblings with the projections into the first of them, and the grid chosen for all.

    What one of them weighs, all do, up to a sign: weights are rounded once, and thresholds, biases
    and initial membranes are counted in one unit. ``bits`` is the width of the integers; ``copies``
    the width whose axon copies fitted levels take, 0 for uniform levels. Of sources, ``heard`` has
    what they emit over each of some samples, for rounding against data; ``expected`` is what they
    emit on average, for correcting biases. ``fed_back``: these are emissions of rounded sources.
    """

    siblings: Siblings
    bits: int
    grid: WeightGrid
    wanted: MembraneScale
    timesteps: int
    heard: Heard
    expected: Mapping[str, FloatArray]
    copies: int = 0
    stock: bool = False
    thresholds: int = 0
    fed_back: bool = False

    @classmethod
    def of(
        cls,
        siblings: Siblings,
        bits: int,
        *,
        timesteps: int,
        state_bits: int,
        max_fraction_bits: int,
        heard: Heard,
        expected: Mapping[str, FloatArray],
        fitted: bool,
        stock: bool,
        thresholds: int,
    ) -> ScaledLayer:
        """Choose the grid, and the scale that is wanted before any width is checked.

        Sources that ``heard`` does not know are rounded without data; ``expected`` emissions are
        ``[*shape]``, none: biases stay.
        """
        copies = bits if fitted else 0
        bits += FITTED_BITS if fitted else 0
        theta = least_threshold(siblings)
        # A channel whose weights are tiny beside its bias or threshold does not need their full
        # resolution, and must not cost the other channels theirs.
        kept = STOCK_FRACTION if stock and theta is not None else 0
        # A membrane that saturates holds one step: its largest bias is a sixteenth of it.
        steps = STOCK_BIAS_SHARE if kept else timesteps
        reach = np.maximum.reduce([reach_of(x, steps) for x in siblings])
        # What is counted in weight steps is so many fractional bits less of the state.
        head_room = kept or HEAD_ROOM_BITS
        least = reach / 2.0 ** (state_bits - 1 - head_room)
        fallback = np.maximum(
            np.ones(len(least)) if theta is None else theta / 2 ** (bits - 1), least
        )
        rows = [rows_of(p.connectivity) for p in siblings[0].projections]
        grid = WeightGrid(fallback, ())
        if stock and rows:
            # One step for all branches: a convolution has no exponent of its own.
            top = 2 ** (bits - 1) - 1
            least = np.maximum.reduce([least, *(r.largest / top for r in rows)])
        if rows:
            grid = choose_grid(
                rows, [bits] * len(rows), fallback, least, symmetric=mirrored(siblings)
            )
        fraction = min(INTEGRATOR_FRACTION_BITS, max_fraction_bits)
        if theta is not None:
            ratio = theta / grid.unit
            fine = ratio[grid.unit > least * (1 + 1e-9)]
            smallest = float((fine if fine.size else ratio).min())
            wanted = math.ceil(math.log2(TARGET_THRESHOLD) - math.log2(smallest))
            fraction = min(max(wanted, 0), max_fraction_bits)
        spare = np.floor(np.log2(grid.unit) - np.log2(np.maximum(least, 1e-300)) + 1e-9)
        loss = np.clip(fraction - spare, 0, fraction).astype(np.int64)
        scale = MembraneScale(fraction, loss)
        if stock:
            scale = MembraneScale(kept, np.zeros_like(loss), kept)
        return cls(
            siblings, bits, grid, scale, timesteps, heard, expected, copies, stock, thresholds
        )

    @property
    def projections(self) -> tuple[RealProjection, ...]:
        """Those into the first sibling."""
        return self.siblings[0].projections

    def unit(self, scale: MembraneScale) -> FloatArray:
        """Real value of one membrane unit, ``[C]``: the threshold is a whole number of them.

        Of siblings the smallest threshold is; the others round, by half a unit at most. A threshold
        below one unit counts as one: its channel's whole range is less than what its weights
        resolve. Where thresholds may have few values, they are rounded down to one of them.
        """
        unit = self.grid.unit * np.exp2(scale.loss - scale.fraction)
        theta = least_threshold(self.siblings)
        if theta is None:
            return np.asarray(unit)
        whole, few = np.floor(theta / unit + 1e-9), self.thresholds
        if scale.kept:
            # 1 above a whole number of weight units; less than one of them rounds.
            whole = few_values(np.floor((whole - 1) / 2**scale.kept) * 2**scale.kept + 1, few)
            return np.where(whole > 1, theta / np.maximum(whole, 1.0), unit)
        whole = few_values(whole, few)
        return np.where(whole >= 1, theta / np.maximum(whole, 1.0), unit)

    def worths(self, scale: MembraneScale) -> dict[str, FloatArray]:
        """Value of a spike of each sibling relative to the intended one: by name, ``[C]``.

        Of thresholds that round, the spikes are worth as much more, or less. A population alone has
        a whole one, and is left out, as are thresholds that differ within channels.
        """
        if len(self.siblings) == 1:
            return {}
        unit = self.unit(scale)
        found = {}
        for sibling in self.siblings:
            theta = sibling.model.threshold
            if theta is not None and theta.ndim <= 1:
                found[sibling.population.name] = (
                    whole_threshold(theta, unit, scale.kept) * unit / theta
                )
        return found

    def hearing(self, worths: Mapping[str, FloatArray]) -> ScaledLayer:
        """The layer with weights for sources whose spikes are worth something else than meant."""
        first = self.siblings[0]
        projections = tuple(
            replace(q, connectivity=q.connectivity.scale_inputs(worths[q.pre]))
            if q.pre in worths
            else q
            for q in first.projections
        )
        siblings = (replace(first, projections=projections), *self.siblings[1:])
        return replace(self, siblings=siblings)

    def coarsened_bits(self, scale: MembraneScale) -> IntArray:
        """Bits that each channel gave up for a width, ``[C]``: those of its widest branch."""
        spare = np.zeros(scale.loss.shape, dtype=np.int64)
        for exponent in self.grid.exponents:
            spare = np.maximum(spare, exponent)
        return np.asarray(scale.given_up(spare))

    def integer_populations(
        self,
        scale: MembraneScale,
        rounded: Sequence[IntegerProjection],
        lesson: Lesson | None = None,
    ) -> list[Population]:
        """The siblings with everything in membrane units, biases corrected for their weights.

        ``rounded`` are the projections into the first of them. With a ``lesson`` biases also take
        back what the sources lost.

        Raises
        ------
        QuantizationError
            If a decay is too small, or too near 1, to be told from none.
        """
        unit, worths = self.unit(scale), self.worths(scale)
        lost: FloatArray | None = None
        if self.corrects:
            lost = lost_on_average(self.projections, rounded, unit, self.expected)
            lost = lost if lesson is None else lost + lesson.missing()
        result = []
        for sibling in self.siblings:
            population = sibling.population
            if lost is not None:
                population = corrected(population, sibling.sign * lost, self.timesteps)
            whole = in_units(population, unit, scale.kept, STOCK_MANTISSA if self.stock else 0)
            if population.name in worths and whole.unit is not None:
                whole = replace(whole, unit=whole.unit * worths[population.name])
            result.append(whole)
        return result

    @property
    def corrects(self) -> bool:
        """Whether biases take back what rounding changes."""
        # Correcting some branches and not others would be worse than none.
        return bool(self.projections) and all(q.pre in self.expected for q in self.projections)

    def integer_projections(
        self, scale: MembraneScale, lesson: Lesson | None = None
    ) -> list[IntegerProjection]:
        """The projections into the first sibling, with weights of the declared width.

        With a ``lesson`` each takes back what those rounded before it left.

        Raises
        ------
        QuantizationError
            If an exponent is too large.
        """
        unit = self.unit(scale)
        result: dict[int, IntegerProjection] = {}
        # What has most inputs can take back most.
        order = sorted(
            range(len(self.projections)),
            key=lambda i: float(self.projections[i].connectivity.fan_in().mean()),
        )
        for i in order if lesson is not None else range(len(self.projections)):
            projection, exponent = self.projections[i], self.grid.exponents[i]
            shift = np.maximum(exponent + scale.fraction - scale.loss, scale.kept)
            if int(shift.max()) > MAX_EXPONENT:
                raise QuantizationError(
                    f"{projection.label}: exponent {int(shift.max())} against {MAX_EXPONENT}: the "
                    "branches into this population differ too much in scale; use fewer fraction "
                    "bits"
                )
            step = unit * np.exp2(shift)
            if lesson is not None:
                projection = lesson.taught(projection, result, unit)
            weight = self._whole(projection, step)
            common = shift[0] if (shift == shift[0]).all() else shift
            result[i] = IntegerProjection(
                projection.pre,
                projection.post,
                projection.connectivity.with_weight(weight),
                projection.delay,
                np.asarray(common),
                self.bits,
            )
        return [result[i] for i in range(len(self.projections))]

    def _whole(self, projection: RealProjection, step: FloatArray) -> IntArray:
        connectivity, symmetric = projection.connectivity, mirrored(self.siblings)
        if self.copies:
            return round_to_levels(connectivity, step, self.copies, self.bits)
        if self.compensates(projection):
            return compensated_weights(
                connectivity,
                step,
                self.bits,
                self.heard,
                projection.pre,
                self.corrects,
                symmetric,
            )
        return round_weights(connectivity, step, self.bits, symmetric)

    def compensates(self, projection: RealProjection) -> bool:
        """Whether a projection is rounded against data: where all of the layer's input is known."""
        known = all(q.pre in self.heard.emissions for q in self.projections) and not self.copies
        return known and has_rows(projection.connectivity)
