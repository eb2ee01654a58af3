"""Ranges from data: the largest value that each channel of a population can code.

References
----------
Rueckauer et al. 2017, doi 10.3389/fnins.2017.00682, section 2.2.2: data-based normalization by the
99.9th percentile of the non-zero activations. Kim et al. 2020 (Spiking-YOLO),
doi 10.1609/aaai.v34i07.6787: normalization by channel. Li et al. 2021 (SNN calibration),
arXiv 2106.06984, section 4: thresholds by minimum squared error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from neurodeploy.conversion.lowering.activation_graph import (
    ActivationGraph,
    InputLayer,
    Layer,
    OutputLayer,
    PoolLayer,
    ReluLayer,
)
from neurodeploy.errors import ConversionError, UnknownNameError
from neurodeploy.ir.arrays import AnyArray, FloatArray

SAMPLES_PER_CHANNEL = 16_384
KEPT_BYTES = 2**28
"""Kept samples of all channels together; a network of very many channels keeps fewer of each."""
LEAST_PER_CHANNEL = 1024
BALANCE_BATCHES, BALANCE_PASSES = 16, 20
GRID = 1.0 - 0.01 * np.arange(96)
NEARLY = 2e-4
"""Relative: more than single precision errs in a sum of squares."""


class SilentLayerError(ConversionError):
    """No threshold is right for a layer that calibration never saw active, whatever the method."""


@dataclass(slots=True)
class Activations:
    """Statistics that calibration keeps of one layer.

    ``samples`` is ``[C, n]``: activations at positions drawn at random, evenly over the images;
    ``maximum`` is the largest magnitude seen, per channel. ``reserve`` ``[C]`` are the ranges of a
    layer that was silent altogether, or None: silence is an error then.
    """

    samples: AnyArray
    maximum: FloatArray
    reserve: FloatArray | None = None


@dataclass(slots=True)
class Calibration:
    """Collects activations over the calibration images."""

    graph: ActivationGraph
    n_images: int
    seed: int = 0
    parts: dict[str, list[AnyArray]] = field(default_factory=dict)
    maxima: dict[str, FloatArray] = field(default_factory=dict)
    sums: dict[str, FloatArray] = field(default_factory=dict)
    seen: int = 0
    per_image: int = field(init=False)

    def __post_init__(self) -> None:
        channels = sum(x.shape[0] for x in self.graph.layers if isinstance(x, ReluLayer))
        affordable = max(LEAST_PER_CHANNEL, KEPT_BYTES // (4 * max(channels, 1)))
        self.per_image = max(1, -(-min(SAMPLES_PER_CHANNEL, affordable) // self.n_images))

    def add(self, inputs: dict[str, AnyArray]) -> None:
        """Take in one batch."""
        self.seen += len(next(iter(inputs.values())))
        self.graph.evaluate(inputs, self._visit)

    def _visit(self, layer: Layer, value: FloatArray) -> None:
        if not np.isfinite(value).all():
            raise ConversionError(
                f"{layer.name}: NaN or infinite activations in calibration; check the weights and "
                "the calibration images"
            )
        total = value.sum(axis=0, dtype=np.float64)
        self.sums[layer.name] = self.sums.get(layer.name, 0.0) + total
        if isinstance(layer, InputLayer):
            return
        parts = self.parts.setdefault(layer.name, [])
        if isinstance(layer, OutputLayer):
            parts.append(value.reshape(value.shape[0], -1).astype(np.float64))
            return
        if isinstance(layer, PoolLayer):
            return
        batch, channels = value.shape[:2]
        flat: AnyArray = value.reshape(batch, channels, -1)
        top = np.abs(flat).max(axis=(0, 2)).astype(np.float64)
        self.maxima[layer.name] = np.maximum(self.maxima.get(layer.name, top), top)
        if flat.shape[2] > self.per_image:
            # The same positions for a layer in every run, whatever the batch size.
            generator = np.random.default_rng([self.seed, len(layer.name), flat.shape[2]])
            chosen = generator.choice(flat.shape[2], self.per_image, replace=False)
            flat = np.take(flat, chosen, axis=2)
        # Kept as they were computed, in single precision: half a gigabyte less for a VGG-16.
        parts.append(np.array(flat.transpose(1, 0, 2), dtype=np.float32).reshape(channels, -1))

    def mean(self, name: str) -> FloatArray:
        """Mean of every neuron of a layer: ``[*shape]``."""
        return self.sums[name] / self.seen

    def activations(self, name: str) -> Activations:
        """Statistics of one rectified layer."""
        samples = np.concatenate(self.parts[name], axis=1)
        return Activations(samples, self.maxima[name], self._reserve(name))

    def _reserve(self, name: str) -> FloatArray | None:
        """The range of a part of an activation that calibration did not reach: ``[C]``.

        Its own where it saturates; else as much as the other parts span together, so that it codes
        what lies as far ahead. None: the layer is no part, or the whole activation is silent.
        """
        layers = {x.name: x for x in self.graph.layers if isinstance(x, ReluLayer)}
        layer = layers[name]
        if layer.part_of is None:
            return None
        if layer.maximum is not None:
            return np.full(layer.shape[0], layer.maximum)
        others = [x for x in layers.values() if x.part_of == layer.part_of and x is not layer]
        if not any(self.maxima[x.name].any() for x in others):
            return None
        span = sum(
            (
                self.maxima[x.name] if x.maximum is None else np.full(x.shape[0], x.maximum)
                for x in others
            ),
            np.zeros(layer.shape[0]),
        )
        return np.where(span > 0, span, span.max())

    def outputs(self, name: str) -> FloatArray:
        """Values of an output layer: ``[n_images, classes]``."""
        return np.concatenate(self.parts[name], axis=0)


def by_maximum(activations: Activations, levels: int, percentile: float) -> FloatArray:
    """The largest activation."""
    return activations.maximum


def by_percentile(activations: Activations, levels: int, percentile: float) -> FloatArray:
    """A percentile of the non-zero activations: ``[C]``; with negative ones, the larger side's."""
    return np.array(
        [
            max(_percentile_above_zero(side, percentile) for side in (row, -row))
            # Where the drawn positions were all silent, the maximum is all that is known.
            or top
            for row, top in zip(
                activations.samples.astype(np.float64), activations.maximum, strict=True
            )
        ]
    )


def _percentile_above_zero(values: FloatArray, percentile: float) -> float:
    above = values[values > 0]
    return float(np.percentile(above, percentile)) if above.size else 0.0


def by_squared_error(activations: Activations, levels: int, percentile: float) -> FloatArray:
    """Ranges of minimum squared error with n levels above 0: ``[C]``.

    Minimises ``|clip(floor(x n / range + 1/2), 0, n) range / n - x|^2`` over
    ``range = maximum (1 - 0.01 i)``: what a soft-reset neuron that starts at half a threshold emits
    in n / P steps with payloads of at most P. Signed activations clip at -n too.
    """
    lowest = -levels if (activations.samples < 0).any() else 0
    best = activations.maximum.copy()
    # Channel by channel: what one of them takes stays in the cache over all shares.
    for c, (x, maximum) in enumerate(zip(activations.samples, activations.maximum, strict=True)):
        best[c] = _best_range(x, maximum, lowest, levels)
    return best


def _best_range(x: AnyArray, maximum: float, lowest: int, levels: int) -> float:
    """The range among shares of the maximum, as double precision finds it: the first of equal ones.

    Single precision looks at all of them; what is nearly as good as the best is compared in double
    precision. A range that clips away more than the best one errs needs no look, nor do those
    below it.
    """
    if maximum <= 0:
        return maximum
    # What is zero errs with no range.
    values = x[x != 0].astype(np.float32)
    coded, rest = np.empty_like(values), np.empty_like(values)
    clipped = _clipped(np.abs(values) if lowest else np.maximum(values, 0), maximum * GRID)
    errors = np.full(GRID.size, np.inf)
    least = np.inf
    for i, fraction in enumerate(GRID):
        if clipped[i] > least * (1 + NEARLY):
            break
        step = maximum * fraction / levels
        np.multiply(values, np.float32(1 / step), out=coded)
        np.rint(coded, out=rest)
        np.clip(rest, lowest, levels, out=rest)
        rest -= coded
        errors[i] = float(rest @ rest) * step**2
        least = min(least, errors[i])
    good = maximum * GRID[errors <= least * (1 + NEARLY)]
    if good.size == 1:
        return float(good[0])
    exact = [_squared_error(x, top, lowest, levels) for top in good]
    return float(good[int(np.argmin(exact))])


def _clipped(magnitudes: AnyArray, tops: AnyArray) -> AnyArray:
    """Sum of the squares of what lies above each of falling ranges, in single precision's reach."""
    above = np.sort(magnitudes[magnitudes > tops[-1]])[::-1].astype(np.float64)
    first, second = (np.append(0.0, np.cumsum(above**k)) for k in (1, 2))
    n = np.searchsorted(-above, -tops)
    return np.asarray(np.maximum(second[n] - 2 * tops * first[n] + n * tops**2, 0.0))


def _squared_error(x: AnyArray, top: float, lowest: int, levels: int) -> float:
    step = top / levels
    coded = np.divide(x, step, dtype=np.float64)
    coded += 0.5
    np.floor(coded, out=coded)
    np.clip(coded, lowest, levels, out=coded)
    coded *= step
    coded -= x
    np.square(coded, out=coded)
    return float(coded.mean())


def by_balance(activations: Activations, levels: int, percentile: float) -> FloatArray:
    """Local threshold balancing: ``theta_c <- theta_c + 2 mean(relu(|x| - theta_c))`` by batches.

    References
    ----------
    Bu et al. 2024, "Inference-scale complexity in ANN-SNN conversion", arXiv 2409.03368.
    """
    theta = np.zeros(activations.maximum.shape)
    batches = np.array_split(
        np.abs(activations.samples.astype(np.float64)), BALANCE_BATCHES, axis=1
    )
    for _ in range(BALANCE_PASSES):
        for batch in batches:
            if batch.size:
                theta = theta + 2 * np.maximum(batch - theta[:, None], 0).mean(axis=1)
    # Between two batches a step may lead beyond everything that was ever seen.
    theta = np.minimum(theta, activations.maximum)
    return np.where(theta > 0, theta, activations.maximum)


Rule = Callable[[Activations, int, float], FloatArray]

THRESHOLD_RULES: dict[str, Rule] = {
    "mse": by_squared_error,
    "percentile": by_percentile,
    "max": by_maximum,
    "balance": by_balance,
}


def check_rule(rule: str, scope: str) -> None:
    """Raise UnknownNameError if there is no such rule or scope."""
    if rule not in THRESHOLD_RULES:
        raise UnknownNameError("normalization", rule, THRESHOLD_RULES)
    if scope not in ("channel", "layer"):
        raise UnknownNameError("normalization scope", scope, ("channel", "layer"))


def choose_ranges(
    activations: Activations,
    rule: str,
    scope: str,
    levels: int,
    percentile: float,
    maximum: float | None,
    where: str,
    floor: float = 0.0,
) -> FloatArray:
    """Ranges of one layer in the units of the source network: ``[C]``, all positive.

    Parameters
    ----------
    rule : {"mse", "percentile", "max", "balance"}
    scope : {"channel", "layer"}
    levels : int
        Values above 0 that the code has: time steps times the largest payload.
    maximum : float or None
        Upper clip of the activation (ReLU6): a range above it would not clip.
    where : str
        The layer, for messages.
    floor : float
        Least range, as a share of the layer's largest.

    Raises
    ------
    SilentLayerError
        If the layer is silent on all calibration images, and no part of an activation that is not.
    """
    check_rule(rule, scope)
    channels = activations.maximum.size
    if scope == "layer":
        activations = _as_one_channel(activations)
    theta = THRESHOLD_RULES[rule](activations, levels, percentile)
    if (theta > 0).any():
        # A channel that never fired in calibration still needs a threshold: the largest of its
        # layer, so that it cannot flood the next one if it does fire.
        theta = np.where(theta > 0, np.maximum(theta, floor * theta.max()), theta.max())
        theta = theta if maximum is None else np.minimum(theta, maximum)
    elif activations.reserve is not None:
        theta = activations.reserve
    elif maximum is not None:
        # A saturating layer has a range even where calibration never reached it.
        theta = np.full(theta.shape, maximum)
    else:
        raise SilentLayerError(
            f"{where}: every activation is zero on the calibration images; use more or other "
            "images or another checkpoint, or take the layer out of the network if no image "
            "activates it"
        )
    return np.broadcast_to(theta, channels).copy()


def _as_one_channel(activations: Activations) -> Activations:
    """Statistics that calibration keeps of a layer, all its channels together."""
    reserve = activations.reserve
    return Activations(
        activations.samples.reshape(1, -1),
        activations.maximum.max(keepdims=True),
        None if reserve is None else reserve.max(keepdims=True),
    )
