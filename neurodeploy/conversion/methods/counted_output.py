"""Outputs that are read by their spikes: classes by the most of them, maps by all of them.

A map is a quantity, not a class: its neurons are signed, take nothing back on account of what they
emitted, and start at 0, so that T steps of constant input v emit ``trunc(T v / theta)`` in sum, at
most T P in magnitude. The worth theta of each channel is the one of least squared error for that.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from neurodeploy.conversion.lowering.activation_graph import OutputLayer
from neurodeploy.conversion.lowering.affine import compact
from neurodeploy.errors import ConversionError
from neurodeploy.ir.arrays import FloatArray
from neurodeploy.ir.netlist import Output, Population
from neurodeploy.ir.neuron import PayloadCode
from neurodeploy.ir.neurons import RealNeuron

# Head room of a counted output above the largest calibration value, and of the winner above zero.
COUNT_MARGIN = 0.05
# Shares of the largest magnitude that are tried as the range of a map.
RANGES = np.linspace(0.1, 1.0, 46)
VALUES_PER_CHANNEL = 16_384


class Payload(Protocol):
    """Payload of one spike of an output."""

    @property
    def payload_max(self) -> int:
        """Largest magnitude."""

    @property
    def payload_code(self) -> PayloadCode:
        """Allowed magnitudes."""


def counted_classes(
    layer: OutputLayer, values: FloatArray, initial_membrane: float
) -> tuple[Population, Output]:
    """Binary spikes of one worth for all classes, of which the winner emits some.

    Parameters
    ----------
    layer : OutputLayer
    values : array ``[n_images, classes]``
        On the calibration data.
    initial_membrane : float
        In thresholds.

    Raises
    ------
    ConversionError
        If all images have the same answer.
    """
    winners = values.max(axis=1)
    span = max(float(winners.max() - winners.min()), float(np.ptp(values)) * COUNT_MARGIN)
    if span <= 0:
        raise ConversionError(
            f"{layer.name}: the output is the same for all calibration images and counts cannot "
            "code it; use more or other images, or --decode membrane"
        )
    # A constant on all classes moves no argmax; it lifts the smallest winner above zero.
    offset = max(0.0, COUNT_MARGIN * span - float(winners.min()))
    theta = np.array((float(winners.max()) + offset) * (1 + COUNT_MARGIN))
    neuron = RealNeuron(
        threshold=theta,
        bias=compact(layer.affine.bias + offset),
        initial_membrane=theta * initial_membrane,
    )
    population = Population(layer.name, layer.shape, neuron, theta, layer.source)
    return population, Output(layer.name, "counts", offset)


def counted_maps(
    layer: OutputLayer, values: FloatArray, payload: Payload, timesteps: int
) -> tuple[Population, Output]:
    """Signed spikes with a worth per channel.

    Parameters
    ----------
    layer : OutputLayer
    values : array ``[n_images, n]``
        On the calibration data.
    payload : Payload
    timesteps : int
        T.

    Raises
    ------
    ConversionError
        If every value is zero.
    """
    by_channel = values.reshape(len(values), layer.shape[0], -1).swapaxes(0, 1)
    if not by_channel.any():
        raise ConversionError(
            f"{layer.name}: every output is zero on the calibration images; use more or other "
            "images, or --decode membrane"
        )
    levels = timesteps * payload.payload_max
    ranges = map_ranges(by_channel.reshape(layer.shape[0], -1), levels)
    theta = ranges / payload.payload_max
    neuron = RealNeuron(
        threshold=theta,
        bias=compact(layer.affine.bias),
        initial_membrane=np.zeros(()),
        negative_threshold=theta,
        payload_max=payload.payload_max,
        payload_code=payload.payload_code,
    )
    population = Population(layer.name, layer.shape, neuron, theta, layer.source)
    return population, Output(layer.name, "counts")


def map_ranges(values: FloatArray, levels: int) -> FloatArray:
    """Ranges of least squared error: ``[C]``, all positive.

    Minimises ``|clip(trunc(v / q), -n, n) q - v|^2`` with ``q = range / n`` over shares of the
    largest magnitude.

    Parameters
    ----------
    values : array ``[C, m]``
        Not all of them zero.
    levels : int
        n: values on each side of zero.
    """
    largest = np.abs(values).max(axis=1)
    # A channel that calibration never saw still needs a range: the largest of the map.
    largest = np.where(largest > 0, largest, largest.max())
    if values.shape[1] > VALUES_PER_CHANNEL:
        chosen = np.random.default_rng(0).choice(
            values.shape[1], VALUES_PER_CHANNEL, replace=False, shuffle=False
        )
        values = values[:, chosen]
    best, least = largest, np.full(largest.shape, np.inf)
    for share in RANGES:
        step = (largest * share / levels)[:, None]
        coded = np.clip(np.trunc(values / step), -levels, levels) * step
        error = np.square(coded - values).mean(axis=1)
        # Of equal ones the widest, which clips least of what calibration missed.
        better = error <= least
        best, least = np.where(better, largest * share, best), np.where(better, error, least)
    return np.asarray(best)
