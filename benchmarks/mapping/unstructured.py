"""Cutting random graphs of 1e5 neurons onto cores: ours beside METIS and Mt-KaHyPar.

    python -m benchmarks.mapping.unstructured

Packets are the spikes between cores if every neuron fires once: the sum over neurons of the cores
that they reach beside their own. All cuts are onto equally many cores. METIS (pymetis, default
call) and Mt-KaHyPar (default preset, connectivity objective, one thread) know the limit of neurons
only; "limits" tells whether all limits of the board hold on every core: neurons, input axons,
output axons, synapse memory. One thread; seconds are wall clock, with CPU seconds in brackets.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from neurodeploy.hardware.boards.loading import load_board
from neurodeploy.hardware.cut.graph.graph_partition import (
    available,
    partition_by_size,
    partition_graph,
)
from neurodeploy.hardware.cut.graph.hypergraph import offsets
from neurodeploy.hardware.cut.graph.neuron_graph import CoreLimits, NeuronGraph
from neurodeploy.ir.arrays import IntArray

Edges = tuple[IntArray, IntArray]


def lattice(n: int, degree: int, rng: np.random.Generator) -> Edges:
    """Neurons in a square, each with targets at normal distances of 2.5 pitches."""
    side = int(n**0.5)
    pre = np.repeat(np.arange(side * side), degree)
    step = np.rint(rng.normal(0, 2.5, (pre.size, 2))).astype(np.int64)
    y, x = pre // side + step[:, 0], pre % side + step[:, 1]
    inside = (y >= 0) & (y < side) & (x >= 0) & (x < side)
    return pre[inside], (y * side + x)[inside]


def small_world(n: int, degree: int, rng: np.random.Generator) -> Edges:
    """A ring with the nearest neighbours as targets, a tenth of them drawn anew."""
    near = np.concatenate((np.arange(1, degree // 2 + 1), -np.arange(1, degree - degree // 2 + 1)))
    pre = np.repeat(np.arange(n), degree)
    post = (pre + np.tile(near, n)) % n
    drawn = rng.random(pre.size) < 0.1
    post[drawn] = rng.integers(0, n, int(drawn.sum()))
    return pre, post


def geometric(n: int, degree: int, rng: np.random.Generator) -> Edges:
    """Points in the unit square, connected both ways to all within one radius."""
    radius = (degree / np.pi / n) ** 0.5
    cells = int(1 / radius)
    place = rng.random((n, 2))
    cell = np.minimum((place * cells).astype(np.int64), cells - 1)
    key = cell[:, 0] * (cells + 2) + cell[:, 1]
    order = np.argsort(key, kind="stable")
    begin = np.searchsorted(key[order], np.arange(cells * (cells + 2) + 1))
    pre, post = [], []
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            y, x = cell[:, 0] + dy, cell[:, 1] + dx
            ok = np.flatnonzero((y >= 0) & (y < cells) & (x >= 0) & (x < cells))
            other = y[ok] * (cells + 2) + x[ok]
            sizes = begin[other + 1] - begin[other]
            near = np.repeat(begin[other] - np.cumsum(sizes) + sizes, sizes)
            a, b = np.repeat(ok, sizes), order[near + np.arange(near.size)]
            close = ((place[a] - place[b]) ** 2).sum(axis=1) <= radius**2
            pre.append(a[close])
            post.append(b[close])
    return np.concatenate(pre), np.concatenate(post)


def power_law(n: int, degree: int, rng: np.random.Generator) -> Edges:
    """Neurons in a square with fan-outs of a Pareto tail (exponent 2), targets in a disc around."""
    side = int(n**0.5)
    fan_out = 0.5 * degree * (1 + rng.pareto(2.0, side * side))
    fan_out = np.minimum(fan_out.astype(np.int64) + 1, 1000)
    pre = np.repeat(np.arange(side * side), fan_out)
    angle = rng.random(pre.size) * 2 * np.pi
    far = np.sqrt(3.0 * fan_out[pre] * rng.random(pre.size))
    y = pre // side + np.rint(far * np.sin(angle)).astype(np.int64)
    x = pre % side + np.rint(far * np.cos(angle)).astype(np.int64)
    inside = (y >= 0) & (y < side) & (x >= 0) & (x < side)
    return pre[inside], (y * side + x)[inside]


def preferential(n: int, degree: int, rng: np.random.Generator) -> Edges:
    """Targets drawn by a power law of fan-in, from anywhere: there is nothing to find in it."""
    weight = (rng.permutation(n) + 10.0) ** -0.5
    pre = np.repeat(np.arange(n), degree)
    post = np.searchsorted(np.cumsum(weight) / weight.sum(), rng.random(pre.size))
    return pre, np.minimum(post, n - 1)


GENERATORS: dict[str, Callable[[int, int, np.random.Generator], Edges]] = {
    "lattice": lattice,
    "small_world": small_world,
    "geometric": geometric,
    "power_law": power_law,
    "preferential": preferential,
}


def graph_of(name: str, neurons: int, degree: int, seed: int) -> NeuronGraph:
    """A generated graph with shuffled numbers, 8-bit weights, without self-synapses."""
    rng = np.random.default_rng(seed)
    pre, post = GENERATORS[name](neurons, degree, rng)
    number = rng.permutation(neurons)
    keys = np.unique((number[pre] * neurons + number[post])[pre != post])
    source, sizes = np.unique(keys // neurons, return_counts=True)
    return NeuronGraph(
        name,
        neurons,
        offsets(sizes),
        keys % neurons,
        source,
        np.full(source.size, 8, dtype=np.int64),
        np.ones(source.size, dtype=np.int64),
        np.zeros(neurons, dtype=np.int64),
    )


@dataclass(frozen=True, slots=True)
class Row:
    """One cut: how long it took, what it costs, whether the board holds it."""

    seconds: float
    cpu_seconds: float
    packets: int
    fits: bool


def measure(graph: NeuronGraph, limits: CoreLimits, cut: Callable[[], IntArray]) -> Row:
    """Time a cut and count its packets."""
    wall, cpu = time.perf_counter(), time.process_time()
    core = cut()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    shares = limits.usage(graph, core, int(core.max()) + 1)
    allowed = {name: limits.limit(name) for name in shares}
    fits = all(limit is None or int(shares[name].max()) <= limit for name, limit in allowed.items())
    return Row(wall, cpu, graph.packets(core), fits)


def main(given: Sequence[str] | None = None) -> int:
    """Print a row per generator."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.mapping.unstructured", description=__doc__
    )
    parser.add_argument("--generators", nargs="+", default=list(GENERATORS)[:4], choices=GENERATORS)
    parser.add_argument("--neurons", type=int, default=99_856, help="a square number")
    parser.add_argument("--fan-out", type=int, default=10)
    parser.add_argument("--cores", type=int, default=100, help="at least so many; 1: the fewest")
    parser.add_argument("--board", default="loihi1")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ours-only", action="store_true")
    options = parser.parse_args(given)
    limits = CoreLimits.of(load_board(options.board))
    print(
        f"{'generator':<13}{'neurons':>9}{'synapses':>10}{'cores':>6}  {'method':<12}"
        f"{'seconds':>16}{'packets':>10}{'ours/it':>9}  limits"
    )
    for name in options.generators:
        graph = graph_of(name, options.neurons, options.fan_out, options.seed)
        found: list[IntArray] = []

        def ours(graph: NeuronGraph = graph, found: list[IntArray] = found) -> IntArray:
            found.append(partition_graph(graph, limits, least=options.cores, seed=options.seed))
            return found[0]

        rows = {"ours": measure(graph, limits, ours)}
        n_cores = int(found[0].max()) + 1
        if not options.ours_only:
            for peer in ("metis", "mt-kahypar"):
                if available(peer) is None:
                    print(f"{peer} is not installed: left out", file=sys.stderr)
                    continue

                def cut(
                    graph: NeuronGraph = graph, peer: str = peer, n_cores: int = n_cores
                ) -> IntArray:
                    return partition_by_size(graph, n_cores, limits.neurons, options.seed, peer)

                rows[peer] = measure(graph, limits, cut)
        for method, row in rows.items():
            ratio = rows["ours"].packets / max(row.packets, 1)
            print(
                f"{name:<13}{graph.n:>9}{graph.targets.size:>10}{n_cores:>6}  {method:<12}"
                f"{row.seconds:>8.1f} ({row.cpu_seconds:5.1f}){row.packets:>10}{ratio:>9.3f}  "
                f"{'all hold' if row.fits else 'exceeded'}",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
