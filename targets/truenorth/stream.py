"""A stream on crossbar cores: the chip's ticks go on from piece to piece."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from neurodeploy.errors import CapacityError
from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.bounds import prove_bounds
from neurodeploy.ir.record import RunRecord
from neurodeploy.ir.steady import steady_bounds
from neurodeploy.targets.stream import TargetStream
from neurodeploy.targets.truenorth.checks import bound_violations
from neurodeploy.targets.truenorth.cores import Cores
from neurodeploy.targets.truenorth.deployment import TrueNorthDeployment
from neurodeploy.targets.truenorth.limits import CrossbarLimits
from neurodeploy.targets.truenorth.one_core import CoreRun
from neurodeploy.targets.truenorth.readout import Span


class TrueNorthStream(TargetStream):
    """Cores that keep their membranes, and the spikes under way, between pieces.

    The chip knows no windows: what the host sends goes on for as long as the stream. A population
    answers as many steps late as it and its last copy are behind the input.
    """

    def __init__(self, deployment: TrueNorthDeployment, samples: int) -> None:
        self.deployment = deployment
        readout, lines = deployment.readout, deployment.cores.lines
        _expect_held(deployment)
        # A step of the input is awaited as long as the first spike that it sends.
        self._early = min([0, *(b.offset for b in lines if b.kind == "raster")])
        self._lag = {name: readout.lag_of(name) for name in readout.populations}
        behind = {
            name: (start + self._lag[name] - self._early) // readout.period
            for name, start in zip(readout.populations, readout.starts, strict=True)
        }
        netlist = deployment.netlist
        lags = {p.name: behind.get(p.name, 0) for p in netlist.populations}
        super().__init__(deployment.target, netlist, samples, lags)
        self._simulator = deployment.prepared()
        self._held = self._simulator.at_rest(samples)
        self._host = _Host(deployment.cores, samples)
        self._tick = 0
        self._runs: list[CoreRun] = []

    def _advance(self, values: Mapping[str, IntArray], steps: int) -> RunRecord:
        readout = self.deployment.readout
        self.deployment.expect_membranes(self.watched)
        self._host.give(values, self.time)
        until = (self.time + steps) * readout.period + self._early
        if until > self._tick:
            keep = readout.cores_of(self.watched)
            fresh = self._simulator.advance(self._host.until(until), self._held, keep)
            # There is nothing before the first piece.
            joined = [_joined(*pair) for pair in zip(self._runs, fresh, strict=False)]
            self._runs = joined or fresh
            self._tick = until
        found: dict[str, AnyArray] = {}
        traces: dict[str, AnyArray] = {}
        for name in readout.populations:
            found[name] = self._read(readout.spikes, name, steps)
            if name in self.watched:
                traces[name] = self._read(readout.membranes, name, steps)
        # The last copies repeat what the first ones emitted so many ticks ago.
        most = max(self._lag.values(), default=0)
        self._runs = [_last(run, most) for run in self._runs]
        return RunRecord(steps, found, traces)

    def _read(self, read: Callable[..., AnyArray], name: str, steps: int) -> AnyArray:
        population, (first, end) = self.netlist.by_name[name], self.span(name, steps)
        shape = (self.samples, end - first, *population.shape)
        if first == end:
            return np.zeros(shape, np.int64)
        span = Span(first, end, self._tick - len(self._runs[0].spikes))
        return read(name, population.size, self._runs, span).reshape(shape)


class _Host:
    """What the host sends to a stream: rasters, and its own spikes for as long as it goes on."""

    def __init__(self, cores: Cores, batch: int) -> None:
        self._cores = cores
        self._tick = 0
        self._rows: AnyArray = np.zeros((0, batch, cores.line_start.size - 1), np.uint8)

    def give(self, values: Mapping[str, IntArray], first: int) -> None:
        """Add the steps of the input from ``first`` on."""
        for block in self._cores.lines:
            if block.kind != "raster":
                continue
            raster = values[block.name]
            raster = raster.reshape(*raster.shape[:2], -1).astype(np.uint8)
            arrival = block.offset + block.period * (first + np.arange(raster.shape[1]))
            sent = np.flatnonzero(arrival >= max(block.open, self._tick))
            if sent.size:
                self._reach(int(arrival.max()) + 1)
                where = slice(block.first, block.first + block.count)
                self._rows[arrival[sent] - self._tick, :, where] = raster[:, sent].swapaxes(0, 1)

    def until(self, tick: int) -> AnyArray:
        """Take the spikes up to a tick: ``[ticks, B, lines]``."""
        self._reach(tick)
        rows, self._rows = np.split(self._rows, [tick - self._tick])
        ticks = np.arange(self._tick, tick)
        for block in self._cores.lines:
            if block.kind == "constant":
                on = (ticks >= block.open) & ((ticks - block.open) % block.period == 0)
                rows[on, :, block.first : block.first + block.count] = 1
        self._tick = tick
        return rows

    def _reach(self, tick: int) -> None:
        missing = tick - self._tick - len(self._rows)
        if missing > 0:
            more = np.zeros((missing, *self._rows.shape[1:]), np.uint8)
            self._rows = np.concatenate([self._rows, more])


def _joined(before: CoreRun, after: CoreRun) -> CoreRun:
    spikes = np.concatenate([before.spikes, after.spikes])
    if before.membranes is None or after.membranes is None:
        return replace(after, spikes=spikes)
    return replace(
        after, spikes=spikes, membranes=np.concatenate([before.membranes, after.membranes])
    )


def _last(run: CoreRun, ticks: int) -> CoreRun:
    """The last so many ticks of a run."""
    first = max(0, len(run.spikes) - ticks)
    traces = None if run.membranes is None else run.membranes[first:].copy()
    return replace(run, spikes=run.spikes[first:].copy(), membranes=traces)


def _expect_held(deployment: TrueNorthDeployment) -> None:
    """Refuse what is not proved to fit for any number of steps.

    Raises
    ------
    CapacityError
        If a membrane is not, or where splits were compiled for bounds that T had not settled.
    """
    netlist, board = deployment.netlist, deployment.board
    steady, where = steady_bounds(netlist), f"{netlist.name}: cannot run as a stream"
    if board is not None:
        found = bound_violations(netlist, CrossbarLimits.from_board(board), steady)
        if found:
            raise CapacityError(f"{where} on target {deployment.target}: {found[0]}")
    if deployment.readout.period == 1:
        return
    for name, proved in prove_bounds(netlist).items():
        later = steady[name]
        if not (
            np.array_equal(proved.v_low, later.v_low)
            and np.array_equal(proved.v_high, later.v_high)
        ):
            raise CapacityError(
                f"{where} on target {deployment.target}: {name}: splits are compiled for bounds of "
                f"T = {netlist.timesteps}, which grow further; compile it with more time steps"
            )
