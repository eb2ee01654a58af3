"""Events in .npz files, and in the .bin files of N-MNIST and N-Caltech101."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from neurodeploy.datasets.events.recording import (
    BLOCK,
    LAST,
    MICROSECOND,
    UNITS,
    Events,
    Opened,
    in_blocks,
    records,
    scaled_times,
)
from neurodeploy.datasets.npz import read_vectors
from neurodeploy.errors import DataError, FileFormatError
from neurodeploy.ir.arrays import AnyArray, IntArray

COLUMNS = ("t", "x", "y", "p")

BIN_EVENT = np.dtype([("x", "u1"), ("y", "u1"), ("p_t", "u1"), ("t_mid", "u1"), ("t_low", "u1")])
OVERFLOW_Y = 240
"""What stands as y where the clock of 13 bits has turned over, which is no event."""
OVERFLOW = 2**13


def open_npz(path: Path, unit: str | None) -> Opened:
    """Arrays ``t``, ``x`` and, where they are there, ``y`` and ``p`` of one length.

    Raises
    ------
    FileFormatError, DataError
        For a file that is damaged, or arrays that are no events.
    """
    parts = read_vectors(path, COLUMNS, BLOCK)
    _expect_columns(str(path), next(parts))
    return Opened(None, (_checked(str(path), part, unit) for part in parts))


def open_arrays(where: str, columns: Mapping[str, AnyArray], unit: str | None) -> Opened:
    """Events from arrays; ``p`` is 0 and 1, false and true, or -1 and 1.

    Raises
    ------
    DataError
        For arrays that are no events.
    """
    given = {name: np.asarray(columns[name]) for name in COLUMNS if name in columns}
    lengths = {name: values.shape for name, values in given.items()}
    if len(set(lengths.values())) > 1 or any(values.ndim != 1 for values in given.values()):
        raise DataError(f"{where}: arrays of shapes {lengths}; events are vectors of one length")
    if "t" in given and not given["t"].size:
        return Opened(None, iter(()))
    _expect_columns(where, given)
    return Opened(None, iter([_checked(where, given, unit)]))


def _expect_columns(where: str, given: Mapping[str, AnyArray]) -> None:
    missing = [name for name in ("t", "x") if name not in given]
    if missing:
        raise DataError(
            f"{where}: no array {missing[0]}, only {', '.join(given) or 'nothing'}; save events as "
            "t, x, y and p (y and p may be missing)"
        )
    for name, values in given.items():
        kinds = {"t": "uif", "p": "uifb"}.get(name, "ui")
        if values.dtype.kind not in kinds:
            raise DataError(f"{where}: {name} is {values.dtype}; expected whole numbers")


def _checked(where: str, given: Mapping[str, AnyArray], unit: str | None) -> Events:
    t, p = given["t"], given.get("p")
    factor = UNITS[unit or ("s" if t.dtype.kind == "f" else "us")]
    if t.size and not (np.isfinite([t.min(), t.max()]).all() and _largest(t) < LAST / factor):
        raise DataError(f"{where}: t from {t.min()} to {t.max()} are no times")
    if p is not None and p.size and not np.isin(p, (-1, 0, 1)).all():
        raise DataError(f"{where}: p holds {p.min()} to {p.max()}; expected 0 and 1, or -1 and 1")
    return Events(scaled_times(t, unit), given["x"], given.get("y"), None if p is None else p > 0)


def _largest(t: AnyArray) -> float:
    return max(abs(float(t.min())), abs(float(t.max())))


def open_bin(path: Path, unit: str | None) -> Opened:
    """Five bytes an event: x, y, then the polarity in the highest of 24 bits and microseconds.

    References
    ----------
    G. Orchard, A. Jayawant, G. Cohen, N. Thakor 2015, "Converting static image datasets to spiking
    neuromorphic datasets using saccades", doi 10.3389/fnins.2015.00437, and its readers.

    Raises
    ------
    FileFormatError
        For a file that is empty or ends within an event.
    """
    events = records(path, BIN_EVENT)
    if not len(events):
        raise FileFormatError(f"{path}: is empty; expected events of 5 bytes")
    return Opened(None, _bin_blocks(events))


def _bin_blocks(events: AnyArray) -> Iterator[Events]:
    turns = 0
    for part in in_blocks(len(events)):
        block = np.asarray(events[part])
        high = block["p_t"].astype(np.int64)
        t = (high & 127) << 16 | block["t_mid"].astype(np.int64) << 8 | block["t_low"]
        over = block["y"] == OVERFLOW_Y
        turned: IntArray = turns + np.cumsum(over)
        turns = int(turned[-1])
        found = Events((t + turned * OVERFLOW) * MICROSECOND, block["x"], block["y"], high >> 7)
        yield found.taken(~over) if over.any() else found
