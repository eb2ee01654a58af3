"""What a value of a program is in time: of one step, of all steps, or what they add up to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import fx

from neurodeploy.errors import UnsupportedLayerError


class Refused(UnsupportedLayerError):
    """A program that is no repetition of one step, or not in the form that was assumed.

    ``followed`` tells how much of it was followed, from 0 to 1.
    """

    followed: float = 0.0


@dataclass(frozen=True, slots=True)
class Now:
    """``[N, *shape]`` in one step; ``step`` None: the same in all."""

    node: fx.Node
    step: int | None


@dataclass(frozen=True, slots=True)
class Seq:
    """All steps of a node: ``[T, N, *shape]`` (axis 0) or ``[N, T, *shape]`` (axis 1)."""

    node: fx.Node
    axis: int
    steps: int


@dataclass(frozen=True, slots=True)
class One:
    """One step of a node with an axis of length 1 for time; ``step`` None: the same in all."""

    node: fx.Node
    axis: int
    step: int | None


@dataclass(frozen=True, slots=True)
class Flat:
    """All steps of a node with time and batch as one axis, ``axis`` as it was before."""

    node: fx.Node
    axis: int
    steps: int


@dataclass(frozen=True, slots=True)
class Total:
    """What the steps up to one add up to; ``mean``: divided by their number."""

    node: fx.Node
    step: int
    mean: bool = False


@dataclass(frozen=True, slots=True)
class StateOf:
    """A state of a layer after a call."""

    layer: str
    index: int
    call: int


def is_value(value: Any) -> bool:
    """Whether something depends on what enters."""
    return isinstance(value, Now | Seq | One | Flat | Total | StateOf)
