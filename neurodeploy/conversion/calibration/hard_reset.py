"""Thresholds, biases and spike worths of neurons that start at 0 and are reset to 0.

Such a neuron codes no multiple of its activation: every spike loses what exceeds the threshold, and
the first one comes a whole threshold late. On the spikes that really arrive, each channel tries
multiples of its largest activation as threshold, each with the bias of a fraction of a threshold a
run in place of an initial membrane. With c its count over T steps and x the activation, the line of
least squares ``x ~ unit c / T + rest`` says what a spike is worth; the version of the least rest
error wins. What the lines leave on average reaches the next populations as a constant input, which
their biases take back::

    b_c  <- b_c + mean over positions of (W . (x T / unit - s)) / T

with s what the sources emitted. Integrators take that, too.

Spikes of one worth, added and taken off, are the exception: with a threshold of half a spike such a
neuron stands at a whole spike when it fires, and the reset to 0 loses nothing. Differences of that
kind, and the sums of their spikes, are worth what they hear, to the digit, which keeps a tree of
``max(a, b) = b + relu(a - b)`` in that one worth.

References
----------
Li et al. 2021, "A free lunch from ANN" (SNN calibration), arXiv 2106.06984, section 4.1, for soft
reset: there a count is unbiased, and thresholds near the largest activation are best.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np

from neurodeploy.conversion.calibration.bias_correction import BiasCorrection
from neurodeploy.conversion.calibration.refinement import Trial, by_channel
from neurodeploy.conversion.calibration.threshold_search import scaled
from neurodeploy.conversion.lowering.activation_graph import evaluate_term
from neurodeploy.conversion.lowering.affine import Term
from neurodeploy.conversion.lowering.pooling import picks_spikes
from neurodeploy.ir.arrays import AnyArray, FloatArray
from neurodeploy.ir.connectivity import Sparse, SumPool
from neurodeploy.ir.netlist import Population, RealProjection
from neurodeploy.ir.neurons import RealNeuron

SHARES = (0.7, 1.0, 1.4, 2.0, 2.8, 4.0)
"""Thresholds that are tried, in largest activations."""

STARTS = (0.0, 0.35, 0.7)
"""Biases that are tried, in thresholds a run: an initial membrane, for want of one."""

POOL_SHARES = (1.0, 3.0, 5.0)
"""Thresholds tried for a maximum, in spikes: one, two or three make it fire."""


KEPT = 0.8
"""Share of its error below which another version takes the place of one that loses nothing: what
hears both it and its sources needs them in one worth."""

SAMPLES_AT_ONCE = 16
MOST_SAMPLES = 96


@dataclass(frozen=True, slots=True)
class HardResetFit:
    """The threshold, bias and spike worth of each channel that code its activation best."""

    shares: tuple[float, ...] = SHARES
    starts: tuple[float, ...] = STARTS

    def __call__(self, trial: Trial) -> Trial:
        """The trial of the fitted populations; of integrators, with corrected biases."""
        if not all(isinstance(p.model, RealNeuron) and p.model.fires for p in trial.populations):
            return BiasCorrection(1)(trial)
        return replace(trial, populations=tuple(self._fitted(trial, p) for p in trial.populations))

    def _fitted(self, trial: Trial, population: Population) -> Population:
        incoming = trial.projections[population.name]
        if _is_maximum(incoming):
            missing: FloatArray = np.zeros(population.shape[0])
            tried = [(share, 0.0) for share in POOL_SHARES]
        else:
            missing = _missing(trial, incoming)
            tried = list(itertools.product(self.shares, self.starts))
            # Nearest to 1 first, which ties keep: a silent channel errs alike with every threshold.
            tried.sort(key=lambda pair: (abs(pair[0] - 1.0), pair[1]))
        versions = [
            _version(population, share, missing, start, trial.timesteps) for share, start in tried
        ]
        whole = _one_worth(trial, incoming, population)
        if whole is not None:
            # First, which ties keep: others that fire on every spike are worth their line's slope.
            versions.insert(0, _half_a_spike(population, whole))
        lines = [_Line.empty(population.shape[0]) for _ in versions]
        wanted = trial.activations[population.name][:MOST_SAMPLES]
        for first in range(0, len(wanted), SAMPLES_AT_ONCE):
            part = slice(first, min(first + SAMPLES_AT_ONCE, len(wanted)))
            arriving = _arriving(trial, incoming, population.shape, part)
            lines = [
                line.with_samples(_rates(version, arriving), wanted[part])
                for line, version in zip(lines, versions, strict=True)
            ]
        best = versions[0]
        least: FloatArray = np.full(population.shape[0], np.inf)
        for version, line in zip(versions, lines, strict=True):
            slope, error = line.fit()
            if whole is not None and version is versions[0]:
                slope, error = whole, np.where(whole > 0, KEPT * error, np.inf)
            better = error < least * (1 - 1e-9)
            least = np.where(better, error, least)
            best = _chosen(better, _worth(version, slope), best)
        return best


def _arriving(
    trial: Trial, incoming: tuple[RealProjection, ...], shape: tuple[int, ...], part: slice
) -> FloatArray:
    """Input in each step: ``[T, B, *shape]``."""
    total: FloatArray = np.zeros(())
    for q in incoming:
        source = trial.sources[q.pre]
        raster = source.raster[part].astype(np.float32)
        steps = 1 if source.population.is_current_input else trial.timesteps
        term = Term(q.pre, source.population.shape, q.connectivity, np.ones(()))
        flat = evaluate_term(term, raster.reshape(-1, *source.population.shape))
        heard = flat.reshape(-1, steps, *shape).swapaxes(0, 1)
        total = total + heard
    return np.broadcast_to(total, (trial.timesteps, *total.shape[1:]))


def _rates(population: Population, arriving: FloatArray) -> FloatArray:
    """Spikes a step of a population for what arrives: ``[B, *shape]``."""
    model = population.model
    assert isinstance(model, RealNeuron)
    assert model.threshold is not None
    theta = population.spread(model.threshold).astype(np.float32)
    bias = population.spread(model.bias).astype(np.float32)
    counts = np.zeros(arriving.shape[1:], np.float32)
    v = np.zeros_like(counts)
    for a in arriving:
        v += a
        v += bias
        silent = v < theta
        v *= silent
        counts += ~silent
    return np.asarray(counts / len(arriving))


@dataclass(frozen=True, slots=True)
class _Line:
    """Sums over samples and positions, by channel, from which a line is fitted."""

    n: int
    counts: FloatArray
    wanted: FloatArray
    power: FloatArray
    common: FloatArray
    variance: FloatArray

    @classmethod
    def empty(cls, channels: int) -> _Line:
        return cls(0, *(np.zeros(channels) for _ in range(5)))

    def with_samples(self, counts: AnyArray, wanted: AnyArray) -> _Line:
        """With more counts and what they should code, both ``[B, C, ...]``."""
        x, y = (v.reshape(*v.shape[:2], -1) for v in (counts, wanted))

        def added(total: FloatArray, values: AnyArray) -> FloatArray:
            return np.asarray(total + values.sum(axis=(0, 2), dtype=np.float64))

        return _Line(
            self.n + x.shape[0] * x.shape[2],
            added(self.counts, x),
            added(self.wanted, y),
            added(self.power, np.square(x)),
            added(self.common, x * y),
            added(self.variance, np.square(y)),
        )

    def fit(self) -> tuple[FloatArray, FloatArray]:
        """Slope and mean squared error of the best line, ``[C]``."""
        power = self.power / self.n - np.square(self.counts / self.n)
        common = self.common / self.n - self.counts * self.wanted / self.n**2
        known = (power > 1e-12) & (common > 0)
        slope = np.where(known, common / np.where(known, power, 1.0), 0.0)
        return slope, self.variance / self.n - np.square(self.wanted / self.n) - slope * common


def _is_maximum(incoming: tuple[RealProjection, ...]) -> bool:
    """Whether spikes add up as they are, not as what they are worth."""
    return all(
        isinstance(q.connectivity, SumPool)
        and not q.connectivity.window.is_spaced
        and bool((q.connectivity.weight == 1).all())
        for q in incoming
    )


def _one_worth(
    trial: Trial, incoming: tuple[RealProjection, ...], population: Population
) -> FloatArray | None:
    """What each spike that a channel hears adds or takes, ``[C]``; 0 where they differ.

    None unless all of it picks spikes: a sum over a window is another matter.
    """
    spiking = not any(trial.sources[q.pre].population.is_current_input for q in incoming)
    picked = all(
        isinstance(q.connectivity, Sparse) or picks_spikes(q.connectivity) for q in incoming
    )
    model = population.model
    assert isinstance(model, RealNeuron)
    if not spiking or not picked or model.bias.any():
        return None
    channels = population.shape[0]
    most, fewest = np.zeros(channels), np.full(channels, np.inf)
    for q in incoming:
        post, _, weight = q.connectivity.to_coo()
        post, weight = post[weight != 0], weight[weight != 0]
        channel = post // (population.size // channels)
        np.maximum.at(most, channel, np.abs(weight))
        np.minimum.at(fewest, channel, np.abs(weight))
    return np.where(most - fewest <= 1e-9 * most, most, 0.0)


def _half_a_spike(population: Population, worth: FloatArray) -> Population:
    """The population with a threshold of half a spike, where what it hears has one worth."""
    model = population.model
    assert isinstance(model, RealNeuron)
    assert model.threshold is not None
    threshold = np.where(worth > 0, worth / 2, model.threshold)
    return replace(population, model=replace(model, threshold=threshold))


def _missing(trial: Trial, incoming: tuple[RealProjection, ...]) -> FloatArray:
    """Mean input that a step lacks, by channel: ``[C]``."""
    total: FloatArray = np.zeros(())
    for projection in incoming:
        source = trial.sources[projection.pre]
        if source.population.is_current_input:
            continue
        error = (source.exact(trial.timesteps) - source.emitted).mean(axis=0) / trial.timesteps
        total = total + projection.connectivity.apply(error[None])
    return by_channel(total) if total.ndim else np.zeros(1)


def _version(
    population: Population, share: float, missing: FloatArray, start: float, timesteps: int
) -> Population:
    """The population with another threshold, and a bias for what is missing and for a start."""
    version = scaled(population, np.full(population.shape[0], share))
    model = version.model
    assert isinstance(model, RealNeuron)
    assert model.threshold is not None
    shift = np.broadcast_to(
        missing + start * model.threshold / timesteps, (population.shape[0],)
    ).astype(np.float64)
    if model.bias.ndim > 1:
        shift = shift.reshape(-1, *(1,) * (len(population.shape) - 1))
    return replace(version, model=replace(model, bias=np.asarray(model.bias + shift)))


def _worth(population: Population, slope: FloatArray) -> Population:
    """The population whose spikes are worth the slope; a silent channel keeps its worth."""
    assert population.unit is not None
    before = np.broadcast_to(population.unit, slope.shape)
    return replace(population, unit=np.where(slope > 0, slope, before))


def _chosen(better: AnyArray, new: Population, old: Population) -> Population:
    """The channels of ``new`` where it is better, those of ``old`` elsewhere."""
    a, b = new.model, old.model
    assert isinstance(a, RealNeuron)
    assert isinstance(b, RealNeuron)
    shape = new.shape

    def mixed(x: FloatArray, y: FloatArray) -> FloatArray:
        x, y = (np.broadcast_to(v, shape[:1]) if v.ndim <= 1 else v for v in (x, y))
        where = better if x.ndim == 1 else better.reshape(-1, *(1,) * (len(shape) - 1))
        return np.where(where, x, y)

    assert a.threshold is not None
    assert b.threshold is not None
    assert new.unit is not None
    assert old.unit is not None
    model = replace(b, threshold=mixed(a.threshold, b.threshold), bias=mixed(a.bias, b.bias))
    return replace(old, model=model, unit=mixed(new.unit, old.unit))
