"""A network on input that comes in pieces, and has no known end."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from neurodeploy.datasets import EventSamples
from neurodeploy.datasets.events.binning import Binning
from neurodeploy.datasets.events.pieces import pieces
from neurodeploy.datasets.events.spec import read_events
from neurodeploy.errors import DataError, UnknownNameError, UsageError
from neurodeploy.execution.native.library import available, load
from neurodeploy.ir.arrays import AnyArray, FloatArray, IntArray, whole
from neurodeploy.ir.decoding import classify, decoded_values, expect_classes
from neurodeploy.ir.netlist import IntegerNetlist, Output
from neurodeploy.ir.neurons import Input
from neurodeploy.ir.record import RunRecord, expect_populations
from neurodeploy.ir.steady import expect_streamable, steady_bounds
from neurodeploy.ir.streaming import ReferenceStream
from neurodeploy.network import Network
from neurodeploy.stages.compile import compile
from neurodeploy.stages.load import opened, wrong_kind
from neurodeploy.stages.stream_input import Packet, StreamInput
from neurodeploy.targets.base import Deployment
from neurodeploy.targets.registry import TARGETS

EXECUTORS = ("engine", "reference")


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
    net : Network, Deployment or path of either
        With spikes as input, and bounds that do not grow with the number of steps.
    executor : {"engine", "reference"} or name of a target, optional
        The engine for integer netlists, the reference for others by default; a deployment runs
        itself. A target compiles with its default options.
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
        For an executor that cannot, or a target that keeps nothing between runs.
    """
    given = opened(net, "stream")
    network = given.network if isinstance(given, Deployment) else given
    if isinstance(given, Deployment) and executor is not None:
        raise UsageError(
            f"stream: a deployment for target {given.target} runs itself; leave executor="
            f"{executor!r} out, or stream its network: deployment.network.stream({executor!r})"
        )
    if whole(samples, "stream: samples") < 1:
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
    if executor in TARGETS.entries():
        given = compile(network, str(executor))
    if isinstance(given, Deployment):
        made = given
        return Stream(
            made.network, made.target, samples, binning, unit, lambda: made.open_stream(samples)
        )
    name, begin = _built_in(network, executor, samples)
    return Stream(network, name, samples, binning, unit, begin)


def _built_in(
    network: Network, executor: str | None, samples: int
) -> tuple[str, Callable[[], Running]]:
    """The engine or the reference: its name, and what begins a stream on it."""
    netlist = network.netlist
    if executor is not None and executor not in EXECUTORS:
        raise UnknownNameError("executor of streams", executor, [*EXECUTORS, *TARGETS])
    if not isinstance(netlist, IntegerNetlist):
        expect_streamable(netlist)
        if executor == "engine":
            raise UsageError(_NO_ENGINE.format("real-valued netlists"))
        return "reference", lambda: ReferenceStream(netlist, samples)
    bounds, whole = steady_bounds(netlist), netlist
    if executor == "engine" and not available():
        raise UsageError(_NO_ENGINE.format("its library is not built here"))
    if executor == "reference" or not available():
        return "reference", lambda: ReferenceStream(netlist, samples)
    from neurodeploy.execution.native.stream import NativeStream

    return "engine", lambda: NativeStream(whole, load(), samples, bounds)


_NO_ENGINE = (
    "stream: the engine streams integer netlists on native kernels; {}: use executor='reference'"
)


class Running(Protocol):
    """What runs a stream."""

    def step(
        self, values: Mapping[str, IntArray], steps: int, membranes: Collection[str] = ()
    ) -> RunRecord:
        """Run the next steps; ``values`` int64 ``[B, steps, *shape]`` by input."""

    def finish(self, membranes: Collection[str] = ()) -> RunRecord:
        """Run what lags behind, after the last piece."""

    def close(self) -> None:
        """Let go what it holds."""


class Stream:
    """A network that receives its input piece by piece; made by :func:`neurodeploy.stream`.

    Attributes
    ----------
    executor : str
        What runs it: the reference, the engine or a target.
    """

    def __init__(
        self,
        network: Network,
        executor: str,
        samples: int,
        binning: Binning | None,
        unit: str | None,
        begin: Callable[[], Running],
    ) -> None:
        self.network, self.executor, self.samples = network, executor, samples
        self._given, self._begin = (network.netlist, samples, binning, unit), begin
        self._run: Running | None = None
        self.reset()

    def __repr__(self) -> str:
        where = f"the {self.executor}" if self.executor in EXECUTORS else self.executor
        return f"Stream({self.network.netlist.name} on {where}, {self.steps} steps)"

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    @property
    def steps(self) -> int:
        """Steps of the input so far."""
        return self._input.steps

    @property
    def lost(self) -> int:
        """Events so far that their counts do not show."""
        return self._input.lost

    def close(self) -> None:
        """End it, and let go what its target holds, which also happens when nobody uses it."""
        self._finished = True
        if self._run is not None:
            self._run.close()

    def reset(self) -> None:
        """Begin again: at rest, at step 0."""
        if self._run is not None:
            self._run.close()
        self._run = self._begin()
        self._input = StreamInput(*self._given)
        self._finished = False
        self._answers: dict[str, AnyArray] = {}
        self._answered_steps: dict[str, int] = {}

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
            Spikes ``[K, *shape]`` of one stream or ``[B, K, *shape]`` of several; or some events
            (also an array with fields t, x, y, p), which belong to steps by their times: of
            streams that were made with ``dt``. Steps without events before the first one count.
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
        expect_populations(self.network.netlist, membranes)
        run = self._open_run()
        values = self._input.values(given, steps)
        length = next(iter(values.values())).shape[1]
        found = run.step(values, length, self._watched(membranes))
        self._input.steps += length
        self._answered(found)
        return found

    def play(self, events: EventSamples | str, every: int, sample: int = 0) -> Iterator[RunRecord]:
        """Run a recording, ``every`` steps at a time, and at its end what lags behind.

        Parameters
        ----------
        events : EventSamples or str
            As :meth:`neurodeploy.Samples.events` returns them with ``dt``, or a text as
            ``"events:PATH#dt=1ms"``. However long it is, it is read block by block.
        every : int
            Steps of a piece.
        sample : int
            Which of the recordings.

        Yields
        ------
        RunRecord
            Of each piece, as of :meth:`step`, and as of :meth:`finish`.

        Raises
        ------
        DataError, FileFormatError
            If the events do not fit the input, or the file is damaged.
        UsageError
            For several inputs or streams, or events without ``dt``.
        """
        given = read_events(events) if isinstance(events, str) else events
        if whole(every, "stream: steps of a piece") < 1:
            raise UsageError(f"stream: pieces of {every} steps; expected at least 1")
        if not isinstance(given, EventSamples):
            raise wrong_kind("stream", given, "recordings, as events:PATH#dt=1ms names them")
        netlist = self.network.netlist
        if len(netlist.inputs) != 1 or self.samples != 1:
            raise DataError("stream: a recording is for one input and one stream")
        (population,) = netlist.inputs
        assert isinstance(population.model, Input)
        one = given.subset([sample])
        found = pieces(
            one.recordings[0], one.binning, population.shape, population.model.high, every
        )
        for raster, lost in found:
            self._input.lost += lost
            yield self.step(raster)
        yield self.finish()

    def finish(self, *, membranes: Collection[str] = ()) -> RunRecord:
        """Run what is still under way: what populations answer behind their input.

        Targets run as hardware does, and a population of depth l answers l steps later. On the
        engine and the reference only delays that were given make populations lag, and most
        networks have none: the record is of 0 steps. The stream is over then, and begins again
        with :meth:`reset`.
        """
        run = self._open_run()
        self._finished = True
        found = run.finish(self._watched(membranes))
        self._answered(found)
        return found

    def _open_run(self) -> Running:
        if self._finished or self._run is None:
            raise UsageError("stream: it is finished; reset() begins another")
        return self._run

    def _watched(self, membranes: Collection[str]) -> tuple[str, ...]:
        """Populations whose membranes are recorded: those that answer by them among them."""
        read = (o.population for o in self.network.netlist.outputs if o.reads_membrane)
        return tuple(dict.fromkeys((*membranes, *read)))

    @property
    def outputs(self) -> dict[str, FloatArray]:
        """The answers so far, by output: float64 ``[B, *shape]`` in units of the source network.

        Raises
        ------
        UsageError
            Before the first step, or of an output that is read by spiking softmax.
        """
        answers = {}
        for output in self.network.netlist.outputs:
            answer = self.answer(output)
            if answer is None:
                why = f"it lags behind the {self.steps} steps of the input"
                if output.decode == "softmax":
                    why = "softmax needs all steps at once"
                if not self.steps:
                    why = "no step has run"
                raise UsageError(f"stream: output {output.population} has no answer: {why}")
            answers[output.population] = answer
        return answers

    def answer(self, output: Output) -> FloatArray | None:
        """What an output of the network answers so far, as in :attr:`outputs`, or None."""
        name = output.population
        if output.decode == "softmax" or name not in self._answers:
            return None
        population = self.network.netlist.by_name[name]
        return decoded_values(population, output, self._answers[name], self._answered_steps[name])

    @property
    def classes(self) -> IntArray:
        """The class of each stream so far, int64 ``[B]``: the largest output, the first of equals.

        Raises
        ------
        UsageError
            With several outputs, one of a single value or a map, or before the first step.
        """
        answers = self.outputs
        if len(answers) != 1:
            raise UsageError(f"stream: {len(answers)} outputs; read outputs[NAME]")
        ((name, values),) = answers.items()
        expect_classes("stream", name, values)
        return classify(values).labels

    def _answered(self, found: RunRecord) -> None:
        netlist = self.network.netlist
        for output in netlist.outputs:
            name = output.population
            fresh = found.spikes[name]
            if not fresh.shape[1]:
                continue
            if output.reads_membrane:
                self._answers[name] = found.membranes[name][:, -1] - netlist.by_name[name].origin
            else:
                self._answers[name] = self._answers.get(name, 0) + fresh.sum(axis=1)
            self._answered_steps[name] = self._answered_steps.get(name, 0) + fresh.shape[1]
