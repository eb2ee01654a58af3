"""``neurodeploy diagnose``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from neurodeploy.cli.models import (
    converter,
    is_network,
    model_options,
    parsed_timesteps,
    refuse_conversion,
)
from neurodeploy.cli.options import data_option, json_option, samples_option
from neurodeploy.cli.terminal import say


@click.command()
@click.argument("source", metavar="NET.ndn|MODEL")
@data_option()
@samples_option
@model_options(
    "the number of steps. Of several, each is converted anew for the accuracy by T, and the "
    "longest is diagnosed.  [default: the method's]"
)
@click.option(
    "--plots",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write a PNG per layer and summary.png into a new folder.",
)
@json_option
@click.pass_context
def diagnose(
    context: click.Context,
    /,
    source: str,
    data: str,
    samples: int | None,
    as_json: bool,
    timesteps: str | None,
    weight_bits: str | None,
    calibration_data: str | None,
    plots: Path | None,
    **given: Any,
) -> None:
    """Find the losses of a conversion, layer by layer and by cause, and what to change.

    Every layer's coded values are compared with the activations of the source network, and their
    error is split into clipping, quantization, what it inherited, unevenness (timing) and weight
    bits.
    """
    from neurodeploy import api
    from neurodeploy.cli.progress import progress
    from neurodeploy.render.diagnosis import diagnosis_parts
    from neurodeploy.render.diagnosis_plots import write_plots

    if plots is not None:
        api.expect_matplotlib()
        api.expect_replaceable(plots)
    if is_network(source):
        refuse_conversion(context, "diagnose", heard=("plots",))
        with progress("diagnose") as advance:
            diagnosis = api.diagnose(Path(source), data, samples, progress=advance)
    else:
        steps = [None] if timesteps is None else sorted(parsed_timesteps(timesteps))
        convert = converter(source, data, weight_bits, calibration_data, given)
        nets = []
        with progress("calibrate") as advance:
            for T in steps:
                advance.stage("calibrate" if T is None else f"T = {T}: calibrate")
                nets.append(convert(T, advance))
            *others, longest = nets
            advance.stage("diagnose")
            diagnosis = api.diagnose(longest, data, samples, others=others, progress=advance)
    if plots is not None:
        write_plots(diagnosis, plots)
    if as_json:
        say(diagnosis.to_dict())
        return
    say("\n\n".join(diagnosis_parts(diagnosis)))
    if plots is not None:
        say(f"\n{plots}: {len(diagnosis.layers) + 1} plots")
