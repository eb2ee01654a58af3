"""Small writers of event files, from the public descriptions of the formats and not from ours."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

Event = tuple[int, int, int, int]
"""Microseconds, x, y, polarity."""


def random_events(n: int, width: int, height: int, seed: int = 0, span: int = 5000) -> list[Event]:
    """Events in order of time, several at one time among them."""
    draw = np.random.default_rng(seed)
    t = np.sort(draw.integers(0, span, n))
    x, y, p = (draw.integers(0, limit, n) for limit in (width, height, 2))
    return [tuple(int(v) for v in row) for row in zip(t, x, y, p, strict=True)]  # type: ignore[misc]


def write_npz(path: Path, events: list[Event]) -> None:
    """t, x, y and p."""
    t, x, y, p = np.array(events, np.int64).reshape(-1, 4).T
    np.savez(path, t=t, x=x.astype(np.int16), y=y.astype(np.int16), p=p.astype(bool))


def write_bin(path: Path, events: list[Event]) -> None:
    """N-MNIST; beyond 2^23 us one event at y = 240 for each turn of 2^13 us."""
    content, turns = b"", 0
    for t, x, y, p in events:
        while t - turns * 2**13 >= 2**23:
            content += bytes([0, 240, 0, 0, 0])
            turns += 1
        word = x << 32 | y << 24 | p << 23 | (t - turns * 2**13)
        content += word.to_bytes(5, "big")
    path.write_bytes(content)


def write_aedat3(path: Path, events: list[Event], packet: int = 7) -> None:
    """Packets of polarity events, each followed by one of special events; one invalid event."""
    content = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#!END-HEADER\r\n"
    for first in range(0, len(events), packet):
        rows = events[first : first + packet]
        overflow = rows[0][0] >> 31
        rows = [row for row in rows if row[0] >> 31 == overflow]
        assert len(rows) == len(events[first : first + packet])
        body = b"".join(
            struct.pack("<Ii", x << 17 | y << 2 | p << 1 | 1, t & 0x7FFFFFFF) for t, x, y, p in rows
        )
        body += struct.pack("<Ii", 5 << 17 | 5 << 2, rows[-1][0] & 0x7FFFFFFF)
        n = len(rows) + 1
        content += struct.pack("<hhiiiiii", 1, 1, 8, 4, overflow, n, n, n - 1) + body
        content += struct.pack("<hhiiiiii", 0, 1, 8, 4, overflow, 1, 1, 1) + bytes(8)
    path.write_bytes(content)


def flatbuffer(identifier: bytes, fields: Iterable[tuple[str, bytes] | None]) -> bytes:
    """A size-prefixed FlatBuffer of one table: inline numbers and vectors ('v') by reference."""
    fields = list(fields)
    offsets, inline, vectors = [], b"", []
    for entry in fields:
        if entry is None:
            offsets.append(0)
            continue
        kind, content = entry
        width = 4 if kind == "v" else len(content)
        inline += bytes(-(4 + len(inline)) % width)
        offsets.append(4 + len(inline))
        if kind == "v":
            vectors.append((len(inline), content))
        inline += bytes(4) if kind == "v" else content
    vtable = struct.pack("<HH", 4 + 2 * len(offsets), 4 + len(inline))
    vtable += b"".join(struct.pack("<H", o) for o in offsets)
    start = 8 + len(vtable) + -(8 + len(vtable)) % 8
    table = bytearray(struct.pack("<i", start - 8) + inline)
    tail = b""
    for place, content in vectors:
        at = start + len(table) + len(tail)
        # The content of a vector is aligned to 8, its length stands before it.
        pad = -(at + 4) % 8
        tail += bytes(pad)
        at += pad
        struct.pack_into("<I", table, 4 + place, at - (start + 4 + place))
        tail += content
    head = struct.pack("<I", start) + identifier + vtable
    buffer = head.ljust(start, b"\0") + bytes(table) + tail
    return struct.pack("<I", len(buffer)) + buffer


def vector(n: int, content: bytes) -> tuple[str, bytes]:
    return "v", struct.pack("<I", n) + content


def write_aedat4(
    path: Path,
    events: list[Event],
    size: tuple[int, int] = (20, 10),
    compression: int = 0,
    compress: Callable[[bytes], bytes] = lambda content: content,
    packet: int = 9,
    others: bool = True,
) -> None:
    """Stream 1 of events and, unless left out, 0 of another kind, and a table at the end."""
    node = (
        '<dv version="2.0"><node name="outInfo" path="/mainloop/"><node name="0" path="/0/">'
        '<attr key="typeIdentifier" type="string">FRME</attr><node name="info" path="/0/info/">'
        '<attr key="sizeX" type="int">7</attr><attr key="sizeY" type="int">7</attr></node></node>'
        '<node name="1" path="/1/">'
        '<attr key="typeIdentifier" type="string">EVTS</attr><node name="info" path="/1/info/">'
        f'<attr key="sizeX" type="int">{size[0]}</attr><attr key="sizeY" type="int">{size[1]}'
        "</attr></node></node></node></dv>"
    ).encode()
    packets = b""
    for first in range(0, len(events), packet):
        rows = events[first : first + packet]
        body = b"".join(struct.pack("<qhhb3x", t, x, y, p) for t, x, y, p in rows)
        for stream, content in (
            (0, flatbuffer(b"FRME", [("i", struct.pack("<q", 3))])),
            (1, flatbuffer(b"EVTS", [vector(len(rows), body)])),
        ):
            if stream == 0 and not others:
                continue
            content = compress(content)
            packets += struct.pack("<ii", stream, len(content)) + content
    node_field = vector(len(node), node + b"\0")

    def header(table: int) -> bytes:
        kind = ("i", struct.pack("<i", compression)) if compression else None
        return flatbuffer(b"IOHE", [kind, ("i", struct.pack("<q", table)), node_field])

    magic = b"#!AER-DAT4.0\r\n"
    place = len(magic) + len(header(1)) + len(packets)
    table = compress(flatbuffer(b"FTAB", [vector(0, b"")])) if others else b""
    path.write_bytes(magic + header(place if others else -1) + packets + table)


def write_spikes_h5(path: Path, samples: list[tuple[list[tuple[float, int]], int]]) -> None:
    """Spiking Heidelberg Digits: times in seconds and units of every sample, and its label."""
    import h5py

    with h5py.File(path, "w") as file:
        n = len(samples)
        times = file.create_dataset("spikes/times", (n,), h5py.vlen_dtype(np.float32))
        units = file.create_dataset("spikes/units", (n,), h5py.vlen_dtype(np.uint16))
        for i, (spikes, _) in enumerate(samples):
            times[i] = np.array([t for t, _ in spikes], np.float32)
            units[i] = np.array([u for _, u in spikes], np.uint16)
        file["labels"] = np.array([label for _, label in samples], np.uint16)
        file["extra/speaker"] = np.zeros(n, np.uint16)


def write_dat(path: Path, events: list[Event], version: int | None = 2) -> None:
    """Prophesee's .dat."""
    header = b"% Data file containing CD events.\n"
    if version is not None:
        header += b"% Version 2\n% Width 304\n% Height 240\n"
    shifts = (14, 28) if version is not None else (9, 17)
    body = b"".join(
        struct.pack("<II", t, x | y << shifts[0] | p << shifts[1]) for t, x, y, p in events
    )
    path.write_bytes(header + bytes([12 if version is not None else 0, 8]) + body)


def write_evt2(path: Path, events: list[Event]) -> None:
    """EVT 2.0: the high bits of the time where they change."""
    words, high = [], None
    for t, x, y, p in events:
        if t >> 6 != high:
            high = t >> 6
            words.append(8 << 28 | high & 0xFFFFFFF)
        words.append(p << 28 | (t & 63) << 22 | x << 11 | y)
        words.append(10 << 28 | 1)  # an external trigger
    header = b"% evt 2.0\n% format EVT2;height=720;width=1280\n% end\n"
    path.write_bytes(header + np.array(words, "<u4").tobytes())


def write_evt3(path: Path, events: list[Event], geometry: tuple[int, int] = (1280, 720)) -> None:
    """EVT 3.0; neighbours of one time, row and polarity in vectors of 12 and 8."""
    words: list[int] = [0x0000, 0x2000]  # before the first time: not known yet
    high = low = row = None
    i = 0
    while i < len(events):
        t, x, y, p = events[i]
        if t >> 12 != high:
            high, low = t >> 12, None
            words.append(0x8000 | high & 0xFFF)
        if t & 0xFFF != low:
            low = t & 0xFFF
            words.append(0x6000 | low)
        if y != row:
            row = y
            words.append(y)
        run = [x]
        while (
            i + len(run) < len(events)
            and events[i + len(run)][0] == t
            and events[i + len(run)][2:] == (y, p)
            and run[-1] < events[i + len(run)][1] < x + 20
        ):
            run.append(events[i + len(run)][1])
        if len(run) == 1:
            words.append(0x2000 | p << 11 | x)
        else:
            mask = sum(1 << place - x for place in run)
            words += [0x3000 | p << 11 | x, 0x4000 | mask & 0xFFF, 0x5000 | mask >> 12]
        i += len(run)
        words += [0xE000, 0xF000]  # others
    width, height = geometry
    header = f"% evt 3.0\n% format EVT3;height={height};width={width}\n% end\n".encode()
    path.write_bytes(header + np.array(words, "<u2").tobytes())
