"""Maxima of spikes: the population model of max-pooling, and the gains that steps may have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from neurodeploy.errors import NetlistError
from neurodeploy.ir.arrays import AnyArray, whole
from neurodeploy.ir.geometry import Window

PoolRule = Literal["maximum", "winner", "now"]
POOL_RULES: tuple[PoolRule, ...] = ("maximum", "winner", "now")
# Below everything that a pool can accumulate: what a padded cell of a signed pool counts as.
PADDED = -(2**50)
MAX_GAIN = 2**20


def each_step(values: Any, name: str) -> Iterable[Any]:
    """Values of steps; NetlistError for what is no list of them."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise NetlistError(f"{name} of type {type(values).__name__}; expected one for each step")
    return values


def step_gains(name: str, values: Any) -> tuple[int, ...]:
    """Gains of steps, if they are whole numbers from 0 to :data:`MAX_GAIN`.

    Raises
    ------
    NetlistError
    """
    gains = tuple(whole(g, f"{name} of a step") for g in each_step(values, name))
    if gains and not 0 <= min(gains) <= max(gains) <= MAX_GAIN:
        raise NetlistError(f"{name} outside 0..{MAX_GAIN}")
    return gains


@dataclass(frozen=True, slots=True)
class MaxPool:
    """Spiking max-pooling, over accumulated input or over what arrives now.

    ``A(t)`` is the input accumulated so far, of shape ``input_shape``; ``M(t)`` its maximum over
    each window, 0 before the first step. Padded cells never win.

    Parameters
    ----------
    channels : int
    window : Window
    rule : {"maximum", "winner"}
        ``maximum``: the population emits ``M(t) - M(t - 1)``, exact at every step. ``winner``: it
        emits the present input ``a_w(t)`` of the cell w with the largest ``A(t)``, the first in
        C-order of equal ones (Rueckauer et al. 2017, doi 10.3389/fnins.2017.00682, section 2.2.6).
        ``now``: it emits the maximum of the present input ``a(t)``, as networks trained as spiking
        ones pool; nothing is accumulated, and its membrane is what it emits.
    signed : bool
        Whether inputs and weights may be negative. Unsigned pools start from 0 and never fall.
    input_gain : tuple of int
        g of every step of the window, of rule ``maximum``; empty: 1. The input is accumulated g[t]
        times, and ``(M(t) - M(t - 1)) / g[t]`` emitted, nothing where g[t] is 0. Each that is not 0
        divides those before it, so that what is emitted is whole.
    """

    channels: int
    window: Window
    rule: PoolRule = "maximum"
    signed: bool = False
    input_gain: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.rule not in POOL_RULES:
            raise NetlistError(f"pooling rule {self.rule!r}; expected one of {POOL_RULES}")
        if not isinstance(self.signed, bool):
            raise NetlistError(f"pooling signed {self.signed!r}; expected true or false")
        if not isinstance(self.window, Window):
            raise NetlistError(f"pooling over {type(self.window).__name__}; expected a Window")
        object.__setattr__(self, "channels", whole(self.channels, "pooling: channels"))
        if self.channels < 1:
            raise NetlistError(f"pooling of {self.channels} channels; expected at least 1")
        if self.window.is_spaced:
            raise NetlistError(f"pooling over a spacing of {self.window.spacing}; expected 1")
        if self.signed and (self.maximum(np.zeros((1, *self.input_shape))) == PADDED).any():
            raise NetlistError(
                f"signed pooling of {self.window.input_size} by {self.window.kernel}: a window "
                "holds nothing but padding; use less padding"
            )
        object.__setattr__(self, "input_gain", step_gains("input_gain", self.input_gain))
        if self.input_gain and self.rule != "maximum":
            raise NetlistError(f"pooling rule {self.rule!r} has no input_gain: it counts no steps")
        last = 0
        for gain in filter(None, self.input_gain):
            if last % gain:
                raise NetlistError(f"input_gain {gain} of a pool does not divide {last} before it")
            last = gain

    @property
    def n_gains(self) -> int:
        """Steps that gains are given for; 0: any number."""
        return len(self.input_gain)

    def gain(self, t: int) -> int:
        """G of step ``t`` of the window."""
        return self.input_gain[t] if self.input_gain else 1

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape that incoming projections target."""
        return (self.channels, *self.window.input_size)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of the population."""
        return (self.channels, *self.window.output_size)

    def maximum(self, accumulated: AnyArray) -> AnyArray:
        """Maximum over each window of ``[B, *input_shape]``: ``[B, *output_shape]``."""
        result: AnyArray | None = None
        for tap in self._taps(accumulated):
            result = tap.copy() if result is None else np.maximum(result, tap)
        assert result is not None  # a window has at least one tap
        return result

    def winner(self, accumulated: AnyArray, a: AnyArray) -> AnyArray:
        """Present input of the cell with the most accumulated, ``[B, *output_shape]``."""
        most: AnyArray | None = None
        present: AnyArray | None = None
        for total, now in zip(self._taps(accumulated), self.window_taps(a), strict=True):
            if most is None or present is None:
                most, present = total.copy(), now.copy()
                continue
            present = np.where(total > most, now, present)
            most = np.maximum(most, total)
        assert present is not None
        return present

    def window_taps(self, values: AnyArray) -> Iterator[AnyArray]:
        """Each cell of the window over zero-padded ``[B, *input_shape]``."""
        padded = self.window.pad(values)
        for _, where in self.window.taps():
            yield padded[where]

    def _taps(self, accumulated: AnyArray) -> Iterator[AnyArray]:
        yield from (
            np.where(inside, tap, PADDED) if self.signed else tap
            for tap, inside in zip(
                self.window_taps(accumulated),
                # Zeros never exceed an unsigned maximum; a signed one must not see them.
                self.window_taps(np.ones((1, *self.input_shape), dtype=bool)),
                strict=True,
            )
        )
