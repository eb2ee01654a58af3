"""The processes of a run and how they are wired."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lava.magma.core.process.process import AbstractProcess

from neurodeploy.ir.neurons import Input
from neurodeploy.targets.lava.bundle import Bundle
from neurodeploy.targets.lava.job import Job
from neurodeploy.targets.lava.processes.population import PopulationProcess, population_classes
from neurodeploy.targets.lava.processes.stimulus import PyStimulusModel, StimulusSource


@dataclass
class Network:
    """Processes, the model that each runs, and the step counters of those that count.

    Parameters
    ----------
    models : dict
        Process -> process model.
    slots : dict
        Process -> its slot among the step counters.
    links : list of (process, process)
        Which processes are connected.
    """

    models: dict[AbstractProcess, type] = field(default_factory=dict)
    slots: dict[AbstractProcess, int] = field(default_factory=dict)
    links: list[tuple[AbstractProcess, AbstractProcess]] = field(default_factory=list)

    def parts(self) -> list[list[AbstractProcess]]:
        """The connected parts of the network."""
        number = {p: i for i, p in enumerate(self.models)}
        for a, b in self.links:
            old, new = number[a], number[b]
            number = {p: new if i == old else i for p, i in number.items()}
        parts: dict[int, list[AbstractProcess]] = {}
        for process, i in number.items():
            parts.setdefault(i, []).append(process)
        return list(parts.values())

    def next_slot(self) -> int:
        """A free step counter."""
        return len(self.slots)


def own_network(job: Job, bundle: Bundle) -> Network:
    """One process per population, samples side by side."""
    network = Network()
    lanes = job.lanes
    timing = job.timing(bundle)
    processes: dict[str, Any] = {}
    for population in bundle.populations:
        slot = network.next_slot()
        shared: dict[str, Any] = {
            "timing": timing,
            "lane_shape": (lanes.width,),
            "lanes": lanes,
            "record": job.recorded(bundle, population.name),
            "counter": (job.counters, slot),
        }
        if isinstance(population.model, Input):
            stimulus = job.file(bundle, "stimulus", population.name)
            process: AbstractProcess = StimulusSource(
                population=population, stimulus=stimulus, **shared
            )
            network.models[process] = PyStimulusModel
        else:
            process, model = population_process(bundle, population.name, **shared)
            network.models[process] = model
        network.slots[process] = slot
        processes[population.name] = process
    connect_populations(bundle, processes, network)
    return network


def population_process(
    bundle: Bundle, name: str, **parameters: Any
) -> tuple[PopulationProcess, type]:
    """The process of one population and its model, not yet connected."""
    incoming = tuple((q, bundle.depth[q.pre]) for q in bundle.incoming(name))
    process_class, model = population_classes(len(incoming))
    made = process_class(
        population=bundle.by_name[name],
        depth=bundle.depth[name],
        incoming=incoming,
        **parameters,
    )
    return made, model


def connect_populations(
    bundle: Bundle, processes: dict[str, Any], network: Network | None = None
) -> None:
    """Connect the processes of populations; sources that are not among them are left out."""
    for name, process in processes.items():
        for i, projection in enumerate(bundle.incoming(name)):
            source = processes.get(projection.pre)
            if source is None:
                continue
            source.s_out.connect(getattr(process, f"s_in_{i}"))
            if network is not None:
                network.links.append((source, process))
