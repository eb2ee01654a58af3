"""``neurodeploy quantize``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from neurodeploy.cli.fields import field_options, field_values, stage_options
from neurodeploy.cli.options import expect_output, json_option, output_option, with_options
from neurodeploy.cli.terminal import say
from neurodeploy.errors import UsageError

if TYPE_CHECKING:
    from neurodeploy.api import Network
    from neurodeploy.cli.progress import Bar

DEFAULT_BITS = 8


def quantization_options() -> list[click.Option]:
    """Options of the stage besides the widths, and the fields of the pass."""
    from neurodeploy import api

    own = stage_options(api.quantize, leave_out=("net", "weight_bits", "layer_bits"))
    leave_out = ("weight_bits", "layer_bits")
    return [*own, *field_options({"quantize": api.Quantization}, leave_out)]


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


def quantized(net: Network, text: str, data: str, progress: Bar) -> Network:
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
@with_options(quantization_options)
@output_option(what="The integer netlist, a .ndn file.")
@json_option
@click.pass_context
def quantize(
    context: click.Context,
    /,
    source: Path,
    weight_bits: str,
    output: Path,
    as_json: bool,
    **given: Any,
) -> None:
    """Quantize a converted netlist to integers, and tell what it cost layer by layer."""
    from neurodeploy import api
    from neurodeploy.cli.progress import progress
    from neurodeploy.cli.record import recorded
    from neurodeploy.render.quantization import quantization_to_dict, render_quantization

    expect_output(output, ".ndn", source)
    common, layers = weight_widths(weight_bits)
    data = given["data"]
    if given["calibration_samples"] is not None and data is None:
        raise UsageError("--calibration-samples: of no data; give --data SPEC too")
    own = api.options_of(api.quantize)
    options = {name: value for name, value in given.items() if name in own}
    fields = {name: text for name, text in given.items() if name not in own}
    if common is not None:
        options["weight_bits"] = common
    net = api.load_network(source)
    with progress("round against data" if data else "quantize") as advance:
        network = api.quantize(
            net,
            layer_bits=layers,
            progress=advance,
            **options,
            **field_values(api.Quantization, fields),
        )
    api.save(recorded(network, context), output)
    if as_json:
        say(quantization_to_dict(network))
    else:
        say(render_quantization(network, output))
