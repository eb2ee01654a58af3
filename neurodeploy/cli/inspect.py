"""``neurodeploy inspect``."""

from __future__ import annotations

from pathlib import Path

import click

from neurodeploy.cli.options import json_option
from neurodeploy.cli.terminal import say


@click.command()
@click.argument("source", type=click.Path(path_type=Path), metavar="NET.ndn|DIR")
@click.option(
    "--text", "as_text", is_flag=True, help="Print the netlist as text that is made for diff."
)
@click.option(
    "--engine",
    "with_engine",
    is_flag=True,
    help="Also tell how the fast engine runs it here: the kernel of every projection.",
)
@json_option
def inspect(source: Path, as_text: bool, with_engine: bool, as_json: bool) -> None:
    """Tell what is in a netlist or a deployment: populations, projections, sizes, provenance."""
    from neurodeploy import api
    from neurodeploy.errors import UsageError
    from neurodeploy.render.deployment import deployment_parts
    from neurodeploy.render.engine import render_engine
    from neurodeploy.render.netlist import render_network, summarize_network

    if as_text and with_engine:
        raise UsageError("--engine is not part of --text; use one of them")
    thing = api.load(source)
    deployment = thing if isinstance(thing, api.Deployment) else None
    network = thing.network if isinstance(thing, api.Deployment) else thing
    if as_text:
        say(api.print_netlist(network.netlist), nl=False)
    elif as_json:
        summary = summarize_network(network)
        if deployment is not None:
            summary["deployment"] = deployment.to_dict()
        if with_engine:
            summary["engine"] = api.describe_engine(network.netlist)
        say(summary)
    else:
        if deployment is not None:
            say("\n\n".join(deployment_parts(deployment)) + "\n")
        say(render_network(network))
        if with_engine:
            say("\n" + render_engine(api.describe_engine(network.netlist)))
