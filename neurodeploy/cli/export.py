"""``neurodeploy export``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from neurodeploy.cli.fields import with_stage
from neurodeploy.cli.options import json_option, output_option
from neurodeploy.cli.terminal import say


@click.command("export")
@click.argument("source", type=click.Path(path_type=Path), metavar="NET.ndn")
@with_stage("export", "net", "path")
@output_option(what="The file.")
@json_option
def export(source: Path, output: Path, as_json: bool, **given: Any) -> None:
    """Write a netlist for other frameworks.

    A NIR graph holds the whole netlist in its metadata: read back by import it is the same. What
    each framework reads otherwise is told.
    """
    from neurodeploy import api
    from neurodeploy.render.exchange import render_exported

    found = api.export(source, path=output, **given)
    say(found.to_dict() if as_json else render_exported(found))
