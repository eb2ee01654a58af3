"""``neurodeploy convert``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from neurodeploy.cli.fields import field_options, field_values, stage_options
from neurodeploy.cli.options import (
    F,
    data_option,
    expect_output,
    json_option,
    key_values,
    output_option,
    with_options,
)
from neurodeploy.cli.terminal import say


def method_options() -> list[click.Option]:
    """Options of all methods that can be imported, but those that ``convert`` itself takes.

    A plug-in that cannot is no reason to refuse ``--help``: choosing it tells what is wrong.
    """
    from neurodeploy import api
    from neurodeploy.errors import NeurodeployError

    classes: dict[str, type] = {}
    for name in api.METHODS:
        try:
            classes[name] = api.METHODS.get(name)
        except NeurodeployError:
            continue
    return field_options(classes, leave_out=api.options_of(api.convert))


def holds_weights(model: str) -> bool:
    """Whether a MODEL is a file with its own weights, rather than a factory."""
    return model.endswith((".pt2", ".onnx"))


def chosen_options(
    method: str, given: dict[str, str | None], settings: tuple[str, ...]
) -> dict[str, Any]:
    """The options of a method, from its own options and ``--set key=value``."""
    from neurodeploy import api

    texts = {**given, **key_values(settings, "--set")}
    if method != "auto":
        return field_values(api.METHODS.get(method), texts)
    # Every code that auto may choose has these options, or refuses them by name.
    hints = {
        k: v
        for name in api.AUTO_METHODS
        for k, v in field_values(api.METHODS.get(name), texts).items()
    }
    return {k: v for k, v in hints.items() if v is not None}


def conversion_options(*leave_out: str) -> Callable[[F], F]:
    """Options of ``convert`` and of all methods, but those that a command offers otherwise."""

    def make() -> list[click.Option]:
        from neurodeploy import api

        plug_ins = click.Option(
            ["--set", "settings"],
            multiple=True,
            metavar="KEY=VALUE",
            help="An option of a plug-in method; repeat for more.",
        )
        own = stage_options(api.convert, leave_out=("model", "data", "tell", *leave_out))
        return [*own, *method_options(), plug_ins]

    return with_options(make)


def conversion_arguments(given: dict[str, Any]) -> dict[str, Any]:
    """Keyword arguments of :func:`neurodeploy.convert` from what these options were given."""
    from neurodeploy import api

    own = api.options_of(api.convert)
    arguments = {name: value for name, value in given.items() if name in own}
    fields = {name: text for name, text in given.items() if name not in (*own, "settings")}
    return {**arguments, **chosen_options(given["method"], fields, given["settings"])}


@click.command()
@click.argument("model", metavar="MODEL")
@data_option()
@conversion_options()
@output_option(what="The netlist, a .ndn file.")
@json_option
@click.pass_context
def convert(
    context: click.Context, /, model: str, data: str, output: Path, as_json: bool, **given: Any
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
    from neurodeploy.render.netlist import render_written, summarize_network

    expect_output(output, ".ndn")
    arguments = conversion_arguments(given)

    def tell(line: str) -> None:
        say(line, err=True)

    with progress("calibrate") as advance:
        net = api.convert(model, data, tell=tell, progress=advance, **arguments)
    api.save(recorded(net, context), output)
    if arguments["weights"] is None and not holds_weights(model):
        say("note: no --weights: the network is used as the factory makes it", err=True)
    if "auto" in net.provenance and not as_json:
        say(net.provenance["auto"]["reason"])
    if as_json:
        say(summarize_network(net))
    else:
        say(render_written(net, output))
