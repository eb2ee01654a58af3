"""Prophesee's .dat files, and .raw files of EVT 2.0 and EVT 3.0."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from neurodeploy.datasets.events.recording import MICROSECOND, Events, Opened, in_blocks, records
from neurodeploy.errors import FileFormatError
from neurodeploy.ir.arrays import AnyArray, IntArray

MAX_HEADER = 2**16

DAT_EVENT = np.dtype([("t", "<u4"), ("data", "<u4")])
DAT_TYPES = (0, 12)
"""Changes of contrast: of the first and the present version."""

CD_OFF, CD_ON, EVT2_TIME_HIGH = 0, 1, 8
EVT2_TIME_BITS = 34
ADDR_Y, ADDR_X, BASE_X, VECT_12, VECT_8, TIME_LOW, TIME_HIGH = 0, 2, 3, 4, 5, 6, 8
EVT3_TIME_BITS = 24


def _header(path: Path) -> tuple[str, int]:
    """Lines that begin with '%', and where they end."""
    with path.open("rb") as file:
        head = file.read(MAX_HEADER)
    end = 0
    while head[end : end + 1] == b"%":
        line_end = head.find(b"\n", end)
        if line_end < 0:
            raise FileFormatError(f"{path}: a header line without an end; damaged")
        line = head[end : line_end + 1]
        end = line_end + 1
        if line.strip() == b"% end":
            break
    if not end:
        raise FileFormatError(
            f"{path}: starts with {head[:4].hex() or 'nothing'}, files of Prophesee with lines '% '"
        )
    return head[:end].decode("latin-1"), end


def _size(header: str) -> tuple[int, ...] | None:
    geometry = re.search(r"geometry[ =](\d{1,5})x(\d{1,5})", header, re.IGNORECASE)
    if geometry:
        return int(geometry[1]), int(geometry[2])
    sides = [re.search(rf"{side}[ =](\d{{1,5}})", header, re.I) for side in ("width", "height")]
    found = [int(side[1]) for side in sides if side]
    return tuple(found) if len(found) == 2 else None


def open_dat(path: Path) -> Opened:
    """Eight bytes an event: microseconds, then x, y and the polarity in 32 bits.

    References
    ----------
    Prophesee, Metavision SDK documentation, "DAT File Format"; files without version 2 in their
    header have x in 9 bits and y in 8, as ``load_atis_data`` of N-CARS reads them.

    Raises
    ------
    FileFormatError
        For another kind of events or a file that ends within one.
    """
    header, end = _header(path)
    with path.open("rb") as file:
        file.seek(end)
        kind = file.read(2)
    if len(kind) < 2 or kind[0] not in DAT_TYPES or kind[1] != DAT_EVENT.itemsize:
        raise FileFormatError(
            f"{path}: events of type and size {kind.hex() or 'nothing'}; expected 0c08 (changes of "
            "contrast in 8 bytes)"
        )
    version = re.search(r"version (\d+)", header, re.IGNORECASE)
    bits = (14, 14) if version and int(version[1]) >= 2 else (9, 8)
    return Opened(_size(header), _dat_blocks(records(path, DAT_EVENT, end + 2), *bits))


def _dat_blocks(events: AnyArray, x_bits: int, y_bits: int) -> Iterator[Events]:
    for part in in_blocks(len(events)):
        block = np.asarray(events[part])
        data = block["data"]
        yield Events(
            block["t"].astype(np.int64) * MICROSECOND,
            data & (1 << x_bits) - 1,
            data >> x_bits & (1 << y_bits) - 1,
            data >> x_bits + y_bits & 1,
        )


def open_raw(path: Path) -> Opened:
    """Words of 32 bits (EVT 2.0) or 16 bits (EVT 3.0), by the format that the header names.

    References
    ----------
    Prophesee, Metavision SDK documentation, "EVT 2.0 Format" and "EVT 3.0 Format".

    Raises
    ------
    FileFormatError
        For other formats, big-endian files, or a file that ends within a word.
    """
    header, end = _header(path)
    named = re.search(r"% (?:format EVT|evt )(\d+(?:\.\d+)?)", header)
    version = float(named[1]) if named else None
    if version not in (2, 3):
        found = "no format" if version is None else f"EVT {version:g}"
        raise FileFormatError(f"{path}: names {found}; EVT 2.0 and EVT 3.0 are read")
    if re.search(r"endianness[ =]big", header):
        raise FileFormatError(f"{path}: big-endian words; only little-endian ones are read")
    if end == path.stat().st_size and not header.rstrip().endswith("% end"):
        raise FileFormatError(
            f"{path}: ends within its header of {end} bytes, before '% end' or an event; "
            "truncated, take another file"
        )
    if version == 2:
        words = records(path, np.dtype([("word", "<u4")]), end)
        return Opened(_size(header), _evt2_blocks(words))
    words = records(path, np.dtype([("word", "<u2")]), end)
    return Opened(_size(header), _evt3_blocks(words))


def _evt2_blocks(words: AnyArray) -> Iterator[Events]:
    clock = _Clock(EVT2_TIME_BITS)
    for part in in_blocks(len(words)):
        word = np.asarray(words["word"][part]).astype(np.int64)
        kind = word >> 28
        high = clock.held(kind == EVT2_TIME_HIGH, (word & 0xFFFFFFF) << 6)
        chosen = ((kind == CD_OFF) | (kind == CD_ON)) & (high >= 0)
        w, t = word[chosen], high[chosen]
        yield Events((t + (w >> 22 & 63)) * MICROSECOND, w >> 11 & 2047, w & 2047, w >> 28)


class _Clock:
    """The high bits of the time: held until the next ones, longer by a turn where they fall."""

    def __init__(self, bits: int) -> None:
        self.turn = 1 << bits
        self.last = -1

    def held(self, given: AnyArray, values: IntArray) -> IntArray:
        """The high bits that hold at every word, -1 before the first."""
        at = np.flatnonzero(given)
        found = values[at]
        if not at.size:
            return np.full(len(given), self.last)
        before = found[0] if self.last < 0 else self.last % self.turn
        turns = 0 if self.last < 0 else self.last // self.turn
        # A little back is jitter of the camera; a fall by half of the range is a turn.
        falls = np.diff(found, prepend=before) < -(self.turn // 2)
        found = found + (turns + np.cumsum(falls)) * self.turn
        place = np.cumsum(given) - 1
        held = np.where(place < 0, self.last, found[np.maximum(place, 0)])
        self.last = int(found[-1])
        return np.asarray(held, np.int64)


def _evt3_blocks(words: AnyArray) -> Iterator[Events]:
    clock = _Clock(EVT3_TIME_BITS)
    row, column, low = _Held(-1), _Held(-1), _Held(0)
    for part in in_blocks(len(words)):
        word = np.asarray(words["word"][part]).astype(np.int64)
        kind, value = word >> 12, word & 4095
        before = clock.last
        high = clock.held(kind == TIME_HIGH, value << 12)
        # Where the high bits move on, the low ones start again from 0.
        moved = (kind == TIME_HIGH) & (high != np.concatenate([[before], high[:-1]]))
        low_bits = low.held((kind == TIME_LOW) | moved, np.where(moved, 0, value))
        y = row.held(kind == ADDR_Y, value & 2047)
        base = column.held(kind == BASE_X, value)
        # Vectors after a base begin where the last one ended.
        wide = np.where(kind == VECT_12, 12, np.where(kind == VECT_8, 8, 0))
        so_far = np.cumsum(wide)
        offset = so_far - wide - column.since(so_far)
        t = (high + low_bits) * MICROSECOND
        found = [_single(word, kind, t, y)]
        for vector, length in ((VECT_12, 12), (VECT_8, 8)):
            found.append(_vector(kind == vector, length, value, t, y, base, offset))
        column.carry(so_far)
        place = np.concatenate([p for p, _ in found])
        order = np.argsort(place, kind="stable")
        joined = Events(
            *(
                np.concatenate([getattr(events, name) for _, events in found])[order]
                for name in ("t", "x", "y", "p")
            )
        )
        # Before the first time or row, nothing is known of an event.
        known = (high >= 0) & (y >= 0)
        yield joined.taken(known[place[order]])


class _Held:
    """A value that holds until the next one, from one block to the next."""

    def __init__(self, first: int) -> None:
        self.last = first
        self.offset = 0
        self.place: IntArray = np.empty(0, np.int64)
        self.at: IntArray = np.empty(0, np.int64)

    def held(self, given: AnyArray, values: IntArray) -> IntArray:
        """The value that holds at every word."""
        self.at = np.flatnonzero(given)
        self.place = np.cumsum(given) - 1
        if not self.at.size:
            return np.full(len(given), self.last)
        found = values[self.at]
        held = np.where(self.place < 0, self.last, found[np.maximum(self.place, 0)])
        self.last = int(found[-1])
        return np.asarray(held, np.int64)

    def since(self, so_far: IntArray) -> IntArray:
        """What of a running sum is older than the value that holds."""
        if not self.at.size:
            return np.full(len(so_far), -self.offset)
        older = so_far[self.at][np.maximum(self.place, 0)]
        return np.asarray(np.where(self.place < 0, -self.offset, older), np.int64)

    def carry(self, so_far: IntArray) -> None:
        """Keep what of a running sum is younger than the value, for the next block."""
        if self.at.size:
            self.offset = int(so_far[-1] - so_far[self.at[-1]])
        else:
            self.offset += int(so_far[-1])


def _single(word: IntArray, kind: IntArray, t: IntArray, y: IntArray) -> tuple[IntArray, Events]:
    at = np.flatnonzero(kind == ADDR_X)
    return at, Events(t[at], word[at] & 2047, y[at], word[at] >> 11 & 1)


def _vector(
    chosen: AnyArray,
    length: int,
    value: IntArray,
    t: IntArray,
    y: IntArray,
    base: IntArray,
    offset: IntArray,
) -> tuple[IntArray, Events]:
    at = np.flatnonzero(chosen & (base >= 0))
    which, bit = np.nonzero(value[at][:, None] >> np.arange(length) & 1)
    place = at[which]
    x = (base[place] & 2047) + offset[place] + bit
    return place, Events(t[place], x, y[place], base[place] >> 11 & 1)
