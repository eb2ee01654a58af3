"""``neurodeploy quantize``."""

from __future__ import annotations

from pathlib import Path

import click

from neurodeploy.cli.fields import field_options, field_values
from neurodeploy.cli.options import expect_output, json_option, output_option, with_options
from neurodeploy.errors import UsageError


def pass_options() -> list[click.Option]:
    """The fields of the pass, but those of the weights."""
    from neurodeploy.quantize.integers import Quantization

    return field_options({"quantize": Quantization}, leave_out=("weight_bits", "layer_bits"))


def weight_widths(text: str) -> tuple[int | None, dict[str, int]]:
    """Read ``8``, ``conv1=4,output=8`` or ``6,conv1=4``: the common width, and those by layer.

    Raises
    ------
    UsageError
        For anything else.
    """
    common: int | None = None
    layers: dict[str, int] = {}
    for item in text.split(","):
        layer, equals, width = item.rpartition("=")
        layer = layer.strip()
        try:
            bits = int(width)
        except ValueError:
            bits = 0
        if bits < 1 or (equals and not layer) or layer in layers or (not equals and common):
            raise UsageError(
                f"--weight-bits {text!r}: {item.strip()!r} is no width; expected BITS, "
                "LAYER=BITS,... or BITS,LAYER=BITS,..."
            )
        if equals:
            layers[layer] = bits
        else:
            common = bits
    return common, layers


@click.command()
@click.argument("source", type=click.Path(path_type=Path), metavar="NET.ndn")
@click.option(
    "--weight-bits",
    default="8",
    show_default=True,
    metavar="BITS|LAYER=BITS,...",
    help="Width of the weights, 2 to 8; layers that are not named get 8 (or BITS, in "
    "'BITS,LAYER=BITS,...').",
)
@click.option(
    "--fit",
    metavar="BOARD",
    help="Widest widths, up to those given, with which every layer fits the board's crossbars.",
)
@with_options(pass_options)
@output_option(what="The integer netlist, a .ndn file.")
@json_option
@click.pass_context
def quantize(
    context: click.Context,
    /,
    source: Path,
    weight_bits: str,
    fit: str | None,
    output: Path,
    as_json: bool,
    **given: str | None,
) -> None:
    """Quantize a converted netlist to integers, and tell what it cost layer by layer."""
    from neurodeploy import api
    from neurodeploy.cli.record import recorded
    from neurodeploy.ir.artifact import load_artifact
    from neurodeploy.quantize.integers import Quantization
    from neurodeploy.report.quantization import quantization_json, render_quantization
    from neurodeploy.report.text import to_json

    expect_output(output, ".ndn")
    common, layers = weight_widths(weight_bits)
    options = field_values(Quantization, given)
    if common is not None:
        options["weight_bits"] = common
    net = load_artifact(source)
    artifact = api.quantize(net, layer_bits=layers, fit=fit, **options)
    api.save(recorded(artifact, context), output)
    if as_json:
        click.echo(to_json(quantization_json(artifact)))
    else:
        click.echo(render_quantization(artifact, output))
