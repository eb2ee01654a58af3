"""Random integer netlists that every target can run, of which every population spikes.

:mod:`tests.conformance.fuzz` draws from the whole contract, for executors that refuse nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from neurodeploy.errors import CapacityError
from neurodeploy.ir.bounds import STATE_LIMIT, check_bounds, prove_bounds
from neurodeploy.ir.connectivity import Connectivity, Sparse, identity
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Population
from neurodeploy.ir.neurons import POOL_RULES, IntegerNeuron, MaxPool
from neurodeploy.ir.record import Stimulus
from neurodeploy.ir.reference import run_reference
from neurodeploy.testing.cases.catalogue import T
from neurodeploy.testing.parts import (
    Rng,
    conv,
    current,
    dense,
    integrator,
    net,
    neuron,
    pool,
    project,
    sparse,
    spikes,
    sumpool,
    window,
)
from neurodeploy.testing.stimuli import (
    LEAST_RATE,
    MOST_RATE,
    UntunableError,
    computes_spikes,
    random_stimulus,
    rates,
    tuned,
)
from tests.conformance.extensions import extended as extended_neuron

Shape = tuple[int, ...]


def random_netlist(
    recurrent: bool, rng: Rng, *, extended: bool = False, spaced: bool = False
) -> tuple[IntegerNetlist, Stimulus]:
    """A netlist of one or two inputs, three to six hidden populations and two readouts.

    Draws are repeated until the bounds are proved and every population spikes at a sensible rate.
    ``extended`` ones also draw memory, powers of two, winner pools, and signed pools that have
    weights, several sources and a place in cycles. In ``spaced`` ones half of the windows are over
    cells that stand apart.
    """
    while True:
        netlist, stimulus = _draw(rng, recurrent, extended, spaced)
        try:
            netlist = tuned(netlist, stimulus)
            proved = not check_bounds(prove_bounds(netlist), STATE_LIMIT)
        except (UntunableError, CapacityError):  # the latter: a cycle of nothing but pools
            continue
        measured = rates(netlist, run_reference(netlist, stimulus)).values()
        if proved and min(measured) >= LEAST_RATE and max(measured) <= MOST_RATE:
            return netlist, stimulus


def _draw(
    rng: Rng, recurrent: bool, extended: bool, spaced: bool
) -> tuple[IntegerNetlist, Stimulus]:
    populations: list[Population] = []
    stimulus: dict[str, Any] = {}
    for i in range(int(rng.integers(1, 3))):
        source, values = _input(rng, f"in{i}")
        populations.append(source)
        stimulus |= values
    links: list[IntegerProjection] = []
    for i in range(int(rng.integers(3, 7))):
        sources = [populations[-1]]
        if len(populations) > 1 and rng.random() < 0.5:
            sources.append(populations[int(rng.integers(len(populations) - 1))])
        post, first = _layer(rng, f"h{i}", sources[0], extended, spaced)
        links.append(first)
        if _takes_any_input(post):
            links += [_link(rng, s, post) for s in sources[1:]]
        populations.append(post)
    hidden = [p for p in populations if computes_spikes(p)]
    loops = [p for p in hidden if _takes_any_input(p)]
    if recurrent and loops:
        for _ in range(int(rng.integers(1, 3))):
            later, earlier = sorted(rng.integers(len(loops), size=2))[::-1]
            links.append(_link(rng, loops[later], loops[earlier]))
    last = hidden[-1]
    populations += [integrator("sum", (3,), bias=int(rng.integers(-5, 6))), neuron("out", (3,))]
    links.append(project(last.name, "sum", dense(rng, 3, last.shape)))
    links.append(project(last.name, "out", dense(rng, 3, last.shape)))
    return net("random", populations, links, ["sum", "out"]), stimulus


def _takes_any_input(population: Population) -> bool:
    return not isinstance(population.model, MaxPool) or population.model.signed


def _shape(rng: Rng) -> Shape:
    return tuple(int(n) for n in rng.integers([1, 3, 3], [4, 7, 7])[: int(rng.integers(1, 4))])


def _input(rng: Rng, name: str) -> tuple[Population, dict[str, Any]]:
    shape = _shape(rng) if rng.random() < 0.7 else (2, 5, 5)
    if shape == (1,):
        shape = (4,)
    kind = rng.choice(["spikes", "signed", "graded", "current"])
    if kind == "current":
        source = current(name, shape, int(rng.choice([0, -128])), 127)
        return source, random_stimulus([source], 12, rng)
    low, high = {"spikes": (0, 1), "signed": (-1, 1), "graded": (-4, 6)}[str(kind)]
    source = spikes(name, shape, low, high)
    return source, random_stimulus([source], 12, rng, rate=float(rng.uniform(0.15, 0.5)))


def _window(rng: Rng, size: Shape) -> Any:
    kernel = tuple(int(rng.integers(1, min(3, n) + 1)) for n in size)
    dilation = tuple(
        int(rng.integers(1, 3)) if 2 * (k - 1) + 1 <= n else 1
        for k, n in zip(kernel, size, strict=True)
    )
    stride = tuple(int(rng.integers(1, 3)) for _ in size)
    padding = tuple((int(rng.integers(0, 2)), int(rng.integers(0, 2))) for _ in size)
    return window(size, kernel, stride, padding, dilation)


def _spaced(rng: Rng, where: Window) -> Window:
    """The window over cells that stand apart, now and then; not far, where there are many."""
    if rng.random() < 0.5:
        return where
    apart = rng.integers(1, 4 if max(where.input_size) < 7 else 2, len(where.kernel))
    return replace(where, spacing=tuple(int(n) for n in apart))


def _layer(
    rng: Rng, name: str, pre: Population, extended: bool, spaced: bool
) -> tuple[Population, IntegerProjection]:
    if len(pre.shape) > 1:
        where = _window(rng, pre.shape[1:])
        more = ["maxpool", "maxpool"] if extended else []
        kind = rng.choice(["conv", "conv", "sumpool", "maxpool", "flat", *more])
        channels = pre.shape[0]
        if kind == "maxpool" and extended:
            return _extended_pool(rng, name, pre, where)
        if kind == "maxpool" and not pre.emits_negative:
            post = pool(name, channels, where)
            return post, project(pre.name, name, identity(pre.shape), _delay(rng))
        where = _spaced(rng, where) if spaced else where
        if kind == "sumpool":
            pooled = sumpool(channels, where, rng.integers(-20, 40, channels).tolist())
            return _neurons(rng, name, pooled.post_shape, extended), _finish(rng, pre, name, pooled)
        if kind == "conv":
            groups = channels if rng.random() < 0.3 else 1
            out = groups * int(rng.integers(1, 4))
            link = conv(rng, out, channels, where, groups)
            return _neurons(rng, name, link.post_shape, extended), _finish(rng, pre, name, link)
    flat = dense(rng, int(rng.integers(4, 9)), pre.shape)
    return _neurons(rng, name, flat.post_shape, extended), _finish(rng, pre, name, flat)


def _extended_pool(
    rng: Rng, name: str, pre: Population, where: Window
) -> tuple[Population, IntegerProjection]:
    signed = pre.emits_negative or rng.random() < 0.5
    if signed:
        # A signed window of nothing but padding has no maximum.
        where = replace(where, padding=((0, 0),) * len(where.kernel))
    rule = rng.choice(POOL_RULES)
    gains = pool_gains(rng, T) if rule == "maximum" and rng.random() < 0.5 else ()
    model = MaxPool(pre.shape[0], where, rule, signed, gains)
    cells = np.arange(pre.size)
    weight = rng.integers(-3 if signed else 1, 4, pre.size)
    link = Sparse(weight, cells, cells, pre.shape, pre.shape)
    post = Population(name, model.output_shape, model)
    return post, project(pre.name, name, link, _delay(rng))


def pool_gains(rng: Rng, steps: int) -> tuple[int, ...]:
    """Gains of a pool, of which each divides those before it, and some are 0."""
    gains = [1]
    while len(gains) < steps:
        factor = int(rng.integers(2, 4)) if rng.random() < 0.3 and gains[0] < 64 else 1
        gains.insert(0, gains[0] * factor)
    return tuple(0 if rng.random() < 0.2 else g for g in gains)


def _delay(rng: Rng) -> int | None:
    choice = rng.choice([0, 0, 0, 1, 2, 5])
    return int(choice) or None


def _finish(rng: Rng, pre: Population, post: str, link: Connectivity) -> IntegerProjection:
    channels = link.post_shape[0]
    e = rng.choice(["none", "scalar", "channel"])
    exponent: Any = 0
    if e == "scalar":
        exponent = int(rng.integers(0, 4))
    elif e == "channel":
        exponent = rng.integers(0, 4, channels)
    return project(pre.name, post, link, _delay(rng), exponent=exponent)


def _link(rng: Rng, pre: Population, post: Population) -> IntegerProjection:
    return _finish(rng, pre, post.name, sparse(rng, pre.shape, post.input_shape, 0.4))


def _quantity(rng: Rng, shape: Shape, low: int, high: int) -> Any:
    spread = rng.choice(["scalar", "channel", "neuron"])
    size = {"scalar": (), "channel": shape[:1], "neuron": shape}[str(spread)]
    return rng.integers(low, high, size)


def _neurons(rng: Rng, name: str, shape: Shape, extended: bool) -> Population:
    signed = rng.random() < 0.35
    drawn = neuron(
        name,
        shape,
        _quantity(rng, shape, 40, 200),
        bias=_quantity(rng, shape, -9, 12),
        initial_membrane=_quantity(rng, shape, -30, 40),
        negative_threshold=_quantity(rng, shape, 40, 200) if signed else None,
        reset=str(rng.choice(["subtract", "subtract", "zero", "none"])),
        payload_max=int(rng.choice([1, 1, 3, 50])),
        current_decay=int(rng.choice([4096, 4096, 4096, 2500, 777])),
        membrane_decay=int(rng.choice([0, 0, 0, 60, 999])),
    )
    return _extended_neurons(rng, drawn) if extended else drawn


def _extended_neurons(rng: Rng, drawn: Population) -> Population:
    model = drawn.model
    assert isinstance(model, IntegerNeuron)
    if rng.random() < 0.5:
        back = _quantity(rng, drawn.shape, 1, int(rng.choice([2, 80])))
        model = replace(model, memory=True, reset="subtract", negative_threshold=back)
    if rng.random() < 0.4:
        payload_max = int(rng.choice([1, 2, 8, 64]))
        model = replace(model, payload_code="power_of_two", payload_max=payload_max)
    plain = (model.current_decay, model.membrane_decay, model.reset) == (4096, 0, "subtract")
    if plain and rng.random() < 0.4:
        gains = rng.integers(0, 4, (2, T))
        gains[:, -1] = 1
        names = ("input_gain", "firing_gain")
        kept = {n: tuple(row.tolist()) for n, row in zip(names, gains, strict=True)}
        if model.payload_max == 1 and rng.random() < 0.5:
            kept["comparison"] = tuple(rng.integers(1, 3 * 4096, T).tolist())
        model = replace(model, **kept)
    if rng.random() < 0.4:
        model = extended_neuron(rng, model, drawn.shape)
    return replace(drawn, model=model)
