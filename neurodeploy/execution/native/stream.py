"""The native engine on a stream: states and spikes under way are kept from piece to piece."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

import numpy as np

from neurodeploy.errors import UsageError
from neurodeploy.execution.native import structures
from neurodeploy.execution.native.engine import NativeEngine
from neurodeploy.execution.native.library import Library
from neurodeploy.execution.order import channels_last
from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.bounds import PopulationBounds
from neurodeploy.ir.netlist import IntegerNetlist, Population
from neurodeploy.ir.neurons import IntegerNeuron
from neurodeploy.ir.record import RunRecord, joined_steps, no_steps
from neurodeploy.ir.reference import synaptic_input
from neurodeploy.ir.streaming import stream_lags, stream_shifts

MOST_STEPS = 64
"""Steps that one call takes; longer pieces are cut."""
STATES = 4
"""v, u, what the last spike takes off, refractory steps to come."""


class NativeStream:
    """An integer netlist on the native engine, a sample in pieces; equals the reference.

    Parameters
    ----------
    netlist : IntegerNetlist
    library : Library
    batch : int
        Streams side by side.
    bounds : mapping
        Of any number of steps, as :func:`neurodeploy.ir.steady.steady_bounds` proves them.

    Raises
    ------
    CapacityError
        If a state is not proved to fit.
    UsageError
        If a population hears what its senders emit only later.
    """

    def __init__(
        self,
        netlist: IntegerNetlist,
        library: Library,
        batch: int,
        bounds: Mapping[str, PopulationBounds],
    ) -> None:
        lagging = next((name for name, lag in stream_lags(netlist).items() if lag), None)
        if lagging is not None:
            raise UsageError(
                f"{netlist.name}: {lagging} waits for spikes that come later than its window opens "
                "(delays given to its projections), which the engine does not stream; use "
                "executor='reference'"
            )
        self.netlist, self.batch = netlist, batch
        self.most_steps = MOST_STEPS
        self.engine = NativeEngine(netlist, library, self.most_steps, bounds=bounds)
        self.number = np.int64 if self.engine.program.wide else np.int32
        self.shifts = stream_shifts(netlist)
        kept = dict.fromkeys(netlist.by_name, 0)
        for q in netlist.projections:
            kept[q.pre] = max(kept[q.pre], -self.shifts[id(q)])
        self.past: dict[str, IntArray] = {
            name: np.zeros((batch, k, *netlist.by_name[name].shape), np.int64)
            for name, k in kept.items()
            if k
        }
        self.states: dict[str, AnyArray] = {
            p.name: np.zeros((batch, STATES * math.prod(p.shape)), self.number)
            for p in netlist.populations
            if isinstance(p.model, IntegerNeuron)
        }
        self.started = False

    def step(
        self, values: Mapping[str, IntArray], steps: int, membranes: Collection[str] = ()
    ) -> RunRecord:
        """Run the next steps; ``values`` int64 ``[B, steps, *shape]`` by input."""
        parts = []
        for first in range(0, steps, self.most_steps):
            part = slice(first, min(first + self.most_steps, steps))
            given = {name: v[:, part] for name, v in values.items()}
            parts.append(self._piece(given, part.stop - part.start, membranes))
        return joined_steps(parts)

    def finish(self, membranes: Collection[str] = ()) -> RunRecord:
        """Nothing: no population lags behind."""
        return no_steps(self.netlist, self.batch, membranes)

    def close(self) -> None:
        """Nothing is held."""

    def _piece(
        self, values: Mapping[str, IntArray], steps: int, membranes: Collection[str]
    ) -> RunRecord:
        # Memory was laid out for the most steps; fewer need less of it.
        self.engine.timesteps = self.engine.program.structure.timesteps = steps
        pending = self._pending(steps)

        def carry(population: Population, want: structures.Wanted) -> None:
            name = population.name
            if name in self.states:
                want.state = self.states[name].ctypes.data
                want.resume = self.started
            if name in pending:
                want.pending = pending[name].ctypes.data
                want.pending_steps = pending[name].shape[1]

        names = set(self.netlist.by_name)
        record = self.engine.recorded(values, self.batch, names, set(membranes), also=carry)
        self.started = True
        for name, past in self.past.items():
            joined = np.concatenate([past, record.spikes[name]], axis=1)
            self.past[name] = joined[:, -past.shape[1] :]
        return record

    def _pending(self, steps: int) -> dict[str, AnyArray]:
        """What each population hears in the first steps from before them, in the engine's order."""
        found: dict[str, AnyArray] = {}
        for name, incoming in self.netlist.incoming.items():
            first = min(steps, max((-self.shifts[id(q)] for q in incoming), default=0))
            if not first:
                continue
            shape = self.netlist.by_name[name].input_shape
            total = np.zeros((self.batch, first, *shape), np.int64)
            for q in incoming:
                late = -self.shifts[id(q)]
                for t in range(min(late, first)):
                    total[:, t] += synaptic_input(q, self.past[q.pre][:, t - late])
            own = channels_last(total, shape).astype(self.number)
            found[name] = np.ascontiguousarray(own)
        return found
