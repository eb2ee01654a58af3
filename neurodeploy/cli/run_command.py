"""``neurodeploy run``."""

from __future__ import annotations

from pathlib import Path

import click

from neurodeploy.cli.options import (
    check_option,
    data_option,
    expect_output,
    json_option,
    output_option,
    samples_option,
)
from neurodeploy.cli.terminal import say


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@data_option()
@samples_option
@output_option(
    required=False,
    what="Write an .npz file: 'outputs' (in the units of the source network), 'classes', 'labels' "
    "where there are, and 'spikes.POPULATION' [samples, T, ...].",
)
@check_option
@json_option
def run(
    folder: Path,
    data: str,
    samples: int | None,
    output: Path | None,
    check: bool,
    as_json: bool,
) -> None:
    """Run a deployment on data: the answers, their accuracy, and the spikes of each population."""
    from neurodeploy import api
    from neurodeploy.cli.progress import progress
    from neurodeploy.render.inference import inference_npz, inference_parts

    if output is not None:
        expect_output(output, ".npz")
    with progress("run") as advance:
        record = None if output is not None else ()
        inference = api.run(
            api.load_deployment(folder, check=check), data, samples, record=record, progress=advance
        )
    if output is not None:
        api.write_bytes_whole(output, inference_npz(inference))
    if as_json:
        say(inference.to_dict())
    else:
        say("\n\n".join(inference_parts(inference)))
        if output is not None:
            say(f"\nwrote {output}")
