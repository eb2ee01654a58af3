"""Totals of a run on the native engine: what threads add up, and the summary of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from neurodeploy.execution.native import structures
from neurodeploy.execution.native.program import NativeProgram
from neurodeploy.execution.order import channels_first
from neurodeploy.execution.summary import Summary
from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.netlist import IntegerNetlist, Population
from neurodeploy.ir.neurons import Input


class Totals:
    """Totals, which threads write at the places of their own samples."""

    def __init__(
        self,
        program: NativeProgram,
        netlist: IntegerNetlist,
        timesteps: int,
        values: Mapping[str, IntArray],
        batch: int,
        rates: set[str],
    ) -> None:
        self.netlist, self.T, self.batch = netlist, timesteps, batch
        self.values = values
        self.rated = rates
        self.decode = {o.population: o.decode for o in netlist.outputs}
        self.per_sample: dict[str, IntArray] = {}
        self.rates: dict[str, AnyArray] = {}
        self.rasters: dict[str, AnyArray] = {}
        self.moved: dict[str, AnyArray] = {}
        self.keep: list[AnyArray] = []
        for population in netlist.populations:
            name, shape = population.name, population.shape
            if not population.is_integrator:
                self.per_sample[name] = np.zeros(batch, dtype=np.int64)
                if name in rates:
                    most = timesteps * program.largest[name] * max(population.rate_gain, default=1)
                    # They take most of the memory where many samples are compared.
                    dtype = np.int32 if most < 2**31 else np.int64
                    self.rates[name] = np.zeros((batch, *shape), dtype=dtype)
            watched = (name in rates and population.is_integrator) or (
                self.decode.get(name, "counts") != "counts"
            )
            if watched:
                self.moved[name] = np.zeros((batch, timesteps, *shape), dtype=np.int64)
            if self.decode.get(name) == "counts" and not isinstance(population.model, Input):
                self.rasters[name] = np.zeros((batch, timesteps, *shape), dtype=np.int64)

    def fill(self, population: Population, want: structures.Wanted) -> None:
        """Point a population's results at their arrays."""
        name = population.name
        if name in self.per_sample:
            want.per_sample = self.per_sample[name].ctypes.data
        if name in self.rates:
            rates = self.rates[name]
            if rates.dtype == np.int32:
                want.short_rates = rates.ctypes.data
            else:
                want.rates = rates.ctypes.data
            gain = population.rate_gain
            if gain:
                array = np.array(gain, dtype=np.int64)
                self.keep.append(array)
                want.rate_gain = array.ctypes.data
        if name in self.moved:
            want.trace = self.moved[name].ctypes.data
        if name in self.rasters:
            want.raster = self.rasters[name].ctypes.data

    def summary(self, parts: list[ThreadTotals]) -> Summary:
        """Everything in the order of shapes."""
        traces: dict[str, AnyArray] = {}
        rates: dict[str, AnyArray] = {}
        for name, values in self.moved.items():
            values -= self.netlist.by_name[name].origin
            if name in self.decode:
                traces[name] = values
        for name, raster in self.rasters.items():
            traces[name] = np.cumsum(raster, axis=1)
        for population in self.netlist.inputs:
            if population.name in self.decode:
                given = self.values[population.name]
                if population.is_current_input:
                    given = np.repeat(given[:, None], self.T, axis=1)
                traces[population.name] = np.cumsum(given, axis=1)
        for name in self.rated:
            rates[name] = self.rates[name] if name in self.rates else self.moved[name][:, -1]
        joined = ThreadTotals.join(parts)

        def by_shape(values: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
            shapes = {p.name: p.shape for p in self.netlist.populations}
            return {n: channels_first(v, shapes[n]).copy() for n, v in values.items()}

        return Summary(
            self.T,
            self.batch,
            {name: traces[name] for name in self.decode},
            by_shape(joined.spikes),
            self.per_sample,
            by_shape(joined.payload),
            rates,
            by_shape(joined.active),
        )


class ThreadTotals:
    """Totals per neuron, in the engine's order, of one thread."""

    def __init__(self, netlist: IntegerNetlist, summed: set[str], counted: set[str]) -> None:
        asked = [p for p in netlist.populations if not p.is_integrator and p.name in summed]
        self.spikes = {p.name: np.zeros(p.size, dtype=np.int64) for p in asked}
        self.payload = {p.name: np.zeros(p.size, dtype=np.int64) for p in asked}
        self.active = {n: np.zeros(netlist.by_name[n].size, dtype=np.int64) for n in counted}

    def fill(self, population: Population, want: structures.Wanted) -> None:
        """Point a population's totals at their arrays."""
        name = population.name
        if name in self.spikes:
            want.spikes = self.spikes[name].ctypes.data
            want.payload = self.payload[name].ctypes.data
        if name in self.active:
            want.active = self.active[name].ctypes.data

    @staticmethod
    def join(parts: list[ThreadTotals]) -> ThreadTotals:
        """The first one, with the others added."""
        joined = parts[0]
        for part in parts[1:]:
            for mine, theirs in (
                (joined.spikes, part.spikes),
                (joined.payload, part.payload),
                (joined.active, part.active),
            ):
                for name, values in theirs.items():
                    mine[name] += values
        return joined
