"""State updates of populations, in place, for a batch of samples.

The same update serves a population that runs all its steps in a row and one inside a cycle. On
integer netlists all numbers are integers, in types that
:mod:`neurodeploy.execution.pytorch.precision` proves wide enough.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from neurodeploy.execution.pytorch.layout import vector
from neurodeploy.ir.fixed_point import DECAY_ONE
from neurodeploy.ir.netlist import Population
from neurodeploy.ir.neurons import IntegerNeuron, RealNeuron


@dataclass(slots=True)
class Drive:
    """Input of a population over some steps of its window: the sum of both parts.

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
        """The next steps of a window, as many as ``drive`` has; ``raster`` may be its memory."""
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
        self,
        population: Population,
        state: torch.dtype,
        raster: torch.dtype,
        adds_bias: bool,
        decay: torch.dtype,
    ) -> None:
        # ``decay`` holds a state times 4096.
        model = population.model
        assert isinstance(model, IntegerNeuron | RealNeuron)
        self.model = model
        self.decay_type = decay
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
        self.one = DECAY_ONE if isinstance(model, IntegerNeuron) else 1
        self.keep_u = self._kept(population, model.current_decay)
        self.keep_v = self._kept(population, model.membrane_decay)
        self.u: torch.Tensor | None = None

    def _kept(self, population: Population, decay: object) -> float | torch.Tensor:
        """Share of a state that a step keeps: a number, or one for each neuron."""
        keep = self.one - np.asarray(decay)
        if keep.ndim == 0:
            return float(keep)
        number = self.decay_type if self.integer else self.state
        return vector(population.spread(keep), population.shape, number)

    def begin(self, batch: int) -> None:
        """Open the window of a batch."""
        self.v = self.v0.expand(batch, self.n).clone()
        self.u = torch.zeros_like(self.v) if self.model.has_current_memory else None
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
        self._decay(v, self.keep_v)
        v.add_(a, alpha=g)
        if self.bias is not None:
            v.add_(self.bias, alpha=g)
        if self.theta is None:
            return
        if h == 0:
            spikes.zero_()
            return
        theta, theta_neg = self.theta, self.theta_neg
        if h != 1:
            theta = theta * h
            theta_neg = None if theta_neg is None else theta_neg * h
        share = self.model.comparison[self.t - 1] if self.model.comparison else DECAY_ONE
        if share == DECAY_ONE:
            self._fire(spikes, theta, theta_neg, h)
        else:
            self._fire_compared(spikes, theta, theta_neg, h, share)

    def _fire_compared(
        self,
        spikes: torch.Tensor,
        theta: torch.Tensor,
        theta_neg: torch.Tensor | None,
        gain: int,
        share: int,
    ) -> None:
        """Emit one spike at a share of the threshold, in 1/4096, and take off all of it."""
        v = self.v
        s = (v >= self._level(theta, share)).to(v.dtype)
        charge = s * theta
        if theta_neg is not None:
            back = (v <= -self._level(theta_neg, share)).to(v.dtype)
            if self.emitted is not None:
                back.mul_(self.emitted >= gain)
            charge.sub_(back * (theta if self.emitted is not None else theta_neg))
            s.sub_(back)
        if self.emitted is not None:
            self.emitted.add_(s, alpha=gain)
        v.sub_(charge)
        spikes.copy_(s)

    def _level(self, theta: torch.Tensor, share: int) -> torch.Tensor:
        if not self.integer:
            return theta * (share / DECAY_ONE)
        return ((theta.to(torch.int64) * share + (DECAY_ONE - 1)) >> 12).to(theta.dtype)

    def _decay(self, x: torch.Tensor, keep: float | torch.Tensor) -> torch.Tensor:
        """Apply the decay of one step to ``x``, in place; integers are rounded toward zero."""
        if not isinstance(keep, torch.Tensor):
            if keep == self.one:
                return x
            keep = int(keep) if self.integer else keep
        if not self.integer:
            return x.mul_(keep)
        product = x.to(self.decay_type) * keep
        below_zero = product >> (torch.iinfo(self.decay_type).bits - 1)
        # The shift rounds down: what lies below 0 is raised by 4095 before.
        return x.copy_(product.add_(below_zero & (DECAY_ONE - 1)) >> 12)

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
        quotient: torch.Tensor | None = None
        if self.emitted is not None and self.model.payload_max > 1:
            # Both signs need it, and it is the slowest of all operations.
            rounding = "trunc" if self.integer else "floor"
            quotient = torch.div(v, theta, rounding_mode=rounding)
        self._crossings(v, theta, s, quotient)
        if theta_neg is None:
            if self.model.reset == "subtract":
                v.addcmul_(s, theta, value=-1)
        elif self.emitted is not None:
            owned = self.emitted if gain == 1 else self.emitted.div(gain, rounding_mode="floor")
            self._take_back(v, theta, theta_neg, owned, quotient)
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

    def _crossings(
        self,
        v: torch.Tensor,
        theta: torch.Tensor,
        out: torch.Tensor,
        quotient: torch.Tensor | None = None,
    ) -> None:
        """``min(floor(v / theta), payload_max)`` where v >= theta, else 0."""
        if self.model.payload_max == 1:
            torch.ge(v, theta, out=out)
            return
        # What is below 0 becomes 0, whichever way it is rounded.
        if quotient is None:
            rounding = "trunc" if self.integer else "floor"
            quotient = torch.div(v, theta, rounding_mode=rounding, out=out)
        torch.clamp(quotient, 0, self.model.payload_max, out=out)
        self._coded(out)

    def _take_back(
        self,
        v: torch.Tensor,
        theta: torch.Tensor,
        theta_neg: torch.Tensor,
        emitted: torch.Tensor,
        quotient: torch.Tensor | None,
    ) -> None:
        """To ``aside``: ``min(-floor(v / theta), payload_max, m)`` where v <= -theta_neg, or 0."""
        back = self.aside
        if self.model.payload_max == 1:
            back.fill_(1)
        elif self.integer:
            assert quotient is not None
            # It is rounded toward zero: one less than is owed where a rest is left.
            torch.ne(quotient * theta, v, out=back)
            back.sub_(quotient).clamp_(max=self.model.payload_max)
        else:
            assert quotient is not None
            torch.neg(quotient, out=back).clamp_(max=self.model.payload_max)
        torch.minimum(back, emitted, out=back)
        # In the type of the state: products with truth values are converted one by one.
        spent = torch.empty_like(v) if quotient is None else quotient
        back.mul_(torch.le(v, -theta_neg, out=spent))
        self._coded(back)
        if self.model.payload_code == "power_of_two":
            half = torch.div(back, 2, rounding_mode="floor") if self.integer else back / 2
            back.copy_(torch.where(back > emitted, half, back))

    def _coded(self, k: torch.Tensor) -> None:
        """Magnitudes >= 0 as the nearest that a spike can carry, in place."""
        if self.model.payload_code != "power_of_two":
            return
        if self.integer:
            # All bits below the highest are set; what is left without half of it is that bit.
            power, shift = k.clone(), 1
            while shift < self.model.payload_max.bit_length():
                power |= power >> shift
                shift *= 2
            power -= power >> 1
            k.copy_(torch.where(2 * k >= 3 * power, 2 * power, power))
            return
        # frexp is exact: k = mantissa * 2^exponent with the mantissa in [1/2, 1).
        mantissa, exponent = torch.frexp(k)
        power = torch.ldexp(torch.ones_like(k), exponent - (mantissa < 0.75).int())
        k.copy_(torch.where(k >= 1, power, 0))


class ExtendedKernel(NeuronKernel):
    """Neurons with what natively trained networks bring; see :mod:`neurodeploy.ir.neurons`."""

    def __init__(self, population: Population, *types: Any) -> None:
        super().__init__(population, *types)
        self.reset_value, self.floor = (
            None
            if value is None
            else vector(population.spread(value), population.shape, self.state)
            for value in (self.model.reset_value, self.model.floor)
        )
        # One beyond every state clips nothing, and its type need not hold it.
        self.saturation = self.model.saturation
        if self.integer and self.saturation is not None:
            self.saturation = min(self.saturation, torch.iinfo(self.state).max)

    def begin(self, batch: int) -> None:
        """Open the window of a batch."""
        super().begin(batch)
        self.charge = torch.zeros_like(self.v)
        self.waiting = torch.zeros(self.v.shape, dtype=torch.int32)

    def step(self, a: torch.Tensor, spikes: torch.Tensor) -> None:
        """One step; see the module's equations."""
        model = self.model
        if self.active is not None:
            self._count_active(a, 1)
        if self.u is not None:
            a = self._decay(self.u, self.keep_u).add_(a)
        v = self._decay(self.v.clone(), self.keep_v).add_(a)
        if self.bias is not None:
            v.add_(self.bias)
        if model.reset == "subtract-next":
            v.sub_(self.charge)
        if self.saturation is not None:
            v.clamp_(-self.saturation, self.saturation)
        able = self.waiting == 0
        s = torch.zeros_like(v)
        if self.theta is not None:
            s = self._times(v, self.theta).mul_(able)
            self.charge = s * self.theta
            if self.theta_neg is not None:
                back = self._times(-v, self.theta_neg).mul_(able)
                s.sub_(back)
                self.charge.sub_(back.mul_(self.theta_neg))
        if model.reset == "subtract":
            v.sub_(self.charge)
        elif model.reset == "zero":
            v.masked_fill_(s != 0, 0)
        elif self.reset_value is not None:
            v = torch.where(s != 0, self.reset_value, v)
        if self.floor is not None:
            v = torch.maximum(v, self.floor)
        if model.refractory:
            v = torch.where(able, v, self.v)
            self.waiting = torch.where(able, model.refractory * (s != 0).int(), self.waiting - 1)
        self.v.copy_(v)
        if self.theta is not None:
            spikes.copy_(s)

    def _times(self, v: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
        """Thresholds that are taken of v: from theta on, of strict neurons above it."""
        if isinstance(self.model, RealNeuron) and self.model.strict:
            k = torch.ceil(v / theta).sub_(1).clamp_(0, self.model.payload_max)
            self._coded(k)
            return k
        out = torch.empty_like(v)
        self._crossings(v, theta, out)
        return out
