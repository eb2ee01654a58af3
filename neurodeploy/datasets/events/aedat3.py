"""AEDAT 3.1, as in DVS Gesture: packets of polarity events behind a header of lines of text."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from neurodeploy.datasets.events.recording import BLOCK, Events, Opened, from_microseconds
from neurodeploy.errors import FileFormatError
from neurodeploy.ir.arrays import AnyArray

MAGIC = b"#!AER-DAT3.1"
END_OF_HEADER = b"#!END-HEADER"
MAX_HEADER = 2**20
PACKET = struct.Struct("<hhiiiiii")
"""Type, source, bytes of an event, offset of its time, overflows of the clock, and how many events
there is room for, there are, and are valid."""
POLARITY = 1
POLARITY_EVENT = np.dtype([("data", "<u4"), ("t", "<i4")])
OVERFLOW_BITS = 31


def open_aedat3(path: Path) -> Opened:
    """Polarity events; packets of other kinds are passed over, and invalid events left out.

    References
    ----------
    iniVation, AEDAT file formats, "AEDAT 3.1".

    Raises
    ------
    FileFormatError
        For a file of another version, or one that ends within a packet.
    """
    with path.open("rb") as file:
        start = _skip_header(path, file)
    return Opened(None, _blocks(path, start))


def _skip_header(path: Path, file: IO[bytes]) -> int:
    first = file.readline(MAX_HEADER)
    if not first.startswith(MAGIC):
        shown = first[:16].decode("latin-1").strip() or "nothing"
        raise FileFormatError(f"{path}: starts with {shown!r}, an AEDAT 3.1 file with {MAGIC!r}")
    while file.tell() < MAX_HEADER:
        place = file.tell()
        line = file.readline(MAX_HEADER)
        if line.startswith(END_OF_HEADER):
            return file.tell()
        if not line:
            raise FileFormatError(
                f"{path}: ends within its header of {place} bytes, before {END_OF_HEADER.decode()} "
                "or a packet; truncated, take another file"
            )
        if not line.startswith(b"#"):
            # Older writers mark no end: the first line without '#' is a packet.
            return place
    raise FileFormatError(f"{path}: a header of more than {MAX_HEADER} bytes; damaged")


def _blocks(path: Path, start: int) -> Iterator[Events]:
    size = path.stat().st_size
    with path.open("rb") as file:
        place = start
        while place < size:
            file.seek(place)
            head = file.read(PACKET.size)
            if len(head) < PACKET.size:
                raise FileFormatError(f"{path}: ends within the head of a packet; truncated")
            kind, _, width, _, overflows, capacity, number, _ = PACKET.unpack(head)
            body = place + PACKET.size
            place = body + width * capacity
            if width < 1 or not 0 <= number <= capacity or overflows < 0:
                raise FileFormatError(
                    f"{path}: a packet of {number} in {capacity} events of {width} bytes at "
                    f"{body - PACKET.size}; damaged"
                )
            if place > size:
                raise FileFormatError(
                    f"{path}: a packet announces {width * capacity} bytes, {size - body} are left; "
                    "truncated"
                )
            if kind != POLARITY:
                continue
            if width != POLARITY_EVENT.itemsize:
                raise FileFormatError(f"{path}: polarity events of {width} bytes, expected 8")
            for first in range(0, number, BLOCK):
                raw = file.read(width * min(BLOCK, number - first))
                yield _decoded(path, np.frombuffer(raw, POLARITY_EVENT), overflows)


def _decoded(path: Path, raw: AnyArray, overflows: int) -> Events:
    data = raw["data"]
    t = (overflows << OVERFLOW_BITS) + raw["t"].astype(np.int64)
    found = Events(from_microseconds(path, t), data >> 17, data >> 2 & 0x7FFF, data >> 1 & 1)
    return found.taken(data & 1 == 1)
