"""An architecture and a network mapped on it, as SANA-FE 2.2 reads them: one YAML file with both.

SANA-FE (Boyle et al. 2025, IEEE TCAD, doi 10.1109/TCAD.2025.3537971) computes
``v <- bias + leak_decay v + u`` in floating point, fires above a threshold, and hands a spike on in
the next step. It has no windows, so biases act from the first step on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from neurodeploy.errors import UnsupportedLayerError
from neurodeploy.ir.arrays import FloatArray, IntArray
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.neurons import Input, IntegerNeuron, MaxPool
from neurodeploy.ir.population import Population

SYNAPSES = {"dense": "dense", "sparse": "sparse", "conv": "convolution", "sumpool": "convolution"}
"""Kind of connectivity -> the synapse unit, named as a board's events are."""
BELOW = 2.0**-20
"""What a threshold that is met is lowered by where it has to be exceeded."""
Cost = Callable[[str], tuple[float, float]]
"""Joules and seconds of an event of the board."""


@dataclass(frozen=True, slots=True)
class Chip:
    """A mesh of tiles, what its events cost, and which neurons lie on which core.

    Parameters
    ----------
    name : str
    width, height, cores_per_tile : int
    neurons_per_core : int
    cost : callable
    barrier : float
        Seconds at the end of a step.
    held : sequence of (tile, core of the tile, {population: flat indices})
    """

    name: str
    width: int
    height: int
    cores_per_tile: int
    neurons_per_core: int
    cost: Cost
    barrier: float
    held: Sequence[tuple[int, int, Mapping[str, IntArray]]]


def sanafe_text(netlist: IntegerNetlist, chip: Chip) -> tuple[str, list[str]]:
    """The YAML file, and what has to be told about it.

    Raises
    ------
    UnsupportedLayerError
        For what SANA-FE's neurons and synapses cannot do, by name.
    """
    for p in netlist.populations:
        _require(p)
    for q, delay in zip(netlist.projections, netlist.schedule.delays, strict=True):
        if delay != 1:
            raise UnsupportedLayerError(
                f"{q.label}: a delay of {delay} steps; SANA-FE hands spikes on in the next step"
            )
    names = _names(netlist)
    n_inputs = sum(p.size for p in netlist.inputs)
    lines = [
        *_architecture(chip, n_inputs),
        "network:",
        f"  name: {_word(netlist.name)}",
        "  groups:",
    ]
    for p in netlist.populations:
        lines += _group(netlist, p, names[p.name])
    lines.append("  edges:")
    for q in netlist.projections:
        post, pre, weight = q.connectivity.to_coo()
        shift = np.broadcast_to(q.shift(), q.connectivity.post_shape).reshape(-1)
        total = np.left_shift(weight, shift[post])
        source, target = names[q.pre], names[q.post]
        lines += [
            f"    - {source}.{i} -> {target}.{j}: [weight: {w}]"
            for i, j, w in zip(pre.tolist(), post.tolist(), total.tolist(), strict=True)
            if w
        ]
    lines.append("mappings:")
    first = 0
    for p in netlist.inputs:
        lines += [
            f'  - {names[p.name]}.{i}: [core: 0.0, soma: "entry[{first + i}]"]'
            for i in range(p.size)
        ]
        first += p.size
    for tile, core, parts in chip.held:
        for name, index in parts.items():
            if not isinstance(netlist.by_name[name].model, Input):
                lines += [f"  - {names[name]}.{i}: [core: {tile}.{core}, soma: lif]" for i in index]
    return "\n".join(lines) + "\n", _notes(netlist)


def _require(p: Population) -> None:
    model = p.model
    if isinstance(model, Input):
        if model.kind != "spikes" or (model.low, model.high) != (0, 1):
            raise UnsupportedLayerError(
                f"{p.name}: SANA-FE's inputs are spikes of 0 and 1, not {model.kind} of "
                f"{model.low} to {model.high}"
            )
        return
    if isinstance(model, MaxPool) or not isinstance(model, IntegerNeuron):
        raise UnsupportedLayerError(
            f"{p.name}: SANA-FE has no max-pooling; convert with maxima by plain neurons "
            "(--pooling identity)"
        )
    for what, has in (
        ("neurons without threshold (convert with --decode counts)", not model.fires),
        ("negative spikes", model.signed),
        ("payloads", model.payload_max > 1),
        ("gains of steps", model.has_gains),
        ("currents that last", model.has_current_memory),
        ("reset one step later", model.reset == "subtract-next"),
        ("floor", model.floor is not None),
        ("saturation", model.saturation is not None),
        ("refractory period", model.refractory > 0),
        ("initial membrane", bool(np.any(model.initial_membrane))),
    ):
        if has:
            raise UnsupportedLayerError(f"{p.name}: SANA-FE's neurons have no {what}")


def _notes(netlist: IntegerNetlist) -> list[str]:
    neurons = [(p.name, p.model) for p in netlist.populations if isinstance(p.model, IntegerNeuron)]
    told = []
    leaky = [name for name, m in neurons if m.leaks]
    biased = [name for name, m in neurons if np.any(m.bias)]
    if leaky:
        told.append(f"{', '.join(leaky)}: decays are not rounded toward zero there")
    if biased:
        told.append(f"{', '.join(biased)}: biases act from the first step on: there are no windows")
    told.append("inputs are silent: give each neuron its spikes (model_attributes of SANA-FE)")
    return told


def _word(name: str) -> str:
    return re.sub(r"\W", "_", name, flags=re.ASCII)


def _names(netlist: IntegerNetlist) -> dict[str, str]:
    found: dict[str, str] = {}
    for p in netlist.populations:
        stem = name = _word(p.name)
        n = 1
        while name in found.values():
            n += 1
            name = f"{stem}_{n}"
        found[p.name] = name
    return found


def _group(netlist: IntegerNetlist, p: Population, name: str) -> list[str]:
    if isinstance(p.model, Input):
        return [
            f"    - name: {name}",
            "      attributes: [log_spikes: true]",
            "      neurons:",
            f"        - 0..{p.size - 1}: [soma: {{spikes: []}}]"
            if p.size > 1
            else "        - 0: [soma: {spikes: []}]",
        ]
    assert isinstance(p.model, IntegerNeuron)
    model = p.model
    kinds = {q.connectivity.kind for q in netlist.incoming[p.name]}
    unit = SYNAPSES[min(kinds)] if kinds else "dense"
    subtracts = model.reset == "subtract"
    assert model.threshold is not None
    theta = p.spread(model.threshold).reshape(-1) - (BELOW if subtracts else 0.5)
    mode = {"subtract": "soft", "none": "none"}.get(model.reset, "hard")
    reset = np.zeros(p.size) if model.reset_value is None else p.spread(model.reset_value)
    rows: list[FloatArray] = [
        theta,
        p.spread(model.bias).reshape(-1).astype(np.float64),
        1 - p.spread(np.asarray(model.membrane_decay)).reshape(-1) / 4096,
        reset.reshape(-1).astype(np.float64),
    ]
    values = [
        f"threshold: {t!r}, bias: {b!r}, leak_decay: {k!r}, reset: {r!r}, reset_mode: {mode}"
        for t, b, k, r in zip(*(row.tolist() for row in rows), strict=True)
    ]
    return [
        f"    - name: {name}",
        f"      attributes: [log_spikes: true, synapse_hw_name: {unit}]",
        "      neurons:",
        *(f"        - {i}: [soma: {{{v}}}]" for i, v in enumerate(values)),
    ]


def _costs(chip: Chip, **events: str) -> str:
    """``energy_KEY`` and ``latency_KEY`` of events, as entries of a mapping."""
    parts = []
    for key, event in events.items():
        energy, latency = chip.cost(event) if event else (0.0, 0.0)
        parts += [f"energy_{key}: {energy!r}", f"latency_{key}: {latency!r}"]
    return ", ".join(parts)


def _architecture(chip: Chip, n_inputs: int) -> list[str]:
    ways = {
        f"{side}_hop": "hops_x" if side in ("east", "west") else "hops_y"
        for side in ("north", "east", "south", "west")
    }
    size = f"width: {chip.width}, height: {chip.height}"
    lines = [
        "architecture:",
        f"  name: {_word(chip.name)}",
        f"  attributes: {{topology: mesh, {size}, link_buffer_size: 16, sync_model: fixed, "
        f"latency_sync: {chip.barrier!r}}}",
        "  tile:",
    ]
    n_tiles, n_cores = chip.width * chip.height, chip.cores_per_tile
    # The first core takes the inputs, which cost nothing themselves.
    for first, last in ((0, 0), (1, n_tiles - 1)):
        if last < first:
            continue
        lines += [
            f"    - name: tile[{first}..{last}]",
            f"      attributes: {{{_costs(chip, **ways)}}}",
            "      core:",
        ]
        ranges = ((0, 0), (1, n_cores - 1)) if first == 0 else ((0, n_cores - 1),)
        for low, high in ranges:
            if low <= high:
                lines += _core(chip, low, high, n_inputs if (first, low) == (0, 0) else 0)
    return lines


def _core(chip: Chip, low: int, high: int, n_inputs: int) -> list[str]:
    soma = _costs(
        chip,
        access_neuron="neuron_accesses",
        update_neuron="neuron_updates_active",
        spike_out="spikes",
    )
    free = _costs(chip, access_neuron="", update_neuron="", spike_out="")
    entries = [
        f"            - name: entry[0..{max(1, n_inputs - 1)}]",
        f"              attributes: {{model: input, {free}}}",
    ]
    synapses = []
    for unit in ("dense", "sparse", "convolution"):
        costs = _costs(chip, process_spike=f"synops_{unit}")
        synapses += [
            f"            - name: {unit}",
            f"              attributes: {{model: current_based, {costs}}}",
        ]
    return [
        f"        - name: core[{low}..{high}]",
        "          attributes: {buffer_position: soma, buffer_inside_unit: false, "
        f"max_neurons_supported: {chip.neurons_per_core + n_inputs}}}",
        "          axon_in:",
        "            - name: arriving",
        f"              attributes: {{{_costs(chip, message_in='packets_received')}}}",
        "          synapse:",
        *synapses,
        "          dendrite:",
        "            - name: dendrite",
        f"              attributes: {{model: accumulator, {_costs(chip, update='')}}}",
        "          soma:",
        "            - name: lif",
        f"              attributes: {{model: leaky_integrate_fire, {soma}}}",
        *(entries if n_inputs else []),
        "          axon_out:",
        "            - name: leaving",
        f"              attributes: {{{_costs(chip, message_out='packets')}}}",
    ]
