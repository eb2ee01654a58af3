"""Short spellings for the conformance cases, and thresholds that make every population spike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, Sparse, SumPool
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Output, Population
from neurodeploy.ir.neurons import Input, IntegerNeuron, MaxPool
from neurodeploy.ir.record import RunRecord, Stimulus
from neurodeploy.ir.reference import run_reference

T = 12
B = 3
LEAST_RATE, MOST_RATE = 0.01, 0.60

Shape = tuple[int, ...]
Rng = np.random.Generator


class UntunableError(Exception):
    """No scale of the thresholds gives every population a sensible rate."""


@dataclass(frozen=True)
class Case:
    """A netlist, what is fed to it, and which populations must stay silent."""

    name: str
    netlist: IntegerNetlist
    stimulus: dict[str, IntArray]
    silent: frozenset[str] = frozenset()
    notes: str = ""

    @property
    def compared(self) -> tuple[str, ...]:
        """Populations whose spikes are compared and that compute them."""
        return tuple(p.name for p in self.netlist.populations if computes_spikes(p))


def computes_spikes(population: Population) -> bool:
    model = population.model
    return isinstance(model, MaxPool) or (isinstance(model, IntegerNeuron) and model.fires)


def current(name: str, shape: Shape, low: int = 0, high: int = 255) -> Population:
    return Population(name, shape, Input("current", low, high))


def spikes(name: str, shape: Shape, low: int = 0, high: int = 1) -> Population:
    return Population(name, shape, Input("spikes", low, high))


def neuron(
    name: str,
    shape: Shape,
    threshold: Any = 50,
    *,
    bias: Any = 0,
    v0: Any = 0,
    negative: Any = None,
    **more: Any,
) -> Population:
    model = IntegerNeuron(
        threshold=None if threshold is None else np.asarray(threshold),
        bias=np.asarray(bias),
        initial_membrane=np.asarray(v0),
        negative_threshold=None if negative is None else np.asarray(negative),
        **more,
    )
    return Population(name, shape, model)


def integrator(name: str, shape: Shape, **more: Any) -> Population:
    return neuron(name, shape, None, **more)


def pool(name: str, channels: int, window: Window) -> Population:
    model = MaxPool(channels, window)
    return Population(name, model.output_shape, model)


def window(
    size: Shape,
    kernel: Shape,
    stride: Shape | None = None,
    padding: Sequence[tuple[int, int]] | None = None,
    dilation: Shape | None = None,
) -> Window:
    ones = (1,) * len(size)
    return Window(
        size, kernel, stride or ones, tuple(padding or ((0, 0),) * len(size)), dilation or ones
    )


def dense(rng: Rng, n_post: int, shape: Shape, low: int = -30, high: int = 45) -> Dense:
    return Dense(rng.integers(low, high, (n_post, int(np.prod(shape)))), shape)


def conv(
    rng: Rng,
    c_out: int,
    c_in: int,
    where: Window,
    groups: int = 1,
    low: int = -30,
    high: int = 45,
) -> Conv:
    weight = rng.integers(low, high, (c_out, c_in // groups, *where.kernel))
    return Conv(weight, c_in, where, groups)


def sumpool(channels: int, where: Window, weight: Sequence[int]) -> SumPool:
    return SumPool(np.resize(np.asarray(weight), channels), where)


def sparse(
    rng: Rng, pre: Shape, post: Shape, density: float = 0.3, low: int = -30, high: int = 45
) -> Sparse:
    mask = rng.random((int(np.prod(post)), int(np.prod(pre)))) < density
    rows, columns = np.nonzero(mask)
    return Sparse(rng.integers(low, high, rows.size), rows, columns, pre, post)


def project(
    pre: str,
    post: str,
    connectivity: Connectivity,
    delay: int | None = None,
    *,
    e: Any = 0,
    bits: int = 8,
) -> IntegerProjection:
    return IntegerProjection(pre, post, connectivity, delay, np.asarray(e), bits)


def net(
    name: str,
    populations: Sequence[Population],
    projections: Sequence[IntegerProjection],
    outputs: Sequence[str],
    timesteps: int = T,
) -> IntegerNetlist:
    """A netlist; outputs that fire are decoded by counts, the others by their membrane."""
    by_name = {p.name: p for p in populations}
    read = tuple(
        Output(n, "counts" if computes_spikes(by_name[n]) else "membrane") for n in outputs
    )
    return IntegerNetlist(name, tuple(populations), tuple(projections), read, timesteps)


def dense_to(rng: Rng, pre: tuple[int, ...], post: tuple[int, ...]) -> Sparse:
    """All to all between populations of any shape."""
    return sparse(rng, pre, post, density=2.0)


def chain(
    rng: Rng, source: Population, stimulus: Stimulus, hidden: Population, link: IntegerProjection
) -> tuple[IntegerNetlist, Stimulus]:
    """source -> hidden -> four neurons and three integrators."""
    layers = [source, hidden, neuron("out", (4,)), integrator("sum", (3,))]
    links = [
        link,
        project(hidden.name, "out", dense(rng, 4, hidden.shape)),
        project(hidden.name, "sum", dense(rng, 3, hidden.shape)),
    ]
    return net("chain", layers, links, ["out", "sum"]), stimulus


def pixels(
    rng: Rng, population: Population, batch: int = B, zeros: float = 0.2
) -> dict[str, IntArray]:
    """Random currents over the whole declared range."""
    assert isinstance(population.model, Input)
    shape = (batch, *population.shape)
    values = rng.integers(population.model.low, population.model.high + 1, shape)
    return {population.name: np.where(rng.random(shape) < zeros, 0, values)}


def raster(
    rng: Rng, population: Population, batch: int = B, rate: float = 0.3, timesteps: int = T
) -> dict[str, IntArray]:
    """Random spikes; payloads over the whole declared range, never 0."""
    assert isinstance(population.model, Input)
    low, high = population.model.low, population.model.high
    shape = (batch, timesteps, *population.shape)
    payload = rng.choice([k for k in range(low, high + 1) if k], size=shape)
    return {population.name: np.where(rng.random(shape) < rate, payload, 0).astype(np.int64)}


def rates(netlist: IntegerNetlist, run: RunRecord) -> dict[str, float]:
    """Share of the neuron-steps with a spike, for every population that computes its spikes."""
    return {
        p.name: float((run.spikes[p.name] != 0).mean())
        for p in netlist.populations
        if computes_spikes(p)
    }


def tuned(netlist: IntegerNetlist, stimulus: Stimulus, keep: Iterable[str] = ()) -> IntegerNetlist:
    """Scale thresholds until every population spikes in 3-50 % of its neuron-steps.

    Populations in ``keep`` are left alone. Deterministic: the result depends on the arguments only.
    """
    fixed = set(keep)
    for _ in range(60):
        measured = rates(netlist, run_reference(netlist, stimulus))
        off = {
            n: (3, 2) if r > 0.5 else (2, 3)
            for n, r in measured.items()
            if n not in fixed
            and isinstance(netlist.by_name[n].model, IntegerNeuron)
            and not 0.03 <= r <= 0.5
        }
        if not off:
            return netlist
        # Later populations follow from earlier ones, so the first of a path is settled first.
        first = min(netlist.schedule.depth[n] for n in off)
        off = {n: f for n, f in off.items() if netlist.schedule.depth[n] == first}
        netlist = replace(
            netlist,
            populations=tuple(
                _scaled(p, *off[p.name]) if p.name in off else p for p in netlist.populations
            ),
        )
    raise UntunableError(f"{netlist.name}: no thresholds give sensible rates: {measured}")


def _scaled(population: Population, up: int, down: int) -> Population:
    model = population.model
    assert isinstance(model, IntegerNeuron)

    def scale(threshold: AnyArray | None) -> AnyArray | None:
        if threshold is None:
            return None
        return np.maximum(1, threshold * up // down + (1 if up > down else 0))

    return replace(
        population,
        model=replace(
            model,
            threshold=scale(model.threshold),
            negative_threshold=scale(model.negative_threshold),
        ),
    )


def union(cases: Sequence[Case], name: str) -> Case:
    """Several cases as one netlist of unconnected parts, for executors that are slow to start.

    Populations are called ``<case>.<population>``. T and the batch size must be the same.
    """
    populations, projections, outputs = [], [], []
    stimulus: dict[str, IntArray] = {}
    silent = set()
    for case in cases:
        lead = f"{case.name}."
        populations += [replace(p, name=lead + p.name) for p in case.netlist.populations]
        projections += [
            replace(q, pre=lead + q.pre, post=lead + q.post) for q in case.netlist.projections
        ]
        outputs += [replace(o, population=lead + o.population) for o in case.netlist.outputs]
        stimulus |= {lead + n: x for n, x in case.stimulus.items()}
        silent |= {lead + n for n in case.silent}
    (timesteps,) = {c.netlist.timesteps for c in cases}
    netlist = IntegerNetlist(
        name, tuple(populations), tuple(projections), tuple(outputs), timesteps
    )
    return Case(name, netlist, stimulus, frozenset(silent))
