"""A network on input that comes in pieces, and has no known end."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from neurodeploy.datasets.events.binning import Binning, add_events, clip_counts
from neurodeploy.datasets.events.plain import open_arrays
from neurodeploy.datasets.events.recording import Events, shown_time
from neurodeploy.errors import (
    DataError,
    NeurodeployWarning,
    UnknownNameError,
    UsageError,
)
from neurodeploy.execution.native.library import available, load
from neurodeploy.ir.arrays import AnyArray, FloatArray, IntArray
from neurodeploy.ir.decoding import classify, decoded_values
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.neurons import Input
from neurodeploy.ir.record import RunRecord, checked_stimulus, expect_populations
from neurodeploy.ir.steady import expect_streamable, steady_bounds
from neurodeploy.ir.streaming import ReferenceStream
from neurodeploy.network import Network
from neurodeploy.stages.load import opened_network
from neurodeploy.targets.base import Deployment
from neurodeploy.targets.registry import TARGETS

EXECUTORS = ("engine", "reference")

NOTHING = Events(np.empty(0, np.int64), np.empty(0, np.int64))

Packet = Mapping[str, Any]
"""Arrays ``t``, ``x`` and, where there are, ``y`` and ``p`` of some events."""


def stream(
    net: Network | Deployment | str | Path,
    executor: str | None = None,
    *,
    samples: int = 1,
    dt: float | str | None = None,
    size: tuple[int, int] | int | str | None = None,
    polarity: str = "split",
    count: str = "binary",
    start: str = "aligned",
    downsample: int = 1,
    unit: str | None = None,
) -> Stream:
    """Run a network piece by piece: a sample without end, whose state is kept between the pieces.

    The pieces give the spikes that one run of all of them would give.

    Parameters
    ----------
    net : Network or path
        With spikes as input, and bounds that do not grow with the number of steps.
    executor : {"engine", "reference"}, optional
        The engine for integer netlists, the reference for others by default.
    samples : int
        Streams side by side, of rasters.
    dt : float or str, optional
        Length of a step in seconds or as ``"1ms"``, for pieces that are events.
    size, polarity, count, start, downsample, unit
        Of events, as of :meth:`neurodeploy.Samples.events`; steps begin at multiples of dt by
        default, so that packets of whole steps can be cut without knowing the first event.

    Raises
    ------
    CapacityError
        If a bound grows with the number of steps; with the number that fits.
    UsageError
        For a deployment, whose target keeps nothing between runs, or an executor that cannot.
    """
    if isinstance(net, Deployment):
        raise _keeps_nothing(net.target, "deployment.network.stream()")
    network = opened_network(net, "stream")
    if executor in TARGETS.entries():
        raise _keeps_nothing(str(executor), "executor='engine'")
    if executor is not None and executor not in EXECUTORS:
        raise UnknownNameError("executor of streams", executor, EXECUTORS)
    if samples < 1:
        raise UsageError(f"stream: samples {samples}; expected at least 1")
    binning = None
    if dt is not None:
        binning = Binning.checked(
            "stream",
            dt=dt,
            steps=None,
            size=size,
            polarity=polarity,
            count=count,
            start=start,
            duration=None,
            downsample=downsample,
            sort=True,
        )
    return Stream(network, executor, samples, binning, unit)


def _keeps_nothing(target: str, remedy: str) -> UsageError:
    return UsageError(
        f"stream: target {target} keeps no state between runs; stream the network on the engine, "
        f"which gives the same spikes: {remedy}"
    )


class Stream:
    """A network that receives its input piece by piece; made by :func:`neurodeploy.stream`.

    Attributes
    ----------
    executor : str
        What runs it.
    steps : int
        Steps of the input so far.
    lost : int
        Events so far that their counts do not show.
    """

    def __init__(
        self,
        network: Network,
        executor: str | None,
        samples: int,
        binning: Binning | None,
        unit: str | None,
    ) -> None:
        netlist = network.netlist
        self.network, self.samples = network, samples
        self._binning, self._unit = binning, unit
        whole = isinstance(netlist, IntegerNetlist)
        self._bounds = steady_bounds(netlist) if isinstance(netlist, IntegerNetlist) else None
        expect_streamable(netlist)
        native = whole and available()
        if executor == "engine" and not native:
            what = "its library is not built here" if whole else "real-valued netlists"
            raise UsageError(
                f"stream: the engine streams integer netlists on native kernels; {what}: use "
                "executor='reference'"
            )
        self.executor = executor or ("engine" if native else "reference")
        self.reset()

    def __repr__(self) -> str:
        return f"Stream({self.network.netlist.name} on the {self.executor}, {self.steps} steps)"

    def reset(self) -> None:
        """Begin again: at rest, at step 0."""
        netlist = self.network.netlist
        if self.executor == "engine":
            from neurodeploy.execution.native.stream import NativeStream

            assert isinstance(netlist, IntegerNetlist)
            assert self._bounds is not None
            self._run: Any = NativeStream(netlist, load(), self.samples, self._bounds)
        else:
            self._run = ReferenceStream(netlist, self.samples)
        self.steps = self.lost = 0
        self._origin: int | None = None
        self._finished = False
        self._answers: dict[str, AnyArray] = {}

    def step(
        self,
        given: Mapping[str, AnyArray] | AnyArray | Packet,
        steps: int | None = None,
        *,
        membranes: Collection[str] = (),
    ) -> RunRecord:
        """Run the next steps.

        Parameters
        ----------
        given : array, mapping of inputs to arrays, or mapping t, x, y, p of events
            Spikes ``[K, *shape]`` of one stream or ``[B, K, *shape]`` of several; or some events,
            which belong to steps by their times: of streams that were made with ``dt``.
        steps : int, optional
            Of events: how many steps pass. [default: up to that of the last event]
        membranes : collection of str
            Populations whose membranes are returned, beside those that answer by it.

        Returns
        -------
        RunRecord
            Of these steps alone: spikes of all populations, ``[B, K, *shape]``.

        Raises
        ------
        DataError
            If the input does not fit, or events belong to steps that are over or to come.
        UnknownNameError
            For a population that does not exist.
        UsageError
            After :meth:`finish`.
        """
        netlist = self.network.netlist
        expect_populations(netlist, membranes)
        if self._finished:
            raise UsageError("stream: it is finished; reset() begins another")
        values = self._events(given, steps) if _is_packet(given) else self._raster(given, steps)
        length = next(iter(values.values())).shape[1]
        read = [o.population for o in netlist.outputs if o.reads_membrane]
        found: RunRecord = self._run.step(values, length, {*membranes, *read})
        self.steps += length
        self._answered(found)
        return found

    def finish(self) -> RunRecord:
        """Run what is still under way, where delays that were given make populations lag behind.

        Most networks have none, and the record is of 0 steps. The stream is over then, and begins
        again with :meth:`reset`.
        """
        self._finished = True
        if not isinstance(self._run, ReferenceStream):
            return RunRecord(0, {}, {})
        outputs = self.network.netlist.outputs
        found = self._run.finish([o.population for o in outputs if o.reads_membrane])
        self._answered(found)
        return found

    @property
    def outputs(self) -> dict[str, FloatArray]:
        """The answers so far, by output: float64 ``[B, *shape]`` in units of the source network.

        Raises
        ------
        UsageError
            Before the first step, or of an output that is read by spiking softmax.
        """
        netlist = self.network.netlist
        answers = {}
        for output in netlist.outputs:
            if output.decode == "softmax" or output.population not in self._answers:
                why = "no step has run" if not self.steps else "softmax needs all steps at once"
                raise UsageError(f"stream: output {output.population} has no answer: {why}")
            population = netlist.by_name[output.population]
            values = self._answers[output.population]
            answers[output.population] = decoded_values(population, output, values, self.steps)
        return answers

    @property
    def classes(self) -> IntArray:
        """The class of each stream so far, int64 ``[B]``: the largest output, the first of equals.

        Raises
        ------
        UsageError
            With several outputs, or before the first step.
        """
        answers = self.outputs
        if len(answers) != 1:
            raise UsageError(f"stream: {len(answers)} outputs; read outputs[NAME]")
        (values,) = answers.values()
        return classify(values).labels

    def _answered(self, found: RunRecord) -> None:
        netlist = self.network.netlist
        for output in netlist.outputs:
            name = output.population
            if output.reads_membrane:
                trace = found.membranes.get(name)
                if trace is not None and trace.shape[1]:
                    self._answers[name] = trace[:, -1] - netlist.by_name[name].origin
            else:
                self._answers[name] = self._answers.get(name, 0) + found.spikes[name].sum(axis=1)

    def _raster(
        self, given: Mapping[str, AnyArray] | AnyArray, steps: int | None
    ) -> dict[str, IntArray]:
        netlist = self.network.netlist
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
        netlist = self.network.netlist
        binning = self._binning
        if binning is None or binning.dt is None:
            raise UsageError("stream: events need the length of a step; make it with dt='1ms'")
        if len(netlist.inputs) != 1 or self.samples != 1:
            raise DataError("stream: events are for one input and one stream; pass rasters")
        (population,) = netlist.inputs
        block = next(open_arrays("stream", given, self._unit).blocks, NOTHING)
        if self._origin is None and len(block.t):
            self._origin = binning.origin("stream", int(block.t.min()))
        index = (block.t - (self._origin or 0)) // binning.dt - self.steps
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
                warnings.warn(
                    f"stream: {lost} of {added} events of a piece are not counted, others came to "
                    f"their place in the same step (count={binning.count}, input "
                    f"{population.name} takes up to {population.model.high}); told once, see "
                    "Stream.lost",
                    NeurodeployWarning,
                    stacklevel=3,
                )
            self.lost += lost
        return {population.name: out[None]}

    def _expect_now(self, block: Events, index: IntArray, length: int) -> None:
        if length < 1:
            late = "" if not len(index) else ", all of steps that are over"
            raise DataError(f"stream: a piece of {len(index)} events{late}; pass steps=N with it")
        wrong = np.flatnonzero((index < 0) | (index >= length))
        if wrong.size:
            at = int(wrong[0])
            raise DataError(
                f"stream: an event at {shown_time(int(block.t[at]))} belongs to step "
                f"{self.steps + int(index[at])}, this piece is steps {self.steps} to "
                f"{self.steps + length - 1}"
            )


def _is_packet(given: object) -> TypeGuard[Packet]:
    return isinstance(given, Mapping) and {"t", "x"} <= set(given)
