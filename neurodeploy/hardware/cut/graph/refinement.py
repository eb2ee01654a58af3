"""Refinement of a partition: rounds of simultaneous moves that reduce the connectivity.

The scheme is Jet's (Gilbert, Madduri, Boman & Rajamanickam 2024, SIAM J. Sci. Comput. 46(5),
doi 10.1137/23M1559129), with the gains of the connectivity objective in place of the edge cut. In
one round every vertex v of part a has its best other part b, with

    gain(v, b) = w{nets of v with no other pin in a} - w{nets of v with no pin in b}

A vertex is a candidate if its gain is positive, or negative by less than tau times the weight of
the nets that hold it in a, and if it did not move in the round before. Candidates are ordered by
gain, and the gain of each is counted again as if all before it had moved; those that are left with
no loss move. Parts that are then too large give up the vertices that cost least. The best
partition that fits is kept. Everything is vectorised and deterministic.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neurodeploy.hardware.cut.graph.hypergraph import Hypergraph, firsts, offsets, sums_of_rows
from neurodeploy.ir.arrays import AnyArray, IntArray

_ROWS = 20_000
_MOST_ROUNDS = 12
_MOST_DIFFUSED = 1000


class MovablePartition:
    """A partition of a hypergraph with its pin counts and connections, changed by moves.

    Parameters
    ----------
    graph : Hypergraph
    part : int64 ``[n]``
    n_parts : int
    capacity : int
        Largest sum of vertex sizes of a part.
    diffusions : int
        Attempts to pass surplus on from neighbour to neighbour before vertices leap. It pays where
        parts touch few others.

    Attributes
    ----------
    part, load, objective
        The partition, the size of every part, and the connectivity.
    """

    def __init__(
        self,
        graph: Hypergraph,
        part: IntArray,
        n_parts: int,
        capacity: int,
        diffusions: int = 0,
    ) -> None:
        self.graph, self.n_parts, self.capacity = graph, n_parts, capacity
        self._diffusions = diffusions
        self.part = part.astype(np.int64)
        self.load = np.bincount(self.part, weights=graph.size, minlength=n_parts).astype(np.int64)
        # Pins of a net in a part, [n_nets * n_parts].
        self._pins: AnyArray = np.zeros(graph.n_nets * n_parts, dtype=np.int32)
        np.add.at(self._pins, graph.net_of_pin * n_parts + self.part[graph.pins], np.int32(1))
        met = np.flatnonzero(self._pins)
        net = met // n_parts
        spread = np.bincount(net, minlength=graph.n_nets)
        self.objective = int((graph.weight * np.maximum(spread - 1, 0)).sum())
        # Weight of a vertex' nets that have pins in a part, [n * n_parts]. Nets inside one part
        # join when they are cut for the first time.
        self._cut = spread > 1
        self._connection: AnyArray = np.zeros(graph.n * n_parts, dtype=np.int32)
        self._stale = np.zeros(graph.n, dtype=bool)
        self._best = np.zeros(graph.n, dtype=np.int64)
        self._tie = np.zeros(graph.n, dtype=np.int64)
        self._freed = np.zeros(graph.n, dtype=np.int64)
        self._connect(met[self._cut[net]], 1)

    @property
    def fits(self) -> bool:
        """Whether no part is too large."""
        return bool((self.load <= self.capacity).all())

    def improve(self, temperatures: Sequence[float], patience: int, least_gain: float) -> None:
        """Rounds of moves, for one temperature tau after the other.

        A temperature ends after ``patience`` rounds that bring less than the share ``least_gain``.
        """
        if not self._balance():
            # Coarse vertices may be too large for the room; finer ones will fit again.
            self.capacity = max(self.capacity, int(self.load.max()))
        best, kept = self.objective, self.part.copy()
        for tau in temperatures:
            self._restore(kept)
            moved: IntArray = np.zeros(0, dtype=np.int64)
            idle = 0
            for _ in range(_MOST_ROUNDS):
                moved = self._round(tau, moved)
                if not moved.size:
                    break
                idle += 1
                if self._balance() and self.objective < best:
                    if self.objective < best * (1 - least_gain):
                        idle = 0
                    best, kept = self.objective, self.part.copy()
                if idle >= patience:
                    break
        self._restore(kept)

    def _round(self, tau: float, moved_before: IntArray) -> IntArray:
        self._refresh()
        free = self._tie > 0
        free[moved_before] = False
        gain = self._freed - (self.graph.vertex_weight - self._tie)
        held = self.graph.vertex_weight - self._freed
        candidates = np.flatnonzero(free & ((gain > 0) | (-gain < tau * held)))
        candidates = candidates[np.argsort(-gain[candidates], kind="stable")]
        if not candidates.size:
            return candidates
        target = self._best[candidates]
        left = self._gains_in_order(candidates, target)
        good = left >= (0 if tau > 0 else 1)
        self._move(candidates[good], target[good])
        return candidates[good]

    def _refresh(self) -> None:
        """Best part, connection to it and freed weight of the vertices that changed."""
        stale = np.flatnonzero(self._stale)
        self._stale[stale] = False
        connection = self._connection.reshape(-1, self.n_parts)
        for begin in range(0, stale.size, _ROWS):
            v = stale[begin : begin + _ROWS]
            rows, number = connection[v], np.arange(v.size)
            rows[number, self.part[v]] = 0
            best = rows.argmax(axis=1)
            self._best[v], self._tie[v] = best, rows[number, best]
        tied = stale[self._tie[stale] > 0]
        degree = self.graph.degree[tied]
        nets = self.graph.nets_of(tied)
        alone = self._pins[nets * self.n_parts + np.repeat(self.part[tied], degree)] == 1
        weight = np.where(alone, self.graph.weight[nets], 0)
        self._freed[tied] = sums_of_rows(weight, offsets(degree))

    def _gains_in_order(self, vertices: IntArray, target: IntArray) -> IntArray:
        """Gain of every move if all moves before it are made."""
        graph, n = self.graph, self.n_parts
        degree = graph.degree[vertices]
        first_key = graph.nets_of(vertices) * n
        # One event for every pin that leaves and every pin that arrives, packed as
        # (net and part, number of the move, arrives) so that a plain sort orders them.
        moves = 2 * np.repeat(np.arange(vertices.size), degree)
        width, half = 2 * vertices.size, first_key.size
        events = np.empty(2 * half, dtype=np.int64)
        events[:half] = (first_key + np.repeat(self.part[vertices], degree)) * width + moves
        events[half:] = (first_key + np.repeat(target, degree)) * width + moves + 1
        events.sort()
        key = events // width
        rest = events - key * width
        sign = ((rest & 1) << 1) - 1
        so_far = np.cumsum(sign) - sign
        begin = firsts(key)
        so_far -= np.repeat(so_far[begin], np.diff(np.append(begin, key.size)))
        before = self._pins[key] + so_far
        weight = graph.weight[key // n]
        gain = np.where(sign < 0, weight * (before == 1), -weight * (before == 0))
        total = np.bincount(rest >> 1, weights=gain, minlength=vertices.size)
        return np.rint(total).astype(np.int64)

    def _move(self, vertices: IntArray, target: IntArray) -> None:
        graph, n = self.graph, self.n_parts
        source, degree = self.part[vertices], graph.degree[vertices]
        first_key = graph.nets_of(vertices) * n
        leave = first_key + np.repeat(source, degree)
        arrive = first_key + np.repeat(target, degree)
        keys = np.sort(np.concatenate((leave, arrive)))
        keys = keys[firsts(keys)]
        before = self._pins[keys]
        np.subtract.at(self._pins, leave, np.int32(1))
        np.add.at(self._pins, arrive, np.int32(1))
        after = self._pins[keys]
        self.part[vertices] = target
        np.subtract.at(self.load, source, graph.size[vertices])
        np.add.at(self.load, target, graph.size[vertices])
        net = keys // n
        met, left = (before == 0) & (after > 0), (before > 0) & (after == 0)
        self.objective += int(graph.weight[net[met]].sum() - graph.weight[net[left]].sum())
        known = self._cut[net]
        self._cut[net] = True
        self._connect(keys[np.where(known, met, after > 0)], 1)
        self._connect(keys[known & left], -1)
        # Pins that became or ceased to be the last of their part.
        few = net[(before == 1) | (after == 1)]
        self._stale[graph.pins_of(few[firsts(few)])] = True
        self._stale[vertices] = True

    def _connect(self, keys: IntArray, sign: int) -> None:
        graph, n = self.graph, self.n_parts
        net = keys // n
        sizes, pins = graph.net_sizes[net], graph.pins_of(net)
        change = (sign * graph.weight[net]).astype(np.int32)
        np.add.at(
            self._connection, pins * n + np.repeat(keys - net * n, sizes), np.repeat(change, sizes)
        )
        self._stale[pins] = True

    def _restore(self, part: IntArray) -> None:
        vertices = np.flatnonzero(self.part != part)
        self._move(vertices, part[vertices])

    def _balance(self) -> bool:
        """Move the cheapest vertices out of parts that are too large; whether all fit then."""
        for attempt in range(20):
            over = np.maximum(self.load - self.capacity, 0)
            if not over.any():
                return True
            self._refresh()
            if attempt < self._diffusions and self._diffuse(over):
                continue
            # At first only vertices on a border, which most moves concern.
            v = np.flatnonzero((over[self.part] > 0) & ((self._tie > 0) | (attempt > 2)))
            if not self._push_out(v, over) and attempt > 2:
                break
        return self.fits

    def _diffuse(self, over: IntArray) -> bool:
        """Let load flow between parts that touch, from those that are too large to those with room.

        The flow is the smallest in its squares (Hu & Blake 1999, Parallel Computing 25(4)): a part
        passes on what a neighbour gives it, so that no vertex has to leap to a part far away.
        """
        n, size = self.n_parts, self.graph.size
        room = np.maximum(self.capacity - self.load, 0)
        if n > _MOST_DIFFUSED or not room.any():
            return False
        border = np.flatnonzero(self._tie > 0)
        touching = np.zeros((n, n), dtype=bool)
        touching[self.part[border], self._best[border]] = True
        links = (touching | touching.T).astype(np.float64)
        laplacian = np.diag(links.sum(axis=1)) - links
        given = over - room * (min(over.sum(), room.sum()) / room.sum())
        # The ridge is for parts that touch no other.
        level = np.linalg.solve(laplacian + 1e-6 * np.eye(n), given - given.mean())
        flow = np.rint(np.maximum(level[:, None] - level[None, :], 0) * links)
        border = border[flow.any(axis=1)[self.part[border]]]
        rows = self._connection.reshape(-1, n)[border]
        rows[np.arange(border.size), self.part[border]] = 0
        tied = np.flatnonzero(rows > 0)
        number, target = tied // n, tied % n
        v = border[number]
        wanted = flow[self.part[v], target] >= np.maximum(size[v] / 2, 1)
        v, target, tie = v[wanted], target[wanted], rows[number[wanted], target[wanted]]
        # Every vertex to the part that it is tied to most of those that are to receive.
        order = np.lexsort((target, -tie, v))
        v, target, tie = v[order], target[order], tie[order]
        begin = firsts(v)
        v, target, tie = v[begin], target[begin], tie[begin]
        loss = (self.graph.vertex_weight[v] - tie - self._freed[v]) / size[v]
        pair = self.part[v] * n + target
        order = np.lexsort((v, loss, pair))
        v, target, pair = v[order], target[order], pair[order]
        taken = _running(size[v], pair) <= flow.reshape(-1)[pair]
        self._move(v[taken], target[taken])
        return bool(taken.any())

    def _push_out(self, v: IntArray, over: IntArray) -> bool:
        size, room = self.graph.size, self.capacity - self.load
        rows = self._connection.reshape(-1, self.n_parts)[v]
        rows[:, room <= 0] = -1
        target = rows.argmax(axis=1)
        tie = rows[np.arange(v.size), target].astype(np.int64)
        ok = (tie >= 0) & (size[v] <= room[target])
        v, target, tie = v[ok], target[ok], tie[ok]
        freed = np.where(self._tie[v] > 0, self._freed[v], 0)
        loss = (self.graph.vertex_weight[v] - tie - freed) / size[v]
        order = np.lexsort((v, loss, self.part[v]))
        v, target, loss = v[order], target[order], loss[order]
        given = _running(size[v], self.part[v])
        enough = given - size[v] < over[self.part[v]]
        v, target, loss = v[enough], target[enough], loss[enough]
        order = np.lexsort((v, loss, target))
        v, target = v[order], target[order]
        taken = _running(size[v], target) <= room[target]
        self._move(v[taken], target[taken])
        return bool(taken.any())


def _running(values: IntArray, group: IntArray) -> IntArray:
    """Running sums within runs of equal ``group``."""
    total = np.cumsum(values)
    begin = firsts(group)
    lead = np.repeat((total - values)[begin], np.diff(np.append(begin, group.size)))
    return np.asarray(total - lead, dtype=np.int64)
