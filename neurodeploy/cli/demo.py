"""``neurodeploy demo``."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from neurodeploy.cli.deploy import program, tell_deployed
from neurodeploy.cli.options import json_option
from neurodeploy.cli.terminal import say


@click.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("demo-output"),
    show_default=True,
    help="Folder for the weights, and for all that 'deploy' makes of them.",
)
@json_option
@click.pass_context
def demo(context: click.Context, output: Path, as_json: bool) -> None:
    """Train a small network on embedded data, and 'deploy' it on three boards."""
    from neurodeploy import api
    from neurodeploy.cli.progress import progress

    def tell(line: str) -> None:
        say(line, err=as_json)

    with progress("demo") as advance:
        deployed = api.demonstrate(output, tell=tell, stage=advance.stage, progress=advance)
    tell(f"\nthe same by hand:\n  {program()} {shlex.join(api.demo_command(output))}")
    tell_deployed(context, deployed, "digits", as_json)
