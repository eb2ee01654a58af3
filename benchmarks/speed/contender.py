"""What is timed, and how."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

Run = Callable[[], float | None]
"""Runs the whole batch once; may return seconds of its own clock, set-up excluded."""


@dataclass
class Contender:
    """One simulator on one batch.

    Parameters
    ----------
    name : str
        With its version.
    run : callable or None
        None: it could not be set up, ``why`` says why.
    """

    name: str
    run: Run | None
    why: str = ""
    seconds: list[float] = field(default_factory=list)

    @property
    def median_s(self) -> float:
        """Median time of a batch."""
        return statistics.median(self.seconds)


def time_in_turn(contenders: Sequence[Contender], repeats: int) -> None:
    """Time every contender ``repeats`` times, one after the other, so that all share the noise.

    The first round is not counted.
    """
    for turn in range(-1, repeats):
        for contender in contenders:
            if contender.run is None:
                continue
            start = time.perf_counter()
            own = contender.run()
            elapsed = time.perf_counter() - start if own is None else own
            if turn >= 0:
                contender.seconds.append(elapsed)
