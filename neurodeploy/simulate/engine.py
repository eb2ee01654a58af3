"""The engine: runs a plan over chunks of samples and hands on what was asked for."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import torch

from neurodeploy.errors import UsageError
from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.netlist import IntegerNetlist, RealNetlist
from neurodeploy.ir.neurons import Input
from neurodeploy.ir.record import Progress, RunRecord, Stimulus, checked_stimulus
from neurodeploy.simulate.kernels import Drive
from neurodeploy.simulate.layout import channels_last
from neurodeploy.simulate.observe import Observer, RecordObserver, SummaryObserver
from neurodeploy.simulate.plan import Link, Plan, Stage, build_plan, is_constant
from neurodeploy.simulate.precision import strict_float32
from neurodeploy.simulate.summary import Summary


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
        self.dtype = dtype
        self.batch_size = batch_size
        self._plans: dict[bool, Plan] = {}
        self.plan()

    def plan(self) -> Plan:
        """The plan under the float32 rules that the process has now."""
        strict = strict_float32()
        if strict not in self._plans:
            self._plans[strict] = build_plan(self.netlist, self.timesteps, self.dtype)
        return self._plans[strict]

    def run(
        self,
        stimulus: Stimulus,
        *,
        record: Collection[str] | None = None,
        membranes: Collection[str] = (),
        progress: Progress | None = None,
    ) -> RunRecord:
        """Run and keep rasters; see :func:`neurodeploy.simulate.run_engine`."""
        values, batch = checked_stimulus(self.netlist, stimulus, self.timesteps)
        observer = RecordObserver(self.netlist, self.timesteps, batch, record, membranes, values)
        self._execute(values, batch, observer, progress)
        return observer.result()

    def summarize(
        self,
        stimulus: Stimulus,
        *,
        rates: Collection[str] = (),
        active: Collection[str] = (),
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
        progress : callable, optional
            Called with (samples done, samples).

        Raises
        ------
        DataError
            If the stimulus does not fit.
        """
        values, batch = checked_stimulus(self.netlist, stimulus, self.timesteps)
        observer = SummaryObserver(self.netlist, self.timesteps, batch, rates, active)
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
        plan = self.plan()
        size = self.batch_size or even_chunk(batch, plan.chunk())
        for start in range(0, batch, size):
            stop = min(start + size, batch)
            part = {name: array[start:stop] for name, array in values.items()}
            _Chunk(self.netlist, plan, self.timesteps, observer, slice(start, stop)).run(part)
            if progress is not None:
                progress(stop, batch)


class _Chunk:
    """One pass of some samples through the plan."""

    def __init__(
        self,
        netlist: IntegerNetlist | RealNetlist,
        plan: Plan,
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

    def _run_alone(self, stage: Stage) -> None:
        self._begin(stage)
        drive = self._drive(stage)
        raster = self._raster(stage, drive)
        trace = self._trace(stage)
        stage.kernel.run(drive, raster, trace, self.T)
        self._finish(stage, raster, trace)

    def _run_cycle(self, stages: tuple[Stage, ...]) -> None:
        drives, traces = [], []
        for stage in stages:
            self._begin(stage)
            drives.append(self._drive(stage))
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

    def _begin(self, stage: Stage) -> None:
        counts = self.observer.counts_active(stage.population.name)
        stage.kernel.active = torch.empty(0) if counts else None
        stage.kernel.begin(self.batch)

    def _drive(self, stage: Stage) -> Drive:
        """Everything that enters from finished populations."""
        drive = Drive()
        for link in stage.outer:
            if link.shift >= self.T:
                continue  # its source opens so early that all it emits is dropped
            emitted = self.rasters[link.pre].to(link.product.dtype)
            steps = self.T - link.shift
            if is_constant(self.netlist, link):
                arrives = link.product(emitted[0]).to(stage.state)
                if drive.constant is None:
                    drive.constant = arrives.clone() if link.product.aliases else arrives
                else:
                    drive.constant.add_(arrives)
                continue
            if link.shift > 0 and drive.varying is None:
                drive.varying = self._zeros(stage)
            if self.netlist.by_name[link.pre].is_current_input:
                assert drive.varying is not None  # without a shift it would be constant
                drive.varying[:steps].add_(link.product(emitted[0]))
                continue
            rows = emitted[link.shift :].reshape(steps * self.batch, -1)
            if drive.varying is not None:
                link.product.add_to(drive.varying[:steps].view(steps * self.batch, -1), rows)
                continue
            arrives = link.product(rows)
            if link.product.aliases and not self._may_take(link, stage):
                arrives = arrives.clone()
            drive.varying = arrives.view(self.T, self.batch, -1).to(stage.state)
        if stage.constant_bias is not None:
            assert drive.constant is not None
            drive.constant.add_(stage.constant_bias)
        if drive.constant is None and drive.varying is None:
            drive.constant = self._zeros(stage)[0]
        return drive

    def _input_of_step(self, stage: Stage, drive: Drive, t: int) -> torch.Tensor:
        a: torch.Tensor | None = None
        if drive.constant is not None:
            a = drive.constant.clone()
        if drive.varying is not None:
            a = drive.varying[t] if a is None else a.add_(drive.varying[t])
        assert a is not None
        for link in stage.inner:
            if t + link.shift >= 0:
                a.add_(link.product(self.rasters[link.pre][t + link.shift].to(link.product.dtype)))
        return a

    def _zeros(self, stage: Stage) -> torch.Tensor:
        n_in = int(np.prod(stage.population.input_shape))
        return torch.zeros(self.T, self.batch, n_in, dtype=stage.state)

    def _may_take(self, link: Link, stage: Stage) -> bool:
        """Whether ``stage`` is the last reader of a raster and reads it once."""
        once = sum(other.pre == link.pre for other in stage.outer) == 1
        given = isinstance(self.netlist.by_name[link.pre].model, Input)
        return once and self.left[link.pre] == 1 and not given

    def _raster(self, stage: Stage, drive: Drive) -> torch.Tensor | None:
        if not stage.fires:
            return None
        shape = (self.T, self.batch, stage.population.size)
        reusable = drive.varying
        if reusable is not None and reusable.shape == shape and reusable.dtype == stage.raster:
            return reusable
        return torch.empty(shape, dtype=stage.raster)

    def _trace(self, stage: Stage) -> torch.Tensor | None:
        if not self.observer.wants_trace(stage.population.name):
            return None
        return torch.empty(self.T, self.batch, stage.population.size, dtype=stage.state)

    def _finish(
        self, stage: Stage, raster: torch.Tensor | None, trace: torch.Tensor | None
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
