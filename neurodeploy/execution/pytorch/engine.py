"""The engine: runs a plan over chunks of samples and hands on what was asked for."""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np
import torch

from neurodeploy.errors import UsageError
from neurodeploy.execution.order import channels_last
from neurodeploy.execution.pytorch.kernels import Drive
from neurodeploy.execution.pytorch.observe import Observer, RecordObserver, SummaryObserver
from neurodeploy.execution.pytorch.plan import (
    EnginePlan,
    PlannedLink,
    PlannedStage,
    SharedInput,
    build_plan,
    is_constant,
)
from neurodeploy.execution.pytorch.products import GatherProduct
from neurodeploy.execution.summary import Summary
from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.netlist import IntegerNetlist, RealNetlist
from neurodeploy.ir.neurons import Input
from neurodeploy.ir.record import Progress, RunRecord, Stimulus, checked_stimulus
from neurodeploy.numerics.device import current_device
from neurodeploy.numerics.torch_state import plain_torch


class Engine:
    """Executes one netlist, many samples at once.

    On integer netlists it equals :func:`neurodeploy.ir.reference.run_reference` in every spike
    and membrane. On real-valued ones it computes the same equations in ``dtype``; sums are
    rounded in another order, so a spike may move where a membrane meets its threshold.
    One engine holds one run's states: no two runs at a time.

    Parameters
    ----------
    netlist : IntegerNetlist or RealNetlist
    timesteps : int, optional
        T; the netlist's own by default.
    dtype : {"float32", "float64"}
        Arithmetic of a real-valued netlist.
    batch_size : int, optional
        Samples side by side; from the size of the netlist by default.

    Raises
    ------
    CapacityError
        If no arithmetic is proved exact for an integer netlist.
    UsageError
        For another dtype or batch size.
    """

    def __init__(
        self,
        netlist: IntegerNetlist | RealNetlist,
        timesteps: int | None = None,
        *,
        dtype: str = "float32",
        batch_size: int | None = None,
    ) -> None:
        if batch_size is not None and batch_size < 1:
            raise UsageError(f"engine: batch_size {batch_size}; expected at least 1")
        self.netlist = netlist
        self.timesteps = timesteps or netlist.timesteps
        self.batch_size = batch_size
        # Integers are the same everywhere where they are computed on the CPU.
        self.device = "cpu" if isinstance(netlist, IntegerNetlist) else current_device()
        with plain_torch(self.device):
            self.plan = build_plan(netlist, self.timesteps, dtype)

    def run(
        self,
        stimulus: Stimulus,
        *,
        record: Collection[str] | None = None,
        membranes: Collection[str] = (),
        progress: Progress | None = None,
        narrow: bool = False,
    ) -> RunRecord:
        """Run and keep rasters; see :func:`neurodeploy.execution.run_engine`."""
        values, batch = checked_stimulus(self.netlist, stimulus, self.timesteps, as_given=narrow)
        observer = RecordObserver(
            self.netlist, self.timesteps, batch, record, membranes, values, narrow=narrow
        )
        self._execute(values, batch, observer, progress)
        return observer.result()

    def summarize(
        self,
        stimulus: Stimulus,
        *,
        rates: Collection[str] = (),
        active: Collection[str] = (),
        totals: Collection[str] = (),
        progress: Progress | None = None,
    ) -> Summary:
        """Run and keep totals only.

        Parameters
        ----------
        stimulus : mapping
        rates : collection of str
            Populations whose payload sums are kept per sample.
        active : collection of str
            Populations whose active neuron-steps are counted, inputs excepted.
        totals : collection of str
            Populations whose spikes and payloads are summed neuron by neuron.
        progress : callable, optional
            Called with (samples done, samples).

        Raises
        ------
        DataError
            If the stimulus does not fit.
        """
        values, batch = checked_stimulus(self.netlist, stimulus, self.timesteps)
        observer = SummaryObserver(self.netlist, self.timesteps, batch, rates, active, totals)
        self._execute(values, batch, observer, progress)
        return observer.result()

    @torch.inference_mode()
    def _execute(
        self,
        values: dict[str, IntArray],
        batch: int,
        observer: Observer,
        progress: Progress | None,
    ) -> None:
        with plain_torch(self.device):
            size = self.batch_size or even_chunk(batch, self.plan.chunk())
            for start in range(0, batch, size):
                samples = slice(start, min(start + size, batch))
                part = {name: array[samples] for name, array in values.items()}
                _Chunk(self.netlist, self.plan, self.timesteps, observer, samples).run(part)
                if progress is not None:
                    progress(samples.stop, batch)


class _Chunk:
    """One pass of some samples through the plan."""

    def __init__(
        self,
        netlist: IntegerNetlist | RealNetlist,
        plan: EnginePlan,
        timesteps: int,
        observer: Observer,
        samples: slice,
    ) -> None:
        self.netlist = netlist
        self.plan = plan
        self.T = timesteps
        self.observer = observer
        self.samples = samples
        self.batch = samples.stop - samples.start
        self.rasters: dict[str, torch.Tensor] = {}
        self.shared: dict[int, tuple[Drive, int]] = {}
        self.left = dict(plan.uses)

    def run(self, values: dict[str, IntArray]) -> None:
        for name, dtype in self.plan.inputs.items():
            population = self.netlist.by_name[name]
            flat = channels_last(values[name], population.shape)
            if population.is_current_input:
                self.rasters[name] = torch.tensor(flat, dtype=dtype)[None]
            else:
                self.rasters[name] = torch.tensor(
                    np.ascontiguousarray(flat.swapaxes(0, 1)), dtype=dtype
                )
            self.observer.emitted(name, self.samples, self.rasters[name])
        for component in self.plan.components:
            if len(component) == 1 and not component[0].inner:
                self._run_alone(component[0])
            else:
                self._run_cycle(component)

    def _run_alone(self, stage: PlannedStage) -> None:
        self._begin(stage)
        raster: torch.Tensor | None = None
        trace = self._trace(stage)
        constant = None if stage.shared else self._constant(stage)
        size = stage.block(self.batch, self.T)
        for start in range(0, self.T, size):
            steps = slice(start, min(start + size, self.T))
            if stage.shared is not None:
                drive = self._of_siblings(stage, stage.shared)
            else:
                drive = Drive(constant, self._varying(stage, steps))
            if raster is None and stage.fires:
                raster = self._raster(stage, drive)
            stage.kernel.run(
                drive,
                None if raster is None else raster[steps],
                None if trace is None else trace[steps],
                steps.stop - start,
            )
        self._finish(stage, raster, trace)

    def _of_siblings(self, stage: PlannedStage, shared: SharedInput) -> Drive:
        """Input over all steps, summed when the first of its group runs."""
        known = self.shared.pop(shared.group, None)
        if known is None:
            everything = slice(0, self.T)
            known = Drive(self._constant(stage), self._varying(stage, everything)), shared.members
        drive, left = known
        if left > 1:
            self.shared[shared.group] = drive, left - 1
        return shared.own(drive)

    def _run_cycle(self, stages: tuple[PlannedStage, ...]) -> None:
        drives, traces = [], []
        for stage in stages:
            self._begin(stage)
            drives.append(Drive(self._constant(stage), self._varying(stage, slice(0, self.T))))
            traces.append(self._trace(stage))
            self.rasters[stage.population.name] = torch.zeros(
                self.T, self.batch, stage.population.size, dtype=stage.raster
            )
        for t in range(self.T):
            # Delays are at least 1, so the stages of one step do not depend on one another.
            for stage, drive, trace in zip(stages, drives, traces, strict=True):
                a = self._input_of_step(stage, drive, t)
                stage.kernel.step(a, self.rasters[stage.population.name][t])
                if trace is not None:
                    trace[t].copy_(stage.kernel.v)
        for stage, trace in zip(stages, traces, strict=True):
            raster = self.rasters[stage.population.name] if stage.fires else None
            self._finish(stage, raster, trace)

    def _begin(self, stage: PlannedStage) -> None:
        counts = self.observer.counts_active(stage.population.name)
        stage.kernel.active = torch.empty(0) if counts else None
        stage.kernel.begin(self.batch)

    def _constant(self, stage: PlannedStage) -> torch.Tensor | None:
        """Input from finished populations in every step, ``[B, n]``."""
        total: torch.Tensor | None = None
        varies = False
        for link in stage.outer:
            if not is_constant(self.netlist, link):
                varies = varies or link.shift < self.T
                continue
            total = self._joined(total, link, self.rasters[link.pre][0])
        if stage.constant_bias is not None:
            assert total is not None
            total.add_(stage.constant_bias)
        if total is None and not varies:
            total = self._zeros(stage, 1)[0]
        return total

    def _varying(self, stage: PlannedStage, steps: slice) -> torch.Tensor | None:
        """The rest of what enters from finished populations in some steps, ``[steps, B, n]``."""
        length = steps.stop - steps.start
        total: torch.Tensor | None = None
        for link in stage.outer:
            if link.shift >= self.T or is_constant(self.netlist, link):
                continue  # of what opens that much too early, all is dropped
            arriving = min(length, max(self.T - link.shift - steps.start, 0))
            if link.shift > 0 and total is None:
                total = self._zeros(stage, length)
            if arriving == 0:
                continue
            if self.netlist.by_name[link.pre].is_current_input:
                assert total is not None  # without a shift it would be constant
                total[:arriving].add_(link.product(self.rasters[link.pre][0]))
                continue
            first = steps.start + link.shift
            rows = self.rasters[link.pre][first : first + arriving]
            rows = rows.reshape(arriving * self.batch, -1)
            if total is None and arriving == self.T and self._may_take(link, stage):
                total = self.rasters[link.pre]
                continue
            part = None if total is None else total[:arriving].view(len(rows), -1)
            joined = self._joined(part, link, rows)
            if total is None:
                total = joined.view(length, self.batch, -1)
        return total

    def _may_take(self, link: PlannedLink, stage: PlannedStage) -> bool:
        """Whether a raster enters unchanged, and ``stage`` is the last to read it and does once."""
        same = isinstance(link.product, GatherProduct) and link.product.is_identity
        once = sum(other.pre == link.pre for other in stage.outer) == 1
        given = isinstance(self.netlist.by_name[link.pre].model, Input)
        fits = self.rasters[link.pre].dtype == stage.state
        return same and once and fits and self.left[link.pre] == 1 and not given

    def _joined(
        self, total: torch.Tensor | None, link: PlannedLink, x: torch.Tensor
    ) -> torch.Tensor:
        if total is None:
            return link.product(x)
        link.product.add_to(total, x)
        return total

    def _input_of_step(self, stage: PlannedStage, drive: Drive, t: int) -> torch.Tensor:
        a: torch.Tensor | None = None
        if drive.constant is not None:
            a = drive.constant.clone()
        if drive.varying is not None:
            a = drive.varying[t] if a is None else a.add_(drive.varying[t])
        assert a is not None
        for link in stage.inner:
            if t + link.shift >= 0:
                link.product.add_to(a, self.rasters[link.pre][t + link.shift])
        return a

    def _zeros(self, stage: PlannedStage, steps: int) -> torch.Tensor:
        n_in = math.prod(stage.population.input_shape)
        return torch.zeros(steps, self.batch, n_in, dtype=stage.state)

    def _raster(self, stage: PlannedStage, drive: Drive) -> torch.Tensor:
        """Memory of what is emitted: that of the input, where it is as large and of its type."""
        shape = (self.T, self.batch, stage.population.size)
        known = drive.varying
        if known is not None and known.shape == shape and known.dtype == stage.raster:
            return known
        return torch.empty(shape, dtype=stage.raster)

    def _trace(self, stage: PlannedStage) -> torch.Tensor | None:
        if not self.observer.wants_trace(stage.population.name):
            return None
        return torch.empty(self.T, self.batch, stage.population.size, dtype=stage.state)

    def _finish(
        self, stage: PlannedStage, raster: torch.Tensor | None, trace: torch.Tensor | None
    ) -> None:
        name = stage.population.name
        for link in stage.outer:
            self.left[link.pre] -= 1
            if self.left[link.pre] == 0:
                del self.rasters[link.pre]
        if raster is not None:
            self.observer.emitted(name, self.samples, raster)
            self.rasters[name] = raster
            if self.left[name] == 0:
                del self.rasters[name]
        if trace is not None:
            self.observer.traced(name, self.samples, trace)
        if stage.kernel.active is not None:
            self.observer.counted(name, stage.kernel.active)


def even_chunk(batch: int, most: int) -> int:
    """Size of equal chunks of at most ``most``."""
    return max(1, -(-batch // max(1, -(-batch // most))))
