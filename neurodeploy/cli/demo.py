"""``neurodeploy demo``."""

from __future__ import annotations

import time
from pathlib import Path

import click

from neurodeploy.cli.options import json_option
from neurodeploy.cli.terminal import program, say


@click.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("demo-output"),
    show_default=True,
    help="Folder for the netlists and deployments.",
)
@json_option
@click.pass_context
def demo(context: click.Context, output: Path, as_json: bool) -> None:
    """Train, convert, quantize, compile, verify and price a small network on embedded data."""
    from neurodeploy import api
    from neurodeploy.render.demo import render_demo
    from neurodeploy.render.text import to_json

    start = time.monotonic()

    def tell(line: str) -> None:
        say(f"[{time.monotonic() - start:5.1f} s] {line}", err=as_json)

    outcomes = api.demonstrate(output, tell)
    if as_json:
        say(to_json({"outcomes": [outcome.to_dict() for outcome in outcomes]}))
    else:
        say(f"\n{render_demo([outcome.to_dict() for outcome in outcomes])}\n")
        say(f"Netlists and deployments are in {output}. Look at one of them:")
        called, first = program(), outcomes[0]
        say(f"  {called} inspect {output / first.variant.name}.ndn")
        ran = ["reference", *(name for name, n in first.mismatches.items() if n is not None)]
        if ran[1:]:
            say(
                f"  {called} verify {output / first.variant.name}.{ran[-1]} --against {ran[-2]} "
                "--data digits --samples 5"
            )
    if not all(outcome.exact for outcome in outcomes):
        context.exit(1)
