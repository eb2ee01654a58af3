"""``neurodeploy verify``."""

from __future__ import annotations

from pathlib import Path

import click

from neurodeploy.cli.fields import with_stage
from neurodeploy.cli.options import check_option, data_option, json_option, samples_option
from neurodeploy.cli.terminal import MISMATCH, say


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@with_stage("verify", "deployment", "data", "samples", "stage")
@data_option()
@samples_option
@check_option
@json_option
@click.pass_context
def verify(
    context: click.Context,
    /,
    folder: Path,
    against: str,
    data: str,
    samples: int | None,
    check: bool,
    as_json: bool,
) -> None:
    """Compare a deployment with other executors, spike for spike.

    Ends with status 1 if a single spike differs, or if nothing was compared.
    """
    from neurodeploy import api
    from neurodeploy.cli.progress import progress
    from neurodeploy.render.verification import verification_parts

    with progress("verify") as advance:
        result = api.verify(
            api.load_deployment(folder, check=check),
            against,
            data,
            samples,
            stage=advance.stage,
            progress=advance,
        )
    say(result.to_dict() if as_json else "\n\n".join(verification_parts(result)))
    if result.target in result.mismatches:
        say(
            f"note: the deployment was compared with a fresh compilation for the same target, "
            f"{result.target}; 'reference' is independent of every target",
            err=True,
        )
    if not result.exact:
        context.exit(MISMATCH)
