"""A sample in pieces on the reference: what the whole sample would do, piece after piece.

Time is counted as windows count it: step t of one population hears step t + s of another,
``s = depth(post) - depth(pre) - delay``. Where s is at most 0, which it is unless somebody gave
projections delays of their own, all of a piece is known when its input is. Where it is above 0 the
receiver lags behind: it waits for input that the sender has yet to get.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping

import numpy as np

from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.netlist import IntegerNetlist, Projection, RealNetlist
from neurodeploy.ir.neurons import Input
from neurodeploy.ir.record import RunRecord
from neurodeploy.ir.reference import PopulationState, synaptic_input


def stream_shifts(netlist: IntegerNetlist | RealNetlist) -> dict[int, int]:
    """``s`` of every projection, by its id."""
    depth = netlist.schedule.depth
    return {
        id(q): depth[q.post] - depth[q.pre] - delay
        for q, delay in zip(netlist.projections, netlist.schedule.delays, strict=True)
    }


def stream_lags(netlist: IntegerNetlist | RealNetlist) -> dict[str, int]:
    """Steps by which each population stays behind the input, for what it is yet to hear."""
    shifts, component = stream_shifts(netlist), netlist.schedule.component_of
    lags = dict.fromkeys(netlist.by_name, 0)
    for members in netlist.schedule.components:
        outside = [
            lags[q.pre] + shifts[id(q)]
            for name in members
            for q in netlist.incoming[name]
            if component[q.pre] != component[name]
        ]
        for name in members:
            lags[name] = max([0, *outside])
    return lags


class ReferenceStream:
    """The reference on a stream: a netlist that :mod:`neurodeploy.ir.steady` lets run without end.

    Parameters
    ----------
    netlist : IntegerNetlist or RealNetlist
    batch : int
        Streams side by side.
    """

    def __init__(self, netlist: IntegerNetlist | RealNetlist, batch: int) -> None:
        self.netlist, self.batch = netlist, batch
        self.number = np.int64 if isinstance(netlist, IntegerNetlist) else np.float64
        self.lags, self.shifts = stream_lags(netlist), stream_shifts(netlist)
        self.states = {
            p.name: PopulationState(p, batch, self.number)
            for p in netlist.populations
            if not isinstance(p.model, Input)
        }
        kept = dict.fromkeys(netlist.by_name, 0)
        for q in netlist.projections:
            kept[q.pre] = max(kept[q.pre], self._age(q))
        self.past: dict[str, deque[AnyArray]] = {n: deque(maxlen=k + 1) for n, k in kept.items()}
        self.place = {name: i for i, name in enumerate(netlist.schedule.order)}
        self.given = self.time = 0

    def _age(self, projection: Projection) -> int:
        """Steps of the stream since the sender emitted what the receiver hears."""
        lags = self.lags[projection.post] - self.lags[projection.pre]
        return lags - self.shifts[id(projection)]

    def step(
        self, values: Mapping[str, IntArray], steps: int, membranes: Collection[str] = ()
    ) -> RunRecord:
        """Run the next steps; ``values`` int64 ``[B, steps, *shape]`` by input.

        A population with a lag has fewer steps in the first piece, and the rest at the end.
        """
        self.given += steps
        return self._advance(values, steps, membranes)

    def finish(self, membranes: Collection[str] = ()) -> RunRecord:
        """Run what lags behind, after the last piece."""
        return self._advance({}, max(self.lags.values()), membranes)

    def close(self) -> None:
        """Nothing is held."""

    def _advance(
        self, values: Mapping[str, IntArray], steps: int, membranes: Collection[str]
    ) -> RunRecord:
        spikes: dict[str, list[AnyArray]] = {name: [] for name in self.netlist.by_name}
        traces: dict[str, list[AnyArray]] = {name: [] for name in membranes}
        for i in range(steps):
            for name in self.netlist.schedule.order:
                self._step(name, values, i, spikes, traces)
            self.time += 1
        return RunRecord(
            steps,
            {name: self._stacked(name, rows, np.int64) for name, rows in spikes.items()},
            {name: self._stacked(name, rows, self.number) for name, rows in traces.items()},
        )

    def _step(
        self,
        name: str,
        values: Mapping[str, IntArray],
        i: int,
        spikes: dict[str, list[AnyArray]],
        traces: dict[str, list[AnyArray]],
    ) -> None:
        population = self.netlist.by_name[name]
        if not 0 <= self.time - self.lags[name] < self.given:
            # Its window is not open yet, or the sample has ended.
            self.past[name].append(np.zeros((self.batch, *population.shape), np.int64))
            return
        if isinstance(population.model, Input):
            emitted: AnyArray = values[name][:, i]
        else:
            a = np.zeros((self.batch, *population.input_shape), dtype=self.number)
            for projection in self.netlist.incoming[name]:
                past, age = self.past[projection.pre], self._age(projection)
                # What comes later in a cycle has not emitted in this step; nothing hears that.
                place = age if self.place[projection.pre] < self.place[name] else age - 1
                if place < len(past):
                    a = a + synaptic_input(projection, past[-1 - place])
            state = self.states[name]
            emitted = state.step(a)
            if name in traces:
                traces[name].append(state.v)
        self.past[name].append(emitted)
        spikes[name].append(emitted)

    def _stacked(self, name: str, rows: list[AnyArray], dtype: type) -> AnyArray:
        shape = self.netlist.by_name[name].shape
        if not rows:
            return np.zeros((self.batch, 0, *shape), dtype)
        return np.stack(rows, axis=1)
