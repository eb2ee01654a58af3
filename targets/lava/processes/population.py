"""A population with its synapses: one process, spikes through ports.

A process class has a fixed set of ports, so there is one class per number of incoming projections,
made on demand and kept in this module, where Lava's compiler looks for models.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.neurons import IntegerNeuron
from neurodeploy.ir.population import Population
from neurodeploy.ir.projection import IntegerProjection
from neurodeploy.targets.lava.dynamics import Timing, state_of
from neurodeploy.targets.lava.kernels import SynapticSum
from neurodeploy.targets.lava.recording import Lanes, StepCounters, StreamTiming, Trace


class PopulationProcess(AbstractProcess):  # type: ignore[misc]
    """Neurons of one population and the synapses onto them.

    In every time step it sends its spikes, then receives those of the same step; a delay of d
    steps is kept in a delay line here, so that cycles of any delay >= 1 run without deadlock.

    Ports: ``s_in_0`` ... one per incoming projection, ``s_out`` (signed payloads), ``v_out``
    (membranes after the reset). Var: ``v``.

    Parameters
    ----------
    population : Population
    depth : int
        First step of its window.
    incoming : sequence of (IntegerProjection, int)
        Projections with the depth of their source.
    timing : Timing or StreamTiming
    lane_shape : tuple of int
        ``()``: ports have the population's shape; ``(n,)``: n samples side by side.
    lanes : Lanes, optional
        Layout of what is recorded.
    record : mapping, optional
        ``spikes`` and ``membranes``: files to record into.
    counter : (Path, int), optional
        File and slot of the step counter.
    """

    n_incoming = 0

    def __init__(
        self,
        *,
        population: Population,
        depth: int,
        incoming: tuple[tuple[IntegerProjection, int], ...],
        timing: Timing | StreamTiming,
        lane_shape: tuple[int, ...] = (),
        lanes: Lanes | None = None,
        record: dict[str, Path] | None = None,
        counter: tuple[Path, int] | None = None,
    ) -> None:
        super().__init__(
            name=population.name,
            population=population,
            depth=depth,
            incoming=incoming,
            timing=timing,
            lane_shape=lane_shape,
            lanes=lanes,
            record=record or {},
            counter=counter,
        )
        shape = (*lane_shape, *population.shape)
        for i, (projection, _) in enumerate(incoming):
            setattr(
                self, f"s_in_{i}", InPort(shape=(*lane_shape, *projection.connectivity.pre_shape))
            )
        self.s_out = OutPort(shape=shape)
        self.v_out = OutPort(shape=shape)
        model = population.model
        v0 = population.spread(model.initial_membrane) if isinstance(model, IntegerNeuron) else 0
        self.v = Var(shape=shape, init=np.broadcast_to(v0, shape).astype(np.int32))


class _DelayLine:
    """Spikes of one source on their way, and what they amount to on arrival."""

    def __init__(
        self, projection: IntegerProjection, pre_depth: int, timing: Timing | StreamTiming
    ) -> None:
        assert projection.delay is not None  # a bundle gives every delay
        self._delay = projection.delay
        self._pre_depth = pre_depth
        self._timing = timing
        self._sum = SynapticSum(projection)
        self._spikes: list[IntArray | None] = [None] * self._delay

    def push(self, time_step: int, spikes: IntArray) -> None:
        self._spikes[time_step % self._delay] = spikes

    def arriving(self, time_step: int, sample: int) -> IntArray | None:
        """Input of this step; None if its source was dormant or in another sample then."""
        emitted = time_step - self._delay
        origin = self._timing.locate(emitted, self._pre_depth)
        spikes = self._spikes[emitted % self._delay]
        if origin is None or origin[0] != sample or spikes is None:
            return None
        return self._sum(spikes)


class PyPopulationModel(PyLoihiProcessModel):  # type: ignore[misc]
    """Fixed-point arithmetic of docs/semantics.md; one sample per lane."""

    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    v_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    v: np.ndarray[Any, Any] = LavaPyType(np.ndarray, np.int32, precision=24)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        population: Population = proc_params["population"]
        incoming: tuple[tuple[IntegerProjection, int], ...] = proc_params["incoming"]
        self._timing: Timing | StreamTiming = proc_params["timing"]
        self._depth: int = proc_params["depth"]
        self._port_shape = (*proc_params["lane_shape"], *population.shape)
        self._width = proc_params["lane_shape"][0] if proc_params["lane_shape"] else 1
        self._full = (self._width, *population.input_shape)
        self._state = state_of(population, self._width)
        self._lines = [_DelayLine(q, depth, self._timing) for q, depth in incoming]
        self._pre_shapes = [(self._width, *q.connectivity.pre_shape) for q, _ in incoming]
        record, lanes = proc_params["record"], proc_params["lanes"]
        self._traces = {what: Trace(path, lanes) for what, path in record.items()}
        counter = proc_params["counter"]
        self._counter = None if counter is None else (StepCounters(counter[0]), counter[1])
        self._silence = np.zeros(self._port_shape, dtype=np.int32)

    def run_spk(self) -> None:
        """One time step: integrate what arrives, send, then receive into the delay lines."""
        where = self._timing.locate(self.time_step, self._depth)
        spikes = self._silence if where is None else self._integrate(*where)
        self.s_out.send(spikes)
        self.v_out.send(self.v)
        for i, line in enumerate(self._lines):
            received = getattr(self, f"s_in_{i}").recv()
            line.push(self.time_step, received.reshape(self._pre_shapes[i]).astype(np.int64))
        if self._counter is not None:
            counters, slot = self._counter
            counters.done(slot)

    def _integrate(self, sample: int, t: int) -> np.ndarray[Any, Any]:
        if t == 0:
            self._state.restart()
        a = np.zeros(self._full, dtype=np.int64)
        for line in self._lines:
            arriving = line.arriving(self.time_step, sample)
            if arriving is not None:
                a += arriving
        emitted = self._state.step(a)
        if "spikes" in self._traces:
            self._traces["spikes"].write(sample, t, emitted)
        if "membranes" in self._traces:
            self._traces["membranes"].write(sample, t, self._state.v)
        self.v[...] = self._state.v.reshape(self._port_shape)
        return emitted.reshape(self._port_shape).astype(np.int32)


def population_classes(n_incoming: int) -> tuple[type[PopulationProcess], type[PyPopulationModel]]:
    """The process with that many incoming projections, and its model."""
    process_name, model_name = f"Population{n_incoming}", f"PyPopulation{n_incoming}Model"
    if process_name not in globals():
        names = {"__module__": __name__, "n_incoming": n_incoming}
        process = type(process_name, (PopulationProcess,), {**names, "__doc__": _DOC})
        ports = {
            f"s_in_{i}": LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
            for i in range(n_incoming)
        }
        model = type(
            model_name, (PyPopulationModel,), {**ports, "__module__": __name__, "__doc__": _DOC}
        )
        decorated = implements(proc=process, protocol=LoihiProtocol)(
            requires(CPU)(tag("fixed_pt")(model))
        )
        globals()[process_name], globals()[model_name] = process, decorated
    return globals()[process_name], globals()[model_name]


_DOC = "A population with its synapses, for one number of incoming projections."
