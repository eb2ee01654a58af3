"""Samples in .npz files, read part by part."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from neurodeploy.datasets.values import (
    PART_BYTES,
    Floats,
    check_shape,
    check_values,
    checked_labels,
    checked_targets,
)
from neurodeploy.errors import DataError, FileFormatError
from neurodeploy.ir.arrays import AnyArray

MAX_DEFLATE_RATIO = 1032
"""Bytes that one byte of a deflated file can stand for (zlib, "Maximum Compression Factor")."""


def read_npz(
    path: Path, value_range: tuple[float, float], first: int | None = None
) -> tuple[dict[str, Floats], npt.NDArray[np.int64] | Floats | None]:
    """Read samples and, if it is there, ``y`` from an .npz file; nothing is unpickled.

    ``y`` are labels ``[N]`` where they are integers, and targets ``[N, *shape]`` where floats.

    The samples are ``x`` float ``[N, *sample]``; without an ``x``, each array but ``y`` is an
    input of a network that takes several. Sizes are compared before memory is taken, and no more
    is read than the first samples that are asked for.

    Raises
    ------
    FileFormatError
        For a file that is damaged or no .npz.
    DataError
        For arrays of the wrong type, shape or range, or with NaN or infinite values.
    """
    with _opened(path) as archive:
        return _read(path, archive, value_range, first)


def read_vectors(path: Path, names: Sequence[str]) -> dict[str, AnyArray]:
    """Those of the named arrays that an .npz file has and that have one axis, whole.

    Raises
    ------
    FileFormatError
        For a file that is damaged or no .npz, or an array of other axes.
    """
    found = {}
    with _opened(path) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        for name in names:
            if name not in members:
                continue
            member = _Member.of(path, name, archive, members[name])
            if len(member.shape) != 1:
                raise FileFormatError(f"{path}: {name} has shape {member.shape}, expected a vector")
            found[name] = member.read(archive, member.shape[0], member.dtype)
    return found


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
        raise FileFormatError(f"{path}: truncated or not an .npz file ({error})") from error


def _read(
    path: Path, archive: zipfile.ZipFile, value_range: tuple[float, float], first: int | None
) -> tuple[dict[str, Floats], npt.NDArray[np.int64] | Floats | None]:
    members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    wanted = ("x", "y") if "x" in members else tuple(members)
    found = {n: _Member.of(path, n, archive, members[n]) for n in wanted if n in members}
    inputs = {name: member for name, member in found.items() if name != "y"}
    if "x" not in inputs and (
        len(inputs) < 2 or any(member.dtype.kind != "f" for member in inputs.values())
    ):
        raise DataError(
            f"{path}: no array x, only {', '.join(members) or 'nothing'}; save x and y (or floats "
            "for each input of a network with several)"
        )
    for name, member in inputs.items():
        if member.dtype.kind in "ui":
            raise DataError(
                f"{path}: {name} is {member.dtype}, floats are needed; save {name} / 255 (for "
                "images of 8 bits) as float32"
            )
        if member.dtype.kind != "f":
            raise DataError(f"{path}: {name} is {member.dtype}, float32 is needed")
        check_shape(f"{path}: {name}", np.broadcast_to(np.float32(0), member.shape))
    counts = {name: member.shape[0] for name, member in inputs.items()}
    if len(set(counts.values())) != 1:
        raise DataError(f"{path}: inputs differ in number of samples: {counts}")
    available = next(iter(counts.values()))
    n = available if first is None else first
    if n > available:
        raise DataError(f"{path}: the first {n} of {available} samples were asked for")
    samples = {}
    for name, member in inputs.items():
        samples[name] = member.read(archive, n, np.float32)
        remedy = "rescale it or declare its range with #range=LOW,HIGH"
        check_values(f"{path}: {name}", samples[name], value_range, remedy)
        samples[name].setflags(write=False)
    if "y" not in found:
        return samples, None
    y = found["y"]
    if y.dtype.kind in "uif" and y.shape:
        values = y.read(archive, y.shape[0], y.dtype)
    else:
        values = np.empty(0, y.dtype)
    check = checked_targets if y.dtype.kind == "f" else checked_labels
    return samples, check(f"{path}: y", values, available)[:n]


@dataclass(frozen=True, slots=True)
class _Member:
    """An array in an archive, of which the header has been read."""

    path: Path
    info: zipfile.ZipInfo
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    fortran: bool

    @classmethod
    def of(cls, path: Path, name: str, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Member:
        with archive.open(info) as file:
            shape, fortran, dtype = _header(path, name, file)
            head = file.tell()
        size = math.prod(shape) * dtype.itemsize
        held = info.file_size - head
        if info.compress_type == zipfile.ZIP_DEFLATED:
            held = min(held, MAX_DEFLATE_RATIO * info.compress_size)
        if held < size:
            raise FileFormatError(
                f"{path}: {name} announces {size} bytes, the file holds at most {max(held, 0)}; "
                "truncated or damaged"
            )
        return cls(path, info, shape, dtype, fortran)

    def read(self, archive: zipfile.ZipFile, n: int, dtype: npt.DTypeLike) -> AnyArray:
        """The first ``n`` entries along the first axis."""
        with archive.open(self.info) as file:
            _header(self.path, self.info.filename, file)
            if self.fortran:
                whole = self._take(file, math.prod(self.shape))
                return np.array(whole.reshape(self.shape, order="F")[:n], dtype, order="C")
            found = np.empty((n, *self.shape[1:]), dtype)
            flat = found.reshape(-1)
            width = max(1, PART_BYTES // self.dtype.itemsize)
            for start in range(0, flat.size, width):
                flat[start : start + width] = self._take(file, min(width, flat.size - start))
            if n == self.shape[0] and file.read(1):  # at the end, the checksum is compared
                raise FileFormatError(f"{self.path}: more bytes than its header announces; damaged")
            return found

    def _take(self, file: IO[bytes], count: int) -> AnyArray:
        raw = file.read(count * self.dtype.itemsize)
        if len(raw) != count * self.dtype.itemsize:
            raise EOFError(f"{self.info.filename} ends early")
        return np.frombuffer(raw, self.dtype)


def _header(
    path: Path, name: str, file: IO[bytes]
) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    formats: Any = np.lib.format  # without types
    try:
        version = formats.read_magic(file)
        header = "1_0" if version == (1, 0) else "2_0"
        shape, fortran, dtype = getattr(formats, f"read_array_header_{header}")(file)
    except Exception as error:  # NumPy reads it with Python's tokenizer and parser, which raise all
        raise FileFormatError(f"{path}: {name} is no plain array ({error})") from error
    if dtype.hasobject:
        raise FileFormatError(
            f"{path}: {name} holds pickled objects, not an .npz file of plain arrays (pickled "
            "objects are never loaded)"
        )
    return shape, fortran, dtype
