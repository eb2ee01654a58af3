"""What files record of how they were made: command lines and versions."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence

import numpy as np

from neurodeploy.ir.provenance import command_text
from neurodeploy.network import Network
from neurodeploy.version import __version__


def versions(**others: str) -> dict[str, str]:
    """Versions of neurodeploy, Python, numpy and ``others``, for the provenance of a file."""
    python = ".".join(map(str, sys.version_info[:3]))
    return {"neurodeploy": __version__, "python": python, "numpy": np.__version__, **others}


def with_command(network: Network, arguments: Sequence[str]) -> Network:
    """The network with a command line added to the ``commands`` of its provenance."""
    commands = [*network.provenance.get("commands", ()), command_text(arguments)]
    return dataclasses.replace(network, provenance={**network.provenance, "commands": commands})
