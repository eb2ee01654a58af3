"""HDF5 files from strangers are read in a process of their own, which may end instead of this."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from neurodeploy.errors import FileFormatError
from neurodeploy.exchange.hdf5 import Tree
from neurodeploy.loading.apart import read_apart


def read_tree(path: Path, what: str) -> Tree:
    """The whole content of a file.

    Parameters
    ----------
    path : Path
    what : str
        What the file should be, for messages.

    Raises
    ------
    FileFormatError
        If it is missing, no HDF5 file, damaged, or holds what is not read from strangers; and if
        reading it crashes, or takes more time or memory than its size accounts for.
    """
    if importlib.util.find_spec("h5py") is None:
        raise FileFormatError(f"{path}: {what} needs h5py; pip install 'neurodeploy[exchange]'")
    found: Tree = read_apart("neurodeploy.exchange.hdf5:read_here", path, what)
    return found
