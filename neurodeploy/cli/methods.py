"""``neurodeploy methods``."""

from __future__ import annotations

import click

from neurodeploy.cli.options import json_option


@click.command()
@json_option
def methods(as_json: bool) -> None:
    """List the conversion methods and their options."""
    from neurodeploy.report.registered import list_methods, render_methods
    from neurodeploy.report.text import to_json

    found = list_methods()
    if as_json:
        click.echo(to_json({"methods": {m.name: m.to_dict() for m in found}}))
    else:
        click.echo(render_methods(found))
