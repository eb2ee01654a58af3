"""State updates of max-pooling populations."""

from __future__ import annotations

import math

import torch

from neurodeploy.execution.pytorch.kernels import Drive, Kernel
from neurodeploy.execution.pytorch.windows import padded_image, reduce_windows, window_cells
from neurodeploy.ir.netlist import Population
from neurodeploy.ir.neurons import MaxPool


class MaxPoolKernel(Kernel):
    """Change of the maximum of the accumulated input; ``v`` is that maximum."""

    def __init__(self, population: Population, state: torch.dtype) -> None:
        assert isinstance(population.model, MaxPool)
        self.model = population.model
        self.n = population.size
        self.n_in = math.prod(population.input_shape)
        self.state = state
        # Zeros never exceed an unsigned maximum; nothing that is accumulated is below the lowest.
        lowest = -math.inf if state.is_floating_point else torch.iinfo(state).min
        self.fill = lowest if self.model.signed else 0

    def begin(self, batch: int) -> None:
        """Open the window of a batch."""
        self.t = 0
        self.v = torch.zeros(batch, self.n, dtype=self.state)
        self.accumulated = torch.zeros(batch, self.n_in, dtype=self.state)
        if self.active is not None:
            self.active = torch.zeros(self.v.shape, dtype=torch.int32)

    def step(self, a: torch.Tensor, spikes: torch.Tensor) -> None:
        """One step: accumulate, pool, emit the change."""
        gain = self.model.gain(self.t)
        self.t += 1
        if self.model.rule == "now":
            self.accumulated.copy_(a)
        else:
            self.accumulated.add_(a, alpha=gain)
        before, maximum = self.v, self._maximum(self.accumulated)
        if self.model.rule == "winner":
            spikes.copy_(self._winner(self.accumulated, a))
        elif self.model.rule == "now":
            spikes.copy_(maximum)
        else:
            spikes.copy_(self._worth(maximum - before, gain))
        self._count_active(before, maximum)
        self.v = maximum

    def _worth(self, change: torch.Tensor, gain: int) -> torch.Tensor:
        """A change in the gain of its step, which divides it; nothing where that is 0."""
        if gain == 1:
            return change
        return torch.div(change, gain, rounding_mode="floor") if gain else torch.zeros_like(change)

    def _winner(self, accumulated: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
        """Present input of the cell with the most accumulated, the first of equal ones."""
        layers = [
            window_cells(
                padded_image(x, self.model.window, self.model.channels, fill), self.model.window
            )
            for x, fill in ((accumulated, self.fill), (a, 0))
        ]
        most, present = layers[0][0], layers[1][0]
        for total, now in zip(layers[0][1:], layers[1][1:], strict=True):
            present = torch.where(total > most, now, present)
            most = torch.maximum(most, total)
        return present.reshape(-1, self.n)

    def _maximum(self, accumulated: torch.Tensor) -> torch.Tensor:
        image = padded_image(accumulated, self.model.window, self.model.channels, self.fill)
        return reduce_windows(image, self.model.window, torch.maximum).reshape(-1, self.n)

    def run(
        self, drive: Drive, raster: torch.Tensor | None, trace: torch.Tensor | None, steps: int
    ) -> None:
        """Some steps at once: accumulate over time, then pool, then take differences."""
        if self.model.rule != "maximum":
            # What is passed on depends on the input of the step itself.
            Kernel.run(self, drive, raster, trace, steps)
            return
        a = drive.varying
        if a is None:
            assert drive.constant is not None
            a = drive.constant.expand(steps, *drive.constant.shape).clone()
        elif drive.constant is not None:
            a.add_(drive.constant)
        gains = [self.model.gain(self.t + t) for t in range(steps)]
        self.t += steps
        for t, gain in enumerate(gains):
            if gain != 1:
                a[t].mul_(gain)
            a[t].add_(a[t - 1] if t else self.accumulated)
        self.accumulated = a[-1].clone()
        maximum = self._maximum(a.reshape(-1, self.n_in)).view(steps, -1, self.n)
        assert raster is not None
        change = torch.empty_like(self.v)
        raster[0].copy_(self._worth(maximum[0] - self.v, gains[0]))
        for t in range(1, steps):
            torch.sub(maximum[t], maximum[t - 1], out=change)
            raster[t].copy_(self._worth(change, gains[t]))
        if trace is not None:
            trace.copy_(maximum)
        for after in maximum:
            self._count_active(self.v, after)
            self.v = after

    def _count_active(self, before: torch.Tensor, after: torch.Tensor) -> None:
        if self.active is not None:
            self.active.add_((before != 0).logical_or_(after != 0))
