"""What a path holds: a netlist or a deployment."""

from __future__ import annotations

from pathlib import Path

from neurodeploy.errors import FileFormatError
from neurodeploy.network import Network, load_network
from neurodeploy.targets.base import Deployment, load_deployment


def load(path: str | Path) -> Network | Deployment:
    """Read a ``.ndn`` file or a deployment folder.

    Raises
    ------
    FileFormatError
        If it is missing, or neither of them.
    """
    path = Path(path)
    if not path.exists():
        raise FileFormatError(
            f"{path}: no such .ndn file or deployment folder; 'neurodeploy quantize' and "
            "'neurodeploy compile' write them"
        )
    return load_deployment(path) if path.is_dir() else load_network(path)
