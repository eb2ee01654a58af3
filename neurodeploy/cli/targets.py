"""``neurodeploy targets``."""

from __future__ import annotations

import click

from neurodeploy.cli.options import json_option
from neurodeploy.cli.terminal import say


@click.command()
@json_option
def targets(as_json: bool) -> None:
    """List the targets, whether they can run here, and their options."""
    from neurodeploy import api
    from neurodeploy.render.registered import render_targets

    found = api.describe_targets()
    if as_json:
        say({"targets": {t.name: t.to_dict() for t in found}})
    else:
        say(render_targets(found))
