"""What a NIR reader makes of a written graph, against the netlist: found by reading it back.

The graph is read by the dynamics of each framework (:mod:`neurodeploy.exchange.readers`), and what
comes out is compared, population by population, with what went in.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from neurodeploy.errors import NeurodeployError
from neurodeploy.exchange.dynamics import Dynamics
from neurodeploy.exchange.nir import nir_netlist
from neurodeploy.exchange.nir_graph import PASSING, Graph
from neurodeploy.exchange.nir_write import Written, parts, weighed
from neurodeploy.exchange.readers import Reader
from neurodeploy.ir.arrays import FloatArray
from neurodeploy.ir.bounds import prove_bounds
from neurodeploy.ir.netlist import IntegerNetlist, RealNetlist
from neurodeploy.ir.neurons import Input, IntegerNeuron, Neuron, RealNeuron
from neurodeploy.ir.population import Population

FLOAT32 = 2**24
"""Whole numbers that float32, in which frameworks compute, tells apart."""
CLOSE = 1e-6


def lost_by(reader: Reader, written: Written) -> list[str]:
    """What a framework does not read, or reads as something else; empty: it gives the spikes."""
    graph, netlist = written.graph, written.netlist
    found = []
    unread = sorted(
        {n.type for n in graph.nodes.values()} - reader.nodes - {"Input", "Output", PASSING}
    )
    if unread:
        found.append(f"does not read {', '.join(unread)}")
    for kind in ("Input", "Output"):
        n = sum(node.type == kind for node in graph.nodes.values())
        if n != 1:
            found.append(f"reads one {kind}, here are {n}")
    for node in graph.nodes.values():
        uneven = [
            k for k in reader.uniform if k in node.parameters and _differs(node.parameters[k])
        ]
        if node.is_neuron and uneven:
            found.append(f"{node.name}: wants one {' and one '.join(uneven)} for all neurons")
    if "Delay" not in unread and len(netlist.schedule.cyclic) > 0:
        found.extend(_cycles(netlist))
    if set(unread) & {"I", "LI", "CubaLI", "Threshold", "IF", "LIF", "CubaLIF"}:
        return found
    return found + read_differences(reader.dynamics, written, slower=reader.slower)


def _differs(value: Any) -> bool:
    flat = np.asarray(value).reshape(-1)
    return bool((flat != flat[0]).any())


def _cycles(netlist: RealNetlist | IntegerNetlist) -> list[str]:
    many = [m for m in netlist.schedule.components if len(m) > 1]
    return [
        f"cycle {' -> '.join([*members, members[0]])}: spikes travel within a step there"
        for members in many
    ]


def read_differences(dynamics: Dynamics, written: Written, *, slower: bool = False) -> list[str]:
    """Where the netlist that a dynamics reads differs from the one that was written."""
    netlist = written.netlist
    graph = _without_delays(written.graph)
    try:
        read, _ = nir_netlist(
            graph,
            dynamics,
            name="read",
            dt=None,
            timesteps=netlist.timesteps,
            input_model=Input("spikes", 0, 1),
        )
    except NeurodeployError as error:
        return [f"refuses it ({str(error).removeprefix(f'{graph.where}: ')})"]
    bounds = prove_bounds(netlist) if isinstance(netlist, IntegerNetlist) else {}
    found: dict[str, list[str]] = {}
    for p in netlist.populations:
        if p.name not in written.unit:
            continue
        assert isinstance(p.model, Neuron)
        other = read.by_name[written.names[p.name]]
        assert isinstance(other.model, RealNeuron)
        told = _neuron_differences(p, p.model, other, other.model, written.unit[p.name])
        told += _input_differences(read, written, p)
        if slower and p.model.fires and (parts(p, p.model)[0] == 1).any():
            told.append("refuses a membrane without memory")
        if p.name in bounds and bounds[p.name].magnitude > FLOAT32:
            told.append("membranes beyond 2^24, where float32 rounds")
        for text in told:
            found.setdefault(text, []).append(p.name)
    return [f"{', '.join(names)}: {text}" for text, names in found.items()]


def _without_delays(graph: Graph) -> Graph:
    """A graph whose Delay nodes hand on at once: they are read alike by all that read them."""
    skipped = {b: graph.before(b)[0] for b, n in graph.nodes.items() if n.type == "Delay"}
    edges = tuple((skipped.get(a, a), b) for a, b in graph.edges if b not in skipped)
    nodes = {name: n for name, n in graph.nodes.items() if name not in skipped}
    return dataclasses.replace(graph, nodes=nodes, edges=edges)


def _same(a: Any, b: Any) -> bool:
    return bool(np.allclose(a, b, rtol=CLOSE, atol=1e-9))


def _neuron_differences(
    p: Population, mine: Neuron, other: Population, theirs: RealNeuron, unit: FloatArray
) -> list[str]:
    found = []
    membrane, current = parts(p, mine)
    their_membrane, their_current = parts(other, theirs)
    if not _same(membrane, their_membrane):
        found.append(f"leaks {_shown(their_membrane)} a step, not {_shown(membrane)}")
    if not _same(current, their_current):
        found.append(f"currents lose {_shown(their_current)} a step, not {_shown(current)}")
    whole = isinstance(mine, IntegerNeuron)
    partly = [x for x in (membrane, current) if ((x > 0) & (x < 1)).any()]
    if whole and partly:
        found.append("decays that are not rounded toward zero")
    if not _same(p.spread(mine.initial_membrane) * unit, other.spread(theirs.initial_membrane)):
        found.append("another initial membrane")
    for name, has in (
        ("negative spikes", mine.signed),
        ("gains of steps", mine.has_gains),
        ("a memory of what was sent", mine.memory),
        ("payloads of powers of two", mine.payload_code != "integer"),
        ("a refractory period", mine.refractory > 0),
        ("saturation", mine.saturation is not None),
    ):
        if has:
            found.append(f"has no {name.removeprefix('a ')}")
    if not mine.fires:
        return found
    forgets = bool((membrane == 1).all()) and mine.floor is None
    found += _reset_differences(p, mine, other, theirs, unit, forgets)
    if mine.payload_max < theirs.payload_max:
        found.append("may send several spikes in a step")
    if mine.payload_max > theirs.payload_max:
        found.append("sends one spike a step at most")
    lowest = None if mine.floor is None else p.spread(mine.floor) * unit
    if theirs.floor is not None and lowest is None:
        found.append("has a floor of minus the threshold")
    elif lowest is not None and (
        theirs.floor is None or not _same(lowest, other.spread(theirs.floor))
    ):
        found.append("has another floor" if theirs.floor is not None else "has no floor")
    return found


def _reset_differences(
    p: Population,
    mine: Neuron,
    other: Population,
    theirs: RealNeuron,
    unit: FloatArray,
    forgets: bool,
) -> list[str]:
    found = []
    assert mine.threshold is not None
    assert theirs.threshold is not None
    theta, read = p.spread(mine.threshold) * unit, other.spread(theirs.threshold)
    if isinstance(mine, IntegerNeuron):
        # Between theta - 1 and theta, every threshold and either comparison are the same.
        least = np.asarray(read / unit)
        inside = (least > p.spread(mine.threshold) - 1 + CLOSE) & (
            least < p.spread(mine.threshold) - CLOSE
        )
        met = _same(theta, read) and not theirs.strict
        same = bool(inside.all()) or met
    else:
        same = _same(theta, read) and mine.strict == theirs.strict  # type: ignore[attr-defined]
    if not same:
        found.append(
            "fires above the threshold, not at it"
            if theirs.strict
            else "fires at the threshold, not above it"
        )
    if forgets:
        return found
    if mine.reset != theirs.reset:
        names = {"zero": "resets to zero", "value": "resets to v_reset", "none": "resets nothing"}
        names |= {"subtract": "subtracts the threshold"}
        names |= {"subtract-next": "subtracts the threshold one step later"}
        found.append(f"{names[theirs.reset]} where the network {names[mine.reset]}")
    elif mine.reset == "value" and theirs.reset_value is not None:
        assert mine.reset_value is not None
        if not _same(p.spread(mine.reset_value) * unit, other.spread(theirs.reset_value)):
            found.append("resets to another value")
    elif "subtract" in mine.reset and not _same(theta, read):
        found.append("subtracts another threshold")
    return found


def _input_differences(read: RealNetlist, written: Written, p: Population) -> list[str]:
    """Weights and biases, by what one input of ones and twos brings."""
    random, netlist = np.random.default_rng(0), written.netlist
    unit = written.unit[p.name]
    mine, theirs = np.zeros(p.shape), np.zeros(p.shape)
    size = np.zeros(p.shape)
    other = read.by_name[written.names[p.name]]
    assert isinstance(p.model, Neuron)
    assert isinstance(other.model, Neuron)
    sources = {written.names.get(q.pre, q.pre) for q in netlist.incoming[p.name]}
    drawn = {
        name: random.integers(1, 3, read.by_name[name].shape)
        for name in sorted(sources & set(read.by_name))
    }
    steady, their_steady = _direct(p, p.model), _direct(other, other.model)
    for q in netlist.incoming[p.name]:
        if q.pre in written.constants:
            steady = steady + weighed(q).apply(np.ones((1, 1)))[0]
            continue
        found = weighed(q)
        x = drawn[written.names[q.pre]][None].astype(np.float64)
        mine += found.apply(x)[0]
        size += np.abs(found.row_sums()[0]) + np.abs(found.row_sums()[1])
    for q in read.incoming[other.name]:
        if q.pre in drawn:
            theirs += q.connectivity.apply(drawn[q.pre][None].astype(np.float64))[0]
        else:
            # What the reader made of a bias: a neuron that fires in every step.
            every = np.ones((1, *q.connectivity.pre_shape))
            their_steady = their_steady + q.connectivity.apply(every)[0]
    told = []
    if not bool((np.abs(mine * unit - theirs) <= CLOSE * (size * unit + 1e-9)).all()):
        told.append("inputs count differently")
    if not _same(steady * unit, their_steady):
        told.append("has another bias, or none")
    return told


def _direct(p: Population, model: Neuron) -> FloatArray:
    return np.asarray(p.spread(model.bias), dtype=np.float64)


def _shown(value: FloatArray) -> str:
    low, high = float(value.min()), float(value.max())
    return f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
