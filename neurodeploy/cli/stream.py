"""``neurodeploy stream``."""

from __future__ import annotations

from pathlib import Path

import click

from neurodeploy.cli.options import expect_output, json_option, output_option
from neurodeploy.cli.terminal import say


@click.command()
@click.argument("source", type=click.Path(path_type=Path), metavar="NET.ndn|DIR")
@click.option(
    "--data",
    required=True,
    metavar="SPEC",
    help="A recording, events:PATH#dt=1ms[,size=WxH,...] (docs/events.md).",
)
@click.option(
    "--every", type=click.IntRange(min=1), default=10, metavar="N", show_default=True,
    help="Steps of a piece.",
)  # fmt: skip
@click.option(
    "--executor",
    metavar="NAME",
    help="engine, reference or a target, for a NET.ndn.  [default: engine]",
)
@click.option(
    "--sample", type=click.IntRange(min=0), default=0, metavar="K", show_default=True,
    help="Which of the recordings.",
)  # fmt: skip
@output_option(
    required=False, what="Write an .npz file with 'spikes.POPULATION' [1, steps, ...] of all steps."
)
@json_option
def stream(
    source: Path,
    data: str,
    every: int,
    executor: str | None,
    sample: int,
    output: Path | None,
    as_json: bool,
) -> None:
    """Run a recording of any length piece by piece: the answer so far after each.

    The network keeps its state between the pieces, and needs bounds that do not grow with the
    number of steps (docs/events.md).
    """
    from neurodeploy import api
    from neurodeploy.render.stream import Piece, render_stream, stream_npz, stream_to_dict

    if output is not None:
        expect_output(output, ".npz")
    played, records = [], []
    with api.stream(source, executor) as running:
        before = 0
        for record in running.play(data, every, sample):
            if record.timesteps:
                played.append(Piece.of(running, record, before))
            before = running.steps
            if output is not None:
                records.append(record)
        if output is not None:
            api.write_bytes_whole(output, stream_npz(records))
        if as_json:
            say(stream_to_dict(running, played))
        else:
            say(render_stream(running, played))
    if output is not None and not as_json:
        say(f"\nwrote {output}")
