"""``neurodeploy energy``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from neurodeploy.cli.options import data_option, json_option, samples_option
from neurodeploy.errors import UsageError


@click.command()
@click.argument("source", type=click.Path(path_type=Path), metavar="DIR|NET.ndn")
@click.option(
    "--board",
    required=True,
    metavar="NAME[,NAME...]",
    help="See 'neurodeploy boards'; several are compared in one table.",
)
@data_option()
@samples_option
@click.option(
    "--cross-validate",
    is_flag=True,
    help="Set the counts beside those of the real-valued simulation, layer by layer.",
)
@click.option(
    "--fast",
    is_flag=True,
    help="Estimate the spikes from the source network's activations; two samples are run, to tell "
    "the error.",
)
@click.option(
    "--objective",
    metavar="WHAT",
    help="Place cores for energy, time, pareto or none (in row-column order).  [default: energy]",
)
@click.option(
    "--placement",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Take the placement of this file.",
)
@click.option(
    "--save-placement",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the placement to this file (JSON).",
)
@json_option
def energy(
    source: Path,
    board: str,
    data: str,
    samples: int | None,
    cross_validate: bool,
    fast: bool,
    objective: str | None,
    placement: Path | None,
    save_placement: Path | None,
    as_json: bool,
) -> None:
    """Estimate energy and time per inference of a deployment or a quantized netlist on a board."""
    from neurodeploy import api
    from neurodeploy.cli.progress import progress
    from neurodeploy.render.energy import render_comparison, render_energy
    from neurodeploy.render.text import to_json

    with progress("energy") as advance:
        options: dict[str, Any] = {
            "cross_validate": cross_validate,
            "fast": fast,
            "objective": objective,
            "placement": placement,
            "save_placement": save_placement,
            "progress": advance,
        }
        if "," in board:
            names = [name.strip() for name in board.split(",")]
            if "" in names:
                raise UsageError(f"--board {board!r}: an empty name; separate names by one comma")
            compared = api.estimate_energy(source, names, data, samples, **options)
            told, text = compared.to_dict(), render_comparison(compared)
        else:
            report = api.estimate_energy(source, board, data, samples, **options)
            told, text = report.to_dict(), render_energy(report)
    click.echo(to_json(told) if as_json else text)
