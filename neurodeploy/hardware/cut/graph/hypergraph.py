"""Hypergraphs whose cut is spikes' traffic: a net joins a source neuron and all its targets.

If a net lies on lambda parts, a spike of its source makes lambda - 1 packets to other cores: the
connectivity objective (km1) of hypergraph partitioning (Catalyurek & Aykanat 1999, IEEE TPDS 10(7),
doi 10.1109/71.780863), which the edge cut of a graph only approximates.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from neurodeploy.ir.arrays import FloatArray, IntArray

# Larger nets say little about who belongs together, and their pairs grow with the square.
_LARGEST_PAIRED_NET = 40
_PAIR_UNITS = 120
_PAIR_BITS = 20


def spans(start: IntArray, size: IntArray) -> IntArray:
    """The numbers ``start[i] .. start[i] + size[i] - 1`` of all i, one after the other."""
    start, size = start[size > 0], size[size > 0]
    if not size.size:
        return np.zeros(0, dtype=np.int64)
    step = np.ones(int(size.sum()), dtype=np.int64)
    step[0] = start[0]
    step[np.cumsum(size)[:-1]] = start[1:] - (start[:-1] + size[:-1]) + 1
    return np.cumsum(step)


def firsts(values: IntArray) -> IntArray:
    """Mark the first value of every run of equal values."""
    if not values.size:
        return np.zeros(0, dtype=np.int64)
    return np.flatnonzero(np.concatenate(([True], values[1:] != values[:-1])))


def offsets(sizes: IntArray) -> IntArray:
    """Compressed-row pointers of rows of these sizes."""
    return np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(sizes, dtype=np.int64)))


def sums_of_rows(values: IntArray, start: IntArray) -> IntArray:
    """Sum of ``values`` in every compressed row, 0 in empty ones."""
    total = offsets(values)
    return np.asarray(total[start[1:]] - total[start[:-1]], dtype=np.int64)


def order_of(keys: IntArray) -> IntArray:
    """A stable argsort of keys >= 0."""
    bits = int(keys.size).bit_length()
    if keys.size and int(keys.max()).bit_length() + bits > 62:
        return np.argsort(keys, kind="stable")
    # NumPy sorts plain integers several times quicker than it finds their order.
    packed = np.sort(keys << bits | np.arange(keys.size))
    return packed & ((1 << bits) - 1)


@dataclass(frozen=True)
class Hypergraph:
    """Vertices with sizes, nets with weights.

    Parameters
    ----------
    start : int64 ``[n_nets + 1]``
        Net e has the pins ``pins[start[e]:start[e + 1]]``, every vertex at most once.
    pins : int64 ``[n_pins]``
    weight : int64 ``[n_nets]``
        Cost of every part beyond the first that a net lies on.
    size : int64 ``[n_vertices]``
        What the vertices take of a part.
    """

    start: IntArray
    pins: IntArray
    weight: IntArray
    size: IntArray

    @property
    def n(self) -> int:
        """Vertices."""
        return self.size.size

    @property
    def n_nets(self) -> int:
        """Nets."""
        return self.weight.size

    @functools.cached_property
    def net_sizes(self) -> IntArray:
        """Pins of every net."""
        return np.diff(self.start)

    @functools.cached_property
    def net_of_pin(self) -> IntArray:
        """The net of every pin."""
        return np.repeat(np.arange(self.n_nets), self.net_sizes)

    @functools.cached_property
    def degree(self) -> IntArray:
        """Nets of every vertex."""
        return np.bincount(self.pins, minlength=self.n).astype(np.int64)

    @functools.cached_property
    def vertex_start(self) -> IntArray:
        """Vertex v lies on ``nets[vertex_start[v]:vertex_start[v + 1]]``."""
        return offsets(self.degree)

    @functools.cached_property
    def nets(self) -> IntArray:
        """Nets of the vertices, in their order."""
        return self.net_of_pin[order_of(self.pins)]

    @functools.cached_property
    def vertex_weight(self) -> IntArray:
        """Weight of all nets of every vertex."""
        return sums_of_rows(self.weight[self.nets], self.vertex_start)

    def nets_of(self, vertices: IntArray) -> IntArray:
        """Nets of these vertices, ``degree`` of each."""
        return self.nets[spans(self.vertex_start[vertices], self.degree[vertices])]

    def pins_of(self, nets: IntArray) -> IntArray:
        """Pins of these nets, ``net_sizes`` of each."""
        return self.pins[spans(self.start[nets], self.net_sizes[nets])]

    def connectivity(self, part: IntArray, n_parts: int) -> int:
        """Sum over nets of weight x (parts met - 1)."""
        keys = np.sort(self.net_of_pin * n_parts + part[self.pins])
        net = keys[firsts(keys)] // n_parts
        return int(self.weight[net].sum() - self.weight[self.net_sizes > 0].sum())

    def restricted(self, vertices: IntArray) -> Hypergraph:
        """These vertices alone, numbered in their order; nets keep the pins among them."""
        number = np.full(self.n, -1, dtype=np.int64)
        number[vertices] = np.arange(vertices.size)
        pins = number[self.pins]
        sizes = np.bincount(self.net_of_pin[pins >= 0], minlength=self.n_nets).astype(np.int64)
        pins = pins[(pins >= 0) & (sizes[self.net_of_pin] > 1)]
        kept = sizes > 1
        return Hypergraph(offsets(sizes[kept]), pins, self.weight[kept], self.size[vertices])

    def contracted(self, cluster: IntArray, n_clusters: int) -> Hypergraph:
        """Clusters as vertices; nets inside one are dropped, equal nets become one."""
        keys = np.sort(self.net_of_pin * n_clusters + cluster[self.pins])
        keys = keys[firsts(keys)]
        net, pins = keys // n_clusters, keys % n_clusters
        sizes = np.bincount(net, minlength=self.n_nets)
        pins = pins[sizes[net] > 1]
        kept = np.flatnonzero(sizes > 1)
        weight, sizes = self.weight[kept], sizes[kept].astype(np.int64)
        size = np.bincount(cluster, weights=self.size, minlength=n_clusters).astype(np.int64)
        if not kept.size:
            return Hypergraph(offsets(sizes), pins, weight, size)
        start = offsets(sizes)
        # Two different nets have one sum of random 62-bit numbers about once in 1e9 hypergraphs.
        names = np.random.default_rng(n_clusters).integers(0, 1 << 62, n_clusters)
        sums = np.add.reduceat(names[pins], start[:-1])
        _, chosen, which = np.unique(sums, return_index=True, return_inverse=True)
        merged = np.zeros(chosen.size, dtype=np.int64)
        np.add.at(merged, which, weight)
        pins = pins[spans(start[chosen], sizes[chosen])]
        return Hypergraph(offsets(sizes[chosen]), pins, merged, size)


@dataclass(frozen=True, slots=True)
class Affinity:
    """An undirected graph of who belongs together, both directions of every edge stored.

    Parameters
    ----------
    n : int
    source, target, weight : int64 ``[2 n_edges]``
        Ordered by source.
    """

    n: int
    source: IntArray
    target: IntArray
    weight: IntArray

    @classmethod
    def of_pairs(cls, n: int, keys: IntArray, weight: IntArray) -> Affinity:
        """Graph from edges ``a * n + b`` with a < b, every edge once."""
        a, b = keys // n, keys % n
        order = order_of(np.concatenate((a, b)))
        return cls(
            n,
            np.concatenate((a, b))[order],
            np.concatenate((b, a))[order],
            np.concatenate((weight, weight))[order],
        )

    @classmethod
    def of_nets(cls, graph: Hypergraph) -> Affinity:
        """Graph of all pairs that share a net of at most 40 pins, and of neighbours in larger."""
        return cls.of_pairs(graph.n, *_shared_nets(graph))

    @classmethod
    def of_edges(cls, graph: Hypergraph, keys: IntArray) -> Affinity:
        """Graph of the given edges, rated by the nets that their ends share."""
        keys = keys[firsts(keys)]
        rated, rating = _shared_nets(graph)
        weight = np.ones(keys.size, dtype=np.int64)
        if rated.size:
            place = np.minimum(np.searchsorted(rated, keys), rated.size - 1)
            found = rated[place] == keys
            weight[found] = rating[place[found]]
        return cls.of_pairs(graph.n, keys, weight)

    @property
    def start(self) -> IntArray:
        """Compressed-row pointers."""
        return np.searchsorted(self.source, np.arange(self.n + 1)).astype(np.int64)

    def restricted(self, vertices: IntArray) -> Affinity:
        """These vertices alone, numbered in their (rising) order."""
        number = np.full(self.n, -1, dtype=np.int64)
        number[vertices] = np.arange(vertices.size)
        a, b = number[self.source], number[self.target]
        both = (a >= 0) & (b >= 0)
        return Affinity(vertices.size, a[both], b[both], self.weight[both])

    def contracted(self, cluster: IntArray, n_clusters: int) -> Affinity:
        """Clusters as vertices, parallel edges added."""
        a, b = cluster[self.source], cluster[self.target]
        once = a < b
        keys = a[once] * n_clusters + b[once]
        order = order_of(keys)
        keys = keys[order]
        begin = firsts(keys)
        if not begin.size:
            return Affinity(n_clusters, begin, begin, begin)
        weight = np.add.reduceat(self.weight[once][order], begin)
        return Affinity.of_pairs(n_clusters, keys[begin], weight)

    def clusters(
        self, size: IntArray, largest: int, part: IntArray | None, seed: int
    ) -> tuple[IntArray, int]:
        """Match every vertex with at most one neighbour of its part: clusters and their number.

        A pair is matched if each is the other's best by weight / (product of sizes); what stays
        single tries again among the rest.
        """
        mate = np.full(self.n, -1, dtype=np.int64)
        ok = size[self.source] + size[self.target] <= largest
        if part is not None:
            ok &= part[self.source] == part[self.target]
        a, b = self.source[ok], self.target[ok]
        rating: FloatArray = self.weight[ok] / (size[a] * size[b])
        rng = np.random.default_rng(seed)
        for _ in range(5):
            if not a.size:
                break
            # Symmetric noise breaks ties, or long chains of equal ratings would match nobody.
            noise = rng.random(self.n)
            noisy = rating * (1 + 1e-3 * (noise[a] + noise[b]))
            begin = firsts(a)
            most = np.maximum.reduceat(noisy, begin)
            best = np.flatnonzero(noisy == np.repeat(most, np.diff(np.append(begin, a.size))))
            wish = np.full(self.n, -1, dtype=np.int64)
            wish[a[best]] = b[best]
            asking = np.flatnonzero(wish >= 0)
            mutual = asking[wish[wish[asking]] == asking]
            mate[mutual] = wish[mutual]
            free = (mate[a] < 0) & (mate[b] < 0)
            a, b, rating = a[free], b[free], rating[free]
        own = np.arange(self.n)
        found, cluster = np.unique(
            np.where(mate >= 0, np.minimum(own, mate), own), return_inverse=True
        )
        return cluster.astype(np.int64), found.size


def _shared_nets(graph: Hypergraph) -> tuple[IntArray, IntArray]:
    """Pairs of vertices that share nets (``a * n + b``, a < b) and how strongly.

    Of a net of more than 40 pins only pairs that follow each other in its list.
    """
    of_pin = graph.net_sizes[graph.net_of_pin]
    number = np.arange(graph.pins.size)
    # A single net of 1e4 pins has 5e7 pairs.
    small = of_pin <= _LARGEST_PAIRED_NET
    begin = np.where(small, graph.start[graph.net_of_pin], number + 1)
    others = np.where(small, of_pin, graph.start[graph.net_of_pin + 1] > number + 1)
    a, b = np.repeat(graph.pins, others), graph.pins[spans(begin, others)]
    per_net = _PAIR_UNITS * graph.weight // np.maximum(graph.net_sizes - 1, 1)
    weight = np.repeat(np.clip(per_net, 1, (1 << _PAIR_BITS) - 1)[graph.net_of_pin], others)
    once = a < b
    # One sort of packed numbers is several times quicker than an argsort of the keys.
    packed = np.sort((a[once] * graph.n + b[once]) << _PAIR_BITS | weight[once])
    keys = packed >> _PAIR_BITS
    begin = firsts(keys)
    if not begin.size:
        return begin, begin
    return keys[begin], np.add.reduceat(packed & ((1 << _PAIR_BITS) - 1), begin)
