"""Population models. Real-valued and integer neurons are different types and never mix.

The update of one step, with ``trunc0`` rounding toward zero (integer form)::

    u <- trunc0(u * (4096 - du) / 4096) + a[t]
    v <- trunc0(v * (4096 - dv) / 4096) + u + b
    s  = +k if v >= theta_pos;  -k if signed and v <= -theta_neg;  0 otherwise
    v <- v - s * theta (subtract) | 0 where s != 0 (zero) | v (none)

with k = 1, or min(v // theta_pos, payload_max) for graded spikes. Where payloads are powers of two,
k becomes the nearest one, the larger of two: 3 becomes 4, 5 becomes 4, 6 becomes 8. What is
emitted too much stays in v with the other sign.

A neuron with memory never takes back more than it has emitted. With m the sum of its payloads so
far in the window, it takes back as many thresholds as bring v to 0 or above::

    k_neg = min(ceil(-v / theta_pos), payload_max, m)  if v <= -theta_neg, else 0
    (of powers of two, the nearest one; half of it where that exceeds m)
    v <- v - s * theta_pos;  m <- m + s

so that m follows ``clip(floor((v0 + sum of input) / theta_pos), 0, ...)``, the rectified count.

Gains make steps count differently. With g[t] and h[t] the gains of input and firing in step t of
the window (both 1 where none are given)::

    v <- v + g[t] (a[t] + b);  theta_pos and theta_neg are h[t] times as large;  m <- m + h[t] s
    (of a neuron with memory, m // h[t] limits what it takes back)

and where h[t] is 0 nothing fires. Beside them a comparison c[t], in 1/4096, lets a binary neuron be
compared with another level than it loses::

    s  = +1 if v >= ceil(c[t] h[t] theta_pos / 4096);  -1 if v <= -ceil(c[t] h[t] theta_neg / 4096)

(of real-valued neurons, without rounding; a neuron with memory also needs m >= h[t]). A neuron that
begins with steps in which nothing fires emits nothing in them, so that the windows of those it
drives open that much later (:mod:`neurodeploy.ir.schedule`).

Networks that were trained as spiking ones bring more, each of it absent by default. With c a
countdown, c = 0 and s[-1] = 0 at the start of the window::

    u <- as above, also while the neuron is refractory
    if c > 0:  c <- c - 1;  s = 0;  v stays, and what arrives is lost
    else:
      v <- trunc0(v * (4096 - dv) / 4096) + u + b  [- theta s[t - 1] with reset subtract-next]
      v <- clip(v, -S, S)                          saturation
      s, and the reset: subtract | zero | none | value: v <- v_reset where it fired
                        | subtract-next: nothing in the spike's own step
      c <- r where s != 0                          refractory period
      v <- max(v, v_min)                           floor

References
----------
Wang, Zhang, Chen & Qu 2022, "Signed neuron with memory", doi 10.24963/ijcai.2022/347 (memory).
Li, Zhao & Zeng 2022, doi 10.3389/fnins.2022.991851 (phases of accumulating and of firing); Huang
et al. 2025, "Differential coding for training-free ANN-to-SNN conversion", arXiv 2503.00301 (steps
that count 1 / t); Gu et al. 2024, "TMN: A lightweight neuron model for efficient nonlinear spike
representation", arXiv 2408.17245 (compared with half of what is taken off).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from neurodeploy.errors import NetlistError
from neurodeploy.ir.arrays import AnyArray, whole
from neurodeploy.ir.fixed_point import DECAY_ONE
from neurodeploy.ir.neuron import MAX_QUANTITY
from neurodeploy.ir.neuron import RESETS as RESETS
from neurodeploy.ir.neuron import Neuron as Neuron
from neurodeploy.ir.pools import MAX_GAIN as MAX_GAIN
from neurodeploy.ir.pools import POOL_RULES as POOL_RULES
from neurodeploy.ir.pools import MaxPool as MaxPool
from neurodeploy.ir.pools import PoolRule as PoolRule

MAX_INPUT_MAGNITUDE = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Input:
    """Model of an input population; its depth is 0.

    Parameters
    ----------
    kind : {"current", "spikes"}
        ``current``: one integer per neuron and sample, emitted in every step of the window.
        ``spikes``: a raster of integers ``[T, *shape]`` per sample.
    low, high : int
        Inclusive range of every emitted value; bounds are proved from it.
    """

    kind: Literal["current", "spikes"]
    low: int
    high: int

    def __post_init__(self) -> None:
        if self.kind not in ("current", "spikes"):
            raise NetlistError(f"input kind {self.kind!r}; expected 'current' or 'spikes'")
        for name in ("low", "high"):
            object.__setattr__(self, name, whole(getattr(self, name), f"input {name}"))
        if not self.low <= 0 <= self.high:
            raise NetlistError(f"input range [{self.low}, {self.high}] must contain 0")
        if max(-self.low, self.high) > MAX_INPUT_MAGNITUDE:
            raise NetlistError(
                f"input range [{self.low}, {self.high}] exceeds {MAX_INPUT_MAGNITUDE} in magnitude"
            )
        if self.low == self.high:
            raise NetlistError("input range [0, 0] carries nothing")


@dataclass(frozen=True, slots=True, eq=False)
class RealNeuron(Neuron):
    """Real-valued integrate-and-fire neuron.

    Parameters
    ----------
    current_decay, membrane_decay : float or array
        Fractions lost per step, in [0, 1]; 1 and 0: no current memory and no leak.
    strict : bool
        Whether v has to be above the threshold to fire (below its negative), not at it.
    """

    current_decay: float | AnyArray = 1.0
    membrane_decay: float | AnyArray = 0.0
    strict: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        Neuron.__post_init__(self)
        if not isinstance(self.strict, bool):
            raise NetlistError(f"strict {self.strict!r}; expected true or false")


@dataclass(frozen=True, slots=True, eq=False)
class IntegerNeuron(Neuron):
    """Integer integrate-and-fire neuron.

    Parameters
    ----------
    current_decay, membrane_decay : int or array
        ``du`` and ``dv`` in 1/4096; 4096 and 0: no current memory and no leak.
    """

    current_decay: int | AnyArray = DECAY_ONE
    membrane_decay: int | AnyArray = 0

    number_kind: ClassVar[str] = "i"
    whole_decay: ClassVar[float] = DECAY_ONE

    def __post_init__(self) -> None:
        Neuron.__post_init__(self)
        for name, gains in (
            ("threshold", "firing_gain"),
            ("negative_threshold", "firing_gain"),
            ("bias", "input_gain"),
        ):
            self._verify_product(name, gains)

    def _verify_product(self, name: str, gains: str) -> None:
        """Refuse a quantity that the largest gain of a step takes beyond what is computed with."""
        gain = max(getattr(self, gains), default=1)
        values = getattr(self, name)
        if values is None or not values.size:
            return
        largest = max(int(values.max()), int(values.min()), key=abs)
        if abs(largest) * gain > MAX_QUANTITY:
            raise NetlistError(
                f"{name} {largest} times {gains} {gain} is {largest * gain}, beyond {MAX_QUANTITY} "
                f"in magnitude; use a smaller {name}, or smaller gains"
            )


Model = Input | MaxPool | RealNeuron | IntegerNeuron
