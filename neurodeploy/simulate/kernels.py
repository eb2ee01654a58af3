"""State updates of populations, in place, for a batch of samples.

The same update serves a population that runs all its steps in a row and one inside a cycle. On
integer netlists the numbers are integers in floating-point tensors whose format
:mod:`neurodeploy.simulate.precision` proves wide enough, so that every operation here is exact:

- sums, differences and comparisons of integers below 2^p;
- ``x * ((4096 - d) / 4096)`` in float64 for x of magnitude below 2^41: the factor has 12 bits,
  the product at most 53; truncation then is ``trunc0``;
- ``floor(fl(v / theta))`` for 0 <= v < 2^p: were the quotient rounded up to an integer k, then
  k - v / theta >= 1 / theta > k 2^-p >= half the spacing of floats below k.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch

from neurodeploy.ir.fixed_point import DECAY_ONE
from neurodeploy.ir.netlist import Population
from neurodeploy.ir.neurons import Input, IntegerNeuron, MaxPool, RealNeuron
from neurodeploy.simulate.layout import vector
from neurodeploy.simulate.products import padded_image, reduce_windows, window_cells


@dataclass(slots=True)
class Drive:
    """Input of a population over its window: the sum of both parts.

    ``constant`` is ``[B, n]``, the same in every step; ``varying`` is ``[T, B, n]`` and belongs
    to the kernel, which may overwrite it.
    """

    constant: torch.Tensor | None = None
    varying: torch.Tensor | None = None


class Kernel(ABC):
    """One population over one batch; ``v`` is ``[B, n]``."""

    v: torch.Tensor
    active: torch.Tensor | None = None
    """Steps so far in which a neuron had a state, an input or a bias; None: not counted."""

    @abstractmethod
    def begin(self, batch: int) -> None:
        """Open the window of a batch: u = 0, v = v0, nothing accumulated."""

    @abstractmethod
    def step(self, a: torch.Tensor, spikes: torch.Tensor) -> None:
        """One step with input ``a``; write what is emitted to ``spikes``, which may be ``a``."""

    def run(
        self, drive: Drive, raster: torch.Tensor | None, trace: torch.Tensor | None, steps: int
    ) -> None:
        """All steps of a window. ``raster`` may be ``drive.varying``."""
        for t in range(steps):
            a = combined(drive, t)
            self.step(a, self.v if raster is None else raster[t])
            if trace is not None:
                trace[t].copy_(self.v)


def combined(drive: Drive, t: int) -> torch.Tensor:
    """The input of step t."""
    if drive.varying is None:
        assert drive.constant is not None
        return drive.constant
    if drive.constant is not None:
        drive.varying[t].add_(drive.constant)
    return drive.varying[t]


class NeuronKernel(Kernel):
    """Integrate-and-fire neurons, integer or real-valued."""

    def __init__(
        self, population: Population, state: torch.dtype, raster: torch.dtype, adds_bias: bool
    ) -> None:
        model = population.model
        assert isinstance(model, IntegerNeuron | RealNeuron)
        self.model = model
        self.integer = isinstance(model, IntegerNeuron)
        self.n = population.size
        self.state, self.raster = state, raster

        def spread(values: object) -> torch.Tensor:
            return vector(population.spread(values), population.shape, state)  # type: ignore[arg-type]

        self.v0 = spread(model.initial_membrane)
        self.has_bias = bool((model.bias != 0).any())
        self.bias = spread(model.bias) if adds_bias and self.has_bias else None
        self.biased = vector(population.spread(model.bias) != 0, population.shape, torch.bool)
        self.theta = None if model.threshold is None else spread(model.threshold)
        negative = model.negative_threshold
        self.theta_neg = None if negative is None else spread(negative)
        one = DECAY_ONE if isinstance(model, IntegerNeuron) else 1
        self.keep_u = 1.0 - model.current_decay / one
        self.keep_v = 1.0 - model.membrane_decay / one
        self.u: torch.Tensor | None = None

    def begin(self, batch: int) -> None:
        """Open the window of a batch."""
        self.v = self.v0.expand(batch, self.n).clone()
        self.u = torch.zeros_like(self.v) if self.keep_u > 0.0 else None
        self.t = 0
        self.aside = torch.empty_like(self.v)
        self.emitted = torch.zeros_like(self.v) if self.model.memory else None
        self.fired = torch.empty_like(self.v) if self.state != self.raster else None
        if self.active is not None:
            self.active = torch.zeros(self.v.shape, dtype=torch.int32)

    def step(self, a: torch.Tensor, spikes: torch.Tensor) -> None:
        """One step; see the module's equations."""
        g, h = self.model.gains(self.t)
        self.t += 1
        if self.active is not None:
            self._count_active(a, g)
        v = self.v
        if self.u is not None:
            a = self._decay(self.u, self.keep_u).add_(a)
        if self.keep_v < 1.0:
            self._decay(v, self.keep_v)
        v.add_(a, alpha=g)
        if self.bias is not None:
            v.add_(self.bias, alpha=g)
        if self.theta is None:
            return
        if h == 0:
            spikes.zero_()
        elif h == 1:
            self._fire(spikes, self.theta, self.theta_neg, 1)
        else:
            theta_neg = None if self.theta_neg is None else self.theta_neg * h
            self._fire(spikes, self.theta * h, theta_neg, h)

    def _decay(self, x: torch.Tensor, keep: float) -> torch.Tensor:
        if keep == 1.0:
            return x
        x.mul_(keep)
        return x.trunc_() if self.integer else x

    def _count_active(self, a: torch.Tensor, gain: int) -> None:
        assert self.active is not None
        busy = (self.v != 0).logical_or_(self.biased)
        if gain:
            busy.logical_or_(a != 0)
        if self.u is not None:
            busy.logical_or_(self.u != 0)
        self.active.add_(busy)

    def _fire(
        self, spikes: torch.Tensor, theta: torch.Tensor, theta_neg: torch.Tensor | None, gain: int
    ) -> None:
        """Emit and reset, at thresholds that hold the gain of the step already."""
        v = self.v
        s = spikes if self.fired is None else self.fired
        self._crossings(v, theta, s)
        if theta_neg is None:
            if self.model.reset == "subtract":
                v.addcmul_(s, theta, value=-1)
        elif self.emitted is not None:
            owned = self.emitted if gain == 1 else torch.div(self.emitted, gain).floor_()
            self._take_back(v, theta, theta_neg, owned)
            s.sub_(self.aside)
            self.emitted.add_(s, alpha=gain)
            v.addcmul_(s, theta, value=-1)
        else:
            torch.neg(v, out=self.aside)
            self._crossings(self.aside, theta_neg, self.aside)
            if self.model.reset == "subtract":
                v.addcmul_(s, theta, value=-1).addcmul_(self.aside, theta_neg)
            s.sub_(self.aside)
        if self.model.reset == "zero":
            v.mul_(torch.eq(s, 0, out=self.aside))
        if s is not spikes:
            spikes.copy_(s)

    def _crossings(self, v: torch.Tensor, theta: torch.Tensor, out: torch.Tensor) -> None:
        """``min(floor(v / theta), payload_max)`` where v >= theta, else 0."""
        if self.model.payload_max == 1:
            torch.ge(v, theta, out=out)
            return
        if self.integer:
            torch.div(v, theta, out=out).floor_()
        else:
            torch.div(v, theta, rounding_mode="floor", out=out)
        out.clamp_(0, self.model.payload_max)
        self._coded(out)

    def _take_back(
        self, v: torch.Tensor, theta: torch.Tensor, theta_neg: torch.Tensor, emitted: torch.Tensor
    ) -> None:
        """``min(-floor(v / theta), payload_max, m)`` where v <= -theta_neg, else 0: to ``aside``.

        Below 0 the quotient of integers is exact as above it: were it rounded up to an integer
        -k, then v / theta + k >= -1 / theta, which is more than half the spacing of floats at k.
        """
        back = self.aside
        rounding = None if self.integer else "floor"
        torch.div(v, theta, rounding_mode=rounding, out=back)
        back.floor_().neg_().clamp_(max=self.model.payload_max)
        torch.minimum(back, emitted, out=back)
        back.mul_(v <= -theta_neg)
        self._coded(back)
        if self.model.payload_code == "power_of_two":
            back.copy_(torch.where(back > emitted, back / 2, back))

    def _coded(self, k: torch.Tensor) -> None:
        """Magnitudes >= 0 as the nearest that a spike can carry, in place."""
        if self.model.payload_code == "power_of_two":
            # frexp is exact: k = mantissa * 2^exponent with the mantissa in [1/2, 1).
            mantissa, exponent = torch.frexp(k)
            power = torch.ldexp(torch.ones_like(k), exponent - (mantissa < 0.75).int())
            k.copy_(torch.where(k >= 1, power, 0))


class MaxPoolKernel(Kernel):
    """Change of the maximum of the accumulated input; ``v`` is that maximum."""

    def __init__(self, population: Population, state: torch.dtype, raster: torch.dtype) -> None:
        assert isinstance(population.model, MaxPool)
        self.model = population.model
        self.n = population.size
        self.n_in = self.model.channels
        for size in self.model.window.input_size:
            self.n_in *= size
        self.state, self.raster = state, raster

    def begin(self, batch: int) -> None:
        """Open the window of a batch."""
        self.v = torch.zeros(batch, self.n, dtype=self.state)
        self.accumulated = torch.zeros(batch, self.n_in, dtype=self.state)
        if self.active is not None:
            self.active = torch.zeros(self.v.shape, dtype=torch.int32)

    def step(self, a: torch.Tensor, spikes: torch.Tensor) -> None:
        """One step: accumulate, pool, emit the change."""
        self.accumulated.add_(a)
        before, maximum = self.v, self._maximum(self.accumulated)
        if self.model.rule == "winner":
            spikes.copy_(self._winner(self.accumulated, a))
        else:
            spikes.copy_(maximum - before)
        self._count_active(before, maximum)
        self.v = maximum

    def _winner(self, accumulated: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
        """Present input of the cell with the most accumulated, the first of equal ones."""
        layers = [
            window_cells(
                padded_image(x, self.model.window, self.model.channels, fill), self.model.window
            )
            for x, fill in ((accumulated, self._fill), (a, 0.0))
        ]
        most, present = layers[0][0], layers[1][0]
        for total, now in zip(layers[0][1:], layers[1][1:], strict=True):
            present = torch.where(total > most, now, present)
            most = torch.maximum(most, total)
        return present.reshape(-1, self.n)

    @property
    def _fill(self) -> float:
        # Zeros never exceed an unsigned maximum; nothing that is accumulated is below -infinity.
        return -math.inf if self.model.signed else 0.0

    def _maximum(self, accumulated: torch.Tensor) -> torch.Tensor:
        image = padded_image(accumulated, self.model.window, self.model.channels, self._fill)
        pooled = reduce_windows(image, self.model.window, torch.maximum)
        # A window of one cell is a view of what it pools.
        pooled = pooled.clone() if self.model.window.n_taps == 1 else pooled
        return pooled.reshape(-1, self.n)

    def run(
        self, drive: Drive, raster: torch.Tensor | None, trace: torch.Tensor | None, steps: int
    ) -> None:
        """All steps at once: accumulate over time, then pool, then take differences."""
        if self.model.rule == "winner":
            # Whose input is passed on depends on the input of the step itself.
            Kernel.run(self, drive, raster, trace, steps)
            return
        a = drive.varying
        if a is None:
            assert drive.constant is not None
            a = drive.constant.expand(steps, *drive.constant.shape).clone()
        elif drive.constant is not None:
            a.add_(drive.constant)
        for t in range(1, steps):
            a[t].add_(a[t - 1])
        maximum = self._maximum(a.view(-1, self.n_in)).view(steps, -1, self.n)
        assert raster is not None
        raster[0].copy_(maximum[0])
        torch.sub(maximum[1:], maximum[:-1], out=raster[1:])
        if trace is not None:
            trace.copy_(maximum)
        self.v = maximum[-1]
        before = torch.zeros_like(maximum[0])
        for after in maximum:
            self._count_active(before, after)
            before = after

    def _count_active(self, before: torch.Tensor, after: torch.Tensor) -> None:
        if self.active is not None:
            self.active.add_((before != 0).logical_or_(after != 0))


def build_kernel(
    population: Population, state: torch.dtype, raster: torch.dtype, adds_bias: bool
) -> Kernel:
    """The kernel of a population's model."""
    if isinstance(population.model, MaxPool):
        return MaxPoolKernel(population, state, raster)
    assert not isinstance(population.model, Input)
    return NeuronKernel(population, state, raster, adds_bias)
