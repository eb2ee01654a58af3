"""A netlist compiled to crossbar cores."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neurodeploy.errors import ExecutionError
from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.price.traffic import CoreTraffic, Traffic
from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.record import Progress, RunRecord
from neurodeploy.network import Network
from neurodeploy.targets.base import Deployment
from neurodeploy.targets.request import RunRequest
from neurodeploy.targets.stream import TargetStream
from neurodeploy.targets.truenorth.cores import Cores, save_cores
from neurodeploy.targets.truenorth.readout import Readout, save_readout
from neurodeploy.targets.truenorth.simulator import CoreSimulator
from neurodeploy.targets.truenorth.units import REPAY, SUM

CHUNK_BYTES = 256 * 2**20
"""Spikes of all cores that are held at a time."""

IDLE = 8
"""Factor of samples that fit where steps take many ticks: untouched zeros need no memory, and
those of partial sums are let go: so many times more samples fit."""


class TrueNorthDeployment(Deployment):
    """Cores, the map back to populations, and what a run cost.

    ``run`` simulates the cores sample by sample: the host resets all membranes before each sample,
    and spikes outside a population's window are dropped by their time, on chip where they arrive
    too late to matter and on the host where they leave.

    Parameters
    ----------
    network, board, options
        As for :class:`neurodeploy.targets.base.Deployment`.
    cores : Cores
    readout : Readout
    layers : list of dict
        The compiler's report, one entry per population, see :meth:`utilization`.
    """

    target = "truenorth"

    def __init__(
        self,
        network: Network,
        board: Board | None,
        options: Mapping[str, Any],
        cores: Cores,
        readout: Readout,
        layers: list[dict[str, Any]],
    ) -> None:
        super().__init__(network, board, options)
        self.cores = cores
        self.readout = readout
        self.layers = layers
        self._simulator: CoreSimulator | None = None
        self._events: dict[str, IntArray] = {}
        self._samples = 0

    @property
    def latency(self) -> Mapping[str, int]:
        """Ticks that splitter cores and bursts add, by population; ``run`` has taken them out.

        They count from the tick at which the netlist's step begins, which takes
        ``readout.period`` ticks; populations that are done earlier have none.
        """
        depth, period = self.netlist.schedule.depth, self.readout.period
        starts = zip(self.readout.populations, self.readout.starts, strict=True)
        late = {name: start - depth[name] * period for name, start in starts}
        return {name: ticks for name, ticks in late.items() if ticks > 0}

    def _run(self, request: RunRequest, progress: Progress | None) -> RunRecord:
        """Run a batch on the core simulator.

        Where the copies of one neuron differ, which only an edited file can cause, its spikes are
        recorded as -1. The events of the run are kept for :meth:`traffic`.

        Raises
        ------
        ExecutionError
            For membranes of a population whose comparison takes a ramp.
        """
        by_name, batch, T = self.netlist.by_name, request.batch, self.readout.timesteps
        on_chip, watched = request.spikes, request.membranes
        self.expect_membranes(watched)
        spikes: dict[str, AnyArray] = {
            n: np.zeros((batch, T, *by_name[n].shape), dtype=np.int8) for n in on_chip
        }
        traces: dict[str, AnyArray] = {
            n: np.zeros((batch, T, *by_name[n].shape), dtype=np.int64) for n in watched
        }
        simulator = self.prepared()
        keep = self.readout.cores_of(watched)
        blocks = {b.name for b in self.cores.lines if b.kind == "raster"}
        rasters = {n: request.stimulus[n].reshape(batch, T, -1).astype(np.uint8) for n in blocks}
        totals: dict[str, IntArray] = {}
        per_sample = self.cores.ticks * (simulator.n_streams * (5 if keep else 1) + 1)
        idle = IDLE if self.readout.period > 1 and not keep else 1
        chunk = max(1, idle * CHUNK_BYTES // per_sample)
        read = self.readout.cores_read(on_chip)
        for first in range(0, batch, chunk):
            part = slice(first, min(first + chunk, batch))
            chosen, size = {n: r[part] for n, r in rasters.items()}, part.stop - part.start
            runs, events = simulator.run(chosen, membranes=keep, spikes=read, batch=size)
            for n in on_chip:
                found = self.readout.spikes(n, by_name[n].size, runs)
                spikes[n][part] = found.reshape(spikes[n][part].shape)
            for n in watched:
                trace = self.readout.membranes(n, by_name[n].size, runs)
                traces[n][part] = trace.reshape(traces[n][part].shape)
            for event, counts in events.items():
                totals[event] = totals[event] + counts if event in totals else counts
            if progress is not None:
                progress(part.stop, batch)
        self._events, self._samples = totals, batch
        return RunRecord(T, spikes, traces)

    def expect_membranes(self, names: Collection[str]) -> None:
        """Refuse membranes that no chip neuron holds.

        Raises
        ------
        ExecutionError
            For a population whose comparison takes a ramp.
        """
        for name in filter(self.readout.is_ramped, names):
            raise ExecutionError(
                f"truenorth: {name}: the membrane of a split population with a ramp stands between "
                "its sum and what repays it; record its spikes"
            )

    def open_stream(self, samples: int) -> TargetStream:
        """Cores whose ticks go on from piece to piece."""
        from neurodeploy.targets.truenorth.stream import TrueNorthStream

        return TrueNorthStream(self, samples)

    def prepared(self) -> CoreSimulator:
        """The simulator of the cores, made once."""
        if self._simulator is None:
            self._simulator = CoreSimulator(self.cores, self._positions())
        return self._simulator

    def _positions(self) -> IntArray | None:
        if self.board is None:
            return None
        grid, place = self.board.grid, self.cores.place.astype(np.int64)
        chips = np.divmod(place[:, 0], grid.chips_y)
        found: IntArray = np.concatenate([grid.joint(*place.T), np.stack(chips, axis=1)], axis=1)
        return found

    @property
    def events(self) -> dict[str, IntArray]:
        """Events of the last run, int64 per core, summed over its samples (see the simulator)."""
        return dict(self._events)

    def traffic(self) -> Traffic:
        """Events of the last run for :mod:`neurodeploy.hardware.price`.

        Spikes that the host injects stand at the core that receives them, one per axon.

        Raises
        ------
        ExecutionError
            If nothing was run yet.
        """
        if not self._samples:
            raise ExecutionError("truenorth: no events before the first run; call run() first")
        events, cores = self._events, self.cores
        traffic = []
        for c in range(cores.n_cores):
            chip, x, y = (int(v) for v in cores.place[c])
            traffic.append(
                CoreTraffic(
                    chip=chip,
                    x=x,
                    y=y,
                    holds=self._holds(c),
                    neurons=int(cores.used[c].sum()),
                    synops=int(events["synops"][c]),
                    neuron_updates_active=int(events["updates_active"][c]),
                    neuron_updates_inactive=int(events["updates_inactive"][c]),
                    spikes=int(events["spikes"][c]),
                    packets=int(events["packets"][c] + events["host_in"][c]),
                    hops_x=int(events["hops_x"][c]),
                    hops_y=int(events["hops_y"][c]),
                    chip_crossings=int(events["chip_crossings"][c]),
                )
            )
        host_spikes = int(events["host_in"].sum())
        return Traffic(tuple(traffic), self._samples, cores.ticks, host_spikes)

    def _holds(self, core: int) -> str:
        owners = self.readout.population[core]
        index = int(owners.max(initial=-1))
        name = self.readout.populations[index] if index >= 0 else "nothing"
        used = owners >= 0
        if self.readout.lag[core][used].any():
            return f"splitter of {name}"
        what = {0: "", SUM: "sums of ", REPAY: "repayments of "}
        return (
            what.get(int(self.readout.mark[core][used].max(initial=0)), "partial sums of ") + name
        )

    def utilization(self) -> dict[str, Any]:
        """Cores, axons, neurons and crossings in use, and what each population got.

        ``layers`` holds per population: ``cores``, ``partial_cores`` among them, ``splitter_cores``
        in addition, ``core_bound`` (the least that could hold these neurons, copies and axon
        instances), ``neurons``, ``partial_neurons``, ``copies``, ``axons``, ``fan_in``,
        ``bias_axons``, ``gate_axons``, ``burst`` (M; 0 where nothing is split), ``early_spikes``
        (before the window, compensated), and per source its axon copies ``R`` and weight
        ``levels``. ``ticks_per_step`` is the largest M, ``inference_s`` the time of one sample.
        Only with ``split="approximate"``, ``approximated`` holds per split population: ``chunks``,
        ``rails`` (partial sums of a neuron), ``rail_neurons``, the range of ``unit`` (what
        a rail's spike is worth) and where units are from, and ``expected_error``, an estimate of
        the root mean square error that a run of a neuron ends with, in its spikes.
        """
        cores, limit = self.cores, 0 if self.board is None else self.board.grid.n_cores
        tick = None if self.board is None else self.board.tick
        axons = sum(int(cores.crossing(c).any(axis=1).sum()) for c in range(cores.n_cores))
        return {
            "cores": cores.n_cores,
            "cores_limit": limit,
            "core_bound": sum(entry["core_bound"] for entry in self.layers),
            "neurons": int(cores.used.sum()),
            "neurons_limit": cores.n_cores * cores.neurons,
            "axons": axons,
            "axons_limit": cores.n_cores * cores.axons,
            "crossings": int(np.unpackbits(cores.crossbar).sum()),
            "ticks_per_step": self.readout.period,
            "ticks_per_sample": cores.ticks,
            "inference_s": None if tick is None else cores.ticks * tick.si,
            **({} if self.restated is None else {"approximated": self.restated["populations"]}),
            "layers": self.layers,
        }

    def write_files(self, folder: Path) -> None:
        """Write the cores, the map to populations, and the compiler's report."""
        save_cores(self.cores, folder)
        save_readout(self.readout, self.layers, folder)
