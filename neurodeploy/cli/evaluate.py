"""``neurodeploy evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from neurodeploy.cli.fields import with_stage
from neurodeploy.cli.models import (
    converter,
    is_network,
    model_options,
    parsed_timesteps,
    refuse_conversion,
)
from neurodeploy.cli.options import data_option, json_option, samples_option
from neurodeploy.cli.terminal import say
from neurodeploy.errors import UsageError

_SHARING = ("workers", "scheduler", "metrics")


@click.command()
@click.argument("source", metavar="NET.ndn|MODEL")
@data_option()
@samples_option
@with_stage("evaluate", "net", "data", "samples")
@model_options("the numbers of steps; each is converted anew.  [default: the method's]")
@json_option
@click.pass_context
def evaluate(
    context: click.Context,
    /,
    source: str,
    data: str,
    samples: int | None,
    as_json: bool,
    timesteps: str | None,
    weight_bits: str | None,
    calibration_data: str | None,
    **given: Any,
) -> None:
    """Accuracy of a netlist, and of every prefix of its run, beside its source network.

    With a MODEL (file.py:factory, FILE.pt2 or FILE.onnx) the network is converted anew for every
    number of time steps in --timesteps; without, for the method's own.
    """
    from neurodeploy import api
    from neurodeploy.cli.progress import progress
    from neurodeploy.render.evaluation import evaluation_parts

    own = {name: given.pop(name) for name in _SHARING}
    if is_network(source) and timesteps is None:
        refuse_conversion(context, "evaluate", heard=_SHARING)
        with progress("evaluate") as advance:
            evaluations = [api.evaluate(Path(source), data, samples, progress=advance, **own)]
    else:
        if Path(source).suffix == ".ndn" and ":" not in source:
            raise UsageError(
                f"evaluate {source}: a .ndn file is evaluated as it was converted; leave "
                "--timesteps out, or name the model (file.py:factory)"
            )
        convert = converter(source, data, weight_bits, calibration_data, given)
        evaluations = []
        for T in [None] if timesteps is None else parsed_timesteps(timesteps):
            run = "" if T is None else f"T = {T}: "
            with progress(f"{run}calibrate") as advance:
                net = convert(T, advance)
                advance.stage(f"{run}evaluate")
                evaluations.append(api.evaluate(net, data, samples, progress=advance, **own))
    if as_json:
        say(api.evaluations_to_dict(evaluations))
    else:
        say("\n\n".join(evaluation_parts(evaluations)))
