"""``neurodeploy methods``."""

from __future__ import annotations

import click

from neurodeploy.cli.options import json_option
from neurodeploy.cli.terminal import say


@click.command()
@click.argument("name", required=False)
@json_option
def methods(name: str | None, as_json: bool) -> None:
    """List the conversion methods; of NAME, its options."""
    from neurodeploy import api
    from neurodeploy.render.registered import render_methods

    found = api.describe_methods()
    if name is not None:
        api.METHODS.get(name)
        found = [m for m in found if m.name == name]
    if as_json:
        say({"methods": {m.name: m.to_dict() for m in found}})
    else:
        say(render_methods(found))
