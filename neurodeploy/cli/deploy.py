"""``neurodeploy deploy``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from neurodeploy.cli.convert import conversion_arguments, conversion_options, holds_weights
from neurodeploy.cli.fields import with_stage
from neurodeploy.cli.group import State
from neurodeploy.cli.options import data_option, json_option, output_option
from neurodeploy.cli.terminal import MISMATCH, say
from neurodeploy.errors import CapacityError, UsageError

if TYPE_CHECKING:
    from neurodeploy.api import Deployed

_OTHERWISE = ("model", "data", "output", "command", "tell", "stage")


@click.command()
@click.argument("model", metavar="MODEL")
@click.argument("state", metavar="[WEIGHTS]", required=False)
@data_option()
@with_stage("deploy", *_OTHERWISE)
@conversion_options("weights", "board", "target")
@output_option(what="The folder: a new or empty one, or that of an earlier run, to go on with it.")
@json_option
@click.pass_context
def deploy(
    context: click.Context,
    /,
    model: str,
    state: str | None,
    data: str,
    output: Path,
    as_json: bool,
    **given: Any,
) -> None:
    """Convert, quantize, compile, verify and price a trained network for boards.

    MODEL and WEIGHTS are those of 'convert'; or MODEL is a spiking network, a .ndn file as 'import'
    writes it. What is finished is kept in the folder: after an interruption the same command goes
    on, and with other options only what depends on them runs again. Ends with status 1 if a
    deployment is not exact, with 2 if no board runs the network.
    """
    from neurodeploy import api
    from neurodeploy.cli.progress import progress

    if state is not None and given["weights"] is not None:
        raise UsageError(f"deploy: weights {state} and --weights {given['weights']}; leave one out")
    own = {name: given.pop(name) for name in api.options_of(api.deploy) if name in given}
    own["weights"] = own["weights"] or state
    found = context.find_object(State)
    with progress("deploy") as advance:
        deployed = api.deploy(
            model,
            data,
            output=output,
            command=() if found is None else found.arguments,
            tell=lambda line: say(line, err=as_json),
            stage=advance.stage,
            progress=advance,
            **own,
            **conversion_arguments(given),
        )
    if own["weights"] is None and not holds_weights(model) and not model.endswith(".ndn"):
        say("note: no --weights: the network is used as the factory makes it", err=True)
    tell_deployed(context, deployed, data, as_json, own["board"])


def tell_deployed(
    context: click.Context, deployed: Deployed, data: str, as_json: bool, boards: str = ""
) -> None:
    """A verdict per board and the next commands, and the exit status that they mean.

    Raises
    ------
    CapacityError
        If no board runs the network.
    """
    from neurodeploy.render.deployed import deployed_parts, deployed_to_dict, render_next

    if as_json:
        say(deployed_to_dict(deployed))
    else:
        said = [*deployed_parts(deployed), render_next(deployed, data, program(), boards)]
        say("\n" + "\n\n".join(said))
    refused = [name for name in deployed.boards if deployed.refusal(name) is not None]
    if len(refused) == len(deployed.boards):
        n = len(refused)
        which = f"board {refused[0]} cannot run" if n == 1 else f"none of {n} boards runs"
        raise CapacityError(f"deploy: {which} the network; the reason is told above")
    if not deployed.exact:
        context.exit(MISMATCH)


def program() -> str:
    """How the user called this program: ``make`` leaves nobody's PATH changed."""
    called = Path(sys.argv[0])
    return str(called) if not called.is_absolute() and called.parent.name else "neurodeploy"
