"""Radix encoding: the spikes of a neuron are the binary digits of its activation.

T = 2 P steps, in the first P of which a neuron listens to the digits of others, the largest first,
and in the last P sends its own::

    j = 0 .. P - 1:     v <- v + 2^(P - 1 - j) a[j]
    j = 0 .. P - 1:     s = [v >= 2^(P - 1 - j) theta],   v <- v - s 2^(P - 1 - j) theta

with v0 = bias + theta / 2 and theta = range / (2^P - 1), so that the digits are those of
``clip(floor(x / theta + 1/2), 0, 2^P - 1)`` whatever the depth: nothing comes too early, and an
activation that saturates does so exactly. In hardware the listening is ``v <- 2 v + a``. A neuron
sends P spikes at most, and the answer stands T + (P + 1) depth steps after the image.

Where ``listening`` is less than P, what came too late for one step may still be sent in the next
with ``digit_worths`` "repeated".

References
----------
Wang et al. 2021, "Efficient spiking neural networks with radix encoding", arXiv 2105.06943;
Stoeckl & Maass 2021, "Optimized spiking neurons classify images with high accuracy through temporal
coding with two spikes", arXiv 2002.00860 (few-spikes neurons: a threshold, a reset and a worth of
its own for every step).
"""

from __future__ import annotations

from dataclasses import dataclass

from neurodeploy.conversion.methods.listening import Listening
from neurodeploy.errors import UsageError


@dataclass(frozen=True, slots=True)
class Radix(Listening):
    """Options of radix encoding, beside those of every layer-by-layer method.

    Parameters
    ----------
    timesteps : int
        Steps in which a layer is active, T: those in which it listens, then one for each digit.
    listening : int
        Steps before the first digit is sent; 0: as many as there are digits, T / 2.
    """

    timesteps: int = 12
    listening: int = 0

    def __post_init__(self) -> None:
        if not self.listening and self.timesteps > 1 and self.timesteps % 2:
            raise UsageError(
                f"timesteps {self.timesteps}: listening for as long as digits are sent needs an "
                "even number; name the steps of --listening"
            )
        Listening.__post_init__(self)

    @property
    def silent(self) -> int:
        """Steps in which a neuron listens before it fires."""
        return self.listening or self.timesteps // 2
