"""The command line, recorded in the files that it makes."""

from __future__ import annotations

import dataclasses

import click

from neurodeploy.cli.group import State
from neurodeploy.ir.artifact import Artifact
from neurodeploy.ir.provenance import command_text


def recorded(artifact: Artifact, context: click.Context) -> Artifact:
    """The artifact with this run's command line added to the ``commands`` of its provenance."""
    state = context.find_object(State)
    arguments = state.arguments if state is not None else ()
    commands = [*artifact.provenance.get("commands", ()), command_text(arguments)]
    return dataclasses.replace(artifact, provenance={**artifact.provenance, "commands": commands})
