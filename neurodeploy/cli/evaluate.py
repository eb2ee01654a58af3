"""``neurodeploy evaluate``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from neurodeploy.cli.convert import chosen_options, conversion_options, holds_weights
from neurodeploy.cli.options import data_option, json_option, samples_option
from neurodeploy.cli.quantize import quantized
from neurodeploy.errors import UsageError

if TYPE_CHECKING:
    from neurodeploy.verification.accuracy import Evaluation


@click.command()
@click.argument("source", metavar="NET.ndn|MODEL")
@data_option()
@samples_option
@click.option("--weights", metavar="FILE", help="MODEL: state dict saved by torch.save.")
@click.option(
    "--timesteps", metavar="T,...", help="MODEL: the numbers of steps; each is converted anew."
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
@json_option
@click.pass_context
def evaluate(
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
    **conversion: Any,
) -> None:
    """Accuracy of a netlist, and of every prefix of its run, beside its source network.

    With a MODEL (file.py:factory, FILE.pt2 or FILE.onnx) and --timesteps, the network is converted
    anew for every number of time steps.
    """
    from neurodeploy.render.evaluation import render_evaluations
    from neurodeploy.render.text import to_json
    from neurodeploy.verification.accuracy import evaluations_to_dict

    if timesteps is None:
        if holds_weights(source) or (":" in source and not Path(source).exists()):
            raise UsageError(
                f"evaluate {source}: a model needs --timesteps, as in --timesteps 8,16,32"
            )
        refuse_conversion(context, "evaluate")
        evaluations = [_evaluate_file(Path(source), data, samples)]
    else:
        if Path(source).suffix == ".ndn" and ":" not in source:
            raise UsageError(
                f"evaluate {source}: a .ndn file is evaluated as it was converted; leave "
                "--timesteps out, or name the model (file.py:factory)"
            )
        convert = converter(
            source, weights, calibration_data or data, calibration_data is None, weight_bits
        )
        options = conversion_of(conversion)
        evaluations = [
            _evaluate_conversion(convert, t, options, data, samples)
            for t in parsed_timesteps(timesteps)
        ]
    if as_json:
        click.echo(to_json(evaluations_to_dict(evaluations)))
    else:
        click.echo(render_evaluations(evaluations))


def _evaluate_file(path: Path, data: str, samples: int | None) -> Evaluation:
    from neurodeploy import api
    from neurodeploy.cli.progress import progress

    with progress("evaluate") as advance:
        return api.evaluate(path, data, samples, progress=advance)


def refuse_conversion(context: click.Context, command: str, heard: tuple[str, ...] = ()) -> None:
    """Options that only a conversion reads must not pass unheard.

    Raises
    ------
    UsageError
        Naming the option, unless it is in ``heard`` or one that every ``.ndn`` file takes.
    """
    known = {"source", "data", "samples", "as_json", "debug", *heard}
    for parameter in context.command.params:
        name = parameter.name or ""
        given = context.get_parameter_source(name)
        if given is click.core.ParameterSource.COMMANDLINE and name not in known:
            raise UsageError(
                f"{command}: {parameter.opts[-1]} is for a model; a .ndn file is "
                f"{command}d as it was converted"
            )


def parsed_timesteps(text: str) -> list[int]:
    """Read ``8,16,32``.

    Raises
    ------
    UsageError
        For anything else, or a number given twice.
    """
    try:
        steps = [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--timesteps {text!r}: expected whole numbers, as in 8,16,32") from None
    if len(set(steps)) < len(steps):
        raise UsageError(f"--timesteps {text!r}: a number is given twice")
    return steps


def conversion_of(given: dict[str, Any]) -> dict[str, Any]:
    """Keyword arguments of the API from the options of the command."""
    own = (
        *("method", "decode", "calibration_samples", "input_levels", "seed", "name"),
        *("target", "board", "max_loss", "max_timesteps"),
    )
    options = {key: given.pop(key) for key in own}
    options["input"] = given.pop("input_")
    settings = given.pop("settings")
    return {**options, **chosen_options(options["method"], given, settings)}


def converter(
    model: str, weights: str | None, calibration: str, derive: bool, weight_bits: str | None
) -> Callable[..., Any]:
    """The conversion of a model, quantized where widths are given.

    ``derive``: on the training split of a data set's text.
    """
    from neurodeploy import api
    from neurodeploy.datasets.spec import training_text
    from neurodeploy.render.netlist import silence_lines

    text = training_text(calibration) if derive else calibration
    told: set[str] = set()

    def convert(**options: Any) -> Any:
        net = api.convert(model, text, weights=weights, **options)
        # The calibration images are the same for every T.
        for line in silence_lines(net.provenance):
            if line not in told:
                click.echo(f"warning: {line}", err=True)
        told.update(silence_lines(net.provenance))
        if weight_bits is None:
            return net
        return quantized(net, weight_bits, text, options.get("progress"))

    return convert


def _evaluate_conversion(
    convert: Callable[..., Any],
    timesteps: int,
    options: dict[str, Any],
    data: str,
    samples: int | None,
) -> Evaluation:
    from neurodeploy import api
    from neurodeploy.cli.progress import progress

    with progress(f"T = {timesteps}: calibrate") as advance:
        net = convert(timesteps=timesteps, progress=advance, **options)
        advance.stage(f"T = {timesteps}: evaluate")
        return api.evaluate(net, data, samples, progress=advance)
