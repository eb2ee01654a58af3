"""Command lines in the files that they make."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from neurodeploy.ir.provenance import command_text
from neurodeploy.network import Network


def with_command(network: Network, arguments: Sequence[str]) -> Network:
    """The network with a command line added to the ``commands`` of its provenance."""
    commands = [*network.provenance.get("commands", ()), command_text(arguments)]
    return dataclasses.replace(network, provenance={**network.provenance, "commands": commands})
