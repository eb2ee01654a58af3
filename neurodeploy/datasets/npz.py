"""Samples in .npz files, read part by part."""

from __future__ import annotations

import math
import sys
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from neurodeploy.datasets.values import (
    LABELS,
    PART_BYTES,
    UNIT_RANGE,
    Floats,
    check_shape,
    check_values,
    checked_labels,
    checked_targets,
    expect_room,
    from_bytes,
    from_one_hot,
)
from neurodeploy.errors import DataError, FileFormatError
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.loading.files import MAX_DEFLATE_RATIO, expect_plain_file

LARGEST_INFLATED = 2**30
"""Bytes that a packed array may become at any ratio; above, at most :data:`MAX_RATIO` times its
bytes in the file: real data do not shrink so far, and zeros of any number would be inflated."""
MAX_RATIO = 100
LARGEST_CHECKED = 2**28
"""Bytes behind the samples that are asked for which are read, to compare the checksum, whose place
is the end: a second's work. Of larger arrays a part is taken unchecked."""
MAX_AXES = 32
"""Of an array, by every NumPy."""

SAMPLES = ("x", "X", "images", "image", "data", "inputs", "samples", "features")
"""What arrays of samples are called; ``x_train``, ``train_images`` and the like name a split."""


@dataclass(frozen=True, slots=True)
class Content:
    """Samples by input, labels or targets, and what else the file tells of them.

    Parameters
    ----------
    inputs : dict
        One entry, ``x``, unless the network takes several.
    y : array or None
    split : str or None
        Where the file holds arrays of both splits.
    levels : int or None
        255 where the samples were bytes.
    """

    inputs: dict[str, Floats]
    y: npt.NDArray[np.int64] | Floats | None
    split: str | None = None
    levels: int | None = None


def read_npz(
    path: Path,
    value_range: tuple[float, float] | None,
    first: int | None = None,
    split: str | None = None,
    default_split: str = "test",
    at_most: int | None = None,
) -> Content:
    """Read samples and, if they are there, labels from an .npz file; nothing is unpickled.

    Labels are integers ``[N]`` or one-hot rows, targets of a regression floats ``[N, *shape]``.

    The samples are ``x`` ``[N, *sample]``, floats or bytes (divided by 255 unless a range is
    declared), or :data:`SAMPLES` says how else they may be called; otherwise each array but the
    labels is an input of a network that takes several. Sizes are compared before memory is taken,
    and no more is read than the first samples that are asked for: ``first`` of them, which must be
    there, or ``at_most`` so many.

    Raises
    ------
    FileFormatError
        For a file that is damaged or no .npz.
    DataError
        For arrays of the wrong type, shape or range, or with NaN or infinite values.
    """
    with _opened(path) as archive:
        return _read(path, archive, value_range, first, split, default_split, at_most)


def read_vectors(path: Path, names: Sequence[str], rows: int) -> Iterator[dict[str, AnyArray]]:
    """Vectors of one length from an .npz file, ``rows`` entries at a time; nothing is unpickled.

    First come those of the arrays that the file has, without entries, for their types.

    Raises
    ------
    FileFormatError
        For a file that is damaged or no .npz, or arrays that are no vectors of one length.
    """
    with _opened(path) as archive, ExitStack() as open_files:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        found = {n: _Member.of(path, n, archive, members[n]) for n in names if n in members}
        shapes = {name: member.shape for name, member in found.items()}
        if len(set(shapes.values())) > 1 or any(len(shape) != 1 for shape in shapes.values()):
            expected = "expected vectors of one length"
            raise FileFormatError(f"{path}: arrays of shapes {shapes}; {expected}")
        yield {name: np.empty(0, member.dtype) for name, member in found.items()}
        files = {n: open_files.enter_context(archive.open(m.info)) for n, m in found.items()}
        for name, file in files.items():
            _header(path, name, file)
            found[name].expect_bounded(found[name].shape[0])
        left = next(iter(shapes.values()))[0] if shapes else 0
        while left:
            n = min(rows, left)
            yield {name: found[name].take(file, n) for name, file in files.items()}
            left -= n


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    expect_plain_file(path, "an .npz file")
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
        raise FileFormatError(f"{path}: truncated or not an .npz file ({error})") from error


def _read(
    path: Path,
    archive: zipfile.ZipFile,
    value_range: tuple[float, float] | None,
    first: int | None,
    split: str | None,
    default_split: str,
    at_most: int | None,
) -> Content:
    members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    ends = {s: any(f"{n}_{s}" in members for n in SAMPLES) for s in ("train", "test")}
    splits = {s for s in ends if ends[s] or any(f"{s}_{n}" in members for n in SAMPLES)}
    if split is not None and split not in splits:
        raise DataError(f"{path}: has no splits, only {', '.join(members)}; drop @{split}")
    chosen = split or (default_split if default_split in splits else next(iter(splits), None))
    part = None if "x" in members else chosen
    form = "{0}" if part is None else "{0}_{1}" if ends[part] else "{1}_{0}"
    named = {name: form.format(name, part) for name in (*SAMPLES, *LABELS)}
    x_name = next((named[n] for n in SAMPLES if named[n] in members), None)
    y_name = next((named[n] for n in LABELS if named[n] in members), None)
    # With arrays that are neither, those that are called like samples are inputs among others.
    plain = x_name == "x" or part or set(members) <= {x_name, y_name}
    wanted = {"x": x_name} if x_name and plain else {n: n for n in members if n != y_name}
    inputs = {key: _Member.of(path, n, archive, members[n]) for key, n in wanted.items()}
    several = "x" not in inputs
    if several and (len(inputs) < 2 or any(m.dtype.kind != "f" for m in inputs.values())):
        raise DataError(
            f"{path}: no array x, only {', '.join(members) or 'nothing'}; save x and y (or floats "
            "for each input of a network with several)"
        )
    for key, member in inputs.items():
        name = wanted[key]
        if member.dtype.kind in "ui" and not (member.dtype == np.uint8 or value_range):
            raise DataError(
                f"{path}: {name} is {member.dtype}; save uint8 for values 0 .. 255, floats in "
                "[0, 1], or declare #range=LOW,HIGH"
            )
        if member.dtype.kind not in "fui":
            raise DataError(f"{path}: {name} is {member.dtype}, float32 is needed")
        check_shape(f"{path}: {name}", np.broadcast_to(np.float32(0), member.shape))
    counts = {wanted[key]: member.shape[0] for key, member in inputs.items()}
    if len(set(counts.values())) != 1:
        raise DataError(f"{path}: inputs differ in number of samples: {counts}")
    available = next(iter(counts.values()))
    n = available if first is None else first
    if n > available:
        raise DataError(f"{path}: the first {n} of {available} samples were asked for")
    n = n if at_most is None else min(n, at_most)
    samples, levels = {}, None
    for key, member in inputs.items():
        values: Any = member.read(archive, n, np.float32)
        if member.dtype == np.uint8 and value_range is None:
            values, levels = from_bytes(values), 255
        remedy = "rescale it or declare its range with #range=LOW,HIGH"
        check_values(f"{path}: {wanted[key]}", values, value_range or UNIT_RANGE, remedy)
        values.setflags(write=False)
        samples[key] = values
    if y_name is None:
        return Content(samples, None, chosen, levels)
    y = _Member.of(path, y_name, archive, members[y_name])
    plain_y = y.dtype.kind in "uifb" and y.shape
    values = y.read(archive, y.shape[0], y.dtype) if plain_y else np.empty(0, y.dtype)
    values = from_one_hot(values)
    check = checked_targets if values.dtype.kind == "f" else checked_labels
    return Content(samples, check(f"{path}: {y_name}", values, available)[:n], chosen, levels)


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

    def expect_bounded(self, n: int) -> None:
        """Refuse what inflates out of all proportion, before any of it is inflated."""
        rows = self.shape[0] if self.fortran else n
        inflated = rows * math.prod(self.shape[1:]) * self.dtype.itemsize
        limit = max(LARGEST_INFLATED, MAX_RATIO * self.info.compress_size)
        if self.info.compress_type != zipfile.ZIP_STORED and inflated > limit:
            raise FileFormatError(
                f"{self.path}: {self.info.filename} inflates to {inflated} bytes from "
                f"{self.info.compress_size} in the file, at most {limit}; take fewer samples, or "
                "save it with np.savez"
            )

    def read(self, archive: zipfile.ZipFile, n: int, dtype: npt.DTypeLike) -> AnyArray:
        """The first ``n`` entries along the first axis."""
        self.expect_bounded(n)
        expect_room(f"{self.path}: {self.info.filename}", n * math.prod(self.shape[1:]))
        with archive.open(self.info) as file:
            _header(self.path, self.info.filename, file)
            if self.fortran:
                whole = self.take(file, math.prod(self.shape))
                return np.array(whole.reshape(self.shape, order="F")[:n], dtype, order="C")
            found = np.empty((n, *self.shape[1:]), dtype)
            flat = found.reshape(-1)
            width = max(1, PART_BYTES // self.dtype.itemsize)
            for start in range(0, flat.size, width):
                flat[start : start + width] = self.take(file, min(width, flat.size - start))
            if n == self.shape[0] and file.read(1):  # at the end, the checksum is compared
                raise FileFormatError(f"{self.path}: more bytes than its header announces; damaged")
            if self.info.file_size - file.tell() <= LARGEST_CHECKED:
                while file.read(2**20):
                    pass
            return found

    def take(self, file: IO[bytes], count: int) -> AnyArray:
        """The next entries."""
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
    # NumPy takes any integers: negative ones, truth values, and products that no array has.
    least = math.prod(max(1, size) for size in shape) * max(1, dtype.itemsize)
    whole = all(type(size) is int and size >= 0 for size in shape)
    if not whole or least > sys.maxsize or len(shape) > MAX_AXES:
        raise FileFormatError(
            f"{path}: {name} has shape {shape!r:.100}; expected at most {MAX_AXES} sizes from 0 on "
            f"and {sys.maxsize} bytes; damaged, save it again"
        )
    if dtype.hasobject:
        raise FileFormatError(
            f"{path}: {name} holds pickled objects, not an .npz file of plain arrays (pickled "
            "objects are never loaded)"
        )
    return shape, fortran, dtype
