"""What enters a stream piece by piece: rasters, or events that become rasters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

import numpy as np

from neurodeploy.datasets.events.binning import Binning
from neurodeploy.datasets.events.plain import open_arrays
from neurodeploy.datasets.events.raster import add_events, clip_counts
from neurodeploy.datasets.events.recording import Events, shown_time
from neurodeploy.errors import DataError, UsageError, warn_user
from neurodeploy.ir.arrays import AnyArray, IntArray, whole
from neurodeploy.ir.netlist import IntegerNetlist, RealNetlist
from neurodeploy.ir.neurons import Input
from neurodeploy.ir.record import checked_stimulus

NOTHING = Events(np.empty(0, np.int64), np.empty(0, np.int64))

Packet = Mapping[str, Any]
"""Arrays ``t``, ``x`` and, where there are, ``y`` and ``p`` of some events."""


class StreamInput:
    """The input of a stream.

    Attributes
    ----------
    steps : int
        Those that ran.
    lost : int
        Events so far that their counts do not show.
    """

    def __init__(
        self,
        netlist: IntegerNetlist | RealNetlist,
        samples: int,
        binning: Binning | None,
        unit: str | None,
    ) -> None:
        self.netlist, self.samples = netlist, samples
        self.steps = self.lost = 0
        self._binning, self._unit = binning, unit
        self._origin: int | None = None

    def values(
        self, given: Mapping[str, AnyArray] | AnyArray | Packet, steps: int | None
    ) -> dict[str, IntArray]:
        """The next steps by input, int64 ``[B, steps, *shape]``; see :meth:`Stream.step`."""
        if steps is not None and whole(steps, "stream: steps") < 1:
            raise DataError(f"stream: steps {steps}; expected at least 1")
        if isinstance(given, np.ndarray) and given.dtype.names:
            given = {name: given[name] for name in given.dtype.names}
        return self._events(given, steps) if _is_packet(given) else self._raster(given, steps)

    def _raster(
        self, given: Mapping[str, AnyArray] | AnyArray, steps: int | None
    ) -> dict[str, IntArray]:
        netlist = self.netlist
        if not isinstance(given, Mapping):
            if len(netlist.inputs) != 1:
                raise DataError(
                    f"stream: an array for a network of {len(netlist.inputs)} inputs; pass a "
                    "mapping by input"
                )
            given = {netlist.inputs[0].name: given}
        arrays = {}
        for name, values in given.items():
            array = np.asarray(values)
            rank = len(netlist.by_name[name].shape) if name in netlist.by_name else 0
            arrays[name] = array[None] if array.ndim == rank + 1 else array
        lengths = {a.shape[1] for a in arrays.values() if a.ndim > 1}
        if len(lengths) != 1 or lengths & {0} or (steps is not None and lengths != {steps}):
            told = "" if steps is None else f", steps={steps}"
            raise DataError(f"stream: pieces of {sorted(lengths)} steps{told}; expected one length")
        checked, batch = checked_stimulus(netlist, arrays, lengths.pop())
        if batch != self.samples:
            raise DataError(
                f"stream: a piece of {batch} samples for {self.samples} streams; make it with "
                f"samples={batch}"
            )
        return checked

    def _events(self, given: Packet, steps: int | None) -> dict[str, IntArray]:
        """The raster of the next steps, from events."""
        netlist = self.netlist
        binning = self._binning
        if binning is None or binning.dt is None:
            raise UsageError("stream: events need the length of a step; make it with dt='1ms'")
        if len(netlist.inputs) != 1 or self.samples != 1:
            raise DataError("stream: events are for one input and one stream; pass rasters")
        (population,) = netlist.inputs
        block = next(open_arrays("stream", given, self._unit).blocks, NOTHING)
        origin = self._origin
        if origin is None and len(block.t):
            origin = binning.origin("stream", int(block.t.min()))
            if binning.start != "zero":
                # Silence told the time before: the first event is of the piece that brings it.
                origin -= self.steps * binning.dt
        index = (block.t - (origin or 0)) // binning.dt - self.steps
        length = steps
        if length is None:
            length = int(index.max()) + 1 if len(index) else 0
        self._expect_now(block, index, length)
        out = np.zeros((length, *population.shape), np.int64)
        assert isinstance(population.model, Input)
        if len(index):
            added = add_events("stream", binning, block, index, None, out)
            lost = clip_counts(binning, population.model.high, out, added)
            if lost and not self.lost:
                warn_user(
                    f"stream: {lost} of {added} events of a piece are not counted, others came to "
                    f"their place in the same step (count={binning.count}, input "
                    f"{population.name} takes up to {population.model.high}); told once, see "
                    "Stream.lost"
                )
            self.lost += lost
        self._origin = origin
        return {population.name: out[None]}

    def _expect_now(self, block: Events, index: IntArray, length: int) -> None:
        if length < 1:
            late = "" if not len(index) else ", all of steps that are over"
            raise DataError(f"stream: a piece of {len(index)} events{late}; pass steps=N with it")
        wrong = np.flatnonzero((index < 0) | (index >= length))
        if wrong.size:
            at = int(wrong[0])
            assert self._binning is not None
            from_zero = "; start='zero' counts steps from 0 of the clock"
            raise DataError(
                f"stream: an event at {shown_time(int(block.t[at]))} belongs to step "
                f"{self.steps + int(index[at])}, this piece is steps {self.steps} to "
                f"{self.steps + length - 1}{'' if self._binning.start == 'zero' else from_zero}"
            )


def _is_packet(given: object) -> TypeGuard[Packet]:
    return isinstance(given, Mapping) and {"t", "x"} <= set(given)
