"""The compiled network as one process, for Lava programs of your own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from lava.magma.core.decorator import implements, tag
from lava.magma.core.model.sub.model import AbstractSubProcessModel
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var

from neurodeploy.errors import UsageError
from neurodeploy.ir.neurons import Input, IntegerNeuron
from neurodeploy.network import Network
from neurodeploy.targets.lava.bundle import Bundle, load_bundle
from neurodeploy.targets.lava.dynamics import Timing
from neurodeploy.targets.lava.network import connect_populations, population_process
from neurodeploy.targets.lava.target import LavaDeployment, LavaTarget


class NeurodeployNetwork(AbstractProcess):  # type: ignore[misc]
    """A compiled network: an InPort per input and an OutPort per output population.

    Ports have the population's shape in (C, H, W) order and are named after it, with every
    character that Python does not allow in a name replaced by ``_``. An InPort takes the integers
    of the input in every step: the raster of a ``spikes`` input, the same value over and over of
    a ``current`` input. An OutPort carries the signed payloads of a population that fires, and the
    membrane after each step of one that only integrates. The membrane of every output is also the
    Var ``NAME_v``.

    What a source sends in Lava time step ``start_step + k * interval + t`` is step t of sample k;
    the answer to it leaves the output in time step ``start_step + k * interval + latency + t``.

    Parameters
    ----------
    source : str, Path, Network or Bundle
        A deployment folder of the Lava target, or an integer netlist, compiled with own models.
    timesteps : int, optional
        T: samples of T steps follow one another, and each starts from rest. None: free-running;
        every population starts once, when the wave front reaches it, and never stops. Bounds are
        proved for the compiled T only.
    interval : int, optional
        Steps from one sample to the next; T by default. What is sent between samples is dropped.
    start_step : int
        Lava time step (the first is 1) of step 0 of the first sample.
    name : str, optional

    Attributes
    ----------
    inputs, outputs : mapping of population name to port
    membranes : mapping of output population name to Var
    latency : mapping of output population name to int
        Steps from an input to its effect on that output.

    Raises
    ------
    UsageError
        For stock models, for more steps than the bounds were proved for, or for an output that is
        an input.
    """

    def __init__(
        self,
        *,
        source: str | Path | Network | Bundle,
        timesteps: int | None = None,
        interval: int | None = None,
        start_step: int = 1,
        name: str | None = None,
    ) -> None:
        bundle = _bundle(source)
        if timesteps is not None and not 1 <= timesteps <= bundle.timesteps:
            raise UsageError(
                f"{bundle.netlist.name}: timesteps {timesteps}; bounds are proved for 1 to "
                f"{bundle.timesteps}"
            )
        every = interval if interval is not None else timesteps or 1
        if every < (timesteps or 1) or start_step < 1:
            raise UsageError(
                f"{bundle.netlist.name}: interval {every} and start_step {start_step}; expected at "
                f"least {timesteps or 1} and 1"
            )
        super().__init__(
            name=name or bundle.netlist.name,
            bundle=bundle,
            timing=Timing(timesteps, every, None, start_step),
        )
        self.inputs: Mapping[str, InPort] = {}
        self.outputs: Mapping[str, OutPort] = {}
        self.membranes: Mapping[str, Var] = {}
        inputs, outputs, membranes = {}, {}, {}
        for population in bundle.netlist.inputs:
            inputs[population.name] = InPort(shape=population.shape)
            self._expose(population.name, "", inputs[population.name])
        read = [o.population for o in bundle.netlist.outputs]
        for output in read:
            population = bundle.by_name[output]
            if isinstance(population.model, Input):
                raise UsageError(f"{bundle.netlist.name}: output {output!r} is an input")
            outputs[output] = OutPort(shape=population.shape)
            membranes[output] = Var(shape=population.shape, init=_initial(bundle, output))
            self._expose(output, "", outputs[output])
            self._expose(output, "_v", membranes[output])
        self.inputs, self.outputs, self.membranes = inputs, outputs, membranes
        self.latency: Mapping[str, int] = {n: bundle.depth[n] for n in read}

    def _expose(self, population: str, suffix: str, member: InPort | OutPort | Var) -> None:
        attribute = re.sub(r"\W", "_", population) + suffix
        if attribute[0].isdigit() or hasattr(self, attribute):
            attribute = "population_" + attribute
        if hasattr(self, attribute):
            raise UsageError(f"population {population!r}: its port {attribute!r} exists already")
        setattr(self, attribute, member)


def _bundle(source: str | Path | Network | Bundle) -> Bundle:
    if isinstance(source, Network):
        deployment = LavaTarget().compile(source)
        assert isinstance(deployment, LavaDeployment)
        bundle = deployment.bundle
    elif isinstance(source, Bundle):
        bundle = source
    else:
        bundle = load_bundle(Path(source))
    if bundle.models != "own":
        raise UsageError(
            f"{bundle.netlist.name}: compiled to stock processes; compile with models=own to use "
            "it as one process"
        )
    return bundle


def _initial(bundle: Bundle, output: str) -> np.ndarray:  # type: ignore[type-arg]
    population = bundle.by_name[output]
    if isinstance(population.model, IntegerNeuron):
        return population.spread(population.model.initial_membrane).astype(np.int32)
    return np.zeros(population.shape, dtype=np.int32)


@implements(proc=NeurodeployNetwork)
@tag("fixed_pt")
class NetworkModel(AbstractSubProcessModel):  # type: ignore[misc]
    """One process per population that is not an input, wired inside."""

    def __init__(self, proc: NeurodeployNetwork) -> None:
        bundle: Bundle = proc.proc_params["bundle"]
        timing: Timing = proc.proc_params["timing"]
        processes = {}
        for i, population in enumerate(bundle.populations):
            if isinstance(population.model, Input):
                continue
            process, _ = population_process(bundle, population.name, timing=timing)
            # Lava finds the processes of a network among its attributes.
            setattr(self, f"population_{i}", process)
            processes[population.name] = process
        connect_populations(bundle, processes)
        for name, process in processes.items():
            for i, projection in enumerate(bundle.incoming(name)):
                if projection.pre in proc.inputs:
                    proc.inputs[projection.pre].connect(getattr(process, f"s_in_{i}"))
        for name, port in proc.outputs.items():
            model = bundle.by_name[name].model
            integrates = isinstance(model, IntegerNeuron) and model.threshold is None
            (processes[name].v_out if integrates else processes[name].s_out).connect(port)
            proc.membranes[name].alias(processes[name].v)
