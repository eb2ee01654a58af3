"""The models of ``evaluate`` and ``diagnose``: a .ndn file, or a model that they convert."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from neurodeploy.cli.convert import conversion_arguments, conversion_options, holds_weights
from neurodeploy.cli.options import F
from neurodeploy.cli.quantize import quantized
from neurodeploy.errors import UsageError

if TYPE_CHECKING:
    from neurodeploy.api import Network


def model_options(timesteps: str) -> Callable[[F], F]:
    """Options for a MODEL: those of its conversion, ``--weight-bits`` and what to calibrate on.

    ``timesteps`` is the help of ``--timesteps``, which takes several.
    """
    options = (
        click.option("--timesteps", metavar="T,...", help=f"MODEL: {timesteps}"),
        click.option(
            "--weight-bits",
            metavar="BITS|LAYER=BITS,...",
            help="MODEL: quantize as well.  [default: real-valued]",
        ),
        click.option(
            "--calibration-data",
            metavar="SPEC",
            help="MODEL: what to calibrate on.  [default: the training split of --data]",
        ),
        conversion_options("timesteps"),
    )

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def is_network(source: str) -> bool:
    """Whether a source is meant as a ``.ndn`` file rather than a model."""
    if holds_weights(source):
        return False
    return Path(source).exists() or ":" not in source


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
    if min(steps) < 1:
        raise UsageError(f"timesteps {min(steps)}: at least 1 is needed")
    if len(set(steps)) < len(steps):
        raise UsageError(f"--timesteps {text!r}: a number is given twice")
    return steps


def converter(
    model: str,
    data: str,
    weight_bits: str | None,
    calibration_data: str | None,
    given: dict[str, Any],
) -> Callable[..., Network]:
    """The conversion of a model for any ``timesteps``, quantized where widths are given.

    Parameters
    ----------
    model, data : str
    weight_bits, calibration_data : str, optional
        Without the latter, the training split of ``data`` calibrates.
    given : dict
        What the options of the conversion were given.
    """
    from neurodeploy import api

    text = api.training_text(data) if calibration_data is None else calibration_data
    arguments = conversion_arguments(given)

    def convert(timesteps: int | None, progress: Any) -> Network:
        net = api.convert(model, text, timesteps=timesteps, progress=progress, **arguments)
        return net if weight_bits is None else quantized(net, weight_bits, text, progress)

    return convert
