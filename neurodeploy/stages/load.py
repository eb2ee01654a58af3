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


def opened_network(net: Network | str | Path) -> Network:
    """A network as it is, or read from its ``.ndn`` file."""
    return net if isinstance(net, Network) else load_network(net)


def opened_deployment(deployment: Deployment | str | Path) -> Deployment:
    """A deployment as it is, or read from its folder."""
    return deployment if isinstance(deployment, Deployment) else load_deployment(deployment)
