"""``neurodeploy compile``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from neurodeploy.cli.fields import stage_options
from neurodeploy.cli.options import (
    data_option,
    json_option,
    key_values,
    output_option,
    with_options,
)
from neurodeploy.cli.terminal import say
from neurodeploy.errors import CapacityError, UsageError


def option_values(target: str, settings: tuple[str, ...]) -> dict[str, Any]:
    """Target options, each read as the type of its default; the target judges the rest.

    Raises
    ------
    UsageError
        For a text that is no value of that type.
    """
    from neurodeploy import api

    known = api.options_of(api.TARGETS.get(target))
    return {
        key: _option_value(target, key, text, known[key].default if key in known else None)
        for key, text in key_values(settings, "--option").items()
    }


def _option_value(target: str, key: str, text: str, default: Any) -> Any:
    if text.lower() in ("true", "false") and isinstance(default, bool):
        return text.lower() == "true"
    if default is None and text.lower() == "none":
        return None
    if isinstance(default, str):
        return text
    kinds = (float,) if isinstance(default, float) else (int, float)
    for kind in kinds:
        try:
            return kind(text)
        except ValueError:
            continue
    if default is None:
        return text
    raise UsageError(
        f"target {target}: {key}={text!r}; expected a value like the default {default!r}"
    )


def target_options() -> list[click.Option]:
    """The target and the board."""
    from neurodeploy import api

    options = stage_options(api.compile, leave_out=("net",))
    for option in options:
        # What a board alone can run is a question that needs no target.
        option.required = False
    return options


def _check_board(source: Path, board: str, as_json: bool, **measured: Any) -> None:
    """Print whether a board can run a network, whatever target compiles it.

    Raises
    ------
    CapacityError
        If it cannot.
    """
    from neurodeploy import api
    from neurodeploy.render.deployment import render_verdict, violations_to_dict

    network = api.load_network(source)
    judged = api.verdict(network, board, **measured)
    name = network.netlist.name
    say(
        violations_to_dict(None, name, judged.violations, judged)
        if as_json
        else render_verdict(name, judged)
    )
    if not judged.fits:
        n = len(judged.violations)
        raise CapacityError(
            f"board {judged.board} cannot run {name}: {n} violation{'s' * (n != 1)}, listed above"
        )


@click.command("compile")
@click.argument("source", type=click.Path(path_type=Path), metavar="NET.ndn")
@with_options(target_options)
@click.option(
    "--option",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="An option of the target; repeat for more.",
)
@click.option(
    "--check",
    "only_check",
    is_flag=True,
    help="Compile nothing: list everything that the target refuses, the board, or the board alone.",
)
@data_option(
    required=False,
    what="With --check and a board: measure on the test samples of this data set what it costs to "
    "make the network fit. ",
)
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    metavar="N",
    help="Measure that on the first N samples.  [default: 64]",
)
@output_option(required=False, what="The deployment, a folder.")
@json_option
@click.pass_context
def compile_(
    context: click.Context,
    /,
    source: Path,
    target: str | None,
    board: str | None,
    settings: tuple[str, ...],
    only_check: bool,
    data: str | None,
    samples: int | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Compile a quantized netlist for a target."""
    from neurodeploy import api
    from neurodeploy.cli.record import recorded
    from neurodeploy.render.deployment import (
        render_compiled,
        render_fits,
        render_violations,
        violations_to_dict,
    )

    measured: dict[str, Any] = {
        k: v for k, v in (("data", data), ("samples", samples)) if v is not None
    }
    if measured and not (only_check and board is not None and data is not None):
        raise UsageError(
            f"compile --{next(iter(measured))}: is for --check --board NAME --data SPEC, which "
            "measures what it costs to make the network fit"
        )
    if target is None:
        if not only_check or board is None or settings:
            raise UsageError(
                f"compile: name a target (--target {' or '.join(api.TARGETS)}), or a board alone "
                "with --check --board NAME"
            )
        _check_board(source, board, as_json, **measured)
        return
    options = option_values(target, settings)
    if only_check:
        network = api.load_network(source)
        stated, found = api.stated(network, target, board, **options)
        judged = None if board is None else api.verdict(network, board, target, **measured)
        if as_json:
            say(violations_to_dict(target, network.netlist.name, found, judged))
        elif not found:
            say(render_fits(target, network, stated, judged))
        else:
            say(render_violations(found, judged))
        if found:
            raise CapacityError(
                f"target {target} refuses {network.netlist.name}: {len(found)} "
                f"violation{'s' * (len(found) != 1)}, listed above"
            )
        return
    if output is None:
        raise UsageError("compile: name the folder to write (-o DIR), or only --check")
    api.expect_replaceable(output)
    network = recorded(api.load_network(source), context)
    deployment = api.compile(network, target, board, **options)
    api.save(deployment, output)
    if as_json:
        say(deployment.to_dict())
    else:
        say(render_compiled(deployment, output))
