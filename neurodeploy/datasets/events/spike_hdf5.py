"""Spikes in HDF5, as in the Spiking Heidelberg Digits and Speech Commands: many samples a file."""

from __future__ import annotations

import importlib.util
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from neurodeploy.datasets.events.recording import BLOCK, Events, Opened, scaled_times
from neurodeploy.errors import DataError, FileFormatError
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.loading.apart import MAX_EXPANSION, read_apart
from neurodeploy.loading.files import expect_plain_file

PARTS = ("spikes/times", "spikes/units", "labels")
DEFLATE = 1
SAFE_FILTERS = (DEFLATE, 2, 3)
"""Deflate, shuffle and Fletcher checksum: parts of the library itself."""
WHAT = "spikes in HDF5"
ROWS, ROW_BYTES = 64, 2**24
"""Samples that are read at a time, and their bytes."""
REFERENCE = struct.Struct("<IQI")
"""What a list holds of a row of any length: entries, place of the heap, number in the heap."""
HEAP, OBJECT = struct.Struct("<4sB3xQ"), struct.Struct("<HH4xQ")
"""Signature, version and bytes of a heap; number, references and bytes of an object in it."""


def read_index(path: Path) -> AnyArray:
    """Labels of all samples of a file; what stands where is checked, no spikes are read.

    Like the rows of samples, in a process of its own (:mod:`neurodeploy.loading.apart`).

    References
    ----------
    B. Cramer, Y. Stradmann, J. Schemmel, F. Zenke 2022, "The Heidelberg spiking data sets",
    doi 10.1109/TNNLS.2020.3044364: ``spikes/times`` in seconds, ``spikes/units``, ``labels``.

    Raises
    ------
    FileFormatError
        For a file that is damaged, or another HDF5 file.
    """
    labels: AnyArray = _apart(path, "index_here")["labels"]
    return labels


def index_here(path: Path, shown: str, what: str) -> dict[str, AnyArray]:
    """The labels, in this process."""
    with _shown(path, shown), _opened(path) as (times, units, labels):
        n = {len(data) for data in (times, units, labels)}
        if len(n) != 1:
            raise FileFormatError(f"{path}: times, units and labels differ in number: {sorted(n)}")
        found = np.asarray(labels[()])
        if found.dtype.kind not in "ui":
            raise FileFormatError(f"{path}: labels are {found.dtype}; expected whole numbers")
    return {"labels": found}


def rows_here(path: Path, shown: str, what: str, sample: int) -> dict[str, AnyArray]:
    """Times and units of one sample and of some that follow, in this process."""
    with _shown(path, shown), _opened(path) as (times, units, _):
        found: dict[str, AnyArray] = {}
        n_bytes = 0
        for i in range(sample, min(sample + ROWS, len(times))):
            try:
                t, x = _row(path, times, i), _row(path, units, i)
            except FileFormatError:
                if i == sample:
                    raise
                break  # told when it is asked for
            found |= {f"t{i}": t, f"x{i}": x}
            n_bytes += t.nbytes + x.nbytes
            if n_bytes > ROW_BYTES:
                break
        return found


class _Recent:
    """The rows that were read last: samples are asked for one after the other."""

    def __init__(self) -> None:
        self._held: tuple[tuple[Path, int, int] | None, dict[str, AnyArray]] = None, {}

    def row(self, path: Path, sample: int) -> tuple[AnyArray, AnyArray]:
        expect_plain_file(path, WHAT)
        state = path.stat()
        key = (path, state.st_mtime_ns, state.st_size)
        known, rows = self._held  # together: threads may read at the same time
        if key != known or f"t{sample}" not in rows:
            rows = _apart(path, "rows_here", sample)
            self._held = key, rows
        return rows[f"t{sample}"], rows[f"x{sample}"]


_RECENT = _Recent()


def _apart(path: Path, reader: str, *arguments: int) -> Any:
    if importlib.util.find_spec("h5py") is None:
        raise FileFormatError(
            f"{path}: spikes in HDF5 need h5py; pip install 'neurodeploy[events]'"
        )
    return read_apart(f"{__name__}:{reader}", path, WHAT, *arguments)


@contextmanager
def _shown(path: Path, shown: str) -> Iterator[None]:
    """Errors name the path as the user gave it."""
    try:
        yield
    except FileFormatError as error:
        raise FileFormatError(str(error).replace(str(path), shown)) from error


def opener(path: Path, sample: int, unit: str | None) -> Callable[[], Opened]:
    """What opens one sample of a file."""

    def open_sample() -> Opened:
        t, x = _RECENT.row(path, sample)
        where = f"{path}: sample {sample}"
        if t.shape != x.shape or t.ndim != 1 or x.dtype.kind not in "ui" or t.dtype.kind not in "f":
            raise DataError(
                f"{where}: times {t.dtype} {t.shape} and units {x.dtype} {x.shape}; expected times "
                "in seconds and whole units, as many"
            )
        if t.size and not (np.isfinite(t).all() and t.min() >= 0 and float(t.max()) < 1e6):
            raise DataError(f"{where}: times from {t.min()} to {t.max()} are no seconds")
        return Opened(None, _blocks(Events(scaled_times(t, unit), x)))

    return open_sample


def _blocks(events: Events) -> Iterator[Events]:
    for first in range(0, len(events.t), BLOCK):
        yield events.taken(slice(first, first + BLOCK))


def _row(path: Path, data: Any, sample: int) -> AnyArray:
    """One row of a list, from the heap that it stands in.

    The HDF5 library takes the length of a row as it is written; here it is held against the heap.

    References
    ----------
    The HDF Group, HDF5 File Format Specification 3.0, III.E "Global Heap".
    """
    import h5py

    if data.file.id.get_create_plist().get_sizes() != (8, 8):
        raise FileFormatError(f"{path}: addresses that have not 8 bytes; not read")
    length, place, number = REFERENCE.unpack(_reference(path, data, sample))
    dtype = h5py.check_vlen_dtype(data.dtype)
    if not length:
        return np.empty(0, dtype)
    size, place = path.stat().st_size, place + data.file.userblock_size
    damaged = FileFormatError(f"{path}: sample {sample} stands in no heap of the file; damaged")
    if place + HEAP.size > size:
        raise damaged
    with path.open("rb") as file:
        file.seek(place)
        signature, version, held = HEAP.unpack(file.read(HEAP.size))
        if signature != b"GCOL" or version != 1 or not HEAP.size <= held <= size - place:
            raise damaged
        end, at = place + held, place + HEAP.size
        while at + OBJECT.size <= end:
            file.seek(at)
            own, _, n_bytes = OBJECT.unpack(file.read(OBJECT.size))
            at += OBJECT.size
            if own == 0 or n_bytes > end - at:
                break
            if own == number:
                if n_bytes != length * dtype.itemsize:
                    break
                return np.frombuffer(file.read(n_bytes), dtype)
            at += n_bytes + -n_bytes % 8
    raise damaged


def _reference(path: Path, data: Any, sample: int) -> bytes:
    """The bytes that stand for a row of a list."""
    import h5py

    width = REFERENCE.size
    properties = data.id.get_create_plist()
    if properties.get_layout() == h5py.h5d.CONTIGUOUS:
        offset = data.id.get_offset()
        with path.open("rb") as file:
            file.seek((offset or 0) + sample * width)
            content = file.read(width)
    elif properties.get_layout() == h5py.h5d.CHUNKED:
        (rows,) = data.chunks
        mask, content = data.id.read_direct_chunk((sample - sample % rows,))
        filters = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
        for place, kind in reversed(list(enumerate(filters))):
            if not mask >> place & 1:
                content = _unfiltered(content, kind, width, rows)
        content = content[sample % rows * width : (sample % rows + 1) * width]
    else:
        content = b""
    if len(content) != width:
        raise FileFormatError(f"{path}: sample {sample} has no row; damaged, or another layout")
    return content


def _unfiltered(content: bytes, kind: int, width: int, rows: int) -> bytes:
    """Undo deflate or shuffle on a chunk of rows; HDF5 has no checksums of such."""
    if kind == DEFLATE:
        return zlib.decompressobj().decompress(content, rows * width)
    whole = len(content) // width * width
    mixed = np.frombuffer(content[:whole], np.uint8).reshape(width, -1)
    return mixed.T.tobytes()


@contextmanager
def _opened(path: Path) -> Iterator[list[Any]]:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            yield [_part(path, file, name) for name in PARTS]
    except FileFormatError:
        raise
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, zlib.error) as error:
        reason = " ".join(str(error).split())[:120]
        raise FileFormatError(f"{path}: no HDF5 file, or damaged ({reason})") from error


def _part(path: Path, file: Any, name: str) -> Any:
    """A list of rows that stands in this file, in filters that are safe."""
    import h5py

    place = file
    for part in name.split("/"):
        link = place.get(part, getlink=True) if isinstance(place, h5py.Group) else None
        if not isinstance(link, h5py.HardLink):
            raise FileFormatError(
                f"{path}: no {name} in it; expected spikes/times, spikes/units and labels"
            )
        place = place[part]
    if not isinstance(place, h5py.Dataset) or place.shape is None or len(place.shape) != 1:
        raise FileFormatError(f"{path}: {name} is no list of samples")
    properties = place.id.get_create_plist()
    if properties.get_layout() == h5py.h5d.VIRTUAL or properties.get_external_count():
        raise FileFormatError(f"{path}: {name} stands in another file; not read")
    for i in range(properties.get_nfilters()):
        if properties.get_filter(i)[0] not in SAFE_FILTERS:
            raise FileFormatError(f"{path}: {name}: a compression that needs a plug-in; not read")
    rows = h5py.check_vlen_dtype(place.dtype)
    if (rows is None) != (name == "labels") or (rows or place.dtype).kind not in "uif":
        raise FileFormatError(f"{path}: {name} is {place.dtype}; expected rows of numbers")
    declared = place.shape[0] * (REFERENCE.size if rows is not None else place.dtype.itemsize)
    size = path.stat().st_size
    if declared > MAX_EXPANSION * size:
        raise FileFormatError(f"{path}: {name} declares {declared} bytes, the file has {size}")
    return place
