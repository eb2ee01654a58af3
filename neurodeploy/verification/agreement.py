"""Agreement of a spiking network with its source network."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from neurodeploy.execution.native.moments import moments
from neurodeploy.ir.arrays import AnyArray, FloatArray
from neurodeploy.ir.netlist import IntegerNetlist, Population, RealNetlist
from neurodeploy.ir.neurons import Input
from neurodeploy.source.analog import AnalogGraph

BATCH = 32
"""Most samples of a batch of the source network."""
ACTIVATION_BYTES = 2**25
"""Most bytes of its activations that are kept, where they are of more than one sample."""
TILE = 2**15
"""Pairs that are correlated at a time."""

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement with the source network.

    ``top1`` is the share of samples with the same class; ``correlation`` Pearson's, by population,
    of decoded rates with the activations they code, over all neurons and samples (None where either
    is constant).
    """

    top1: float | None
    correlation: Mapping[str, float | None]

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {"top1": self.top1, "layer_correlation": dict(self.correlation)}


def evaluate_source(
    graph: AnalogGraph, x: AnyArray | Mapping[str, AnyArray], keep: list[str]
) -> dict[str, AnyArray]:
    """Activations of the source network: with torch where it is installed, else in NumPy."""
    from importlib.util import find_spec

    if find_spec("torch") is not None:
        from neurodeploy.source.evaluation import in_torch as analog_torch

        return analog_torch.evaluate(graph, x, keep)
    from neurodeploy.source.evaluation import in_numpy as analog_numpy

    return analog_numpy.evaluate(graph, x, keep)


def over_source(
    graph: AnalogGraph,
    x: AnyArray | Mapping[str, AnyArray],
    keep: list[str],
    work: Callable[[slice, Mapping[str, AnyArray]], _Result],
) -> list[_Result]:
    """Results of ``work`` for samples and their activations, batch after batch.

    Batches are as large as their activations are small, and shared among threads: ``work`` may
    change nothing that another call of it reads.
    """
    from importlib.util import find_spec

    size = sum(math.prod(graph.node(name).shape) for name in keep)
    most = max(1, min(BATCH, ACTIVATION_BYTES // (4 * max(size, 1))))
    # A divisor, so that batches are the same in whatever parts the samples come.
    chunk = next(n for n in range(most, 0, -1) if BATCH % n == 0)
    if find_spec("torch") is not None:
        from neurodeploy.source.evaluation import in_torch as analog_torch

        return analog_torch.over_batches(graph, x, keep, work, chunk=chunk)
    samples = len(next(iter(x.values()))) if isinstance(x, Mapping) else len(x)
    parts = [slice(i, min(i + chunk, samples)) for i in range(0, samples, chunk)]
    return [work(part, evaluate_source(graph, part_of(x, part), keep)) for part in parts]


def part_of(x: AnyArray | Mapping[str, AnyArray], samples: slice) -> AnyArray | dict[str, AnyArray]:
    """Some samples of a source network's input, or inputs."""
    if isinstance(x, Mapping):
        return {name: values[samples] for name, values in x.items()}
    return x[samples]


def coding_populations(netlist: IntegerNetlist | RealNetlist) -> dict[str, str]:
    """Population -> node of the source network, for those that code one.

    An integrator that is not read has nothing to compare.
    """
    read = {o.population for o in netlist.outputs}
    return {
        p.name: p.source
        for p in netlist.populations
        if p.source is not None and p.unit is not None and not isinstance(p.model, Input)
        if p.name in read or not p.is_integrator
    }


def rate_unit(population: Population, timesteps: int) -> FloatArray:
    """Change of a rate by one spike (or one unit of the final membrane), in units of the source."""
    assert population.unit is not None
    return np.asarray(population.spread(population.unit) / population.divisor(timesteps))


class Correlation:
    """Pearson's correlation of pairs that come batch by batch.

    References
    ----------
    Chan, Golub, LeVeque 1983, doi 10.1080/00031305.1983.10483115: co-moments of joined samples.
    """

    def __init__(self) -> None:
        self._n = 0
        self._mean = (0.0, 0.0)
        self._moments = (0.0, 0.0, 0.0)  # of a with a, b with b, a with b
        self._first = (0.0, 0.0)
        self._varies = (False, False)

    def add(self, a: AnyArray, b: AnyArray, unit: AnyArray | float = 1.0) -> None:
        """Join the pairs ``(a[i] * unit, b[i])`` of two arrays of one shape ``[B, *shape]``.

        ``unit`` has the shape of a sample, or one that broadcasts to it.
        """
        if not a.size:
            return
        left, right = a.reshape(len(a), -1), b.reshape(len(b), -1)
        scale = np.broadcast_to(np.asarray(unit, dtype=np.float64), a.shape[1:]).reshape(-1)
        if self._add_at_once(left, right, scale):
            return
        # Tiles of rows and columns whose copies in double precision stay in the cache.
        width = left.shape[1]
        scaled = bool((scale != 1).any())
        rows, columns = max(1, TILE // width), min(width, TILE)
        buffers = np.empty((2, rows * columns))
        for i in range(0, len(left), rows):
            for j in range(0, width, columns):
                tile = left[i : i + rows, j : j + columns]
                p, q = buffers[:, : tile.size]
                np.copyto(p.reshape(tile.shape), tile)
                np.copyto(q.reshape(tile.shape), right[i : i + rows, j : j + columns])
                if scaled:
                    p.reshape(tile.shape)[:] *= scale[j : j + columns]
                self._add_tile(p, q)

    def _add_at_once(self, a: AnyArray, b: AnyArray, unit: FloatArray) -> bool:
        """Join the pairs in one pass, where the native library can."""
        part = Correlation()
        part._n = a.size
        part._first = float(a[0, 0] * unit[0]), float(b[0, 0])
        sums = moments(a, b, unit, np.array(part._first))
        if sums is None:
            return False
        p, q, pp, qq, pq = map(float, sums)
        # Squares of differences from the first pair.
        part._varies = pp > 0, qq > 0
        part._mean = part._first[0] + p / part._n, part._first[1] + q / part._n
        part._moments = pp - p * p / part._n, qq - q * q / part._n, pq - p * q / part._n
        self.join(part)
        return True

    def _add_tile(self, p: FloatArray, q: FloatArray) -> None:
        """Join pairs; the arrays are used up."""
        part = Correlation()
        part._n = len(p)
        part._first = float(p[0]), float(q[0])
        # Values that are known to differ need no look.
        part._varies = (
            self._varies[0] or bool((p != p[0]).any()),
            self._varies[1] or bool((q != q[0]).any()),
        )
        part._mean = float(p.sum()) / len(p), float(q.sum()) / len(q)
        p -= part._mean[0]
        q -= part._mean[1]
        part._moments = (_product(p, p), _product(q, q), _product(p, q))
        self.join(part)

    def join(self, other: Correlation) -> None:
        """Join the pairs of another."""
        if not other._n:
            return
        if not self._n:
            self._first = other._first
        total = self._n + other._n
        u, v = (m - k for m, k in zip(other._mean, self._mean, strict=True))
        weight = self._n * other._n / total
        apart = (u * u * weight, v * v * weight, u * v * weight)
        aa, bb, ab = (
            sum(parts) for parts in zip(self._moments, other._moments, apart, strict=True)
        )
        self._moments = (aa, bb, ab)
        share = other._n / total
        self._mean = (self._mean[0] + u * share, self._mean[1] + v * share)
        self._varies = (
            self._varies[0] or other._varies[0] or self._first[0] != other._first[0],
            self._varies[1] or other._varies[1] or self._first[1] != other._first[1],
        )
        self._n = total

    @property
    def value(self) -> float | None:
        """The correlation so far; None where either side is constant."""
        # Subtracting the rounded mean of equal values leaves noise, which would correlate.
        if not all(self._varies):
            return None
        aa, bb, ab = self._moments
        scale = math.sqrt(aa) * math.sqrt(bb)
        return ab / scale if scale > 0 else None


def _product(p: FloatArray, q: FloatArray) -> float:
    # Unlike a BLAS, einsum starts no threads.
    return float(np.einsum("i,i", p, q))
