"""Observers of an execution: whole rasters, or totals."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping

import numpy as np
import torch

from neurodeploy.execution.pytorch.layout import to_array
from neurodeploy.execution.pytorch.precision import narrowest
from neurodeploy.execution.summary import Summary
from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.netlist import IntegerNetlist, RealNetlist
from neurodeploy.ir.neurons import Input, MaxPool, Neuron
from neurodeploy.ir.record import RunRecord, expect_populations


class Observer(ABC):
    """Receives every population's results, chunk of samples by chunk of samples."""

    def __init__(self, netlist: IntegerNetlist | RealNetlist, timesteps: int, batch: int) -> None:
        self.netlist = netlist
        self.T = timesteps
        self.batch = batch
        self.exact = isinstance(netlist, IntegerNetlist)

    def number(self, name: str) -> torch.dtype:
        """Type of what a population emits; only pools of real-valued netlists have fractions."""
        pool = isinstance(self.netlist.by_name[name].model, MaxPool)
        return torch.float64 if pool and not self.exact else torch.int64

    @property
    def state(self) -> torch.dtype:
        """Type of membranes."""
        return torch.int64 if self.exact else torch.float64

    @abstractmethod
    def counts_active(self, name: str) -> bool:
        """Whether active neuron-steps are to be counted."""

    @abstractmethod
    def wants_trace(self, name: str) -> bool:
        """Whether membranes are to be kept."""

    @abstractmethod
    def emitted(self, name: str, samples: slice, raster: torch.Tensor) -> None:
        """Raster ``[T, B, n]`` of a chunk, ``[1, B, n]`` for currents."""

    @abstractmethod
    def traced(self, name: str, samples: slice, trace: torch.Tensor) -> None:
        """Membranes ``[T, B, n]`` of a chunk."""

    @abstractmethod
    def counted(self, name: str, active: torch.Tensor) -> None:
        """Active steps ``[B, n]`` of a chunk."""


class RecordObserver(Observer):
    """Keeps rasters and membranes."""

    def __init__(
        self,
        netlist: IntegerNetlist | RealNetlist,
        timesteps: int,
        batch: int,
        record: Collection[str] | None,
        membranes: Collection[str],
        stimulus: Mapping[str, IntArray],
        *,
        narrow: bool = False,
    ) -> None:
        super().__init__(netlist, timesteps, batch)
        self.narrow = narrow
        expect_populations(netlist, record, membranes)
        wanted = set(netlist.by_name if record is None else record)
        decoded = {o.population for o in netlist.outputs if o.reads_membrane}
        watched = set(membranes) | decoded
        self.spikes = {n: self._zeros(n, self.number(n)) for n in wanted if n not in stimulus}
        for name, values in stimulus.items():
            if name in wanted:
                self.spikes[name] = _as_emitted(netlist, name, values, timesteps)
        self.membranes = {n: self._zeros(n, self.state) for n in watched}

    def _zeros(self, name: str, dtype: torch.dtype) -> AnyArray:
        shape = (self.batch, self.T, *self.netlist.by_name[name].shape)
        return torch.zeros(shape, dtype=dtype, device="cpu").numpy()

    def number(self, name: str) -> torch.dtype:
        """Type of what a population emits; in few bits where that is asked for."""
        model = self.netlist.by_name[name].model
        if not self.narrow or not isinstance(model, Neuron):
            return super().number(name)
        return narrowest(-model.payload_max, model.payload_max)

    def counts_active(self, name: str) -> bool:
        """Nothing is counted."""
        return False

    def counted(self, name: str, active: torch.Tensor) -> None:
        """Never called."""

    def wants_trace(self, name: str) -> bool:
        """Whether membranes are kept."""
        return name in self.membranes

    def emitted(self, name: str, samples: slice, raster: torch.Tensor) -> None:
        """Take a raster."""
        if name in self.spikes and not isinstance(self.netlist.by_name[name].model, Input):
            self.spikes[name][samples] = self._array(name, raster, self.number(name))

    def traced(self, name: str, samples: slice, trace: torch.Tensor) -> None:
        """Take membranes."""
        self.membranes[name][samples] = self._array(name, trace, self.state)

    def _array(self, name: str, values: torch.Tensor, dtype: torch.dtype) -> AnyArray:
        return to_array(values, self.netlist.by_name[name].shape, dtype).swapaxes(0, 1)

    def result(self) -> RunRecord:
        """The record of all chunks."""
        return RunRecord(self.T, self.spikes, self.membranes)


class SummaryObserver(Observer):
    """Keeps totals, and the traces of outputs."""

    def __init__(
        self,
        netlist: IntegerNetlist | RealNetlist,
        timesteps: int,
        batch: int,
        rates: Collection[str],
        active: Collection[str],
        totals: Collection[str],
    ) -> None:
        super().__init__(netlist, timesteps, batch)
        expect_populations(netlist, rates, active, totals)
        self.decode = {o.population: o.decode for o in netlist.outputs}
        emitting = [p for p in netlist.populations if not p.is_integrator]
        asked = [p for p in emitting if p.name in totals]
        self.spikes = {p.name: np.zeros(p.shape, dtype=np.int64) for p in asked}
        self.per_sample = {p.name: np.zeros(batch, dtype=np.int64) for p in emitting}
        self.payload: dict[str, AnyArray] = {
            p.name: np.zeros(p.shape, dtype=_numpy(self.number(p.name))) for p in asked
        }
        self.rates = {n: self._per_sample(n) for n in rates}
        self.traces = {n: self._traces(n, decode == "counts") for n, decode in self.decode.items()}
        self.active = {
            n: np.zeros(netlist.by_name[n].shape, dtype=np.int64)
            for n in active
            if not isinstance(netlist.by_name[n].model, Input)
        }

    def _per_sample(self, name: str) -> AnyArray:
        population = self.netlist.by_name[name]
        shape = (self.batch, *population.shape)
        if population.is_integrator:
            return np.zeros(shape, dtype=_numpy(self.state))
        if self.number(name) == torch.float64:
            return np.zeros(shape)
        if isinstance(population.model, MaxPool):
            return np.zeros(shape, dtype=np.int64)
        # Rates of every layer over a whole data set take most of the memory. No narrower than 32
        # bits: NumPy divides those in half precision.
        model = population.model
        gain = max(model.firing_gain, default=1) if isinstance(model, Neuron) else 1
        narrow = self.T * _largest(model) * gain < 2**31
        return np.zeros(shape, dtype=np.int32 if narrow else np.int64)

    def _traces(self, name: str, counts: bool) -> AnyArray:
        dtype = self.number(name) if counts else self.state
        shape = (self.batch, self.T, *self.netlist.by_name[name].shape)
        return np.zeros(shape, dtype=_numpy(dtype))

    def counts_active(self, name: str) -> bool:
        """Whether active neuron-steps are counted."""
        return name in self.active

    def wants_trace(self, name: str) -> bool:
        """Whether membranes are kept."""
        if self.decode.get(name, "counts") != "counts":
            return True
        return name in self.rates and self.netlist.by_name[name].is_integrator

    def emitted(self, name: str, samples: slice, raster: torch.Tensor) -> None:
        """Take a raster."""
        population = self.netlist.by_name[name]
        # A current stands for T equal steps.
        times = self.T if raster.shape[0] == 1 else 1
        wide = torch.int64 if self.exact else torch.float64
        total = raster.sum(0, dtype=self._sum_format(population.model, raster.dtype)).to(wide)
        total = total * times
        if _unary(population.model):
            spikes = total
        else:
            fired = (raster != 0).view(torch.int8)
            spikes = fired.sum(0, dtype=narrowest(0, len(raster))).to(wide) * times
        self.per_sample[name][samples] = spikes.sum(1, dtype=wide).cpu().numpy()
        shape = population.shape
        if name in self.spikes:
            self.spikes[name] += to_array(spikes.sum(0, dtype=wide), shape, torch.int64)
            self.payload[name] += to_array(total.sum(0), shape, self.number(name))
        if name in self.rates:
            self.rates[name][samples] = self._coded(name, total, raster)
        if self.decode.get(name) == "counts":
            counts = to_array(raster, shape, self.number(name)).swapaxes(0, 1)
            every_step = np.broadcast_to(counts, self.traces[name][samples].shape)
            self.traces[name][samples] = np.cumsum(every_step, axis=1)

    def _coded(self, name: str, total: torch.Tensor, raster: torch.Tensor) -> AnyArray:
        """Payloads added up as the coding of the population counts them."""
        population = self.netlist.by_name[name]
        if population.coding == "rate" or not population.n_gains:
            return to_array(total, population.shape, self.number(name))
        spikes = to_array(raster, population.shape, self.number(name)).swapaxes(0, 1)
        return population.summed(spikes)

    def _sum_format(self, model: object, raster: torch.dtype) -> torch.dtype:
        """A type that holds the sum of a raster over time."""
        if not self.exact:
            return raster
        if isinstance(model, MaxPool):
            return torch.int64
        largest = _largest(model) * self.T
        return narrowest(-largest, largest)

    def traced(self, name: str, samples: slice, trace: torch.Tensor) -> None:
        """Take membranes."""
        population = self.netlist.by_name[name]
        assert isinstance(population.model, Neuron)
        values = to_array(trace, population.shape, self.state).swapaxes(0, 1)
        moved = values - population.origin
        if name in self.traces:
            self.traces[name][samples] = moved
        if name in self.rates:
            self.rates[name][samples] = moved[:, -1]

    def counted(self, name: str, active: torch.Tensor) -> None:
        """Take counts of active steps."""
        total = active.sum(0, dtype=torch.int64)
        self.active[name] += to_array(total, self.netlist.by_name[name].shape, torch.int64)

    def result(self) -> Summary:
        """The totals of all chunks."""
        return Summary(
            self.T,
            self.batch,
            self.traces,
            self.spikes,
            self.per_sample,
            self.payload,
            self.rates,
            self.active,
        )


def _as_emitted(
    netlist: IntegerNetlist | RealNetlist, name: str, values: IntArray, timesteps: int
) -> AnyArray:
    if netlist.by_name[name].is_current_input:
        return np.repeat(values[:, None], timesteps, axis=1)
    return values


def _largest(model: object) -> int:
    """Largest magnitude of one emission."""
    if isinstance(model, Input):
        return max(-model.low, model.high)
    assert isinstance(model, Neuron)
    return model.payload_max


def _unary(model: object) -> bool:
    """Whether the number of spikes is the sum of payloads."""
    if isinstance(model, Input):
        return (model.low, model.high) == (0, 1)
    return isinstance(model, Neuron) and model.payload_max == 1 and not model.signed


def _numpy(dtype: torch.dtype) -> type:
    return np.int64 if dtype == torch.int64 else np.float64
