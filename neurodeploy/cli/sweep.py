"""``neurodeploy sweep``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from neurodeploy.cli.fields import axis_options, stage_options
from neurodeploy.cli.options import (
    data_option,
    json_option,
    output_option,
    samples_option,
    with_options,
)
from neurodeploy.cli.terminal import say
from neurodeploy.errors import ExecutionError, TargetUnavailableError, UsageError

_OFFERED = ("model", "data", "samples", "output", "configurations", "board", "tell")


PAGE = "sweep.html"


def sweep_options() -> list[click.Option]:
    """Options of the stage, and an axis for each option of the stages that it calls."""
    from neurodeploy import api

    own = stage_options(api.sweep, leave_out=_OFFERED)
    return [*own, *axis_options(api.sweep_options())]


@click.command()
@click.argument("model", metavar="MODEL")
@data_option()
@samples_option
@click.option(
    "--board",
    metavar="NAME,...",
    help="Estimate energy and time on these; see 'neurodeploy boards'.",
)
@click.option(
    "--list",
    "configurations",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Configurations of a .json, .toml or .csv file, instead of a grid.",
)
@with_options(sweep_options)
@output_option(what="A folder for the results; one of the same sweep goes on.")
@json_option
def sweep(
    model: str,
    data: str,
    samples: int | None,
    board: str | None,
    configurations: Path | None,
    output: Path,
    as_json: bool,
    **given: Any,
) -> None:
    """Compare configurations: each is converted, quantized, evaluated and priced.

    Options of conversion, methods and quantization take several values, separated by commas: the
    grid of them all is run, on processes of this machine or on a cluster. Each result is kept as it
    comes; the same command goes on after an interrupt.
    """
    from neurodeploy import api
    from neurodeploy.cli.progress import progress
    from neurodeploy.render.page.sweep import sweep_page
    from neurodeploy.render.sweep import render_sweep

    own = api.options_of(api.sweep)
    arguments = {name: value for name, value in given.items() if name in own}
    axes: dict[str, Any] = {
        name: _several(name, text)
        for name, text in given.items()
        if name not in own and text is not None
    }

    def tell(line: str) -> None:
        say(line, err=True)

    with progress("sweep") as advance:
        found = api.sweep(
            model,
            data,
            samples,
            output=output,
            configurations=configurations,
            board=() if board is None else board,
            tell=tell,
            progress=advance,
            **arguments,
            **axes,
        )
    if arguments["shard"] is not None:
        say(f"{output}: shard {arguments['shard']} is done; --collect when all are")
        return
    if len(found.failures) == len(found.records):
        first = found.failures[0]["error"]
        raise ExecutionError(f"{output}: no configuration has a result; the first says: {first}")
    say(found.to_dict() if as_json else render_sweep(found))
    try:
        page = sweep_page(found)
    except TargetUnavailableError as error:
        say(f"no page: {error}", err=True)
    else:
        api.write_bytes_whole(output / PAGE, page.encode())
    if not as_json:
        names = ("results.csv", "results.parquet", PAGE)
        written = [name for name in names if (output / name).exists()]
        say(f"\nwrote {', '.join(written)} to {output}")


def _several(name: str, text: str) -> list[str]:
    values = [value.strip() for value in text.split(",")]
    if "" in values:
        option = f"--{name.replace('_', '-')}"
        raise UsageError(f"{option} {text!r}: an empty value; separate values by one comma")
    return values
