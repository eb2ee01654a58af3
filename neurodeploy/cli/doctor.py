"""``neurodeploy doctor``."""

from __future__ import annotations

import click

from neurodeploy.cli.options import json_option
from neurodeploy.cli.terminal import say


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Tell what is installed, which executors and targets work, why others do not, and the remedy.

    Each package is really imported, in a process of its own.
    """
    from neurodeploy import api
    from neurodeploy.render.doctor import render_doctor

    found = api.doctor()
    say(found.to_dict() if as_json else render_doctor(found))
