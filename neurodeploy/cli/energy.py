"""``neurodeploy energy``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from neurodeploy.cli.fields import with_stage
from neurodeploy.cli.options import data_option, json_option, samples_option
from neurodeploy.cli.terminal import say
from neurodeploy.errors import UsageError


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
    from neurodeploy import api
    from neurodeploy.cli.progress import progress
    from neurodeploy.render.energy import render_comparison, render_energy
    from neurodeploy.render.text import to_json

    with progress("energy") as advance:
        if "," in board or board == "all":
            named = [name.strip() for name in board.split(",")]
            names = api.board_names() if board == "all" else named
            if "" in names:
                raise UsageError(f"--board {board!r}: an empty name; separate names by one comma")
            compared = api.estimate_energy(source, names, data, samples, progress=advance, **given)
            told, text = compared.to_dict(), render_comparison(compared)
        else:
            report = api.estimate_energy(source, board, data, samples, progress=advance, **given)
            told, text = report.to_dict(), render_energy(report, details)
    say(to_json(told) if as_json else text)
