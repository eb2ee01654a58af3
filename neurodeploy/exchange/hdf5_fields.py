"""Fields of groups of HDF5 files, checked: numbers, sizes and texts."""

from __future__ import annotations

import math

import numpy as np

from neurodeploy.errors import FileFormatError
from neurodeploy.exchange.assembly import MAX_VALUES
from neurodeploy.exchange.hdf5 import Tree
from neurodeploy.ir.arrays import IntArray


class Fields:
    """Reads fields of a file that is called ``where`` in messages; ``name``: what they belong to.

    Raises
    ------
    FileFormatError
        If a field is missing or something else.
    """

    def __init__(self, where: str) -> None:
        self.where = where

    def refuse(self, name: str, why: str) -> FileFormatError:
        """The error of a field, or of what it belongs to."""
        return FileFormatError(f"{self.where}: {name}: {why}")

    def scalar(self, name: str, tree: Tree, key: str) -> int:
        """A field of one whole number."""
        value = self.numbers(name, tree, key)
        if value.size != 1:
            raise self.refuse(name, f"{key} of shape {value.shape}; expected one number")
        return int(value.reshape(-1)[0])

    def text(self, name: str, tree: Tree, key: str) -> str:
        """A field of text."""
        value = tree.get(key)
        if isinstance(value, np.ndarray) and value.dtype.kind == "O" and value.size == 1:
            value = value.reshape(-1)[0]
        if not isinstance(value, str):
            raise self.refuse(name, f"{key} is no text")
        return value

    def numbers(self, name: str, tree: Tree, key: str) -> IntArray:
        """A field of whole numbers, which lava-dl often writes as floats."""
        value = tree.get(key)
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "iufb":
            raise self.refuse(name, f"{key} is missing or no number")
        whole = np.rint(value.astype(np.float64))
        if (whole != value).any() or np.abs(whole).max(initial=0) > 2**31:
            raise self.refuse(name, f"{key} is not made of whole numbers below 2^31")
        return whole.astype(np.int64)

    def sizes(self, name: str, tree: Tree, key: str) -> tuple[int, ...]:
        """A shape of up to three axes."""
        value = self.numbers(name, tree, key).reshape(-1)
        if not 1 <= value.size <= 3 or (value < 1).any():
            raise self.refuse(name, f"{key} {value.tolist()[:8]}; expected 1 to 3 sizes above 0")
        if math.prod(value.tolist()) > MAX_VALUES:
            raise self.refuse(name, f"{key} {value.tolist()}; at most 2^24 values are read")
        return tuple(value.tolist())

    def pair(self, name: str, tree: Tree, key: str) -> tuple[int, int]:
        """Two numbers, or one that stands for both."""
        value = self.numbers(name, tree, key).reshape(-1).tolist()
        if len(value) not in (1, 2):
            raise self.refuse(name, f"{key} {value[:8]}; expected one or two numbers")
        return value[0], value[-1]
