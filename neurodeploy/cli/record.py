"""The command line, recorded in the files that it makes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from neurodeploy.cli.group import State

if TYPE_CHECKING:
    from neurodeploy.api import Network


def recorded(network: Network, context: click.Context) -> Network:
    """The network with this run's command line added to the ``commands`` of its provenance."""
    from neurodeploy import api

    state = context.find_object(State)
    return api.with_command(network, state.arguments if state is not None else ())
