"""``neurodeploy convert``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from neurodeploy.cli.fields import field_options, field_values
from neurodeploy.cli.options import (
    data_option,
    expect_output,
    json_option,
    key_values,
    output_option,
    seed_option,
    with_options,
)

EXPLICIT = ("timesteps", "decode")
"""Fields of every method that the command spells itself."""


def method_options() -> list[click.Option]:
    """Options of all methods that can be imported.

    A plug-in that cannot is no reason to refuse ``--help``: choosing it tells what is wrong.
    """
    from neurodeploy.conversion.registry import METHODS
    from neurodeploy.errors import NeurodeployError

    classes: dict[str, type] = {}
    for name in METHODS:
        try:
            classes[name] = METHODS.get(name)
        except NeurodeployError:
            continue
    return field_options(classes, leave_out=EXPLICIT)


def holds_weights(model: str) -> bool:
    """Whether a MODEL is a file with its own weights, rather than a factory."""
    return model.endswith((".pt2", ".onnx"))


def chosen_options(
    method: str, given: dict[str, str | None], settings: tuple[str, ...]
) -> dict[str, Any]:
    """The options of a method, from its own options and ``--set key=value``."""
    from neurodeploy.conversion.registry import METHODS
    from neurodeploy.stages.auto import AUTO_METHODS

    texts = {**given, **key_values(settings, "--set")}
    if method != "auto":
        return field_values(METHODS.get(method), texts)
    # Every code that auto may choose has these options, or refuses them by name.
    hints = {
        k: v for name in AUTO_METHODS for k, v in field_values(METHODS.get(name), texts).items()
    }
    return {k: v for k, v in hints.items() if v is not None}


def conversion_options(command: click.decorators.FC) -> click.decorators.FC:
    """Options of the conversion that ``convert`` and ``evaluate`` share."""
    for decorate in reversed(
        (
            click.option(
                "--method",
                default="auto",
                show_default=True,
                metavar="NAME",
                help="See 'neurodeploy methods'; 'auto' takes the shortest run within --max-loss.",
            ),
            click.option(
                "--input",
                "input_",
                metavar="current|spikes|rate|poisson|latency|delta",
                help="How a sample enters: as a constant current, or as spikes ('spikes' is "
                "'rate', evenly spaced).  [default: the method's, mostly current]",
            ),
            click.option(
                "--decode",
                metavar="membrane|counts|softmax",
                help="How the answer is read.  [default: the method's, mostly membrane]",
            ),
            click.option(
                "--target", metavar="NAME", help="auto: the target that has to run the result."
            ),
            click.option(
                "--board", metavar="NAME", help="auto: the board that has to hold the result."
            ),
            click.option(
                "--max-loss",
                type=float,
                metavar="POINTS",
                help="auto: accuracy that may be lost.  [default: 1]",
            ),
            click.option("--max-timesteps", type=int, metavar="T", help="auto: the longest run."),
            click.option(
                "--calibration-samples",
                type=int,
                default=512,
                show_default=True,
                metavar="N",
                help="Calibrate on the first N training samples.",
            ),
            click.option(
                "--input-levels",
                type=int,
                metavar="N",
                help="Levels of the encoded input.  [default: those of the data, else 255]",
            ),
            seed_option,
            click.option(
                "--name", metavar="NAME", help="Name of the network.  [default: the factory's]"
            ),
            with_options(method_options),
            click.option(
                "--set",
                "settings",
                multiple=True,
                metavar="KEY=VALUE",
                help="An option of a plug-in method; repeat for more.",
            ),
        )
    ):
        command = decorate(command)
    return command


@click.command()
@click.argument("model", metavar="MODEL")
@click.option("--weights", metavar="FILE", help="State dict saved by torch.save.")
@data_option()
@click.option(
    "--timesteps", type=int, metavar="T", help="Steps of one sample.  [default: the method's]"
)
@conversion_options
@output_option(what="The netlist, a .ndn file.")
@json_option
@click.pass_context
def convert(
    context: click.Context,
    /,
    model: str,
    weights: str | None,
    data: str,
    timesteps: int | None,
    method: str,
    input_: str | None,
    decode: str | None,
    target: str | None,
    board: str | None,
    max_loss: float | None,
    max_timesteps: int | None,
    calibration_samples: int,
    input_levels: int | None,
    seed: int,
    name: str | None,
    settings: tuple[str, ...],
    output: Path,
    as_json: bool,
    **given: str | None,
) -> None:
    """Convert a trained network to a real-valued spiking netlist.

    MODEL is file.py:factory or package.module:factory, whose factory is called without arguments
    and gives a torch.nn.Module; or a file that holds its weights: FILE.pt2 (torch.export.save) or
    FILE.onnx. The data calibrate the thresholds, from their training split; a network with several
    inputs takes an .npz file with one array for each.
    """
    from neurodeploy import api
    from neurodeploy.cli.progress import progress
    from neurodeploy.cli.record import recorded
    from neurodeploy.render.netlist import render_written, silence_lines, summarize_network
    from neurodeploy.render.text import to_json

    expect_output(output, ".ndn")
    options = chosen_options(method, given, settings)
    with progress("calibrate") as advance:
        net = api.convert(
            model,
            data,
            weights=weights,
            method=method,
            timesteps=timesteps,
            input=input_,
            decode=decode,
            target=target,
            board=board,
            max_loss=max_loss,
            max_timesteps=max_timesteps,
            calibration_samples=calibration_samples,
            input_levels=input_levels,
            seed=seed,
            name=name,
            progress=advance,
            **options,
        )
    api.save(recorded(net, context), output)
    if weights is None and not holds_weights(model):
        click.echo("note: no --weights: the network is used as the factory makes it", err=True)
    for line in silence_lines(net.provenance):
        click.echo(f"warning: {line}", err=True)
    if "auto" in net.provenance and not as_json:
        click.echo(net.provenance["auto"]["reason"])
    if as_json:
        click.echo(to_json(summarize_network(net)))
    else:
        click.echo(render_written(net, output))
