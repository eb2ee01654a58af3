"""The contract once more, as plain Python over single neurons and synapses.

Written from the text of the contract, not from the reference: Python integers, lists, one sample,
one neuron and one synapse at a time, its own depths and delays. Shares with the reference only the
netlist's types, the synapse lists (``to_coo``) and the window's geometry numbers.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from fractions import Fraction
from typing import Any

import numpy as np

from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.netlist import IntegerNetlist, Population
from neurodeploy.ir.neurons import Input, IntegerNeuron, MaxPool
from neurodeploy.ir.record import Stimulus


def toward_zero(x: int, decay: int) -> int:
    scaled = abs(x) * (4096 - decay) // 4096
    return scaled if x >= 0 else -scaled


def silent_steps(population: Population) -> int:
    """Steps of the window before the first in which it may fire."""
    gains = population.model.firing_gain if isinstance(population.model, IntegerNeuron) else ()
    return len(list(itertools.takewhile(lambda h: h == 0, gains)))


def depths(netlist: IntegerNetlist) -> dict[str, int]:
    """Longest path from the inputs, projections inside a component not counted."""
    silent = {p.name: silent_steps(p) for p in netlist.populations}
    names = [p.name for p in netlist.populations]
    reach = {n: {n} for n in names}
    for _ in names:
        for q in netlist.projections:
            reach[q.pre] |= reach[q.post]
    depth = dict.fromkeys(names, 0)
    for _ in names:  # no path is longer than there are populations
        for q in netlist.projections:
            if q.pre not in reach[q.post]:
                first = depth[q.pre] + silent[q.pre] + (q.delay or 1)
                depth[q.post] = max(depth[q.post], first)
        for a, b in itertools.permutations(names, 2):
            if a in reach[b] and b in reach[a]:
                depth[a] = depth[b] = max(depth[a], depth[b])
    return depth


def value(quantity: AnyArray, population: Population, i: int) -> int:
    if quantity.ndim == 0:
        return int(quantity)
    if quantity.shape == population.shape:
        return int(quantity.reshape(-1)[i])
    return int(quantity[i // (population.size // population.shape[0])])


def window_cells(model: MaxPool) -> list[list[int]]:
    """Flat input cells that each pooled neuron sees, from the definition of a window."""
    w = model.window
    cells = []
    for channel in range(model.channels):
        for out in itertools.product(*(range(n) for n in w.output_size)):
            seen = []
            for tap in itertools.product(*(range(k) for k in w.kernel)):
                at = [
                    o * s + k * d - before
                    for o, s, k, d, (before, _) in zip(
                        out, w.stride, tap, w.dilation, w.padding, strict=True
                    )
                ]
                if all(0 <= x < n for x, n in zip(at, w.input_size, strict=True)):
                    flat = channel
                    for x, n in zip(at, w.input_size, strict=True):
                        flat = flat * n + x
                    seen.append(flat)
            cells.append(seen)
    return cells


class Cell:
    """One neuron."""

    def __init__(self, population: Population, i: int) -> None:
        model = population.model
        assert isinstance(model, IntegerNeuron)
        self.model = model
        self.u = 0
        self.v = value(model.initial_membrane, population, i)
        self.bias = value(model.bias, population, i)
        self.up = None if model.threshold is None else value(model.threshold, population, i)
        down = model.negative_threshold
        self.down = None if down is None else value(down, population, i)
        self.du = value(np.asarray(model.current_decay), population, i)
        self.dv = value(np.asarray(model.membrane_decay), population, i)
        to, floor = model.reset_value, model.floor
        self.to = 0 if to is None else value(to, population, i)
        self.floor = None if floor is None else value(floor, population, i)
        self.countdown = 0
        self.last = (0, 0)
        self.sent = 0
        self.t = 0

    def payload(self, k: int) -> int:
        """The magnitude nearest to k >= 0 that a spike can have."""
        if self.model.payload_code == "integer" or k == 0:
            return k
        powers = [2**e for e in range(k.bit_length() + 1)]
        return min(powers, key=lambda p: (abs(p - k), -p))

    def taken_back(self, up: int, h: int) -> int:
        """How much a neuron with memory takes back, of what it sent."""
        sent = self.sent // h
        k = self.payload(min(math.ceil(Fraction(-self.v, up)), self.model.payload_max, sent))
        return k if k <= sent else k // 2

    def step(self, a: int) -> int:
        m = self.model
        self.u = toward_zero(self.u, self.du) + a
        g = m.input_gain[self.t] if m.input_gain else 1
        h = m.firing_gain[self.t] if m.firing_gain else 1
        share = Fraction(m.comparison[self.t], 4096) if m.comparison else Fraction(1)
        self.t += 1
        if self.countdown > 0:
            self.countdown -= 1
            self.last = (0, 0)
            return 0
        self.v = toward_zero(self.v, self.dv) + g * (self.u + self.bias)
        if m.reset == "subtract-next":
            self.v -= self.last[0] * self.last[1]
        if m.saturation is not None:
            self.v = max(-int(m.saturation), min(int(m.saturation), self.v))
        s, theta = self.fired(h, share)
        self.sent += s * h
        if m.reset == "subtract":
            self.v -= s * theta
        elif m.reset in ("zero", "value") and s:
            self.v = self.to
        self.last = (s, theta)
        if s:
            self.countdown = m.refractory
        if self.floor is not None:
            self.v = max(self.v, self.floor)
        return s

    def fired(self, h: int, share: Fraction) -> tuple[int, int]:
        """The spike, and the threshold of the side that fired."""
        m = self.model
        if self.up is None or h == 0:
            return 0, 0
        up, down = h * self.up, None if self.down is None else h * self.down
        if m.comparison:
            if self.v >= math.ceil(share * up):
                return 1, up
            if down is not None and self.v <= -math.ceil(share * down):
                if not m.memory:
                    return -1, down
                return (-1 if self.sent >= h else 0), up
            return 0, 0
        if self.v >= up:
            return self.payload(min(self.v // up, m.payload_max)), up
        if down is not None and self.v <= -down:
            if m.memory:
                return -self.taken_back(up, h), up
            return -self.payload(min(-self.v // down, m.payload_max)), down
        return 0, 0


def run_sample(
    netlist: IntegerNetlist, stimulus: dict[str, Any]
) -> tuple[dict[str, AnyArray], dict[str, AnyArray]]:
    """One sample: spikes and membranes ``[T, size]`` of every population."""
    T, depth = netlist.timesteps, depths(netlist)
    size = {p.name: math.prod(p.input_shape) for p in netlist.populations}
    fan_out: list[tuple[str, str, int, dict[int, list[tuple[int, int]]]]] = []
    for q in netlist.projections:
        synapses = defaultdict(list)
        channel = size[q.post] // q.connectivity.post_shape[0]
        for post, pre, w in zip(*(x.tolist() for x in q.connectivity.to_coo()), strict=True):
            e = int(q.exponent) if q.exponent.ndim == 0 else int(q.exponent[post // channel])
            synapses[pre].append((post, w * 2**e))
        silent = silent_steps(netlist.by_name[q.pre])
        delay = q.delay or max(1, depth[q.post] - depth[q.pre] - silent)
        fan_out.append((q.pre, q.post, delay, synapses))

    arriving: dict[tuple[str, int], dict[int, int]] = defaultdict(lambda: defaultdict(int))
    cells = {
        p.name: [Cell(p, i) for i in range(p.size)]
        for p in netlist.populations
        if isinstance(p.model, IntegerNeuron)
    }
    pools = {p.name: p.model for p in netlist.populations if isinstance(p.model, MaxPool)}
    windows = {n: window_cells(m) for n, m in pools.items()}
    gathered = {n: [0] * size[n] for n in pools}
    highest = {n: [0] * len(windows[n]) for n in pools}
    spikes = {p.name: np.zeros((T, p.size), dtype=np.int64) for p in netlist.populations}
    membranes = {p.name: np.zeros((T, p.size), dtype=np.int64) for p in netlist.populations}

    for step in range(T + max(depth.values())):
        for p in netlist.populations:
            t = step - depth[p.name]
            if t < 0 or t >= T:
                continue
            a = arriving[p.name, step]
            if isinstance(p.model, Input):
                given = stimulus[p.name]
                emitted = (given if p.model.kind == "current" else given[t]).reshape(-1).tolist()
            elif p.name in pools:
                gain = p.model.input_gain[t] if p.model.input_gain else 1
                for i, x in a.items():
                    gathered[p.name][i] += gain * x
                emitted = []
                for i, seen in enumerate(windows[p.name]):
                    if p.model.rule == "now":
                        emitted.append(max((a[c] for c in seen), default=0))
                        highest[p.name][i] = emitted[-1]
                        continue
                    top = max((gathered[p.name][c] for c in seen), default=0)
                    if p.model.rule == "winner":
                        # A window over nothing but padding has no winner.
                        first = (a[c] for c in seen if gathered[p.name][c] == top)
                        emitted.append(next(first, 0))
                    else:
                        change = top - highest[p.name][i]
                        assert change % max(gain, 1) == 0
                        emitted.append(change // gain if gain else 0)
                    highest[p.name][i] = top
                membranes[p.name][t] = highest[p.name]
            else:
                emitted = [cell.step(a[i]) for i, cell in enumerate(cells[p.name])]
                membranes[p.name][t] = [cell.v for cell in cells[p.name]]
            spikes[p.name][t] = emitted
            for pre, post, delay, synapses in fan_out:
                if pre == p.name:
                    for i, s in enumerate(emitted):
                        if s:
                            for j, w in synapses[i]:
                                arriving[post, step + delay][j] += w * s
    return spikes, membranes


def run_interpreter(netlist: IntegerNetlist, stimulus: Stimulus) -> Any:
    """All samples, one after the other: spikes and membranes ``[B, T, size]``."""
    batch = len(next(iter(stimulus.values())))
    runs = [run_sample(netlist, {n: x[b] for n, x in stimulus.items()}) for b in range(batch)]
    return tuple(
        {p.name: np.stack([run[k][p.name] for run in runs]) for p in netlist.populations}
        for k in (0, 1)
    )
