"""Networks and deployments to files."""

from __future__ import annotations

import os
from pathlib import Path

from neurodeploy.network import Network
from neurodeploy.stages.load import opened, wrong_kind
from neurodeploy.targets.base import Deployment


def save(thing: Network | Deployment | str | Path, path: str | Path) -> None:
    """Write a ``.ndn`` file or a deployment folder, whole or not at all.

    Raises
    ------
    UsageError
        For anything but a network, a deployment or the path of either, or another path than text.
    """
    if not isinstance(path, str | os.PathLike):
        raise wrong_kind("save", path, "the network or deployment first, then the path to write")
    opened(thing, "save").save(path)
