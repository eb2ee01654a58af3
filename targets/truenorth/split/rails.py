"""Unit of a partial sum's spike, such that one spike per tick carries most of it.

Two rails follow the sum of a chunk of the inputs: one adds up what it brings in a step, S, the
other -S. A rail emits a spike whenever it holds a *unit* U, at most one per step. Three things part
what rails emit from what they received: a rest below U is rounded; what exceeds U in a step arrives
later, or after the run; and where the sum turns, a rail first climbs out of what it has fallen. The
first two depend on U. With mean m and variance s^2 of S, and S of one sample taken to last for its
T steps, the expected square of the error at the end of a run is about::

    E(U) = min(U^2 / 12, T s^2 psi(-m sqrt(T) / s)) + T^2 s^2 psi((U - m) / s)
    psi(z) = E[max(x - z, 0)^2], x normal = (1 + z^2) Q(z) - z phi(z)

where the second term of the minimum is the square of a sum that rises above 0 at all. Inputs of
known rates p are taken as independent: ``m = sum w p`` and ``s^2 = sum w^2 p (1 - p)``. Of each
channel and sign, the unit with the smallest sum of E over positions and chunks is taken. Where a
rate is not known, the unit is the proved maximum of S: nothing ever arrives late, but the rounding
is coarse.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from neurodeploy.ir.arrays import AnyArray, FloatArray, IntArray
from neurodeploy.ir.netlist import IntegerNetlist, Population
from neurodeploy.targets.truenorth.layers import Layer
from neurodeploy.targets.truenorth.split.cutting import largest_sums, rails_of, sums_by_chunk

CANDIDATES = 96
"""Units that are compared for a channel."""

_Z = np.linspace(-8.0, 8.0, 4097)
_TAIL = np.array([0.5 * math.erfc(z / math.sqrt(2)) for z in _Z])
_PSI = (1 + _Z**2) * _TAIL - _Z * np.exp(-(_Z**2) / 2) / math.sqrt(2 * math.pi)


def input_rates(netlist: IntegerNetlist, layer: Layer) -> FloatArray | None:
    """Spikes per step to be expected of every input: float64 ``[K]``; None if any is not known."""
    found: FloatArray = np.zeros(layer.key_source.size)
    for s, source in enumerate(layer.sources):
        rates = population_rates(netlist.by_name[source.pre], netlist.timesteps)
        if rates is None:
            return None
        mine = np.flatnonzero(layer.key_source == s)
        found[mine] = rates[layer.key_neuron[mine]]
    return found


def population_rates(population: Population, timesteps: int) -> FloatArray | None:
    """Spikes per step of every neuron, from its calibration mean: float64 ``[n]``."""
    emitted = population.expected_emissions(timesteps)
    if emitted is None:
        return None
    return np.clip(np.abs(emitted).reshape(-1) / timesteps, 0.0, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Ranges of the partial sums of a cut, by chunk and neuron.

    Parameters
    ----------
    bound : int64 ``[chunks, n, 2]``
        Proved maximum of a sum, and of it negated; 0: there is no such rail.
    mean, variance : float64 ``[chunks, n]``, or None
        Of one step; None where a rate is not known.
    """

    bound: IntArray
    mean: FloatArray | None
    variance: FloatArray | None

    @property
    def n_chunks(self) -> int:
        """Chunks."""
        return int(self.bound.shape[0])

    def rails(self) -> IntArray:
        """Rails of every neuron: int64 ``[n]``."""
        return rails_of(self.bound)


def sums_of(layer: Layer, chunk: IntArray, rates: FloatArray | None) -> Sums:
    """The sums of a cut, ``chunk`` and ``rates`` per input."""
    bound = largest_sums(layer, chunk)
    if rates is None:
        return Sums(bound, None, None)
    w, p = layer.weight, rates[layer.key]
    mean = sums_by_chunk(layer, chunk, w * p)
    return Sums(bound, mean, sums_by_chunk(layer, chunk, w * w * (p * (1 - p))))


def expected_error(unit: AnyArray, sums: Sums, sign: int, timesteps: int) -> FloatArray:
    """E(U) of the rails of one sign: float64 ``[chunks, n]``; without rates, rounding alone.

    Parameters
    ----------
    unit : array, broadcastable to ``[chunks, n]``
    sums : Sums
    sign : {0, 1}
        Positive or negative rails.
    timesteps : int
    """
    bound = sums.bound[..., sign]
    rounding = np.asarray(unit, dtype=np.float64) ** 2 / 12
    if sums.mean is None or sums.variance is None:
        return np.where(bound > 0, rounding, 0.0)
    variance = np.maximum(sums.variance, 1e-12)
    m, s = (-sums.mean if sign else sums.mean), np.sqrt(variance)
    rises = timesteps * variance * _psi(-m / s * math.sqrt(timesteps))
    late = timesteps**2 * variance * _psi((unit - m) / s)
    # What the proved maximum does not exceed never arrives late.
    late = np.where(unit >= bound, 0.0, late)
    return np.where(bound > 0, np.minimum(rounding, rises) + late, 0.0)


def _psi(z: FloatArray) -> FloatArray:
    """E[max(x - z, 0)^2] of a normal x, from a table between -8 and 8."""
    return np.where(z < _Z[0], 1 + z * z, np.interp(z, _Z, _PSI, right=0.0))


def choose_units(layer: Layer, sums: Sums, channels: int, most: int, timesteps: int) -> IntArray:
    """The unit of every channel and sign: int64 ``[channels, 2]``, 0 where there is no rail.

    Parameters
    ----------
    layer : Layer
    sums : Sums
    channels : int
        Of the population; its neurons are in C-order.
    most : int
        Largest weight of an axon. A larger unit takes several axons and is made a multiple of
        their number.
    timesteps : int
    """
    per = layer.n_neurons // channels
    largest: IntArray = sums.bound.max(axis=0).reshape(channels, per, 2).max(axis=1)
    found = largest.copy()
    if sums.mean is not None:
        factor: IntArray = np.zeros(channels, dtype=np.int64)
        np.gcd.at(factor, layer.post // per, layer.weight)
        # Sums are multiples of the common factor of a channel's weights.
        factor = np.maximum(factor, 1)
        for sign in (0, 1):
            options = _candidates(largest[:, sign] // factor) * factor[:, None]
            errors = [
                expected_error(np.repeat(units, per), sums, sign, timesteps)
                .sum(axis=0)
                .reshape(channels, per)
                .sum(axis=1)
                for units in options.T
            ]
            best = np.argmin(errors, axis=0)
            found[:, sign] = np.where(largest[:, sign], options[np.arange(channels), best], 0)
    copies = axons_per_rail(found, most)
    return -(-found // copies) * copies


def axons_per_rail(unit: IntArray, most: int) -> IntArray:
    """Axons that a rail's spike takes at its destination, at least 1."""
    return np.maximum(-(-unit // most), 1).astype(np.int64)


def _candidates(largest: IntArray) -> IntArray:
    """Whole numbers from 1 to the largest of each channel: int64 ``[channels, CANDIDATES]``."""
    top = np.maximum(largest, 1)[:, None]
    if top.max() <= CANDIDATES:
        few: IntArray = np.minimum(np.arange(1, int(top.max()) + 1, dtype=np.int64), top)
        return few
    growth = np.linspace(0.0, 1.0, CANDIDATES)
    many: IntArray = np.rint(np.power(top.astype(np.float64), growth)).astype(np.int64)
    return many
