"""Which recordings a path holds, and their labels."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from neurodeploy.datasets.events import spike_hdf5
from neurodeploy.datasets.events.aedat3 import open_aedat3
from neurodeploy.datasets.events.aedat4 import MAGIC as AEDAT4_MAGIC
from neurodeploy.datasets.events.aedat4 import open_aedat4
from neurodeploy.datasets.events.plain import open_bin, open_npz
from neurodeploy.datasets.events.prophesee import open_dat, open_raw
from neurodeploy.datasets.events.recording import MICROSECOND, Opened, Recording
from neurodeploy.errors import DataError, FileFormatError
from neurodeploy.ir.arrays import IntArray
from neurodeploy.loading.files import expect_plain_file, read_bytes

MAX_FILES = 10**6
MAX_TABLE = 2**26
"""Bytes of a table of labels."""

Found = tuple[Recording, int | None]
"""A recording and its label."""


def _open_aedat(path: Path, unit: str | None) -> Opened:
    with path.open("rb") as file:
        newer = file.read(len(AEDAT4_MAGIC)) == AEDAT4_MAGIC
    return open_aedat4(path) if newer else open_aedat3(path)


READERS: dict[str, Callable[[Path, str | None], Opened]] = {
    ".npz": open_npz,
    ".bin": open_bin,
    ".aedat": _open_aedat,
    ".aedat4": lambda path, unit: open_aedat4(path),
    ".dat": lambda path, unit: open_dat(path),
    ".raw": lambda path, unit: open_raw(path),
}
HDF5 = (".h5", ".hdf5")
FORMATS = (*READERS, *HDF5)
GESTURES = "_labels.csv"
"""What stands beside an AEDAT 3.1 file of DVS Gesture: class, first and last microsecond."""
TRIALS = "trials_to_{}.txt"


def recordings(
    path: Path, unit: str | None, table: Path | None, split: str | None
) -> tuple[list[Found], tuple[str, ...]]:
    """Recordings of a file or folder with their labels, and the names of the classes.

    A folder holds files, or one folder for each class; its classes are numbered in the order of
    their names, and those whose names are whole numbers are these numbers.

    Raises
    ------
    DataError
        If there is nothing, or a table names what is not there.
    FileFormatError
        For a file that is no known one.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file or folder of events")
    classes: tuple[str, ...] = ()
    if not path.is_dir():
        expect_plain_file(path, "a file or folder of events")
        if split is not None:
            raise DataError(f"{path}: a file has no splits; leave @{split} out, or name a folder")
        found = _in_file(path, unit)
    else:
        found, classes = _in_folder(path, unit, split, table is not None)
    if table is not None:
        found, classes = _labelled(table, path, found)
    if not found:
        raise DataError(f"{path}: no recordings there; known: {', '.join(FORMATS)}")
    return found, classes


def _in_file(path: Path, unit: str | None) -> list[Found]:
    """The samples of one file."""
    suffix = path.suffix.lower()
    if suffix in HDF5:
        labels = spike_hdf5.read_index(path)
        return [
            (Recording(f"{path}: sample {i}", spike_hdf5.opener(path, i, unit)), int(label))
            for i, label in enumerate(labels)
        ]
    reader = READERS.get(suffix)
    if reader is None:
        raise FileFormatError(f"{path}: no file of events; known: {', '.join(FORMATS)}")
    recording = Recording(str(path), lambda: reader(path, unit))
    gestures = path.with_name(path.stem + GESTURES)
    if suffix == ".aedat" and gestures.is_file():
        return list(_gestures(gestures, recording))
    return [(recording, None)]


def _gestures(table: Path, recording: Recording) -> Iterator[Found]:
    """The samples of a recording of DVS Gesture; its classes count from 1."""
    for number, row in enumerate(_rows(table)):
        if number == 0 and not row[0].strip().isdigit():
            continue
        try:
            label, start, stop = (int(part) for part in row)
            if label < 1 or not 0 <= start < stop:
                raise ValueError
        except ValueError:
            raise FileFormatError(
                f"{table}: line {number + 1} is {','.join(row)[:60]!r}; expected a class from "
                "1 on, start and end in microseconds"
            ) from None
        own = replace(
            recording,
            where=f"{recording.where}: gesture at {start} us",
            start=start * MICROSECOND,
            stop=stop * MICROSECOND,
        )
        yield own, label - 1


def _in_folder(
    path: Path, unit: str | None, split: str | None, labelled: bool
) -> tuple[list[Found], tuple[str, ...]]:
    files: list[Path] | None = None
    if split is not None:
        trials = path / TRIALS.format(split)
        part = next((p for p in _entries(path) if p.is_dir() and p.name.lower() == split), None)
        if trials.is_file():
            files = [path / row[0].strip() for row in _rows(trials) if row[0].strip()]
        elif part is not None:
            path = part
        else:
            raise DataError(f"{path}: no folder {split!r} and no {trials.name}; leave @{split} out")
    if files is None:
        files = [p for p in _entries(path) if p.is_file() and p.suffix.lower() in FORMATS]
    missing = next((file for file in files if not file.is_file()), None)
    if missing is not None:
        raise DataError(f"{path}: {missing.name} is listed and not there")
    folders = [p for p in _entries(path) if p.is_dir()]
    if labelled:
        nested = [f for folder in folders for f in _entries(folder)]
        files += [f for f in nested if f.is_file() and f.suffix.lower() in FORMATS]
        folders = []
    if files or not folders:
        return [found for file in files for found in _in_file(file, unit)], ()
    numbers, names = _numbered([folder.name for folder in folders])
    found: list[Found] = []
    for folder, label in zip(folders, numbers, strict=True):
        for file in _entries(folder):
            if file.is_file() and file.suffix.lower() in FORMATS:
                found += [(own, label) for own, _ in _in_file(file, unit)]
            if len(found) > MAX_FILES:
                raise DataError(f"{path}: more than {MAX_FILES} recordings; name a part of it")
    return found, names


def _entries(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if not p.name.startswith("."))


def _numbered(names: list[str]) -> tuple[list[int], tuple[str, ...]]:
    """Label of each name, and the names by label (none where they are numbers)."""
    if all(name.isascii() and name.isdigit() and len(name) < 10 for name in names):
        return [int(name) for name in names], ()
    ordered = sorted(set(names))
    place = {name: i for i, name in enumerate(ordered)}
    return [place[name] for name in names], tuple(ordered)


def _labelled(table: Path, root: Path, found: list[Found]) -> tuple[list[Found], tuple[str, ...]]:
    """The recordings that a table of file and label names, in its order."""
    folder = root if root.is_dir() else root.parent
    by_name = {recording.where: recording for recording, _ in found}
    rows = [row for row in _rows(table) if any(part.strip() for part in row)]
    if any(len(row) < 2 for row in rows):
        raise FileFormatError(f"{table}: a line without a label; expected FILE,LABEL")
    chosen, labels = [], []
    for number, row in enumerate(rows):
        recording = by_name.get(str(folder / row[0].strip()))
        if recording is not None:
            chosen.append(recording)
            labels.append(row[1].strip())
        elif number:  # the first line may name the columns
            raise DataError(f"{table}: names {row[0].strip()!r}, which is not in {folder}")
    numbers, names = _numbered(labels)
    return [(recording, label) for recording, label in zip(chosen, numbers, strict=True)], names


def _rows(table: Path) -> list[list[str]]:
    content = read_bytes(table, "a table of lines FILE,LABEL", MAX_TABLE)
    try:
        text = content.decode("utf-8-sig")
        return [row for row in csv.reader(text.splitlines()) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise FileFormatError(f"{table}: no table of text ({error})") from error


def labels_array(found: list[Found]) -> IntArray | None:
    """Labels int64 ``[N]``; None unless all have one."""
    labels = [label for _, label in found]
    if any(label is None for label in labels):
        return None
    return np.array(labels, np.int64)
