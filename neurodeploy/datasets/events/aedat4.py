"""AEDAT 4.0, as iniVation's DV writes it: compressed packets of FlatBuffers."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from neurodeploy.datasets.events.recording import Events, Opened, from_microseconds, in_blocks
from neurodeploy.errors import FileFormatError, first_line

MAGIC = b"#!AER-DAT4.0\r\n"
HEADER_ID, EVENTS_ID = b"IOHE", b"EVTS"
NONE, LZ4, LZ4_HIGH, ZSTD, ZSTD_HIGH = range(5)
EVENT = np.dtype(
    {
        "names": ["t", "x", "y", "p"],
        "formats": ["<i8", "<i2", "<i2", "u1"],
        "offsets": [0, 8, 10, 12],
        "itemsize": 16,
    }
)
MAX_PACKET = 2**27
"""Bytes of a packet, 8 million events, that are taken from a file."""


def open_aedat4(path: Path) -> Opened:
    """Events of the first stream that has any; those of other streams are passed over.

    References
    ----------
    iniVation, AEDAT file formats, "AEDAT 4.0"; Google, FlatBuffers, "Internals".

    Raises
    ------
    FileFormatError
        For a file that is damaged or truncated, or a compression that is not installed or unknown.
    """
    with path.open("rb") as file:
        magic = file.read(len(MAGIC))
        if magic != MAGIC:
            shown = magic.decode("latin-1").strip() or "nothing"
            raise FileFormatError(f"{path}: starts with {shown!r}, an AEDAT 4 file with {MAGIC!r}")
        size = path.stat().st_size
        (length,) = struct.unpack("<I", file.read(4).ljust(4, b"\0"))
        start = len(MAGIC) + 4 + length
        if not 8 <= length <= size - len(MAGIC) - 4:
            raise FileFormatError(f"{path}: a header of {length} bytes, the file has {size}")
        header = _Table.root(path, file.read(length), HEADER_ID)
    compression = header.number(0, "<i", NONE)
    table = header.number(1, "<q", -1)
    end = table if table >= start else size
    if end > size:
        raise FileFormatError(f"{path}: its table stands at {end}, it has {size} bytes; truncated")
    unpack = _decompressor(path, compression)
    return Opened(_size(header.text(2)), _blocks(path, start, end, unpack))


def _size(node: str) -> tuple[int, ...] | None:
    """Width and height of the first stream of events, from the XML of the header."""
    side = r'.*?key="size{}"[^>]*>(\d{{1,5}})<'
    found = re.search(">EVTS<" + side.format("X") + side.format("Y"), node, re.DOTALL)
    return (int(found[1]), int(found[2])) if found else None


def _decompressor(path: Path, compression: int) -> Callable[[bytes], bytes]:
    if compression == NONE:
        return lambda content: content
    if compression in (LZ4, LZ4_HIGH):
        package, unpack = "lz4", _unpacked_lz4
    elif compression in (ZSTD, ZSTD_HIGH):
        package, unpack = "zstandard", _unpacked_zstd
    else:
        raise FileFormatError(f"{path}: compression {compression}; known: none, LZ4 and ZSTD")
    if find_spec(package) is None:
        raise FileFormatError(
            f"{path}: its packets are compressed, which needs {package}; "
            "pip install 'neurodeploy[events]'"
        )

    def unpacked(content: bytes) -> bytes:
        try:
            whole = unpack(content)
        except (RuntimeError, EOFError) as error:
            raise FileFormatError(
                f"{path}: a packet does not unpack ({first_line(error)}); damaged"
            ) from error
        if len(whole) > MAX_PACKET:
            raise FileFormatError(f"{path}: a packet of more than {MAX_PACKET} bytes; not read")
        return whole

    return unpacked


def _unpacked_lz4(content: bytes) -> bytes:
    from lz4.frame import LZ4FrameDecompressor

    unpacked: bytes = LZ4FrameDecompressor().decompress(content, MAX_PACKET + 1)
    return unpacked


def _unpacked_zstd(content: bytes) -> bytes:
    import zstandard

    try:
        with zstandard.ZstdDecompressor().stream_reader(content) as reader:
            return reader.read(MAX_PACKET + 1)
    except zstandard.ZstdError as error:
        raise RuntimeError(str(error)) from error


def _blocks(path: Path, place: int, end: int, unpack: Callable[[bytes], bytes]) -> Iterator[Events]:
    wanted = None
    with path.open("rb") as file:
        file.seek(place)
        while place < end:
            head = file.read(8)
            if len(head) < 8:
                raise FileFormatError(f"{path}: ends within the head of a packet; truncated")
            stream, length = struct.unpack("<ii", head)
            place += 8 + length
            if length < 0 or place > end:
                raise FileFormatError(
                    f"{path}: a packet announces {length} bytes, {end - place + length} are left; "
                    "truncated or damaged"
                )
            content = file.read(length)
            if wanted not in (None, stream):
                continue
            packet = unpack(content)
            if packet[8:12] != EVENTS_ID:
                continue
            wanted = stream
            if int.from_bytes(packet[:4], "little") + 4 > len(packet):
                raise FileFormatError(f"{path}: a packet is shorter than it announces; damaged")
            events = np.frombuffer(_Table.root(path, packet[4:], EVENTS_ID).structs(0, 16), EVENT)
            for part in in_blocks(len(events)):
                block = events[part]
                on = (block["p"] != 0).astype(np.uint8)
                yield Events(from_microseconds(path, block["t"]), block["x"], block["y"], on)


class _Table:
    """A table of a FlatBuffer; every offset is held against the length of the buffer."""

    def __init__(self, path: Path, buffer: bytes, place: int) -> None:
        self.path, self.buffer, self.place = path, buffer, place
        self.fields = place - self._at("<i", place)
        self.n_fields = (self._at("<H", self.fields) - 4) // 2

    @classmethod
    def root(cls, path: Path, buffer: bytes, identifier: bytes) -> _Table:
        if buffer[4:8] != identifier:
            raise FileFormatError(
                f"{path}: holds {buffer[4:8]!r} where {identifier!r} belongs; damaged"
            )
        return cls(path, buffer, struct.unpack("<I", buffer[:4])[0])

    def _at(self, kind: str, place: int) -> int:
        if not 0 <= place <= len(self.buffer) - struct.calcsize(kind):
            raise FileFormatError(f"{self.path}: an offset leaves its packet; damaged")
        value: int = struct.unpack_from(kind, self.buffer, place)[0]
        return value

    def _field(self, index: int) -> int | None:
        """Where a field stands; None where it has its default."""
        offset = self._at("<H", self.fields + 4 + 2 * index) if index < self.n_fields else 0
        return self.place + offset if offset else None

    def number(self, index: int, kind: str, default: int) -> int:
        """A field that is a number."""
        place = self._field(index)
        return default if place is None else self._at(kind, place)

    def structs(self, index: int, size: int) -> bytes:
        """The bytes of a field that is a vector of structs of this size."""
        field = self._field(index)
        if field is None:
            return b""
        place = field + self._at("<I", field)
        n = self._at("<I", place)
        if place + 4 + n * size > len(self.buffer):
            raise FileFormatError(
                f"{self.path}: a packet announces {n} events in {len(self.buffer)} bytes; damaged"
            )
        return self.buffer[place + 4 : place + 4 + n * size]

    def text(self, index: int) -> str:
        """A field that is text."""
        return self.structs(index, 1).decode("utf-8", "replace")
