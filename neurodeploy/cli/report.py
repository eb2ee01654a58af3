"""``neurodeploy report``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from neurodeploy.cli.fields import with_stage
from neurodeploy.cli.options import data_option, json_option, output_option
from neurodeploy.cli.terminal import MISMATCH, say


@click.command()
@click.argument("source", type=click.Path(path_type=Path), metavar="NET.ndn|DIR")
@data_option(required=False)
@with_stage("report", "thing", "data", "path", "tell")
@output_option(what="The page, one HTML file that needs no other.")
@json_option
@click.pass_context
def report(
    context: click.Context,
    /,
    source: Path,
    data: str | None,
    output: Path,
    as_json: bool,
    **given: Any,
) -> None:
    """Measure a network on a few samples, and write everything about it into one page.

    DIR is a folder of 'neurodeploy deploy', or one of compile. Ends with status 1 if a target does
    not compute the same spikes; the page then begins with that.
    """
    from neurodeploy import api

    start = time.monotonic()

    def tell(line: str) -> None:
        say(f"[{time.monotonic() - start:5.1f} s] {line}", err=True)

    found = api.report(source, data, output, tell=tell, **given)
    if as_json:
        say(found.to_dict())
    else:
        say(f"wrote {output}: {output.stat().st_size / 1000:.0f} kB")
    if not found.exact:
        context.exit(MISMATCH)
