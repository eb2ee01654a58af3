"""What is timed, and how."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

# A run shorter than this is repeated and divided: the clock and the first caches are then noise.
LEAST_SECONDS = 0.05
MOST_REPEATS = 1000


@dataclass(frozen=True, slots=True)
class OwnClock:
    """What a run returns that knows its time better than who called it.

    Parameters
    ----------
    seconds : float
        Of one batch.
    """

    seconds: float


@dataclass
class Contender:
    """One simulator on one batch.

    Parameters
    ----------
    key : str
        What ``--contenders`` calls it.
    name : str
        With its version and form.
    run : callable or None
        Runs the whole batch once and returns its answer. None: it could not be set up, ``why``
        says why.
    scores : callable or None
        From what ``run`` returned to ``[B, classes]``.
    check : callable or None
        Called, outside the clock, with everything that ``run`` returned; ends the benchmark if
        that is wrong.
    rounds : int or None
        At most so many, the first one counted: for those that take minutes.
    clock : str
        ``cpu``, or ``wall`` where the work is done by other processes.
    """

    key: str
    name: str
    run: Callable[[], Any] | None
    why: str = ""
    scores: Callable[[Any], Any] | None = None
    check: Callable[[Any], None] | None = None
    rounds: int | None = None
    clock: str = "cpu"
    seconds: list[float] = field(default_factory=list)
    repeats: int = 1
    last: Any = None

    @property
    def median_s(self) -> float:
        """Median time of a batch."""
        return statistics.median(self.seconds)

    def once(self) -> float:
        """Seconds of one batch, the mean of ``repeats``."""
        assert self.run is not None
        self.last = None  # its memory is free before the next result takes some
        begun = time.process_time()
        for _ in range(self.repeats):
            self.last = self.run()
        elapsed = (time.process_time() - begun) / self.repeats
        if self.check is not None:
            self.check(self.last)
        return self.last.seconds if isinstance(self.last, OwnClock) else elapsed


def time_in_turn(contenders: Sequence[Contender], rounds: int) -> None:
    """Time every contender ``rounds`` times, one after the other, so that all share the noise.

    A first turn, not counted, warms up and says how often a short run is repeated. Clock: CPU
    time of the whole process, all of its threads.
    """
    able = [c for c in contenders if c.run is not None]
    for contender in able:
        if contender.rounds is None:
            seconds = max(contender.once(), 1e-6)
            contender.repeats = min(MOST_REPEATS, math.ceil(LEAST_SECONDS / seconds))
    for turn in range(rounds):
        for contender in able:
            if contender.rounds is None or turn < contender.rounds:
                contender.seconds.append(contender.once())
