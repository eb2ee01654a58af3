"""Multi-bit weights from a binary crossbar: the axon copies an input needs, and their values.

An input has m_g axon copies of type g; a neuron has one value v_g per type and connects to k_g of
the copies, 0 <= k_g <= m_g, which adds ``sum_g k_g v_g``. A *basis* gives every level (distinct
non-zero weight) of a neuron such digits k. The copies are shared by all neurons of a population,
the values are each neuron's own. There are at most ``prod (m_g + 1)`` sums, and they need not be
the levels that are wanted, hence the search.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

Levels = frozenset[int]

EXHAUSTIVE_LEVEL = 8
"""Up to this magnitude (after the common factor) every value is tried."""

SEARCHED_LEVEL = 512
"""Beyond this magnitude (after the common factor) there is no search, only construction."""

SEARCH_NODES = 150_000
"""Steps of the search before one set of copies is given up."""

TOTAL_NODES = 500_000
"""Steps of the search before a population is left to the constructions."""


@dataclass(frozen=True, slots=True)
class Basis:
    """Axon copies per type, and each level set's values.

    Parameters
    ----------
    copies : tuple of int
        m_g, one entry per type in use.
    values : mapping of level set to tuple of int
        v_g, aligned with ``copies``.
    """

    copies: tuple[int, ...]
    values: Mapping[Levels, tuple[int, ...]]

    @property
    def n_copies(self) -> int:
        """R: axons per input."""
        return sum(self.copies)


def digits(copies: tuple[int, ...], values: tuple[int, ...]) -> dict[int, tuple[int, ...]]:
    """Every reachable sum with its digits k_g, the fewest synapses first."""
    found: dict[int, tuple[int, ...]] = {}
    choices = itertools.product(*(range(m + 1) for m in copies))
    for k in sorted(choices, key=lambda k: (sum(k), k)):
        found.setdefault(sum(a * b for a, b in zip(k, values, strict=True)), k)
    return found


def fewest_copies(
    level_sets: Collection[Levels], n_types: int, low: int, high: int, max_copies: int
) -> Basis | None:
    """The basis with the fewest axon copies that was found for all level sets.

    No basis has fewer copies where all levels lie within :data:`EXHAUSTIVE_LEVEL` (after their
    common factor) or fill their range; for many scattered levels the search is cut short.

    Parameters
    ----------
    level_sets : collection of frozenset of int
        The non-zero levels of each neuron.
    n_types : int
        Axon types that may be used; fewer are preferred among equal numbers of copies.
    low, high : int
        Range of a value.
    max_copies : int
        Largest R tried.

    Returns
    -------
    Basis or None
        None if none of at most ``max_copies`` copies was found.
    """
    return _fewest_copies(frozenset(level_sets), n_types, low, high, max_copies)


@lru_cache(maxsize=1024)
def _fewest_copies(
    level_sets: frozenset[Levels], n_types: int, low: int, high: int, max_copies: int
) -> Basis | None:
    distinct = sorted(level_sets, key=lambda s: (-len(s), sorted(s)))
    widest: list[Levels] = []
    for levels in distinct:
        if not any(levels <= other for other in widest):
            widest.append(levels)
    if not any(widest):
        return Basis((), dict.fromkeys(distinct, ()))
    nodes = TOTAL_NODES
    for n_copies in range(1, max_copies + 1):
        for copies in _partitions(n_copies, n_types):
            values, spent = _values_for_all(widest, copies, low, high, nodes)
            nodes -= spent
            if values is not None:
                covering = {s: next(w for w in widest if s <= w) for s in distinct}
                return Basis(copies, {s: values[w] for s, w in covering.items()})
    return None


def _values_for_all(
    widest: list[Levels], copies: tuple[int, ...], low: int, high: int, nodes: int
) -> tuple[dict[Levels, tuple[int, ...]] | None, int]:
    """Values for every level set, or None; and the nodes that the search has spent."""
    found: dict[Levels, tuple[int, ...]] = {}
    spent = 0
    for levels in widest:
        values, more = find_values(levels, copies, low, high, spent < nodes)
        spent += more
        if values is None:
            return None, spent
        found[levels] = values
    return found, spent


def _partitions(total: int, parts: int) -> Iterator[tuple[int, ...]]:
    """Partitions of ``total`` into at most ``parts`` ascending parts, fewest parts first."""
    for n in range(1, min(parts, total) + 1):
        yield from _partitions_of_length(total, n, 1)


def _partitions_of_length(total: int, n: int, least: int) -> Iterator[tuple[int, ...]]:
    if n == 1:
        yield (total,)
        return
    for first in range(least, total // n + 1):
        for rest in _partitions_of_length(total - first, n - 1, first):
            yield (first, *rest)


@lru_cache(maxsize=65536)
def find_values(
    levels: Levels, copies: tuple[int, ...], low: int, high: int, search: bool = True
) -> tuple[tuple[int, ...] | None, int]:
    """Values in [low, high] that give all ``levels`` with ``copies``, or None if none was found.

    First a type for every level, one synapse each; then the mixed-radix bases, whose sums are an
    interval; then, if ``search``, a depth-first search over all values up to
    :data:`EXHAUSTIVE_LEVEL`, or over the differences of the levels beyond it. The second result is
    the number of steps that the search took.
    """
    wanted = levels - {0}
    if not wanted:
        return (0,) * len(copies), 0
    if math.prod(m + 1 for m in copies) <= len(wanted):
        return None, 0
    factor = math.gcd(*wanted)
    spent = 0
    # A factor that is too large for one value is shared by several copies of it.
    for share in range(1, max(copies) + 1):
        if factor % share or (share > 1 and low <= min(wanted) and max(wanted) <= high):
            continue
        unit = factor // share
        reduced = frozenset(level // unit for level in wanted)
        least, most = -(-low // unit), high // unit
        found = _one_value_each(reduced, copies, least, most)
        found = found or _mixed_radix(reduced, copies, least, most)
        if found is None and search and max(map(abs, reduced)) <= SEARCHED_LEVEL:
            found, more = _search(reduced, copies, least, most)
            spent += more
        if found is not None:
            return tuple(unit * v for v in found), spent
    return None, spent


def _one_value_each(
    levels: Levels, copies: tuple[int, ...], low: int, high: int
) -> tuple[int, ...] | None:
    spare = len(copies) - len(levels)
    if spare < 0 or min(levels) < low or max(levels) > high:
        return None
    return (*sorted(levels), *(0,) * spare)


def _mixed_radix(
    levels: Levels, copies: tuple[int, ...], low: int, high: int
) -> tuple[int, ...] | None:
    """Values ``+-prod_{j<i} (m_j + 1)`` in some order: all sums of an interval, signs shift it.

    A value that would leave [low, high] stops at its end, which leaves the sums an interval.
    """
    bottom, top = min(min(levels), 0), max(max(levels), 0)
    largest = max(abs(low), abs(high))
    if math.prod(m + 1 for m in copies) <= top - bottom or largest * sum(copies) < top - bottom:
        return None
    tried: set[tuple[int, ...]] = set()
    for order in itertools.permutations(range(len(copies))):
        # Types with equal copies are interchangeable.
        sequence = tuple(copies[place] for place in order)
        if sequence in tried:
            continue
        tried.add(sequence)
        found = _signed(sequence, (bottom, top), (high, low))
        if found is not None:
            return tuple(value for _, value in sorted(zip(order, found, strict=True)))
    return None


def _signed(
    copies: tuple[int, ...], wanted: tuple[int, int], ends: tuple[int, int]
) -> tuple[int, ...] | None:
    """Mixed-radix values in this order whose sums hold an interval; the first end's sign first."""
    (bottom, top), largest = wanted, max(map(abs, ends))
    # What each place and those after it widen the interval by, whatever their signs: at most.
    widths = [0]
    for m in copies:
        widths.append(widths[-1] + m * min(widths[-1] + 1, largest))
    room = [widths[-1] - width for width in widths]

    def extend(place: int, below: int, above: int) -> tuple[int, ...] | None:
        if max(top, above) - min(bottom, below) > above - below + room[place]:
            return None
        if place == len(copies):
            return ()
        for end in ends:
            value = min(above - below + 1, abs(end))
            if end > 0:
                rest = extend(place + 1, below, above + value * copies[place])
            else:
                value = -value
                rest = extend(place + 1, below + value * copies[place], above)
            if rest is not None:
                return (value, *rest)
        return None

    return extend(0, 0, 0)


def _search(
    levels: Levels, copies: tuple[int, ...], low: int, high: int
) -> tuple[tuple[int, ...] | None, int]:
    magnitude = max(abs(level) for level in levels)
    if magnitude <= EXHAUSTIVE_LEVEL:
        pool = [v for v in range(-magnitude, magnitude + 1) if v]
    else:
        # What is a value is the difference of many pairs of levels: the frequent ones first.
        ends = [0, *levels]
        often = Counter(a - b for a in ends for b in ends if a != b)
        pool = sorted(often, key=lambda v: (-often[v], abs(v), v))
    pool = [v for v in pool if low <= v <= high]
    origin = 2 * magnitude * sum(copies)
    required = sum(1 << (level + origin) for level in levels)
    least, most = max(low, -2 * magnitude), min(high, 2 * magnitude)
    nodes = 0

    def extend(sums: int, chosen: tuple[int, ...], first: int) -> tuple[int, ...] | None:
        nonlocal nodes
        place = len(chosen)
        if nodes > SEARCH_NODES:
            return None
        nodes += 1
        missing = required & ~sums
        if place == len(copies) - 1:
            return _last(sums, missing, chosen)
        room = math.prod(m + 1 for m in copies[place:])
        if sums.bit_count() * room < len(levels) + 1:
            return None
        # Types with equal copies are interchangeable: each set of values in one order only.
        twin = place > 0 and copies[place] == copies[place - 1]
        for index in range(first if twin else 0, len(pool)):
            value = pool[index]
            found = extend(_add(sums, value, copies[place]), (*chosen, value), index)
            if found is not None:
                return found
        return None

    def _last(sums: int, missing: int, chosen: tuple[int, ...]) -> tuple[int, ...] | None:
        nonlocal nodes
        if not missing:
            return (*chosen, 0)
        # The last type has to reach this level from a sum that the others give, and then the
        # highest one too: most values fail there, and are not looked at any further.
        level, highest = (missing & -missing).bit_length() - 1, missing.bit_length() - 1
        starts: list[int] = []
        rest = sums
        while rest:
            starts.append((rest & -rest).bit_length() - 1)
            rest &= rest - 1
        reached = set(starts)
        steps, more = range(1, copies[-1] + 1), range(2, copies[-1] + 1)
        tried: set[int] = set()
        for start in starts:
            for k in steps:
                nodes += 1
                value, remainder = divmod(level - start, k)
                if remainder or value in tried or not least <= value <= most:
                    continue
                tried.add(value)
                if highest - value not in reached and not any(
                    highest - i * value in reached for i in more
                ):
                    continue
                if not missing & ~_add(sums, value, copies[-1]):
                    return (*chosen, value)
        return None

    return extend(1 << origin, (), 0), nodes


def _add(sums: int, value: int, copies: int) -> int:
    """Sums reachable with up to ``copies`` more summands ``value``; bit i stands for i - origin."""
    total = sums
    for _ in range(copies):
        sums = sums << value if value >= 0 else sums >> -value
        total |= sums
    return total
