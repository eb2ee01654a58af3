"""How events become steps, places and counts: the options, checked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurodeploy.datasets.events.recording import nanoseconds, shown_time
from neurodeploy.errors import DataError, UnknownNameError, UsageError
from neurodeploy.ir.arrays import whole

POLARITIES = ("split", "merge", "on", "off")
COUNTS = ("binary", "sum")
STARTS = ("first", "zero", "aligned")


@dataclass(frozen=True, slots=True)
class Binning:
    """How events become steps, places and counts; see :meth:`EventSamples.of`."""

    dt: int | None = None
    steps: int | None = None
    size: tuple[int, ...] | None = None
    polarity: str = "split"
    count: str = "binary"
    start: str = "first"
    duration: int | None = None
    downsample: int = 1
    sort: bool = False

    @classmethod
    def checked(
        cls,
        name: str,
        *,
        dt: float | str | None,
        steps: int | None,
        size: tuple[int, ...] | int | str | None,
        polarity: str,
        count: str,
        start: str,
        duration: float | str | None,
        downsample: int,
        sort: bool,
    ) -> Binning:
        """Read and check the options.

        Raises
        ------
        UsageError
        """
        if (dt is None) == (steps is None):
            given = "neither dt nor steps is" if dt is None else "both dt and steps are"
            raise UsageError(
                f"{name}: {given} given; pass dt=1ms (length of a step) or steps=100 (steps of "
                "every sample)"
            )
        for what, value, known in (
            ("polarity", polarity, POLARITIES),
            ("count", count, COUNTS),
            ("start", start, STARTS),
        ):
            if value not in known:
                raise UnknownNameError(f"{what} (in {name})", str(value), known)
        return cls(
            None if dt is None else nanoseconds(dt, f"{name}: dt"),
            None if steps is None else _at_least_1(name, "steps", steps),
            None if size is None else _size(name, size),
            polarity,
            count,
            start,
            None if duration is None else nanoseconds(duration, f"{name}: duration"),
            _at_least_1(name, "downsample", downsample),
            sort,
        )

    def origin(self, where: str, first: int) -> int:
        """When the first step begins, from the time of the first event.

        Raises
        ------
        DataError
            If it would begin after that event.
        """
        if self.start == "first":
            return first
        if self.start == "aligned":
            if self.dt is None:
                raise DataError(f"{where}: start=aligned is by dt; leave it out with steps")
            return first // self.dt * self.dt
        if first < 0:
            raise DataError(f"{where}: an event at {shown_time(first)}; leave start=zero out")
        return 0

    @property
    def shown_step(self) -> str:
        """The length of a step, for messages."""
        return "a share of the sample" if self.dt is None else shown_time(self.dt)


def _at_least_1(name: str, what: str, value: object) -> int:
    try:
        number = whole(value, what)
    except ValueError:
        number = 0
    if number < 1:
        raise UsageError(f"{name}: {what}={value}: expected a whole number above 0")
    return number


def _size(name: str, value: object) -> tuple[int, ...]:
    sides = str(value).split("x") if isinstance(value, str | int | np.integer) else value
    try:
        size = tuple(int(side) for side in sides)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        size = ()
    if len(size) not in (1, 2) or min(size) < 1:
        raise UsageError(
            f"{name}: size={value}: expected WIDTHxHEIGHT as 34x34, or a number of channels as 700"
        )
    return size
