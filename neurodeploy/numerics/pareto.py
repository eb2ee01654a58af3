"""The Pareto front of things with a cost and a value."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


def undominated(items: Iterable[T], measure: Callable[[T], tuple[float, float]]) -> list[T]:
    """Items that no other one betters in cost and value, by rising cost; one of equals.

    Parameters
    ----------
    items : iterable
    measure : callable
        Cost and value of an item.
    """
    found: list[tuple[float, T]] = []
    measured = sorted(((*measure(item), item) for item in items), key=lambda m: (m[0], -m[1]))
    for _, value, item in measured:
        if not found or value > found[-1][0]:
            found.append((value, item))
    return [item for _, item in found]
