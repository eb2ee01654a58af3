"""Input that tries to leave the proved bounds, and a reference that is watched at every step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import pytest

from neurodeploy.ir import reference
from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.bounds import prove_bounds
from neurodeploy.ir.netlist import IntegerNetlist, Population
from neurodeploy.ir.neurons import Input, IntegerNeuron, MaxPool

Seen = list[tuple[str, IntArray, IntArray, IntArray, IntArray, IntArray]]


class Watch(reference.PopulationState):
    """The reference's state, which notes a, u (of a pool: A), v before the reset, spikes and m."""

    seen: ClassVar[Seen] = []

    def step(self, a: np.ndarray) -> np.ndarray:
        model = self.population.model
        gain = model.gains(self.t)[0] if isinstance(model, IntegerNeuron) else 1
        spikes = super().step(a)
        u = self.accumulated if isinstance(model, MaxPool) else self.u * gain
        before = self.v if isinstance(model, MaxPool) else self.before
        Watch.seen.append((self.population.name, a, u, before, spikes, self.emitted))
        return spikes

    def _fire(self, model: object, h: int, able: np.ndarray) -> np.ndarray:
        self.before = self.v
        return super()._fire(model, h, able)  # type: ignore[arg-type]


def assert_inside(netlist: IntegerNetlist, stimulus: dict[str, np.ndarray]) -> None:
    """Whatever the reference computes for the stimulus lies in the proved intervals."""
    bounds = prove_bounds(netlist)
    Watch.seen = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference, "PopulationState", Watch)
        reference.run_reference(netlist, stimulus)
    assert {name for name, *_ in Watch.seen} == set(bounds)
    for name, a, u, v, s, m in Watch.seen:
        b = bounds[name]
        assert ((b.a_low <= a) & (a <= b.a_high)).all(), name
        assert ((b.u_low <= u) & (u <= b.u_high)).all(), name
        assert ((b.v_low <= v) & (v <= b.v_high)).all(), name
        assert ((b.spike_low <= s) & (s <= b.spike_high)).all(), name
        model = netlist.by_name[name].model
        if isinstance(model, IntegerNeuron) and model.memory:
            assert ((m >= 0) & (m <= b.emitted)).all(), name


def any_stimulus(netlist: IntegerNetlist, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Per sample one way to drive all inputs: see :func:`_ways`."""
    return {p.name: np.stack(list(_ways(netlist, p, rng))) for p in netlist.inputs}


def _ways(
    netlist: IntegerNetlist, source: Population, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Extremes throughout and in turn, rows of weights by their signs, bursts, and noise."""
    assert isinstance(source.model, Input)
    low, high = source.model.low, source.model.high
    T, shape = netlist.timesteps, source.shape

    def steps(values: np.ndarray, later: np.ndarray, from_step: int) -> np.ndarray:
        """``values`` until a step, ``later`` from it on."""
        if source.is_current_input:
            return values
        first = (np.arange(T) < from_step).reshape(-1, *(1,) * len(shape))
        return np.where(first, values, later)

    lowest, highest, none = (np.full(shape, x) for x in (low, high, 0))
    for values in (lowest, highest):
        yield steps(values, values, T)
        yield steps(values, none, T // 2)
        yield steps(values, lowest + highest - values, T // 2)
        yield steps(none, values, T // 2)
    if source.is_current_input:
        for share in (0.3, 0.7):
            yield np.where(rng.random(shape) < share, low, high)
    else:
        turn = (np.arange(T) % 2).reshape(-1, *(1,) * len(shape))
        yield np.where(turn == 0, highest, lowest)
        yield np.where(rng.random((T, *shape)) < 0.5, low, high)
    for row in _rows(netlist, source, rng):
        best, worst = np.where(row > 0, high, low), np.where(row > 0, low, high)
        yield steps(best, best, T)
        yield steps(worst, worst, T)
        yield steps(best, worst, T // 2)
    for _ in range(2):
        lead = () if source.is_current_input else (T,)
        yield rng.integers(low, high + 1, (*lead, *shape))


def _rows(
    netlist: IntegerNetlist, source: Population, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Weights of three receiving neurons, as an array of the source's shape each."""
    outgoing = netlist.outgoing[source.name]
    for _ in range(3):
        row = np.zeros(source.size, dtype=np.int64)
        if outgoing:
            connectivity = outgoing[int(rng.integers(len(outgoing)))].connectivity
            post, pre, weight = connectivity.to_coo()
            if post.size:
                mine = post == rng.choice(post)
                np.add.at(row, pre[mine], weight[mine])
        yield row.reshape(source.shape)
