"""``neurodeploy energy``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from neurodeploy.cli.fields import with_stage
from neurodeploy.cli.options import data_option, json_option, samples_option
from neurodeploy.cli.terminal import say


@click.command()
@click.argument("source", type=click.Path(path_type=Path), metavar="DIR|NET.ndn")
@click.option(
    "--board",
    required=True,
    metavar="NAME[,NAME...]",
    help="See 'neurodeploy boards'; several, or all, are compared in one table.",
)
@data_option()
@samples_option
@with_stage("estimate_energy", "network", "board", "data", "samples")
@click.option("--details", is_flag=True, help="Events, cores, layers and sources as well.")
@json_option
def energy(
    source: Path,
    board: str,
    data: str,
    samples: int | None,
    details: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Estimate energy and time per inference of a deployment or a quantized netlist on a board."""
    from neurodeploy import EnergyComparison, api
    from neurodeploy.cli.progress import progress
    from neurodeploy.render.energy import comparison_parts, render_energy

    with progress("energy") as advance:
        found: Any = api.estimate_energy(source, board, data, samples, progress=advance, **given)
    if as_json:
        say(found.to_dict())
    elif isinstance(found, EnergyComparison):
        say("\n\n".join(comparison_parts(found)))
    else:
        say(render_energy(found, details))
