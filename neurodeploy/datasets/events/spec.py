"""The text that names events: ``events:PATH[@train|test]#dt=1ms,size=34x34,...``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from neurodeploy.datasets.events.samples import EventSamples
from neurodeploy.errors import UnknownNameError, UsageError

PREFIX = "events:"
OPTIONS = (
    "dt",
    "steps",
    "size",
    "polarity",
    "count",
    "labels",
    "start",
    "duration",
    "downsample",
    "unit",
    "sort",
    "first",
)
WHOLE = ("steps", "downsample", "first")
YES = {"yes": True, "no": False}
SPLITS = ("train", "test")


def is_events_text(data: object) -> bool:
    """Whether a text names events."""
    return isinstance(data, str) and data.startswith(PREFIX)


def no_samples(name: str) -> UsageError:
    """The error where events are given and samples of a source network are needed."""
    return UsageError(
        f"{name}: events enter a network of spikes as they are (run, evaluate, verify, energy, "
        "quantize); pass samples of the source network here"
    )


def read_events(text: str) -> EventSamples:
    """The recordings that a text names.

    Raises
    ------
    UsageError
        For options that are unknown or cannot be read.
    DataError, FileFormatError
        For files that are missing or no events.
    """
    location, _, rest = text.removeprefix(PREFIX).partition("#")
    options: dict[str, Any] = {}
    for part in re.split("[,#]", rest) if rest else []:
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if key not in OPTIONS or not equals:
            raise UnknownNameError(f"option (in data {text!r})", key, OPTIONS)
        if key in options:
            raise UsageError(f"data {text!r}: option {key} is given twice")
        options[key] = _value(text, key, value)
    split = None
    before, at, named = location.rpartition("@")
    if at and named in SPLITS and not Path(location).exists():
        location, split = before, named
    if not location:
        raise UsageError(f"data {text!r}: events need a path, as in events:recordings#dt=1ms")
    return EventSamples.of(location, split=split, name=text, **options)


def _value(text: str, key: str, value: str) -> Any:
    if key in WHOLE:
        if not value.isascii() or not value.isdigit() or int(value) < 1:
            raise UsageError(f"data {text!r}: {key}={value} is not a whole number above 0")
        return int(value)
    if key == "sort":
        if value not in YES:
            raise UsageError(f"data {text!r}: sort={value} is neither yes nor no")
        return YES[value]
    return value
