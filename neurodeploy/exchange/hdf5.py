"""HDF5 files from strangers, read as plain arrays and texts: nothing in them is followed or run.

Refused are links that lead elsewhere (soft, external), data that stand elsewhere (virtual,
external), groups that are linked twice (and thus loops), types that need code (references, compound
types), filters that would load a plug-in, and sizes that the file does not account for.
"""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np

from neurodeploy.errors import FileFormatError, UsageError
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.loading.apart import FREE_BYTES, MAX_EXPANSION

Tree = dict[str, Any]
"""Name -> array, text, or tree."""

SAFE_FILTERS = (1, 2, 3)
"""Deflate, shuffle and Fletcher checksum: parts of the library itself."""
PACKED_ABOVE = 512
"""Bytes from which on a written array is compressed."""
MAX_DEPTH = 32
MAX_OBJECTS = 200_000


def tree_bytes(tree: Tree) -> bytes:
    """An HDF5 file of groups, texts and arrays; the same tree always gives the same bytes.

    Raises
    ------
    UsageError
        If h5py is not installed.
    """
    try:
        import h5py
    except ImportError:
        raise UsageError(
            "files of this format need h5py; pip install 'neurodeploy[exchange]'"
        ) from None
    made = io.BytesIO()
    with h5py.File(made, "w") as file:
        _write(file, tree)
    return made.getvalue()


def _write(group: Any, tree: Tree) -> None:
    import h5py

    for name, value in tree.items():
        if isinstance(value, dict):
            _write(group.create_group(name), value)
        elif isinstance(value, str) or np.asarray(value).dtype.kind == "O":
            group.create_dataset(name, data=value, dtype=h5py.string_dtype())
        else:
            array = np.asarray(value)
            packed = "gzip" if array.ndim and array.nbytes > PACKED_ABOVE else None
            group.create_dataset(name, data=array, compression=packed)


def read_here(path: Path, shown: str, what: str) -> Tree:
    """The whole content of a file, in this process; see :mod:`neurodeploy.exchange.hdf5_apart`.

    Parameters
    ----------
    path : Path
    shown, what : str
        The path as the user gave it, and what the file should be, for messages.

    Raises
    ------
    FileFormatError
        If it is no HDF5 file, damaged, or holds what is not read from strangers.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return _Reader(shown, path.stat().st_size).group(file, "", 0)
    except FileFormatError:
        raise
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, UnicodeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise FileFormatError(f"{shown}: no HDF5 file, or damaged ({reason})") from error


class _Reader:
    """One pass over a file, and what it has found so far."""

    def __init__(self, path: str, size: int) -> None:
        self.path = path
        self.size = size
        self.budget = FREE_BYTES + MAX_EXPANSION * size
        self.seen: set[int] = set()

    def refuse(self, where: str, why: str) -> FileFormatError:
        return FileFormatError(f"{self.path}: {where or '/'}: {why}")

    def group(self, group: Any, where: str, depth: int) -> Tree:
        import h5py

        self._once(group, where)
        if depth > MAX_DEPTH:
            raise self.refuse(where, f"groups deeper than {MAX_DEPTH}; not read")
        found: Tree = {}
        for name in group:
            inner = f"{where}/{name}"
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise self.refuse(inner, "a link to elsewhere; write the data into the file itself")
            value = group[name]
            if isinstance(value, h5py.Group):
                found[name] = self.group(value, inner, depth + 1)
            elif isinstance(value, h5py.Dataset):
                self._once(value, inner)
                found[name] = self.dataset(value, inner)
            else:
                raise self.refuse(inner, "neither a group nor data; not read")
        return found

    def _once(self, value: Any, where: str) -> None:
        import h5py

        # Without a second way to any object there is no loop, and no content that counts twice.
        address = int(h5py.h5o.get_info(value.id).addr)
        if address in self.seen:
            raise self.refuse(where, "is linked twice in this file (a loop?); not read")
        self.seen.add(address)
        if len(self.seen) > MAX_OBJECTS:
            raise self.refuse(where, f"more than {MAX_OBJECTS} objects; not read")

    def dataset(self, data: Any, where: str) -> AnyArray | str:
        import h5py

        properties = data.id.get_create_plist()
        if properties.get_layout() == h5py.h5d.VIRTUAL or properties.get_external_count():
            raise self.refuse(where, "data that stand in another file; write them into this one")
        for i in range(properties.get_nfilters()):
            if properties.get_filter(i)[0] not in SAFE_FILTERS:
                raise self.refuse(where, "a compression that needs a plug-in; write it with gzip")
        if data.shape is None:
            raise self.refuse(where, "holds nothing")
        if len(data.shape) > 8:
            raise self.refuse(where, f"{len(data.shape)} axes; not read")
        declared = math.prod(data.shape) * data.dtype.itemsize
        stored = data.id.get_storage_size()
        filtered = properties.get_nfilters() > 0
        if declared and (stored == 0 or (not filtered and stored < declared)):
            raise self.refuse(where, f"declares {declared} bytes, of which {stored} are there")
        self._spend(declared, where)
        text = h5py.check_string_dtype(data.dtype)
        if text is not None:
            return self._texts(data, where)
        if data.dtype.kind not in "iufb":
            enum = h5py.check_enum_dtype(data.dtype)
            kind = "enumeration" if enum else data.dtype
            raise self.refuse(where, f"values of type {kind}; expected numbers or text")
        value = np.asarray(data[()])
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise self.refuse(where, "values that are not finite")
        return value.astype(value.dtype.newbyteorder("="))

    def _spend(self, n_bytes: int, where: str) -> None:
        self.budget -= n_bytes
        if self.budget < 0:
            raise self.refuse(
                where,
                f"the file declares more than {MAX_EXPANSION} x its {self.size} bytes; not read",
            )

    def _texts(self, data: Any, where: str) -> AnyArray | str:
        """Text, or an array of texts ``[...]`` (dtype object)."""
        if data.shape == ():
            return self._text(data[()], where)
        if math.prod(data.shape) == 0:
            return np.empty(data.shape, dtype=object)
        # Texts of any length may share one place in the file: read few at once and count them.
        flat: list[str] = []
        rows = max(1, FREE_BYTES // (self.size * math.prod(data.shape[1:])))
        for first in range(0, data.shape[0], rows):
            block = np.asarray(data[first : first + rows])
            flat.extend(self._text(value, where) for value in block.reshape(-1))
        found = np.empty(len(flat), dtype=object)
        found[:] = flat
        return found.reshape(data.shape)

    def _text(self, value: Any, where: str) -> str:
        content = bytes(value) if isinstance(value, bytes | np.bytes_) else str(value).encode()
        self._spend(len(content), where)
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError:
            raise self.refuse(where, "text that is not UTF-8") from None
