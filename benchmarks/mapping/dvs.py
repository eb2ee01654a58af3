"""Mappings of the DVS-gesture network that comes with SANA-FE, priced spike by spike.

The network's kernels, thresholds and input frame are read from the data file of the sanafe package
(nothing of the package is run). Its tutorial spreads the layers over 1, 4, 16, 16, 4 and 1 cores in
equal runs of neurons, positions first and channels last, on cores in index order. Every mapping is
priced by the same written-out synapses with the constants of board sanafe-loihi: energy without
static power, and the "simple" time, the sum over steps of the busiest core and the barrier.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.boards.loading import load_board
from neurodeploy.hardware.boards.records import SYNOPS_BY_KIND
from neurodeploy.hardware.cut.core_map import CoreMap
from neurodeploy.hardware.cut.partition import Preference, partition
from neurodeploy.hardware.price.activity import activity_from_record, membranes_needed
from neurodeploy.hardware.price.traffic import synapse_kind
from neurodeploy.hardware.search import place_by_activity
from neurodeploy.ir.arrays import AnyArray, FloatArray, IntArray
from neurodeploy.ir.connectivity import Conv, Dense
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Output, Population
from neurodeploy.ir.neurons import IntegerNeuron
from neurodeploy.ir.record import RunRecord
from neurodeploy.ir.reference import run_reference
from neurodeploy.render.text import render_table

STEPS = 100
TUTORIAL_CORES = (1, 4, 16, 16, 4, 1)
# The largest weight has a magnitude of 289.
WEIGHT_BITS = 10


def dvs_file() -> Path | None:
    """The data file of an installed sanafe package, found without running it."""
    found = importlib.util.find_spec("sanafe")
    for folder in (found.submodule_search_locations or []) if found is not None else []:
        path = Path(folder) / "examples" / "dvs_challenge.npz"
        if path.is_file():
            return path
    return None


def dvs_network(file: Path, timesteps: int = STEPS) -> IntegerNetlist:
    """Four convolutions and a dense layer behind neurons that the frame drives as biases."""
    with np.load(file, allow_pickle=False) as arrays:
        data: dict[str, AnyArray] = {name: arrays[name].astype(np.int64) for name in arrays.files}
    threshold = data["thresholds"]

    def neuron(layer: int, bias: AnyArray) -> IntegerNeuron:
        return IntegerNeuron(np.asarray(threshold[layer]), bias, np.array(0))

    none = np.zeros((), dtype=np.int64)
    frame = data["inputs"].reshape(1, 32, 32)
    populations = [Population("frame", frame.shape, neuron(0, frame))]
    projections = []
    for layer in range(1, 6):
        pre = populations[-1]
        if layer < 5:
            kernel = data[f"conv{layer}"].transpose(3, 2, 0, 1)
            stride = 2 if layer == 1 else 1
            window = Window(pre.shape[1:], (3, 3), (stride,) * 2, ((0, 0),) * 2, (1, 1))
            connectivity: Conv | Dense = Conv(kernel, kernel.shape[1], window)
        else:
            channels, height, width = pre.shape
            rows = data["dense1"].reshape(height, width, channels, -1).transpose(3, 2, 0, 1)
            connectivity = Dense(rows.reshape(rows.shape[0], -1), pre.shape)
        name = f"layer{layer}"
        populations.append(Population(name, connectivity.post_shape, neuron(layer, none)))
        projections.append(IntegerProjection(pre.name, name, connectivity, weight_bits=WEIGHT_BITS))
    last = populations[-1].name
    return IntegerNetlist(
        "dvs-gesture", tuple(populations), tuple(projections), (Output(last, "counts"),), timesteps
    )


@dataclass(frozen=True, slots=True, eq=False)
class Assignment:
    """A core for every neuron, and a tile for every core.

    Parameters
    ----------
    core_of : mapping of population to int64 ``[n_neurons]``
    positions : int64 ``[n_cores, 2]``
    """

    core_of: Mapping[str, IntArray]
    positions: IntArray


def tutorial(netlist: IntegerNetlist, board: Board) -> Assignment:
    """Equal runs of each layer's neurons; the last core of a layer takes the rest."""
    first, core_of = 0, {}
    for population, cores in zip(netlist.populations, TUTORIAL_CORES, strict=True):
        place = np.minimum(np.arange(population.size) // (population.size // cores), cores - 1)
        # Neurons are numbered positions first, channels last.
        order = np.arange(population.size).reshape(population.shape)
        order = np.moveaxis(order, 0, -1).reshape(-1)
        core = np.empty(population.size, dtype=np.int64)
        core[order] = first + place
        core_of[population.name] = core
        first += cores
    return Assignment(core_of, board.grid.positions(np.arange(first)))


def assigned(mapping: CoreMap) -> Assignment:
    """The assignment that a mapping makes."""
    core_of = {
        name: mapping.first[name] + tiling.tile_of() for name, tiling in mapping.tilings.items()
    }
    return Assignment(core_of, mapping.positions())


@dataclass(frozen=True, slots=True)
class Price:
    """Figures per step."""

    cores: int
    packets: float
    hops_per_packet: float
    joules: float
    seconds: float


def price(netlist: IntegerNetlist, record: RunRecord, given: Assignment, board: Board) -> Price:
    """Energy and time of an assignment, every synapse written out."""
    n, T, depth = len(given.positions), record.timesteps, netlist.schedule.depth
    steps = netlist.n_steps
    loads: dict[str, FloatArray] = {}

    def load(event: str) -> FloatArray:
        return loads.setdefault(event, np.zeros((steps, n)))

    reached = _reached(netlist, record)
    for population in netlist.populations:
        name = population.name
        window = slice(depth[name], depth[name] + T)
        v = record.membranes[name][0].reshape(T, -1)
        s = record.spikes[name][0].reshape(T, -1) != 0
        assert isinstance(population.model, IntegerNeuron)
        always = population.spread(population.model.bias).reshape(-1) != 0
        at_first = population.spread(population.model.initial_membrane).reshape(-1) != 0
        active = (v != 0) | s | always | reached[name]
        active[0] |= at_first
        active[1:] |= v[:-1] != 0
        # Cores know no windows.
        around = np.zeros((steps, population.size), dtype=bool)
        around[: window.start] = always | at_first
        around[window.stop :] = always | (v[-1] != 0)
        core = given.core_of[name]
        each = board.compartments(population)
        around[window] = active
        for t in range(steps):
            load("neuron_updates_active")[t] += np.bincount(core, each * around[t], minlength=n)
        for t in range(T):
            load("spikes")[window][t] += np.bincount(core, s[t], minlength=n)
        load("neuron_accesses")[:] += each * np.bincount(core, minlength=n)
    hops = {"hops_x": 0.0, "hops_y": 0.0}
    for projection in netlist.projections:
        post, pre, _ = projection.connectivity.to_coo()
        key, synapses = np.unique(
            pre * n + given.core_of[projection.post][post], return_counts=True
        )
        source, target = np.divmod(key, n)
        home = given.core_of[projection.pre][source]
        x, y, _ = board.grid.hops_between(given.positions[home], given.positions[target])
        kind = f"synops_{synapse_kind(projection.connectivity)}"
        fired = record.spikes[projection.pre][0].reshape(T, -1) != 0
        for t in range(T):
            now = depth[projection.pre] + t
            sent = fired[t, source]
            load("packets")[now] += np.bincount(home, sent, minlength=n)
            load("packets_received")[now] += np.bincount(target, sent, minlength=n)
            load(kind)[now] += np.bincount(target, sent * synapses, minlength=n)
            hops["hops_x"] += float(x @ sent)
            hops["hops_y"] += float(y @ sent)
    receiving = ("packets_received", *SYNOPS_BY_KIND)
    halves = {True: np.zeros((steps, n)), False: np.zeros((steps, n))}
    for event, counts in loads.items():
        halves[event in receiving] += counts * (board.latency(event) or 0.0)
    busy = np.maximum(halves[True], halves[False]).max(axis=1).sum()
    barrier = board.barrier_at(len(np.unique(given.positions, axis=0)))
    assert barrier is not None
    joules = sum(float(c.sum()) * (board.energy(e) or 0.0) for e, c in loads.items())
    joules += sum(count * (board.energy(event) or 0.0) for event, count in hops.items())
    packets = float(loads["packets"].sum())
    return Price(
        n,
        packets / steps,
        sum(hops.values()) / packets,
        joules / steps,
        float(busy) / steps + barrier.si,
    )


def _reached(netlist: IntegerNetlist, record: RunRecord) -> dict[str, AnyArray]:
    """Whether a spike reaches a neuron in a step of its window: bool ``[T, n_neurons]``."""
    T, depth = record.timesteps, netlist.schedule.depth
    found = {p.name: np.zeros((T, p.size), dtype=bool) for p in netlist.populations}
    for projection, delay in zip(netlist.projections, netlist.schedule.delays, strict=True):
        post, pre, _ = projection.connectivity.to_coo()
        fired = record.spikes[projection.pre][0].reshape(T, -1) != 0
        for t in range(T):
            step = t + depth[projection.pre] + delay - depth[projection.post]
            if 0 <= step < T:
                found[projection.post][step, post[fired[t, pre]]] = True
    return found


def dvs_table(file: Path) -> tuple[str, list[str]]:
    """Table of the mappings, and those that better one of ours in energy and time."""
    start = load_board("sanafe-loihi").events_alone()
    # SANA-FE bounds the neurons of a core alone, and so its tutorial's mapping; a neuron with soft
    # reset is one of them.
    limits = {"neurons": start.limits["neurons"]}
    board = replace(start, synapses=None, neurons={}, limits=limits)
    netlist = dvs_network(file)
    record = run_reference(netlist, {}, membranes=membranes_needed(netlist))
    activity = activity_from_record(netlist, record)
    cut = partition(netlist, board)
    by_channels = partition(netlist, board, Preference(by_channels=True))
    ours = {
        objective: place_by_activity(cut, netlist, activity, objective)
        for objective in ("energy", "time", "pareto")
    }
    spatial = next(c for c in ours["energy"].candidates if c.name == "spatial tiles")
    others = {
        "SANA-FE's tutorial": tutorial(netlist, board),
        "patches in index order": assigned(cut),
        "channels in index order": assigned(by_channels),
        "spatial tiles": assigned(spatial.mapping),
    }
    front = {
        f"ours, front {i + 1}": assigned(c.mapping) for i, c in enumerate(ours["pareto"].front)
    }
    best = {
        "ours, energy": assigned(ours["energy"].mapping),
        "ours, time": assigned(ours["time"].mapping),
    }
    prices = {
        name: price(netlist, record, given, board)
        for name, given in (others | best | front).items()
    }
    rows = [
        (
            name,
            str(p.cores),
            f"{p.packets:.0f}",
            f"{p.hops_per_packet:.2f}",
            f"{p.joules * 1e6:.3f} uJ",
            f"{p.seconds * 1e6:.2f} us",
        )
        for name, p in prices.items()
    ]
    headings = ("mapping", "cores", "packets", "hops per packet", "energy", "time")
    text = (
        f"DVS gesture on {start.name}, mean of {netlist.n_steps} steps, every spike counted\n"
        + render_table(headings, rows)
    )
    worse = [
        f"DVS gesture: {name} is better than {mine} in energy and time"
        for name in others
        for mine in best
        if prices[name].joules < prices[mine].joules and prices[name].seconds < prices[mine].seconds
    ]
    return text, worse
