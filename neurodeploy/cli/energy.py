"""``neurodeploy energy``."""

from __future__ import annotations

from pathlib import Path

import click

from neurodeploy.cli.options import data_option, json_option, samples_option


@click.command()
@click.argument("source", type=click.Path(path_type=Path), metavar="DIR|NET.ndn")
@click.option("--board", required=True, metavar="NAME", help="See 'neurodeploy boards'.")
@data_option()
@samples_option
@click.option(
    "--cross-validate",
    is_flag=True,
    help="Set the counts beside those of the real-valued simulation, layer by layer.",
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
    objective: str | None,
    placement: Path | None,
    save_placement: Path | None,
    as_json: bool,
) -> None:
    """Estimate energy and time per inference of a deployment or a quantized netlist on a board."""
    from neurodeploy import api
    from neurodeploy.cli.progress import progress
    from neurodeploy.report.energy import render_energy
    from neurodeploy.report.text import to_json

    with progress("energy") as advance:
        report = api.estimate_energy(
            source,
            board,
            data,
            samples=samples,
            cross_validate=cross_validate,
            objective=objective,
            placement=placement,
            save_placement=save_placement,
            progress=advance,
        )
    click.echo(to_json(report.to_dict()) if as_json else render_energy(report))
