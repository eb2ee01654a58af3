"""Networks and deployments to files."""

from __future__ import annotations

from pathlib import Path

from neurodeploy.network import Network, save_network
from neurodeploy.targets.base import Deployment


def save(thing: Network | Deployment, path: str | Path) -> None:
    """Write a ``.ndn`` file or a deployment folder, whole or not at all."""
    if isinstance(thing, Deployment):
        thing.save(path)
    else:
        save_network(thing, path)
