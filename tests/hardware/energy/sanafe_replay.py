"""Replay of a mapped run in SANA-FE, with every spike and every state forced to ours.

SANA-FE (Boyle et al. 2025, IEEE TCAD, doi 10.1109/TCAD.2025.3537971) is a test dependency (GPL-3):
it is imported on demand, and its own Loihi architecture file is read from the installed package.

Each neuron is one of SANA-FE's integrate-and-fire units. Before every step it is told its potential
(0 or not), its bias (0 or not), and, by its threshold, whether it fires; weights are 0. Which
messages are sent, which synapses they reach, which updates that makes and what everything costs
SANA-FE decides. What it cannot express goes to a *sink* of the core, an input unit that costs
nothing, and the update that follows is forced by a bias: synapses whose spikes do not arrive in the
next step of an open window, and those of a second kind on one population.

Spikes of ``spikes`` inputs come from input units, which cost nothing themselves, on every core they
reach (or where ``Placement.held`` puts them).
"""

from __future__ import annotations

import contextlib
import io
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neurodeploy.hardware.cut.core_map import CoreMap
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.connectivity import SumPool
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Population
from neurodeploy.ir.neurons import Input, IntegerNeuron, MaxPool
from neurodeploy.ir.record import RunRecord

VERSION = "2.2.9"
SYNAPSE_UNITS = {
    "dense": "loihi_dense_synapse",
    "sparse": "loihi_sparse_synapse",
    "conv": "loihi_conv_synapse",
    "sumpool": "loihi_conv_synapse",
}
# Potentials are 0 or 1 here: no neuron crosses the first, every one crosses the second.
_SILENT, _FIRES = 1e6, -1.0

Parts = list[tuple[int, AnyArray]]
"""(core, flat indices that lie on it)."""


def unit_by_kind(projection: IntegerProjection) -> str:
    """The synapse unit for the kind of a projection."""
    return SYNAPSE_UNITS[projection.connectivity.kind]


@dataclass(frozen=True)
class Placement:
    """What lies where: cores as (tile, core of the tile), neurons and accumulators by core."""

    cores: tuple[tuple[int, int], ...]
    held: Mapping[str, Parts]
    cells: Mapping[str, Parts]

    @classmethod
    def of(cls, mapping: CoreMap, netlist: IntegerNetlist) -> Placement:
        """The placement of a mapping on one chip."""
        seen: dict[int, int] = {}
        cores = []
        held: dict[str, Parts] = {}
        cells: dict[str, Parts] = {}
        for k, core in enumerate(mapping.cores):
            if core.chip:
                raise ValueError("SANA-FE's Loihi has one chip")
            tile = core.x * mapping.board.grid.tiles_y + core.y
            cores.append((tile, seen.setdefault(tile, 0)))
            seen[tile] += 1
            for part in core.slices:
                population = netlist.by_name[part.population]
                index = part.indices(population.shape)
                held.setdefault(part.population, []).append((k, index))
                if isinstance(population.model, MaxPool):
                    entry = (k, _cells_of(population, population.model, index))
                    cells.setdefault(part.population, []).append(entry)
        return cls(tuple(cores), held, cells)


def _cells_of(population: Population, pool: MaxPool, outputs: AnyArray) -> AnyArray:
    # From the first to the last that the windows meet, along every axis.
    windows = SumPool(np.ones(pool.channels, dtype=np.int64), pool.window).as_depthwise()
    post, pre, _ = windows.to_coo()
    met = np.unravel_index(pre[np.isin(post, outputs)], population.input_shape)
    axes = [np.unique(np.unravel_index(outputs, population.shape)[0])]
    axes += [np.arange(a.min(), a.max() + 1) if a.size else np.arange(0) for a in met[1:]]
    return np.ravel_multi_index(np.ix_(*axes), population.input_shape).reshape(-1)


@dataclass(frozen=True)
class Units:
    """Neurons of one kind: where they lie and what is forced on them.

    ``state``, ``bias`` and ``fires`` are bool ``[steps, n]``: before the update the state is not 0;
    the update has a bias (or input that no synapse brings); it fires. ``source``: flat index in the
    population.
    """

    core: AnyArray
    source: AnyArray
    state: AnyArray
    bias: AnyArray
    fires: AnyArray
    synapse: str = ""


@dataclass(frozen=True)
class Synapses:
    """Synapses of one projection between two units; ``sunk``: they end on sinks of their cores."""

    pre: str
    post: str
    source: AnyArray
    target: AnyArray
    unit: str
    sunk: bool


@dataclass(frozen=True)
class Scene:
    """A run, written out: everything that happens, on which core, in which step."""

    placement: Placement
    units: Mapping[str, Units]
    inputs: Mapping[str, Units]
    synapses: list[Synapses]
    steps: int


def stage(
    placement: Placement,
    netlist: IntegerNetlist,
    record: RunRecord,
    *,
    unit_of: Callable[[IntegerProjection], str] = unit_by_kind,
) -> Scene:
    """Write out a run of one sample with all spikes and membranes recorded."""
    plan, T = netlist.schedule, record.timesteps
    steps = T + plan.max_depth
    off_chip = {p.name for p in netlist.inputs if p.model.kind == "current"}

    def in_time(name: str, values: AnyArray) -> AnyArray:
        raster = np.zeros((steps, values[0].size), dtype=bool)
        raster[plan.depth[name] : plan.depth[name] + T] = values.reshape(T, -1)
        return raster

    def around(name: str, raster: AnyArray, before: AnyArray, after: AnyArray) -> AnyArray:
        """What stands before and after the window, which the chip does not know."""
        raster[: plan.depth[name]] = before.reshape(-1)
        raster[plan.depth[name] + T :] = after.reshape(-1)
        return raster

    spikes = {name: in_time(name, values[0] != 0) for name, values in record.spikes.items()}
    written = [q for q in netlist.projections if q.pre not in off_chip]
    coo = {id(q): q.connectivity.to_coo()[:2] for q in written}
    delay = {id(q): d for q, d in zip(netlist.projections, plan.delays, strict=True)}
    unit: dict[str, str] = {}
    for q in written:
        unit.setdefault(q.post, unit_of(q))
    sunk = {
        id(q): unit_of(q) != unit[q.post]
        or delay[id(q)] != 1
        or plan.depth[q.post] != plan.depth[q.pre] + 1
        for q in written
    }

    arriving = {p.name: np.zeros((T, *_flat(p)), dtype=bool) for p in netlist.populations}
    unseen = {p.name: np.zeros((T, *_flat(p)), dtype=bool) for p in netlist.populations}
    for q in written:
        post, pre = coo[id(q)]
        offset = plan.depth[q.pre] + delay[id(q)] - plan.depth[q.post]
        for t in range(max(0, -offset), min(T, T - offset)):
            fired = record.spikes[q.pre][0, t].reshape(-1) != 0
            for seen in [arriving] + [unseen] * sunk[id(q)]:
                seen[q.post][t + offset, post[fired[pre]]] = True

    units: dict[str, Units] = {}
    inputs: dict[str, Units] = {}
    for p in netlist.populations:
        name = p.name
        if isinstance(p.model, Input):
            reached = {q.post for q in written if q.pre == name}
            parts = placement.held.get(name)
            if parts is None:
                on = sorted({c for r in reached for c, _ in placement.held[r]})
                parts = [(c, np.arange(p.size)) for c in on]
            if reached:
                none = np.zeros_like(spikes[name])
                inputs[name] = _units(parts, none, none, spikes[name])
            continue
        after = record.membranes[name][0] != 0
        before = np.concatenate([np.zeros_like(after[:1]), after[:-1]])
        bias = unseen[name].reshape(T, *p.input_shape)
        if isinstance(p.model, MaxPool):
            seen = np.logical_or.accumulate(arriving[name])
            since = np.concatenate([np.zeros_like(seen[:1]), seen[:-1]])
            written_in = from_host(netlist, p, record).reshape(-1) != 0
            no = np.zeros_like(written_in)
            args = (
                around(name, in_time(name, since), no, seen[-1]),
                around(name, in_time(name, unseen[name] | written_in), written_in, written_in),
            )
            cells = _units(placement.cells[name], *args, np.zeros((steps, seen[0].size), bool))
            units[f"{name}/cells"] = Units(**(vars(cells) | {"synapse": unit.get(name, "")}))
            # What reaches the output of a pool comes from its accumulators, not from synapses.
            bias, always = after, np.zeros_like(after[0])
        else:
            assert isinstance(p.model, IntegerNeuron)
            before[0] = p.spread(p.model.initial_membrane) != 0
            always = p.spread(p.model.bias) + from_host(netlist, p, record) != 0
            bias = bias | always
            if p.model.has_current_memory:
                # The state of a synaptic current, which SANA-FE's neuron does not have.
                bias = bias | after | (record.spikes[name][0] != 0)
        rasters = (
            around(name, in_time(name, before), before[0], after[-1]),
            around(name, in_time(name, bias), always, always),
            spikes[name],
        )
        found = _units(placement.held[name], *rasters)
        units[name] = Units(**(vars(found) | {"synapse": unit.get(name, "")}))

    synapses = []
    for q in written:
        post, pre = coo[id(q)]
        target = f"{q.post}/cells" if f"{q.post}/cells" in units else q.post
        copies = placement.cells[q.post] if target != q.post else placement.held[q.post]
        source_units = inputs.get(q.pre) or units[q.pre]
        first = 0
        for core, held in copies:
            where = np.full(netlist.by_name[q.post].input_shape, -1).reshape(-1)
            where[held] = first + np.arange(held.size)
            first += held.size
            here = where[post] >= 0
            lookup = np.full(netlist.by_name[q.pre].size, -1)
            local = q.pre in inputs and q.pre not in placement.held
            mine = source_units.core == core if local else np.ones(source_units.core.size, bool)
            lookup[source_units.source[mine]] = np.flatnonzero(mine)
            ends = lookup[pre[here]], where[post[here]]
            synapses.append(Synapses(q.pre, target, *ends, unit_of(q), sunk[id(q)]))
    return Scene(placement, units, inputs, synapses, steps)


def _flat(population: Population) -> tuple[int]:
    return (int(np.prod(population.input_shape)),)


def _units(parts: Parts, state: AnyArray, bias: AnyArray, fires: AnyArray) -> Units:
    core = np.concatenate([np.full(index.size, k) for k, index in parts])
    index = np.concatenate([index for _, index in parts])
    return Units(core, index, state[:, index], bias[:, index], fires[:, index])


def from_host(netlist: IntegerNetlist, population: Population, record: RunRecord) -> AnyArray:
    """What the host writes into the neurons for ``current`` inputs."""
    total = np.zeros(population.input_shape, dtype=np.int64)
    for q in netlist.incoming[population.name]:
        pre = netlist.by_name[q.pre].model
        if isinstance(pre, Input) and pre.kind == "current":
            total = total + q.synaptic_input(record.spikes[q.pre][:1, 0].astype(np.int64))[0]
    return total


@dataclass(frozen=True)
class Costs:
    """Constants of SANA-FE's architecture file, in joules and seconds (energy, latency)."""

    synapse: Mapping[str, tuple[float, float]]
    access: tuple[float, float]
    update: tuple[float, float]
    spike: tuple[float, float]
    axon_out: tuple[float, float]
    axon_in: tuple[float, float]
    hop: Mapping[str, float]
    sync: Mapping[int, float]


def architecture_text() -> str:
    """SANA-FE's own Loihi."""
    import sanafe

    return (Path(sanafe.__file__).parent / "examples" / "loihi.yaml").read_text()


def read_costs() -> Costs:
    """The constants of :func:`architecture_text`."""
    import sanafe

    text = architecture_text()
    core = sanafe.load_loihi().tiles[0].cores[0]
    units = {unit.name: unit.model_info.model_attributes for unit in core.pipeline_hw}
    soma = units["loihi_lif"]
    free = [units["loihi_inputs[0]"], units["loihi_dendrites"]]
    if any(v for u in free for k, v in u.items() if k.startswith(("energy", "latency"))):
        raise ValueError("input units or dendrites of this SANA-FE are not free")
    table = re.search(r"^ *latency_sync: *\{(.*)\}", text, re.MULTILINE)
    assert table is not None
    pairs = (entry.split(":") for entry in table[1].split(","))
    out, into = core.axon_out[0].metrics, core.axon_in[0].metrics
    return Costs(
        {
            name: (units[name]["energy_process_spike"], units[name]["latency_process_spike"])
            for name in SYNAPSE_UNITS.values()
        },
        (soma["energy_access_neuron"], soma["latency_access_neuron"]),
        (soma["energy_update_neuron"], soma["latency_update_neuron"]),
        (soma["energy_spike_out"], soma["latency_spike_out"]),
        (out.energy_message_out, out.latency_message_out),
        (into.energy_message_in, into.latency_message_in),
        {
            side: float(re.search(rf"energy_{side}_hop: *(\S+)", text)[1])  # type: ignore[index]
            for side in ("east", "west", "north", "south")
        },
        {int(tiles): float(seconds) for tiles, seconds in pairs},
    )


@dataclass(frozen=True)
class Counted:
    """Energies and times per step; ``core_energy`` ``[steps, cores]`` is without the hops."""

    synapse: AnyArray
    dendrite: AnyArray
    soma: AnyArray
    network: AnyArray
    total: AnyArray
    time: AnyArray
    core_energy: AnyArray
    updated: AnyArray
    fired: AnyArray
    packets: AnyArray
    hops: AnyArray
    synops: AnyArray


def counted(runs: list[dict[str, Any]], placement: Placement) -> Counted:
    """What SANA-FE says about runs of one step each."""

    def column(key: str) -> AnyArray:
        return np.array([run["perf_trace"][key][0] for run in runs])

    names = [f"loihi_tile[{t}].loihi_core[{c}].energy" for t, c in placement.cores]
    return Counted(
        *(column(f"{k}_energy") for k in ("synapse", "dendrite", "soma", "network", "total")),
        column("sim_time"),
        np.stack([column(name) for name in names], axis=1),
        column("updated"),
        column("fired"),
        np.array([run["packets_sent"] for run in runs]),
        column("hops"),
        column("spikes"),
    )


def load_logging_architecture(free_units: int) -> Any:
    """SANA-FE's Loihi with energies by core, ``free_units`` input units and room for them."""
    import sanafe

    text = architecture_text()
    for old, new in (
        (
            "max_neurons_supported: 1024",
            "max_neurons_supported: 8192\n            log_energy: true",
        ),
        # One unit for every input of a core; making all 1024 takes seconds.
        ("loihi_inputs[0..1023]", f"loihi_inputs[0..{max(1, free_units)}]"),
    ):
        if text.count(old) != 1:
            raise ValueError(f"the architecture file of this SANA-FE does not say {old!r} once")
        text = text.replace(old, new)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "loihi.yaml"
        path.write_text(text)
        return sanafe.load_arch(path)


def replay(scene: Scene) -> Counted:
    """Run a scene in SANA-FE, step by step, in "simple" timing."""
    import sanafe

    inputs = [np.bincount(u.core, minlength=1).max() for u in scene.inputs.values()]
    sunk = {part.unit for part in scene.synapses if part.sunk}
    arch = load_logging_architecture(int(sum(inputs)) + len(sunk))
    net = sanafe.Network()
    cores = [arch.tiles[tile].cores[offset] for tile, offset in scene.placement.cores]
    groups = {}
    free_units = np.zeros(len(cores), dtype=np.int64)
    for name, units in scene.units.items():
        groups[name] = net.create_neuron_group(
            name,
            units.core.size,
            model_attributes={"threshold": _SILENT},
            default_synapse_hw_name=units.synapse,
            soma_hw_name="loihi_lif",
        )
        for neuron, core in zip(groups[name], units.core.tolist(), strict=True):
            neuron.map_to_core(cores[core])

    def free(name: str, on: AnyArray, synapse: str = "") -> Any:
        group = net.create_neuron_group(name, len(on), default_synapse_hw_name=synapse)
        for neuron, core in zip(group, on, strict=True):
            neuron.set_attributes(soma_hw_name=f"loihi_inputs[{free_units[core]}]")
            neuron.map_to_core(cores[core])
            free_units[core] += 1
        return group

    for name, units in scene.inputs.items():
        groups[name] = free(name, units.core)
        for i, neuron in enumerate(groups[name]):
            neuron.set_attributes(model_attributes={"spikes": units.fires[:, i].tolist()})
    sinks = {unit: free(f"sinks {unit}", np.arange(len(cores)), unit) for unit in sorted(sunk)}
    for part in scene.synapses:
        target, ends = groups[part.post], part.target
        if part.sunk:
            target, ends = sinks[part.unit], scene.units[part.post].core[part.target]
        if part.source.size:
            pairs = list(zip(part.source.tolist(), ends.tolist(), strict=True))
            weights = {"w": [0.0] * len(pairs)}
            groups[part.pre].connect_neurons_sparse(target, weights, pairs)
    chip = sanafe.SpikingChip(arch)
    chip.load(net)
    mapped = {name: chip.mapped_neuron_groups[name] for name in scene.units}
    runs = []
    for step in range(scene.steps):
        for name, units in scene.units.items():
            _force(mapped[name], units, step)
        runs.append(single_step(chip))
    return counted(runs, scene.placement)


def single_step(chip: Any) -> dict[str, Any]:
    """Run one step, without SANA-FE's progress lines."""
    with contextlib.redirect_stdout(io.StringIO()):
        done: dict[str, Any] = chip.sim(1, timing_model="simple", perf_trace=True)
    return done


def _force(neurons: Any, units: Units, step: int) -> None:
    touched = units.state[step] | units.bias[step] | units.fires[step]
    if step:
        touched |= units.state[step - 1] | units.bias[step - 1] | units.fires[step - 1]
    for i in np.flatnonzero(touched).tolist():
        neurons[i].set_attributes(
            # Not soma_attributes, which this version hands to the dendrite.
            model_attributes={
                "potential": float(units.state[step, i]),
                "bias": float(units.bias[step, i]),
                "threshold": _FIRES if units.fires[step, i] else _SILENT,
            }
        )
