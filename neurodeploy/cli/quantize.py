"""``neurodeploy quantize``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from neurodeploy.cli.fields import field_options, field_values
from neurodeploy.cli.options import expect_output, json_option, output_option, with_options
from neurodeploy.errors import UsageError

if TYPE_CHECKING:
    from neurodeploy.ir.record import Progress
    from neurodeploy.network import Network

DEFAULT_BITS = 8


def pass_options() -> list[click.Option]:
    """The fields of the pass, but those of the weights."""
    from neurodeploy.quantization.integers import Quantization

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


def quantized(net: Network, text: str, data: str, progress: Progress | None) -> Network:
    """A network that was just converted, with ``--weight-bits`` as given.

    Widths below the default are rounded against the data at hand; there, it makes a difference.
    """
    from neurodeploy import api

    common, layers = weight_widths(text)
    bits = DEFAULT_BITS if common is None else common
    few = min((bits, *layers.values())) < DEFAULT_BITS
    against = data if few else None
    return api.quantize(net, bits, layer_bits=layers, data=against, progress=progress)


@click.command()
@click.argument("source", type=click.Path(path_type=Path), metavar="NET.ndn")
@click.option(
    "--weight-bits",
    default=str(DEFAULT_BITS),
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
@click.option(
    "--data",
    metavar="SPEC",
    help="Round weights against what arrives at them on its training split: few bits then cost "
    "much less.",
)
@click.option(
    "--calibration-samples",
    type=int,
    help="The first so many training samples of --data.  [default: 256, fewer for large networks]",
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
    data: str | None,
    calibration_samples: int | None,
    output: Path,
    as_json: bool,
    **given: str | None,
) -> None:
    """Quantize a converted netlist to integers, and tell what it cost layer by layer."""
    from neurodeploy import api
    from neurodeploy.cli.progress import progress
    from neurodeploy.cli.record import recorded
    from neurodeploy.network import load_network
    from neurodeploy.quantization.integers import Quantization
    from neurodeploy.render.quantization import quantization_to_dict, render_quantization
    from neurodeploy.render.text import to_json

    expect_output(output, ".ndn")
    common, layers = weight_widths(weight_bits)
    options = field_values(Quantization, given)
    if common is not None:
        options["weight_bits"] = common
    if calibration_samples is not None:
        if data is None:
            raise UsageError("--calibration-samples: of no data; give --data SPEC too")
        options["calibration_samples"] = calibration_samples
    net = load_network(source)
    with progress("round against data" if data else "quantize") as advance:
        network = api.quantize(
            net, layer_bits=layers, fit=fit, data=data, progress=advance, **options
        )
    api.save(recorded(network, context), output)
    if as_json:
        click.echo(to_json(quantization_to_dict(network)))
    else:
        click.echo(render_quantization(network, output))
