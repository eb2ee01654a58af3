"""The command line, recorded in the files that it makes."""

from __future__ import annotations

import dataclasses

import click

from neurodeploy.cli.group import State
from neurodeploy.ir.provenance import command_text
from neurodeploy.network import Network


def recorded(network: Network, context: click.Context) -> Network:
    """The network with this run's command line added to the ``commands`` of its provenance."""
    state = context.find_object(State)
    arguments = state.arguments if state is not None else ()
    commands = [*network.provenance.get("commands", ()), command_text(arguments)]
    return dataclasses.replace(network, provenance={**network.provenance, "commands": commands})
