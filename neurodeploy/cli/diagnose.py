"""``neurodeploy diagnose``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from neurodeploy.cli.convert import conversion_options, holds_weights
from neurodeploy.cli.evaluate import (
    conversion_of,
    converter,
    parsed_timesteps,
    refuse_conversion,
)
from neurodeploy.cli.options import data_option, json_option, samples_option

if TYPE_CHECKING:
    from neurodeploy.diagnosis.diagnosis import Diagnosis
    from neurodeploy.network import Network


@click.command()
@click.argument("source", metavar="NET.ndn|MODEL")
@data_option()
@samples_option
@click.option("--weights", metavar="FILE", help="MODEL: state dict saved by torch.save.")
@click.option(
    "--timesteps",
    metavar="T,...",
    help="MODEL: the number of steps. Of several, each is converted anew for the accuracy by T, "
    "and the longest is diagnosed.  [default: the method's]",
)
@click.option(
    "--weight-bits",
    metavar="BITS|LAYER=BITS,...",
    help="MODEL: quantize as well.  [default: real-valued]",
)
@click.option(
    "--calibration-data",
    metavar="SPEC",
    help="MODEL: what to calibrate on.  [default: the training split of --data]",
)
@conversion_options
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
    weights: str | None,
    timesteps: str | None,
    weight_bits: str | None,
    calibration_data: str | None,
    plots: Path | None,
    **conversion: Any,
) -> None:
    """Where a conversion loses, layer by layer and by cause, and what to change.

    Every layer's coded values are compared with the activations of the source network, and their
    error is split into clipping, quantization, what it inherited, unevenness (timing) and weight
    bits.
    """
    from neurodeploy.ir.files import expect_replaceable
    from neurodeploy.render.diagnosis import render_diagnosis
    from neurodeploy.render.diagnosis_plots import write_plots
    from neurodeploy.render.figures import expect_matplotlib
    from neurodeploy.render.text import to_json

    if plots is not None:
        expect_matplotlib()
        expect_replaceable(plots)
    if is_network(source):
        refuse_conversion(context, "diagnose", heard=("plots",))
        diagnosis = _diagnose_file(Path(source), data, samples)
    else:
        steps = [None] if timesteps is None else sorted(parsed_timesteps(timesteps))
        convert = converter(
            source, weights, calibration_data or data, calibration_data is None, weight_bits
        )
        options = conversion_of(conversion)
        diagnosis = _diagnose_model(convert, steps, options, data, samples)
    if plots is not None:
        write_plots(diagnosis, plots)
    if as_json:
        click.echo(to_json(diagnosis.to_dict()))
        return
    click.echo(render_diagnosis(diagnosis))
    if plots is not None:
        click.echo(f"\n{plots}: {len(diagnosis.layers) + 1} plots")


def is_network(source: str) -> bool:
    """Whether a source is meant as a ``.ndn`` file rather than a model."""
    if holds_weights(source):
        return False
    return Path(source).exists() or ":" not in source


def _diagnose_file(path: Path, data: str, samples: int | None) -> Diagnosis:
    from neurodeploy import api
    from neurodeploy.cli.progress import progress

    with progress("diagnose") as advance:
        return api.diagnose(path, data, samples, progress=advance)


def _diagnose_model(
    convert: Any,
    steps: Sequence[int | None],
    options: dict[str, Any],
    data: str,
    samples: int | None,
) -> Diagnosis:
    from neurodeploy import api
    from neurodeploy.cli.progress import progress

    nets: list[Network] = []
    with progress("calibrate") as advance:
        for T in steps:
            advance.stage("calibrate" if T is None else f"T = {T}: calibrate")
            nets.append(convert(timesteps=T, progress=advance, **options))
        *others, longest = nets
        advance.stage("diagnose")
        return api.diagnose(longest, data, samples, others=others, progress=advance)
