"""``neurodeploy import``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from neurodeploy.cli.fields import with_stage
from neurodeploy.cli.options import expect_output, json_option, output_option
from neurodeploy.cli.terminal import say


@click.command("import")
@click.argument("source", metavar="FILE.nir|FILE.net|MODULE")
@click.argument("weights", type=click.Path(path_type=Path), required=False)
@with_stage("import_network", "source", "weights")
@output_option(what="The netlist, a .ndn file.")
@json_option
@click.pass_context
def import_(
    context: click.Context,
    /,
    source: str,
    weights: Path | None,
    output: Path,
    as_json: bool,
    **given: Any,
) -> None:
    """Read a spiking network that was trained elsewhere.

    FILE.nir is a NIR graph, and becomes a real-valued netlist; FILE.net is fixed point already, and
    becomes an integer one. Neither needs the framework that wrote it. MODULE is file.py:factory or
    package.module:factory, whose factory gives a torch.nn.Module with layers of snnTorch,
    SpikingJelly, sinabs or Norse, and WEIGHTS its state dict.
    """
    from neurodeploy import api
    from neurodeploy.cli.record import recorded
    from neurodeploy.render.netlist import render_written, summarize_network

    expect_output(output, ".ndn")
    net = recorded(api.import_network(source, weights, **given), context)
    api.save(net, output)
    say(summarize_network(net) if as_json else render_written(net, output))
